"""`make test-all`: the tests on every Python that is supported, as far as it is on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

ROOT = Path(__file__).parent.parent
sys.path.append(str(ROOT / "deploy"))  # `make test-all` needs no .venv

import pythons  # noqa: E402 - found there

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

VERSIONS = ("3.10", "3.11", "3.12", "3.13")

_ASKED = "import ensurepip, sys, venv; print('%d.%d' % sys.version_info[:2])"
"""Debian's Python lacks ensurepip as long as its venv package is not there."""


@dataclass(frozen=True)
class Build:
    """What runs the suite of one version; both end with an exit status."""

    version: str
    python: str

    @property
    def folder(self) -> str:
        """Its virtual environment, below the project."""
        return f"build/venv-{self.version}"

    @property
    def log(self) -> str:
        """Where the output goes."""
        return f"build/test-{self.version}.log"

    def run(self, *options: str) -> int:
        """Set up what `make install` sets up, and run the suite."""
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / self.log).open("wb") as log:
            test = [f"{self.folder}/bin/pytest", *options]
            return self.install(log) or _status(test, log)

    def install(self, log: IO[bytes]) -> int:
        """Set up what `make install` sets up."""
        install = ["make", "install", f"VENV={self.folder}", f"PYTHON={self.python}"]
        return _status(install, log)


def _status(command: list[str], log: IO[bytes]) -> int:
    # The flags of the make that started this are not for the one started here.
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
    """A Python of this version that can make virtual environments."""
    return pythons.find(version, _ASKED, version, environ)


def main(versions: Sequence[str], environ: Mapping[str, str]) -> int:
    """One line for each version; 1 if the suite fails on one, or there is none to run it on."""
    if unknown := set(versions) - set(VERSIONS):
        sys.stderr.write(f"{', '.join(unknown)} given; allowed are {', '.join(VERSIONS)}\n")
        return 2
    ended: list[int] = []
    for version in versions or VERSIONS:
        python = find(version, environ)
        if python is None:
            how = f"`uv python install {version}` or `pyenv install {version}`"
            tell(f"{version}  not installed: {how}")
            continue
        build = Build(version, python)
        # One coverage gate is enough.
        options = [] if ended else ["--cov", "--cov-report=term"]
        began = time.monotonic()
        ended.append(build.run(*options))
        told = f"failed, see {build.log}" if ended[-1] else "passed"
        tell(f"{version}  {told}, {time.monotonic() - began:.0f} s")
    return int(any(ended) or not ended)


def tell(line: str) -> None:
    """A line, at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
