"""The executor: tasks share nothing, and a task that must wait does not block the others."""

from __future__ import annotations

import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

from clocks import FakeClock
from image_steward.clock import Deadline
from image_steward.cloud.image_api import DESCRIBE_IMAGES, MODIFY_IMAGE_ATTRIBUTE
from image_steward.cloud.recent_writes import RecentWrites
from image_steward.cloud.retries import Retries
from image_steward.errors import AmbiguousResponse, error_of
from image_steward.execution.executor import WORKERS, Executor
from image_steward.model import Outcome, Plan, Step
from image_steward.parallel import run_parallel
from image_steward.reporting.undo import entries
from region import REGION, image

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from image_steward.cloud.image_api import Action, Call
    from image_steward.parallel import RunParallel

T = TypeVar("T")

IMAGES = 2_000
AT_ONCE = WORKERS // 2
"""The images of one plan: each needs one call for its name and one for its tags."""


@pytest.fixture
def hasty_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Switch threads as often as possible, and always while outcomes are merged."""
    merged_with = Outcome.merged_with

    def merge_slowly(outcome: Outcome, other: Outcome) -> Outcome:
        time.sleep(0)
        return merged_with(outcome, other)

    monkeypatch.setattr(Outcome, "merged_with", merge_slowly)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def execute(
    call: Call,
    steps: list[Step],
    noted: list[Outcome],
    together: RunParallel = run_parallel,
    clock: FakeClock | None = None,
) -> list[Outcome]:
    """Return the outcomes of steps of one region; only waiting advances the clock."""
    retries = Retries(Deadline.after(1e6, clock or FakeClock()), lambda: 1.0)
    recent = RecentWrites(retries.deadline.clock)
    return Executor(call, retries, together, noted.append, recent).execute(Plan({REGION: steps}))


def step(number: int) -> Step:
    """Return a step that gives an image a new name and a tag of its own."""
    image_id = f"img-{number}"
    before = image(image_id, f"old-{number}")
    values = {"ImageName": f"new-{number}", "Tag.k": str(number)}
    return Step(REGION, image_id, values, before=before)


@pytest.mark.usefixtures("hasty_threads")
def test_simultaneous_responses_lose_nothing() -> None:
    """`After` and `Undo` are complete for 2,000 images whose calls return at the same moment."""
    released = Barrier(WORKERS)
    # One for all plans, since starting threads would take most of the time.
    pool = ThreadPoolExecutor(WORKERS)

    def call(_action: Action, _region: str, _params: Mapping[str, Any]) -> dict[str, Any]:
        released.wait(timeout=60)
        return {"RequestId": "r"}

    def in_pool(works: Sequence[Callable[[], T]], limit: int = WORKERS) -> Iterator[T]:
        assert limit == WORKERS or len(works) == 1
        return pool.map(lambda work: work(), works) if len(works) > 1 else iter([works[0]()])

    for first in range(0, IMAGES, AT_ONCE):
        numbers = range(first, first + AT_ONCE)
        outcomes = execute(call, [step(number) for number in numbers], [], in_pool)
        assert [outcome.after for outcome in outcomes] == [
            {"ImageName": f"new-{n}", "Tags": [{"Key": "k", "Value": str(n)}]} for n in numbers
        ]
        assert list(entries(reversed(outcomes))) == [
            {
                "Region": REGION,
                "ImageId": f"img-{n}",
                "ImageName": f"old-{n}",
                "DeleteTags": ["k"],
                "Expect": {"ImageName": f"new-{n}", "Tags": [{"Key": "k", "Value": str(n)}]},
            }
            for n in numbers
        ]
    pool.shutdown()


def test_busy_image_is_done_last() -> None:
    """An image that is busy for a while delays no other image, and is done last."""
    attempts: list[str] = []

    def call(action: Action, _region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if action is MODIFY_IMAGE_ATTRIBUTE:
            attempts.append(params["ImageId"])
            if params["ImageId"] == "img-0" and attempts.count("img-0") < 3:
                raise error_of("InvalidImageId.IncorrectState", "busy")
        return {"RequestId": "r"}

    noted: list[Outcome] = []
    outcomes = execute(call, [step(number) for number in range(6)], noted)
    assert [outcome.status for outcome in outcomes] == ["changed"] * 6
    assert attempts[-2:] == ["img-0", "img-0"]
    assert noted[-1].step.image_id == "img-0"
    assert noted[-1].attempts == 4


def test_each_outcome_is_noted_once() -> None:
    """A step without calls is noted at once, any other step after its last call."""
    unchanged = Step(REGION, "img-9", before=image("img-9", "n"))

    def call(action: Action, _region: str, _params: Mapping[str, Any]) -> dict[str, Any]:
        assert action is not DESCRIBE_IMAGES
        return {"RequestId": "r"}

    noted: list[Outcome] = []
    execute(call, [step(0), unchanged, step(1)], noted)
    assert [outcome.step.image_id for outcome in noted] == ["img-9", "img-0", "img-1"]
    assert [outcome.status for outcome in noted] == ["unchanged", "changed", "changed"]


def test_long_wait_delays_no_other() -> None:
    """An image that can be retried soon does not wait for one that is busy for long."""
    clock = FakeClock()
    start = clock.now
    done: dict[str, float] = {}
    attempts: Counter[str] = Counter()

    def call(action: Action, _region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        image_id = params["ImageId"] if action is MODIFY_IMAGE_ATTRIBUTE else "tags"
        attempts[image_id] += 1
        if image_id == "img-0":
            raise error_of("InvalidImageId.IncorrectState", "busy")
        if image_id == "img-1" and attempts[image_id] <= 6:
            raise error_of("RequestLimitExceeded", "too fast")
        done[image_id] = clock.now - start
        return {"RequestId": "r"}

    execute(call, [step(0), step(1)], [], clock=clock)
    assert done["img-1"] < 20
    assert clock.now - start > 60


def test_read_back_returns_another_image() -> None:
    """Reading back an image is not confirmed by a response with another image."""
    replies = 0

    def call(action: Action, _region: str, _params: Mapping[str, Any]) -> dict[str, Any]:
        nonlocal replies
        if action is DESCRIBE_IMAGES:
            foreign = {"ImageId": "img-9", "ImageName": "new-0", "Tags": []}
            return {"RequestId": "r", "ImageSet": [foreign]}
        replies += 1
        if replies == 1:
            raise AmbiguousResponse("the connection broke")
        return {"RequestId": "r"}

    renamed = Step(REGION, "img-0", {"ImageName": "new-0"}, before=image("img-0", "old-0"))
    (outcome,) = execute(call, [renamed], [])
    assert (outcome.status, replies) == ("changed", 2)
