"""Many events, what is expected of each, and how the answers compare, with then too."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from scf_local.cells import cell, printable
from scf_local.environment import trigger_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from scf_local.happened import Happened
    from scf_local.invocation import Invocation

EXPECTED = "expected.json"
OUTCOMES = (
    "applied", "planned", "partial", "rejected", "ignored", "returned",
    "raised", "timeout", "memory", "exited",
)  # fmt: skip
_WIDE = 100
"""Columns from which on a table has room for everything."""
_SHORT_ID = 8


@dataclass(frozen=True)
class Case:
    """One event to replay, and its entry of `expected.json`."""

    path: Path
    event: Any
    expected: dict[str, Any] | None = None
    place: str = ""
    """Which of the events in the file: number of the line or element, or request id."""
    then: Happened | None = None
    """How it ended then, if it comes from a log."""
    number: int = 0
    """Among the events to replay, from 1."""

    @property
    def name(self) -> str:
        """The event's whole name."""
        return f"{self.path}:{self.place}" if self.place else str(self.path)

    @property
    def label(self) -> str:
        """The same, short: without folders, and with the beginning of a request id."""
        place = self.place[:_SHORT_ID] if self.then else self.place
        return f"{self.path.name}:{place}" if place else self.path.name

    @property
    def request_id(self) -> str:
        """Of the run in the log that it comes from."""
        return self.then.request_id if self.then else ""


@dataclass(frozen=True)
class Replayed:
    """A case and what came of it."""

    case: Case
    done: Invocation
    now: Happened | None = None
    """How it ended, in the terms of a log; for an event that comes from one."""

    @property
    def differences(self) -> list[str]:
        """What ended otherwise than the log says, in words."""
        then, now = self.case.then, self.now
        return then.differences(now) if then and now else []

    @property
    def as_expected(self) -> bool:
        """Without an expectation: whether `scf-local invoke` would exit with status 0."""
        expected = self.case.expected
        if expected is None:
            return self.done.exit_status == 0
        codes = expected.get("Codes")
        codes_fit = codes is None or set(codes) == codes_of(self.done.result)
        return expected["Outcome"] == self.done.outcome and codes_fit

    @property
    def expected(self) -> str:
        """What was to come of it, in words."""
        expected = self.case.expected or {"Outcome": "no error"}
        codes = ", ".join(expected.get("Codes", []))
        return f"{expected['Outcome']} with {codes}" if codes else str(expected["Outcome"])

    @property
    def since_then(self) -> list[str]:
        """What is otherwise than the log says, or that nothing is; empty without a log."""
        then = self.case.then
        return (self.differences or [f"same: {then.outcome}"]) if then else []

    @property
    def note(self) -> str:
        """What was raised, or the first error or image with a code; empty if all is well."""
        if self.done.error is not None:
            return last_line(self.done.error)
        result = self.done.result
        for entry in (*entries_of(result, "Errors"), *entries_of(result, "Images")):
            if "Code" in entry:
                return f"{entry['Code']}: {entry.get('Message', '')}"
        return ""


def codes_of(result: object) -> frozenset[str]:
    """Every `Code` in the `Errors` and `Images` of a result."""
    entries = [*entries_of(result, "Errors"), *entries_of(result, "Images")]
    return frozenset(str(entry["Code"]) for entry in entries if "Code" in entry)


def entries_of(value: object, name: str) -> list[dict[str, Any]]:
    """The objects in a member of a result that should be a list of them; never an error."""
    entries = value.get(name) if isinstance(value, dict) else None
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def last_line(error: dict[str, Any]) -> str:
    """What was raised, or SCF's message, of SCF's reply to a run that failed."""
    lines = str(error.get("stackTrace") or error.get("errorMessage", "")).splitlines()
    return lines[-1] if lines else ""


def table_of(replayed: Sequence[Replayed], width: int) -> Table:
    """The replay for people, of whom some have few columns."""
    names = Counter({(each.case.label, each.case.path) for each in replayed})
    labels = Counter(label for label, _ in names)
    wide = width >= _WIDE
    with_then = any(each.case.then for each in replayed)
    counts = () if with_then else ("Changed", "Unchanged", "Failed")
    table = Table()
    table.add_column("Event", overflow="fold")
    if wide:
        table.add_column("Trigger")
    table.add_column("Outcome", overflow="fold", min_width=max(map(len, OUTCOMES)))
    for count in counts if wide else ():
        table.add_column(count, justify="right")
    table.add_column("As expected?", overflow="fold", min_width=len("As expected?"))
    if with_then:
        table.add_column("Then → now", overflow="fold", min_width=len("Then → now"))
    table.add_column("First error or note", ratio=1, overflow="fold")
    for each in replayed:
        result = each.done.result
        summary = result.get("Summary") if isinstance(result, dict) else None
        summary = summary if isinstance(summary, dict) else {}
        table.add_row(
            cell(each.case.label if labels[each.case.label] == 1 else each.case.name),
            *([trigger_of(each.case.event)] if wide else []),
            cell(each.done.outcome),
            *(cell(summary.get(count, "")) for count in counts if wide),
            cell("yes" if each.as_expected else f"no: {each.expected}"),
            *([cell(_short(each.since_then))] if with_then else []),
            cell(each.note),
            style="" if each.as_expected else "red",
        )
    return table


def document_of(replayed: Iterable[Replayed]) -> list[dict[str, Any]]:
    """The replay for programs."""
    return [
        {
            "Event": each.case.name,
            "Outcome": each.done.outcome,
            "Expected": each.case.expected,
            "AsExpected": each.as_expected,
            **(_since_then(each) if each.case.then else {}),
            **({"Error": each.done.error} if each.done.error else {"Result": each.done.result}),
            "DurationMs": round(each.done.duration_ms, 1),
        }
        for each in replayed
    ]


def listing_of(cases: Iterable[Case]) -> list[dict[str, Any]]:
    """What would be replayed, for programs."""
    return [
        {
            "Number": case.number,
            "Event": case.name,
            "Trigger": trigger_of(case.event),
            "Expected": case.expected,
            **({"Then": case.then.document} if case.then else {}),
        }
        for case in cases
    ]


def line_of(case: Case) -> str:
    """What would be replayed, for people: number, trigger, name, and how it ended then."""
    then = case.then
    told = f"  {then.outcome}  {printable(then.error, 80)}".rstrip() if then else ""
    return f"{case.number:>5}  {trigger_of(case.event):<6}  {printable(case.label)}{told}"


def _since_then(each: Replayed) -> dict[str, Any]:
    return {
        "Then": each.case.then and each.case.then.document,
        "Changed": bool(each.differences),
        "Differences": each.differences,
    }


def _short(sentences: Sequence[str]) -> str:
    more = len(sentences) - 1
    return f"{sentences[0]} (and {more} more)" if more > 0 else "".join(sentences)
