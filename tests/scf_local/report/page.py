"""Renders the report as one HTML page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from image_steward.model import STATUSES
from scf_local.environment import FunctionConfig
from scf_local.pages.parts import Badge, badge
from scf_local.pages.rendering import render
from scf_local.replay import ReplayedCase
from scf_local.report.rows import rows_of
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
    calls = replay.calls or []
    length = max(replay.ended - replay.started, 0.001)
    images = Counter(
        {badge(name.lower()): sum(row.summary.get(name, 0) for row in rows) for name in STATUSES}
    )
    dones = [replayed.invocation for replayed in replay.replayed]
    slowest = max(range(len(dones)), key=lambda index: dones[index].duration_ms)
    return render(
        Path(__file__).parent,
        started=datetime.fromtimestamp(replay.started, timezone.utc),
        function=replay.function,
        rows=sorted(rows, key=lambda row: row.as_expected and (1 if row.differences else 2)),
        any_logged=any(row.logged for row in rows),
        expected=sum(row.as_expected for row in rows),
        outcomes=list(_shares(Counter(row.outcome for row in rows))),
        statuses=list(_shares(images)),
        triggers=sorted({row.trigger for row in rows}),
        took=f"{length:,.1f} s",
        slowest=rows[slowest],
        peak=max(done.memory_mb for done in dones),
        knows_calls=replay.calls is not None,
        calls=len(calls),
        failed=sum(call["Outcome"] != "ok" or "Fault" in call for call in calls),
        series=list(series_of(calls, replay.started, replay.started + length)),
        max_series=MAX_SERIES,
        width=WIDTH,
        height=HEIGHT,
    )


def _shares(counts: Counter[Badge]) -> Iterator[Share]:
    total, start = counts.total() or 1, 0.0
    for label, count in counts.most_common():
        width = _BAR * count / total
        yield Share(label, count, round(start, 3), round(width, 3))
        start += width
