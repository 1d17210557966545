"""Trying again: only what time can heal, within tries and time, with full jitter."""

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
    """Retries that always wait as long as jitter may make them."""
    return Retries(Deadline.after(seconds, clock), lambda: 1.0)


def attempts(*errors: StewardError) -> Callable[[], str]:
    """A function that fails with these errors and then succeeds."""
    results = iter([*errors, None])

    def attempt() -> str:
        error = next(results)
        if error:
            raise error
        return "done"

    return attempt


def test_recovers() -> None:
    """Trouble that heals is waited out, each wait up to twice as long as the one before."""
    clock = FakeClock()
    assert retries(clock)(attempts(*[BUSY] * 6)) == "done"
    assert clock.sleeps == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0]


def test_stale_connection() -> None:
    """After a first try without an answer the second follows at once, later ones do not."""
    clock = FakeClock()
    retries(clock)(attempts(AmbiguousResponse("cut"), AmbiguousResponse("cut")))
    assert clock.sleeps == [1.0]


def test_jitter() -> None:
    """The wait is a share of its bound, so that many instances do not come back together."""
    clock = FakeClock()
    Retries(Deadline.after(9, clock), lambda: 0.25)(attempts(BUSY))
    assert clock.sleeps == [0.125]


@pytest.mark.parametrize(("error", "tries"), [(BUSY, 8), (AmbiguousResponse("cut"), 8)])
def test_gives_up(error: StewardError, tries: int) -> None:
    """After the last try its error comes out."""
    attempt = attempts(*[error] * tries)
    with pytest.raises(StewardError) as caught:
        retries(FakeClock())(attempt)
    assert caught.value is error
    assert attempt() == "done"


def test_throttled_as_long_as_there_is_time() -> None:
    """Calls that come too fast are never given up while there is time."""
    throttled = Throttled("RequestLimitExceeded", "slow down")
    assert retries(FakeClock(), seconds=1e6)(attempts(*[throttled] * 1000)) == "done"


@pytest.mark.parametrize(
    "error",
    [ApiError("InvalidParameter", "no"), NameTaken("InvalidImageName.Duplicate", "taken"),
     TimeRanOut("over"), AccountError("UnauthorizedOperation", "no"), Stopped("no")],
)  # fmt: skip
def test_final_errors_are_final(error: StewardError) -> None:
    """What time cannot heal, and time having run out, is not tried again."""
    clock = FakeClock()
    with pytest.raises(type(error)):
        retries(clock)(attempts(error))
    assert clock.sleeps == []


def test_no_wait_beyond_the_deadline() -> None:
    """A wait that would outlast the run is not begun."""
    clock = FakeClock()
    with pytest.raises(ApiBusy):
        retries(clock, seconds=1.5)(attempts(BUSY, BUSY))
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
    """A tenth of the limit, at most 2.5 s, is kept for the result, as much for the last call."""
    time = RunDeadlines.of(limit_ms, FakeClock())
    assert time.start_by.remaining() == start_by
    assert time.end_by.remaining() == end_by
