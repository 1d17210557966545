"""How fast calls may go out: as fast as the API allows, slower when it says so.

The limits (see `actions`) hold for an action at an endpoint, and everybody else of the account
shares them. So the pace starts a twentieth below, without bursts, falls by a quarter when a call is
refused as too fast, and recovers a little with every call that is not (AIMD).
"""

from __future__ import annotations

from threading import Lock

from image_steward.clock import Clock, Deadline
from image_steward.cloud.actions import Action
from image_steward.errors import TimeRanOut

SHARE = 0.95
FALL = 0.75
RISE = 0.02
"""Of the limit, for every call that was not refused."""
SPARE = 0.025
"""Of the limit, in whole calls: so many need not wait after a pause, and no second holds more than
the limit. It is one of DescribeImages: a rename reads twice."""
FLOOR = 0.05
"""Of the limit: below it nothing would ever be found out."""


class RateLimiter:
    """The pace of one action at one endpoint; `rate` is in calls per second. Safe for threads."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self.clock = clock
        self.limit = limit
        self.rate = limit * SHARE
        self._next = self._slowed = 0.0
        self._lock = Lock()

    def wait(self, deadline: Deadline) -> float:
        """Wait for this call's turn, and return the moment of it.

        Raises:
            TimeRanOut: it would come after `deadline`; the turn is left to others.
        """
        with self._lock:
            now = self.clock.monotonic()
            free = max(self._next, now - int(self.limit * SPARE) / self.rate)
            turn = max(now, free)
            if turn >= deadline.at:
                raise TimeRanOut("the run's time was over before this call could start")
            self._next = free + 1 / self.rate
        self.clock.sleep_until(turn)
        return turn

    def throttled(self, turn: float) -> None:
        """The call of that turn was too fast. Those that were under way with it say the same."""
        with self._lock:
            if turn >= self._slowed:
                self.rate = max(self.rate * FALL, self.limit * FLOOR)
                self._slowed = self.clock.monotonic()

    def accepted(self) -> None:
        """A call was not too fast."""
        with self._lock:
            self.rate = min(self.rate + self.limit * RISE, self.limit * SHARE)


class RateLimiters:
    """A rate_limiter for each pair of action and endpoint. Safe for threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._pacers: dict[tuple[str, str], RateLimiter] = {}

    def of(self, action: Action, endpoint: str) -> RateLimiter:
        """The one rate_limiter of an action at an endpoint."""
        new = RateLimiter(self._clock, action.limit)
        return self._pacers.setdefault((action.name, endpoint), new)  # Python does it at one stroke
