"""Pythons of other versions are found where PATH, pyenv and uv have them, and none is believed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

import pythons

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder without any Python."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def program(path: Path, text: str) -> str:
    """A program that is this shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return str(path)


def find(path: Path | str = "", **environ: str) -> str | None:
    """The Python 3.9 that is found: one that prints `me`, whatever it is asked."""
    return pythons.find("3.9", "pass", "me", {"PATH": str(path), **environ})


SHIM = "echo 'pyenv: python3.9: command not found' >&2; exit 127"


def test_path(tmp_path: Path) -> None:
    """The first of PATH that is what its name says; shims, links and files of no use are passed."""
    program(tmp_path / "shims/python3.9", SHIM)
    program(tmp_path / "other/python3.9", "echo other")
    program(tmp_path / "locked/python3.9", "echo me")
    (tmp_path / "locked/python3.9").chmod(0o644)
    (tmp_path / "folder/python3.9").mkdir(parents=True)
    python = program(tmp_path / "right/python3.9", "echo me")
    program(tmp_path / "late/python3.9", "echo me")
    names = ("none", "shims", "other", "locked", "folder", "right", "late")
    assert find(os.pathsep.join(str(tmp_path / name) for name in names)) == python


def test_pyenv(tmp_path: Path, home: Path) -> None:
    """Behind a shim that leads nowhere, pyenv's newest release counts, wherever pyenv is."""
    program(tmp_path / "shims/python3.9", SHIM)
    for root in (home / ".pyenv", tmp_path / "pyenv"):
        program(root / "versions/3.9.11/bin/python", "echo other")
        program(root / "versions/3.99.1/bin/python", "echo me")
        for patch in ("2", "9", "10"):
            python = program(root / f"versions/3.9.{patch}/bin/python", "echo me")
        given = {} if root.parent == home else {"PYENV_ROOT": str(root)}
        assert find(tmp_path / "shims", **given) == python


def test_uv(tmp_path: Path) -> None:
    """What `uv python find` names is taken, if it is that."""
    python = program(tmp_path / "apart/python", "echo me")
    program(tmp_path / "bin/uv", f'[ "$*" = "python find 3.9" ] && echo {python}')
    assert find(tmp_path / "bin") == python
    program(tmp_path / "apart/python", "echo other")
    assert find(tmp_path / "bin") is None


def test_folder_of_uv(tmp_path: Path, home: Path) -> None:
    """Uv's own folder is searched if uv is not there or gives up."""
    program(tmp_path / "bin/uv", "echo 'error: Querying Python failed' >&2; exit 2")
    for folder in (home / ".local/share/uv/python", tmp_path / "uv"):
        for name in ("3.9.9-linux", "3.9.10-linux", "3.9.10+freethreaded-linux"):
            said = "echo other" if "free" in name else "echo me"
            program(folder / f"cpython-{name}/bin/python3.9", said)
        python = str(folder / "cpython-3.9.10-linux/bin/python3.9")
        given = {"UV_PYTHON_INSTALL_DIR": str(folder)} if folder.name == "uv" else {}
        assert find(**given) == python
        assert find(tmp_path / "bin", **given) == python


def test_order(tmp_path: Path, home: Path) -> None:
    """PATH comes before pyenv, and pyenv before uv."""
    uv = program(home / ".local/share/uv/python/cpython-3.9.9-linux/bin/python3.9", "echo me")
    assert find(tmp_path) == uv
    pyenv = program(home / ".pyenv/versions/3.9.9/bin/python", "echo me")
    assert find(tmp_path) == pyenv
    path = program(tmp_path / "python3.9", "echo me")
    assert find(tmp_path) == path


def test_own_python() -> None:
    """The Python that runs this needs no PATH; what is nowhere is not found."""
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    asked = "import sys; print('%d.%d' % sys.version_info[:2])"
    assert pythons.find(here, asked, here, {}) == sys.executable
    assert pythons.find("3.99", asked, "3.99", {}) is None
