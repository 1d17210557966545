"""What we promise about speed, in one place; `make bench` measures all of it in one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """A figure and its bound: at least `at_least`, or at most `at_most`; without one it informs."""

    name: str
    at_least: float | None = None
    at_most: float | None = None

    def is_kept_by(self, figure: float) -> bool:
        """Whether a measured figure keeps it."""
        return (self.at_least is None or figure >= self.at_least) and (
            self.at_most is None or figure <= self.at_most
        )


ALONE = Promise("120 changes, 80 ms latency: share of the limit reached", at_least=0.93)
ALONE_THROTTLES = Promise("120 changes, 80 ms latency: refused as too fast", at_most=0)
THREE_REGIONS = Promise("three regions at once: share of each one's limit, the least", at_least=0.9)
NEIGHBOUR = Promise("beside a neighbour with half of the limit: share of the limit", at_least=0.4)
NEIGHBOUR_LOST = Promise("beside a neighbour: changes lost", at_most=0)
"""Against the emulated cloud's sliding window of one second: the real limiter is not published."""
ALONE_CALLS = Promise("120 changes: share of the calls of naive", at_most=0.55)

TWO = Promise("two instances at once, 120 changes each: share of the limit", at_least=0.6)
TWO_THROTTLES = Promise("two instances at once: refusals a change", at_most=0.3)
TEN = Promise("ten instances at once, 24 changes each: share of the limit")
TEN_THROTTLES = Promise("ten instances at once: refusals a change")
LOST = Promise("several instances at once: changes lost", at_most=0)
"""Instances know nothing of each other; deploy/payloads.py sets how many there may be."""

CALLS_PER_THOUSAND = Promise("1,000 images already right: calls", at_most=10)
CALLS_SHARE = Promise("1,000 images already right: share of the calls of naive", at_most=0.01)

PLANNING_LESS = Promise("planning 10,000 images: seconds of CPU", at_most=1)
PLANNING = Promise("planning 100,000 images: seconds of CPU", at_most=5)
PLANNING_GROWTH = Promise("planning 100,000 images: times that of 10,000", at_most=12)
"""With every part of a policy in use, and every image to be changed; the best of three of each."""

INVOKE = Promise("scf-local invoke: seconds more than the handler itself", at_most=0.15)
"""A trivial handler, by `python -c` and by the command; the least of several runs of each."""

REPLAY = Promise("replaying 10,000 events that are ignored: events a second", at_least=300)
REPLAY_GROWTH = Promise("replaying 10,000 events: MB more than after 1,000", at_most=2)
"""Of the harness itself; the function's process has its own limit."""

ZIP = Promise("the bundle: MB", at_most=3.5)
COLD_COS = Promise("cold COS event, process start to result: share of naive", at_most=0.38)
COLD_MS = Promise("cold COS event: ms")
COLD_REFUSED = Promise("cold refused document: share of naive", at_most=0.22)
COLD_NOTHING = Promise("cold event that finds all in order: share of naive", at_most=0.4)
WARM = Promise("warm COS event, its document refused: share of naive", at_most=0.75)
PEAK = Promise("cold COS event: MB at the most", at_most=48)
MEMORY = Promise("10,000 images already right: MB at the most", at_most=96)
"""Against tests/bench/naive, in the same run. The naive handler is what one writes first."""
