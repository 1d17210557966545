"""Policies applied to images: desired state, conflicts, reasons, and stability."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from image_steward.clock import utc
from image_steward.current_images import RegionImages
from image_steward.errors import UnstablePolicy
from image_steward.limits import NAME_LENGTH
from image_steward.messages import short
from image_steward.model import Plan
from image_steward.naming.patterns import Glob
from image_steward.naming.style import Style
from image_steward.naming.temporary import TEMPORARY, temporary
from image_steward.planning import policy_plan
from image_steward.planning.desired_state import ANY_TIME, desired_state_of, oldest_first
from region import (
    BODIES,
    CONJUNCTS,
    LONG,
    NOW,
    REGION,
    SELECTED,
    Region,
    attributes_of,
    bound_tags,
    cycles,
    deleted_tags,
    image,
    normalised,
    policy,
    regions,
    wanted_names,
    with_tags,
    writes_of,
)

if TYPE_CHECKING:
    from image_steward.current_images import CurrentImages
    from image_steward.model import Image, Step

RANDOMS = st.randoms(use_true_random=False)


GROWING = st.builds(
    lambda body, template: {**body, "ImageName": template},
    BODIES,
    st.sampled_from(["a-{ImageName}", "{ImageName|b}c", "{Tag.a|web}{ImageName|x}"]),
)
"""Policies, many of which would make names longer in every run."""

RETIRES = ("KeepLatest", "Retire", "ImageDeprecated")


def unchecked(body: dict[str, Any], region: Region) -> list[Step]:
    """Return the steps of a policy, even for images that it would change again."""
    with patch.object(policy_plan, "_flips", return_value={}):
        return normalised(body, region)


def planned(body: dict[str, Any], region: Region) -> dict[str, Step]:
    """Return the steps by image id."""
    return {step.image_id: step for step in normalised(body, region)}


@given(BODIES, regions(), RANDOMS)
def test_names_are_unique_and_fit(body: dict[str, Any], region: Region, random: Random) -> None:
    """No call sets a name in use, and all names end up unique, within the length of the style."""
    steps = normalised(body, region)
    wanted = wanted_names(steps, region.images)
    region.execute(steps, random, policy=policy(body))
    assert region.names == wanted
    assert len(set(wanted.values())) == len(wanted)
    length = policy(body).style.max_length
    assert all(1 <= len(step.new_name) <= length for step in steps if step.new_name)
    assert all(isinstance(step.error, UnstablePolicy) for step in steps if step.error)


@given(BODIES, regions())
def test_a_cycle_takes_one_more_call(body: dict[str, Any], region: Region) -> None:
    """A policy takes a call for each changed image, and one more for each rename cycle."""
    steps = normalised(body, region)
    calls = [call for call in writes_of(steps) if attributes_of(call)]
    assert len(calls) == sum(bool(attributes_of(step)) for step in steps) + cycles(steps)


@given(GROWING | BODIES, regions(), RANDOMS)
def test_stable(body: dict[str, Any], region: Region, random: Random) -> None:
    """A policy does not change its own outcome, whatever becomes of the images that flip."""
    region.execute(normalised(body, region), random, policy=policy(body))
    assert [step for step in normalised(body, region) if not step.is_empty] == []


@given(GROWING | BODIES, regions(), RANDOMS)
def test_failed_for_a_reason(body: dict[str, Any], region: Region, random: Random) -> None:
    """Images fail exactly if the next run would change one again, unless its name were taken."""
    failed = [step for step in normalised(body, region) if step.error]
    steps = unchecked(body, region)
    changed = {step.image_id for step in steps if not step.is_empty}
    region.execute(steps, random, policy=policy(body))
    again = unchecked(body, region)
    displaced = [s for s in again if s.is_skipped and "taken by another image" in s.reasons[0]]
    assert bool(failed) == (
        any(not step.is_empty for step in again)
        or any(step.image_id in changed for step in displaced)
    )


@given(GROWING, regions())
def test_images_that_flip_do_not_touch_the_others(body: dict[str, Any], region: Region) -> None:
    """The others get what they get where the images that flip opt out."""
    steps = planned(body, region)
    failed = [image_id for image_id, step in steps.items() if step.error]
    for image_id in failed:
        tags = bound_tags(region.images[image_id]) | {"image-steward": "ignore"}
        region.images[image_id] = with_tags(region.images[image_id], tags)
    alone = planned(body, region)
    for image_id in steps.keys() - failed:
        assert attributes_of(alone[image_id]) == attributes_of(steps[image_id])
        assert bound_tags(alone[image_id]) == bound_tags(steps[image_id])


@given(BODIES, regions(), RANDOMS, st.lists(st.integers(0, 20), max_size=3))
def test_crash(body: dict[str, Any], region: Region, random: Random, crashes: list[int]) -> None:
    """After crashes at any calls, another run ends like one that was not interrupted."""
    steps = normalised(body, region)
    assume(is_safe(body, steps))
    whole = Region(region.images.values())
    whole.execute(steps, random, policy=policy(body))
    for max_calls in [*crashes, None]:
        region.execute(normalised(body, region), random, max_calls, policy=policy(body))
    assert region.images == whole.images


@given(BODIES, regions(), RANDOMS)
def test_crash_after_every_call(body: dict[str, Any], region: Region, random: Random) -> None:
    """A run that breaks off after any call is taken up by the next one."""
    steps = normalised(body, region)
    assume(is_safe(body, steps))
    whole = Region(region.images.values())
    whole.execute(steps, random, policy=policy(body))
    for max_calls in range(len(writes_of(steps))):
        torn = Region(region.images.values())
        for calls in (max_calls, None):
            torn.execute(normalised(body, torn), random, calls, policy=policy(body))
        assert torn.images == whole.images


def is_safe(body: dict[str, Any], steps: list[Step]) -> bool:
    """Whether a run may break off anywhere, as far as the policy's warnings say."""
    planned = policy_plan.in_safe_order(policy(body), Plan({REGION: steps}), lambda: NOW)
    return not (planned.warnings or any(step.error for step in steps))


@given(BODIES, regions())
def test_untouchable_images(body: dict[str, Any], region: Region) -> None:
    """Images that opt out, or have another type or state, are skipped."""
    for step in normalised(body, region):
        assert step.before
        facts, tags = step.before.facts, bound_tags(step.before)
        if (
            tags.get("image-steward") == "ignore"
            or facts["ImageType"] != "PRIVATE_IMAGE"
            or facts["ImageState"] != "NORMAL"
        ):
            assert step.is_skipped
        assert not step.is_skipped or (step.is_empty and len(step.reasons) == 1)


@given(BODIES, regions())
def test_only_what_differs(body: dict[str, Any], region: Region) -> None:
    """Each image has a step, oldest first, with differences only, each with a reason."""
    steps = normalised(body, region)
    assert [step.image_id for step in steps] == [
        each.image_id for each in oldest_first(region.images.values())
    ]
    for step in steps:
        assert step.before
        assert not attributes_of(step).items() & attributes_of(step.before).items()
        assert not bound_tags(step).items() & bound_tags(step.before).items()
        assert set(deleted_tags(step)) <= bound_tags(step.before).keys() - bound_tags(step).keys()
        rules = [*attributes_of(step), *(f"Tag.{key}" for key in bound_tags(step))]
        rules += ["DeleteTags"] if deleted_tags(step) else []
        for name in rules:
            is_ranked = name == "ImageDeprecated" and "ImageDeprecated" not in body
            rule = "KeepLatest" if is_ranked else name
            member = "Tags" if rule.startswith("Tag.") else rule
            assert {member, "Retire" if is_ranked else member} & body.keys()


@given(BODIES, regions())
def test_holders_keep_their_names(body: dict[str, Any], region: Region) -> None:
    """An image that holds its name, or a numbered form of it, is not renamed."""
    style = policy(body).style
    for step in normalised(body, region):
        if step.new_name and body["OnConflict"] == "number":
            assert step.before
            alone = unchecked(body, Region([step.before]))[0]
            assert not style.fits(step.before.name, alone.new_name)


@given(BODIES, st.integers(1, 2), st.sampled_from([0, 3, 100]), regions(), RANDOMS)
def test_retire(body: dict[str, Any], keep: int, days: int, region: Region, random: Random) -> None:
    """Of each family, the newest N images of any age are unmarked; the others, if old, marked."""
    body = {name: value for name, value in body.items() if name not in RETIRES}
    if "ImageFamily" in body:  # images of another age are ranked in the family that they will get
        body["Select"] = {n: v for n, v in body["Select"].items() if not n.endswith("Hours")}
    body["Retire"] = {"KeepLatest": keep, "OlderThanDays": days}
    steps = normalised(body, region)
    created_by = utc(NOW - days * 86400)
    region.execute(steps, random, policy=policy(body))
    families: dict[str, list[Image]] = {}
    select = replace(policy(body).select, older_than=None, younger_than=None)
    of_any_age = replace(policy(body), select=select)
    for step in steps:
        assert step.before
        after = region.images[step.image_id]
        is_ranked = not step.is_skipped or step.reasons[0].startswith(("it is ", "CreatedTime is"))
        if step.is_skipped:  # without a value for a template it is not ranked, either
            alone = desired_state_of(of_any_age, REGION, step.before, lambda: NOW)
            is_ranked &= not alone.skip_reason
        if is_ranked and not step.error and attributes_of(after)["ImageFamily"]:
            families.setdefault(str(attributes_of(after)["ImageFamily"]), []).append(after)
    for family in families.values():
        family.sort(key=lambda image: (image.facts["CreatedTime"], image.image_id), reverse=True)
        for rank, one in enumerate(family):
            if rank < keep:
                assert attributes_of(one)["ImageDeprecated"] is False
            elif not days or (one.facts["CreatedTime"] or ANY_TIME) <= created_by:
                assert attributes_of(one)["ImageDeprecated"] is True


# ---- unstable policies


def plan(body: dict[str, Any], *images: Image, dry_run: bool = False) -> Plan:
    """Return the plan of a policy for one region."""
    current: CurrentImages = {REGION: RegionImages({image.image_id: image for image in images})}
    return policy_plan.plan(replace(policy(body), dry_run=dry_run), current, lambda: NOW)


def violation(body: dict[str, Any], *images: Image) -> tuple[str, str]:
    """Return the path and the message with which a policy is rejected."""
    with pytest.raises(UnstablePolicy) as caught:
        plan(body, *images)
    return caught.value.details[0]


def failure(body: dict[str, Any], *images: Image) -> tuple[str, str, str]:
    """Return the id of the one image that fails, and its path and message."""
    (failed,) = (step for step in plan(body, *images).all_steps if step.error)
    assert isinstance(failed.error, UnstablePolicy)
    assert failed.is_empty
    return (failed.image_id, *failed.error.details[0])


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_policy_that_grows_names(*, dry_run: bool) -> None:
    """A prefix to the own name is rejected, naming the image and both names."""
    with pytest.raises(UnstablePolicy) as caught:
        plan({"ImageName": "prod-{ImageName}"}, image("img-a", "web"), dry_run=dry_run)
    ((path, message),) = caught.value.details
    assert path == "/Normalise/ImageName"
    assert message == (
        f'ImageName of img-a in {REGION} is "web"; this run would make it "prod-web" and the next '
        'one "prod-prod-web"; a second run must change nothing'
    )


def test_a_policy_that_grows_tags() -> None:
    """A tag that grows in every run is rejected, naming the tag."""
    body = {"Tags": [{"Key": "a", "Value": "{Tag.a|0}1"}]}
    path, message = violation(body, image("img-a", "web"))
    assert path == "/Normalise/Tags"
    assert 'tag a of img-a in ap-guangzhou is null; this run would make it "01"' in message
    assert '"011"' in message


def test_a_policy_that_swaps() -> None:
    """Two values that swap in every run fail; an image that has only one of them is done."""
    body = {"ImageDescription": "{ImageFamily|x}", "ImageFamily": "{ImageDescription|x}"}
    swapped = image("img-a", "web", ImageDescription="d", ImageFamily="f")
    image_id, path, message = failure(body, image("img-b", "db"), swapped)
    assert (image_id, path) == ("img-a", "/Normalise/ImageDescription")
    assert 'is "d"; this run would make it "f" and the next one "d"' in message


def test_only_the_images_that_flip_fail() -> None:
    """An image that would get another name again fails with both names, and the others are done."""
    body = {
        "Derive": [{"From": "{ImageName}", "Parse": ["{app}-{n:digits}", "{app}"]}],
        "ImageName": "{app}-{n|Tag.n}",
        "Style": {"Case": "lower"},
    }
    images = [image("img-a", "web", Tags={"n": "x"}), image("img-b", "DB-1"), image("img-c", "y-1")]
    image_id, path, message = failure(body, *images)
    assert (image_id, path) == ("img-a", "/Normalise/ImageName")
    assert '"web"; this run would make it "web-x" and the next one "web-x-x"; a second' in message
    assert [step.new_name for step in plan(body, *images).all_steps] == ["", "db-1", ""]


def test_a_policy_that_retires_one_after_the_other() -> None:
    """An image whose rank changes, as the run removes another from the selection, fails."""
    body: dict[str, Any] = {
        "Select": {"ImageFamily": "web*", "Tags": [{"Key": "fresh", "Value": "1"}]},
        "Tags": [{"Key": "fresh", "Value": "{Tag.then|1}"}],
    }
    older = image("img-a", "a", ImageFamily="web", Tags={"fresh": "1"})
    newer = image(
        "img-b", "b", ImageFamily="web", CreatedTime="2026-11-21T00:00:00Z",
        Tags={"fresh": "1", "then": "2"},
    )  # fmt: skip
    for name, rule in {"KeepLatest": 1, "Retire": {"KeepLatest": 1}}.items():
        image_id, path, message = failure({**body, name: rule}, older, newer)
        assert (image_id, path) == ("img-a", f"/Normalise/{name}")
        assert message.startswith("ImageDeprecated of img-a in ap-guangzhou is")


@pytest.mark.parametrize("length", [1, 3, policy_plan.MAX_ROUNDS - 1, policy_plan.MAX_ROUNDS, 30])
def test_a_chain_of_flips_ends(length: int) -> None:
    """An image that flips only as another one is taken out is found; at last, all that is left."""
    body = {
        "Derive": [
            {"From": "{ImageName}", "Parse": ["{x}-2"]},
            {"From": "{x}", "Replace": [{"Key": "n", "Value": "m"}], "As": "again"},
        ],
        "ImageName": "{again|Tag.next}",
    }
    # Each wants the name of the next one. If that one keeps it, this one gets a number, and flips.
    chain = [image(f"img-{i:02}", f"n{i}", Tags={"next": f"n{i + 1}"}) for i in range(length)]
    end = image("img-end", f"n{length}", Tags={"image-steward": "ignore"})
    other = image("img-other", "x", Tags={"next": "y"})
    with patch.object(policy_plan, "_flips", side_effect=policy_plan._flips) as rounds:
        steps = normalised(body, Region([*chain, end, other]))
    ends_early = length < policy_plan.MAX_ROUNDS
    assert rounds.call_count == (length + 1 if ends_early else policy_plan.MAX_ROUNDS)
    failed = [step.image_id for step in steps if step.error]
    assert failed == [one.image_id for one in (*chain, *([] if ends_early else [other]))]
    assert [step.new_name for step in steps if step.new_name] == (["y"] if ends_early else [])


@pytest.mark.parametrize("dry_run", [False, True])
def test_a_policy_without_a_safe_order(*, dry_run: bool) -> None:
    """A policy whose writes have no safe order is done, with a warning if anything changes."""
    body = {
        "Select": {"ImageName": SELECTED, "Tags": [{"Key": "stage", "Value": "new"}]},
        "ImageName": "{ImageFamily}",
        "Tags": [{"Key": "stage", "Value": "done"}],
    }
    one = image("img-a", "build-1", ImageFamily="web", Tags={"stage": "new"})
    planned_ = plan(body, one, dry_run=dry_run)
    (step,) = planned_.changes
    assert (attributes_of(step), bound_tags(step)) == ({"ImageName": "web"}, {"stage": "done"})
    (warning,) = planned_.warnings
    assert isinstance(warning, UnstablePolicy)
    ((path, message),) = warning.details
    assert path == "/Normalise"
    assert message == (
        "no order of writes is safe: if a run is interrupted when it has written the tags and "
        f"attributes of img-a in {REGION}, Tag.stage does not become what is planned: the next "
        f"one skips it, as ImageName does not match {SELECTED}; use two policies"
    )
    assert plan(body, image("img-a", "web")).warnings == ()


def test_a_policy_of_every_member() -> None:
    """A policy with every member is accepted; it writes no tag that it selects by."""
    body = {
        "Select": {
            "ImageName": SELECTED,
            "ImageFamily": "web*",
            "Tags": [{"Key": "team", "Value": "*"}],
            "OlderThanHours": 2,
        },
        "ImageName": "{ImageFamily}-{OsName}-{CreatedTime:%Y%m%d}",
        "Style": {"Case": "lower", "Separator": "-"},
        "ImageDescription": "{ImageName}",
        "Tags": [{"Key": "source", "Value": "{Tag.pipeline|unknown}"}],
        "OnConflict": "number",
        "KeepLatest": 3,
        "MaxChanges": 100,
    }
    images = [
        image(f"img-{i}", f"build-{i}", ImageFamily="web", Tags={"team": "a"}) for i in "abcd"
    ]
    steps = normalised(body, Region(images))
    assert [step.new_name for step in steps] == [
        f"web-tencentos-20261120{number}" for number in ("", "-2", "-3", "-4")
    ]
    assert [step.values.get("ImageDeprecated") for step in steps] == [
        True,
        None,
        None,
        None,
    ]


def test_a_policy_that_empties_its_own_selection() -> None:
    """A policy that removes its images from its selection is stable, also with KeepLatest."""
    body = {"Select": {"ImageName": SELECTED}, "ImageName": "web-{ImageId}", "KeepLatest": 1}
    region = Region(image(f"img-{i}", f"build-{i}", ImageFamily="web") for i in "ab")
    steps = normalised(body, region)
    assert [step.new_name for step in steps] == ["web-img-a", "web-img-b"]
    assert [step.values.get("ImageDeprecated") for step in steps] == [True, None]


def test_a_second_run_that_skips_a_numbered_name() -> None:
    """An image that a second run would skip does not make a policy unstable."""
    body = {
        "ImageName": "web",
        "ImageDescription": "   ",
        "Tags": [
            {"Key": "a", "Value": "{ImageDescription|x}"},
            {"Key": "b", "Value": "{ImageName}"},
        ],
    }
    steps = normalised(body, Region([image("img-a", "q"), image("img-b", "r")]))
    assert [step.new_name for step in steps] == ["web", "web-2"]
    assert [bound_tags(step) for step in steps] == [
        {"a": "x", "b": "web"},
        {"a": "x", "b": "web-2"},
    ]


def test_names_from_other_fields_are_stable() -> None:
    """Names made only of fields that the policy does not write are accepted."""
    (step,) = normalised({"ImageName": "prod-{OsName}"}, Region([image("img-a", "web")]))
    assert step.new_name == "prod-TencentOS"


# ---- numbers


def numbered(template: str, *images: Image, **body: object) -> list[str]:
    """Return the names of images after a policy."""
    region = Region(images)
    steps = normalised({"ImageName": template, **body}, region)
    return list(wanted_names(steps, region.images).values())


def test_numbers_in_order_of_age_and_id() -> None:
    """Older images get lower numbers; images of the same age are ordered by id."""
    older, newer = "2026-11-19T00:00:00Z", "2026-11-21T00:00:00Z"
    images = [
        image("img-d", "1", CreatedTime=newer),
        image("img-b", "2", CreatedTime=older),
        image("img-c", "3", CreatedTime=""),
        image("img-a", "4", CreatedTime=older),
    ]
    assert numbered("web", *images) == ["web-4", "web-3", "web", "web-2"]


def test_a_new_image_renumbers_no_other() -> None:
    """Images keep their numbered names, even if an older image is added or a number is free."""
    images = [
        image("img-a", "new"),
        image("img-b", "web-3", CreatedTime="2026-11-21T00:00:00Z"),
        image("img-c", "web", CreatedTime="2026-11-22T00:00:00Z"),
        image("img-d", "newest", CreatedTime="2026-11-23T00:00:00Z"),
    ]
    assert numbered("web", *images) == ["web-2", "web-3", "web", "web-4"]


def test_own_names_before_numbers() -> None:
    """A name that is the desired name of one image is not another's numbered form."""
    images = [
        image("img-a", "1", ImageFamily="web"),
        image("img-b", "2", ImageFamily="web"),
        image("img-c", "3", ImageFamily="web-2"),
    ]
    assert numbered("{ImageFamily}", *images) == ["web", "web-3", "web-2"]


def test_name_is_cut_for_its_number() -> None:
    """A name of 60 characters is cut for its number, however long the number is."""
    names = numbered(LONG, *(image(f"img-{i:02}", f"{i}") for i in range(11)))
    assert names[0] == LONG
    assert names[1] == f"{LONG[:58]}-2"
    assert names[10] == f"{LONG[:57]}-11"
    assert all(len(name) == NAME_LENGTH for name in names)


def test_name_is_cut_between_characters() -> None:
    """A name is cut for its number between two visible characters."""
    names = numbered(CONJUNCTS, image("img-a", "1"), image("img-b", "2"))
    assert names == [CONJUNCTS, f"{CONJUNCTS[:56]}-2"]


def test_names_that_are_cut_to_the_same_one() -> None:
    """Long names that are cut to the same text share their numbers."""
    images = [
        image(f"img-{i:02}", f"{i}", ImageFamily=f"{LONG[:58]}{'ab'[i % 2]}b") for i in range(24)
    ]
    names = numbered("{ImageFamily}", *images)
    assert names == [
        f"{LONG[:58]}ab",
        f"{LONG[:58]}bb",
        *(f"{LONG[:58]}-{number}" for number in range(2, 10)),
        *(f"{LONG[:57]}-{number}" for number in range(10, 24)),
    ]


def test_numbers_are_found_in_linear_time() -> None:
    """A thousand names that are cut to the same text do not try all numbers each."""
    images = [image(f"img-{i}", f"{i}", ImageFamily=f"{LONG[:56]}{i // 2:04}") for i in range(2000)]
    with patch.object(Style, "numbered", autospec=True, side_effect=Style.numbered) as calls:
        names = numbered("{ImageFamily}", *images)
    assert len(set(names)) == 2000
    assert calls.call_count < 20 * len(images)


def test_a_free_number_below_those_of_another_name() -> None:
    """A shorter name uses free numbers below those that a longer one has reached."""
    images = [
        *(image(f"img-a{i}", f"a{i}", ImageFamily="web-10") for i in range(4)),
        *(image(f"img-b{i:02}", f"b{i}", ImageFamily="web") for i in range(11)),
        image("img-c", "c", ImageFamily="web-10"),
    ]
    names = numbered("{ImageFamily}", *images)
    assert names[:4] == ["web-10", "web-10-2", "web-10-3", "web-10-4"]
    assert names[4:15] == ["web", *(f"web-{i}" for i in range(2, 10)), "web-11", "web-12"]
    assert names[15] == "web-10-5"


def test_a_free_number_of_fewer_digits() -> None:
    """A name that is cut for one digit uses free numbers below those that need two digits."""
    images = [
        *(image(f"img-a{i:02}", f"a{i}", ImageFamily=f"{LONG[:58]}yy") for i in range(11)),
        *(image(f"img-b{i}", f"b{i}", ImageFamily=LONG[:57]) for i in range(3)),
    ]
    names = numbered("{ImageFamily}", *images)
    assert names[8:11] == [f"{LONG[:58]}-9", f"{LONG[:57]}-10", f"{LONG[:57]}-11"]
    assert names[11:] == [LONG[:57], f"{LONG[:57]}-2", f"{LONG[:57]}-3"]


def test_names_of_skipped_images_are_taken() -> None:
    """The name of a skipped image is not given to another one."""
    images = [
        image("img-a", "web", Tags={"image-steward": "ignore"}),
        image("img-b", "web-2", ImageType="SHARED_IMAGE"),
        image("img-c", "web-3", ImageState="CREATING"),
        image("img-d", "1"),
    ]
    assert numbered("web", *images) == ["web", "web-2", "web-3", "web-4"]
    assert numbered("web", *images, OnConflict="skip")[3] == "1"


def test_other_templates_see_the_number() -> None:
    """Description and tags are rendered with the final name."""
    body = {
        "ImageName": "web",
        "ImageDescription": "{ImageName}.",
        "Tags": [{"Key": "name", "Value": "{ImageName}"}],
    }
    kept = image("img-a", "web-2", CreatedTime="")
    steps = normalised(body, Region([kept, image("img-b", "1"), image("img-c", "2")]))
    assert [step.values["ImageDescription"] for step in steps] == [
        "web-2.",
        "web.",
        "web-3.",
    ]
    assert [bound_tags(step)["name"] for step in steps] == ["web-2", "web", "web-3"]


def test_a_number_that_takes_a_value_away() -> None:
    """An image is skipped if nothing can be derived from its name once that has a number."""
    body = {
        "Derive": [{"From": "{ImageName}", "Parse": ["{app:word}"]}],
        "ImageName": "web",
        "ImageDescription": "{app}",
    }
    first, second = normalised(body, Region([image("img-a", "1 a"), image("img-b", "2 b")]))
    assert attributes_of(first) == {"ImageName": "web", "ImageDescription": "web"}
    assert second.is_skipped
    assert second.reasons == ("app has no value and no default",)


# ---- OnConflict skip


def test_skip() -> None:
    """The first image gets the name; the others keep theirs, with the reason."""
    region = Region(image(f"img-{i}", i) for i in "abc")
    first, *later = normalised({"ImageName": "web", "OnConflict": "skip"}, region)
    assert first.new_name == "web"
    for step in later:
        assert step.is_skipped
        assert step.is_empty
        assert step.reasons == ('the name "web" is taken by another image',)


def test_skip_for_the_holder() -> None:
    """An image that already holds the name keeps it, before older images."""
    images = [image("img-a", "1"), image("img-b", "web", CreatedTime="2026-11-22T00:00:00Z")]
    assert numbered("web", *images, OnConflict="skip") == ["1", "web"]


def test_skip_spreads() -> None:
    """An image that keeps its name blocks the one that wants it, and so on."""
    images = [
        image("img-a", "1", ImageFamily="9"),
        image("img-b", "2", ImageFamily="1"),
        image("img-c", "3", ImageFamily="2"),
        image("img-d", "9", Tags={"image-steward": "ignore"}),
        image("img-e", "5", ImageFamily="6"),
    ]
    assert numbered("{ImageFamily}", *images, OnConflict="skip") == ["1", "2", "3", "9", "6"]


def test_skip_reaches_the_first_image() -> None:
    """The first of two images loses the name, too, if its holder cannot leave it."""
    images = [
        image("img-a", "1", ImageFamily="2"),
        image("img-b", "2", ImageFamily="3"),
        image("img-c", "4", ImageFamily="3", CreatedTime=""),
        image("img-d", "5", ImageFamily="2"),
    ]
    assert numbered("{ImageFamily}", *images, OnConflict="skip") == ["1", "2", "3", "5"]


# ---- skipped images and their reasons


def reason_of(body: dict[str, Any], one: Image) -> str:
    """Return why an image is skipped."""
    (step,) = normalised(body, Region([one]))
    assert step.is_skipped
    assert step.is_empty
    assert step.before == one
    return "; ".join(step.reasons)


def test_untouchable() -> None:
    """Opting out, another type and another state each have a reason."""
    body = {"ImageName": "new"}
    one = image("img-a", "a", Tags={"image-steward": "ignore"})
    assert reason_of(body, one) == "it has the tag image-steward = ignore"
    assert reason_of(body, image("img-a", "a", ImageType="SHARED_IMAGE")) == (
        "ImageType is SHARED_IMAGE, not PRIVATE_IMAGE"
    )
    assert (
        reason_of(body, image("img-a", "a", ImageState="SYNCING"))
        == "ImageState is SYNCING, not NORMAL"
    )


def test_another_value_does_not_opt_out() -> None:
    """Only the value `ignore` opts an image out."""
    one = image("img-a", "a", Tags={"image-steward": "ignored"})
    assert numbered("new", one) == ["new"]


def test_not_selected() -> None:
    """An image that is not selected is skipped, and the reason names what does not match."""
    body = {"ImageName": "new", "Select": {"ImageName": SELECTED}}
    assert reason_of(body, image("img-a", "a")) == "ImageName does not match build-*"


@pytest.mark.parametrize(
    ("excepted", "members", "matches"),
    [
        ({"Tags": [{"Key": "keep"}]}, {}, False),
        ({"Tags": [{"Key": "keep"}]}, {"Tags": {"keep": ""}}, True),
        ({"Tags": [{"Key": "keep", "Value": "y*"}]}, {"Tags": {"keep": "no"}}, False),
        ({"Tags": [{"Key": "a"}, {"Key": "b"}]}, {"Tags": {"a": "1"}}, False),
        ({"Tags": [{"Key": "a"}, {"Key": "b"}]}, {"Tags": {"a": "1", "b": "2"}}, True),
        ({"ImageName": ["golden-*", "web-?"]}, {}, True),
        ({"ImageName": "WEB-*"}, {}, False),
        ({"OsName": "TencentOS", "ImageFamily": "db"}, {}, False),
        ({"OsName": "TencentOS", "ImageFamily": "db"}, {"ImageFamily": "db"}, True),
        ({"OlderThanHours": 100}, {}, True),
        ({"OlderThanHours": 200}, {}, False),
        ({"YoungerThanHours": 200}, {}, True),
        ({"YoungerThanHours": 200}, {"CreatedTime": ""}, False),
        ({"ImageName": "web-*", "YoungerThanHours": 100}, {}, False),
    ],
)
def test_except(excepted: dict[str, Any], members: dict[str, Any], *, matches: bool) -> None:
    """An image that meets all conditions of an entry of Except is skipped, and the reason says so.

    Retire does not rank it, either.
    """
    one = image("img-a", "web-1", **members)
    rules: list[dict[str, Any]] = [
        {"ImageName": "new"},
        {"Retire": {"KeepLatest": 1, "GroupBy": "{Region}"}},
    ]
    for rule in rules:
        body = {**rule, "Except": [{"ImageName": "other"}, excepted]}
        newer = image("img-b", "x", CreatedTime="2026-11-24T11:00:00Z", OsName="other")
        steps = {step.image_id: step for step in normalised(body, Region([one, newer]))}
        assert steps["img-a"].is_skipped == matches
        assert matches or steps["img-a"].new_name == rule.get("ImageName", "")
        if matches:
            assert steps["img-a"].is_empty
            assert steps["img-a"].reasons == ("it matches /Normalise/Except/1",)


def test_image_deprecated() -> None:
    """ImageDeprecated marks or unmarks all selected images."""
    images = [image("img-a", "a", ImageDeprecated=True), image("img-b", "b")]
    assert [
        attributes_of(step)
        for mark in (True, False)
        for step in plan({"ImageDeprecated": mark}, *images).changes
    ] == [
        {"ImageDeprecated": True},
        {"ImageDeprecated": False},
    ]


def test_delete_tags() -> None:
    """Tags that match a glob are deleted; those that the policy sets, or are protected, stay."""
    tags = {"tmp-1": "1", "TMP-2": "2", "xtmp-3": "3", "old": "4", "set": "5", "kept": "6"}
    one = image("img-a", "a", Tags=tags)
    (step,) = plan({"DeleteTags": ["tmp-*", "no-such"]}, one).changes
    assert deleted_tags(step) == ("tmp-1",)
    request = policy({"DeleteTags": ["*"], "Tags": [{"Key": "set", "Value": "{Tag.old|gone}"}]})
    request = replace(request, protected_tags=(Glob("kep?"), Glob("kept")))
    (step,) = policy_plan.normalise(request, REGION, [one], lambda: NOW)
    assert isinstance(step.error, UnstablePolicy)  # the next run finds no tag `old`
    request = policy({"DeleteTags": ["*"], "Tags": [{"Key": "set", "Value": "x"}]})
    request = replace(request, protected_tags=(Glob("kep?"),))
    (step,) = policy_plan.normalise(request, REGION, [one], lambda: NOW)
    assert deleted_tags(step) == ("tmp-1", "TMP-2", "xtmp-3", "old")
    assert bound_tags(step) == {"set": "x"}


def test_no_value() -> None:
    """An image without the value of a field is skipped, and the reason names the field."""
    no_family = image("img-a", "a")
    reason = "ImageFamily has no value and no default"
    assert reason_of({"ImageName": "{ImageFamily}"}, no_family) == reason
    assert reason_of({"ImageName": "x", "ImageDescription": "{ImageFamily}"}, no_family) == reason
    assert reason_of({"ImageName": "{Tag.k}"}, no_family) == "Tag.k has no value and no default"
    no_time = image("img-a", "a", CreatedTime="")
    assert reason_of({"ImageName": "{CreatedTime:%Y}"}, no_time) == (
        "CreatedTime has no value and no default"
    )


def test_empty_name() -> None:
    """An image whose name would be empty is skipped."""
    assert reason_of({"ImageName": " - / "}, image("img-a", "a")) == ("ImageName is empty")


def test_blank_tag_value() -> None:
    """An image whose tag value would be blank is skipped."""
    body = {"Tags": [{"Key": "k", "Value": "  "}]}
    assert reason_of(body, image("img-a", "a")) == "Tag.k is empty"


@pytest.mark.parametrize("family", ["", " ", "\u200b\ufeff", "\n"])
def test_blank_family(family: str) -> None:
    """An image whose family would be blank is skipped."""
    one = image("img-a", "a", Tags={"of": f" {family}"})
    assert reason_of({"ImageFamily": "{Tag.of}"}, one) == "ImageFamily is empty"


@pytest.mark.parametrize("letter", ["\n", "\t", "\0", "\x7f", "\x9b", "\u2028", "\u2029"])
@pytest.mark.parametrize("name", ["ImageFamily", "Tag.k"])
def test_control_character(name: str, letter: str) -> None:
    """An image is skipped if its family or tag would have a control character inside."""
    template = "{Tag.of}"
    members: dict[str, Any] = {"ImageFamily": template}
    if name != "ImageFamily":
        members = {"Tags": [{"Key": "k", "Value": template}]}
    assert reason_of(members, image("img-a", "a", Tags={"of": f"a{letter}b"})) == (
        f"{name} {short(f'a{letter}b')} contains U+{ord(letter):04X}; no control character or "
        "line end is allowed"
    )


@pytest.mark.parametrize("end", ["\n", " ", "\u3000", "\u200b", "\ufeff", "\u200f"])
def test_rendered_values_are_clean(end: str) -> None:
    """What a policy sets has no invisible characters, and no blanks at its ends."""
    one = image("img-a", "a", Tags={"of": f"{end}x{end}"})
    names = ("ImageName", "ImageFamily", "ImageDescription")
    template = f"{end}{{Tag.of}}{end}"
    tag = {"Key": "k", "Value": template}
    body = {**dict.fromkeys(names, template), "Tags": [tag]}
    (step,) = normalised(body, Region([one]))
    assert (attributes_of(step), bound_tags(step)) == (dict.fromkeys(names, "x"), {"k": "x"})


def test_rendered_names_lose_invisible_characters() -> None:
    """An invisible character inside a name becomes no separator."""
    one = image("img-a", "a", Tags={"of": "x\u200by\ufeffz"})
    (step,) = normalised({"ImageName": "{Tag.of}"}, Region([one]))
    assert attributes_of(step) == {"ImageName": "xyz"}


def test_cut_description() -> None:
    """A description that is cut at a blank is the same in the next run."""
    one = image("img-a", "a", ImageDescription="x" * 255 + " y")
    (step,) = normalised({"ImageDescription": "{ImageDescription}"}, Region([one]))
    assert attributes_of(step) == {"ImageDescription": "x" * 255}


def test_temporary_name() -> None:
    """A temporary name is not used as a field's value, and the reason says so."""
    one = image("img-a", temporary("img-a", 1))
    assert reason_of({"ImageName": "{ImageName}"}, one) == (
        "ImageName has no value and no default (the image has a temporary name)"
    )
    assert numbered("{ImageName|new}", one) == ["new"]
    assert numbered("web", one) == ["web"]


def test_temporary_name_of_a_selection() -> None:
    """An image with the temporary name of a policy is still selected by it."""
    body = {"ImageName": "{ImageDescription}", "Select": {"ImageName": SELECTED}}
    images = [
        image("img-a", "build-1", ImageDescription="build-2"),
        image("img-b", "build-2", ImageDescription="build-1"),
    ]
    region = Region(images)
    region.execute(normalised(body, region), Random(0), 1)  # noqa: S311 - only one call is possible
    assert region.names["img-a"].startswith(TEMPORARY)
    region.execute(normalised(body, region), Random(0))  # noqa: S311 - any order will do
    assert region.names == {"img-a": "build-2", "img-b": "build-1"}


# ---- other attributes


def test_description_is_cut() -> None:
    """A description is cut to 256 characters, between two visible ones."""
    texts = ("d" * 300, f"{'d' * 254}{CONJUNCTS}")
    wanted = [
        normalised({"ImageDescription": text}, Region([image("img-a", "a")]))[0].values
        for text in texts
    ]
    assert wanted == [{"ImageDescription": "d" * 256}, {"ImageDescription": "d" * 254}]


def test_tag_value_is_cut() -> None:
    """A tag value is stripped, and cut to 255 characters."""
    values = {"v" * 300: "v" * 255, "  v ": "v", f"{'v' * 254} v": "v" * 254, f"{' ' * 255}v": "v"}
    for given_value, wanted in values.items():
        body = {"Tags": [{"Key": "k", "Value": given_value}]}
        (step,) = normalised(body, Region([image("img-a", "a")]))
        assert bound_tags(step) == {"k": wanted}


def test_blanks_do_not_displace_the_value() -> None:
    """Blanks before a name do not displace it from a tag value."""
    body = {
        "ImageName": "\u0600",  # a number sign is not separated from what follows it
        "Tags": [{"Key": "k", "Value": f"{' ' * 254}{{ImageName}}"}],
    }
    steps = normalised(body, Region([image("img-a", "1"), image("img-b", "2")]))
    assert [bound_tags(step) for step in steps] == [{"k": "\u0600"}, {"k": "\u0600-2"}]


def test_family_and_region() -> None:
    """Region and the facts of an image are fields."""
    body = {"ImageFamily": "{Region}-{OsName}-{Architecture}"}
    (step,) = normalised(body, Region([image("img-a", "a")]))
    assert attributes_of(step) == {"ImageFamily": "ap-guangzhou-TencentOS-x86_64"}


def test_keep_latest_marks_and_unmarks() -> None:
    """All but the newest are marked, the newest are unmarked, images without family are kept."""
    images = [
        image("img-a", "1", ImageFamily="web", CreatedTime="2026-11-19T00:00:00Z"),
        image("img-b", "2", ImageFamily="web", ImageDeprecated=True),
        image("img-c", "3", ImageFamily="web", CreatedTime=""),
        image("img-d", "4", ImageFamily="db"),
        image("img-e", "5", ImageDeprecated=True),
        image("img-f", "6", ImageFamily="web", CreatedTime="2026-11-19T00:00:00Z"),
    ]
    steps = planned({"KeepLatest": 2}, Region(images))
    marks = {image_id[-1]: s.values.get("ImageDeprecated") for image_id, s in steps.items()}
    assert marks == {"a": True, "b": False, "c": True, "d": None, "e": None, "f": None}
    assert steps["img-c"].reasons == ("number 4 of its group, newest first",)
    assert steps["img-b"].reasons == ("number 1 of its group, newest first",)


def test_keep_latest_of_the_new_family() -> None:
    """An image counts in the family that the policy sets."""
    body = {"ImageFamily": "{Tag.team}", "KeepLatest": 1}
    images = [
        image("img-a", "1", ImageFamily="web", Tags={"team": "infra"}),
        image("img-b", "2", ImageFamily="db", Tags={"team": "infra"}),
    ]
    first, second = normalised(body, Region(images))
    assert attributes_of(first) == {"ImageFamily": "infra", "ImageDeprecated": True}
    assert attributes_of(second) == {"ImageFamily": "infra"}


@pytest.mark.parametrize(
    ("group_by", "body"),
    [
        ("{ImageFamily}", {"ImageFamily": "{Tag.team}"}),
        ("{ImageName:.1}", {"ImageName": "{Tag.team}"}),
        ("{ImageDescription}", {"ImageDescription": "{Tag.team}"}),
        ("{Tag.group}", {"Tags": [{"Key": "group", "Value": "{Tag.team}"}]}),
        ("{Tag.own|x}", {"DeleteTags": ["own"]}),
        ("{app}", {"ImageName": "{Tag.team}-{ImageId}"}),
        ("{kind}", {"Tags": [{"Key": "kind", "Value": "{Tag.team}"}]}),
    ],
)
def test_groups_of_the_new_values(group_by: str, body: dict[str, Any]) -> None:
    """An image is ranked in the group that its values will have, also by derived fields."""
    derive = [
        {"From": "{ImageName}", "Parse": ["{app:word}-*"]},
        {"From": "{Tag.kind}", "Map": [{"Key": "i*", "Value": "same"}], "As": "kind"},
    ]
    images = [
        image(f"img-{i}", f"{i}-1", ImageFamily=i, ImageDescription=i,
              Tags={"team": "infra", "own": i, "group": i, "kind": i})
        for i in "ab"
    ]  # fmt: skip
    body = {"Derive": derive, **body, "Retire": {"KeepLatest": 1, "GroupBy": group_by}}
    steps = plan(body, *images).all_steps
    assert [step.values.get("ImageDeprecated") for step in steps] == [True, None]
    assert not any(step.error for step in steps)


def marks(body: dict[str, Any], *images: Image) -> dict[str, Any]:
    """Return the new values of ImageDeprecated, by the ends of the ids."""
    steps = plan(body, *images).all_steps
    assert not any(step.error for step in steps)
    found = {step.image_id[4:]: step.values.get("ImageDeprecated") for step in steps}
    return {image_id: mark for image_id, mark in found.items() if mark is not None}


def dated(image_id: str, days: int | None, **members: object) -> Image:
    """Return an image of this age, which has a family."""
    created = "" if days is None else utc(NOW - days * 86400)
    given = {"ImageFamily": "web", "CreatedTime": created, **members}
    return image(f"img-{image_id}", f"n-{image_id}", **given)


def test_retire_by_age() -> None:
    """Of the images after the newest N, only those that are known to be old enough are marked."""
    images = [dated(str(days), days) for days in (1, 89, 90, 91)]
    images += [dated("new", 0), dated("unknown", None), dated("none", 100, ImageFamily="")]
    retire = {"KeepLatest": 2, "OlderThanDays": 90}
    assert marks({"Retire": retire}, *images) == {"90": True, "91": True}
    assert marks({"Retire": retire | {"OlderThanDays": 0.5}}, *images) == {
        "89": True, "90": True, "91": True,
    }  # fmt: skip
    every = {"89": True, "90": True, "91": True, "unknown": True}
    assert marks({"Retire": {"KeepLatest": 2}}, *images) == every
    assert marks({"KeepLatest": 2}, *images) == every


def test_retire_unmarks() -> None:
    """What counts among the newest N again is unmarked, however old; the young keep their mark."""
    images = [dated("new", 1, ImageDeprecated=True), dated("old", 200, ImageDeprecated=True),
              dated("young", 2, ImageDeprecated=True), dated("other", 3)]  # fmt: skip
    retire = {"KeepLatest": 1, "OlderThanDays": 90}
    assert marks({"Retire": retire}, *images) == {"new": False}
    assert marks({"Retire": retire | {"KeepLatest": 4}}, *images) == {
        "new": False, "old": False, "young": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("member", "hours", "why"),
    [("OlderThanHours", 48, "younger than 48"), ("YoungerThanHours", 2400, "older than 2400")],
)
def test_retire_ranks_all_ages(member: str, hours: int, why: str) -> None:
    """Images of the wrong age for Select are ranked, marked and unmarked, but nothing else."""
    images = [dated("new", 1, ImageDeprecated=True), dated("mid", 50), dated("old", 200)]
    images += [dated("unknown", None)]
    body = {"Select": {member: hours}, "ImageName": "web-{ImageId}", "KeepLatest": 1}
    assert marks(body, *images) == {"new": False, "mid": True, "old": True, "unknown": True}
    steps = {step.image_id: step for step in plan(body, *images).all_steps}
    right_age = {"img-mid", "img-old"} if member == "OlderThanHours" else {"img-new", "img-mid"}
    assert {image_id for image_id, step in steps.items() if step.new_name} == right_age
    kept = dated("kept", 0 if member == "OlderThanHours" else 300)
    (step,) = plan(body, kept).all_steps
    assert step.reasons == (f"it is {why} hours",)
    assert step.is_skipped


def test_retire_leaves_others_alone() -> None:
    """What Select or Except leaves out, opts out, or fails, is neither ranked nor marked."""
    keep = {"Tags": {"keep": "1"}}
    images = [
        dated("a", 300),
        dated("b", 200),
        dated("keep", 400, **keep),
        dated("new", 1, **keep),
        dated("other", 2, OsName="CentOS"),
        dated("ignored", 3, Tags={"image-steward": "ignore"}),
        dated("busy", 4, ImageState="SYNCING"),
    ]
    body = {
        "Select": {"OsName": "Tencent*"},
        "Except": [{"Tags": [{"Key": "keep"}]}],
        "Retire": {"KeepLatest": 1},
    }
    assert marks(body, *images) == {"a": True}


def test_an_image_that_flips_is_not_ranked() -> None:
    """An image that fails does not count among the newest of its group."""
    body = {
        "Derive": [{"From": "{ImageDescription}", "Parse": ["twice {more}"]}],
        "ImageDescription": "{more|ImageDescription|x}",
        "KeepLatest": 1,
    }
    images = [dated("a", 3), dated("b", 2), dated("c", 1, ImageDescription="twice twice x")]
    steps = {step.image_id: step for step in plan(body, *images).all_steps}
    assert isinstance(steps["img-c"].error, UnstablePolicy)
    assert steps["img-a"].values["ImageDeprecated"] is True
    assert "ImageDeprecated" not in steps["img-b"].values


def test_keep_latest_leaves_out_skipped_images() -> None:
    """A skipped image does not count in its family, and is not marked."""
    body = {"KeepLatest": 1, "ImageName": "web", "OnConflict": "skip"}
    images = [
        image("img-a", "web", ImageFamily="f"),
        image("img-b", "2", ImageFamily="f", CreatedTime="2026-11-22T00:00:00Z"),
        image("img-c", "3", ImageFamily="f", Tags={"image-steward": "ignore"}),
    ]
    assert all(step.is_empty for step in normalised(body, Region(images)))


# ---- reasons


def test_reasons_of_a_planned_image() -> None:
    """That a name is taken is a reason; the rules, which are the same for all images, are none."""
    body = {"ImageName": "web", "ImageFamily": "f"}
    second = normalised(body, Region([image("img-a", "web"), image("img-b", "b")]))[1]
    assert second.new_name == "web-2"
    assert second.reasons == ('"web" is taken by img-a',)


def test_rules() -> None:
    """The rules of a plan are the members of the policy, whole and as they were given."""
    body = {
        "Select": {"ImageName": "a*"},
        "ImageName": "{ImageFamily|" + "x" * 100 + "}",
        "Tags": [{"Key": "k", "Value": "{OsName}"}],
        "DeleteTags": ["tmp-*", "old"],
        "Retire": {"KeepLatest": 3, "GroupBy": "{OsName}", "OlderThanDays": 90},
        "MaxChanges": 9,
    }
    assert dict(plan(body, image("img-a", "b")).rules) == body


def test_unchanged_image_has_no_reasons() -> None:
    """An image in its desired state has an empty step without reasons, and is not skipped."""
    (step,) = normalised({"ImageName": "web"}, Region([image("img-a", "web")]))
    assert step.is_empty
    assert not step.is_skipped
    assert step.reasons == ()


def test_no_images() -> None:
    """A region without images has no steps."""
    assert normalised({"ImageName": "prod-{ImageName}"}, Region([])) == []


# --- The order of writes ---

LAST = (("tags",), ("attributes",), ("deletions",), ("last",))
DELETIONS_FIRST = (("tags",), ("deletions",), ("attributes",), ("last",))
ONLY_Y = {"From": "{ImageName}", "Parse": ["{app:word}"]}
TEN = {"Key": "te*", "Value": "10"}
TEAM = {"Tags": [{"Key": "team", "Value": "x"}]}


@pytest.mark.parametrize(
    ("body", "phases", "problem"),
    [
        ({"ImageName": "x"}, LAST, ""),
        ({"ImageName": "x", "Select": {"ImageName": "y"}}, LAST, ""),
        ({"ImageName": "x", "DeleteTags": ["tmp"]}, LAST, ""),
        (
            {"ImageName": "x", "DeleteTags": ["tmp"], "Select": {"ImageName": "y"}},
            DELETIONS_FIRST,
            "",
        ),
        (
            {"ImageName": "{Tag.tmp|x}", "DeleteTags": ["tmp"], "Select": {"ImageName": "y"}},
            LAST,
            "the next one skips it, as ImageName does not match y",
        ),
        ({"ImageName": "x", "DeleteTags": ["tmp"], "Select": {"Tags": [{"Key": "tmp"}]}}, LAST, ""),
        ({**TEAM, "ImageName": "x", "Select": {"Tags": [TEN]}}, LAST, ""),
        ({**TEAM, "ImageName": "x", "Select": {"Tags": [{"Key": "te*"}]}}, LAST, ""),
        (
            {
                **TEAM,
                "ImageName": "x-{ImageName}",
                "Except": [{"Tags": [{"Key": "team", "Value": "x"}]}],
            },
            LAST,
            "has written the tags and attributes of img-1 in ap-guangzhou, ",
        ),
        (
            {**TEAM, "ImageName": "x", "Select": {"ImageName": "y", "Tags": [TEN]}},
            LAST,
            "the next one skips it, as ImageName does not match y",
        ),
        (
            {
                "ImageName": "x",
                "Tags": [{"Key": "was", "Value": "{Tag.was|OldName}"}],
                "Except": [{"Tags": [{"Key": "was"}]}],
            },
            LAST,
            "has written the tags and attributes of img-1 in ap-guangzhou, ",
        ),
        (
            {"ImageName": "x", "Tags": [{"Key": "was", "Value": "{Tag.was|OldName}"}]},
            LAST,
            "",
        ),
        (
            {"ImageName": "x", "Select": {"ImageName": "y"}, "KeepLatest": 3},
            LAST,
            "the wrong ones may be kept",
        ),
        ({"ImageName": "x", "Select": {"OsName": "*"}, "KeepLatest": 3}, LAST, ""),
        (
            {"ImageName": "{app}-x", "Derive": [ONLY_Y], "DeleteTags": ["tmp"]},
            DELETIONS_FIRST,
            "",
        ),
        (
            {"ImageName": "{app}-x", "Derive": [ONLY_Y], "KeepLatest": 3},
            LAST,
            "the wrong ones may be kept",
        ),
        (
            {
                "ImageDescription": "{ImageDescription|Tag.new|none}",
                "Tags": [{"Key": "new", "Value": "{Tag.new|Tag.team}"}],
            },
            LAST,
            "the tags of img-1 in ap-guangzhou, ImageDescription does not become what is planned",
        ),
        (
            {
                "Select": {"Tags": [{"Key": "tmp"}]},
                "Except": [{"Tags": [{"Key": "stage"}]}],
                "Tags": [{"Key": "stage", "Value": "done"}],
                "DeleteTags": ["tmp"],
            },
            LAST,
            "the next one skips it, as no tag matches tmp = *",
        ),
        (
            {
                "Select": {"Tags": [{"Key": "tmp"}]},
                "Except": [{"Tags": [{"Key": "stage"}]}],
                "Tags": [{"Key": "stage", "Value": "done"}],
                "ImageName": "x",
            },
            LAST,
            "",
        ),
        *(
            (
                {
                    "ImageName": "x",
                    "KeepLatest": 3,
                    "DeleteTags": [deleted],
                    "Select": {"Tags": [{"Key": key}]},
                    "Except": [{"Tags": [{"Key": "tmp-keep"}]}],
                },
                LAST,
                problem,
            )
            for deleted, key, problem in [
                ("tmp*", "team", ""),
                ("tmp-*", "te*", ""),
                ("tmp", "te?m", ""),
                ("t*", "team", "the wrong ones may be kept"),
                ("team", "te*", "the wrong ones may be kept"),
                ("*m", "te*", "the wrong ones may be kept"),
            ]
        ),
    ],
)
def test_order_of_writes(body: dict[str, Any], phases: object, problem: str) -> None:
    """What may end the selection of an image is written last; if no order is safe, it says why."""
    one = image("img-1", "y", ImageFamily="web", Tags={"team": "10", "tmp": "t"})
    plan = policy_plan.plan(policy(body), {REGION: RegionImages({"img-1": one})}, lambda: NOW)
    assert plan.changes
    assert plan.phases == phases
    assert [problem in warning.message for warning in plan.warnings] == [True] * bool(problem)


@pytest.mark.parametrize(
    ("body", "is_safe"),
    [
        ({"ImageName": "web-{CreatedTime:%Y%m%d}"}, True),
        ({"ImageName": "web-{CreatedTime:%Y%m%d}", "Except": [{"ImageName": "*tmp*"}]}, True),
        (
            {
                "Derive": [{"From": "{ImageName}", "Parse": ["{app}-{d:%Y%m%d}"]}],
                "ImageName": "{app}-{CreatedTime:%Y%m%d}",
            },
            False,
        ),
    ],
)
def test_interrupted_cycle_of_a_policy(body: dict[str, Any], *, is_safe: bool) -> None:
    """If a temporary name would lose what the new name is made of, the plan has a warning."""
    images = [
        image("img-1", "web-20261101", CreatedTime="2026-11-02T00:00:00Z"),
        image("img-2", "web-20261102", CreatedTime="2026-11-01T00:00:00Z"),
    ]
    region: CurrentImages = {REGION: RegionImages({one.image_id: one for one in images})}
    planned_ = policy_plan.plan(policy(body), region, lambda: NOW)
    assert len(planned_.changes) == 2
    assert [w.message for w in planned_.warnings if "temporary name" in w.message] == (
        [] if is_safe else [planned_.warnings[0].message]
    )
    if is_safe:
        torn = Region(images)
        for calls in (1, None):
            dice = Random(1)  # noqa: S311 - any order will do
            torn.execute(normalised(body, torn), dice, calls, policy=policy(body))
        assert torn.names == {"img-1": "web-20261102", "img-2": "web-20261101"}


def test_length_that_is_written_as_a_float() -> None:
    """A length of 8.0 is one of 8."""
    body = {"ImageName": "{ImageId}-of-the-web", "Style": {"MaxLength": 8.0}}
    (step,) = normalised(body, Region([image("img-1", "x")]))
    assert step.new_name == "img-1-of"


def test_more_tags_than_an_image_may_have() -> None:
    """An image that has no room for a tag fails in the plan already, and keeps its name."""
    full = image("img-1", "x", Tags={f"k{i}": "v" for i in range(50)})
    free = image("img-2", "y", Tags={f"k{i}": "v" for i in range(49)})
    body = {"ImageName": "{ImageId}", "Tags": [{"Key": "a", "Value": "b"}], "DeleteTags": ["k1"]}
    failed, done = normalised(body, Region([full, free]))
    assert failed.error
    assert failed.error.code == "LimitExceeded.ResourceAttachedTags"
    assert "51 tags" in failed.error.message
    assert failed.is_empty
    assert (done.new_name, bound_tags(done), deleted_tags(done)) == ("img-2", {"a": "b"}, ("k1",))


def test_deleted_tags_that_no_document_may_name() -> None:
    """A glob leaves out keys that a change request could not name, as in the dry run's Apply."""
    tags = {"tmp\u0007": "v", "": "v", "t" * 128: "v", "tmp": "v"}
    (step,) = normalised({"DeleteTags": ["*"]}, Region([image("img-1", "x", Tags=tags)]))
    assert deleted_tags(step) == ("tmp",)


def test_old_images_are_ranked_as_they_are() -> None:
    """An image that is too old for Select keeps its values, and is ranked by them."""
    body = {
        "Select": {"YoungerThanHours": 100},
        "ImageFamily": "new",
        "Retire": {"KeepLatest": 1},
    }
    young = image("img-1", "x", CreatedTime=utc(NOW - 3600))
    old = image("img-2", "y", ImageFamily="legacy", CreatedTime=utc(NOW - 1_000_000))
    older = image("img-3", "z", ImageFamily="legacy", CreatedTime=utc(NOW - 2_000_000))
    steps = {step.image_id: step for step in normalised(body, Region([young, old, older]))}
    assert attributes_of(steps["img-1"]) == {"ImageFamily": "new"}
    assert steps["img-2"].is_skipped
    assert attributes_of(steps["img-3"]) == {"ImageDeprecated": True}


FULL = {f"k{i}": "v" for i in range(50)}
OLD, NEW = "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"


@pytest.mark.parametrize(
    ("body", "images"),
    [
        (
            {"Tags": [{"Key": "t", "Value": "{ImageFamily}"}], "KeepLatest": 1},
            [
                image("img-1", "a", ImageFamily="web", CreatedTime=OLD),
                image("img-2", "b", ImageFamily="web", CreatedTime=NEW, Tags=FULL),
            ],
        ),
        (
            {"ImageName": "{ImageFamily}", "Tags": [{"Key": "t", "Value": "x"}]},
            [
                image("img-1", "b", ImageFamily="web", CreatedTime=NEW),
                image("img-2", "a", ImageFamily="web", CreatedTime=OLD, Tags=FULL),
            ],
        ),
        (
            {
                "Select": {"Tags": [{"Key": "n"}]},
                "ImageName": "{Tag.n}",
                "Tags": [{"Key": "t", "Value": "x"}],
                "KeepLatest": 1,
            },
            [
                image("img-1", "web", ImageFamily="f", Tags={"n": "x"}),
                image("img-2", "web", ImageFamily="f", Tags={"n": "y"}),
                image("img-3", "c", ImageFamily="f", Tags={"n": "web"}),
            ],
        ),
    ],
)
def test_no_warning_because_of_failed_images(body: dict[str, Any], images: list[Image]) -> None:
    """An image that fails is no reason to warn of the others."""
    planned_ = plan(body, *images)
    assert any(step.error for step in planned_.all_steps)
    assert planned_.changes
    assert planned_.warnings == ()


def test_image_without_room_for_tags_is_not_ranked() -> None:
    """An image that fails is not counted among the newest of its group."""
    old = image("img-1", "a", ImageFamily="web", CreatedTime=OLD)
    full = image("img-2", "b", ImageFamily="web", CreatedTime=NEW, Tags=FULL)
    body = {"Tags": [{"Key": "t", "Value": "{ImageFamily}"}], "KeepLatest": 1}
    first, second = normalised(body, Region([old, full]))
    assert "ImageDeprecated" not in first.values
    assert second.error


@pytest.mark.parametrize(
    "body",
    [
        {"ImageFamily": "web"},
        {"DeleteTags": ["k5*"]},
        {"Tags": [{"Key": "k1", "Value": "w"}]},
    ],
)
def test_image_with_too_many_tags_already(body: dict[str, Any]) -> None:
    """An image with more tags than are allowed fails only if it would get another one."""
    tags = {f"k{i}": "v" for i in range(51)}
    (step,) = normalised(body, Region([image("img-1", "a", Tags=tags)]))
    assert not step.error
    assert not step.is_empty


def test_name_that_is_only_taken() -> None:
    """An image that would get another name, if that were not taken, is not stable."""
    body = {"OnConflict": "skip", "ImageName": "{ImageFamily|web}", "ImageFamily": "web"}
    one = image("img-1", "one", ImageFamily="other", CreatedTime=OLD)
    two = image("img-2", "two", CreatedTime=NEW)
    failed, done = normalised(body, Region([one, two]))
    assert isinstance(failed.error, UnstablePolicy)
    assert done.new_name == "web"


def test_rejection_of_many_images() -> None:
    """A policy that is stable for no image is rejected with 20 of them, and their number."""
    images = [image(f"img-{i:02}", f"n{i}") for i in range(30)]
    with pytest.raises(UnstablePolicy) as caught:
        plan({"ImageName": "a-{ImageName}"}, *images)
    messages = [message for _, message in caught.value.details]
    assert [message[:19] for message in messages[:20]] == [
        f"ImageName of img-{i:02}" for i in range(20)
    ]
    assert messages[20:] == ["and 10 more images"]
