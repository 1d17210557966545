"""Renders the report as one HTML page."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from scf_local.changes import Diff, changes_of, diff_of
from scf_local.environment import FunctionConfig, trigger_of
from scf_local.pages.rendering import Badge, badge, render
from scf_local.replay import ReplayedCase
from scf_local.report.results import ResultParts, rules_of
from scf_local.report.series import HEIGHT, MAX_SERIES, WIDTH, series_of
from scf_local.terminal_text import listed


@dataclass(frozen=True)
class Replay:
    """What the page shows; `calls` is None if the cloud that was called does not record them."""

    function: FunctionConfig
    replayed: Sequence[ReplayedCase]
    logs: Sequence[bytes]
    calls: Sequence[dict[str, Any]] | None
    started: float
    ended: float


@dataclass(frozen=True)
class EventRow:
    """An event, what the page calls it, the parts of its result, and its log."""

    number: int
    name: str
    event: ReplayedCase
    result: ResultParts
    log: bytes

    @property
    def note(self) -> str:
        """How often it was delivered, and its error or the number of images by status."""
        summary = self.result.summary.items()
        counts = ", ".join(f"{count:,} {name.lower()}" for name, count in summary if count)
        deliveries = f"{self.event.attempts} deliveries" if self.event.attempts > 1 else ""
        return "; ".join(filter(None, [deliveries, self.event.note or counts]))


def page_of(replay: Replay) -> Iterator[str]:
    """Render the page in chunks."""
    rows = sorted(rows_of(replay.replayed, replay.logs), key=_by_interest)
    events = replay.replayed
    calls = replay.calls or []
    length = max(replay.ended - replay.started, 0.001)
    statuses = Counter[Badge]()
    for row in rows:
        statuses.update({badge(name.lower()): n for name, n in row.result.summary.items()})
    return render(
        Path(__file__).parent,
        started=datetime.fromtimestamp(replay.started, timezone.utc),
        function=replay.function,
        rows=rows,
        outcomes=Counter(badge(event.invocation.outcome) for event in events).most_common(),
        statuses=statuses.most_common(),
        triggers=sorted({trigger_of(event.case.event) for event in events}),
        took=f"{length:,.1f} s",
        knows_calls=replay.calls is not None,
        calls=len(calls),
        failed=sum(call["Outcome"] != "ok" or "Fault" in call for call in calls),
        series=list(series_of(calls, replay.started, replay.started + length)),
        max_series=MAX_SERIES,
        width=WIDTH,
        height=HEIGHT,
        diffs_of=diffs_of,
        duration=duration,
        json_of=json_of,
        listed=listed,
        rules_of=rules_of,
        trigger_of=trigger_of,
    )


def _by_interest(row: EventRow) -> int:
    """Where a row belongs: what is unexpected comes first, then what differs from the log."""
    return row.event.as_expected and (1 if row.event.differences else 2)


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
        yield EventRow(number, name, event, result, log)


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
