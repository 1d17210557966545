"""The plan as text, for a made-up result."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from scf_local.cli import main
from scf_local.console import rich_console
from scf_local.plans.plan import Plan
from scf_local.plans.text import MAX_COLUMNS, MAX_REASONS, printed

if TYPE_CHECKING:
    from pathlib import Path

HERE = {"Source": "direct", "Region": "ap-guangzhou"}
RESULT = {
    "Outcome": "partial",
    "DryRun": True,
    "Summary": {
        "Changed": 0, "Unchanged": 1200, "Planned": 3, "Skipped": 2, "Failed": 1, "Pending": 1,
    },
    "Images": [
        {**HERE, "ImageId": "img-skipped1", "Status": "skipped", "ImageName": "sk", "Reason": "no"},
        {**HERE, "ImageId": "img-failed01", "Status": "failed", "Before": {}, "After": {},
         "Code": "InvalidImageId.NotFound", "Message": "ap-guangzhou has no image img-failed01"},
        {**HERE, "ImageId": "img-planned1", "Status": "planned", "ImageName": "old",
         "Reason": '"new" is taken',
         "Before": {"ImageName": "old", "ImageDescription": "", "ImageDeprecated": False,
                    "Tags": [{"Key": "team", "Value": "web"}, {"Key": "tmp", "Value": "x"}]},
         "After": {"ImageName": "new-2", "ImageDescription": "名字 b", "ImageDeprecated": True,
                   "Tags": [{"Key": "team", "Value": "infra"}, {"Key": "os", "Value": "(none)"},
                            {"Key": "e", "Value": ""}]}},
        {**HERE, "ImageId": "img-pending1", "Status": "pending",
         "Code": "TimeLimit", "Message": "no time was left"},
        {**HERE, "Region": "ap-shanghai", "ImageId": "img-p2", "Status": "planned",
         "ImageName": "[red]a\x1b[2J\n",
         "Before": {"ImageName": "[red]a\x1b[2J\n"}, "After": {"ImageName": "[b]"}},
        {**HERE, "ImageId": "img-planned3", "Status": "planned", "ImageName": "镜像 ",
         "Before": {"ImageFamily": "web"}, "After": {"ImageFamily": ""}},
        {**HERE, "ImageId": "img-skipped2", "Status": "skipped", "Reason": "[i]not custom"},
    ],
    "Rules": [{"Key": "ImageName", "Value": "{Tag.app}"}, {"Key": "KeepLatest", "Value": 3}],
    "Warnings": [{"Source": "cos://m-1/p.json", "Code": "RuleUnused", "Path": "/Rules/0",
                  "Message": "no image is of it"}],
    "Errors": [{"Source": "cos://m-1/[b].json", "Code": "InvalidJSON", "Path": "",
                "Message": "line 1\x1b[2J"}],
}  # fmt: skip
TEXT = """\
Plan of p.json, emulated cloud

              Planned  ImageName  ImageDescription  ImageFamily  ImageDeprecated  Tags  Failed  Pending  Skipped
ap-guangzhou        2          1                 1            1                1     1       1        1        2
ap-shanghai         1          1                 0            0                0     0       0        0        0
all regions         3          2                 1            1                1     1       1        1        2

ImageName   {Tag.app}
KeepLatest  3

img-planned1  ap-guangzhou  old         → new-2  ImageDescription="名字 b"  ImageDeprecated=true  +os=(none)  +e=""  ~team=infra  -tmp  "new" is taken
img-planned3  ap-guangzhou  "镜像 "              ImageFamily=""
img-p2        ap-shanghai   [red]a�[2J� → [b]
img-failed01  ap-guangzhou                       failed InvalidImageId.NotFound: ap-guangzhou has no image img-failed01
img-pending1  ap-guangzhou                       pending TimeLimit: no time was left

Skipped: 2
    1  [i]not custom
    1  no

Warning: RuleUnused: no image is of it (cos://m-1/p.json /Rules/0)
Error: InvalidJSON: line 1�[2J (cos://m-1/[b].json)
3 planned, 1,200 unchanged, 2 skipped, 1 failed, 1 pending
"""  # noqa: E501 - as it is printed
NAMES = st.text(st.sampled_from("ab 0-_/镜像é🙂\u200d"), min_size=1, max_size=60)


def _render(result: dict[str, Any], width: int = MAX_COLUMNS, *, list_all: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width)
    return printed(Plan.of("p.json", "emulated cloud", result), console, list_all=list_all)


def _planned(number: int, before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    image = {"ImageId": f"img-{number:08}", "ImageName": before.get("ImageName", "same")}
    return {**HERE, **image, "Status": "planned", "Before": before, "After": after}


def _result(images: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Outcome": "planned", "DryRun": True, "Images": images}


def test_plan_lists_changes_and_reasons() -> None:
    """Totals and rules come first, then planned, other and skipped images, then the problems."""
    assert _render(RESULT) == TEXT


def test_all_skipped_images() -> None:
    """With --all, each skipped image is listed with its name and reason, below the counts."""
    lines = _render(RESULT, list_all=True).splitlines()
    start = lines.index("Skipped: 2")
    assert [line.split() for line in lines[start + 3 : start + 5]] == [
        ["img-skipped2", "ap-guangzhou", "[i]not", "custom"],
        ["img-skipped1", "ap-guangzhou", "sk", "no"],
    ]


@pytest.mark.parametrize("count", [MAX_REASONS, MAX_REASONS + 1, 1022])
def test_many_reasons_are_counted(count: int) -> None:
    """The most frequent reasons are listed, and the images with other reasons are counted."""
    reasons = [f"reason {n}" for n in range(count)] + ["reason 7"] * 3
    images = [
        {**HERE, "ImageId": f"img-{n}", "Status": "skipped", "Reason": reason}
        for n, reason in enumerate(reasons)
    ]
    lines = _render(_result(images)).splitlines()
    listed = lines[lines.index(f"Skipped: {count + 3:,}") + 1 : -2]
    assert lines[-2:] == ["", f"{count + 3:,} skipped"]
    assert listed[0].split() == ["4", "reason", "7"]
    rest = count - MAX_REASONS
    expected = [f"{rest:>5,}  for {rest:,} other reasons; --all lists them"] if rest else []
    assert listed[MAX_REASONS:] == expected


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=30), st.integers(60, 250))
def test_names_are_whole_and_lines_fit(names: list[tuple[str, str]], width: int) -> None:
    """At any width, each name is whole in one line, and no line is wider unless one text is."""
    images = [_planned(n, {"ImageName": a}, {"ImageName": b}) for n, (a, b) in enumerate(names)]
    lines = _render(_result(images), width).splitlines()
    for image in Plan.of("", "", _result(images)).planned:
        assert any(line.startswith(f"{image.image_id}  ap-guangzhou") for line in lines)
        assert any(_shown(image.name) in line for line in lines)
        assert any(f"→ {_shown(str(image.after['ImageName']))}" in line for line in lines)
    prefix = cell_len("img-00000000  ap-guangzhou  ")
    widest = max(cell_len(f"→ {_shown(name)}") for pair in names for name in pair)
    assert all(cell_len(line) <= max(width, prefix + widest) for line in lines)


def _shown(name: str) -> str:
    name = name.replace("\u200d", "\N{REPLACEMENT CHARACTER}")
    return f'"{name}"' if name != name.strip() or "  " in name else name


def test_names_are_aligned_by_display_width() -> None:
    """The arrows stand below each other, also after wide characters, where there is room."""
    pairs = [("镜像-1", "image-1"), ("a", "b"), ("web_build", "web-build")]
    images = [_planned(n, {"ImageName": a}, {"ImageName": b}) for n, (a, b) in enumerate(pairs)]
    rows = [line for line in _render(_result(images), 80).splitlines() if "→" in line]
    assert len({cell_len(row.partition("→")[0]) for row in rows}) == 1


@pytest.mark.parametrize(("width", "form"), [(200, "full"), (90, "short")])
def test_values_left_out(width: int, form: str) -> None:
    """If many images would need several lines, long values are left out, tags counted; and said."""
    description = "built by the nightly pipeline"
    tags = [{"Key": key, "Value": "a long value"} for key in ("team", "os")]
    before = {"ImageName": "web", "ImageDescription": "", "Tags": []}
    after = {"ImageName": "web-1", "ImageDescription": description, "Tags": tags}
    text = _render(_result([_planned(n, before, after) for n in range(40)]), width)
    is_full = form == "full"
    assert ("Some values are left out" in text) != is_full
    assert text.count(description) == (40 if is_full else 0)
    assert text.count("ImageDescription  +team  +os") == (0 if is_full else 40)
    assert text.count("img-") == 40


def test_long_reasons_are_whole() -> None:
    """A reason that is too long for a line is in one line of its own: it may be copied whole."""
    message = 'not as expected: ImageName is "a  b", not "a b"; ' + "word " * 30
    image = {**HERE, "ImageId": "img-a", "Status": "failed", "Code": "Changed", "Message": message}
    lines = _render(_result([image]), 60).splitlines()
    assert [line.strip() for line in lines if "word" in line] == [
        f"failed Changed: {message}".strip()
    ]


def test_few_images_have_all_values() -> None:
    """A short plan has all values at any width, in several lines if need be."""
    after = {"ImageDescription": "d" * 90, "Tags": [{"Key": "k", "Value": "v" * 90}]}
    images = [_planned(n, {"ImageDescription": "", "Tags": []}, after) for n in range(20)]
    text = _render(_result(images), 80)
    assert text.count("d" * 90) == text.count("+k=" + "v" * 90) == 20
    assert "left out" not in text


def test_nothing_to_change() -> None:
    """If nothing would change, only the totals are shown."""
    result = {"Outcome": "planned", "Images": [], "Summary": {"Planned": 0, "Unchanged": 3}}
    assert _render(result) == "Plan of p.json, emulated cloud\n\n3 unchanged\n"
    assert (
        _render({**result, "Summary": {"Planned": 0}})
        == "Plan of p.json, emulated cloud\n\nno image would change\n"
    )


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("web-1 → prod-db", '"web-1 → prod-db"'),
        ("web  ImageDeprecated=true", '"web  ImageDeprecated=true"'),
        ("web", "web"),
    ],
)
def test_names_forge_no_change(name: str, shown: str) -> None:
    """A name that looks like a rename, or like what stands beside it, is in quotes."""
    image = _planned(1, {"ImageFamily": ""}, {"ImageFamily": "f"}) | {"ImageName": name}
    assert f"ap-guangzhou  {shown}  ImageFamily=f\n" in _render(_result([image]))


def test_tag_keys_forge_no_change() -> None:
    """A tag key with a blank, a sign or = is in quotes, so that what is its value is clear."""
    tags = [{"Key": key, "Value": "x"} for key in ("a=1  -prod", "b", "-c", "d=e")]
    text = _render(_result([_planned(1, {"Tags": []}, {"Tags": tags})]))
    assert '+"a=1  -prod"=x  +b=x  +"-c"=x  +"d=e"=x\n' in text


def test_markup_is_text() -> None:
    """Markup in a region or a status is text."""
    image = _planned(1, {}, {"ImageFamily": "f"}) | {"Region": "ap[/x] :smile:"}
    assert "ap[/x] :smile:        1" in _render(_result([image, image | {"Status": "[b]"}]))


@pytest.mark.parametrize("width", [20, 60, 80])
def test_totals_are_whole_at_any_width(width: int) -> None:
    """If the table of totals is too wide, each region's numbers are listed instead."""
    text = _render(RESULT, width)
    totals = " ".join(text.partition("ImageName   {Tag.app}")[0].split())
    expected = "ap-guangzhou 2 planned, 1 ImageName, 1 ImageDescription, 1 ImageFamily, "
    assert f"{expected}1 ImageDeprecated, 1 Tags, 1 failed, 1 pending, 2 skipped" in totals
    assert "ap-shanghai 1 planned, 1 ImageName all regions 3 planned" in totals


def test_rules_of_a_policy() -> None:
    """Each step of Derive and each tag is a rule, and other values are JSON."""
    rules = {
        "Regions": ["a", "b"], "Derive": [{"From": "{x}", "As": "y"}, {"From": "{y}", "As": "z"}],
        "Tags": [{"Key": "os", "Value": "{OsName}"}], "ImageDeprecated": True, "KeepLatest": 3,
    }  # fmt: skip
    told = [{"Key": key, "Value": value} for key, value in rules.items()]
    assert Plan.of("", "", {**_result([]), "Rules": told}).rules == [
        ("Regions", '["a", "b"]'), ("Derive", '{"From": "{x}", "As": "y"}'),
        ("Derive", '{"From": "{y}", "As": "z"}'), ("Tag.os", "{OsName}"),
        ("ImageDeprecated", "true"), ("KeepLatest", "3"),
    ]  # fmt: skip


def test_several_documents() -> None:
    """The plan of an event with several documents says that each is planned for itself."""
    notice = "Each document of the event is planned as if it were the only one"
    for documents in (1, 2):
        plan = Plan.of("p.json", "cloud", _result([]), documents)
        console = Console(file=io.StringIO(), width=100)
        assert (notice in printed(plan, console)) == (documents > 1)


def test_waiting_images_are_counted() -> None:
    """The totals and the last line say how many images would wait."""
    images = [_planned(n, {}, {"ImageFamily": "f"}) | {"Waits": n < 2} for n in range(3)]
    lines = _render({**_result(images), "Summary": {"Planned": 3}}).splitlines()
    assert lines[2].split() == ["Planned", "ImageFamily", "Would", "wait"]
    assert lines[3].split() == ["ap-guangzhou", "3", "3", "2"]
    assert lines[-1] == "3 planned, 2 of them would wait"


@pytest.mark.parametrize(
    ("columns", "width"),
    [("80", 80), ("0", 140), ("19", 140), ("", 140), ("abc", 140), ("9" * 5000, 9999)],
)
def test_columns(monkeypatch: pytest.MonkeyPatch, columns: str, width: int) -> None:
    """COLUMNS is the width of what is not written to a terminal, if it is a usable number."""
    monkeypatch.setenv("COLUMNS", columns)
    assert rich_console(io.StringIO()).width == width


def test_truncated_result() -> None:
    """The plan of a truncated result says that it is not complete."""
    result = {"Summary": {"Planned": 10_000}, "Truncated": True, **_result([])}
    notice = "The result was too long: 0 of 10,000 planned images and their totals are shown"
    assert _render(result).splitlines()[1] == notice  # above the totals
    assert "too long" not in _render(_result([]))


@pytest.mark.parametrize(
    "result",
    [
        {"Images": {"a": 1}, "Summary": 5, "Warnings": "no", "Rules": 7},
        {"Images": [{"Status": [1]}, {"Status": {"a": 1}}], "Summary": {"Planned": 1.5}},
        {"Images": [1, {}, {"Before": 1, "After": {"Tags": [2, {}]}}], "Summary": {"Planned": "x"}},
        {"Outcome": "planned", "Images": [{}, {"Status": "planned"}], "Rules": [{}, 1]},
    ],
)
def test_results_of_other_functions(result: dict[str, Any]) -> None:
    """Any result is printed without an error."""
    assert _render(result)
    assert _render(result, list_all=True)


@pytest.mark.parametrize(("dry_run", "is_shown"), [("True", True), ("1", False), ("False", False)])
def test_invoke_shows_a_plan_on_stderr(tmp_path: Path, dry_run: str, is_shown: bool) -> None:  # noqa: FBT001 - a parameter
    """`invoke` shows the plan of a dry run on stderr, and only the JSON on stdout."""
    images = [_planned(1, {"ImageName": "old"}, {"ImageName": "new"})]
    result = {"Outcome": "planned", "Images": images}
    code = f"def main_handler(event, context): return {{'DryRun': {dry_run}, **{result}}}"
    (tmp_path / "index.py").write_text(code, encoding="utf-8")
    command = ["invoke", "--code", str(tmp_path)]
    invoked = CliRunner().invoke(main, command, input="{}")
    assert invoked.exit_code == 0
    assert json.loads(invoked.stdout)["Images"] == images
    assert ("img-00000001  ap-guangzhou  old → new\n" in invoked.stderr) == is_shown
