"""The shipped deployment in a folder of its own, and `scf-deploy` for it in an emulated cloud."""

from __future__ import annotations

import shutil
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from click.testing import CliRunner

from conftest import ROOT
from scf_deploy.cli import main
from scf_local.credentials import SDK_NAMES

if TYPE_CHECKING:
    from pathlib import Path

    from click.testing import Result

    from scf_local.cloud.server import EmulatedCloud
    from scf_local.credentials import AccountCredentials


@dataclass(frozen=True)
class Shipped:
    """serverless.yml and the role's policies, with a function that does nothing."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("deploy", "build/function"):
            (self.folder / name).mkdir(parents=True)
        for name in ("serverless.yml", "deploy/policy.json", "deploy/trust.json"):
            shutil.copyfile(ROOT / name, self.folder / name)
        code = "def main_handler(event, context): ...\n"
        (self.folder / "build/function/index.py").write_text(code, encoding="utf-8")

    def edit(self, name: str, old: str, new: str) -> None:
        """Replace a text in a file."""
        path = self.folder / name
        text = path.read_text(encoding="utf-8")
        if old not in text:
            raise ValueError(old)
        path.write_text(text.replace(old, new), encoding="utf-8")

    def run(
        self,
        cloud: EmulatedCloud,
        command: str,
        *options: str,
        keys: AccountCredentials | None = None,
    ) -> Result:
        """Run a command at 100 columns; what it waits for moves the cloud's clock."""
        places = ("--endpoint", cloud.url, "--cos-endpoint", cloud.url)
        variables = dict(zip(SDK_NAMES, astuple(keys or cloud.credentials), strict=True))
        done = CliRunner().invoke(
            main,
            [command, str(self.folder / "serverless.yml"), *options, *places],
            env={**variables, "COLUMNS": "100"},
            obj=cloud.move_clock,
        )
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done
