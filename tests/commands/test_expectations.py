"""What `scf-local replay` compares with `expected.json`, and what it says of differences."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from scf_local.cases import read_cases
from scf_local.cli import main
from scf_local.differences import differences
from scf_local.invocation import InvocationResult
from scf_local.replay import Case, ReplayedCase, document_of
from scf_local.run_summary import RunSummary, from_invocation
from scf_local.terminal_text import listed

SCALARS = st.none() | st.booleans() | st.integers(-2, 2) | st.floats(-2, 2) | st.text(max_size=3)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=8,
)
READ_TIMEOUT = "requests.exceptions.ReadTimeout: no reply"


def strict(value: object) -> object:
    """A value that equals another one only if both are equal as JSON."""
    if isinstance(value, dict):
        return {name: strict(member) for name, member in value.items()}
    if isinstance(value, list):
        return [strict(entry) for entry in value]
    return (isinstance(value, bool), value)


@given(value=VALUES)
def test_a_value_has_no_difference_from_itself(value: object) -> None:
    """A value equals itself, also as a part."""
    assert [*differences(value, value), *differences(value, value, partial=True)] == []


@given(expected=VALUES, actual=VALUES)
def test_differences_are_complete(expected: object, actual: object) -> None:
    """There is a difference if and only if the values are not equal as JSON."""
    assert bool([*differences(expected, actual)]) == (strict(expected) != strict(actual))


@given(expected=st.dictionaries(st.text(max_size=2), VALUES), more=VALUES)
def test_members_that_are_not_expected(expected: dict[str, Any], more: object) -> None:
    """Additional members differ only from the whole, not from a part."""
    actual = {**expected, "more": more}
    assert [*differences(expected, actual, partial=True)] == []
    (line,) = differences(expected, actual)
    assert line.startswith("Result/more: expected nothing, got ")


@pytest.mark.parametrize(
    ("expected", "actual", "lines"),
    [
        ({"a": 1}, {"a": 1.0, "b": 2}, []),
        ({"a": 1}, {"a": True}, ["Result/a: expected 1, got true"]),
        ({"a": None}, {}, ["Result/a: expected null, got nothing"]),
        ({"a": [1]}, {"a": [1, 2]}, ["Result/a/1: expected nothing, got 2"]),
        ({"a": [{"b": 1}, 2]}, {"a": [{"b": 1, "c": 0}]}, ["Result/a/1: expected 2, got nothing"]),
        ({"a/b": "x"}, {"a/b": "y"}, ['Result/a~1b: expected "x", got "y"']),
        ({"a": {}}, None, ['Result: expected {"a": {}}, got null']),
        (
            {"Images": [{"Status": "Changed"}], "Summary": {"Changed": 2}, "Extra": 1},
            {"Images": [{"Status": "Failed"}], "Summary": {"Changed": 1, "Failed": 1}},
            [
                'Result/Images/0/Status: expected "Changed", got "Failed"',
                "Result/Summary/Changed: expected 2, got 1",
                "Result/Extra: expected 1, got nothing",
            ],
        ),
    ],
)
def test_part_of_a_result(expected: object, actual: object, lines: list[str]) -> None:
    """Each difference from a part of a result is on a line with its path and both values."""
    assert [*differences(expected, actual, partial=True)] == lines


def test_long_lists_of_differences() -> None:
    """Only more lines than can be shown are counted."""
    lines = [str(number) for number in range(26)]
    assert listed(lines[:20]) == lines[:20]
    assert listed(lines) == [*lines[:20], "and 6 more"]


def replayed(entry: object, result: object = None, error: str = "") -> ReplayedCase:
    """An event that has this entry and ended so."""
    failure = {"errorMessage": "caught", "stackTrace": f"Traceback\n{error}", "statusCode": 430}
    done = InvocationResult(
        "r", 430 if error else 200, 1, 1, result=result, error=failure if error else None
    )
    return ReplayedCase(Case(Path("a.json"), {}, entry), done)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("case", "unexpected"),
    [
        (replayed(None, {"Outcome": "applied"}), []),
        (replayed(None, {"Outcome": "rejected"}), ["expected no error"]),
        (replayed(None, error="KeyError: 1"), ["expected no error"]),
        (
            replayed({"Outcome": "rejected"}, {"Outcome": "applied"}),
            ["expected rejected, got applied"],
        ),
        (
            replayed({"Codes": ["B", "A"]}, {"Errors": [{"Code": "C"}]}),
            ["expected code A, B, got code C"],
        ),
        (replayed({"Codes": []}, {"Errors": [{"Code": "C"}]}), ["expected no code, got code C"]),
        (replayed({"Outcome": "KeyError"}, error="KeyError: 1"), []),
        (replayed({"Outcome": "ReadTimeout"}, error=READ_TIMEOUT), []),
        (replayed({"Outcome": "requests.exceptions.ReadTimeout"}, error=READ_TIMEOUT), []),
        (
            replayed({"Outcome": "urllib3.exceptions.ReadTimeout"}, error=READ_TIMEOUT),
            ["expected urllib3.exceptions.ReadTimeout, got raised requests.exceptions.ReadTimeout"],
        ),
        (replayed({"Outcome": "KeyError"}, {"n": 1}), ["expected KeyError, got returned"]),
        (replayed({"Result": {"n": 1}}, {"n": 1, "m": 2}), []),
        (replayed({"Result": {"n": 1}}, {"n": 2}), ["Result/n: expected 1, got 2"]),
        (
            replayed({"Result": {"n": 1}}, error="KeyError: 1"),
            ["expected a result, got raised KeyError"],
        ),
        (
            replayed({"Outcome": "applied", "Result": 1}, error="KeyError: 1"),
            ["expected applied, got raised KeyError"],
        ),
        (
            replayed({"Outcome": "planned", "Codes": ["A"], "Result": {"n": 1}}, {"n": "x"}),
            [
                "expected planned, got returned",
                "expected code A, got no code",
                'Result/n: expected 1, got "x"',
            ],
        ),
    ],
)
def test_unexpected(case: ReplayedCase, unexpected: list[str]) -> None:
    """Each way in which an event did not end as expected is named, also in the JSON output."""
    assert case.unexpected == unexpected
    assert case.as_expected is not bool(unexpected)
    assert document_of(case).get("Unexpected", []) == unexpected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a log of two runs and a file of events."""
    text = "".join(
        f'START RequestId:{run}\nevent: {{"n": 1}}\nEND RequestId:{run}\n'
        for run in ("abcdef01-1", "abcdef02-2")
    )
    (tmp_path / "run.jsonl").write_text(text)
    (tmp_path / "a.json").write_text("[{}, {}]")
    return tmp_path


def replay(*arguments: object) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


@pytest.mark.parametrize("given_id", ["abcdef02", "abcdef02-2"])
def test_expectation_of_a_run(folder: Path, given_id: str) -> None:
    """An entry may name a run by the beginning of its request id."""
    expected = {f"run.jsonl:{given_id}": {"Outcome": "raised"}}
    (folder / "expected.json").write_text(json.dumps(expected))
    cases = read_cases([folder / "run.jsonl"]).events
    assert [case.expected for case in cases] == [None, {"Outcome": "raised"}]


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"run.jsonl:abcdef": {"Outcome": "raised"}}, "begins 2 request ids; did you mean run.jso"),
        ({"run.jsonl:abcdef2": {"Outcome": "raised"}}, "event not found; did you mean run.jsonl:a"),
        ({"run.jsonl:abcde": {"Outcome": "raised"}}, "event not found; did you mean run.jsonl:abc"),
        ({"a.json": {"Outcome": "Applied"}}, "an exception, such as ValueError; did you mean appl"),
        ({"a.json": {"Outcome": "keyError"}}, 'Outcome "keyError" is not one of applied, '),
        ({"a.json": {"Outcome": 1}}, "Outcome 1 is not one of applied, "),
        ({"a.json": {}}, "is {}; must be an object with Outcome, Codes or Result"),
    ],
)
def test_invalid_entries(folder: Path, expected: object, message: str) -> None:
    """An entry that cannot be right is an error that says what is allowed."""
    (folder / "expected.json").write_text(json.dumps(expected))
    result = replay(folder / "a.json", folder / "run.jsonl", "--list")
    assert result.exit_code == 2
    assert message in result.stderr


def test_equal_labels(folder: Path) -> None:
    """Runs whose request ids begin alike are shown with their whole names."""
    lines = replay(folder / "run.jsonl", folder / "a.json", "--list").stdout.splitlines()
    assert [line.split()[2] for line in lines] == [
        *(f"{folder / 'run.jsonl'}:{run}" for run in ("abcdef01-1", "abcdef02-2")),
        *("a.json:1", "a.json:2"),
    ]
    only = read_cases([folder / "run.jsonl"]).only(["abcdef01"])
    assert [case.request_id for case in only] == ["abcdef01-1"]


def summary(**fields: Any) -> RunSummary:  # noqa: ANN401 - RunSummary's
    """A run without codes."""
    return RunSummary("applied", codes=frozenset(), **fields)


@pytest.mark.parametrize(
    ("logged", "actual", "expected"),
    [
        (
            summary(images={"x/i": "changed"}, written={"x/i": {"ImageName": "a", "Tag t": "1"}}),
            summary(images={"x/i": "changed"}, written={"x/i": {"ImageName": "b"}}),
            ['x/i ImageName: "a" → "b"', 'x/i Tag t: "1" → nothing'],
        ),
        (
            summary(images={"x/i": "changed"}),
            summary(images={"x/i": "changed"}, written={"x/i": {"ImageName": "b"}}),
            [],
        ),
        (
            summary(result={"count": 3, "id": "run r-1", "at": [1]}, request_id="r-1"),
            summary(result={"count": 4, "id": "run r-2", "at": [1, 2]}, request_id="r-2"),
            ["Result/count: 3 → 4", "Result/at/1: nothing → 2"],
        ),
        (summary(), summary(result=1), []),
        (summary(result=None), summary(result=1), ["Result: null → 1"]),
        (summary(result={"Outcome": "applied"}), summary(result={"Outcome": "x"}), []),
    ],
)
def test_fields(logged: RunSummary, actual: RunSummary, expected: list[str]) -> None:
    """What was written to images and what was returned are compared, as far as the log has it."""
    assert logged.differences(actual) == expected


UNKNOWN = RunSummary("unknown")
UNFINISHED = RunSummary("raised", error="image_steward.errors.Unfinished: pending: 1 of 2")
BAD = {"Outcome": "rejected", "Errors": [{"Code": "Bad"}]}


@pytest.mark.parametrize(
    ("logged", "result", "error", "expectation"),
    [
        (UNFINISHED, {"Outcome": "applied"}, "", {"Outcome": "applied"}),
        (UNFINISHED, BAD, "", {"Outcome": "unfinished"}),
        (UNFINISHED, None, UNFINISHED.error, {"Outcome": "unfinished"}),
        (UNKNOWN, BAD, "", {"Outcome": "rejected", "Codes": ["Bad"]}),
        (UNKNOWN, None, "a.b.Busy: 1", {"Outcome": "a.b.Busy"}),
        (RunSummary("timeout"), None, "KeyError: 1", {"Outcome": "timeout"}),
        (RunSummary("raised", error="the end of a message"), BAD, "", {"Outcome": "raised"}),
        (RunSummary("returned"), None, "KeyError: 1", None),
        (RunSummary("returned", result=1), None, "KeyError: 1", {"Outcome": "returned"}),
        (RunSummary("done"), None, "KeyError: 1", None),
        (
            RunSummary("rejected", codes=frozenset({"B", "A"})),
            BAD,
            "",
            {"Outcome": "rejected", "Codes": ["A", "B"]},
        ),
        (RunSummary("rejected"), BAD, "", {"Outcome": "rejected", "Codes": ["Bad"]}),
        (RunSummary("rejected"), None, "KeyError: 1", {"Outcome": "rejected"}),
    ],
)
def test_expectation_by_the_log(
    logged: RunSummary, result: object, error: str, expectation: object
) -> None:
    """A success is expected as replayed, a failure by the log, as far as the log has it."""
    done = replayed(None, result, error).invocation
    case = Case(Path("x.log"), {}, event_id="r-1", logged=logged)
    assert ReplayedCase(case, done, from_invocation(done, [b""])).expectation == expectation
