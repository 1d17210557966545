"""Where Pythons of other versions are on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


def find(version: str, program: str, answer: str, environ: Mapping[str, str]) -> str | None:
    """The first Python by which a program prints the answer that is wanted.

    Names are not believed: a shim of pyenv exists for versions that are not switched on, a link may
    lead to another version or to PyPy.
    """
    for candidate in candidates(version, environ):
        if _told(candidate, "-c", program) == answer:
            return candidate
    return None


def candidates(version: str, environ: Mapping[str, str]) -> Iterator[str]:
    """Where a CPython of this version may be, best first: this one, PATH, pyenv, uv."""
    yield sys.executable
    path = environ.get("PATH", "")
    for folder in path.split(os.pathsep):
        yield str(Path(folder or ".", f"python{version}").absolute())
    pyenv = environ.get("PYENV_ROOT") or Path.home() / ".pyenv"
    yield from _newest_first(pyenv, f"versions/{version}.*/bin/python")
    if uv := shutil.which("uv", path=path):
        yield _told(uv, "python", "find", version)
    # uv gives up at the first shim of pyenv that leads nowhere.
    own = environ.get("UV_PYTHON_INSTALL_DIR") or Path.home() / ".local/share/uv/python"
    yield from _newest_first(own, f"cpython-{version}.*/bin/python{version}")


def _newest_first(folder: str | Path, pattern: str) -> list[str]:
    """3.13.10 is newer than 3.13.9."""
    found = map(str, Path(folder).glob(pattern))
    return sorted(found, key=lambda path: (len(path), path), reverse=True)


def _told(*command: str) -> str:
    """What a command prints, without the end of the line; nothing if it cannot be run."""
    try:
        run = subprocess.run(  # noqa: S603 - an interpreter, or uv
            command, capture_output=True, text=True, check=False
        )
    except OSError:
        return ""
    return run.stdout.rstrip("\n")
