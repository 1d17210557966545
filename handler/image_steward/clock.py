"""Time, as an argument."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import NamedTuple

DEFAULT_SECONDS = 60.0
RESERVE_SECONDS = 2.5
MAX_LIMIT_MS = 86_400_000  # a day, the longest SCF ever gives


def utc(moment: float) -> str:
    """A time, in seconds since the epoch, as the API writes it; these texts sort by time."""
    return datetime.fromtimestamp(moment, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class Clock:
    """The machine's own time; tests hand in a clock that they turn themselves."""

    def time(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""
        return time.monotonic()

    def sleep_until(self, moment: float, /) -> None:
        """Wait for a moment of `monotonic`; not at all if it has passed."""
        time.sleep(max(0.0, moment - time.monotonic()))


class Deadline(NamedTuple):
    """The moment (`at`, monotonic seconds) by which something must have ended."""

    clock: Clock
    at: float

    @classmethod
    def after(cls, seconds: float, clock: Clock) -> Deadline:
        """A deadline `seconds` from now."""
        return cls(clock, clock.monotonic() + seconds)

    def remaining(self) -> float:
        """Seconds left; zero or less when it has passed."""
        return self.at - self.clock.monotonic()

    def earlier(self, seconds: float) -> Deadline:
        """This deadline, or the one `seconds` from now if that comes before it."""
        return Deadline(self.clock, min(self.at, self.clock.monotonic() + seconds))


class RunTime(NamedTuple):
    """How long a run may take. What lies behind `end_by` is for the result and the log."""

    start_by: Deadline
    """No call starts after it."""
    end_by: Deadline
    """No reply is awaited after it."""

    @classmethod
    def of(cls, limit_ms: object, clock: Clock) -> RunTime:
        """From `time_limit_in_ms` of SCF's context, which a local runner may leave out."""
        seconds = DEFAULT_SECONDS
        if isinstance(limit_ms, (int, float)) and 0 < limit_ms < MAX_LIMIT_MS:
            seconds = limit_ms / 1000
        reserve = min(RESERVE_SECONDS, seconds / 10)
        return cls(
            start_by=Deadline.after(seconds - 2 * reserve, clock),
            end_by=Deadline.after(seconds - reserve, clock),
        )
