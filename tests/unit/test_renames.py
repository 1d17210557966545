"""Renames: ordered so that no step sets a name in use."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from image_steward.current_images import CurrentImages, RegionImages
from image_steward.errors import ApiError, NameTaken
from image_steward.limits import NAME_LENGTH
from image_steward.model import Change, Step
from image_steward.naming.temporary import TEMPORARY
from image_steward.planning.diff import step_of
from image_steward.planning.rename_order import order_renames, order_renames_by_region
from region import (
    REGION,
    Region,
    RejectedCall,
    attributes_of,
    bound_tags,
    cycles,
    deleted_tags,
    image,
    new_temporaries,
    requested,
    shuffles,
    wanted_names,
    writes_of,
)

if TYPE_CHECKING:
    from image_steward.model import Image

RANDOMS = st.randoms(use_true_random=False)


def steps_of(region: Region, **wanted: str) -> dict[str, Step]:
    """Return the ordered steps that rename images, by the ends of their ids."""
    changes = [Change(REGION, f"img-{i}", {"ImageName": name}) for i, name in wanted.items()]
    return {step.image_id.removeprefix("img-"): step for step in requested(changes, region)}


def named(**names: str) -> Region:
    """Return a region with images of these names, by the ends of their ids."""
    return Region(image(f"img-{i}", name) for i, name in names.items())


@given(shuffles(), RANDOMS)
def test_no_step_sets_a_name_in_use(
    drawn: tuple[list[Image], list[Change]], random: Random
) -> None:
    """In any allowed order, no call sets a name in use, and each image gets its new name."""
    images, changes = drawn
    region = Region(images)
    steps = requested(changes, region)
    wanted = wanted_names(steps, region.images)
    region.execute(steps, random)
    assert region.names == wanted


@given(shuffles())
def test_a_cycle_takes_one_more_call(drawn: tuple[list[Image], list[Change]]) -> None:
    """There is a call for each changed image, and one more for each rename cycle."""
    images, changes = drawn
    steps = requested(changes, Region(images))
    calls = [call for call in writes_of(steps) if attributes_of(call)]
    assert len(calls) == sum(bool(attributes_of(step)) for step in steps) + cycles(steps)


@given(st.permutations(range(12)), RANDOMS)
def test_permutations(targets: list[int], random: Random) -> None:
    """Any permutation of names is executed, with one more call for each cycle."""
    region = Region(image(f"img-{i}", f"n{i}") for i in range(12))
    changes = [Change(REGION, f"img-{i}", {"ImageName": f"n{n}"}) for i, n in enumerate(targets)]
    steps = requested(changes, region)
    moving = sum(i != n for i, n in enumerate(targets))
    assert len(writes_of(steps)) == moving + cycles(steps)
    region.execute(steps, random)
    assert region.names == {f"img-{i}": f"n{n}" for i, n in enumerate(targets)}


@given(shuffles())
def test_conflicts_are_only_those_that_must_be(drawn: tuple[list[Image], list[Change]]) -> None:
    """An image fails exactly if its name stays with another one or goes to an earlier one.

    Or if it cannot be changed anyway.
    """
    images, asked = drawn
    steps = requested(asked, Region(images))
    after = wanted_names(steps, {image.image_id: image for image in images})
    assert len(set(after.values())) == len(after)
    for change, step in zip(asked, steps, strict=True):
        others = {name for image_id, name in after.items() if image_id != change.image_id}
        is_taken = attributes_of(change)["ImageName"] in others
        assert step.before
        is_shared = step.before.facts["ImageType"] != "PRIVATE_IMAGE"
        assert step.error or not is_taken
        assert is_taken or is_shared or step.before.is_opted_out or not step.error
        assert not step.error or step.is_empty


@given(shuffles(), RANDOMS, st.lists(st.integers(0, 20), max_size=3))
def test_crash_of_a_change_request(
    drawn: tuple[list[Image], list[Change]], random: Random, crashes: list[int]
) -> None:
    """After crashes at any calls, another delivery reaches the same state."""
    images, changes = drawn
    whole, region = Region(images), Region(images)
    whole.execute(requested(changes, whole), random)
    for max_calls in crashes:
        region.execute(requested(changes, region), random, max_calls)
    region.execute(requested(changes, region), random)
    assert region.images == whole.images
    assert not new_temporaries(Region(images).names, region.names)


@given(shuffles(), RANDOMS)
def test_a_second_delivery_plans_nothing(
    drawn: tuple[list[Image], list[Change]], random: Random
) -> None:
    """After a plan was applied, each step of a second plan is empty."""
    images, changes = drawn
    region = Region(images)
    region.execute(requested(changes, region), random)
    assert all(step.is_empty for step in requested(changes, region))


@given(shuffles())
def test_steps_keep_their_order(drawn: tuple[list[Image], list[Change]]) -> None:
    """The steps keep the order of the changes, and all content that is not rejected."""
    images, changes = drawn
    seen = {image.image_id: image for image in images}
    planned = [step_of(change, seen) for change in changes]
    steps = order_renames(planned, images)
    assert [step.image_id for step in steps] == [change.image_id for change in changes]
    for before, after in zip(planned, steps, strict=True):
        if not after.error:
            assert (attributes_of(after), bound_tags(after)) == (
                attributes_of(before),
                bound_tags(before),
            )
            assert deleted_tags(after) == deleted_tags(before)


@given(st.permutations(range(5)).filter(lambda targets: targets != sorted(targets)), RANDOMS)
def test_the_fake_region_can_fail(targets: list[int], random: Random) -> None:
    """The fake region rejects a plan in which a rename does not wait for its name."""
    region = Region(image(f"img-{i}", f"n{i}") for i in range(5))
    changes = [Change(REGION, f"img-{i}", {"ImageName": f"n{n}"}) for i, n in enumerate(targets)]
    with pytest.raises(RejectedCall):
        region.execute([step_of(change, region.images) for change in changes], random)


def test_chain() -> None:
    """In a chain, each waits for the next, and none needs a temporary name."""
    steps = steps_of(named(a="1", b="2", c="3"), a="2", b="3", c="4")
    assert [step.waits_for for step in steps.values()] == ["img-b", "img-c", ""]
    assert not any(step.temporary_name for step in steps.values())


def test_swap() -> None:
    """Of two that swap, one gets a temporary name with its id."""
    steps = steps_of(named(a="1", b="2"), a="2", b="1")
    assert [step.waits_for for step in steps.values()] == ["img-b", "img-a"]
    assert [step.temporary_name for step in steps.values()] == [f"{TEMPORARY}img-a", ""]


def test_cycle_of_a_thousand() -> None:
    """A rename cycle of a thousand images takes a thousand and one calls."""
    region = Region(image(f"img-{i}", f"n{i}") for i in range(1000))
    changes = [Change(REGION, f"img-{i}", {"ImageName": f"n{(i + 1) % 1000}"}) for i in range(1000)]
    steps = requested(changes, region)
    assert len(writes_of(steps)) == 1001
    assert sum(bool(step.temporary_name) for step in steps) == 1


def test_temporary_name_in_use() -> None:
    """If a temporary name is in use, the next one is taken."""
    region = named(a="1", b="2", c=f"{TEMPORARY}img-a")
    steps = steps_of(region, a="2", b="1")
    assert steps["a"].temporary_name == f"{TEMPORARY}img-a-2"
    region.execute(list(steps.values()), Random(0))  # noqa: S311 - any order will do
    assert region.names == {"img-a": "2", "img-b": "1", "img-c": f"{TEMPORARY}img-a"}


def test_temporary_name_that_is_wanted() -> None:
    """A temporary name that is the new name of another image is not taken, either."""
    steps = steps_of(named(a="1", b="2", c="3"), a="2", b="1", c=f"{TEMPORARY}img-a")
    assert steps["a"].temporary_name == f"{TEMPORARY}img-a-2"


def test_temporary_name_has_mark_and_id() -> None:
    """A temporary name has mark and id, and is cut to 60 characters."""
    ids = [f"img-{'0' * 50}{i}" for i in "12"]
    images = [image(ids[0], "1"), image(ids[1], "2")]
    names = ["2", "1"]
    steps = [
        Step(REGION, image_id, {"ImageName": name}, before=image)
        for image_id, name, image in zip(ids, names, images, strict=True)
    ]
    opened = order_renames(steps, images, "mark-")[0].temporary_name
    assert opened.startswith(f"{TEMPORARY}mark-img-0")
    assert len(opened) == NAME_LENGTH


def test_holder_outside_the_plan() -> None:
    """A name held by an image outside the plan is a conflict that names the holder."""
    region = named(a="1", b="2")
    step = steps_of(region, a="2")["a"]
    assert step.is_empty
    assert isinstance(step.error, NameTaken)
    assert step.error.code == "InvalidImageName.Duplicate"
    assert step.error.message == f'the name "2" is taken in {REGION}: img-b has it'


def test_holder_that_keeps_its_name() -> None:
    """A name kept by an image of the plan is a conflict."""
    error = steps_of(named(a="1", b="2"), a="2", b="2")["a"].error
    assert error
    assert error.message == f'the name "2" is taken in {REGION}: img-b has it'


def test_same_name_for_two() -> None:
    """Of two images with the same new name, the first gets it; the other is a conflict."""
    steps = steps_of(named(a="1", b="2"), a="3", b="3")
    assert not steps["a"].error
    assert steps["b"].error
    assert steps["b"].error.message == f'the name "3" is taken in {REGION}: img-a will get it'


def test_conflict_spreads() -> None:
    """An image that depends on one with a conflict is a conflict, too, and so on."""
    steps = steps_of(named(a="1", b="2", c="3", d="4", e="5"), a="2", b="3", c="4", e="6")
    assert [bool(step.error) for step in steps.values()] == [True, True, True, False]
    assert steps["a"].error
    assert steps["a"].error.message == (
        f'the name "2" is taken in {REGION}: img-b has it and cannot be renamed'
    )


def test_conflict_takes_all_of_an_image() -> None:
    """An image with a conflict is not changed at all, and neither are its tags."""
    region = named(a="1", b="2")
    changes = [Change(REGION, "img-a", {"ImageName": "2", "ImageFamily": "f", "Tag.k": "v"})]
    (step,) = requested(changes, region)
    assert step.error
    assert step.is_empty
    assert step.before == region.images["img-a"]


def test_no_renames() -> None:
    """Steps without renames stay the same."""
    steps = [Step(REGION, "img-a", {"ImageFamily": "f"}), Step(REGION, "img-b")]
    assert order_renames(steps, []) == steps


def test_step_of_a_missing_image_stays() -> None:
    """The error of a missing image is kept beside the renames of others."""
    changes = [
        Change(REGION, "img-z", {"ImageName": "1"}),
        Change(REGION, "img-a", {"ImageName": "2"}),
    ]
    missing, step = requested(changes, named(a="1"))
    assert isinstance(missing.error, ApiError)
    assert missing.error.code == "InvalidImageId.NotFound"
    assert (step.new_name, step.error) == ("2", None)


def test_images_that_were_not_listed() -> None:
    """The names of the plan's own images count, even if they were not listed."""
    region = named(a="1", b="2")
    changes = [Change(REGION, f"img-{i}", {"ImageName": n}) for i, n in ("a2", "b3")]
    first, second = order_renames([step_of(change, region.images) for change in changes], [])
    assert (first.waits_for, second.waits_for) == ("img-b", "")


def test_unknown_holders() -> None:
    """If the holders are unknown, images to be renamed fail, and the others are changed."""
    region = named(a="1", b="2")
    changes = [
        Change(REGION, "img-a", {"ImageName": "3", "ImageFamily": "web"}),
        Change(REGION, "img-b", {"ImageFamily": "web"}),
    ]
    steps = [step_of(change, region.images) for change in changes]
    unknown = ApiError("InvalidFilter", "no")
    current: CurrentImages = {REGION: RegionImages(region.images, unknown)}
    renamed, other = order_renames_by_region({REGION: steps}, current)[REGION]
    assert (renamed.is_empty, renamed.error) == (True, unknown)
    assert other is steps[1]
