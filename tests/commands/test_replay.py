"""`scf-local replay`: many events, expectations, table and JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len
from rich.console import Console

from scf_local import json_files
from scf_local.cases import read_cases
from scf_local.cli import main
from scf_local.invocation import InvocationResult
from scf_local.replay import Case, ReplayedCase
from scf_local.replay_table import printed
from scf_local.run_summary import UNKNOWN, RunSummary

HANDLER = """
import os
count = 0
def main_handler(event, context):
    global count
    count += 1
    print("log line of", event["Name"])
    if event.get("Raise"):
        raise RuntimeError("busy [bold]名\\x1b[31m")
    if event.get("Exit"):
        os._exit(5)
    return {"Outcome": event["Outcome"], "Count": count,
            "Summary": {"Changed": 1, "Unchanged": 22, "Failed": 333},
            "Errors": event.get("Errors", []), "Images": event.get("Images", [])}
"""
REJECTED = {"Outcome": "rejected", "Errors": [{"Code": "InvalidDocument", "Message": "no 名" * 99}]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of events next to a function and a seed."""
    for name, content in {
        "code/index.py": HANDLER,
        "seed/images.json": "{}",
        "events/notes.txt": "no event",
    }.items():
        path = tmp_path / name
        path.parent.mkdir()
        path.write_text(content, encoding="utf-8")
    return tmp_path / "events"


def _events(folder: Path, expected: object = None, **events: dict[str, Any]) -> None:
    for name, event in events.items():
        content = json.dumps({"Name": name, **event})
        (folder / f"{name}.json").write_text(content, encoding="utf-8")
    if expected is not None:
        (folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")


def _replay(folder: Path, *arguments: str) -> Result:
    root = folder.parent
    options = ["--code", str(root / "code"), "--seed", str(root / "seed"), *arguments]
    paths = [] if any(argument.endswith(".json") for argument in arguments) else [str(folder)]
    return CliRunner().invoke(main, ["replay", *options, *paths])


def test_all_as_expected(folder: Path) -> None:
    """Expected failures count as successes: status 0, a row for each event, and no logs."""
    expected = {
        "b.json": {"Outcome": "rejected", "Codes": ["InvalidDocument"]},
        "c.json": {"Outcome": "raised"},
    }
    _events(folder, expected, b=REJECTED, c={"Raise": True}, a={"Outcome": "applied"})
    result = _replay(folder)
    assert result.exit_code == 0
    assert not result.stderr
    rows = [line.split("│")[1:] for line in result.stdout.splitlines() if ".json" in line]
    cells = [[cell.strip() for cell in row] for row in rows]
    heads = [head.strip() for head in result.stdout.splitlines()[1].split("┃")[1:-1]]
    assert heads == [
        "Event", "Trigger", "Outcome", "Changed", "Unchanged", "Failed", "As expected?",
        "Error or note",
    ]  # fmt: skip
    assert [row[:7] for row in cells] == [
        ["a.json", "direct", "applied", "1", "22", "333", "yes"],
        ["b.json", "direct", "rejected", "1", "22", "333", "yes"],
        ["c.json", "direct", "raised", "", "", "", "yes"],
    ]
    assert cells[1][7].startswith("InvalidDocument: no 名")
    assert result.stdout.endswith("3 of 3 events as expected\n")


def test_wide_text_keeps_the_table(folder: Path) -> None:
    """With wide characters, markup and control characters, all rows have the same width."""
    _events(
        folder, {"名字[b].json": {"Outcome": "raised"}}, **{"名字[b]": {"Raise": True}}, b=REJECTED
    )
    result = _replay(folder)
    table = [line for line in result.stdout.splitlines() if line[0] in "┏┃┡│└"]
    assert len(table) == 6
    assert {cell_len(line) for line in table} == {140}
    assert "名字[b].json" in result.stdout
    assert "busy [bold]名�[31m" in result.stdout
    assert "\x1b" not in result.stdout


@pytest.mark.parametrize("outcome", ["unfinished", "raised"])
def test_unfinished(folder: Path, outcome: str) -> None:
    """A run that raises `Unfinished` may be expected by that name, too: its log says it."""
    code = "class Unfinished(Exception): pass\ndef main_handler(event, _): raise Unfinished('2')\n"
    (folder.parent / "code" / "index.py").write_text(code, encoding="utf-8")
    _events(folder, {"a.json": {"Outcome": outcome}}, a={})
    result = _replay(folder, "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)[0]["Outcome"] == "raised"


@pytest.mark.parametrize(
    ("entry", "event"),
    [
        (None, REJECTED),
        (None, {"Raise": True}),
        ({"Outcome": "applied"}, REJECTED),
        ({"Outcome": "rejected", "Codes": ["InvalidJSON"]}, REJECTED),
        ({"Outcome": "rejected", "Codes": []}, REJECTED),
        ({"Outcome": "rejected", "Codes": ["InvalidDocument", "InvalidJSON"]}, REJECTED),
        ({"Outcome": "raised"}, {"Outcome": "applied"}),
        ({"Outcome": "raised"}, {"Exit": True}),
        ({"Outcome": "unfinished"}, {"Raise": True}),
        (None, {"Outcome": "unfinished"}),
    ],
)
def test_unexpected_is_shown(folder: Path, entry: object, event: dict[str, Any]) -> None:
    """An unexpected outcome ends with status 1, is marked, and shows its own log only."""
    expected = {} if entry is None else {"bad.json": entry}
    _events(folder, expected, bad=event, good={"Outcome": "ignored"})
    result = _replay(folder)
    assert result.exit_code == 1
    row, name, reason, *_ = [
        line for line in result.stdout.splitlines()[3:] if line[:1] != "└" and "good" not in line
    ]
    assert " no " in row
    assert name == "bad.json"
    assert reason.startswith("  expected ")
    assert "1 of 2 events as expected" in result.stdout
    assert "log line of bad" in result.stderr
    assert "log line of good" not in result.stderr


def test_codes_come_from_errors_and_images(folder: Path) -> None:
    """The codes of the errors and the images are compared as a set."""
    event = {
        "Outcome": "partial",
        "Errors": [{"Code": "A"}, {"Code": "A"}],
        "Images": [{"Code": "B"}, {}],
    }
    _events(folder, {"x.json": {"Outcome": "partial", "Codes": ["B", "A"]}}, x=event)
    assert _replay(folder).exit_code == 0


def test_json_output(folder: Path) -> None:
    """`--json` prints a list with a result or an error for each event."""
    expected = {"b.json": {"Outcome": "raised"}, "c.json": {"Outcome": "exited"}}
    _events(
        folder,
        expected,
        a={"Outcome": "applied"},
        b={"Raise": True},
        c={"Exit": True},
        d={"Outcome": "planned"},
    )
    result = _replay(folder, "--json")
    a, b, c, d = json.loads(result.stdout)
    assert result.exit_code == 0
    assert a.keys() == {"Event", "Outcome", "Expected", "AsExpected", "Result", "DurationMs"}
    assert a["Event"] == str(folder / "a.json")
    assert (a["Outcome"], a["Expected"], a["AsExpected"]) == ("applied", None, True)
    assert (b["Expected"], b["AsExpected"]) == ({"Outcome": "raised"}, True)
    assert b["Error"]["statusCode"] == 430
    assert (c["Outcome"], c["Error"]["statusCode"]) == ("exited", 439)
    assert (a["Result"]["Count"], d["Result"]["Count"]) == (1, 1)  # a new instance after c
    assert all(entry["DurationMs"] >= 0 for entry in (a, b, c, d))


def test_instance_is_warm(folder: Path) -> None:
    """Events run one after another in one warm process."""
    _events(folder, a={"Outcome": "applied"}, b={"Outcome": "applied"})
    assert [entry["Result"]["Count"] for entry in json.loads(_replay(folder, "--json").stdout)] == [
        1,
        2,
    ]


def test_logs_on_request(folder: Path) -> None:
    """`--logs` prints every log on stderr, under the name of its event."""
    _events(folder, a={"Outcome": "applied"})
    result = _replay(folder, "--logs")
    assert f"--- {folder / 'a.json'}\nSTART " in result.stderr
    assert "log line of a" in result.stderr


def test_log_of_a_failure_has_its_traceback(folder: Path) -> None:
    """The log of an event that raised is followed by its traceback, before the next log."""
    _events(folder, a={"Raise": True}, b={"Raise": True})
    logs = _replay(folder).stderr.split("--- ")
    assert len(logs) == 3
    for log in logs[1:]:
        last, _, traceback = log.partition("\nTraceback (most recent call last):\n")
        assert last.splitlines()[-1].startswith("Report RequestId")
        assert traceback.endswith("\nRuntimeError: busy [bold]名\\u001b[31m\n")


def test_function_that_is_not_there(folder: Path) -> None:
    """Without the function, the first event says so, and no other is tried."""
    _events(folder, a={}, b={}, c={})
    result = _replay(folder, "--handler", "index.main")
    assert result.exit_code == 1
    assert "module 'index' has no function 'main'" in result.stdout
    assert result.stderr.endswith(
        "scf-local: Check --code (the code folder) and --handler (module.function).\n"
        "scf-local: stopped; events left: 2\n"
    )


def test_single_files_have_their_expectations(folder: Path) -> None:
    """A single file is compared with the expected.json next to it."""
    _events(folder, {"a.json": {"Outcome": "raised"}}, a={"Raise": True}, b={"Raise": True})
    assert _replay(folder, str(folder / "a.json")).exit_code == 0
    assert _replay(folder, str(folder / "b.json")).exit_code == 1


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ([], "must be an object"),
        ({"aa.json": {"Outcome": "applied"}}, "event not found; did you mean a.json?"),
        ({"a.json": {"Outcome": "aplied"}}, "did you mean applied?"),
        (
            {"a.json": {"Outcome": "applied", "Code": []}},
            "must be an object with Outcome, Codes or Result; did you mean Codes?",
        ),
        (
            {"a.json": {"Outcome": "applied", "Codes": "X"}},
            'Codes is "X"; must be a list of strings',
        ),
        ({"a.json": {"Outcome": "applied", "Codes": [1]}}, "must be a list of strings"),
        ({"a.json": "applied"}, "must be an object with Outcome, Codes or Result"),
    ],
)
def test_invalid_expectations(folder: Path, expected: object, message: str) -> None:
    """A mistake in expected.json ends with status 2 before anything runs."""
    _events(folder, expected, a={"Outcome": "applied"})
    _events(folder, b={"Outcome": "applied"})
    result = _replay(folder)
    assert result.exit_code == 2
    assert message in result.stderr
    assert result.stderr.count(f"{folder / 'expected.json'}: ") == 1


def test_unreadable_events_are_all_named(folder: Path) -> None:
    """Every event that is not JSON is reported with its position, and none runs."""
    (folder / "x.json").write_text("{", encoding="utf-8")
    (folder / "y.json").write_text('{"a": tru}', encoding="utf-8")
    result = _replay(folder)
    assert result.exit_code == 2
    assert "x.json:1:2: not JSON" in result.stderr
    assert "y.json:1:7: not JSON: expecting value" in result.stderr


def test_empty_folder_is_wrong_usage(folder: Path) -> None:
    """A folder without events is wrong usage."""
    result = _replay(folder)
    assert result.exit_code == 2
    assert "no events found" in result.stderr


def test_invalid_seed_is_wrong_usage(folder: Path) -> None:
    """An invalid seed ends with status 2 and its name, and without a traceback."""
    (folder.parent / "seed" / "images.json").write_text("{", encoding="utf-8")
    _events(folder, a={"Outcome": "applied"})
    result = _replay(folder)
    assert result.exit_code == 2
    assert "images.json" in result.stderr


def test_expectations_are_not_an_event(folder: Path) -> None:
    """The file expected.json is rejected as an event, with a message."""
    path = folder / "expected.json"
    path.write_text("{}", encoding="utf-8")
    result = CliRunner().invoke(main, ["replay", str(path)])
    assert result.exit_code == 2
    assert f"{path}: not an event" in result.stderr


def test_expectations_are_read_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The expected.json of a folder is read once, however many events there are."""
    _events(folder, {}, **{f"e{number}": {} for number in range(9)})
    paths: list[Path] = []
    original = json_files.read

    def read_and_record(path: Path) -> Any:  # noqa: ANN401 - any JSON value
        paths.append(path)
        return original(path)

    monkeypatch.setattr(json_files, "read", read_and_record)
    assert len(read_cases([folder]).events) == 9
    assert paths == [folder / "expected.json"]


NAMES = ("a/01-upload-old-shape.json", "b/01-upload-old-shape.json")


def _printed(width: int, *replays: ReplayedCase) -> list[str]:
    return printed(replays, Console(width=width)).splitlines()


def _replayed(
    name: str, result: dict[str, Any], expected: dict[str, Any] | None = None, **runs: RunSummary
) -> ReplayedCase:
    is_alone = "/" not in name
    case = Case(Path(name), {}, expected, logged=runs.get("logged"), is_alone=is_alone)
    return ReplayedCase(case, InvocationResult("r", 200, 1.0, 1.0, result=result), runs.get("now"))


@pytest.mark.parametrize("width", range(20, 140))
def test_table_of_any_width(width: int) -> None:
    """Names and verdicts are whole at any width; columns are left out, and only notes are cut."""
    errors = [{"Code": "InvalidDocument", "Message": "m" * 300}]
    result = {"Outcome": "rejected", "Summary": {"Planned": 7, "Failed": 0}, "Errors": errors}
    rows = [_replayed(name, result, {"Outcome": "rejected"}) for name in NAMES]
    lines = _printed(width, *rows)
    assert len(lines) == 6  # a frame, a head, and one line for each event
    (size,) = {cell_len(line) for line in lines}
    assert size <= max(width, 56)
    heads = [head.strip() for head in lines[1].split("┃")[1:-1]]
    full = ["Event", "Trigger", "Outcome", "Planned", "As expected?", "Error or note"]
    left_out = [head for head in full if head not in heads]
    assert left_out in ([], ["Planned"], ["Trigger", "Planned"], ["Trigger", "Planned", full[-1]])
    for line, name in zip(lines[3:5], NAMES, strict=True):
        cells = [cell.strip() for cell in line.split("│")[1:-1]]
        assert cells[0] == name
        assert {"rejected", "yes"} < {*cells}
        if "Error or note" in heads:
            assert cells[-1].startswith("InvalidDocu")
            assert cells[-1].endswith("…")


def test_table_has_room_first_for_triggers() -> None:
    """Columns are left out in the order: counts, Trigger, notes."""
    result = {"Outcome": "rejected", "Summary": {"Planned": 7}, "Errors": [{"Code": "C" * 99}]}
    row = _replayed("a.json", result, {"Outcome": "rejected"})
    heads = [_printed(width, row)[1] for width in range(30, 100)]
    shown = [
        tuple(name in head for name in ("Planned", "Trigger", "Error or note")) for head in heads
    ]
    assert list(dict.fromkeys(shown)) == [
        (False, False, False),
        (False, False, True),
        (False, True, True),
        (True, True, True),
    ]


def test_attempts_have_a_column() -> None:
    """How often an event was delivered is shown if any was delivered again."""
    once = _replayed("a.json", {"Outcome": "applied"})
    head, cells, _ = _printed(80, once, replace(once, attempts=3))[1::2]
    assert [cell.strip() for cell in head.split("┃")][3:5] == ["Outcome", "Attempts"]
    assert [cell.strip() for cell in cells.split("│")][3:5] == ["applied", ""]
    assert "Attempts" not in "".join(_printed(80, once))


def test_lines_below_the_table() -> None:
    """Each event that ends unexpectedly or not as logged has its reasons, whole and unwrapped."""
    message = "m" * 3000
    errors = [{"Code": "InvalidDocument", "Message": message}]
    rejected, applied = {"Outcome": "rejected", "Errors": errors}, {"Outcome": "applied"}
    logged = RunSummary("rejected", frozenset({"A", "B"}), {"r/img-1": "failed"})
    now = RunSummary("applied", frozenset({"A"}))
    lines = _printed(
        60,
        _replayed("same.json", rejected, {"Outcome": "rejected"}, logged=now, now=now),
        _replayed("other.json", applied, logged=logged, now=now),
        *(
            _replayed("unknown.json", applied, logged=RunSummary(outcome), now=RunSummary(outcome))
            for outcome in (UNKNOWN, "returned", "raised")
        ),
        _replayed("bad.json", rejected, {"Outcome": "ignored"}),
    )
    verdicts = [[cell.strip() for cell in line.split("│")[-3:-1]] for line in lines[3:9]]
    unknown = ["yes", "unknown"]
    assert verdicts == [["yes", "yes"], ["yes", "no"], *[unknown] * 3, ["no", ""]]
    assert lines[10:] == [
        "other.json",
        "  log: rejected → applied",
        "  log: A, B → A",
        "  log: r/img-1: failed → untouched",
        "bad.json",
        "  expected ignored, got rejected",
        f"  InvalidDocument: {message}",
    ]
