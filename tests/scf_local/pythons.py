"""Finds Pythons of other versions on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path


def find(version: str, program: str, expected: str, environ: Mapping[str, str]) -> str | None:
    """Return the first Python with which `program` prints the expected output.

    The file name proves nothing: pyenv has shims for versions that are not enabled, and a link may
    lead to another version or to PyPy.
    """
    for candidate in candidates(version, environ):
        if _output(candidate, "-c", program) == expected:
            return candidate
    return None


def candidates(version: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Yield paths where a CPython of this version may be: this one, then PATH, pyenv, uv."""
    yield sys.executable
    path = environ.get("PATH", "")
    for folder in path.split(os.pathsep):
        yield str(Path(folder or ".", f"python{version}").absolute())
    pyenv = environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    yield from _newest_first(pyenv, f"versions/{version}.*/bin/python")
    if uv := shutil.which("uv", path=path):
        yield _output(uv, "python", "find", version)
    # `uv python find` stops at the first shim of pyenv that does not work.
    own = environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python"
    yield from _newest_first(own, f"cpython-{version}.*/bin/python{version}")


def _newest_first(folder: str | Path, pattern: str) -> list[str]:
    # Longer paths first: 3.13.10 is newer than 3.13.9.
    found = map(str, Path(folder).glob(pattern))
    return sorted(found, key=lambda path: (len(path), path), reverse=True)


def _output(*command: str) -> str:
    """Return what a command prints, without the final newline; empty if it cannot be run."""
    try:
        run = subprocess.run(  # noqa: S603 - an interpreter, or uv
            command, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return run.stdout.rstrip("\n")
