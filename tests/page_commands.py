"""Runs the commands of a page of docs/, and compares what they print with what it shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path


def check(page: str, folder: Path) -> str:
    """Run each `sh` block of a page in a folder, one after another; return what they print.

    The `text` block that follows a script is its output; "…" in it stands for any text.
    """
    scripts = re.findall(r"```sh\n([\s\S]*?)```(?:\n\n```text\n([\s\S]*?)```)?", page)
    assert len(scripts) == page.count("```sh") > 0
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    printed = ""
    for script, output in scripts:
        done = subprocess.run(  # noqa: S603 - the page's own commands
            ["sh", "-e", "-c", script],  # noqa: S607 - any shell
            cwd=folder,
            env={"PATH": path, "HOME": str(folder)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stdout
        pattern = re.escape(output or "…").replace("…", r"[\s\S]*?")
        assert re.fullmatch(pattern, done.stdout), f"{script}\n{done.stdout}"
        printed += done.stdout
    return printed
