"""`scf-local cloud` as a server, and how to run clients of it in other processes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".conformance"
"""The folder that `make conformance` sets up."""


@dataclass(frozen=True)
class ServedCloud:
    """A running `scf-local cloud`; `exports` are the variables that it prints."""

    exports: dict[str, str]

    @property
    def url(self) -> str:
        """Its endpoint."""
        return self.exports["SCF_LOCAL_ENDPOINT"]

    def image(self, region: str, image_id: str) -> dict[str, Any]:
        """Return an image of the cloud."""
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(f"{self.url}/_state") as reply:
            images = json.load(reply)["Images"][region]
        return next(dict(image) for image in images if image["ImageId"] == image_id)

    def run(
        self, *command: str | Path, home: Path, text: str = "", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a client with the exported variables, without those of the developer."""
        return subprocess.run(  # noqa: S603 - the clients
            command,
            env={"PATH": os.environ["PATH"], "HOME": str(home), **self.exports, **environ},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServedCloud]]:
    """Start a cloud with the project's seed and optional fault rules."""
    with ExitStack() as stack:

        def start(*rules: dict[str, Any]) -> ServedCloud:
            faults = tmp_path / "faults.json"
            faults.write_text(json.dumps({"Rules": rules}), encoding="utf-8")
            command = [
                str(Path(sys.executable).parent / "scf-local"),
                "cloud",
                "--faults",
                str(faults),
            ]
            process = stack.enter_context(
                subprocess.Popen(command, stdout=subprocess.PIPE, text=True)  # noqa: S603 - our own
            )
            stack.callback(process.kill)
            exports: dict[str, str] = {}
            while "TENCENTCLOUD_TOKEN" not in exports and process.stdout:  # the last one
                (setting,) = shlex.split(process.stdout.readline())[1:]
                name, _, exports[name] = setting.partition("=")
            return ServedCloud(exports)

        yield start
