"""Whether and when to try again. The SDK's own retryer reports recovered calls as failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from image_steward.clock import Deadline
from image_steward.errors import AmbiguousResponse, ImageBusy, StewardError, Throttled, TimeRanOut

P = ParamSpec("P")
T = TypeVar("T")

MANY = 10_000  # tries: as many as the time allows


_BACKOFFS: dict[type[StewardError], tuple[int, float, float]] = {
    # The pace is what heals it; giving up after a few tries would lose one change in thousands.
    Throttled: (MANY, 0.1, 4.0),
    ImageBusy: (8, 2.0, 30.0),
    TimeRanOut: (1, 0.0, 0.0),
    StewardError: (8, 0.25, 8.0),
}
"""By the first class that fits: how many tries at most, `base` and `cap`.

Before try n + 1 comes a wait of 0 to `base` x 2^n seconds, of `cap` at most.
"""


@dataclass(frozen=True)
class Retries:
    """Full jitter: `uniform` gives numbers from 0 to 1. No try begins after `deadline`."""

    deadline: Deadline
    uniform: Callable[[], float]

    def next_try(self, error: StewardError, tries: int) -> float | None:
        """When (monotonic seconds) to try again after `tries` tries; None: not any more."""
        most, base, cap = next(row for cls, row in _BACKOFFS.items() if isinstance(error, cls))
        if not error.transient or tries >= most:
            return None
        wait = self.uniform() * min(cap, base * 2 ** min(tries, 16))
        if tries == 1 and isinstance(error, AmbiguousResponse):
            wait = 0.0  # most likely a connection that went stale while the instance was frozen
        moment = self.deadline.clock.monotonic() + wait
        return moment if moment < self.deadline.at else None

    def __call__(self, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, tried again as long as that may help.

        Raises:
            StewardError: the last one.
        """
        tries = 0
        while True:
            tries += 1
            try:
                return attempt()
            except StewardError as error:
                moment = self.next_try(error, tries)
                if moment is None:
                    raise
            self.deadline.clock.sleep_until(moment)

    def around(self, function: Callable[P, T]) -> Callable[P, T]:
        """The function, each call of it tried again."""
        return lambda *args, **options: self(lambda: function(*args, **options))
