"""Retries with backoff. The SDK's own retryer counts a call that recovers as failed."""

from collections.abc import Callable
from typing import TypeVar

from image_steward import errors
from image_steward.clock import Deadline

T = TypeVar("T")

_BACKOFFS: dict[type[errors.StewardError], tuple[int, float, float]] = {
    # As many attempts as time allows, since the rate limiter ends throttling: fewer would lose one
    # change in thousands.
    errors.Throttled: (10_000, 0.1, 4.0),
    errors.ImageBusy: (8, 2.0, 30.0),
    errors.TimeRanOut: (1, 0.0, 0.0),
    errors.CredentialsError: (1, 0.0, 0.0),
    errors.StewardError: (8, 0.25, 8.0),
}
"""Maximum attempts, `base` and `cap`; the first matching class counts.

The delay before attempt n + 1 is 0 to `base` x 2^n seconds, at most `cap`.
"""


class Retries:
    """Retries with full jitter. `uniform` returns numbers from 0 to 1.

    No attempt starts after `deadline`.
    """

    def __init__(self, deadline: Deadline, uniform: Callable[[], float]) -> None:
        self.deadline, self.uniform = deadline, uniform

    def next_attempt(self, error: errors.StewardError, attempts: int) -> float | None:
        """When (monotonic seconds) to retry after `attempts` attempts; None: do not retry."""
        limit, base, cap = next(row for cls, row in _BACKOFFS.items() if isinstance(error, cls))
        if not error.transient or attempts >= limit:
            return None
        delay = self.uniform() * min(cap, base * 2 ** min(attempts, 16))
        if attempts == 1 and isinstance(error, errors.AmbiguousResponse):
            delay = 0.0  # most likely a connection that went stale while the instance was frozen
        moment = self.deadline.clock.monotonic() + delay
        return moment if moment < self.deadline.at else None

    def __call__(self, function: Callable[[], T]) -> T:
        """Call `function`, retry while that may help, and return its result.

        Raises:
            StewardError: the error of the last attempt.
        """
        attempts = 0
        while True:
            attempts += 1
            try:
                return function()
            except errors.StewardError as error:
                if (moment := self.next_attempt(error, attempts)) is None:
                    raise
            self.deadline.clock.sleep_until(moment)
