"""The events of a replay as rows of the report's page. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scf_local.changes import Diff, changes_of, diff_of
from scf_local.differences import listed
from scf_local.environment import trigger_of
from scf_local.pages.parts import MAX_MESSAGE, Badge, Problem, badge, problems_of
from scf_local.replay import ReplayedCase
from scf_local.report.results import ResultParts, rules_of
from scf_local.terminal_text import printable

MAX_BLOCK = 64 * 1024
"""Characters shown of a log, a stack trace or a JSON value."""


@dataclass(frozen=True)
class ImageRow:
    """An entry of `Images`."""

    image_id: str
    region: str
    status: Badge
    source: str
    why: str
    request_ids: str
    diffs: list[Diff]


@dataclass(frozen=True)
class EventRow:
    """An event and its result; `rest` has a title and the JSON of everything else in the result."""

    number: int
    name: str
    trigger: str
    outcome: Badge
    as_expected: bool
    unexpected: list[str]
    logged: str
    """The outcome in the log that the event is from, and its note."""
    logged_id: str
    differences: list[str]
    """Those from the log."""
    note: str
    duration: str
    memory: str
    request_id: str
    summary: dict[str, int]
    images: list[ImageRow]
    errors: list[Problem]
    warnings: list[Problem]
    rules: list[tuple[str, str]]
    failure: str
    trace: str
    rest: list[tuple[str, str]]
    log: str


def rows_of(replayed: Iterable[ReplayedCase], logs: Iterable[bytes]) -> Iterator[EventRow]:
    """Yield a row for each event; file names are relative to their common folder."""
    replayed = list(replayed)
    folders = {str(event.case.path.parent) for event in replayed}
    common = os.path.commonpath([os.path.abspath(folder) for folder in folders]) if folders else ""  # noqa: PTH100 - lexical, as commonpath
    for number, (event, log) in enumerate(zip(replayed, logs, strict=True), 1):
        case, name = event.case, os.path.relpath(event.case.path, common)
        event_id = case.short_id if case.is_alone else case.event_id
        yield _row(number, f"{name}:{event_id}" if event_id else name, event, log)


def block(text: str) -> str:
    """Return lines of text without control characters, cut to `MAX_BLOCK` characters."""
    shown = "\n".join(
        printable(line.expandtabs(), MAX_BLOCK) for line in text[:MAX_BLOCK].splitlines()
    )
    return f"{shown}\n… cut here, of {len(text):,} characters" if len(text) > MAX_BLOCK else shown


def duration(milliseconds: float) -> str:
    """Format a duration for people."""
    if milliseconds < 10_000:  # noqa: PLR2004 - nobody needs milliseconds above ten seconds
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds / 1000:,.1f} s"


def _row(number: int, name: str, event: ReplayedCase, log: bytes) -> EventRow:
    done = event.invocation
    error = done.error or {}
    result = ResultParts() if error else ResultParts.of(done.result)
    images = [_image(entry) for entry in result.images]
    rules = rules_of(result.rules)
    errors, warnings = problems_of(result.errors), problems_of(result.warnings)
    case, logged = event.case, event.case.logged
    ended = (logged.outcome, logged.note) if logged else ()
    failure = f"{done.status} {error['errorMessage']}" if error else ""
    deliveries = f"{event.attempts} deliveries" if event.attempts > 1 else ""
    trace = str(error.get("stackTrace") or "")
    return EventRow(
        number=number,
        name=printable(name),
        trigger=trigger_of(case.event),
        outcome=badge(done.outcome),
        as_expected=event.as_expected,
        unexpected=[printable(line, MAX_MESSAGE) for line in listed(event.unexpected)],
        logged=printable("; ".join(filter(None, ended)), MAX_MESSAGE),
        logged_id=printable(case.request_id),
        differences=[printable(line, MAX_MESSAGE) for line in listed(event.differences)],
        note=printable(
            "; ".join(filter(None, [deliveries, event.note or _counts(result.summary)]))
        ),
        duration=duration(done.duration_ms),
        memory=f"{done.memory_mb:,.0f} MB",
        request_id=done.request_id,
        summary=result.summary,
        images=images,
        errors=errors,
        warnings=warnings,
        rules=[(printable(name), printable(rule, MAX_MESSAGE)) for name, rule in rules],
        failure=printable(failure, MAX_MESSAGE),
        trace=block(trace),
        rest=[(printable(title), block(_json(value))) for title, value in result.rest],
        log=block(log.decode("utf-8", "replace")),
    )


def _image(entry: dict[str, Any]) -> ImageRow:
    why = [f"{entry['Code']}: {entry.get('Message', '')}"] if "Code" in entry else []
    why += [str(entry["Reason"])] if "Reason" in entry else []
    return ImageRow(
        image_id=printable(entry.get("ImageId", "")),
        region=printable(entry.get("Region", "")),
        status=badge(entry.get("Status", "")),
        source=printable(entry.get("Source", ""), MAX_MESSAGE),
        why=printable("; ".join(why), MAX_MESSAGE),
        request_ids=printable(" ".join(map(str, entry.get("RequestIds", []))), MAX_MESSAGE),
        diffs=[diff_of(change) for change in changes_of(entry) if change.before != change.after],
    )


def _counts(summary: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.lower()}" for name, count in summary.items() if count)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "(nested too deeply to be shown)"
