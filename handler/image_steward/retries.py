"""Trying again. The SDK's own retryer reports recovered calls as failed, so it is not used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from image_steward.errors import StewardError

if TYPE_CHECKING:
    from collections.abc import Callable

    from image_steward.clock import Deadline

T = TypeVar("T")


@dataclass(frozen=True)
class Retries:
    """Full jitter: before try n waits 0 to `base` x 2^n seconds, `cap` at most.

    `random` gives numbers from 0 to 1. No wait goes beyond the deadline.
    """

    deadline: Deadline
    random: Callable[[], float]
    tries: int = 5
    base: float = 0.5
    cap: float = 8.0

    def __call__(self, attempt: Callable[[], T]) -> T:
        """What `attempt` returns, tried again while it fails with what time can heal.

        Raises:
            StewardError: the last one, when the tries or the time have run out.
        """
        for number in range(1, self.tries):
            try:
                return attempt()
            except StewardError as error:
                wait = self.random() * min(self.cap, self.base * 2**number)
                if not error.healable or wait >= self.deadline.remaining():
                    raise
            self.deadline.clock.sleep(wait)
        return attempt()
