"""Retries: transient errors only, with limits on attempts and time, with full jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clocks import FakeClock
from image_steward.clock import Deadline, RunDeadlines
from image_steward.cloud.retries import Retries
from image_steward.errors import (
    AccountError,
    AmbiguousResponse,
    ApiBusy,
    ApiError,
    NameTaken,
    StewardError,
    Stopped,
    Throttled,
    TimeRanOut,
)

if TYPE_CHECKING:
    from collections.abc import Callable

BUSY = ApiBusy("InternalError", "busy")


def retries(clock: FakeClock, seconds: float = 100.0) -> Retries:
    """Return retries with the longest possible delays."""
    return Retries(Deadline.after(seconds, clock), lambda: 1.0)


def failing(*errors: StewardError) -> Callable[[], str]:
    """Return a function that raises these errors, and then succeeds."""
    results = iter([*errors, None])

    def attempt() -> str:
        error = next(results)
        if error:
            raise error
        return "done"

    return attempt


def test_recovers() -> None:
    """A transient error is retried, each delay at most twice as long as the one before."""
    clock = FakeClock()
    assert retries(clock)(failing(*[BUSY] * 6)) == "done"
    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_stale_connection() -> None:
    """After a first attempt without a response, the second follows at once, later ones do not."""
    clock = FakeClock()
    retries(clock)(failing(AmbiguousResponse("cut"), AmbiguousResponse("cut")))
    assert clock.sleeps == [1.0]


def test_jitter() -> None:
    """The delay is a random share of its limit, so that instances do not retry in step."""
    clock = FakeClock()
    Retries(Deadline.after(9, clock), lambda: 0.25)(failing(BUSY))
    assert clock.sleeps == [0.125]


@pytest.mark.parametrize(("error", "attempts"), [(BUSY, 8), (AmbiguousResponse("cut"), 8)])
def test_gives_up(error: StewardError, attempts: int) -> None:
    """After the last attempt, its error is raised."""
    attempt = failing(*[error] * attempts)
    with pytest.raises(StewardError) as caught:
        retries(FakeClock())(attempt)
    assert caught.value is error
    assert attempt() == "done"


def test_throttled_as_long_as_there_is_time() -> None:
    """Throttled calls are retried as long as there is time."""
    throttled = Throttled("RequestLimitExceeded", "slow down")
    assert retries(FakeClock(), seconds=1e6)(failing(*[throttled] * 1000)) == "done"


@pytest.mark.parametrize(
    "error",
    [ApiError("InvalidParameter", "no"), NameTaken("InvalidImageName.Duplicate", "taken"),
     TimeRanOut("over"), AccountError("UnauthorizedOperation", "no"), Stopped("no")],
)  # fmt: skip
def test_permanent_errors(error: StewardError) -> None:
    """Permanent errors, and running out of time, are not retried."""
    clock = FakeClock()
    with pytest.raises(type(error)):
        retries(clock)(failing(error))
    assert clock.sleeps == []


def test_no_delay_beyond_the_deadline() -> None:
    """A delay that would pass the deadline does not start."""
    clock = FakeClock()
    with pytest.raises(ApiBusy):
        retries(clock, seconds=1.5)(failing(BUSY, BUSY))
    assert clock.sleeps == [0.5]


@pytest.mark.parametrize(
    ("limit_ms", "start_by", "end_by"),
    [
        (900_000, 895, 897.5),
        (10_000, 8, 9),
        (None, 55, 57.5),
        ("x", 55, 57.5),
        (0, 55, 57.5),
        (10**400, 55, 57.5),
    ],
)
def test_run_time(limit_ms: object, start_by: float, end_by: float) -> None:
    """A tenth of the limit, at most 2.5 s, is reserved for the last call, and for the result."""
    time = RunDeadlines(limit_ms, FakeClock())
    assert time.start_by.remaining() == start_by
    assert time.end_by.remaining() == end_by
