"""Events from files and folders: JSON Lines, lists, selection and order."""

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
    """A folder of events next to a function and an empty seed."""
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
    """Run the command with that function."""
    options = ["--code", folder.parent / "code", "--seed", folder.parent / "seed"]
    return CliRunner().invoke(main, ["replay", *map(str, [*options, *arguments])])


def documents(folder: Path, *arguments: object) -> list[dict[str, Any]]:
    """The entries of the command's JSON output."""
    entries: list[dict[str, Any]] = json.loads(replay(folder, "--json", *arguments).stdout)
    return entries


def test_order_of_events(folder: Path) -> None:
    """Files are sorted by name, events keep their order, and subfolders are skipped."""
    entries = documents(folder, folder)
    assert [entry["Event"].removeprefix(f"{folder}/") for entry in entries] == [
        *("a.json", "b.jsonl:1", "b.jsonl:3", "b.jsonl:4", "c.json:1", "c.json:2", "d.ndjson:1"),
    ]
    names = [entry["Result"]["Event"]["Name"] for entry in entries if "Result" in entry]
    assert names == ["a", "b1", "名", "c1", "c2", "d1"]


def test_paths_keep_their_order(folder: Path) -> None:
    """Several paths are replayed in the given order."""
    cases = read_cases([folder / "c.json", folder / "a.json"]).events
    assert [case.label for case in cases] == ["c.json:1", "c.json:2", "a.json"]
    assert [case.number for case in cases] == [1, 2, 3]


@pytest.mark.parametrize("text", ["[]", "[1, {}]", "7", '"text"', "{}"])
def test_any_other_json_is_one_event(folder: Path, text: str) -> None:
    """Only a list of objects is a list of events; any other JSON is one event."""
    (folder / "x.json").write_text(text, encoding="utf-8")
    (case,) = read_cases([folder / "x.json"]).events
    assert case.event == json.loads(text)
    assert case.event_id == ""


@pytest.mark.parametrize("name", ["x.json", "x.jsonl"])
def test_deeply_nested_event(folder: Path, name: str) -> None:
    """A deeply nested event is one event, and the search for a log in it does not fail."""
    text = "[" * 490 + "]" * 490
    (folder / name).write_text(text, encoding="utf-8")
    assert [case.event for case in read_cases([folder / name]).events] == [json.loads(text)]


def test_invalid_lines(folder: Path) -> None:
    """Each line that is not JSON is reported with its number, and nothing runs."""
    (folder / "b.jsonl").write_bytes(b'{"a": 1}\n{"a": tru}\n\n\xff\n' + b"[" * 9999 + b"\n")
    result = replay(folder, folder)
    assert result.exit_code == 2
    assert f"{folder / 'b.jsonl'}:2:7: not JSON: expecting value" in result.stderr
    assert f"{folder / 'b.jsonl'}:4: not UTF-8" in result.stderr
    assert f"{folder / 'b.jsonl'}:5" in result.stderr
    assert not result.stdout


def test_expectations_of_lines(folder: Path) -> None:
    """expected.json refers to one event by its line, or to a whole file by its name."""
    expected = {"b.jsonl:3": {"Outcome": "raised"}, "c.json": {"Outcome": "applied"}}
    (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
    entries = documents(folder, folder)
    assert all(entry["AsExpected"] for entry in entries)
    assert [entry["Expected"] is not None for entry in entries] == [
        *(False, False, True, False, True, True, False),
    ]


def test_expectation_for_a_missing_line(folder: Path) -> None:
    """An expectation for a line without an event is an error."""
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
    """Events can be selected by number, name or glob, and keep their order."""
    assert [case.label for case in read_cases([folder]).only(only)] == labels


def test_only_without_a_match(folder: Path) -> None:
    """A selection that matches no event is an error that suggests the nearest name."""
    result = replay(folder, folder, "--only", "a.jsonn")
    assert result.exit_code == 2
    assert "--only 'a.jsonn' matches no event; use a number up to 7" in result.stderr
    assert "did you mean a.json?" in result.stderr


def test_list_runs_nothing(folder: Path) -> None:
    """`--list` shows numbers, triggers and names, also as JSON, and runs nothing."""
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
    """`--until-failure` stops after the first event that does not end as expected."""
    result = replay(folder, folder, "--until-failure")
    assert result.exit_code == 1
    assert result.stdout.endswith("2 of 3 events as expected\n")
    assert result.stderr.endswith("scf-local: stopped; events left: 4\n")
    result = replay(folder, folder, "--until-failure", "--only", "?.json")
    assert result.exit_code == 0
    assert "stopped" not in result.stderr


def test_cold(folder: Path) -> None:
    """`--cold` gives each event its own instance; otherwise, events share one."""
    arguments = ("--only", "c.json", folder)
    assert [entry["Result"]["Count"] for entry in documents(folder, *arguments)] == [1, 2]
    assert [entry["Result"]["Count"] for entry in documents(folder, *arguments, "--cold")] == [1, 1]


def test_long_replay_lists_only_failures(folder: Path) -> None:
    """The table of a long replay lists only the failures, and counts the rest."""
    lines = ["{}"] * MAX_ROWS + ['{"Raise": 1}']
    path = folder / "long.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    result = replay(folder, path)
    assert result.exit_code == 1
    assert result.stdout.count("│ long.jsonl:") == 1
    assert result.stdout.endswith(
        f"… 1,000 more are not shown\n{MAX_ROWS} of {MAX_ROWS + 1} events as expected\n"
    )
    assert len(documents(folder, path)) == MAX_ROWS + 1


def test_long_replay_keeps_few_results() -> None:
    """However many events fail, only those that are shown are kept."""
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
    st.lists(VALUES | OWN, max_size=5).map(lambda values: "\n".join(map(json.dumps, values)))
    | st.lists(WORDS | st.text(max_size=5), max_size=9).map("\n".join)
    | st.lists(WORDS, max_size=9).map(lambda row: "SCF_RequestId,SCF_Message\n" + ",".join(row))
)


@given(text=TEXTS, suffix=st.sampled_from([".json", ".jsonl", ".csv", ".log"]))
def test_any_file_content(text: str, suffix: str) -> None:
    """Any file content yields events or an error with a message."""
    with tempfile.TemporaryDirectory() as root:
        path = Path(root, f"x{suffix}")
        path.write_text(text, encoding="utf-8", errors="surrogatepass")
        try:
            cases = read_cases([path])
        except ValueError as error:
            assert str(error)  # noqa: PT017 - either way is fine
        else:
            assert cases.events
            assert all(line_of(case) for case in cases.events)
            assert json.dumps(listing_of(cases.events))


def test_json_output(folder: Path) -> None:
    """JSON that is written entry by entry equals the list written at once."""
    text = replay(folder, "--json", folder).stdout
    assert text == json.dumps(json.loads(text), ensure_ascii=False, indent=2) + "\n"
