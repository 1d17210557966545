"""Charts of API calls over time and their limits, one for each action in each region. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from scf_local.cloud.dispatcher import SERVICES

LIMITS = {
    name: action.per_second
    for service in SERVICES.values()
    for name, action in service.actions.items()
}
"""Calls per second that the emulated cloud allows; COS has no limit."""

WIDTH, HEIGHT = 360, 36
MAX_SERIES = 60
"""Charts that are drawn, more than Image Steward needs."""

_TOP = 4
"""Space above the highest value."""
_CROSS = 5
"""Width of a cross; failures that are closer together share a cross."""


@dataclass(frozen=True)
class Series:
    """The calls of an action in a region, counted over the last second, as the API does."""

    action: str
    region: str
    limit: int | None
    calls: int
    failures: list[tuple[str, int]]
    busiest: int
    area: str
    limit_at: float
    crosses: str


def series_of(calls: Iterable[dict[str, Any]], start: float, end: float) -> Iterator[Series]:
    """Yield the series by action and region, on an axis from `start` to `end` (epoch seconds)."""
    groups: defaultdict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for call in calls:
        groups[str(call["Action"]), str(call["Region"])].append(call)
    for (action, region), group in islice(sorted(groups.items()), MAX_SERIES):
        times = sorted(call["Time"] - start for call in group)
        limit = LIMITS.get(action)
        levels = _levels(times, end - start)
        busiest = max(levels)
        scale = (HEIGHT - _TOP) / max(busiest, limit or 0)
        failures = [call for call in group if call["Outcome"] != "ok" or "Fault" in call]
        yield Series(
            action=action or "(none)",
            region=region or "—",
            limit=limit,
            calls=len(group),
            failures=Counter(map(_code, failures)).most_common(),
            busiest=busiest,
            area=_area(levels, scale),
            limit_at=round(HEIGHT - (limit or 0) * scale, 1),
            crosses=_crosses((call["Time"] - start) / (end - start) for call in failures),
        )


def _code(call: dict[str, Any]) -> str:
    outcome, fault = str(call["Outcome"]), call.get("Fault")
    return f"{outcome} ({fault})" if fault and outcome == "ok" else outcome


def _levels(times: Sequence[float], length: float) -> list[int]:
    """Return for each column of the chart the most calls in any second that ends in it."""

    def count(end: float) -> int:
        # A call counts for less than a second: one at `end - 1` does not.
        return bisect_right(times, end) - bisect_right(times, end - 1)

    levels = [count(column * length / WIDTH) for column in range(WIDTH)]
    for time in times:
        column = min(max(0, int(time / length * WIDTH)), WIDTH - 1)
        levels[column] = max(levels[column], count(time))
    return levels


def _area(levels: Sequence[int], scale: float) -> str:
    path, last = f"M0 {HEIGHT}", 0
    for column, level in enumerate(levels):
        if level != last:
            path += f"H{column}V{round(HEIGHT - level * scale, 1):g}"
            last = level
    return f"{path}H{WIDTH}V{HEIGHT}Z"


def _crosses(positions: Iterable[float]) -> str:
    columns = {int(position * WIDTH / _CROSS) for position in positions}
    size = _CROSS - 1
    lefts = [min(column * _CROSS, WIDTH - size) for column in sorted(columns)]
    return "".join(f"M{left} 1l{size} {size}m0-{size}l-{size} {size}" for left in lefts)
