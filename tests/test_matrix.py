"""`make test-all` finds each Python where it may be, and says what it did about each version."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import matrix
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"


def program(path: Path, text: str) -> Path:
    """A program that is this shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
    path.chmod(0o755)
    return path


def test_pyenv(tmp_path: Path) -> None:
    """A shim that leads nowhere is passed over; of pyenv's releases the newest one counts."""
    program(
        tmp_path / "shims/python3.9", "echo 'pyenv: python3.9: command not found' >&2; exit 127"
    )
    for patch in ("2", "9", "10"):
        python = program(tmp_path / f"pyenv/versions/3.9.{patch}/bin/python3.9", "printf 3.9")
    environ = {"PATH": str(tmp_path / "shims"), "PYENV_ROOT": str(tmp_path / "pyenv")}
    assert matrix.find("3.9", environ) == python


def test_path_comes_first(tmp_path: Path) -> None:
    """A Python on PATH beats pyenv's; one without venv, or of another version, does not count."""
    program(tmp_path / "a/python3.9", "echo 'No module named ensurepip' >&2; exit 1")
    program(tmp_path / "b/python3.9", "printf 3.8")
    python = program(tmp_path / "c/python3.9", "printf 3.9")
    program(tmp_path / "pyenv/versions/3.9.1/bin/python3.9", "printf 3.9")
    path = os.pathsep.join(str(tmp_path / name) for name in "abc")
    assert matrix.find("3.9", {"PATH": path, "PYENV_ROOT": str(tmp_path / "pyenv")}) == python


def test_own_python(tmp_path: Path) -> None:
    """The Python that runs this is found without any PATH; a version that is nowhere is not."""
    environ = {"PYENV_ROOT": str(tmp_path)}
    assert matrix.find(HERE, environ)
    assert matrix.find("3.99", environ) is None


def test_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a line for each version, coverage on the first, and 1 where a suite failed."""
    there = {"3.11": tmp_path, "3.12": tmp_path, "3.13": tmp_path}
    asked = []

    def run(build: matrix.Build, *options: str) -> int:
        asked.append((build.folder, "--cov" in options))
        return int(build.version == "3.12")

    monkeypatch.setattr(matrix, "find", lambda version, _: there.get(version))
    monkeypatch.setattr(matrix.Build, "run", run)
    assert matrix.main([], {}) == 1
    assert asked == [
        ("build/venv-3.11", True),
        ("build/venv-3.12", False),
        ("build/venv-3.13", False),
    ]
    assert capsys.readouterr().out == (
        "3.10  not installed: `pyenv install 3.10`, or put python3.10 (with venv) on PATH\n"
        "3.11  passed, 0 s\n"
        "3.12  failed, see build/test-3.12.log, 0 s\n"
        "3.13  passed, 0 s\n"
    )
    assert matrix.main(["3.11", "3.13"], {}) == 0
    assert matrix.main(["3.10"], {}) == 1


def test_unknown_version(capsys: pytest.CaptureFixture[str]) -> None:
    """A version that is not supported is refused, with those that are."""
    assert matrix.main(["3.9"], {}) == 2
    assert capsys.readouterr().err == "3.9 given; allowed are 3.10, 3.11, 3.12, 3.13\n"


def test_versions_are_those_of_the_project() -> None:
    """The matrix runs from the first to the last Python that pyproject.toml allows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'requires-python = ">=(.+),<3.(\d+)"', text) == [
        (matrix.VERSIONS[0], str(int(matrix.VERSIONS[-1].removeprefix("3.")) + 1))
    ]
