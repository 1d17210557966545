"""`make test-all` takes Pythons that make environments, and says what it did about each version."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

import matrix
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_python_that_makes_environments(tmp_path: Path) -> None:
    """A Python without venv, as Debian has it, is passed over, as is one of another version."""
    for name, text in {
        "a": "echo 'No module named ensurepip' >&2; exit 1", "b": "echo 3.8", "c": "echo 3.9",
    }.items():  # fmt: skip
        python = tmp_path / name / "python3.9"
        python.parent.mkdir()
        python.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        python.chmod(0o755)
    path = os.pathsep.join(str(tmp_path / name) for name in "abc")
    assert matrix.find("3.9", {"PATH": path}) == str(python)


def test_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is a line for each version, coverage on the first, and 1 where a suite failed."""
    there = {"3.11": tmp_path, "3.12": tmp_path, "3.13": tmp_path}
    asked = []

    def run(build: matrix.Virtualenv, *options: str) -> int:
        asked.append((build.folder, "--cov" in options))
        return int(build.version == "3.12")

    monkeypatch.setattr(matrix, "find", lambda version, _: there.get(version))
    monkeypatch.setattr(matrix.Virtualenv, "run", run)
    assert matrix.main([], {}) == 1
    assert asked == [
        ("build/venv-3.11", True),
        ("build/venv-3.12", False),
        ("build/venv-3.13", False),
    ]
    assert capsys.readouterr().out == (
        "3.10  not installed; install it with `uv python install 3.10` or `pyenv install 3.10`\n"
        "3.11  passed, 0 s\n"
        "3.12  failed, see build/test-3.12.log, 0 s\n"
        "3.13  passed, 0 s\n"
    )
    assert matrix.main(["3.11", "3.13"], {}) == 0
    assert matrix.main(["3.10"], {}) == 1


def test_unknown_version(capsys: pytest.CaptureFixture[str]) -> None:
    """A version that is not supported is refused, with those that are."""
    assert matrix.main(["3.9"], {}) == 2
    assert (
        capsys.readouterr().err
        == "VERSIONS: 3.9 is not supported; allowed: 3.10, 3.11, 3.12, 3.13\n"
    )


def test_versions_are_those_of_the_project() -> None:
    """The matrix runs from the first to the last Python that pyproject.toml allows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'requires-python = ">=(.+),<3.(\d+)"', text) == [
        (matrix.VERSIONS[0], str(int(matrix.VERSIONS[-1].removeprefix("3.")) + 1))
    ]
