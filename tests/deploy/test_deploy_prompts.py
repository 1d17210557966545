"""`scf-deploy` asks at a terminal before it changes an account, and twice before it deletes."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from dataclasses import astuple
from typing import TYPE_CHECKING

import pytest

from conftest import ROOT
from scf_client import ECHO, RUNTIME
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.credentials import SDK_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-c", "from scf_deploy.cli import main; main()"]


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """An emulated cloud with nothing in it."""
    with EmulatedCloud(State()) as cloud:
        yield cloud


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with this project's files, and the code of a function that echoes."""
    text = (ROOT / "serverless.yml").read_text(encoding="utf-8")
    text = text.replace("Python3.13", RUNTIME).replace("./build/function", "code")
    (tmp_path / "serverless.yml").write_text(text, encoding="utf-8")
    (tmp_path / "deploy").mkdir()
    for name in ("policy.json", "trust.json"):
        shutil.copy(ROOT / "deploy" / name, tmp_path / "deploy" / name)
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "index.py").write_text(ECHO, encoding="utf-8")
    return tmp_path


def typed(cloud: EmulatedCloud, project: Path, command: str, answers: str) -> tuple[int, str]:
    """Run a command at a terminal where somebody types; return its status and all output."""
    names = {"COLUMNS": "100", **dict(zip(SDK_NAMES, astuple(cloud.credentials), strict=True))}
    where = ["--endpoint", cloud.url, "--cos-endpoint", cloud.url]
    terminal, side = pty.openpty()
    try:
        os.write(terminal, answers.encode())
        done = subprocess.run(  # noqa: S603 - our own program
            [*COMMAND, command, *where], cwd=project, env={**os.environ, **names}, check=False,
            stdin=side, stdout=subprocess.PIPE, stderr=side, timeout=60,
        )  # fmt: skip
        asked = os.read(terminal, 1 << 16).decode()
    finally:
        os.close(side)
        os.close(terminal)
    return done.returncode, done.stdout.decode() + asked


def writes(cloud: EmulatedCloud) -> list[str]:
    """Return the actions that have changed something."""
    return [call["Action"] for call in cloud.state.writes()]


def test_asks_before_it_changes(cloud: EmulatedCloud, project: Path) -> None:
    """Only `yes` changes the account; other answers end with 1, after the plan was shown."""
    for answer in ("\n", "y\n"):
        status, output = typed(cloud, project, "apply", answer)
        assert (status, writes(cloud)) == (1, [])
        assert "create  function image-steward" in output
        assert "Type yes to go on" in output
        assert "not confirmed: nothing was changed" in output
    status, output = typed(cloud, project, "apply", "yes\n")
    assert (status, len(writes(cloud))) == (0, 10)


def test_asks_twice_before_it_deletes(cloud: EmulatedCloud, project: Path) -> None:
    """Deleting needs `yes`, and then the function's name."""
    assert typed(cloud, project, "apply", "yes\n")[0] == 0
    before = writes(cloud)
    for answers in ("no\nimage-steward\n", "yes\nyes\n"):
        status, _ = typed(cloud, project, "destroy", answers)
        assert (status, writes(cloud)) == (1, before)
    status, output = typed(cloud, project, "destroy", "yes\nimage-steward\n")
    assert status == 0
    assert "Type image-steward to go on" in output
    assert not cloud.state.functions.by_name
    assert "manifests-1250000000" in cloud.state.objects


def test_does_not_ask_without_a_terminal(cloud: EmulatedCloud, project: Path) -> None:
    """Where nobody can answer, nothing is changed, and the message names the option."""
    names = dict(zip(SDK_NAMES, astuple(cloud.credentials), strict=True))
    where = ["--endpoint", cloud.url, "--cos-endpoint", cloud.url]
    for command, status in (("apply", 1), ("destroy", 0)):  # there is nothing to delete
        done = subprocess.run(  # noqa: S603 - our own program
            [*COMMAND, command, *where], cwd=project, env={**os.environ, **names}, check=False,
            input="yes\n", capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert done.returncode == status
        assert ("add --yes" in done.stderr) == bool(status)
    assert writes(cloud) == []
