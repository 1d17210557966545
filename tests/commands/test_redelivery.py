"""`scf-local replay --retries`: what fails is delivered again, as SCF does it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from conftest import ROOT
from scf_local.cli import main
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.environment import FunctionConfig
from scf_local.replay import Case
from scf_local.replay_runner import RETRIES, replay_cases

if TYPE_CHECKING:
    from pathlib import Path

HANDLER = """
import os, time
path, ids = "/tmp/deliveries", set()
def main_handler(event, context):
    with open(path, "a") as file:
        file.write("x")
    ids.add(context["request_id"])
    print("delivery", os.path.getsize(path))
    if os.path.getsize(path) < event["Until"]:
        {failure}
    return {{"Outcome": "applied", "Ids": len(ids)}}
"""
RAISES = "raise RuntimeError('busy')"


def _timer(until: int) -> dict[str, Any]:
    return {"Type": "Timer", "TriggerName": "t", "Until": until}


def _replay(folder: Path, event: object, *options: str, failure: str = RAISES) -> Result:
    (folder / "code").mkdir()
    (folder / "code/index.py").write_text(HANDLER.format(failure=failure), encoding="utf-8")
    (folder / "event.json").write_text(json.dumps(event), encoding="utf-8")
    command = ["replay", str(folder / "event.json"), "--code", str(folder / "code"), "--json"]
    return CliRunner().invoke(main, [*command, "--retries", *options])


@pytest.mark.parametrize(("until", "attempts"), [(1, 1), (2, 2), (3, 3)])
def test_retries_until_success(tmp_path: Path, until: int, attempts: int) -> None:
    """An event is delivered up to twice more, under the same request id, until its run succeeds."""
    result = _replay(tmp_path, _timer(until), "--logs")
    (replayed,) = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (replayed["Outcome"], replayed["AsExpected"]) == ("applied", True)
    assert replayed.get("Attempts", 1) == attempts
    assert replayed["Result"]["Ids"] == 1
    ids = re.findall(r"^START RequestId:(\S+)", result.stderr, re.MULTILINE)
    assert len(ids) == attempts
    assert len(set(ids)) == 1
    assert re.findall(r"delivery (\d)", result.stderr) == [str(n + 1) for n in range(attempts)]


def test_report_has_the_number_of_deliveries(tmp_path: Path) -> None:
    """The report says how often an event was delivered before its run succeeded."""
    _replay(tmp_path, _timer(3), "--report", str(tmp_path / "report.html"))
    assert ">3 deliveries<" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_retries_end(tmp_path: Path) -> None:
    """After three deliveries it is not delivered again: the last one counts."""
    result = _replay(tmp_path, _timer(9))
    (replayed,) = json.loads(result.stdout)
    assert (result.exit_code, replayed["Outcome"], replayed["Attempts"]) == (1, "raised", 3)


@pytest.mark.parametrize(
    ("failure", "options", "seen"),
    [
        ("time.sleep(9)", ("--timeout", "0.3"), ["1", "1", "1"]),
        ("os._exit(1)", (), ["1", "1", "1"]),
        (RAISES, ("--cold",), ["1", "1", "1"]),
        (RAISES, (), ["1", "2", "3"]),
        ("return {'Outcome': 'rejected'}", (), ["1"]),
    ],
)
def test_what_is_retried(
    tmp_path: Path, failure: str, options: tuple[str, ...], seen: list[str]
) -> None:
    """Every failed run is repeated, in a new instance if the old one has ended; no result is."""
    result = _replay(tmp_path, _timer(9), *options, failure=failure)
    assert re.findall(r"delivery (\d)", result.stderr) == seen


@pytest.mark.parametrize("event", [{"Until": 9}, {**_timer(9), "Message": "x" * (128 << 10)}])
def test_what_is_not_retried(tmp_path: Path, event: object) -> None:
    """Neither direct calls, whose callers get the error, nor events that SCF does not accept."""
    (replayed,) = json.loads(_replay(tmp_path, event).stdout)
    assert (replayed["Outcome"], replayed.get("Attempts", 1)) == ("raised", 1)


def test_retries_of_our_own_function() -> None:
    """A redelivery labels the image that the first one could not, a minute later by the cloud."""
    path = ROOT / "events/01-upload-old-shape.json"
    fault = Rule("ModifyImageAttribute", "error", code="AuthFailure.TokenFailure", calls=(1, 2))
    state = State.from_folder(ROOT / "events/seed")
    with EmulatedCloud(state, faults=Faults(rules=(fault,))) as cloud:
        config = FunctionConfig(ROOT / "handler", cloud=cloud.environment())
        case = Case(path, json.loads(path.read_bytes()))
        ((replayed, log),) = replay_cases(config, [case], retries=RETRIES)
    assert (replayed.attempts, replayed.invocation.outcome) == (2, "applied")
    assert log.count(b'"Event":"run.finished"') == 2
    times = [call["Time"] for call in state.calls if call["Action"] == "GetObject"]
    assert [round(time - times[0], -1) for time in times] == [0, 60]
