"""Bounds: no document and no image takes much time or memory, whatever it holds.

Time is counted in lines of Python, which is the same on every machine. `make bench` measures the
seconds and the memory of the same documents.
"""

from __future__ import annotations

import sys
import time
import tracemalloc
import unicodedata
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

import hostile
from image_steward import registry
from image_steward.current_images import RegionImages
from image_steward.errors import InvalidEvent, InvalidJSON, Rejection, TimeRanOut
from image_steward.events.parse import parse
from image_steward.limits import NAME_LENGTH
from image_steward.naming.style import Style, cut
from image_steward.planning import retirement_plan
from image_steward.planning.policy_plan import normalise
from image_steward.planning.retirement_plan import Retirement
from packer import build, manifest
from region import NOW, REGION, image, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

pytestmark = pytest.mark.no_cover  # coverage would be most of the time and of the memory

POLICIES = hostile.POLICIES | hostile.LARGEST
IMAGES = 10
LINES_PER_IMAGE = 20_000
RUN_SECONDS = 900
LINES_PER_DOCUMENT = 5_000_000
"""At most a third of a second for a document; for 1,000 images a second."""


@contextmanager
def executed_lines() -> Iterator[list[int]]:
    """The number of lines that a block executes, in all modules; filled in at its end."""
    found: list[int] = []
    lines = 0

    def trace(_frame: FrameType, event: str, _argument: object) -> Any:  # noqa: ANN401 - itself
        nonlocal lines
        lines += event == "line"
        return trace

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        yield found
    finally:
        sys.settrace(former)
        found.append(lines)


# --- Time ---


@pytest.mark.parametrize("body", POLICIES.values(), ids=list(POLICIES))
@pytest.mark.parametrize("text", hostile.TEXTS.values(), ids=list(hostile.TEXTS))
def test_time_of_a_policy(text: str, body: dict[str, Any]) -> None:
    """Deriving, normalising, cutting and numbering take no longer for any text and any policy."""
    request = policy({**body, "MaxChanges": IMAGES})
    hostile.plan_images(request, text, 1)  # what is compiled once
    with executed_lines() as lines:
        plan = hostile.plan_images(request, text, IMAGES)
    assert len(plan.all_steps) == IMAGES
    assert lines[0] < IMAGES * LINES_PER_IMAGE


@pytest.mark.parametrize("text", ["1" * 256, "a" * 256, "1." * 128, "a-" * 128])
@pytest.mark.parametrize("steps", hostile.DERIVES.values(), ids=list(hostile.DERIVES))
def test_seconds_of_derive(steps: list[dict[str, Any]], text: str) -> None:
    """The slowest steps read 1,000 images with different texts in a third of a run's time."""
    request = policy({"ImageDescription": "x", "Derive": steps})
    hostile.plan_images(request, text, 1)

    def seconds() -> float:
        start = time.process_time()
        hostile.plan_images(request, text, 3)
        return time.process_time() - start

    # Other processes may slow down one attempt.
    assert any(seconds() < RUN_SECONDS / 1000 for _ in range(3))


@pytest.mark.parametrize("data", hostile.MANIFESTS.values(), ids=list(hostile.MANIFESTS))
def test_time_of_a_manifest(data: dict[str, str]) -> None:
    """Labelling the images of a build takes no longer for any templates."""
    with executed_lines() as lines, suppress(Rejection):
        hostile.plan_manifest(data, "\ufdfa" * 200, IMAGES)
    assert lines[0] < IMAGES * LINES_PER_IMAGE


def test_time_of_a_retirement() -> None:
    """KeepLatest looks at each image once, however many families the run has built."""
    families = [f"web-{number}" for number in range(1000)]
    images = {f"img-{f}": image(f"img-{f}", f, ImageFamily=f) for f in families}
    keep = {(REGION, family): 1 for family in families}
    request = Retirement((REGION,), keep, {}, {}, (), "", dry_run=False)
    with executed_lines() as lines:
        planned = retirement_plan.plan(request, {REGION: RegionImages(images)}, lambda: NOW)
    assert len(planned.all_steps) == len(families)
    assert lines[0] < len(families) * 100


@pytest.mark.parametrize("make", hostile.DOCUMENTS.values(), ids=list(hostile.DOCUMENTS))
def test_time_of_a_document(make: Callable[[], object]) -> None:
    """Reading a document, and saying what is wrong with it, takes no longer for any mistakes."""
    document, rejected = make(), None
    with executed_lines() as lines:
        try:
            hostile.read(document)
        except Rejection as error:
            rejected = error
    assert lines[0] < LINES_PER_DOCUMENT
    assert rejected is None or len(rejected.details) <= 1001


@pytest.mark.parametrize("case", ["keep", "lower", "upper"])
@pytest.mark.parametrize("text", hostile.TEXTS.values(), ids=list(hostile.TEXTS))
def test_time_of_a_name(text: str, case: str) -> None:
    """Of a text only as much is normalised as a name may come from."""
    sizes = []

    def normalize(form: Any, part: str) -> str:  # noqa: ANN401 - passed on
        sizes.append(len(part))
        return unicodedata.normalize(form, part)

    with mock.patch("image_steward.naming.style.unicodedata", wraps=unicodedata) as module:
        module.normalize = normalize
        assert len(Style(case).apply(text * 56)) <= NAME_LENGTH
    assert 0 < max(sizes) < 2000


@pytest.mark.parametrize("text", hostile.TEXTS.values(), ids=list(hostile.TEXTS))
def test_time_of_a_cut(text: str) -> None:
    """A cut looks at a few characters before the end only."""
    with executed_lines() as lines:
        assert len(cut(text * 100, NAME_LENGTH)) <= NAME_LENGTH
    assert lines[0] < LINES_PER_IMAGE / 20


def test_time_is_over() -> None:
    """Planning asks for the time between images, and ends once the run's time is over."""
    images = [image(f"img-{i}", f"n-{i}") for i in range(IMAGES)]
    asked = 0

    def now() -> float:
        nonlocal asked
        asked += 1
        if asked == IMAGES // 2:
            raise TimeRanOut("over")
        return NOW

    with pytest.raises(TimeRanOut):
        normalise(policy({"ImageName": "x"}), REGION, images, now)
    assert asked == IMAGES // 2


# --- Memory ---


@pytest.mark.parametrize("make", hostile.HUGE.values(), ids=list(hostile.HUGE))
def test_memory_of_a_rejected_document(make: Callable[[], bytes]) -> None:
    """A document of a MiB that is rejected takes at most 64 MB."""
    data = make()
    assert len(data) <= hostile.MIB + 3
    hostile.read(manifest(build({"ImageName": "n"})))  # what is loaded once
    tracemalloc.start()
    try:
        with pytest.raises(Rejection) as caught:
            registry.read(data, region=REGION)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(caught.value.details) <= 1001
    assert peak <= 64e6


# --- Members of an event ---

DEEP: Any = []
for _ in range(1000):
    DEEP = [DEEP]
LONG = 10**5000
BUCKET = {"appid": "1250000000", "name": "manifests", "cosRegion": "ap-guangzhou"}
OBJECT = {"key": "/1250000000/manifests/requests/x.json", "url": ""}


def record(bucket: dict[str, Any], cos_object: dict[str, Any]) -> dict[str, Any]:
    """A COS event."""
    return {
        "Records": [
            {
                "event": {"eventName": "cos:ObjectCreated:Put"},
                "cos": {"cosBucket": {**BUCKET, **bucket}, "cosObject": {**OBJECT, **cos_object}},
            }
        ]
    }


@pytest.mark.parametrize("value", [DEEP, LONG, -LONG, {"a": DEEP}], ids=["deep", "long", "-", "{}"])
@pytest.mark.parametrize("member", ["name", "appid", "url", "TriggerName", "cosRegion", "region"])
def test_member_of_an_event(member: str, value: object) -> None:
    """A member that is no text is taken for none, however deep or long it is."""
    if member == "TriggerName":
        event = {"Type": "Timer", "TriggerName": value, "Message": "{}"}
    else:
        bucket, cos_object = ({}, {member: value}) if member == "url" else ({member: value}, {})
        event = record(bucket, cos_object)
    _, (part,) = parse(event, region=REGION)
    if member in {"name", "appid"}:
        assert isinstance(part.content, InvalidEvent)
        assert "cosBucket is" in part.content.message


@pytest.mark.parametrize("value", [DEEP, LONG], ids=["deep", "long"])
@pytest.mark.parametrize("member", ["eventName", "key", "event", "cos"])
def test_other_member_of_an_event(member: str, value: object) -> None:
    """What must be a text or an object is rejected if it is not."""
    event = record({}, {})
    (one,) = event["Records"]
    parent = {"eventName": one["event"], "key": one["cos"]["cosObject"]}.get(member, one)
    parent[member] = value
    _, (part,) = parse(event, region=REGION)
    assert isinstance(part.content, InvalidEvent)


def test_direct_event_with_a_long_number() -> None:
    """A number that JSON cannot hold makes no document."""
    _, (part,) = parse({"ImageId": "img-1", "x": 10**400}, region=REGION)
    assert isinstance(part.content, bytes)
    with pytest.raises(InvalidJSON):
        registry.read(part.content, region=REGION)
    with pytest.raises(InvalidEvent):
        parse({"ImageId": "img-1", "x": LONG}, region=REGION)
