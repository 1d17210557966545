"""Policies applied to images: desired state, conflicts, reasons, and stability."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from image_steward.errors import UnstablePolicy
from image_steward.limits import NAME_LENGTH
from image_steward.messages import short
from image_steward.naming.style import Style
from image_steward.naming.temporary import TEMPORARY, temporary
from image_steward.planning import policy_plan
from region import (
    BODIES,
    CONJUNCTS,
    LONG,
    REGION,
    SELECTED,
    Region,
    cycles,
    image,
    new_temporaries,
    normalised,
    policy,
    regions,
    wanted_names,
    writes_of,
)

if TYPE_CHECKING:
    from image_steward.model import Image, Step

RANDOMS = st.randoms(use_true_random=False)


GROWING = st.builds(
    lambda body, template: {**body, "ImageName": template},
    BODIES,
    st.sampled_from(["a-{ImageName}", "{ImageName|b}c", "{Tag.a|web}{ImageName|x}"]),
)
"""Policies, many of which would make names longer in every run."""

RETIRING = st.builds(lambda body, number: {**body, "KeepLatest": number}, BODIES, st.integers(1, 2))


def accepted(body: dict[str, Any], region: Region) -> list[Step]:
    """Return the steps of a policy, and discard examples that are rejected as unstable."""
    try:
        return normalised(body, region)
    except UnstablePolicy:
        assume(condition=False)
        raise


def unchecked(body: dict[str, Any], region: Region) -> list[Step]:
    """Return the steps of a policy, even of an unstable one."""
    with patch.object(policy_plan, "check_stable"):
        return normalised(body, region)


@given(BODIES, regions(), RANDOMS)
def test_names_are_unique_and_fit(body: dict[str, Any], region: Region, random: Random) -> None:
    """No call sets a name in use, and all names end up unique, with 1 to 60 characters."""
    steps = accepted(body, region)
    wanted = wanted_names(steps, region.images)
    region.execute(steps, random)
    assert region.names == wanted
    assert len(set(wanted.values())) == len(wanted)
    assert all(1 <= len(name) <= NAME_LENGTH for name in wanted.values())
    assert not any(step.error for step in steps)


@given(BODIES, regions())
def test_a_cycle_takes_one_more_call(body: dict[str, Any], region: Region) -> None:
    """A policy takes a call for each changed image, and one more for each rename cycle."""
    steps = accepted(body, region)
    calls = [call for call in writes_of(steps) if call.attributes]
    assert len(calls) == sum(bool(step.attributes) for step in steps) + cycles(steps)


@given(BODIES, regions(), RANDOMS)
def test_stable(body: dict[str, Any], region: Region, random: Random) -> None:
    """An accepted policy does not change its own outcome."""
    region.execute(accepted(body, region), random)
    assert [step for step in normalised(body, region) if not step.is_empty] == []


@given(GROWING | BODIES, regions(), RANDOMS)
def test_rejected_for_a_reason(body: dict[str, Any], region: Region, random: Random) -> None:
    """A rejected policy would change its own outcome, or would do so after an interruption.

    With OnConflict skip, another image may block the second change, so that the image named in the
    message is also tried alone.
    """
    try:
        normalised(body, region)
    except UnstablePolicy as error:
        violation = error.message
    else:
        return
    regions = [region]
    if body["OnConflict"] == "skip":
        regions.append(Region(i for i in region.images.values() if f" {i.image_id} " in violation))
    assert any(changes_again(body, each, random) for each in regions)


def changes_again(body: dict[str, Any], region: Region, random: Random) -> bool:
    """Return whether a second run changes anything, or an interrupted one ends differently."""
    former = dict(region.images)
    region.execute(unchecked(body, region), random)
    once = region.images
    if not all(step.is_empty for step in unchecked(body, region)):
        return True
    for max_calls in range(3 * len(former)):
        region.images = dict(former)
        for calls in (max_calls, None):
            steps = unchecked(body, region)
            region.execute(steps, random, calls, policy=policy(body))
        if region.images != once:
            return True
    return False


@given(BODIES, regions(), RANDOMS, st.lists(st.integers(0, 20), max_size=3))
def test_crash(body: dict[str, Any], region: Region, random: Random, crashes: list[int]) -> None:
    """After crashes at any calls, another run gives all images the desired names."""
    assume("ImageName" not in policy(body).templates["ImageName"].fields)
    before = region.names
    steps = accepted(body, region)
    wanted = wanted_names(steps, region.images)
    for max_calls in [*crashes, None]:
        region.execute(normalised(body, region), random, max_calls, policy=policy(body))
    assert region.names == wanted
    assert not new_temporaries(before, region.names)


@given(BODIES, regions(), RANDOMS)
def test_half_done(body: dict[str, Any], region: Region, random: Random) -> None:
    """An image that an interrupted run left half done is finished by the next run."""
    for one in region.images.values():
        alone, torn = Region([one]), Region([one])
        alone.execute(accepted(body, alone), random)
        for max_calls in (1, None):
            torn.execute(normalised(body, torn), random, max_calls, policy=policy(body))
        assert torn.images == alone.images


@given(BODIES, regions())
def test_untouchable_images(body: dict[str, Any], region: Region) -> None:
    """Images that opt out, or have another type or state, are skipped."""
    for step in accepted(body, region):
        assert step.before
        facts, tags = step.before.facts, step.before.tags
        if (
            tags.get("image-steward") == "ignore"
            or facts["ImageType"] != "PRIVATE_IMAGE"
            or facts["ImageState"] != "NORMAL"
        ):
            assert step.is_skipped
        assert not step.is_skipped or (step.is_empty and len(step.reasons) == 1)


@given(BODIES, regions())
def test_only_what_differs(body: dict[str, Any], region: Region) -> None:
    """Each image has a step, in order, with differences only, each with a reason."""
    steps = accepted(body, region)
    assert [step.image_id for step in steps] == list(region.images)
    for step in steps:
        assert step.before
        assert not step.attributes.items() & step.before.attributes.items()
        assert not step.tags.items() & step.before.tags.items()
        for name in [*step.attributes, *(f"Tag.{key}" for key in step.tags)]:
            rule = "KeepLatest" if name == "ImageDeprecated" else name
            assert any(reason.startswith(f"{rule}: ") for reason in step.reasons)


@given(BODIES, regions())
def test_holders_keep_their_names(body: dict[str, Any], region: Region) -> None:
    """An image that holds its name, or a numbered form of it, is not renamed."""
    style = policy(body).style
    for step in accepted(body, region):
        if step.new_name and body["OnConflict"] == "number":
            assert step.before
            alone = unchecked(body, Region([step.before]))[0]
            assert not style.fits(step.before.name, alone.new_name)


@given(RETIRING, regions(), RANDOMS)
def test_keep_latest(body: dict[str, Any], region: Region, random: Random) -> None:
    """The newest N selected images of each family are not deprecated, all others are."""
    steps = accepted(body, region)
    region.execute(steps, random)
    families: dict[str, list[Image]] = {}
    for step in steps:
        after = region.images[step.image_id]
        if not step.is_skipped and after.attributes["ImageFamily"]:
            families.setdefault(str(after.attributes["ImageFamily"]), []).append(after)
    for family in families.values():
        family.sort(key=lambda image: (image.facts["CreatedTime"], image.image_id), reverse=True)
        marks = [image.attributes["ImageDeprecated"] for image in family]
        assert marks == [rank >= body["KeepLatest"] for rank in range(len(marks))]


# ---- rejected policies


def violation(body: dict[str, Any], *images: Image) -> tuple[str, str]:
    """Return the path and the message with which a policy is rejected."""
    with pytest.raises(UnstablePolicy) as caught:
        normalised(body, Region(images))
    return caught.value.details[0]


def test_a_policy_that_grows_names() -> None:
    """A prefix to the own name is rejected, naming the image and both names."""
    path, message = violation({"ImageName": "prod-{ImageName}"}, image("img-a", "web"))
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
    assert 'tag a of img-a in ap-guangzhou is ""; this run would make it "01"' in message
    assert '"011"' in message


def test_a_policy_that_swaps() -> None:
    """Two values that swap in every run are rejected."""
    body = {"ImageDescription": "{ImageFamily}", "ImageFamily": "{ImageDescription}"}
    swapped = image("img-a", "web", ImageDescription="d", ImageFamily="f")
    path, message = violation(body, image("img-b", "db"), swapped)
    assert path == "/Normalise/ImageDescription"
    assert 'is "d"; this run would make it "f" and the next one "d"' in message


def test_a_policy_that_retires_one_after_the_other() -> None:
    """KeepLatest of images that the run itself removes from the selection is rejected."""
    body = {
        "Select": {"ImageFamily": "web*", "Tags": [{"Key": "fresh", "Value": "1"}]},
        "Tags": [{"Key": "fresh", "Value": "{Tag.then|1}"}],
        "KeepLatest": 1,
    }
    older = image("img-a", "a", ImageFamily="web", Tags={"fresh": "1"})
    newer = image(
        "img-b", "b", ImageFamily="web", CreatedTime="2026-11-21T00:00:00Z",
        Tags={"fresh": "1", "then": "2"},
    )  # fmt: skip
    path, message = violation(body, older, newer)
    assert path == "/Normalise/KeepLatest"
    assert message.startswith("ImageDeprecated of img-a in ap-guangzhou is")


BOTH = {
    "Select": {"ImageName": SELECTED, "Tags": [{"Key": "stage", "Value": "new"}]},
    "ImageName": "{ImageFamily}",
    "Tags": [{"Key": "stage", "Value": "done"}],
}
"""A policy that selects by a name and by a tag, and changes both."""


def test_a_policy_that_deselects_half_done_images() -> None:
    """A policy whose first half ends the selection is rejected, as the second is never done."""
    one = image("img-a", "build-1", ImageFamily="web", Tags={"stage": "new"})
    path, message = violation(BOTH, one)
    assert path == "/Normalise"
    assert message == (
        "if the run is interrupted after it has written the attributes of img-a in ap-guangzhou, "
        "the next one skips the image half done (ImageName does not match build-*); Select and the "
        "templates may read the attributes or the tags that the policy writes, but not both"
    )


@pytest.mark.parametrize("name", ["build-1", "build-web"])
def test_a_policy_that_still_selects_half_done_images(name: str) -> None:
    """Selecting by both is accepted if half-done images stay selected, or need one half only."""
    body = BOTH | {"ImageName": "build-{ImageFamily}"}
    one = image("img-a", name, ImageFamily="web", Tags={"stage": "new"})
    (step,) = normalised(body, Region([one]))
    assert step.tags == {"stage": "done"}
    (step,) = normalised(BOTH, Region([image("img-a", "raw", Tags={"stage": "new"})]))
    assert step.is_skipped


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
    assert [step.attributes.get("ImageDeprecated") for step in steps] == [True, None, None, None]


def test_a_policy_that_empties_its_own_selection() -> None:
    """A policy that removes its images from its selection is stable, also with KeepLatest."""
    body = {"Select": {"ImageName": SELECTED}, "ImageName": "web-{ImageId}", "KeepLatest": 1}
    region = Region(image(f"img-{i}", f"build-{i}", ImageFamily="web") for i in "ab")
    steps = normalised(body, region)
    assert [step.new_name for step in steps] == ["web-img-a", "web-img-b"]
    assert [step.attributes.get("ImageDeprecated") for step in steps] == [True, None]


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
    assert [step.tags for step in steps] == [{"a": "x", "b": "web"}, {"a": "x", "b": "web-2"}]


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
    assert [step.attributes["ImageDescription"] for step in steps] == ["web-2.", "web.", "web-3."]
    assert [step.tags["name"] for step in steps] == ["web-2", "web", "web-3"]


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
    assert reason_of({"ImageName": " - / "}, image("img-a", "a")) == (
        'the name from " - / " is empty'
    )


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
    assert (step.attributes, step.tags) == (dict.fromkeys(names, "x"), {"k": "x"})


def test_rendered_names_lose_invisible_characters() -> None:
    """An invisible character inside a name becomes no separator."""
    one = image("img-a", "a", Tags={"of": "x\u200by\ufeffz"})
    (step,) = normalised({"ImageName": "{Tag.of}"}, Region([one]))
    assert step.attributes == {"ImageName": "xyz"}


def test_cut_description() -> None:
    """A description that is cut at a blank is the same in the next run."""
    one = image("img-a", "a", ImageDescription="x" * 255 + " y")
    (step,) = normalised({"ImageDescription": "{ImageDescription}"}, Region([one]))
    assert step.attributes == {"ImageDescription": "x" * 255}


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
        normalised({"ImageDescription": text}, Region([image("img-a", "a")]))[0].attributes
        for text in texts
    ]
    assert wanted == [{"ImageDescription": "d" * 256}, {"ImageDescription": "d" * 254}]


def test_tag_value_is_cut() -> None:
    """A tag value is stripped, and cut to 255 characters."""
    values = {"v" * 300: "v" * 255, "  v ": "v", f"{'v' * 254} v": "v" * 254, f"{' ' * 255}v": "v"}
    for given_value, wanted in values.items():
        body = {"Tags": [{"Key": "k", "Value": given_value}]}
        (step,) = normalised(body, Region([image("img-a", "a")]))
        assert step.tags == {"k": wanted}


def test_blanks_do_not_displace_the_value() -> None:
    """Blanks before a name do not displace it from a tag value."""
    body = {
        "ImageName": "\u0600",  # a number sign is not separated from what follows it
        "Tags": [{"Key": "k", "Value": f"{' ' * 254}{{ImageName}}"}],
    }
    steps = normalised(body, Region([image("img-a", "1"), image("img-b", "2")]))
    assert [step.tags for step in steps] == [{"k": "\u0600"}, {"k": "\u0600-2"}]


def test_family_and_region() -> None:
    """Region and the facts of an image are fields."""
    body = {"ImageFamily": "{Region}-{OsName}-{Architecture}"}
    (step,) = normalised(body, Region([image("img-a", "a")]))
    assert step.attributes == {"ImageFamily": "ap-guangzhou-TencentOS-x86_64"}


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
    steps = normalised({"KeepLatest": 2}, Region(images))
    assert [step.attributes.get("ImageDeprecated") for step in steps] == [
        True, False, True, None, None, None,
    ]  # fmt: skip
    assert steps[2].reasons == ("KeepLatest: 2", "number 4 of its family, newest first")
    assert steps[1].reasons == ("KeepLatest: 2", "number 1 of its family, newest first")


def test_keep_latest_of_the_new_family() -> None:
    """An image counts in the family that the policy sets."""
    body = {"ImageFamily": "{Tag.team}", "KeepLatest": 1}
    images = [
        image("img-a", "1", ImageFamily="web", Tags={"team": "infra"}),
        image("img-b", "2", ImageFamily="db", Tags={"team": "infra"}),
    ]
    first, second = normalised(body, Region(images))
    assert first.attributes == {"ImageFamily": "infra", "ImageDeprecated": True}
    assert second.attributes == {"ImageFamily": "infra"}


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
    """Each rule that changes something is a reason, and so is a name that is taken."""
    body = {
        "ImageName": "web",
        "ImageDescription": "d",
        "ImageFamily": "f",
        "Tags": [{"Key": "k", "Value": "{OsName}"}, {"Key": "same", "Value": "1"}],
    }
    images = [image("img-a", "web"), image("img-b", "b", Tags={"same": "1"})]
    second = normalised(body, Region(images))[1]
    assert second.new_name == "web-2"
    assert second.reasons == (
        'ImageName: "web"',
        'ImageDescription: "d"',
        'ImageFamily: "f"',
        'Tag.k: "{OsName}"',
        '"web" is taken',
    )


def test_unchanged_image_has_no_reasons() -> None:
    """An image in its desired state has an empty step without reasons, and is not skipped."""
    (step,) = normalised({"ImageName": "web"}, Region([image("img-a", "web")]))
    assert step.is_empty
    assert not step.is_skipped
    assert step.reasons == ()


def test_no_images() -> None:
    """A region without images has no steps."""
    assert normalised({"ImageName": "prod-{ImageName}"}, Region([])) == []
