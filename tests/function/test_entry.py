"""The entry point that SCF calls, and the cost of importing it."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import index
from image_steward.lazy import load

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
    """An incomplete context, as of local runners, is accepted."""
    assert index.main_handler(None, context)["Outcome"] == "rejected"


def test_rejected_document_loads_no_sdk() -> None:
    """A rejected document does not load the SDKs, which are most of a cold start."""
    program = (
        "import index, sys; index.main_handler({'ImageId': 'img-1'}, {}); "
        f"sys.exit(', '.join(set({SDKS!r}) & set(sys.modules)) or 0)"
    )
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", program], cwd=HANDLER, capture_output=True, text=True, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_few_garbage_collections_in_a_cold_start() -> None:
    """Importing all that a document needs takes few garbage collections."""
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


@pytest.mark.parametrize("path", sorted(HANDLER.rglob("*.py")), ids=lambda p: p.name)
def test_no_imports_inside_functions(path: Path) -> None:
    """No import is inside a function: lazy imports are named for `lazy.load`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    inner = [each for function in functions for each in ast.walk(function)]
    assert not [node for node in inner if isinstance(node, (ast.Import, ast.ImportFrom))]


def test_lazy_names_exist() -> None:
    """Each `module:name` that is imported lazily exists.

    Only modules that may know all stages name our own, since import rules do not see lazy imports.
    """
    found = {
        path.stem: re.findall(r'"(\.?[a-z_.]+:[a-zA-Z_]+)"', path.read_text(encoding="utf-8"))
        for path in HANDLER.rglob("*.py")
    }
    assert all(callable(load(name)) for names in found.values() for name in names)
    ours = {stem for stem, names in found.items() if any(name[0] == "." for name in names)}
    assert ours == {"registry", "instance"}
