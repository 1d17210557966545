"""Whether and when to try again. The SDK's own retryer reports recovered calls as failed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from image_steward.clock import Deadline
from image_steward.errors import ImageBusy, NoClearAnswer, StewardError, Throttled, TimeRanOut

P = ParamSpec("P")
T = TypeVar("T")

MANY = 10_000  # tries: as many as the time allows


@dataclass(frozen=True)
class Backoff:
    """Before try n + 1 comes a wait of 0 to `base` x 2^n seconds, of `cap` at most."""

    tries: int
    base: float
    cap: float


_BACKOFFS: list[tuple[type[StewardError], Backoff]] = [
    # The pace is what heals it; giving up after a few tries would lose one change in thousands.
    (Throttled, Backoff(MANY, 0.1, 4.0)),
    (ImageBusy, Backoff(8, 2.0, 30.0)),
    (TimeRanOut, Backoff(1, 0.0, 0.0)),
    (StewardError, Backoff(8, 0.25, 8.0)),
]


@dataclass(frozen=True)
class Retries:
    """Full jitter: `uniform` gives numbers from 0 to 1. No try begins after `deadline`."""

    deadline: Deadline
    uniform: Callable[[], float]

    def next_try(self, error: StewardError, tries: int) -> float | None:
        """When (monotonic seconds) to try again after `tries` tries; None: not any more."""
        backoff = next(backoff for cls, backoff in _BACKOFFS if isinstance(error, cls))
        if not error.healable or tries >= backoff.tries:
            return None
        wait = self.uniform() * min(backoff.cap, backoff.base * 2 ** min(tries, 16))
        if tries == 1 and isinstance(error, NoClearAnswer):
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
