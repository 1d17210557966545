"""An event of a replay, as the report's page shows it. Pure."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from scf_local.changes import ABSENT, changes_of
from scf_local.environment import trigger_of
from scf_local.report.results import Result
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from scf_local.replay import ReplayedCase

MAX_BLOCK = 64 * 1024
"""Characters of a log, a stack trace or a JSON value that are shown."""

_TONES = {
    "applied": "good", "changed": "good",
    "planned": "info",
    "partial": "warn", "rejected": "warn", "pending": "warn",
    "failed": "bad", "raised": "bad", "timeout": "bad", "memory": "bad", "exited": "bad",
}  # fmt: skip
_LABEL = 40
_MESSAGE = 4096
_SHARED = 3
"""Characters that two values have in common at an end before only the rest is marked."""


class Badge(NamedTuple):
    """A word and the kind of news that it is."""

    text: str
    tone: str


class Diff(NamedTuple):
    """A change cut into what both values begin with, what differs, what both end with."""

    name: str
    head: str
    before: str
    after: str
    tail: str


class Trouble(NamedTuple):
    """An entry of `Errors` or `Warnings`."""

    source: str
    code: str
    path: str
    message: str


@dataclass(frozen=True)
class Image:
    """An entry of `Images`."""

    image_id: str
    region: str
    status: Badge
    source: str
    why: str
    request_ids: str
    diffs: list[Diff]


@dataclass(frozen=True)
class Row:
    """An event, and all that came of it; `rest` holds the JSON of what has no place of its own."""

    number: int
    name: str
    trigger: str
    outcome: Badge
    as_expected: bool
    expected: str
    then: str
    """How it ended by the log that it comes from, and what is otherwise now."""
    note: str
    duration: str
    memory: str
    request_id: str
    summary: dict[str, int]
    images: list[Image]
    errors: list[Trouble]
    warnings: list[Trouble]
    failure: str
    trace: str
    rest: list[tuple[str, str]]
    log: str


def badge(word: object) -> Badge:
    """An outcome or a status, also one that only a foreign function knows."""
    text = printable(word, _LABEL)
    return Badge(text or "(empty)", _TONES.get(text, "quiet"))


def rows_of(replayed: Iterable[ReplayedCase], logs: Iterable[bytes]) -> Iterator[Row]:
    """A row for each event; files are named from the folder that they have in common."""
    replayed = list(replayed)
    folders = {str(each.case.path.parent) for each in replayed}
    common = os.path.commonpath([os.path.abspath(folder) for folder in folders]) if folders else ""  # noqa: PTH100 - as commonpath, it only looks at the text
    for number, (each, log) in enumerate(zip(replayed, logs, strict=True), 1):
        case, name = each.case, os.path.relpath(each.case.path, common)
        yield _row(number, f"{name}:{case.event_id}" if case.event_id else name, each, log)


def block(text: str) -> str:
    """Lines of text, harmless and cut to a length that a page bears."""
    shown = "\n".join(
        printable(line.expandtabs(), MAX_BLOCK) for line in text[:MAX_BLOCK].splitlines()
    )
    return f"{shown}\n… cut here, of {len(text):,} characters" if len(text) > MAX_BLOCK else shown


def duration(milliseconds: float) -> str:
    """A time for people."""
    if milliseconds < 10_000:  # noqa: PLR2004 - from ten seconds on, milliseconds tell nobody anything
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds / 1000:,.1f} s"


def _row(number: int, name: str, each: ReplayedCase, log: bytes) -> Row:
    done = each.invocation
    error = done.error or {}
    result = Result() if error else Result.of(done.result)
    images = [_image(entry) for entry in result.images]
    errors, warnings = _troubles(result.errors), _troubles(result.warnings)
    failure = f"{done.status} {error['errorMessage']}" if error else ""
    trace = str(error.get("stackTrace") or "")
    return Row(
        number=number,
        name=printable(name),
        trigger=trigger_of(each.case.event),
        outcome=badge(done.outcome),
        as_expected=each.as_expected,
        expected=each.expected,
        then=printable("; ".join(each.comparison), _MESSAGE),
        note=printable(each.note or _counted(result.summary)),
        duration=duration(done.duration_ms),
        memory=f"{done.memory_mb:,.0f} MB",
        request_id=done.request_id,
        summary=result.summary,
        images=images,
        errors=errors,
        warnings=warnings,
        failure=printable(failure, _MESSAGE),
        trace=block(trace),
        rest=[(printable(title), block(_json(value))) for title, value in result.rest],
        log=block(log.decode("utf-8", "replace")),
    )


def _image(entry: dict[str, Any]) -> Image:
    why = [f"{entry['Code']}: {entry.get('Message', '')}"] if "Code" in entry else []
    why += [str(entry["Reason"])] if "Reason" in entry else []
    return Image(
        image_id=printable(entry.get("ImageId", "")),
        region=printable(entry.get("Region", "")),
        status=badge(entry.get("Status", "")),
        source=printable(entry.get("Source", ""), _MESSAGE),
        why=printable("; ".join(why), _MESSAGE),
        request_ids=printable(" ".join(map(str, entry.get("RequestIds", []))), _MESSAGE),
        diffs=[_diff(*each) for each in changes_of(entry) if each.before != each.after],
    )


def _diff(name: str, before: str, after: str) -> Diff:
    if ABSENT in {before, after}:
        return Diff(name, "", before, after, "")
    start = _shared(before, after)
    was, will = before[start:], after[start:]
    end = _shared(was[::-1], will[::-1])
    tail = was[len(was) - end :]
    return Diff(name, before[:start], was.removesuffix(tail), will.removesuffix(tail), tail)


def _shared(one: str, other: str) -> int:
    """How many characters both begin with, or 0 if they are too few to be worth a mark."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))
    return same if same >= _SHARED else 0


def _troubles(entries: Iterable[dict[str, Any]]) -> list[Trouble]:
    names = [name.capitalize() for name in Trouble._fields]
    return [
        Trouble(*(printable(entry.get(name, ""), _MESSAGE) for name in names)) for entry in entries
    ]


def _counted(summary: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name.lower()}" for name, count in summary.items() if count)


def _json(value: object) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "(nested too deep to be shown)"
