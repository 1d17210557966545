"""Events to replay, how they ended, and how that compares with `expected.json` and the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scf_local.environment import trigger_of
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from scf_local.invocation import InvocationResult
    from scf_local.run_summary import RunSummary

EXPECTED = "expected.json"
OUTCOMES = (
    "applied", "planned", "partial", "rejected", "ignored", "unfinished", "returned",
    "raised", "timeout", "memory", "exited",
)  # fmt: skip
UNFINISHED = "Unfinished"
"""The exception that a run raises after it has logged the outcome `unfinished`."""
_SHORT_ID = 8


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

    @property
    def name(self) -> str:
        """Path, and the event's id."""
        return f"{self.path}:{self.event_id}" if self.event_id else str(self.path)

    @property
    def label(self) -> str:
        """The name without folders, and with a shortened request id."""
        event_id = self.event_id[:_SHORT_ID] if self.logged else self.event_id
        return f"{self.path.name}:{event_id}" if event_id else self.path.name

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

    @property
    def differences(self) -> list[str]:
        """The differences from the log, as text."""
        logged, actual = self.case.logged, self.actual
        return logged.differences(actual) if logged and actual else []

    @property
    def as_expected(self) -> bool:
        """If nothing is expected: whether `scf-local invoke` would exit with status 0."""
        expected = self.case.expected
        if expected is None:
            return self.invocation.exit_status == 0
        codes = expected.get("Codes")
        has_codes = codes is None or set(codes) == codes_of(self.invocation.result)
        outcomes = {self.invocation.outcome}
        if self.invocation.error and exception_of(self.note) == UNFINISHED:
            outcomes.add(UNFINISHED.lower())  # as the function's log calls it
        return expected["Outcome"] in outcomes and has_codes

    @property
    def expected(self) -> str:
        """The expected outcome, as text."""
        entry = self.case.expected or {"Outcome": "no error"}
        codes = ", ".join(entry.get("Codes", [])) or "no code"
        return f"{entry['Outcome']} with {codes}" if "Codes" in entry else str(entry["Outcome"])

    @property
    def comparison(self) -> list[str]:
        """The differences from the log, or that there are none; empty without a log."""
        logged = self.case.logged
        return (self.differences or [f"same: {logged.outcome}"]) if logged else []

    @property
    def note(self) -> str:
        """The error that was raised, or the first error or image with a code; else empty."""
        if self.invocation.error is not None:
            return last_line(self.invocation.error)
        result = self.invocation.result
        for entry in (*entries_of(result, "Errors"), *entries_of(result, "Images")):
            if "Code" in entry:
                return f"{entry['Code']}: {entry.get('Message', '')}"
        return ""


def codes_of(result: object) -> frozenset[str]:
    """All `Code`s in the `Errors` and `Images` of a result."""
    entries = [*entries_of(result, "Errors"), *entries_of(result, "Images")]
    return frozenset(str(entry["Code"]) for entry in entries if "Code" in entry)


def entries_of(value: object, name: str) -> list[dict[str, Any]]:
    """The objects in the list that is a member of a result; empty if it is malformed."""
    entries = value.get(name) if isinstance(value, dict) else None
    entries = entries if isinstance(entries, list) else []
    return [entry for entry in entries if isinstance(entry, dict)]


def last_line(error: dict[str, Any]) -> str:
    """The last line of the traceback, or SCF's message, in SCF's reply to a failed run."""
    lines = str(error.get("stackTrace") or error.get("errorMessage", "")).splitlines()
    return lines[-1] if lines else ""


def exception_of(line: str) -> str:
    """The class of the exception in the last line of a traceback."""
    return line.partition(":")[0].rpartition(".")[2][:60]


def document_of(replayed: ReplayedCase) -> dict[str, Any]:
    """A replayed event as JSON values."""
    case, invocation = replayed.case, replayed.invocation
    comparison = {
        "Then": case.logged and case.logged.document,
        "Changed": bool(replayed.differences),
        "Differences": replayed.differences,
    }
    error, result = invocation.error, invocation.result
    return {
        "Event": case.name,
        "Outcome": invocation.outcome,
        "Expected": case.expected,
        "AsExpected": replayed.as_expected,
        **(comparison if case.logged else {}),
        **({"Error": error} if error else {"Result": result}),
        **({"Attempts": replayed.attempts} if replayed.attempts > 1 else {}),
        "DurationMs": round(invocation.duration_ms, 1),
    }


def listing_of(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """The events to replay as JSON values."""
    return [
        {
            "Number": case.number,
            "Event": case.name,
            "Trigger": trigger_of(case.event),
            "Expected": case.expected,
            **({"Then": case.logged.document} if case.logged else {}),
        }
        for case in cases
    ]


def line_of(case: Case) -> str:
    """An event to replay as a line: number, trigger, name, and how it ended by the log."""
    logged = case.logged
    end = (logged.outcome, logged.error, logged.note) if logged else ()
    more = "".join(f"  {printable(part, 80)}" for part in end if part)
    return f"{case.number:>5}  {trigger_of(case.event):<6}  {printable(case.label)}{more}"
