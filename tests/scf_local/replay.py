"""Events to replay, how they ended, and how that compares with `expected.json` and the log."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scf_local.differences import NOTHING, differences
from scf_local.environment import trigger_of
from scf_local.invocation import InvocationResult
from scf_local.log_records import MIN_PREFIX
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from scf_local.run_summary import RunSummary

EXPECTED = "expected.json"
OUTCOMES = (
    "applied", "planned", "partial", "rejected", "ignored", "unfinished", "returned",
    "raised", "timeout", "memory", "exited",
)  # fmt: skip
UNFINISHED = "Unfinished"
"""The exception that a run raises after it has logged the outcome `unfinished`."""
_EXCEPTION = re.compile(r"[A-Z]\w*|[^\W\d]\w*(\.\w+)+")


@dataclass(frozen=True)
class Case:
    """An event to replay, and its entry in `expected.json`."""

    path: Path
    event: Any
    expected: dict[str, Any] | None = None
    event_id: str = ""
    """Identifies the event in its file: number of the line or element, or request id."""
    logged: RunSummary | None = None
    """How it ended by the log, if it is from one."""
    number: int = 0
    """Position among all events to replay, from 1."""
    is_alone: bool = True
    """Whether no other event has the same short name."""

    @property
    def name(self) -> str:
        """Path, and the event's id."""
        return f"{self.path}:{self.event_id}" if self.event_id else str(self.path)

    @property
    def short_id(self) -> str:
        """The event's id, or the beginning of a request id."""
        return self.event_id[:MIN_PREFIX] if self.logged else self.event_id

    @property
    def label(self) -> str:
        """The name without folders and with a shortened request id, if no other event has it."""
        if not self.is_alone:
            return self.name
        return f"{self.path.name}:{self.short_id}" if self.event_id else self.path.name

    @property
    def request_id(self) -> str:
        """Request id of the logged run, if the event is from a log."""
        return self.logged.request_id if self.logged else ""


@dataclass(frozen=True)
class ReplayedCase:
    """A case and its invocation."""

    case: Case
    invocation: InvocationResult
    actual: RunSummary | None = None
    """How it ended, to compare with the log; only for an event from a log."""
    attempts: int = 1
    """How often it was delivered; the invocation is the last one."""

    @cached_property
    def differences(self) -> list[str]:
        """The differences from the log, as text."""
        logged, actual = self.case.logged, self.actual
        return logged.differences(actual) if logged and actual else []

    @property
    def as_expected(self) -> bool:
        """If nothing is expected: whether `scf-local invoke` would exit with status 0."""
        return not self.unexpected

    @cached_property
    def unexpected(self) -> list[str]:
        """Why it is not as expected, as text; empty if it is."""
        entry, done = self.case.expected, self.invocation
        if entry is None:
            return ["expected no error"] * bool(done.exit_status)
        names = _names_of(done.outcome, last_line(done.error))
        ended = " ".join([done.outcome, *names[2:3]])
        outcome, codes = entry.get("Outcome"), entry.get("Codes")
        lines = [] if outcome in {None, *names} else [f"expected {outcome}, got {ended}"]
        actual = codes_of(done.result)
        if codes is not None and set(codes) != actual:
            lines.append(f"expected {coded(codes)}, got {coded(actual)}")
        if done.error and not lines and ("Result" in entry or outcome is None):
            lines.append(f"expected a result, got {ended}")
        elif "Result" in entry and not done.error:
            lines += differences(entry["Result"], done.result, partial=True)
        return lines

    @property
    def expectation(self) -> dict[str, Any] | None:
        """The entry for `expected.json`: how it ended by the log, if it has not succeeded now.

        If the log does not say it, or the replay is the same: as replayed. An event that is not
        from a log keeps its entry.
        """
        logged, done = self.case.logged, self.invocation
        if not logged:
            return self.case.expected
        is_same = not done.exit_status or not self.differences
        run = self.actual if is_same and self.actual else logged
        codes = codes_of(done.result) if is_same else run.codes
        outcome = next(filter(is_outcome, reversed(_names_of(run.outcome, run.error))), "")
        if not outcome or (outcome == "returned" and run.result is NOTHING):
            return None
        entry: dict[str, Any] = {"Outcome": outcome}
        if codes is not None and outcome in {"rejected", "partial"}:
            entry["Codes"] = sorted(codes)
        # One with the request id cannot be reproduced.
        if not is_same and run.result is not NOTHING and run.request_id not in str(run.result):
            entry["Result"] = run.result
        return entry

    @property
    def note(self) -> str:
        """The error that was raised, or the first error or image with a code; else empty."""
        if self.invocation.error is not None:
            return last_line(self.invocation.error)
        entry = next(_coded_entries(self.invocation.result), None)
        return f"{entry['Code']}: {entry.get('Message', '')}" if entry else ""


def codes_of(result: object) -> frozenset[str]:
    """All `Code`s in the `Errors` and `Images` of a result."""
    return frozenset(str(entry["Code"]) for entry in _coded_entries(result))


def _coded_entries(result: object) -> Iterator[dict[str, Any]]:
    entries = (*entries_of(result, "Errors"), *entries_of(result, "Images"))
    return (entry for entry in entries if "Code" in entry)


def entries_of(value: object, name: str) -> list[dict[str, Any]]:
    """The objects in the list that is a member of a result; empty if it is malformed."""
    entries = value.get(name) if isinstance(value, dict) else None
    entries = entries if isinstance(entries, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def last_line(error: object) -> str:
    """The exception of the traceback, or SCF's message, in SCF's reply to a failed run.

    Of an exception whose text has several lines, it is the first one.
    """
    reply = error if isinstance(error, dict) else {}
    lines = str(reply.get("stackTrace") or reply.get("errorMessage", "")).splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    after = (line for line in lines[frames[-1] :] if line[:1] != " ") if frames else iter(())
    return next(after, lines[-1] if lines else "")


def class_of(line: str) -> str:
    """The class of the exception in the last line of a traceback, with its module."""
    return line.partition(":")[0][:200]


def _names_of(outcome: str, line: str) -> list[str]:
    """What `expected.json` may call an outcome, the best name last; `line` ends the traceback."""
    if outcome != "raised" or not (name := class_of(line)):
        return [outcome]
    short = name.rpartition(".")[2]
    # The function's log calls this exception an outcome.
    return [outcome, short, name, *([short.lower()] if short == UNFINISHED else [])]


def is_outcome(value: object) -> bool:
    """Whether a value is an outcome, or the class of an exception."""
    name = value if isinstance(value, str) else ""
    is_exception = _EXCEPTION.fullmatch(name) and name.lower() not in OUTCOMES
    return name in OUTCOMES or bool(is_exception)


def coded(codes: Iterable[str]) -> str:
    """Codes as text."""
    return f"code {', '.join(sorted(codes))}" if codes else "no code"


def document_of(replayed: ReplayedCase) -> dict[str, Any]:
    """A replayed event as JSON values."""
    case, invocation = replayed.case, replayed.invocation
    then, differences = case.logged and case.logged.document, replayed.differences
    comparison = {"Then": then, "Changed": bool(differences), "Differences": differences}
    error, result = invocation.error, invocation.result
    return {
        "Event": case.name,
        "Outcome": invocation.outcome,
        "Expected": case.expected,
        "AsExpected": replayed.as_expected,
        **({"Unexpected": replayed.unexpected} if replayed.unexpected else {}),
        **(comparison if case.logged else {}),
        **({"Error": error} if error else {"Result": result}),
        **({"Attempts": replayed.attempts} if replayed.attempts > 1 else {}),
        "DurationMs": round(invocation.duration_ms, 1),
    }


def listing_of(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """The events to replay as JSON values."""
    return [
        {"Number": case.number, "Event": case.name, "Trigger": trigger_of(case.event)}
        | {"Expected": case.expected, **({"Then": case.logged.document} if case.logged else {})}
        for case in cases
    ]


def line_of(case: Case) -> str:
    """An event to replay as a line: number, trigger, name, and how it ended by the log."""
    logged = case.logged
    end = (logged.outcome, logged.error, logged.note) if logged else ()
    more = "".join(f"  {printable(part, 80)}" for part in end if part)
    return f"{case.number:>5}  {trigger_of(case.event):<6}  {printable(case.label)}{more}"
