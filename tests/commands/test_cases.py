"""Events from files and folders: JSON Lines, lists, which of them, and one after another."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from scf_local.cases import read_cases
from scf_local.cli import main
from scf_local.invocation import InvocationResult
from scf_local.replay import Case, ReplayedCase, line_of, listing_of
from scf_local.replay_runner import MAX_ROWS, ReplayTotals

HANDLER = """
count = 0
def main_handler(event, context):
    global count
    count += 1
    if event == {"Raise": 1}:
        raise RuntimeError(event)
    return {"Outcome": "applied", "Count": count, "Event": event}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of events beside a function and an empty seed."""
    for name, content in {
        "code/index.py": HANDLER,
        "seed/images.json": "{}",
        "events/a.json": '{"Name": "a"}',
        "events/b.jsonl": '{"Name": "b1"}\n\n{"Raise": 1}\r\n{"Name": "名"}',
        "events/c.json": '[{"Name": "c1"}, {"Name": "c2"}]',
        "events/d.ndjson": '\N{BYTE ORDER MARK}{"Name": "d1"}\n',
        "events/e.csv": "no event",
        "events/logs/f.json": '{"Name": "f"}',
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8", newline="")
    return tmp_path / "events"


def replay(folder: Path, *arguments: object) -> Result:
    """The command, with that function."""
    options = ["--code", folder.parent / "code", "--seed", folder.parent / "seed"]
    return CliRunner().invoke(main, ["replay", *map(str, [*options, *arguments])])


def documents(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """What the command says to programs."""
    found: list[dict[str, Any]] = json.loads(replay(folder, "--json", *arguments).stdout)
    return found


def test_order_is_that_of_names_and_lines(folder: Path) -> None:
    """A folder's files come by name and their events in their order; no folder below is read."""
    found = documents(folder, folder)
    assert [each["Event"].removeprefix(f"{folder}/") for each in found] == [
        *("a.json", "b.jsonl:1", "b.jsonl:3", "b.jsonl:4", "c.json:1", "c.json:2", "d.ndjson:1"),
    ]
    names = [each["Result"]["Event"]["Name"] for each in found if "Result" in each]
    assert names == ["a", "b1", "名", "c1", "c2", "d1"]


def test_paths_keep_their_order(folder: Path) -> None:
    """Several paths are replayed as they are given."""
    found = read_cases([folder / "c.json", folder / "a.json"]).events
    assert [case.label for case in found] == ["c.json:1", "c.json:2", "a.json"]
    assert [case.number for case in found] == [1, 2, 3]


@pytest.mark.parametrize("text", ["[]", "[1, {}]", "7", '"text"', "{}"])
def test_any_other_json_is_one_event(folder: Path, text: str) -> None:
    """Only a list of objects is a list of events: all else is an event itself."""
    (folder / "x.json").write_text(text, encoding="utf-8")
    (case,) = read_cases([folder / "x.json"]).events
    assert case.event == json.loads(text)
    assert case.event_id == ""


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_deep_events_are_no_log(folder: Path, name: str) -> None:
    """An event of many levels is one event: looking for a log in it does not give up."""
    text = "[" * 490 + "]" * 490
    (folder / name).write_text(text, encoding="utf-8")
    assert [case.event for case in read_cases([folder / name]).events] == [json.loads(text)]


def test_wrong_lines_are_named_by_number(folder: Path) -> None:
    """Each line that is no JSON is named by its number, and nothing runs."""
    (folder / "b.jsonl").write_bytes(b'{"a": 1}\n{"a": tru}\n\n\xff\n' + b"[" * 9999 + b"\n")
    result = replay(folder, folder)
    assert result.exit_code == 2
    assert f"{folder / 'b.jsonl'}:2:7: not JSON: expecting value" in result.stderr
    assert f"{folder / 'b.jsonl'}:4: not UTF-8" in result.stderr
    assert f"{folder / 'b.jsonl'}:5" in result.stderr
    assert not result.stdout


def test_expectations_of_lines(folder: Path) -> None:
    """expected.json names one event of a file by its line, or all of them by the file."""
    expected = {"b.jsonl:3": {"Outcome": "raised"}, "c.json": {"Outcome": "applied"}}
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    found = documents(folder, folder)
    assert all(each["AsExpected"] for each in found)
    assert [each["Expected"] is not None for each in found] == [
        *(False, False, True, False, True, True, False),
    ]


def test_expectations_of_lines_that_are_not_there(folder: Path) -> None:
    """An expectation of a line that holds no event is a mistake."""
    expected = {"b.jsonl:2": {"Outcome": "raised"}}
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    result = replay(folder, folder)
    assert result.exit_code == 2
    assert "expected.json: b.jsonl:2: event not found; did you mean b.jsonl:" in result.stderr


@pytest.mark.parametrize(
    ("only", "labels"),
    [
        (["a.json"], ["a.json"]),
        (["b.jsonl"], ["b.jsonl:1", "b.jsonl:3", "b.jsonl:4"]),
        (["b.jsonl:4"], ["b.jsonl:4"]),
        (["?.json*:1"], ["b.jsonl:1", "c.json:1"]),
        (["*/events/a.json"], ["a.json"]),
        (["5", "1"], ["a.json", "c.json:1"]),
        (["5", "c*"], ["c.json:1", "c.json:2"]),
    ],
)
def test_only(folder: Path, only: list[str], labels: list[str]) -> None:
    """Events are chosen by number, name or glob; their order stays."""
    assert [case.label for case in read_cases([folder]).only(only)] == labels


def test_only_none(folder: Path) -> None:
    """A text that names no event is a mistake, and the nearest name is told."""
    result = replay(folder, folder, "--only", "a.jsonn")
    assert result.exit_code == 2
    assert "--only 'a.jsonn' matches no event; use a number up to 7" in result.stderr
    assert "did you mean a.json?" in result.stderr


def test_list_runs_nothing(folder: Path) -> None:
    """--list shows numbers, triggers and names, for programs too, and starts nothing."""
    (folder.parent / "code" / "index.py").unlink()
    lines = replay(folder, folder, "--list").stdout.splitlines()
    assert [line.split() for line in lines[:2]] == [
        ["1", "direct", "a.json"],
        ["2", "direct", "b.jsonl:1"],
    ]
    first, *_ = documents(folder, folder, "--list")
    assert first == {
        "Number": 1, "Event": str(folder / "a.json"), "Trigger": "direct", "Expected": None,
    }  # fmt: skip


def test_until_failure(folder: Path) -> None:
    """--until-failure ends the replay with the first event that is not as expected."""
    result = replay(folder, folder, "--until-failure")
    assert result.exit_code == 1
    assert result.stdout.endswith("2 of 3 events as expected\n")
    assert result.stderr.endswith("scf-local: stopped; events left: 4\n")
    result = replay(folder, folder, "--until-failure", "--only", "?.json")
    assert result.exit_code == 0
    assert "stopped" not in result.stderr


def test_cold(folder: Path) -> None:
    """--cold gives each event an instance of its own; otherwise they share one."""
    arguments = ("--only", "c.json", folder)
    assert [each["Result"]["Count"] for each in documents(folder, *arguments)] == [1, 2]
    assert [each["Result"]["Count"] for each in documents(folder, *arguments, "--cold")] == [1, 1]


def test_a_long_replay_shows_what_failed(folder: Path) -> None:
    """Above so many events the table has the failures alone, and the rest is counted."""
    lines = ["{}"] * MAX_ROWS + ['{"Raise": 1}']
    path = folder / "long.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    result = replay(folder, path)
    assert result.exit_code == 1
    assert result.stdout.count("long.jsonl:") == 1
    assert result.stdout.endswith(
        f"… 1,000 more are not shown\n{MAX_ROWS} of {MAX_ROWS + 1} events as expected\n"
    )
    assert len(documents(folder, path)) == MAX_ROWS + 1


def test_a_long_replay_keeps_little() -> None:
    """However many events fail, no more are kept than are shown."""
    tally = ReplayTotals(keep_all=False)
    for number in range(MAX_ROWS + 5):
        done = InvocationResult("r", 430, 1.0, 1.0, error={"errorMessage": "no"})
        tally.add(ReplayedCase(Case(Path("a.jsonl"), {}, event_id=str(number)), done))
    assert len(tally.kept) == MAX_ROWS
    assert str(tally) == f"… 5 more are not shown\n0 of {MAX_ROWS + 5} events as expected"


WORDS = st.sampled_from(
    [
        *("SCF_RequestId", "SCF_Message", "SCF_StartTime", "SCF_StatusCode", "SCF_RetryNum"),
        *("content", "Results", "records", "Response", "Event", "Level", "RequestId", "Time"),
        *("INFO", "run.finished", "image.failed", "document.rejected", "Trigger", "Outcome"),
        *("Source", "Code", "ImageId", "cos://b-1250000000/k", "cos", "timer", "direct", "r-1"),
        *("START RequestId:r-1", "END RequestId:r-1", "ERROR RequestId:r-1 Result:{", "Records"),
    ]
)
VALUES = st.recursive(
    st.none() | st.integers() | WORDS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=8),
)
OWN = st.fixed_dictionaries(
    {"Time": WORDS, "Level": st.just("INFO"), "RequestId": st.just("r-1"), "Event": WORDS},
    optional={"Source": VALUES, "Code": VALUES, "Trigger": VALUES, "Outcome": VALUES},
)
TEXTS = (
    st.lists(VALUES | OWN, max_size=5).map(lambda each: "\n".join(map(json.dumps, each)))
    | st.lists(WORDS | st.text(max_size=5), max_size=9).map("\n".join)
    | st.lists(WORDS, max_size=9).map(lambda each: "SCF_RequestId,SCF_Message\n" + ",".join(each))
)


@given(text=TEXTS, suffix=st.sampled_from([".json", ".jsonl", ".csv", ".log"]))
def test_no_file_breaks_it(text: str, suffix: str) -> None:
    """Whatever a file holds, there are events in it, or a sentence says why not."""
    with tempfile.TemporaryDirectory() as root:
        path = Path(root, f"x{suffix}")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            found = read_cases([path])
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either way is fine
        else:
            assert found.events
            assert all(line_of(case) for case in found.events)
            assert json.dumps(listing_of(found.events))


def test_json_is_that_of_one_piece(folder: Path) -> None:
    """What is written entry by entry is what would be written at once."""
    text = replay(folder, "--json", folder).stdout
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
