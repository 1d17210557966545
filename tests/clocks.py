"""A clock under the control of a test."""

from __future__ import annotations

from dataclasses import dataclass, field

from image_steward.clock import Clock


@dataclass(eq=False)
class FakeClock(Clock):
    """A clock that only sleeping and setting `now` (epoch seconds) move forward."""

    now: float = 1795521600.25  # 2026-11-24T12:00:00.250Z
    sleeps: list[float] = field(default_factory=list)

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.now

    def monotonic(self) -> float:
        """The same seconds, since this clock never goes back."""
        return self.now

    def sleep_until(self, moment: float, /) -> None:
        """Set the clock to `moment` without waiting."""
        if moment > self.now:
            self.sleeps.append(round(moment - self.now, 6))
            self.now = moment
