"""Client-side rate limiting, adapted to throttling by the cloud (AIMD).

The limits (see `image_api`) are per action and endpoint, and shared by all clients of the account.
The rate starts 5 % below the limit, without bursts. It drops by a quarter when a call is throttled,
and recovers a little with every call that is not.
"""

from __future__ import annotations

from threading import Lock

from image_steward.clock import Clock, Deadline
from image_steward.errors import TimeRanOut

MAX_SHARE = 0.95
"""Of the limit: the initial and the highest rate."""
DECREASE = 0.75
"""The factor for the rate when a call is throttled."""
INCREASE = 0.02
"""Of the limit: added to the rate by each call that is not throttled."""
BURST_SHARE = 0.025
"""Of the limit, in whole calls: may be sent at once after a pause, without exceeding the limit in
any second. It is one DescribeImages call, since a rename reads twice."""
MIN_SHARE = 0.05
"""Of the limit: the lowest rate, still enough to notice that throttling has ended."""


class RateLimiter:
    """Limits calls of one action at one endpoint. Rates are in calls per second. Thread-safe."""

    def __init__(self, clock: Clock, limit: float) -> None:
        self.clock = clock
        self.limit = limit
        self.rate = limit * MAX_SHARE
        self._next = self._slowed = 0.0
        self._lock = Lock()

    def wait(self, deadline: Deadline) -> float:
        """Wait until the next call may be sent, and return that moment.

        Raises:
            TimeRanOut: it is after `deadline`; it stays available to other calls.
        """
        with self._lock:
            now = self.clock.monotonic()
            free = max(self._next, now - int(self.limit * BURST_SHARE) / self.rate)
            moment = max(now, free)
            if moment >= deadline.at:
                raise TimeRanOut("the run's time was over before this call could start")
            self._next = free + 1 / self.rate
        self.clock.sleep_until(moment)
        return moment

    def on_throttled(self, moment: float) -> None:
        """Lower the rate, once for all calls that were sent before the rate was last lowered."""
        with self._lock:
            if moment >= self._slowed:
                self.rate = max(self.rate * DECREASE, self.limit * MIN_SHARE)
                self._slowed = self.clock.monotonic()

    def on_success(self) -> None:
        """Raise the rate after a call that was not throttled."""
        with self._lock:
            self.rate = min(self.rate + self.limit * INCREASE, self.limit * MAX_SHARE)
