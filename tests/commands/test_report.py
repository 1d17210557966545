"""`scf-local replay --report`: the page's content, that nothing in it runs or loads, its file."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT
from scf_local.changes import changes_of
from scf_local.cli import main
from scf_local.cloud.dispatcher import SERVICES
from scf_local.environment import FunctionConfig
from scf_local.invocation import InvocationResult
from scf_local.replay import Case, ReplayedCase
from scf_local.report.page import Replay, page_of
from scf_local.report.recording import reporting
from scf_local.report.results import ResultParts
from scf_local.report.rows import MAX_BLOCK, EventRow, block, duration, rows_of
from scf_local.report.series import HEIGHT, MAX_SERIES, WIDTH, Series, series_of
from scf_local.run_summary import RunSummary

FOLDER = ROOT / "tests" / "scf_local" / "report"
EXPECTED = json.loads((ROOT / "events" / "expected.json").read_text(encoding="utf-8"))
HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(1)</script>\x00\u202e\ud83d'
HANDLER = """
import os, shutil
def main_handler(event, context):
    print("log line of", event)
    if "Raise" in event:
        raise RuntimeError(event["Raise"])
    if "Exit" in event:
        os._exit(5)
    if "Remove" in event:
        shutil.rmtree(event["Remove"])
    return event.get("Result")
"""


class Page(HTMLParser):
    """What a browser would find: elements with their attributes, and the text of all."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.contents: dict[str, str] = {}
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        """Keep its text, apart if it is a program."""
        if self.cdata_elem:
            self.contents[self.cdata_elem] = self.contents.get(self.cdata_elem, "") + data
        else:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


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
    assert [each.name for each in path.parent.iterdir()] == ["report.html"]  # nothing unfinished
    return run, Page(path.read_text(encoding="utf-8"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A foreign function and an empty cloud, beside a folder for events."""
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
    """With a report, the table and the exit status are as without it."""
    run, _ = samples
    assert run.exit_code == 0
    assert run.stdout.endswith(f"{len(EXPECTED)} of {len(EXPECTED)} events as expected\n")
    assert "11-name-taken.json" in run.stdout


def test_page_tells_everything(samples: tuple[Result, Page]) -> None:
    """Each event is there with its outcome, its images before and after, and its errors' places."""
    _, page = samples
    events = [each for each in page.all("li") if each.get("class") == "event"]
    outcomes = [each["Outcome"] for _, each in sorted(EXPECTED.items())]
    assert [each["data-outcome"] for each in events] == outcomes
    assert not any("data-unexpected" in each for each in events)
    assert all(name in page.text for name in EXPECTED)
    for told in (
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
        assert told in page.text.replace("\n", "")
    assert str(ROOT) not in page.text


def test_calls_stand_against_their_limits(samples: tuple[Result, Page]) -> None:
    """Each action and region has a line, with the emulated cloud's own limit of it."""
    _, page = samples
    table = page.text[page.text.index("Busiest") : page.text.index("Search")].replace("\n", "")
    for action, region in (
        ("DescribeImages", "ap-guangzhou"),
        ("ModifyImageAttribute", "ap-shanghai-fsi"),
        ("TagResources", "ap-guangzhou"),
    ):
        services = (service.actions.get(action) for service in SERVICES.values())
        (limit,) = (found.per_second for found in services if found)
        numbers = re.search(rf"{action}{region}(\d+)", table)
        assert numbers
        assert str(limit) in numbers[1]
    assert "NoSuchKey \N{MULTIPLICATION SIGN} 2" in table
    assert len([each for each in page.all("svg") if each.get("class") == "line"]) >= 8


def test_nothing_is_loaded(samples: tuple[Result, Page]) -> None:
    """The page refers to nothing outside itself, and its policy would refuse it."""
    _, page = samples
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") is not None)
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for _, attributes in page.elements:
        assert not attributes.keys() & {"src", "srcset", "poster", "data", "action", "style"}
        assert attributes.get("href", "#").startswith("#")
    for content in page.contents.values():
        assert not re.search(r"url\(|@import|https?:|\bimport\b|fetch|XMLHttp", content)


def test_policy_has_the_hashes(samples: tuple[Result, Page]) -> None:
    """The one script and the one style are those whose hashes the policy allows."""
    _, page = samples
    (policy,) = (each["content"] for each in page.all("meta") if each.get("http-equiv") is not None)
    assert page.contents.keys() == {"script", "style"}
    for name, content in page.contents.items():
        assert len(page.all(name)) == 1
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy


def test_hostile_text_stays_text(folder: Path) -> None:
    """Markup, control characters and half pairs in any place of a result end up as text."""
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
    assert run.exit_code == 1  # b
    page = Page(report.read_text(encoding="utf-8"))
    assert not page.all("img")
    assert len(page.all("script")) == 1
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [name for name in names if name.startswith("on")]
    assert page.text.count("<img src=x onerror=alert(1)>") >= 20
    assert "\x00" not in page.text
    assert "\u202e" not in page.text


def test_series_are_hostile_too() -> None:
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
    """What is not of the form that this function answers in is shown whole, as JSON."""
    row = _row(result)
    ((title, text),) = row.rest
    member = result if title == "Result" else result[title]
    assert json.loads(text) == member
    assert (row.images, row.errors, row.summary) == ([], [], {})
    assert title in _page(_replayed(result)).text


def test_own_results_have_no_rest() -> None:
    """What has a place of its own is not repeated as JSON, nor is what is empty."""
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
    """A result nested deeper than Python writes JSON is said to be so."""
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert _row(deep).rest == [("Result", "(nested too deeply to be shown)")]


def test_raised_shows_its_trace(folder: Path) -> None:
    """What a function raises is there with its trace; a note says it in a line; so does an exit."""
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
    assert "Expected: rejected with X, Y" in text
    assert "1 unexpected" in text
    assert "log line of {'Raise': 'busy'}" in text
    assert "No API was called." in text


def test_unknown_calls_are_said_to_be_so(folder: Path) -> None:
    """A function pointed at another cloud than the emulated one leaves the calls unknown."""
    for url in ("https://{service}.{region}.example.com", "http://127.0.0.1:1"):
        report = folder / "report.html"
        _replay(folder, report, "--env", f"STEWARD_API_ENDPOINT={url}", a={"Result": 1})
        assert "a cloud that does not record its calls" in report.read_text("utf-8")


@pytest.mark.parametrize("place", ["events", "code/index.py/report.html", "/dev/null"])
def test_unwritable_report_is_found_first(folder: Path, place: str) -> None:
    """A report that cannot be written is wrong usage, known before the first event is run."""
    run = _replay(folder, folder / place, "--logs", a={"Result": 1})
    assert run.exit_code == 2
    assert str(folder / place) in run.stderr or "code/index.py" in run.stderr
    assert "log line" not in run.stderr
    assert Path("/dev/null").is_char_device()


def test_list_has_no_report(folder: Path) -> None:
    """What runs nothing has nothing to report: both options together are wrong usage."""
    run = _replay(folder, folder / "report.html", "--list", a={"Result": 1})
    assert (run.exit_code, run.stdout) == (2, "")
    assert "--list replays nothing to report" in run.stderr
    assert not (folder / "report.html").exists()


def test_late_trouble_leaves_the_table(folder: Path) -> None:
    """If the file cannot be written in the end, the table is printed all the same, and status 1."""
    report = folder / "out" / "report.html"
    run = _replay(folder, report, a={"Remove": str(folder / "out"), "Result": 1})
    assert run.exit_code == 1
    assert "1 of 1 events as expected" in run.stdout
    assert run.stderr == f"scf-local: {report}: No such file or directory\n"


def test_report_is_replaced_whole(folder: Path) -> None:
    """An older report is there until the new one is complete; a link to it stays a link."""
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


def test_only_a_report_pays_for_its_library() -> None:
    """The command starts without Jinja2."""
    program = "import sys, scf_local.cli; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0  # noqa: S603 - our own


def _series(*calls: tuple[float, str], action: str = "DescribeImages", length: float = 3) -> Series:
    told = [
        {"Time": 1000 + time, "Action": action, "Region": "ap-guangzhou", "Outcome": outcome}
        for time, outcome in calls
    ]
    (series,) = series_of(told, 1000, 1000 + length)
    return series


def test_seconds_are_counted_as_the_api_counts() -> None:
    """A call counts for one second and no more at its end, whatever second of the clock it is."""
    assert _series((0.9, "ok"), (1.1, "ok"), (1.85, "ok")).busiest == 3
    assert _series((0.5, "ok"), (1.5, "ok")).busiest == 1
    assert _series(*((number / 40, "ok") for number in range(120))).busiest == 40


def test_short_peaks_survive_long_replays() -> None:
    """The busiest second of hours is still to be seen in a drawing of a few hundred columns."""
    calls = [(float(second), "ok") for second in range(0, 36_000, 50)] + [(5000.5, "ok")] * 39
    series = _series(*calls, length=36_000)
    assert series.busiest == 40
    assert f"V{HEIGHT * 4 // 36:g}" in series.area


def test_failures_are_marked_and_counted() -> None:
    """Refused calls have crosses and their codes, the most frequent first."""
    series = _series((0, "ok"), (1, "A"), (1.001, "B"), (2.99, "B"))
    assert series.failures == [("B", 2), ("A", 1)]
    assert series.failed == 3
    assert series.crosses.count("M") == 2  # those of one place share one
    starts = [int(x) for x in re.findall(r"M(\d+) ", series.crosses)]
    assert all(0 <= x <= WIDTH - 4 for x in starts)


def test_faulted_calls_are_failures() -> None:
    """A call that was carried out, but of which the client was told otherwise, says its fault."""
    call = {"Time": 1.0, "Action": "A", "Region": "", "Outcome": "ok", "Fault": "cut-after"}
    (series,) = series_of([call], 0, 2)
    assert series.failures == [("ok (cut-after)", 1)]
    assert (series.region, series.limit) == ("—", None)


def test_lines_are_bounded() -> None:
    """A function that calls actions without end gets so many lines, and is told so."""
    calls = [
        {"Time": 1001.0, "Action": f"A{number}", "Region": "", "Outcome": "ok"}
        for number in range(MAX_SERIES + 9)
    ]
    page = _page(_replayed(), calls=calls)
    assert len([each for each in page.all("svg") if each.get("class") == "line"]) == MAX_SERIES
    assert f"Only the first {MAX_SERIES} are shown." in page.text


@given(st.text(max_size=30), st.text(max_size=30))
def test_diffs_put_together_are_the_values(before: str, after: str) -> None:
    """What is marked and what is not make up both values again."""
    image = {"Before": {"ImageName": before}, "After": {"ImageName": after}}
    diffs = _row({"Outcome": "applied", "Images": [image]}).images[0].diffs
    changes = [change for change in changes_of(image) if change.before != change.after]
    assert changes == [
        (diff.name, f"{diff.head}{diff.before}{diff.tail}", f"{diff.head}{diff.after}{diff.tail}")
        for diff in diffs
    ]


def test_diffs_mark_what_differs() -> None:
    """Only the part that differs is marked, unless too little is the same; equal tags are left."""
    tags = [{"Key": "a", "Value": "1"}]
    image = {
        "Before": {"ImageName": "web-build-0142", "ImageFamily": "ab", "Tags": tags},
        "After": {"ImageName": "web-test-0142", "ImageFamily": "ac", "Tags": tags},
    }
    name, family = _row({"Outcome": "applied", "Images": [image]}).images[0].diffs
    assert name == ("ImageName", "web-", "build", "test", "-0142")
    assert family == ("ImageFamily", "", "ab", "ac", "")


def test_long_texts_are_cut() -> None:
    """A log without end is cut where a page would suffer, and says so."""
    text = block("line\n" * MAX_BLOCK)
    assert len(text) < MAX_BLOCK + 100
    assert text.endswith(f"… cut here, of {5 * MAX_BLOCK:,} characters")
    assert block("a\tb\x1b[31m\r\nc") == "a       b\ufffd[31m\nc"


def test_files_are_named_from_where_they_differ() -> None:
    """Events of one folder have their file names, those of several the folders that differ."""
    one = [_replayed(name=f"/x/events/{name}.json") for name in "ab"]
    assert [row.name for row in rows_of(one, [b""] * 2)] == ["a.json", "b.json"]
    two = [_replayed(name=f"/x/{name}/events/a.json") for name in "ab"]
    assert [row.name for row in rows_of(two, [b""] * 2)] == ["a/events/a.json", "b/events/a.json"]


def test_what_the_log_says_stands_beside_it() -> None:
    """An event from a log shows how it ended then, and what is otherwise now."""
    applied = _replayed({"Outcome": "applied"})
    then = RunSummary("raised", request_id="r-7")
    case = replace(applied.case, event_id="r-7", logged=then)
    once, again = (RunSummary("applied", codes=frozenset()), then)
    shown = [_page(replace(applied, case=case, actual=now)).text for now in (once, again)]
    assert "a.json:r-7" in shown[0]
    assert "Compared with the log: raised → applied" in shown[0]
    assert "Compared with the log: same: raised" in shown[1]


def test_durations_are_for_people() -> None:
    """Milliseconds up to ten seconds, seconds from there on."""
    assert [duration(ms) for ms in (0.4, 9876.5, 12_345)] == ["0 ms", "9,876 ms", "12.3 s"]


def test_page_is_for_everyone(samples: tuple[Result, Page]) -> None:
    """Headings descend, table headers have scopes, inputs have labels, the count is announced."""
    _, page = samples
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all("scope" in each for each in page.all("th"))
    assert len(page.all("output")) == 1  # of the role status, which is polite
    assert page.all("html") == [{"lang": "en"}]
    names = {each["name"] for each in (*page.all("input"), *page.all("select"))}
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
    """Each text colour reaches AA, 4.5 to 1, on every ground that it stands on."""
    css = (FOLDER / "page.css").read_text(encoding="utf-8")
    light, dark = css.split("prefers-color-scheme: dark", 1)
    colours = _colours(light) if scheme == "light" else _colours(dark)
    assert len(colours) == 16
    tones = [name for name in colours if f"{name}-soft" in colours]
    pairs = [(tone, f"{tone}-soft") for tone in tones]
    pairs += [(name, ground) for name in ("text", "muted", *tones) for ground in ("page", "soft")]
    pairs += [("accent", "page")]
    for text, ground in pairs:
        bright, dim = sorted((_luminance(colours[each]) for each in (text, ground)), reverse=True)
        assert (bright + 0.05) / (dim + 0.05) >= 4.5, (text, ground)
