"""Planning: a step has only what differs, and can be undone."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_steward.cloud.image_api import image_of
from image_steward.errors import ApiBusy, ApiError
from image_steward.model import Change, Image, Outcome, Step
from image_steward.planning.diff import step_of
from region import attributes_of, bound_tags, deleted_tags, named

FACTS = {"ImageState": "NORMAL", "ImageType": "PRIVATE_IMAGE"}
KEYS = st.sampled_from(["a", "b", "c", "d"])
TAGS = st.dictionaries(KEYS, st.sampled_from(["1", "2"]))
ATTRIBUTES: dict[str, st.SearchStrategy[str | bool]] = {
    "ImageName": st.sampled_from(["n1", "n2"]),
    "ImageDescription": st.sampled_from(["", "d1"]),
    "ImageFamily": st.sampled_from(["", "f1"]),
    "ImageDeprecated": st.booleans(),
}


@st.composite
def images(draw: st.DrawFn) -> Image:
    """An image as it is."""
    return Image("img-1", {**draw(st.fixed_dictionaries(ATTRIBUTES)), **named(draw(TAGS))}, FACTS)


@st.composite
def changes(draw: st.DrawFn) -> Change:
    """A change of that image; some of its members are missing."""
    tags = draw(TAGS)
    deleted = draw(st.lists(KEYS, unique=True))
    attributes = draw(st.fixed_dictionaries({}, optional=ATTRIBUTES))
    unbound = dict.fromkeys(f"Tag.{key}" for key in deleted if key not in tags)
    return Change("r", "img-1", {**attributes, **named(tags), **unbound})


def applied(image: Image, step: Step) -> Image:
    """Return the image after a step."""
    tags = {k: v for k, v in image.tags.items() if k not in deleted_tags(step)}
    attributes = {**attributes_of(image), **attributes_of(step)}
    return image._replace(values={**attributes, **named({**tags, **bound_tags(step)})})


@given(images(), changes())
def test_plan_reaches_the_desired_state(image: Image, change: Change) -> None:
    """After the step, the image is as desired, and planning the same change again is empty."""
    step = step_of(change, {"img-1": image})
    after = applied(image, step)
    assert attributes_of(change).items() <= attributes_of(after).items()
    assert bound_tags(change).items() <= bound_tags(after).items()
    assert not set(deleted_tags(change)) & set(bound_tags(after))
    again = step_of(change, {"img-1": after})
    assert again.is_empty


@given(images(), changes())
def test_only_differences(image: Image, change: Change) -> None:
    """A step has no value that the image already has."""
    step = step_of(change, {"img-1": image})
    assert not attributes_of(step).items() & attributes_of(image).items()
    assert not bound_tags(step).items() & image.tags.items()
    assert set(deleted_tags(step)) <= set(image.tags)


@given(images(), changes())
def test_before_and_after_have_the_same_members(image: Image, change: Change) -> None:
    """Before and After of a planned image have the same members, with old and new values."""
    step = step_of(change, {"img-1": image})
    outcome = Outcome.planned_for(step)
    before, after = outcome.before, outcome.after
    assert before.keys() == after.keys()
    assert before == {k: v for k, v in before.items() if after[k] != v}
    was = {t["Key"]: t["Value"] for t in before.get("Tags", ())}
    assert was.items() <= image.tags.items()


def test_missing_image() -> None:
    """An image that does not exist fails before any call, with the API's own code."""
    change = Change("r", "img-9", {"ImageName": "x"})
    step = step_of(change, {})
    outcome = Outcome(step, error=step.error)
    assert outcome.status == "failed"
    assert outcome.error
    assert outcome.error.code == "InvalidImageId.NotFound"
    assert outcome.before == outcome.after == {}


def test_status() -> None:
    """The status tells whether a change is done, can be retried, or failed."""
    image = Image("img-1", {})
    step = Step("r", "img-1", {"ImageName": "x"}, before=image)
    statuses: list[Any] = [
        Outcome(step).status,
        Outcome(Step("r", "img-1", before=image)).status,
        Outcome.planned_for(step).status,
        Outcome(step, error=ApiError("X", "x")).status,
        Outcome(step, error=ApiBusy("X", "x")).status,
    ]
    assert statuses == ["changed", "unchanged", "planned", "failed", "pending"]


def test_image_from_api() -> None:
    """Members that are missing or null in the response are empty."""
    image = image_of({"ImageId": "img-1", "ImageDescription": None, "Tags": None})
    assert image.tags == {}
    assert attributes_of(image) == {
        "ImageName": "",
        "ImageDescription": "",
        "ImageFamily": "",
        "ImageDeprecated": False,
    }


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("2022-09-22T15:10:55Z", "2022-09-22T15:10:55Z"),
        ("2022-09-22T15:10:55+00:00", "2022-09-22T15:10:55Z"),
        ("2022-09-22T23:10:55+08:00", "2022-09-22T15:10:55Z"),
        ("2022-09-22T15:10:55", "2022-09-22T15:10:55Z"),
        ("0999-09-22T15:10:55Z", ""),
        ("9999-12-31T23:59:59-12:00", ""),
        ("yesterday", ""),
        (None, ""),
    ],
)
def test_created_time(given: str | None, read: str) -> None:
    """A time is read in any zone, UTC by default; anything else is empty."""
    image = image_of({"ImageId": "img-1", "CreatedTime": given})
    assert image.facts["CreatedTime"] == read
