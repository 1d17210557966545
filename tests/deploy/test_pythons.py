"""Pythons of other versions are found on PATH, in pyenv and in uv, and each one is checked."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from scf_local import pythons

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any Python."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def write_script(path: Path, text: str) -> str:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def find(path: Path | str = "", **environ: str) -> str | None:
    """Find a Python 3.9: here, a program that prints `me`, whatever its arguments."""
    return pythons.find("3.9", "pass", "me", {"PATH": str(path), **environ})


SHIM = "echo 'pyenv: python3.9: command not found' >&2; exit 127"


def test_path(tmp_path: Path) -> None:
    """The first matching Python on PATH is used; broken shims and unusable files are skipped."""
    write_script(tmp_path / "shims/python3.9", SHIM)
    write_script(tmp_path / "other/python3.9", "echo other")
    write_script(tmp_path / "locked/python3.9", "echo me")
    (tmp_path / "locked/python3.9").chmod(0o644)
    (tmp_path / "folder/python3.9").mkdir(parents=True)
    python = write_script(tmp_path / "right/python3.9", "echo me")
    write_script(tmp_path / "late/python3.9", "echo me")
    names = ("none", "shims", "other", "locked", "folder", "right", "late")
    assert find(os.pathsep.join(str(tmp_path / name) for name in names)) == python


def test_pyenv(tmp_path: Path, home: Path) -> None:
    """If a shim leads nowhere, the newest release in pyenv's folder is used."""
    write_script(tmp_path / "shims/python3.9", SHIM)
    for root in (home / ".pyenv", tmp_path / "pyenv"):
        write_script(root / "versions/3.9.11/bin/python", "echo other")
        write_script(root / "versions/3.99.1/bin/python", "echo me")
        for patch in ("2", "9", "10"):
            python = write_script(root / f"versions/3.9.{patch}/bin/python", "echo me")
        given = {} if root.parent == home else {"PYENV_ROOT": str(root)}
        assert find(tmp_path / "shims", **given) == python


def test_uv(tmp_path: Path) -> None:
    """The path from `uv python find` is used if it is the right Python."""
    python = write_script(tmp_path / "apart/python", "echo me")
    write_script(tmp_path / "bin/uv", f'[ "$*" = "python find 3.9" ] && echo {python}')
    assert find(tmp_path / "bin") == python
    write_script(tmp_path / "apart/python", "echo other")
    assert find(tmp_path / "bin") is None


def test_folder_of_uv(tmp_path: Path, home: Path) -> None:
    """Uv's own folder is searched if uv is missing or fails."""
    write_script(tmp_path / "bin/uv", "echo 'error: Querying Python failed' >&2; exit 2")
    for folder in (home / ".local/share/uv/python", tmp_path / "uv"):
        for name in ("3.9.9-linux", "3.9.10-linux", "3.9.10+freethreaded-linux"):
            script = "echo other" if "free" in name else "echo me"
            write_script(folder / f"cpython-{name}/bin/python3.9", script)
        python = str(folder / "cpython-3.9.10-linux/bin/python3.9")
        given = {"UV_PYTHON_INSTALL_DIR": str(folder)} if folder.name == "uv" else {}
        assert find(**given) == python
        assert find(tmp_path / "bin", **given) == python


def test_order(tmp_path: Path, home: Path) -> None:
    """PATH comes before pyenv, and pyenv before uv."""
    uv = write_script(home / ".local/share/uv/python/cpython-3.9.9-linux/bin/python3.9", "echo me")
    assert find(tmp_path) == uv
    pyenv = write_script(home / ".pyenv/versions/3.9.9/bin/python", "echo me")
    assert find(tmp_path) == pyenv
    path = write_script(tmp_path / "python3.9", "echo me")
    assert find(tmp_path) == path


def test_own_python() -> None:
    """The running Python is found without PATH, and a missing version is not found."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert pythons.find(here, code, here, {}) == sys.executable
    assert pythons.find("3.99", code, "3.99", {}) is None
