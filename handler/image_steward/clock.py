"""Clocks and deadlines. They are passed as arguments, so that tests control the time."""

from __future__ import annotations

import time
from datetime import datetime, timezone

DEFAULT_LIMIT_SECONDS = 60.0
RESERVE_SECONDS = 2.5
MAX_LIMIT_MS = 86_400_000  # a day, SCF's longest time limit


def utc(moment: float) -> str:
    """A time in seconds since the epoch, as the API writes it; such texts sort by time."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """The system clock; tests use one that they set themselves."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep_until(self, moment: float, /) -> None:
        """Sleep until a moment of `monotonic`; return at once if it has passed."""
        time.sleep(max(0.0, moment - time.monotonic()))


class Deadline:
    """The moment (`at`, monotonic seconds) by which something must be finished."""

    def __init__(self, clock: Clock, at: float) -> None:
        self.clock, self.at = clock, at

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Deadline:
        """A deadline `seconds` from now."""
        return cls(clock, clock.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; zero or less once the deadline has passed."""
        return self.at - self.clock.monotonic()

    def earlier(self, seconds: float) -> Deadline:
        """This deadline or the one `seconds` from now, whichever is earlier."""
        return Deadline(self.clock, min(self.at, self.clock.monotonic() + seconds))


class RunDeadlines:
    """The deadlines of a run, from `time_limit_in_ms` of SCF's context, which may be missing.

    No API call starts after `start_by`, and no response is awaited after `end_by`. The time after
    that is reserved for the result and the log.
    """

    def __init__(self, limit_ms: object, clock: Clock) -> None:
        seconds = DEFAULT_LIMIT_SECONDS
        if isinstance(limit_ms, (int, float)) and 0 < limit_ms < MAX_LIMIT_MS:
            seconds = limit_ms / 1000
        reserve = min(RESERVE_SECONDS, seconds / 10)
        self.start_by = Deadline.after(seconds - 2 * reserve, clock)
        self.end_by = Deadline.after(seconds - reserve, clock)
