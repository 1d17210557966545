"""docs/functions.md: its files and commands work, and its tables are complete."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import page_commands
from conftest import ROOT
from scf_local.cloud.dispatcher import SERVICES

PAGE = (ROOT / "docs" / "functions.md").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_commands(tmp_path: Path) -> None:
    """The function and the client of the page can be deployed and fired as it says."""
    files = re.findall(r"`(\w+\.py)`[^`]*:\n\n```python\n([\s\S]*?)```", PAGE)
    assert [name for name, _ in files] == ["index.py", "call.py"]
    for name, text in files:
        (tmp_path / name).write_text(text, encoding="utf-8")
    page_commands.check(PAGE, tmp_path)


def test_actions_are_listed() -> None:
    """The page lists the actions that are emulated, and no others."""
    listed = PAGE.partition("## Actions")[2].partition("- A new")[0]
    actions = {name for service in ("scf", "cam", "sts") for name in SERVICES[service].actions}
    assert set(re.findall(r"`([A-Z]\w+)`", listed)) == actions
