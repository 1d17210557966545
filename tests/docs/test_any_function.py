"""The page for developers of other functions: its files and commands, in an empty folder."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import page_commands
from conftest import ROOT

PAGE = (ROOT / "docs" / "any-function.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"```(?:python|toml)\n# (\S+\.\w+)\n([\s\S]*?)```", PAGE))


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_page(tmp_path: Path) -> None:
    """Each command on the page works with the files on it, and prints what it shows."""
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert PAGE.count("```text") > 0
    printed = page_commands.check(PAGE, tmp_path)
    assert printed.count('"words": 6') == 2
    assert '{"inbox-1250000000": ["in/a.txt"]}' in printed  # GET /_state
    assert "1 passed" in printed


def test_other_hosts(tmp_path: Path) -> None:
    """The message about another host is the one that the page shows."""
    (message,) = re.findall(r"^    (scf-local: .+)$", PAGE, re.MULTILINE)
    (tmp_path / "app.py").write_text(
        "import requests\ndef main(event, context): requests.get('http://db.example.com')"
    )
    done = subprocess.run(  # noqa: S603 - our own command
        [Path(sys.executable).with_name("scf-local"), "invoke", "-", "--handler", "app.py:main"],
        cwd=tmp_path,
        input="{}",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr.splitlines().count(message) == 1
