"""Pacing: never above the limit, slower when refused, and one turn at a time for any threads."""

from __future__ import annotations

from itertools import pairwise
from threading import Barrier, Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clocks import FakeClock
from image_steward.clock import Deadline
from image_steward.cloud.actions import ACTIONS, DESCRIBE_IMAGES
from image_steward.cloud.rate_limit import DECREASE, MAX_SHARE, MIN_SHARE, RateLimiter, RateLimiters
from image_steward.errors import TimeRanOut

FAR = 1e12


def turns(rate_limiter: RateLimiter, clock: FakeClock, number: int) -> list[float]:
    """The moments of some turns, one after another."""
    return [rate_limiter.wait(Deadline(clock, FAR)) for _ in range(number)]


def test_even_pace_without_burst() -> None:
    """Turns come evenly, a twentieth below the limit, from the first on."""
    clock = FakeClock()
    moments = turns(RateLimiter(clock, 10), clock, 20)
    assert all(b - a == pytest.approx(1 / 9.5) for a, b in pairwise(moments))


def test_no_burst_after_idling() -> None:
    """Time in which nobody called is not saved up."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    turns(rate_limiter, clock, 1)
    clock.now += 60
    first, second = turns(rate_limiter, clock, 2)
    assert second - first == pytest.approx(1 / 9.5)


@pytest.mark.parametrize(("limit", "at_once"), [(10, 1), (20, 1), (40, 2)])
def test_spare_calls_keep_the_limit(limit: float, at_once: int) -> None:
    """What may go out at once after a pause leaves no second with more than the limit."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, limit)
    for _ in range(2):
        clock.now += 60
        moments = turns(rate_limiter, clock, 100)
        assert moments.count(moments[0]) == at_once
        for start in moments:
            assert sum(start <= moment < start + 1 for moment in moments) <= limit


def test_threads_share_one_pace() -> None:
    """Twelve threads get 600 different turns, none closer to another than the pace allows."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    moments: list[float] = []
    barrier = Barrier(12)

    def work() -> None:
        barrier.wait()
        moments.extend(turns(rate_limiter, clock, 50))

    threads = [Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 600
    assert min(b - a for a, b in pairwise(sorted(moments))) > 1 / 9.5 - 1e-6


@given(st.lists(st.booleans(), max_size=300))
def test_rate_stays_within_bounds(refusals: list[bool]) -> None:
    """Whatever the cloud says, the rate stays between the floor and its share of the limit."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    for refused in refusals:
        turn = rate_limiter.wait(Deadline(clock, FAR))
        if refused:
            rate_limiter.on_throttled(turn)
        else:
            rate_limiter.on_success()
        assert 10 * MIN_SHARE <= rate_limiter.rate <= 10 * MAX_SHARE


def test_slows_down_once_for_calls_under_way() -> None:
    """Several refusals of calls that went out at the old pace slow it down once."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    under_way = turns(rate_limiter, clock, 4)
    clock.now += 0.1
    for turn in under_way:
        rate_limiter.on_throttled(turn)
    assert rate_limiter.rate == pytest.approx(9.5 * DECREASE)
    rate_limiter.on_throttled(rate_limiter.wait(Deadline(clock, FAR)))
    assert rate_limiter.rate == pytest.approx(9.5 * DECREASE * DECREASE)


def test_recovers_slowly() -> None:
    """After one refusal it takes more than ten admitted calls to be at full pace again."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    rate_limiter.on_throttled(clock.now)
    for _ in range(10):
        rate_limiter.on_success()
    assert rate_limiter.rate < 9.5
    for _ in range(10):
        rate_limiter.on_success()
    assert rate_limiter.rate == 9.5


def test_turn_after_the_deadline() -> None:
    """A turn that would come too late is refused, and takes nothing from others."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    turns(rate_limiter, clock, 1)
    with pytest.raises(TimeRanOut):
        rate_limiter.wait(Deadline.after(0.05, clock))
    assert turns(rate_limiter, clock, 1)[0] - clock.now == pytest.approx(0.0)
    assert clock.sleeps == [pytest.approx(1 / 9.5, abs=1e-5)]


def test_one_pacer_for_each_action_and_endpoint() -> None:
    """Each pair of action and endpoint has a pace of its own, by the action's limit."""
    rate_limiters = RateLimiters(FakeClock())
    assert rate_limiters.of(DESCRIBE_IMAGES, "a") is rate_limiters.of(DESCRIBE_IMAGES, "a")
    assert rate_limiters.of(DESCRIBE_IMAGES, "a") is not rate_limiters.of(DESCRIBE_IMAGES, "b")
    assert all(rate_limiters.of(action, "a").limit == action.limit for action in ACTIONS)
