"""The plan as a table, for a made-up result."""

from __future__ import annotations

import io
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from rich.cells import cell_len
from rich.console import Console

from scf_local import plan
from scf_local.cli import main

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"Source": "direct", "Region": "ap-guangzhou"}
RESULT = {
    "Outcome": "partial",
    "DryRun": True,
    "Summary": {
        "Changed": 0, "Unchanged": 1200, "Planned": 2, "Skipped": 2, "Failed": 1, "Pending": 1,
    },
    "Images": [
        {**HERE, "ImageId": "img-skipped1", "Status": "skipped", "Reason": "no rule is for it"},
        {**HERE, "ImageId": "img-failed01", "Status": "failed", "Before": {}, "After": {},
         "Code": "InvalidImageId.NotFound", "Message": "ap-guangzhou has no image img-failed01"},
        {**HERE, "ImageId": "img-planned1", "Status": "planned", "Reason": "rule 2",
         "Before": {"ImageName": "old", "ImageDescription": "", "ImageDeprecated": False,
                    "Tags": [{"Key": "team", "Value": "web"}, {"Key": "tmp", "Value": "x"}]},
         "After": {"ImageName": "new", "ImageDescription": "名字 " * 20, "ImageDeprecated": True,
                   "Tags": [{"Key": "team", "Value": "infra"}, {"Key": "os", "Value": "(none)"}]}},
        {**HERE, "ImageId": "img-pending1", "Status": "pending",
         "Code": "TimeLimit", "Message": "no time was left"},
        {**HERE, "Region": "ap-shanghai", "ImageId": "img-planned2", "Status": "planned",
         "Before": {"ImageName": "[red]a\x1b[2J\n"}, "After": {"ImageName": "[b]"}},
        {**HERE, "ImageId": "img-skipped2", "Status": "skipped", "Reason": "[i]not custom"},
    ],
    "Warnings": [{"Source": "cos://m-1/p.json", "Code": "RuleUnused", "Path": "/Rules/0",
                  "Message": "no image is of it"}],
    "Errors": [{"Source": "cos://m-1/[b].json", "Code": "InvalidJSON", "Path": "",
                "Message": "line 1\x1b[2J"}],
}  # fmt: skip


def _render(result: dict[str, Any], width: int = 140) -> str:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as captured:
        console.print(*plan.renderables_of(result), sep="\n")
    return captured.get()


def _sections(text: str) -> list[list[list[str]]]:
    """The sections of the table as rows of cells, the header first."""
    sections: list[list[list[str]]] = [[]]
    for line in text.splitlines():
        if line[0] in "┡├":
            sections.append([])
        elif line[0] in "┃│":
            sections[-1].append([cell.strip() for cell in re.split("[┃│]", line)[1:-1]])
    return sections


def _skipped(count: int) -> dict[str, Any]:
    return {"Images": [{**HERE, "ImageId": f"img-{n}", "Status": "skipped"} for n in range(count)]}


def test_plan_lists_changes_and_reasons() -> None:
    """Planned, failed and skipped images are listed in this order, all as plain text."""
    text = _render(RESULT, 400)  # wide enough that no cell is folded
    assert _sections(text) == [
        [["Region", "ImageId", "Change", "Why"]],
        [
            ["ap-guangzhou", "img-planned1", "ImageName  old → new", "rule 2"],
            ["", "", f'ImageDescription  "" → "{"名字 " * 20}"', ""],
            ["", "", "ImageDeprecated  false → true", ""],
            ["", "", "Tag team  web → infra", ""],
            ["", "", "Tag tmp  x → (none)", ""],
            ["", "", 'Tag os  (none) → "(none)"', ""],
            ["ap-shanghai", "img-planned2", "ImageName  [red]a�[2J� → [b]", ""],
        ],
        [
            [
                *("ap-guangzhou", "img-failed01", "failed"),
                "InvalidImageId.NotFound: ap-guangzhou has no image img-failed01",
            ],
            ["ap-guangzhou", "img-pending1", "pending", "TimeLimit: no time was left"],
        ],
        [
            ["ap-guangzhou", "img-skipped1", "skipped", "no rule is for it"],
            ["ap-guangzhou", "img-skipped2", "skipped", "[i]not custom"],
        ],
    ]
    assert text.partition("┘\n")[2].splitlines() == [
        "2 planned, 1,200 unchanged, 2 skipped, 1 failed, 1 pending",
        "Warning: RuleUnused: no image is of it (cos://m-1/p.json /Rules/0)",
        "Error: InvalidJSON: line 1�[2J (cos://m-1/[b].json)",
    ]


@pytest.mark.parametrize("width", [30, 80, 140])
def test_table_fits_its_terminal(width: int) -> None:
    """All rows have the same width and fit in the terminal, and folding loses no text."""
    text = _render(RESULT, width)
    rows = [line for line in text.splitlines() if line[0] in "│┃├"]
    assert len({cell_len(row) for row in rows}) == 1
    assert cell_len(rows[0]) <= width
    assert _columns(text) == _columns(_render(RESULT, 400))


def _columns(text: str) -> list[str]:
    """The text of each column, without spaces."""
    lines = [line for section in _sections(text) for line in section]
    return ["".join(cells).replace(" ", "") for cells in zip(*lines, strict=True)]


@pytest.mark.parametrize(("count", "rows", "more"), [(20, 20, ""), (1022, 20, "… and 1,002 more")])
def test_many_skipped_are_counted(count: int, rows: int, more: str) -> None:
    """At most 20 skipped images are listed, and the rest are counted."""
    text = _render(_skipped(count))
    assert text.count("img-") == rows
    assert ("more skipped" in text) == bool(more)
    assert more in text


def test_no_table_without_changes() -> None:
    """If nothing would change, only the totals are shown."""
    assert _render({"Images": [], "Summary": {"Planned": 0, "Unchanged": 3}}) == "3 unchanged\n"
    assert _render({"Images": [], "Summary": {"Planned": 0}}) == "no images\n"


def test_truncated_result() -> None:
    """The plan of a truncated result says that it is not complete."""
    assert "not everything is listed" in _render({"Truncated": True})
    assert "not everything is listed" not in _render({})


@pytest.mark.parametrize(
    "result",
    [
        {"Images": {"a": 1}, "Summary": 5, "Warnings": "no"},
        {"Images": [{"Status": [1]}, {"Status": {"a": 1}}], "Summary": {"Planned": 1.5}},
        {"Images": [1, {}, {"Before": 1, "After": {"Tags": [2, {}]}}], "Summary": {"Planned": "x"}},
    ],
)
def test_results_of_other_functions(result: dict[str, Any]) -> None:
    """A result of another shape is shown as far as possible, without a traceback."""
    assert _render(result).endswith("no images\n")


@pytest.mark.parametrize(("dry_run", "is_shown"), [("True", True), ("1", False), ("False", False)])
def test_invoke_shows_a_plan_on_stderr(tmp_path: Path, dry_run: str, is_shown: bool) -> None:  # noqa: FBT001 - a parameter
    """`invoke` shows the plan of a dry run on stderr, and only the JSON on stdout."""
    images = [{**HERE, "ImageId": "img-planned1", "Status": "planned"}]
    code = f"def main_handler(event, context): return {{'DryRun': {dry_run}, 'Images': {images}}}"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    command = ["invoke", "--code", str(tmp_path), "--endpoint", "http://127.0.0.1:9"]
    result = CliRunner().invoke(main, command, input="{}")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["Images"] == images
    assert ("│ img-planned1 │" in result.stderr) == is_shown
