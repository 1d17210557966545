"""The events of a replay as rows of the report's page. Pure."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from scf_local.changes import Diff, changes_of, diff_of
from scf_local.replay import ReplayedCase
from scf_local.report.results import ResultParts


@dataclass(frozen=True)
class EventRow:
    """An event, what the page calls it, the parts of its result, and its log."""

    number: int
    name: str
    event: ReplayedCase
    result: ResultParts
    log: str

    @property
    def note(self) -> str:
        """How often it was delivered, and its error or the number of images by status."""
        summary = self.result.summary.items()
        counts = ", ".join(f"{count:,} {name.lower()}" for name, count in summary if count)
        deliveries = f"{self.event.attempts} deliveries" if self.event.attempts > 1 else ""
        return "; ".join(filter(None, [deliveries, self.event.note or counts]))


def rows_of(replayed: Iterable[ReplayedCase], logs: Iterable[bytes]) -> Iterator[EventRow]:
    """Yield a row for each event; file names are relative to their common folder."""
    replayed = list(replayed)
    folders = {str(event.case.path.parent) for event in replayed}
    common = os.path.commonpath([os.path.abspath(folder) for folder in folders]) if folders else ""  # noqa: PTH100 - lexical, as commonpath
    for number, (event, log) in enumerate(zip(replayed, logs, strict=True), 1):
        case, name = event.case, os.path.relpath(event.case.path, common)
        event_id = case.short_id if case.is_alone else case.event_id
        name = f"{name}:{event_id}" if event_id else name
        done = event.invocation
        result = ResultParts() if done.error else ResultParts.of(done.result)
        yield EventRow(number, name, event, result, log.decode("utf-8", "replace"))


def duration(milliseconds: float) -> str:
    """Format a duration for people."""
    if milliseconds < 10_000:  # noqa: PLR2004 - nobody needs milliseconds above ten seconds
        return f"{milliseconds:,.0f} ms"
    return f"{milliseconds / 1000:,.1f} s"


def diffs_of(image: dict[str, Any]) -> list[Diff]:
    """What differs between `Before` and `After` of an entry of `Images`."""
    return [diff_of(change) for change in changes_of(image) if change.before != change.after]


def json_of(value: object) -> str:
    """Return the JSON of a value for people."""
    try:
        return json.dumps(value, ensure_ascii=False, indent=2)
    except RecursionError:
        return "(nested too deeply to be shown)"
