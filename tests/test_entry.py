"""What SCF sees: the entry point, and what importing it costs."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import image_steward
import index

HANDLER = Path(index.__file__).parent
SDKS = ("tencentcloud", "qcloud_cos", "requests", "urllib3")


def test_main_handler(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The entry point reads the environment, logs to stdout and returns the result."""
    monkeypatch.setenv("TENCENTCLOUD_REGION", "ap-guangzhou")
    assert index.main_handler({}, {"request_id": "r-9"})["Outcome"] == "rejected"
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["RequestId"] for line in lines} == {"r-9"}


@pytest.mark.parametrize("context", [None, {}, [], {"request_id": None, "time_limit_in_ms": "x"}])
def test_any_context(context: object) -> None:
    """Local runners give a poor context, or none."""
    assert index.main_handler(None, context)["Outcome"] == "rejected"


def test_refused_document_loads_no_sdk() -> None:
    """The SDKs, most of a cold start, are not loaded for a document that is refused."""
    program = (
        "import index, sys; index.main_handler({'ImageId': 'img-1'}, {}); "
        f"sys.exit(', '.join(set({SDKS!r}) & set(sys.modules)) or 0)"
    )
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=HANDLER, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_little_garbage_is_looked_for_in_a_cold_start() -> None:
    """Loading all that a document needs goes by with a few garbage collections, not with scores."""
    program = (
        "import gc; count = lambda: sum(each['collections'] for each in gc.get_stats()); "
        "import os, typing; before = count(); "
        "import index; index.main_handler({'ImageId': 'img-1'}, {}); "
        "import image_steward.cloud.objects, image_steward.cloud.api; print(count() - before)"
    )
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=HANDLER, capture_output=True, text=True, check=True
    )
    assert int(run.stdout.splitlines()[-1]) < 5


def imports(path: Path) -> set[str]:
    """The names of the modules that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(str(node.module))
    return found


@pytest.mark.parametrize("path", sorted(HANDLER.rglob("*.py")), ids=lambda p: p.name)
def test_only_cloud_imports_the_sdks(path: Path) -> None:
    """The SDKs, and HTTP below them, are met in one package only."""
    if path.parent.name != "cloud":
        assert not [name for name in imports(path) if name.partition(".")[0] in SDKS]


PURE = ()


@pytest.mark.parametrize("module", PURE)
def test_pure_modules_import_no_io(module: str) -> None:
    """The functional core knows no clock, no network, no process and no logging."""
    io = {"os", "time", "socket", "http", "logging", "random", "subprocess", "sys"}
    assert not imports(HANDLER / "image_steward" / f"{module}.py") & io


def test_nothing_imports_upwards() -> None:
    """The package's docstring lists the modules, each below those that it imports."""
    assert image_steward.__doc__
    listed = re.findall(r"^    ((?:\w+  )*\w+)(?= {2}|$| \()", image_steward.__doc__, re.MULTILINE)
    order = [name for line in listed for name in line.split()]
    for path in (HANDLER / "image_steward").rglob("[!_]*.py"):
        name = "cloud" if path.parent.name == "cloud" else path.stem
        for needed in needs(path) - {name}:
            assert order.index(needed) < order.index(name), f"{name} imports {needed}"


def needs(path: Path) -> set[str]:
    """The modules of the package that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("image_steward"):
            inner = str(node.module).split(".")[1:2]
            found |= set(inner or [alias.name for alias in node.names])
    return found
