"""`make test-all` and `make test-ends` choose Pythons, and print a line for each version."""

from __future__ import annotations

import os
import re
from typing import IO, TYPE_CHECKING

import pytest

import matrix
from conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def test_unusable_pythons_are_skipped(tmp_path: Path) -> None:
    """A Python without venv, as on Debian, is skipped, and so is one of another version."""
    for name, text in {
        "a": "echo 'No module named ensurepip' >&2; exit 1", "b": "echo 3.8", "c": "echo 3.9",
    }.items():  # fmt: skip
        python = tmp_path / name / "python3.9"
        python.parent.mkdir()
        python.write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
        python.chmod(0o755)
    path = os.pathsep.join(str(tmp_path / name) for name in "abc")
    assert matrix.find("3.9", {"PATH": path}) == str(python)


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The versions and targets that are run: 3.10 is not installed; 3.10 and 3.12 would fail."""
    runs = []

    def make(virtualenv: matrix.Virtualenv, target: str, output: IO[bytes]) -> int:
        runs.append((virtualenv.version, target))
        failed = virtualenv.version in {"3.10", "3.12"}
        output.write(f"..\n= {'1 failed, ' if failed else ''}7 passed in 0.1s =\n".encode())
        return int(failed)

    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    monkeypatch.setattr(matrix, "HERE", "3.11")
    monkeypatch.setattr(matrix.Virtualenv, "make", make)
    monkeypatch.setattr(matrix, "find", lambda version, _: None if version == "3.10" else "python")
    return runs


def test_all_versions(runs: list[tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> None:
    """Each installed version is run, the first with coverage; the status is 1 if one fails."""
    assert matrix.main([], {}) == 1
    assert runs == [("3.11", "test"), ("3.12", "test-quick"), ("3.13", "test-quick")]
    assert capsys.readouterr().out == (
        "3.10  not installed; install it with `uv python install 3.10` or `pyenv install 3.10`\n"
        "3.11  7 passed in 0.1s\n"
        "3.12  failed, see build/test-3.12.log; 1 failed, 7 passed in 0.1s\n"
        "3.13  7 passed in 0.1s\n"
    )
    assert matrix.main(["3.11", "3.13"], {}) == 0
    assert matrix.main(["3.10"], {}) == 1


@pytest.mark.parametrize(
    ("installed", "ends", "status"),
    [
        ({"3.10", "3.11", "3.12", "3.13"}, ["3.10", "3.13"], 1),
        ({"3.10", "3.11"}, ["3.10"], 1),
        ({"3.11", "3.12", "3.13"}, ["3.13"], 0),
        ({"3.11", "3.12"}, ["3.12"], 1),
        ({"3.12"}, ["3.12"], 1),
        ({"3.11"}, [], 0),
        (set(), [], 0),
    ],
)
def test_ends(  # noqa: PLR0913, PLR0917 - parameters and fixtures
    runs: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    installed: set[str],
    ends: list[str],
    status: int,
) -> None:
    """The oldest and newest versions are run, except the one of `make test`; none is fine."""
    monkeypatch.setattr(
        matrix, "find", lambda version, _: version if version in installed else None
    )
    assert matrix.main(["--ends"], {}) == status
    assert runs == [(version, "test-brief") for version in ends]
    first, *others = capsys.readouterr().out.splitlines()
    assert first == "3.11  is the Python of `make test`"
    assert [line.split()[0] for line in others] == ends


def test_targets_of_make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A target uses its own folder and Python, without the flags of an outer make."""
    (tmp_path / "Makefile").write_text(
        "t:\n\t@echo $(VENV) $(PYTHON) $(findstring k,$(firstword -$(MAKEFLAGS))); exit 3\n",
        encoding="utf-8",
    )
    monkeypatch.setattr(matrix, "ROOT", tmp_path)
    monkeypatch.setenv("MAKEFLAGS", "k")
    virtualenv = matrix.Virtualenv("3.11", "/python")
    assert virtualenv.run("t") == 2
    log = (tmp_path / virtualenv.log).read_text(encoding="utf-8")
    assert "build/venv-3.11 /python\n" in log


def test_unknown_version(capsys: pytest.CaptureFixture[str]) -> None:
    """An unsupported version is rejected, and the error lists the supported ones."""
    assert matrix.main(["3.9"], {}) == 2
    assert (
        capsys.readouterr().err
        == "VERSIONS: 3.9 is not supported; allowed: 3.10, 3.11, 3.12, 3.13\n"
    )


def test_versions_are_those_of_the_project() -> None:
    """The first and last versions are those that pyproject.toml allows."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert re.findall(r'requires-python = ">=(.+),<3.(\d+)"', text) == [
        (matrix.VERSIONS[0], str(int(matrix.VERSIONS[-1].removeprefix("3.")) + 1))
    ]
