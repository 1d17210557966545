"""`scf-local replay --report`: the page's content, that it runs and loads nothing, and its file."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from parsed_page import Page
from scf_local.changes import changes_of
from scf_local.cli import main
from scf_local.cloud.dispatcher import SERVICES
from scf_local.environment import FunctionConfig
from scf_local.invocation import InvocationResult
from scf_local.pages.rendering import MAX_BLOCK, badge, block
from scf_local.replay import OUTCOMES, Case, ReplayedCase
from scf_local.replay_runner import ReplayTotals
from scf_local.report.page import EventRow, Replay, diffs_of, duration, page_of, rows_of
from scf_local.report.recording import reporting
from scf_local.report.results import ResultParts, rules_of
from scf_local.report.series import HEIGHT, MAX_SERIES, WIDTH, Series, series_of
from scf_local.run_summary import RunSummary

STYLE = ROOT / "tests" / "scf_local" / "pages" / "base.css"
EXPECTED = json.loads((ROOT / "events" / "expected.json").read_text(encoding="utf-8"))
HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>\x00\u202e\ud83d'
HANDLER = """
import os
def main_handler(event, context):
    print("log line of", event)
    if "Raise" in event:
        raise RuntimeError(event["Raise"])
    if "Exit" in event:
        os._exit(5)
    return event.get("Result")
"""


def _replayed(result: object = None, name: str = "a.json", **done: Any) -> ReplayedCase:  # noqa: ANN401 - of InvocationResult
    return ReplayedCase(
        Case(Path(name), {}),
        InvocationResult("r-1", **{"status": 200, "result": result, **_NUMBERS, **done}),
    )


_NUMBERS = {"duration_ms": 1.0, "memory_mb": 1.0}


def _row(result: object = None, log: bytes = b"", **done: Any) -> EventRow:  # noqa: ANN401 - of InvocationResult
    (row,) = rows_of([_replayed(result, **done)], [log])
    return row


def _page(*replayed: ReplayedCase, calls: list[dict[str, Any]] | None = None) -> Page:
    logs = [HOSTILE.encode("utf-8", "replace")] * len(replayed)
    replay = Replay(FunctionConfig(Path("handler")), replayed, logs, calls, 1000.0, 1002.0)
    return Page("".join(page_of(replay)))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Page]:
    """The sample events, replayed with a report."""
    path = tmp_path_factory.mktemp("report") / "new" / "report.html"
    run = CliRunner().invoke(main, ["replay", str(ROOT / "events"), "--report", str(path)])
    assert [file.name for file in path.parent.iterdir()] == ["report.html"]  # nothing temporary
    return run, Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A foreign function and an empty cloud, next to a folder for events."""
    for name, content in {"code/index.py": HANDLER, "seed/images.json": "{}"}.items():
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "events").mkdir()
    return tmp_path


def _replay(folder: Path, report: Path, *options: str, **events: object) -> Result:
    for name, event in events.items():
        path = folder / "events" / f"{name}.json"
        path.write_text(json.dumps(event), encoding="utf-8")
    given = ["--code", str(folder / "code"), "--seed", str(folder / "seed"), *options]
    arguments = ["replay", str(folder / "events"), "--report", str(report), *given]
    return CliRunner().invoke(main, arguments)


def test_table_stays(samples: tuple[Result, Page]) -> None:
    """With a report, the table and the exit status are the same as without."""
    run, _ = samples
    assert run.exit_code == 0
    assert run.stdout.endswith(f"{len(EXPECTED)} of {len(EXPECTED)} events as expected\n")
    assert "11-name-taken.json" in run.stdout


def test_page_is_complete(samples: tuple[Result, Page]) -> None:
    """The page shows each event with its outcome, its images before and after, and its errors."""
    _, page = samples
    events = [item for item in page.all("li") if item.get("class") == "event"]
    outcomes = [entry["Outcome"] for _, entry in sorted(EXPECTED.items())]
    assert [event["data-outcome"] for event in events] == outcomes
    assert not any("data-unexpected" in event for event in events)
    assert all(name in page.text for name in EXPECTED)
    for text in (
        f"{len(EXPECTED)} of {len(EXPECTED)} events as expected",
        "handler/",
        "index.main_handler",
        "web-build-0142sample",
        "国际站镜像国际站-2026-11",
        "Tag 站点none国际",
        "/Images/1/ImageName",
        "has 61 characters; at most 60 are allowed (maxLength)",
        "cos://manifests-1250000000/requests/mistakes.json",
        'InvalidImageName.Duplicate: the name "sample" is taken',
        "img-f6g7h8j9",
        "API requests",
        '"Event":"run.finished"',
        "START RequestId:",
    ):
        assert text in page.text.replace("\n", "")
    assert str(ROOT) not in page.text


def test_calls_and_their_limits(samples: tuple[Result, Page]) -> None:
    """Each action and region has a row with the emulated cloud's rate limit."""
    _, page = samples
    table = page.text[page.text.index("Busiest") :].replace("\n", "")
    for action, region in (
        ("DescribeImages", "ap-guangzhou"),
        ("ModifyImageAttribute", "ap-shanghai-fsi"),
        ("TagResources", "ap-guangzhou"),
    ):
        services = (service.actions.get(action) for service in SERVICES.values())
        (limit,) = (definition.per_second for definition in services if definition)
        numbers = re.search(rf"{action}{region}(\d+)", table)
        assert numbers
        assert str(limit) in numbers[1]
    assert "NoSuchKey \N{MULTIPLICATION SIGN} 2" in table
    assert len([svg for svg in page.all("svg") if svg.get("class") == "line"]) >= 8


def test_nothing_is_loaded(samples: tuple[Result, Page]) -> None:
    """The page refers to nothing outside itself, and its policy allows only its own script."""
    _, page = samples
    page.check_that_nothing_is_loaded()


def test_hostile_text_stays_text(folder: Path) -> None:
    """Markup, control characters and half surrogate pairs in a result end up as text."""
    report = folder / "report.html"
    image = dict.fromkeys(("Source", "Region", "ImageId", "Status", "Code", "Message"), HOSTILE)
    state = {HOSTILE: HOSTILE, "Tags": [{"Key": HOSTILE, "Value": HOSTILE}]}
    after = {HOSTILE: f"{HOSTILE}x", "Tags": [{"Key": HOSTILE, "Value": "x"}]}
    problem = dict.fromkeys(("Source", "Code", "Path", "Message"), HOSTILE)
    result = {
        "Outcome": HOSTILE,
        "Images": [{**image, "Before": state, "After": after, "RequestIds": [HOSTILE]}],
        "Errors": [problem],
        "Warnings": [problem],
        HOSTILE: {HOSTILE: HOSTILE},
    }
    run = _replay(
        folder, report, a={"Result": result}, b={"Raise": HOSTILE}, c={"Result": [HOSTILE]}
    )
    assert run.exit_code == 1  # event b raised
    page = Page(report.read_text(encoding="utf-8"))
    assert not page.all("img")
    assert len(page.all("script")) == 1
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert page.text.count("<img src=x onerror=alert(1)>") >= 20
    assert "\x00" not in page.text
    assert "\u202e" not in page.text


def test_hostile_calls_stay_text() -> None:
    """Names of actions, regions and outcomes in the calls end up as text."""
    call = {"Time": 1001.0, "Action": HOSTILE, "Region": HOSTILE, "Outcome": HOSTILE}
    page = _page(_replayed(), calls=[call])
    assert not page.all("img")
    assert page.text.count("<img src=x onerror=alert(1)>") >= 3


@pytest.mark.parametrize(
    "result",
    [
        None,
        [1, {"a": [None]}],
        "text",
        {"Outcome": 5},
        {"Outcome": "applied", "Images": [3]},
        {"Outcome": "applied", "Images": [{"ImageId": "i", "Size": 5}]},
        {"Outcome": "applied", "Images": [{"Before": {"Tags": [{"Key": "k"}]}}]},
        {"Outcome": "applied", "Images": [{"Before": {"ImageName": {}}, "RequestIds": "r"}]},
        {"Outcome": "applied", "Errors": {"a": 1}},
        {"Outcome": "applied", "Errors": [{"Message": ["m"]}]},
        {"Outcome": "applied", "Summary": {"Changed": "1"}},
        {"Outcome": "applied", "Summary": {"Seen": 1}},
        {"Outcome": "applied", "Summary": {"Changed": 10**400}},
        {"Outcome": "applied", "Summary": {"Changed": -5}},
        {"Outcome": "applied", "Undo": {"Images": [{}]}},
    ],
)
def test_foreign_results_are_shown_as_json(result: Any) -> None:  # noqa: ANN401 - any JSON value
    """A member whose form differs from this function's is shown completely, as JSON."""
    parts = _row(result).result
    ((title, value),) = parts.rest
    assert value == (result if title == "Result" else result[title])
    assert (parts.images, parts.errors, parts.summary) == ([], [], {})
    text = json.dumps(value, ensure_ascii=False, indent=2)
    assert f"{title}{text}" in _page(_replayed(result)).text


def test_own_results_have_no_rest() -> None:
    """Members that are shown elsewhere, and empty ones, are not repeated as JSON."""
    result = {
        "RequestId": "r", "Trigger": "cos", "Outcome": "applied", "DryRun": False,
        "Summary": {"Changed": 1}, "Images": [{"ImageId": "i"}], "Errors": [],
        "Undo": {"Images": []}, "Warnings": [{"Code": "W"}],
    }  # fmt: skip
    parts = ResultParts.of(result)
    assert parts.rest == []
    assert (parts.images, parts.warnings) == (result["Images"], result["Warnings"])
    assert _row(result).note == "1 changed"


def test_deep_results_do_not_break_the_page() -> None:
    """A result that is nested too deeply is replaced by a note."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert "Result(nested too deeply to be shown)" in _page(_replayed(deep)).text


def test_raised_shows_its_trace(folder: Path) -> None:
    """A raised error has its trace and a one-line note, and an exit has a note."""
    report = folder / "report.html"
    expected = {"a": {"Outcome": "raised"}}
    (folder / "events" / "expected.json").write_text(
        json.dumps(
            {"a.json": expected["a"], "b.json": {"Outcome": "rejected", "Codes": ["X", "Y"]}}
        )
    )
    run = _replay(folder, report, a={"Raise": "busy"}, b={"Exit": 1}, c={"Result": {}})
    text = Page(report.read_text(encoding="utf-8")).text
    assert "2 of 3 events as expected" in text
    assert "2 of 3 events as expected" in run.stdout
    assert "430 user code exception caught" in text
    assert 'raise RuntimeError(event["Raise"])' in text
    assert "439 User process exit when running, code 5" in text
    assert "Not as expected" in text
    assert "expected rejected, got exited" in text
    assert "expected code X, Y, got no code" in text
    assert "1 unexpected" in text
    assert "log line of {'Raise': 'busy'}" in text
    assert "No API was called." in text


def test_unknown_calls(folder: Path) -> None:
    """If a function uses another cloud, the page says that its calls are unknown."""
    for url in ("https://{service}.{region}.example.com", "http://127.0.0.1:1"):
        report = folder / "report.html"
        _replay(folder, report, "--env", f"STEWARD_API_ENDPOINT={url}", a={"Result": 1})
        assert "a cloud that does not record its calls" in report.read_text("utf-8")


@pytest.mark.parametrize("report", ["events", "code/index.py/report.html", "/dev/null"])
def test_unwritable_report(folder: Path, report: str) -> None:
    """A report that cannot be written is wrong usage, detected before the first event runs."""
    run = _replay(folder, folder / report, "--logs", a={"Result": 1})
    assert run.exit_code == 2
    assert str(folder / report) in run.stderr or "code/index.py" in run.stderr
    assert "log line" not in run.stderr
    assert Path("/dev/null").is_char_device()


def test_list_has_no_report(folder: Path) -> None:
    """`--list` runs nothing, so `--report` with it is wrong usage."""
    run = _replay(folder, folder / "report.html", "--list", a={"Result": 1})
    assert (run.exit_code, run.stdout) == (2, "")
    assert "--list replays nothing to report or extract" in run.stderr
    assert not (folder / "report.html").exists()


def test_late_error_keeps_the_table(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the report cannot be written at the end, the table is still printed, with status 1."""
    report = folder / "out" / "report.html"
    add = ReplayTotals.add

    def remove_folder(self: ReplayTotals, replayed: ReplayedCase) -> None:
        report.parent.rmdir()
        add(self, replayed)

    monkeypatch.setattr(ReplayTotals, "add", remove_folder)
    run = _replay(folder, report, a={"Result": 1})
    assert run.exit_code == 1
    assert "1 of 1 events as expected" in run.stdout
    assert run.stderr == f"scf-local: {report}: No such file or directory\n"


def test_report_is_replaced_at_once(folder: Path) -> None:
    """An older report stays until the new one is complete, and a link to it stays a link."""
    old, link = folder / "old.html", folder / "link.html"
    old.write_text("old")
    link.symlink_to(old)
    with (
        pytest.raises(KeyboardInterrupt),
        click.Context(main),
        reporting(link, FunctionConfig(folder / "code")),
    ):
        raise KeyboardInterrupt
    assert old.read_text() == "old"
    assert _replay(folder, link, a={"Result": 1}).exit_code == 0
    assert link.is_symlink()
    assert old.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert old.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_jinja2_is_a_lazy_import() -> None:
    """The command starts without Jinja2."""
    program = "import sys, scf_local.cli; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - our own


def _series(*calls: tuple[float, str], action: str = "DescribeImages", length: float = 3) -> Series:
    records = [
        {"Time": 1000 + time, "Action": action, "Region": "ap-guangzhou", "Outcome": outcome}
        for time, outcome in calls
    ]
    (series,) = series_of(records, 1000, 1000 + length)
    return series


def test_seconds_are_counted_as_the_api_counts() -> None:
    """A call counts for exactly one second, which need not start with a second of the clock."""
    assert _series((0.9, "ok"), (1.1, "ok"), (1.85, "ok")).busiest == 3
    assert _series((0.5, "ok"), (1.5, "ok")).busiest == 1
    assert _series(*((number / 40, "ok") for number in range(120))).busiest == 40


def test_short_peaks_survive_long_replays() -> None:
    """The busiest second of several hours is visible in a few hundred columns."""
    calls = [(float(second), "ok") for second in range(0, 36_000, 50)] + [(5000.5, "ok")] * 39
    series = _series(*calls, length=36_000)
    assert series.busiest == 40
    assert f"V{HEIGHT * 4 // 36:g}" in series.area


def test_failures_are_marked_and_counted() -> None:
    """Failed calls have crosses and their codes, the most frequent first."""
    series = _series((0, "ok"), (1, "A"), (1.001, "B"), (2.99, "B"))
    assert series.failures == [("B", 2), ("A", 1)]
    assert sum(count for _, count in series.failures) == 3
    assert series.crosses.count("M") == 2  # failures at one position share a cross
    starts = [int(x) for x in re.findall(r"M(\d+) ", series.crosses)]
    assert all(0 <= x <= WIDTH - 4 for x in starts)


def test_faulted_calls_are_failures() -> None:
    """A call that was applied, but whose reply had a fault, is shown with the fault."""
    call = {"Time": 1.0, "Action": "A", "Region": "", "Outcome": "ok", "Fault": "cut-after"}
    (series,) = series_of([call], 0, 2)
    assert series.failures == [("ok (cut-after)", 1)]
    assert (series.region, series.limit) == ("—", None)


def test_number_of_lines_is_limited() -> None:
    """The number of lines is limited, and the page says so."""
    calls = [
        {"Time": 1001.0, "Action": f"A{number}", "Region": "", "Outcome": "ok"}
        for number in range(MAX_SERIES + 9)
    ]
    page = _page(_replayed(), calls=calls)
    assert len([svg for svg in page.all("svg") if svg.get("class") == "line"]) == MAX_SERIES
    assert f"Only the first {MAX_SERIES} are shown." in page.text


@given(st.text(max_size=30), st.text(max_size=30))
def test_diffs_add_up_to_the_values(before: str, after: str) -> None:
    """The marked and the unmarked parts together are the two values."""
    image = {"Before": {"ImageName": before}, "After": {"ImageName": after}}
    diffs = diffs_of(image)
    changes = [change for change in changes_of(image) if change.before != change.after]
    assert changes == [
        (diff.name, f"{diff.head}{diff.before}{diff.tail}", f"{diff.head}{diff.after}{diff.tail}")
        for diff in diffs
    ]


def test_diffs_mark_what_differs() -> None:
    """Only the differing part is marked, unless most differs; equal tags are left out."""
    tags = [{"Key": "a", "Value": "1"}]
    image = {
        "Before": {"ImageName": "web-build-0142", "ImageFamily": "ab", "Tags": tags},
        "After": {"ImageName": "web-test-0142", "ImageFamily": "ac", "Tags": tags},
    }
    name, family = diffs_of(image)
    assert name == ("ImageName", "web-", "build", "test", "-0142")
    assert family == ("ImageFamily", "", "ab", "ac", "")


def test_long_texts_are_cut() -> None:
    """A very long log is cut, and says so."""
    text = block("line\n" * MAX_BLOCK)
    assert len(text) < MAX_BLOCK + 100
    assert text.endswith(f"… cut here, of {5 * MAX_BLOCK:,} characters")
    assert block("a\tb\x1b[31m\r\nc") == "a       b\ufffd[31m\nc"


def test_names_of_events() -> None:
    """Events in one folder show file names; in several, the folders that differ."""
    in_one_folder = [_replayed(name=f"/x/events/{name}.json") for name in "ab"]
    assert [row.name for row in rows_of(in_one_folder, [b""] * 2)] == ["a.json", "b.json"]
    in_two_folders = [_replayed(name=f"/x/{name}/events/a.json") for name in "ab"]
    assert [row.name for row in rows_of(in_two_folders, [b""] * 2)] == [
        "a/events/a.json",
        "b/events/a.json",
    ]
    alike = [
        replace(event, case=replace(event.case, event_id="1", is_alone=False))
        for event in in_two_folders
    ]
    assert next(row.name for row in rows_of(alike, [b""] * 2)) == "a/events/a.json:1"


def test_comparison_with_the_log() -> None:
    """An event from a log shows its logged outcome and what differs from it."""
    applied = _replayed({"Outcome": "applied"})
    logged = RunSummary("raised", request_id="r-7", note="a note")
    case = replace(applied.case, event_id="r-7", logged=logged)
    different, same = (RunSummary("applied", codes=frozenset()), logged)
    texts = [_page(replace(applied, case=case, actual=actual)).text for actual in (different, same)]
    assert "a.json:r-7" in texts[0]
    assert "Differences from the lograised → applied" in texts[0]
    assert "Differences from the log" not in texts[1]
    assert all("In the log: raised; a note request r-7" in text for text in texts)


def _from_log(name: str, result: object, *differences: str) -> ReplayedCase:
    images = {f"r/img-{name}-{status}": status for status in differences}
    logged = RunSummary("applied", frozenset(), images)
    replayed = _replayed(result, f"{name}.json")
    actual = RunSummary("applied", frozenset())
    return replace(replayed, case=replace(replayed.case, logged=logged), actual=actual)


def test_failures_come_first() -> None:
    """Unexpected events come first, then those that differ from the log, in their order each."""
    applied, rejected = {"Outcome": "applied"}, {"Outcome": "rejected"}
    page = _page(
        _from_log("1", applied),
        _from_log("2", applied, "changed"),
        _from_log("3", rejected),
        _from_log("4", applied, "failed", "changed"),
        _from_log("5", rejected, "changed"),
    )
    assert re.findall(r"(\d)\.json", page.text) == ["3", "5", "2", "4", "1"]
    events = [item for item in page.all("li") if item.get("class") == "event"]
    assert ["data-unexpected" in event for event in events] == [True, True, False, False, False]
    assert ["data-differs" in event for event in events] == [False, True, True, True, False]
    assert page.text.index("Events") < page.text.index("API calls\n")


def test_differences_are_a_list() -> None:
    """Each difference is an item, and those above 20 are counted."""
    statuses = [f"s{number:02}" for number in range(26)]
    page = _page(_from_log("1", {"Outcome": "applied"}, *statuses))
    text = page.text.partition("Differences from the log")[2].partition("In the log")[0]
    assert text.count("r/img-1-s") == 20
    assert text.rstrip().endswith("untouchedand 6 more")
    assert len(page.all("li")) - len(_page(_replayed()).all("li")) == 21


@pytest.mark.parametrize(("count", "noun"), [(1, "1 event"), (2, "2 events")])
def test_counts_have_their_number(count: int, noun: str) -> None:
    """One event is an event, and one image an image."""
    page = _page(*[_replayed({"Outcome": "applied", "Images": [{}] * count})] * count)
    assert f"{count} of {noun} as expected" in page.text
    assert re.search(rf"^{noun}$", page.text, re.MULTILINE)
    assert page.text.count(f"{noun.replace('event', 'image')}Attribute or tag") == count


@pytest.mark.parametrize(
    ("before", "after"),
    [("1", 1), (None, "(none)"), ("a\u200b", "a\u200c"), ("é", "e\u0301"), ("x" * 300, "x" * 301)],
)
def test_values_that_look_alike_are_shown(before: object, after: object) -> None:
    """A change is shown even if both values would be printed alike; an equal value is none."""
    image = {
        "Before": {"ImageName": before, "ImageFamily": after},
        "After": {"ImageName": after, "ImageFamily": after},
    }
    (diff,) = diffs_of(image)
    assert diff.name == "ImageName"
    assert diff.before != diff.after


def test_rules_are_a_list() -> None:
    """Rules are names and values, tags one by one; what is no list of rules stays JSON."""
    rules: list[Any] = [{"Key": "ImageName", "Value": "{Tag.app}"}]
    tags = [{"Key": "Tags", "Value": [{"Key": "team", "Value": "web"}]}]
    parts = ResultParts.of({"Outcome": "planned", "Rules": rules + tags})
    assert rules_of(parts.rules) == [("ImageName", "{Tag.app}"), ("Tag.team", "web")]
    assert parts.rest == []
    foreign = ResultParts.of({"Outcome": "planned", "Rules": [{"Key": 1}]})
    assert [title for title, _ in foreign.rest] == ["Rules"]


def test_known_outcomes_have_a_tone() -> None:
    """Every outcome has a colour but those that say nothing of success or failure."""
    quiet = {outcome for outcome in OUTCOMES if badge(outcome).tone == "quiet"}
    assert quiet == {"ignored", "returned"}


def test_durations_are_readable() -> None:
    """Durations are in milliseconds up to ten seconds, and in seconds above."""
    assert [duration(ms) for ms in (0.4, 9876.5, 12_345)] == ["0 ms", "9,876 ms", "12.3 s"]


def test_page_is_accessible(samples: tuple[Result, Page]) -> None:
    """Headings descend, table headers have scopes, fields have labels, the count is announced."""
    _, page = samples
    page.check_that_it_is_accessible()
    names = {field["name"] for field in (*page.all("input"), *page.all("select"))}
    assert names == {"q", "outcome", "trigger", "unexpected"}
    assert len(page.all("label")) == len(names)


def _colours(block_of_css: str) -> dict[str, str]:
    return dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", block_of_css))


def _luminance(colour: str) -> float:
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_have_contrast(scheme: str) -> None:
    """Each text colour has the contrast of AA, 4.5 to 1, on every background it is used on."""
    css = STYLE.read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    colours = _colours(light) if scheme == "light" else _colours(dark)
    assert len(colours) == 16
    tones = [name for name in colours if f"{name}-soft" in colours]
    pairs = [(tone, f"{tone}-soft") for tone in tones]
    pairs += [(name, ground) for name in ("text", "muted", *tones) for ground in ("page", "soft")]
    pairs += [("accent", "page"), ("text", "bad-soft"), ("text", "good-soft")]
    for text, ground in pairs:
        bright, dim = sorted((_luminance(colours[name]) for name in (text, ground)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground)
