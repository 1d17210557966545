"""`scf-local replay --extract`: replayed events become test cases; and events from stdin."""

from __future__ import annotations

import gzip
import json
import os
from contextlib import suppress
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

import cls_export
from conftest import SEED
from scf_local import run_summary
from scf_local.cli import main
from scf_local.environment import FunctionConfig
from scf_local.events import cos_event
from scf_local.extraction import extracting
from scf_local.invocation import InvocationResult, WarmInstance
from scf_local.log_records import from_text
from scf_local.options import serving
from scf_local.replay import Case, ReplayedCase

if TYPE_CHECKING:
    from collections.abc import Iterable

BROKEN = """
import json
class Busy(Exception): pass
def main_handler(event, context):
    print("event:", json.dumps(event))
    how = event.get("how")
    if how == "raise":
        raise KeyError("size")
    if how == "busy":
        raise Busy("a: b")
    if how == "reject":
        return {"Outcome": "rejected", "Errors": [{"Code": "Bad"}]}
    return {"Outcome": how or "applied"}
"""
FIXED = """
def main_handler(event, context):
    return {"Outcome": "applied"}
"""
EVENTS = [{"how": how} for how in ("raise", "busy", "reject", "planned", "own")]
UPLOAD = cos_event("b-1250000000", "in/a b.json")


def write(path: Path, content: object) -> Path:
    """Write a file; anything but text is written as JSON."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return path


def exported(root: Path, source: str, events: Iterable[object]) -> Path:
    """A log of runs of a function."""
    log: list[bytes] = []
    records: list[cls_export.Fields] = []
    code = write(root / "logged" / "index.py", source).parent
    with (
        serving(SEED, None) as environ,
        WarmInstance(FunctionConfig(code, cloud=environ), log.append) as instance,
    ):
        for number, event in enumerate(events):
            log.clear()
            done = instance.invoke(event)
            records += cls_export.fields(b"".join(log), done, cls_export.BEGIN + number)
    return write(root / "export.jsonl", "\n".join(map(json.dumps, records)))


def replay(root: Path, source: str, *arguments: object, stdin: bytes | None = None) -> Result:
    """Run the command with a function."""
    code = write(root / "code" / "index.py", source).parent
    return CliRunner().invoke(
        main, ["replay", "--code", str(code), *map(str, arguments)], input=stdin
    )


def content(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON in a file."""
    return json.loads(path.read_text("utf-8"))


def test_with_the_broken_code(tmp_path: Path) -> None:
    """Failures that were reproduced are expected, so the folder is green with the broken code."""
    log, cases = exported(tmp_path, BROKEN, EVENTS), tmp_path / "cases"
    result = replay(tmp_path, BROKEN, log, "--extract", cases)
    assert result.exit_code == 1
    assert f"scf-local: {cases}: 5 events, expected.json\n" in result.stderr
    expected = content(cases / "expected.json")
    by_event = {content(cases / name)["how"]: entry for name, entry in expected.items()}
    assert by_event == {
        "raise": {"Outcome": "KeyError"},
        "busy": {"Outcome": "index.Busy"},
        "reject": {"Outcome": "rejected", "Codes": ["Bad"]},
        "planned": {"Outcome": "planned"},
    }  # "own" is not an outcome that can be expected
    assert len(list(cases.iterdir())) == 6
    assert replay(tmp_path, BROKEN, cases).exit_code == 0
    assert replay(tmp_path, FIXED, cases).exit_code == 1


def test_with_the_fixed_code(tmp_path: Path) -> None:
    """Failures that are fixed are expected to succeed, so the broken code makes the folder red."""
    log, cases = exported(tmp_path, BROKEN, EVENTS[:3]), tmp_path / "cases"
    result = replay(tmp_path, FIXED, log, "--extract", cases)
    assert result.exit_code == 0
    assert (
        f"{cases}: 3 events, expected.json; 3 of them ended otherwise by the log: expected as "
        "replayed now" in result.stderr
    )
    assert replay(tmp_path, FIXED, cases).exit_code == 0
    assert replay(tmp_path, BROKEN, cases).stdout.endswith("0 of 3 events as expected\n")


@pytest.mark.parametrize("event", EVENTS[:4], ids=[event["how"] for event in EVENTS[:4]])
def test_failure_that_is_not_reproduced(tmp_path: Path, event: object) -> None:
    """If a run ends with another failure than the log says, the logged end is expected."""
    log, cases = exported(tmp_path, BROKEN, [event]), tmp_path / "cases"
    other = 'def main_handler(event, context): raise OSError("no such object")'
    assert replay(tmp_path, other, log, "--extract", cases).exit_code == 1
    assert replay(tmp_path, other, cases).exit_code == 1
    assert replay(tmp_path, BROKEN, cases).exit_code == 0


def test_names_of_files(tmp_path: Path) -> None:
    """A file is named after the function and the run, or after the event's file."""
    log = exported(tmp_path, BROKEN, [UPLOAD])
    run = json.loads(log.read_text().partition("\n")[0])["SCF_RequestId"]
    several = write(tmp_path / "名 [x].json", [{"n": 1}, {"n": 2}])
    write(tmp_path / "deep.jsonl", '[{"n": 1}]\n')
    files = [log, several, write(tmp_path / "one.json", {}), tmp_path / "deep.jsonl"]
    replay(tmp_path, FIXED, *files, "--extract", tmp_path / "cases")
    names = {path.name for path in (tmp_path / "cases").iterdir()}
    assert names == {
        *("expected.json", f"steward-{run[:6]}.json", "x-1.json", "x-2.json", "one.json"),
        "deep-1.jsonl",
    }
    result = replay(tmp_path, FIXED, tmp_path / "cases")
    assert result.stdout.endswith("5 of 5 events as expected\n")


def test_uploads_lose_their_signature(tmp_path: Path) -> None:
    """The signature and the token of an upload are replaced; everything else is the same."""
    token = {"Authorization": 'q-sign-algorithm=sha1&q-signature=f"', "x-cos-security-token": "t0k"}
    event = json.loads(json.dumps(UPLOAD))
    event["Records"][0]["event"]["requestParameters"]["requestHeaders"] = token
    url = event["Records"][0]["cos"]["cosObject"]["url"]
    event["Records"][0]["cos"]["cosObject"]["url"] = f"{url}?q-signature=f00&x=1"
    direct = {"headers": {"Authorization": "Bearer x"}}
    files = [write(tmp_path / "a.json", event), write(tmp_path / "b.json", direct)]
    replay(tmp_path, FIXED, *files, "--extract", tmp_path / "cases")
    headers = event["Records"][0]["event"]["requestParameters"]["requestHeaders"]
    headers |= dict.fromkeys(token, "removed")
    event["Records"][0]["cos"]["cosObject"]["url"] = f"{url}?q-signature=removed&x=1"
    assert content(tmp_path / "cases" / "a.json") == event
    assert content(tmp_path / "cases" / "b.json") == direct


def test_existing_folder(tmp_path: Path) -> None:
    """Other entries and files stay; the same event again is one file, another gets another name."""
    cases, event = tmp_path / "cases", write(tmp_path / "a.json", {"n": 1})
    entry = {"Outcome": "applied"}
    write(cases / "expected.json", {"old.json": {"Outcome": "raised"}})
    write(cases / "old.json", {})
    write(tmp_path / "expected.json", {"a.json": entry})
    for _ in range(2):
        replay(tmp_path, FIXED, event, "--extract", cases)
        expected = {"old.json": {"Outcome": "raised"}, "a.json": entry}
        assert content(cases / "expected.json") == expected
    write(event, {"n": 2})
    replay(tmp_path, FIXED, event, "--extract", cases)
    assert content(cases / "expected.json") == {**expected, "a-2.json": entry}
    assert [content(cases / name) for name in ("a.json", "a-2.json")] == [{"n": 1}, {"n": 2}]
    (tmp_path / "expected.json").unlink()
    replay(tmp_path, FIXED, event, "--extract", cases)
    assert content(cases / "expected.json") == {**expected, "a-2.json": entry}


def test_equal_events_stay_apart(tmp_path: Path) -> None:
    """Two events with the same content are two files, as each may have its own entry."""
    files = [write(tmp_path / folder / "a.json", {}) for folder in ("x", "y")]
    replay(tmp_path, FIXED, *files, "--extract", tmp_path / "cases")
    assert {path.name for path in (tmp_path / "cases").iterdir()} == {
        *("expected.json", "a.json", "a-2.json"),
    }


def test_event_named_as_the_expectations(tmp_path: Path) -> None:
    """An event is never written to expected.json."""
    event = write(tmp_path / "expected.event", {"n": 1})
    replay(tmp_path, FIXED, event, "--extract", tmp_path / "cases")
    assert content(tmp_path / "cases" / "expected.json") == {}
    assert content(tmp_path / "cases" / "expected-2.json") == {"n": 1}


def test_only_replayed_events_are_written(tmp_path: Path) -> None:
    """Events that --only or --until-failure leaves out are not written."""
    events = write(tmp_path / "e.json", EVENTS)
    arguments = [events, "--until-failure", "--extract", tmp_path / "cases"]
    replay(tmp_path, BROKEN, *arguments, "--only", "4", "--only", "3", "--only", "5")
    assert {path.name for path in (tmp_path / "cases").iterdir()} == {
        *("expected.json", "e-3.json"),
    }


def test_interrupted(tmp_path: Path) -> None:
    """However the replay ends, the events that were replayed have their entries."""
    case = Case(tmp_path / "a.json", {}, {"Outcome": "applied"})
    done = InvocationResult("r", 200, 1.0, 1.0, result={"Outcome": "applied"})
    with suppress(SystemExit), extracting(tmp_path / "cases") as write_case:
        write_case(ReplayedCase(case, done))
        raise SystemExit(130)
    assert content(tmp_path / "cases" / "expected.json") == {"a.json": {"Outcome": "applied"}}
    with suppress(SystemExit), extracting(tmp_path / "none"):
        raise SystemExit(130)
    assert not list((tmp_path / "none").iterdir())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--list"], "--list replays nothing to report or extract; remove it, or the other"),
        ([], "expected.json: gone.json: event not found"),
    ],
)
def test_wrong_usage(tmp_path: Path, arguments: list[str], message: str) -> None:
    """What cannot be extracted is wrong usage, before anything runs."""
    write(tmp_path / "cases" / "expected.json", {"gone.json": {"Outcome": "applied"}})
    event = write(tmp_path / "a.json", {})
    result = replay(tmp_path, FIXED, event, "--extract", tmp_path / "cases", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert not (tmp_path / "cases" / "a.json").exists()


ECHO = "def main_handler(event, context): return event"


@pytest.mark.parametrize(
    ("stdin", "events"),
    [
        (b'{"n": 1}', {"stdin": {"n": 1}}),
        (b'{"n": 1}\n\n{"n": 2}\n', {"stdin:1": {"n": 1}, "stdin:3": {"n": 2}}),
        (b'[{"n": 1}, {"n": 2}]', {"stdin:1": {"n": 1}, "stdin:2": {"n": 2}}),
        (gzip.compress(b'{"n": 1}', mtime=0), {"stdin": {"n": 1}}),
        ('{"n": "名"}'.encode("utf-16"), {"stdin": {"n": "名"}}),
        (
            b'START RequestId:r-1234567\nevent: {"n": 1}\nEND RequestId:r-1234567\n',
            {"stdin:r-1234567": {"n": 1}},
        ),
    ],
)
def test_stdin(tmp_path: Path, stdin: bytes, events: dict[str, object]) -> None:
    """Events come from stdin in any format that a file may have."""
    result = replay(tmp_path, ECHO, "-", "--json", stdin=stdin)
    entries = {entry["Event"]: entry["Result"] for entry in json.loads(result.stdout)}
    assert entries == events


def test_stdin_among_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stdin may be one of several paths; it is neither a file of that name nor in its folder."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "stdin", {"n": 3})
    write(tmp_path / "a.json", {"n": 1})
    write(tmp_path / "expected.json", {"stdin": {"Outcome": "raised"}})
    result = replay(tmp_path, ECHO, "a.json", "-", "stdin", "--json", stdin=b'{"n": 2}')
    entries = json.loads(result.stdout)
    assert [entry["Result"]["n"] for entry in entries] == [1, 2, 3]
    assert [entry["Expected"] for entry in entries] == [None, None, {"Outcome": "raised"}]


@pytest.mark.parametrize(
    ("arguments", "stdin", "message"),
    [
        (["-", "-"], b"{}", "- is given twice, but standard input can be read only once"),
        (["-"], b"", "stdin:1:1: not JSON: it is empty"),
        (["-"], b'{"n": tru}', "stdin:1:7: not JSON: expecting value"),
        (["-"], b"\x1f\x8b1", "stdin: gzip that is damaged or cut off"),
        (["gone.json"], b"{}", "Path 'gone.json' does not exist"),
    ],
)
def test_wrong_stdin(tmp_path: Path, arguments: list[str], stdin: bytes, message: str) -> None:
    """What is wrong with the input is named."""
    result = replay(tmp_path, ECHO, *arguments, stdin=stdin)
    assert result.exit_code == 2
    assert message in result.stderr


def _multi_line(name: str, text: str, *more: str) -> dict[str, Any]:
    frame = '  File "/code/index.py", line 3, in main_handler\n    raise error\n'
    trace = f"Traceback (most recent call last):\n{frame}{name}: {text}"
    return {"stackTrace": "\n".join([trace, *more]), "statusCode": 430}


@pytest.mark.parametrize("more", [("KeyError: name",), ("  indented: line",), ("", "a: b")])
def test_exception_with_several_lines(more: tuple[str, ...]) -> None:
    """The class of an exception is that of the traceback's end, whatever lines its text has."""
    error = _multi_line("pkg.Invalid", "1 problem", *more)
    done = InvocationResult("r", 430, 1, 1, error=error)
    replayed = ReplayedCase(Case(Path("a.json"), {}, {"Outcome": "Invalid"}), done)
    assert replayed.note == "pkg.Invalid: 1 problem"
    assert replayed.unexpected == []
    wrong = changed(replayed, case=changed(replayed.case, expected={"Outcome": "KeyError"}))
    assert wrong.unexpected == ["expected KeyError, got raised pkg.Invalid"]


def test_codes_of_a_run_that_raised() -> None:
    """No error code is not what a run without a result has."""
    done = InvocationResult("r", 430, 1, 1, error=_multi_line("KeyError", "x"))
    replayed = ReplayedCase(Case(Path("a.json"), {}, {"Codes": []}), done)
    assert replayed.unexpected == ["expected a result, got raised KeyError"]


@pytest.mark.parametrize(
    ("logged", "now", "codes"), [([], ["B"], []), (["A"], ["B"], ["A"]), (["A"], ["A"], ["A"])]
)
def test_extracted_codes(logged: list[str], now: list[str], codes: list[str]) -> None:
    """An entry has the codes of the log, even if there are none: another failure stays red."""

    def result(names: list[str]) -> dict[str, Any]:
        errors = [{"Code": name} for name in names]
        return {"RequestId": "r", "Outcome": "rejected", "Images": [], "Errors": errors}

    done = InvocationResult("r", 200, 1, 1, result=result(now))
    run = run_summary.from_invocation(
        InvocationResult("r", 200, 1, 1, result=result(logged)), [b""]
    )
    case = Case(Path("a.log"), {}, event_id="r", logged=run)
    replayed = ReplayedCase(case, done, run_summary.from_invocation(done, [b""]))
    assert replayed.expectation == {"Outcome": "rejected", "Codes": codes}


@pytest.mark.parametrize(
    ("logged", "now", "difference"),
    [
        (None, {"a": 1}, 'Result: null → {"a": 1}'),
        ({"Outcome": 5}, {"Outcome": 6}, "Result/Outcome: 5 → 6"),
        ({"n": 1}, {"n": 2}, "Result/n: 1 → 2"),
    ],
)
def test_other_results(logged: object, now: object, difference: str) -> None:
    """A returned value that the log has is compared, even null."""
    records = from_text(
        f"START RequestId:r\nResponse RequestId:r RetMsg:{json.dumps(logged)}\nEND RequestId:r"
    )
    actual = run_summary.from_invocation(InvocationResult("s", 200, 1, 1, result=now), [b""])
    assert run_summary.from_log([records]).differences(actual) == [difference]


SECRETS = {
    "requestHeaders": {
        "Authorization": ["q-ak=AKIDx&q-signature=deadbeef"],
        "X-Ci-Security-Token": "TOKEN",
        "x-cos-meta-note": json.dumps({"authorization": "deadbeef", "n": 1}),
    },
    "url": "https://b/k?x=1&q-signature=deadbeef&x-cos-security-token=TOKEN&y=2",
    "encoded": "q-ak%3DAKIDx%26q-signature%3Ddeadbeef%26y%3D2",
}


def test_no_form_of_a_signature_is_extracted(tmp_path: Path) -> None:
    """What signs an upload is removed from lists, JSON in texts and encoded URLs, and no more."""
    event = write(tmp_path / "a.json", {"Records": [SECRETS]})
    replay(tmp_path, FIXED, event, "--extract", tmp_path / "cases")
    text = (tmp_path / "cases/a.json").read_text("utf-8")
    assert not [secret for secret in ("AKIDx", "deadbeef", "TOKEN") if secret in text]
    (record,) = json.loads(text)["Records"]
    assert json.loads(record["requestHeaders"]["x-cos-meta-note"])["n"] == 1
    assert record["url"].endswith("&y=2")
    assert record["encoded"].endswith("%26y%3D2")


def test_what_no_file_of_events_holds(tmp_path: Path) -> None:
    """A logged event that `replay` cannot read from a file is left out, with a message."""
    log = exported(tmp_path, BROKEN, [{"RequestId": "x", "Outcome": "a", "Images": []}, {"n": 1}])
    result = replay(tmp_path, FIXED, log, "--extract", tmp_path / "cases")
    assert "not extracted: a result, not an event" in result.stderr
    assert replay(tmp_path, FIXED, tmp_path / "cases").stdout.endswith(
        "1 of 1 events as expected\n"
    )


def test_what_is_there_stays(tmp_path: Path) -> None:
    """Neither pipes, nor links, nor entries that were written by hand are touched."""
    cases, event = tmp_path / "cases", write(tmp_path / "a.json", {"n": 1})
    cases.mkdir()
    os.mkfifo(cases / "a.json")
    (cases / "a-2.json").symlink_to(tmp_path / "outside.json")
    replay(tmp_path, FIXED, event, "--extract", cases)
    assert not (tmp_path / "outside.json").exists()
    assert content(cases / "a-3.json") == {"n": 1}
    (cases / "a.json").unlink()
    (cases / "a-2.json").unlink()
    (cases / "a-3.json").rename(cases / "a.json")
    write(cases / "expected.json", {"a.json": {"Result": {"n": 5}}})
    replay(tmp_path, FIXED, event, "--extract", cases)
    assert content(cases / "expected.json") == {"a.json": {"Result": {"n": 5}}}
