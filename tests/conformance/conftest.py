"""`scf-local cloud` as a server, and how to run clients of it in other processes."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import urllib.request
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).parents[2]
INSTALLED = ROOT / ".conformance"
"""The folder that `make conformance` sets up."""
COS = """
import os
from qcloud_cos import CosConfig, CosS3Client
client = CosS3Client(CosConfig(
    Region="ap-guangzhou", SecretId=os.environ["TENCENTCLOUD_SECRET_ID"],
    SecretKey=os.environ["TENCENTCLOUD_SECRET_KEY"], Token=os.environ["TENCENTCLOUD_TOKEN"]))
"""
"""The beginning of a program that uses the COS SDK with nothing but the exported variables."""


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
        images = self.ask("_state")["Images"][region]
        return next(dict(image) for image in images if image["ImageId"] == image_id)

    def ask(self, path: str, document: object = None) -> Any:  # noqa: ANN401 - any JSON
        """Return the reply of one of its own paths, to a POST if there is a document."""
        body = None if document is None else json.dumps(document).encode()
        json_type = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/{path}", body, json_type)  # noqa: S310 - its own
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request) as reply:
            return json.load(reply)

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


@contextmanager
def served(*options: str | Path) -> Iterator[ServedCloud]:
    """Run `scf-local cloud` with options."""
    command = (Path(sys.executable).parent / "scf-local", "cloud", *options)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own
        try:
            exports: dict[str, str] = {}
            while "TENCENTCLOUD_TOKEN" not in exports and process.stdout:  # the last one
                (setting,) = shlex.split(process.stdout.readline())[1:]
                name, _, exports[name] = setting.partition("=")
            yield ServedCloud(exports)
        finally:
            process.terminate()  # so that it ends the functions


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., ServedCloud]]:
    """Start a cloud with the project's seed and optional fault rules."""
    with ExitStack() as stack:

        def start(*rules: dict[str, Any]) -> ServedCloud:
            faults = tmp_path / "faults.json"
            faults.write_text(json.dumps({"Rules": rules}), encoding="utf-8")
            return stack.enter_context(served("--faults", faults))

        yield start
