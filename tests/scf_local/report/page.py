"""Renders the report as one HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from image_steward.model import STATUSES
from scf_local.differences import listed
from scf_local.environment import FunctionConfig, trigger_of
from scf_local.pages.rendering import Badge, badge, render
from scf_local.replay import ReplayedCase
from scf_local.report.results import rules_of
from scf_local.report.rows import diffs_of, duration, json_of, rows_of
from scf_local.report.series import HEIGHT, MAX_SERIES, WIDTH, series_of

_BAR = 100.0


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
class Share:
    """The number of items with a badge, and their segment of the bar in percent."""

    badge: Badge
    count: int
    start: float
    width: float


def page_of(replay: Replay) -> Iterator[str]:
    """Render the page in chunks."""
    rows = list(rows_of(replay.replayed, replay.logs))
    events = [row.event for row in rows]
    calls = replay.calls or []
    length = max(replay.ended - replay.started, 0.001)
    images = Counter(
        {
            badge(name.lower()): sum(row.result.summary.get(name, 0) for row in rows)
            for name in STATUSES
        }
    )
    return render(
        Path(__file__).parent,
        started=datetime.fromtimestamp(replay.started, timezone.utc),
        function=replay.function,
        rows=sorted(
            rows, key=lambda row: row.event.as_expected and (1 if row.event.differences else 2)
        ),
        any_logged=any(event.case.logged for event in events),
        expected=sum(event.as_expected for event in events),
        outcomes=list(_shares(Counter(badge(event.invocation.outcome) for event in events))),
        statuses=list(_shares(images)),
        triggers=sorted({trigger_of(event.case.event) for event in events}),
        took=f"{length:,.1f} s",
        slowest=max(rows, key=lambda row: row.event.invocation.duration_ms),
        peak=max(event.invocation.memory_mb for event in events),
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


def _shares(counts: Counter[Badge]) -> Iterator[Share]:
    total, start = counts.total() or 1, 0.0
    for label, count in counts.most_common():
        width = _BAR * count / total
        yield Share(label, count, round(start, 3), round(width, 3))
        start += width
