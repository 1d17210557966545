"""Rate limiting: never above the limit, slower when throttled, thread-safe."""

from __future__ import annotations

from itertools import pairwise
from threading import Barrier, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clocks import FakeClock
from conftest import ACTIONS
from image_steward.clock import Deadline
from image_steward.cloud.image_api import DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE
from image_steward.cloud.rate_limit import DECREASE, MAX_SHARE, MIN_SHARE, RateLimiter
from image_steward.errors import TimeRanOut

if TYPE_CHECKING:
    from conftest import Function

FAR = 1e12


def take_turns(rate_limiter: RateLimiter, clock: FakeClock, number: int) -> list[float]:
    """Return the moments of some calls, one after another."""
    return [rate_limiter.wait(Deadline(clock, FAR)) for _ in range(number)]


def test_even_rate_without_burst() -> None:
    """Calls are evenly spaced from the first one, 5 % below the limit."""
    clock = FakeClock()
    moments = take_turns(RateLimiter(clock, 10), clock, 20)
    assert all(b - a == pytest.approx(1 / 9.5) for a, b in pairwise(moments))


def test_no_burst_after_idling() -> None:
    """Idle time is not saved up for a burst."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    take_turns(rate_limiter, clock, 1)
    clock.now += 60
    first, second = take_turns(rate_limiter, clock, 2)
    assert second - first == pytest.approx(1 / 9.5)


@pytest.mark.parametrize(("limit", "at_once"), [(10, 1), (20, 1), (40, 2)])
def test_calls_at_once_keep_the_limit(limit: float, at_once: int) -> None:
    """Calls sent at once after a pause do not exceed the limit in any second."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, limit)
    for _ in range(2):
        clock.now += 60
        moments = take_turns(rate_limiter, clock, 100)
        assert moments.count(moments[0]) == at_once
        for start in moments:
            assert sum(start <= moment < start + 1 for moment in moments) <= limit


def test_threads_share_the_rate() -> None:
    """The 600 calls of twelve threads are no closer together than the rate allows."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    moments: list[float] = []
    barrier = Barrier(12)

    def work() -> None:
        barrier.wait()
        moments.extend(take_turns(rate_limiter, clock, 50))

    threads = [Thread(target=work) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(moments) == 600
    assert min(b - a for a, b in pairwise(sorted(moments))) > 1 / 9.5 - 1e-6


@given(st.lists(st.booleans(), max_size=300))
def test_rate_stays_within_bounds(responses: list[bool]) -> None:
    """The rate stays between its minimum and maximum, whatever is throttled."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    for is_throttled in responses:
        moment = rate_limiter.wait(Deadline(clock, FAR))
        if is_throttled:
            rate_limiter.on_throttled(moment)
        else:
            rate_limiter.on_success()
        assert 10 * MIN_SHARE <= rate_limiter.rate <= 10 * MAX_SHARE


def test_slows_down_once_for_calls_under_way() -> None:
    """Several throttled calls that were sent at the old rate lower it only once."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    under_way = take_turns(rate_limiter, clock, 4)
    clock.now += 0.1
    for moment in under_way:
        rate_limiter.on_throttled(moment)
    assert rate_limiter.rate == pytest.approx(9.5 * DECREASE)
    rate_limiter.on_throttled(rate_limiter.wait(Deadline(clock, FAR)))
    assert rate_limiter.rate == pytest.approx(9.5 * DECREASE * DECREASE)


def test_recovers_slowly() -> None:
    """After one throttled call, more than ten successful ones restore the full rate."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    rate_limiter.on_throttled(clock.now)
    for _ in range(10):
        rate_limiter.on_success()
    assert rate_limiter.rate < 9.5
    for _ in range(10):
        rate_limiter.on_success()
    assert rate_limiter.rate == 9.5


def test_call_after_the_deadline() -> None:
    """A call that would start after the deadline fails, and delays no other call."""
    clock = FakeClock()
    rate_limiter = RateLimiter(clock, 10)
    take_turns(rate_limiter, clock, 1)
    with pytest.raises(TimeRanOut):
        rate_limiter.wait(Deadline.after(0.05, clock))
    assert take_turns(rate_limiter, clock, 1)[0] - clock.now == pytest.approx(0.0)
    assert clock.sleeps == [pytest.approx(1 / 9.5, abs=1e-5)]


def test_one_limiter_per_action_and_endpoint(function: Function) -> None:
    """Each pair of action and endpoint has one rate limiter, with the action's limit."""
    port = urlsplit(function.cloud.url).port
    endpoints = [f"http://{host}:{port}" for host in ("127.0.0.1", "localhost")]
    known = function.instance.rate_limiters
    for name in ("a", "b"):
        former = dict(known)
        for endpoint in endpoints:
            rename = {"ImageId": "img-6pb6lrmy", "ImageName": f"{name}-{endpoint[7]}"}
            function(rename, STEWARD_API_ENDPOINT=endpoint)
    assert former == known
    assert known.keys() == {
        (action.name, endpoint)
        for action in (DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE)
        for endpoint in endpoints
    }
    limits = {action.name: action.limit for action in ACTIONS}
    assert all(limiter.limit == limits[name] for (name, _), limiter in known.items())
