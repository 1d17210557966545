"""`make test-all`: runs the tests on every supported Python that is installed."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "deploy"))  # `make test-all` runs without .venv

import pythons  # noqa: E402 - in deploy/

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSIONS = ("3.10", "3.11", "3.12", "3.13")

_PRINT_VERSION = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
"""Fails without ensurepip, which Debian has in a separate package."""


@dataclass(frozen=True)
class Virtualenv:
    """A virtual environment for one version of Python; its methods return an exit status."""

    version: str
    python: str

    @property
    def folder(self) -> str:
        """Its folder, relative to the project."""
        return f"build/venv-{self.version}"

    @property
    def log(self) -> str:
        """The file with the output of `run`, relative to the project."""
        return f"build/test-{self.version}.log"

    def run(self, *options: str) -> int:
        """Install as `make install` does, and run the tests."""
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / self.log).open("wb") as log:
            test = [f"{self.folder}/bin/pytest", *options]
            return self.install(log) or _status(test, log)

    def install(self, log: IO[bytes]) -> int:
        """Install as `make install` does."""
        install = ["make", "install", f"VENV={self.folder}", f"PYTHON={self.python}"]
        return _status(install, log)


def _status(command: list[str], log: IO[bytes]) -> int:
    # Do not pass on the flags of the make that runs this.
    environ = {name: text for name, text in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(  # noqa: S603 - our own make and pytest
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode


def find(version: str, environ: Mapping[str, str]) -> str | None:
    """Find a Python of this version that can create virtual environments."""
    return pythons.find(version, _PRINT_VERSION, version, environ)


def main(versions: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print a line for each version; return 1 if the tests fail on one, or none is installed."""
    if unknown := set(versions) - set(VERSIONS):
        names = ", ".join(sorted(unknown))
        sys.stderr.write(f"VERSIONS: {names} is not supported; allowed: {', '.join(VERSIONS)}\n")
        return 2
    statuses: list[int] = []
    for version in versions or VERSIONS:
        python = find(version, environ)
        if python is None:
            how = f"`uv python install {version}` or `pyenv install {version}`"
            print_line(f"{version}  not installed; install it with {how}")
            continue
        virtualenv = Virtualenv(version, python)
        # It is enough to measure coverage once.
        options = [] if statuses else ["--cov", "--cov-report=term"]
        start = time.monotonic()
        statuses.append(virtualenv.run(*options))
        outcome = f"failed, see {virtualenv.log}" if statuses[-1] else "passed"
        print_line(f"{version}  {outcome}, {time.monotonic() - start:.0f} s")
    return int(any(statuses) or not statuses)


def print_line(line: str) -> None:
    """Print a line without delay."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
