"""`make test-all` and `make test-ends`: run the tests on several of the supported Pythons."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from scf_local import pythons  # beside this file: `make test-all` runs without .venv

ROOT = Path(__file__).parent.parent


if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

VERSIONS = ("3.10", "3.11", "3.12", "3.13")
HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"

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

    def run(self, target: str) -> int:
        """Run the tests by a target of make."""
        (ROOT / "build").mkdir(exist_ok=True)
        with (ROOT / self.log).open("wb") as log:
            return self.make(target, log)

    def make(self, target: str, output: IO[bytes]) -> int:
        """Run make for this virtual environment; every target installs what it needs."""
        return _status(["make", target, f"VENV={self.folder}", f"PYTHON={self.python}"], output)

    def summary(self) -> str:
        """Return the lines with which pytest ended."""
        lines = (ROOT / self.log).read_text("utf-8", "replace").splitlines()
        return ", ".join(
            line.strip("= ") for line in lines if re.search(r" passed.* in [0-9]", line)
        )


def _status(command: list[str], output: IO[bytes]) -> int:
    # Do not pass on the flags of the make that runs this.
    environ = {name: text for name, text in os.environ.items() if name != "MAKEFLAGS"}
    done = subprocess.run(  # noqa: S603 - our own make
        command,
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return done.returncode


def find(version: str, environ: Mapping[str, str]) -> str | None:
    """Find a Python of this version that can create virtual environments."""
    return pythons.find(version, _PRINT_VERSION, version, environ)


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Print a line for each version; return 1 if the tests fail on one, or none is installed.

    `arguments` are versions, none for all of them, or `--ends` for the oldest and the newest that
    are installed, apart from the one that runs this: `make test` has that one.
    """
    if arguments == ["--ends"]:
        return int(any(list(_statuses(_ends(environ), environ, "test-brief"))))
    if unknown := set(arguments) - set(VERSIONS):
        names = ", ".join(sorted(unknown))
        sys.stderr.write(f"VERSIONS: {names} is not supported; allowed: {', '.join(VERSIONS)}\n")
        return 2
    statuses = list(_statuses(arguments or VERSIONS, environ, "test"))
    return int(any(statuses) or not statuses)


def _ends(environ: Mapping[str, str]) -> list[str]:
    print_line(f"{HERE}  is the Python of `make test`")
    installed = [version for version in VERSIONS if version == HERE or find(version, environ)]
    return sorted({installed[0], installed[-1]} - {HERE}, key=VERSIONS.index)


def _statuses(versions: Sequence[str], environ: Mapping[str, str], target: str) -> Iterator[int]:
    for version in versions:
        python = find(version, environ)
        if python is None:
            how = f"`uv python install {version}` or `pyenv install {version}`"
            print_line(f"{version}  not installed; install it with {how}")
            continue
        virtualenv = Virtualenv(version, python)
        status = virtualenv.run(target)
        failed = f"failed, see {virtualenv.log}; " if status else ""
        print_line(f"{version}  {failed}{virtualenv.summary()}")
        yield status
        target = {"test": "test-quick"}.get(target, target)  # measure coverage only once


def print_line(line: str) -> None:
    """Print a line without delay."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
