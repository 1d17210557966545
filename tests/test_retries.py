"""Trying again: only what time can heal, within tries and time, with full jitter."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from clocks import FakeClock
from image_steward.clock import Deadline, RunTime
from image_steward.errors import ApiBusy, ApiError, NoClearAnswer, StewardError
from image_steward.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Iterator

BUSY = ApiBusy("InternalError", "busy")


def retries(clock: FakeClock, seconds: float = 100.0) -> Retries:
    """Retries that always wait as long as jitter may make them."""
    return Retries(Deadline.after(seconds, clock), lambda: 1.0)


def failing(*errors: StewardError) -> Iterator[StewardError | None]:
    """What each try comes to, success at last."""
    yield from errors
    yield None


def attempt_of(results: Iterator[StewardError | None]) -> str:
    """One try."""
    error = next(results)
    if error:
        raise error
    return "done"


def test_recovers() -> None:
    """Trouble that heals is waited out, each wait up to twice as long as the one before."""
    clock = FakeClock()
    results = failing(BUSY, NoClearAnswer("cut"), BUSY, BUSY)
    assert retries(clock)(lambda: attempt_of(results)) == "done"
    assert clock.sleeps == [1.0, 2.0, 4.0, 8.0]


def test_jitter() -> None:
    """The wait is a share of its bound, so that many instances do not come back together."""
    clock = FakeClock()
    results = failing(BUSY)
    Retries(Deadline.after(9, clock), lambda: 0.25)(lambda: attempt_of(results))
    assert clock.sleeps == [0.25]


def test_gives_up() -> None:
    """After the last try its error comes out."""
    clock = FakeClock()
    results = failing(*[BUSY] * 5)
    with pytest.raises(ApiBusy):
        retries(clock)(lambda: attempt_of(results))
    assert len(clock.sleeps) == 4


def test_final_errors_are_final() -> None:
    """What time cannot heal is not tried again."""
    clock = FakeClock()
    results = failing(ApiError("InvalidImageName.Duplicate", "taken"))
    with pytest.raises(ApiError):
        retries(clock)(lambda: attempt_of(results))
    assert clock.sleeps == []


def test_no_wait_beyond_the_deadline() -> None:
    """A wait that would outlast the run is not begun."""
    clock = FakeClock()
    results = failing(BUSY, BUSY)
    with pytest.raises(ApiBusy):
        retries(clock, seconds=2.5)(lambda: attempt_of(results))
    assert clock.sleeps == [1.0]


@pytest.mark.parametrize(
    ("limit_ms", "start_by", "end_by"),
    [(900_000, 895, 897.5), (10_000, 8, 9), (None, 55, 57.5), ("x", 55, 57.5), (0, 55, 57.5)],
)
def test_run_time(limit_ms: object, start_by: float, end_by: float) -> None:
    """A tenth of the limit, at most 2.5 s, is kept for the result, as much for the last call."""
    time = RunTime.of(limit_ms, FakeClock())
    assert time.start_by.remaining() == start_by
    assert time.end_by.remaining() == end_by
