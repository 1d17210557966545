"""Undo: the exact former state is restored."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from image_steward.errors import ApiError, UnstablePolicy
from image_steward.model import (
    Image,
    Outcome,
    Step,
    Values,
    members_of,
    values_in,
)
from image_steward.reporting import undo as undoing
from region import (
    BODIES,
    REGION,
    Region,
    attributes_of,
    bound_tags,
    changes,
    deleted_tags,
    image,
    normalised,
    regions,
    requested,
    shuffles,
)
from scf_local.undo import merged

if TYPE_CHECKING:
    from collections.abc import Iterable
    from random import Random

RANDOMS = st.randoms(use_true_random=False)
CALLS = st.none() | st.integers(0, 25)
"""The number of calls before the function dies; None: all of them."""


@st.composite
def plans(draw: st.DrawFn) -> tuple[Region, list[Step]]:
    """A region, and the steps of a change request or a policy for it."""
    if draw(st.booleans()):
        images, request = draw(shuffles())
        region = Region(images)
        return region, requested(request, region)
    region = draw(regions())
    try:
        return region, normalised(draw(BODIES), region)
    except UnstablePolicy:
        return region, []


def batches_of(entries: Iterable[dict[str, Any]], size: int) -> list[list[dict[str, Any]]]:
    """Return the batches of entries as objects."""
    texts = undoing.batches(map(json.dumps, entries), size)
    return [list(map(json.loads, batch)) for batch in texts]


def upload(region: Region, entries: Iterable[dict[str, Any]], random: Random) -> None:
    """Execute undo entries as change requests, as users do by uploading them."""
    for batch in batches_of(entries, 1 << 20):
        steps = requested(changes(batch), region)
        assert not any(step.error for step in steps)
        region.execute(steps, random)


@given(plans(), RANDOMS, CALLS)
def test_undo_of_a_result(
    drawn: tuple[Region, list[Step]], random: Random, max_calls: int | None
) -> None:
    """The Undo of a result, finished or not, restores the former state."""
    region, steps = drawn
    former = dict(region.images)
    outcomes = region.execute(steps, random, max_calls)
    upload(region, undoing.entries(outcomes), random)
    assert region.images == former


@given(plans(), RANDOMS, CALLS)
def test_undo_from_the_journal(
    drawn: tuple[Region, list[Step]], random: Random, max_calls: int | None
) -> None:
    """The journal restores the former state, wherever the function died."""
    region, steps = drawn
    former = dict(region.images)
    journal = [entry for step in steps if (entry := undoing.entry(step))]
    region.execute(steps, random, max_calls)
    upload(region, journal, random)
    assert region.images == former


@given(shuffles(), shuffles(), RANDOMS, CALLS)
def test_undo_of_two_documents(
    one: tuple[list[Image], list[Any]],
    other: tuple[list[Image], list[Any]],
    random: Random,
    max_calls: int | None,
) -> None:
    """One Undo puts back what two documents of an event did to the same images."""
    images, changes = one
    # A cycle with an image that is not ready would be put off.
    region = Region(i._replace(facts={**i.facts, "ImageState": "NORMAL"}) for i in images)
    former = dict(region.images)
    outcomes = region.execute(requested(changes, region), random)
    again = [change for change in other[1] if change.image_id in region.images]
    outcomes += region.execute(requested(again, region), random, max_calls)
    upload(region, undoing.entries(outcomes), random)
    assert region.images == former


@given(plans())
def test_entry_has_what_a_step_changes(drawn: tuple[Region, list[Step]]) -> None:
    """An entry has all that a step changes and nothing else; an empty step has none."""
    for step in drawn[1]:
        entry = undoing.entry(step)
        bound = {tag["Key"]: tag["Value"] for tag in entry.pop("Tags", ())}
        new = entry.pop("DeleteTags", [])
        if step.is_empty:
            assert entry == {}
            continue
        assert step.before
        assert entry.pop("Region") == step.region
        assert entry.pop("ImageId") == step.image_id
        assert values_in(entry.pop("Expect")) == step.values
        assert entry == {name: attributes_of(step.before)[name] for name in attributes_of(step)}
        assert {*bound, *new} == {*bound_tags(step), *deleted_tags(step)}
        assert bound.items() <= bound_tags(step.before).items()
        assert not set(new) & bound_tags(step.before).keys()


@given(plans(), RANDOMS)
def test_entries_of_a_finished_run(drawn: tuple[Region, list[Step]], random: Random) -> None:
    """The Undo of a finished run equals its journal, the last change first."""
    region, steps = drawn
    journal = [entry for step in steps if (entry := undoing.entry(step))]
    undo = undoing.entries(region.execute(steps, random))
    assert [sorted_tags(entry) for entry in undo] == [sorted_tags(e) for e in reversed(journal)]


def sorted_tags(entry: dict[str, Any]) -> dict[str, Any]:
    """Return an entry with sorted tags, since the order of the calls varies."""
    expected = {"Expect": sorted_tags(entry["Expect"])} if "Expect" in entry else {}
    tags = sorted(entry.get("Tags", ()), key=lambda tag: str(tag["Key"]))
    deleted = sorted(entry.get("DeleteTags", ()))
    return {**entry, **expected, "Tags": tags, "DeleteTags": deleted}


TEXTS = st.text("aé字\U0001f600", min_size=1, max_size=60)
FOUND = st.text("aé\n\0", max_size=60)
"""What an image may have, although no document may set it."""


@st.composite
def undo_entries(draw: st.DrawFn) -> dict[str, Any]:
    """An entry that a document may have, with or without what it expects of the same values."""
    optional = {"ImageName": TEXTS, "ImageDescription": TEXTS, "ImageFamily": TEXTS}
    attributes: dict[str, str] = {**draw(st.fixed_dictionaries({}, optional=optional))}
    bound, new = draw(st.lists(TEXTS, max_size=20)), draw(st.integers(not attributes, 20))
    values: Values = {
        **attributes,
        **{f"Tag.k{i}": text for i, text in enumerate(bound)},
        **{f"Tag.n{i}": None for i in range(new)},
    }
    left = draw(st.none() | st.lists(FOUND, min_size=len(values), max_size=len(values)))
    expected = {
        n: v or (None if "Tag." in n else "") for n, v in zip(values, left or (), strict=False)
    }
    head = {"Region": REGION, "ImageId": "img-a", **members_of(values)}
    return {**head, "Expect": members_of(expected)} if expected else head


ENTRIES = undo_entries()
SIZES = st.integers(100, 3000)


def values_and_expected(entry: dict[str, Any]) -> tuple[Values, Values]:
    """Return what an entry sets and what it expects, in any order."""
    return values_in(entry), values_in(entry.get("Expect", {}))


@given(ENTRIES, SIZES)
def test_chunks_make_the_entry(entry: dict[str, Any], size: int) -> None:
    """The chunks of an entry set and expect each of its values once; merged, they are the entry."""
    chunks = list(undoing.chunks(entry, size))
    names = [name for chunk in chunks for name in values_in(chunk)]
    assert len(names) == len(set(names))
    (whole,) = merged(chunks)
    assert (whole["Region"], whole["ImageId"]) == (REGION, "img-a")
    assert values_and_expected(whole) == values_and_expected(entry)


@given(ENTRIES, SIZES)
def test_chunks_are_documents(entry: dict[str, Any], size: int) -> None:
    """Each chunk is a valid change request, which expects only values that it sets."""
    for chunk in undoing.chunks(entry, size):
        values, expected = values_and_expected(chunk)
        assert expected.keys() <= values.keys()
        (change,) = changes([chunk])
        assert (change.values, change.expect) == (values, expected)


@given(ENTRIES, SIZES)
def test_size_of_chunks(entry: dict[str, Any], size: int) -> None:
    """A chunk is no longer than asked for, unless it has a single value."""
    chunks = list(undoing.chunks(entry, size))
    if len(json.dumps(entry)) <= size:
        assert chunks == [entry]
    for chunk in chunks:
        assert len(json.dumps(chunk)) <= size or len(values_in(chunk)) == 1


def test_deletions_come_first() -> None:
    """An image with 50 tags cannot get others before some are deleted."""
    values = [{"Key": f"k{i}", "Value": "v" * 90} for i in range(3)]
    entry = {"Region": REGION, "ImageId": "img-a", "Tags": values, "DeleteTags": ["d", "e" * 90]}
    kinds = [sorted(chunk.keys() & {"Tags", "DeleteTags"}) for chunk in undoing.chunks(entry, 200)]
    assert kinds == [["DeleteTags"], ["Tags"], ["Tags"], ["Tags"]]


def fits(entry: dict[str, Any], size: int) -> bool:
    """Return whether a change request of this size can contain the whole entry."""
    return len(json.dumps(entry)) + 2 <= size - 100


@given(st.lists(ENTRIES, max_size=12), SIZES)
def test_batches_keep_the_order(entries: list[dict[str, Any]], size: int) -> None:
    """The batches have all entries in order, and no two batches would fit in one.

    An entry that is too large is cut into chunks, in reverse order.
    """
    # With equal ids, a chunk of one entry could equal another entry.
    entries = [{**entry, "ImageId": f"img-{at}"} for at, entry in enumerate(entries)]
    batches = list(batches_of(entries, size))
    chunks = [
        [entry] if fits(entry, size) else [*undoing.chunks(entry, size - 100)][::-1]
        for entry in entries
    ]
    assert [entry for batch in batches for entry in batch] == [c for each in chunks for c in each]
    for batch, following in pairwise(batches):
        longer = json.dumps({"Images": [*batch, following[0]]})
        is_cut = batch[0] not in entries or following[0] not in entries
        assert is_cut or len(longer) > size - 100


@given(st.lists(ENTRIES, max_size=12), SIZES)
def test_size_of_batches(entries: list[dict[str, Any]], size: int) -> None:
    """A batch has at most the allowed size, unless its content cannot be cut."""
    for batch in batches_of(entries, size):
        data = json.dumps({"Images": batch}, ensure_ascii=False).encode()
        assert batch
        can_be_cut = len(batch) > 1 or len(values_in(batch[0])) > 1
        assert len(data) <= size or not can_be_cut


@given(st.lists(ENTRIES, max_size=4), SIZES)
def test_batches_name_an_image_once(entries: list[dict[str, Any]], size: int) -> None:
    """No batch has two chunks of an entry: a change request names an image only once."""
    entries = [{**entry, "ImageId": f"img-{at}"} for at, entry in enumerate(entries)]
    for batch in batches_of(entries, size):
        assert len({entry["ImageId"] for entry in batch}) == len(batch)


def test_a_thousand_images_are_one_batch() -> None:
    """A batch has at most as many images as a change request."""
    entries = [{"Region": REGION, "ImageId": f"img-{i}", "ImageName": "n"} for i in range(2001)]
    batches = list(batches_of(entries, 1 << 30))
    assert [len(batch) for batch in batches] == [1000, 1000, 1]
    assert len(changes(batches[0])) == 1000


def test_brackets_count() -> None:
    """The brackets of the list count: entries that fit only without them are separated."""
    entries = [{"Region": REGION, "ImageId": f"img-{i}", "ImageName": "n" * 60} for i in "ab"]
    size = sum(len(json.dumps(entry)) + 2 for entry in entries)
    assert [len(batch) for batch in batches_of(entries, size)] == [1, 1]
    assert [len(batch) for batch in batches_of(entries, size + 100)] == [2]


def test_a_region_stays_together() -> None:
    """The images of a region, which may swap names, are in one batch if they fit."""
    entries = [
        {"Region": f"ap-{i % 3}", "ImageId": f"img-{i}", "ImageName": "n"} for i in range(1800)
    ]
    batches = list(batches_of(entries, 1 << 30))
    assert [{entry["Region"] for entry in batch} for batch in batches] == [
        {"ap-0"}, {"ap-1"}, {"ap-2"},
    ]  # fmt: skip
    assert [entry["ImageId"] for entry in batches[0][:2]] == ["img-0", "img-3"]


def test_no_entries_no_batches() -> None:
    """Without changes, there is no batch."""
    assert list(batches_of([], 1000)) == []


def test_undo_of_a_cycle_of_a_thousand() -> None:
    """A rename cycle of a thousand images is undone by one change request."""
    region = Region(image(f"img-{i}", f"n{i}") for i in range(1000))
    former = dict(region.images)
    request = changes(
        [{"ImageId": f"img-{i}", "ImageName": f"n{i - 1}"} for i in range(1, 1000)]
        + [{"ImageId": "img-0", "ImageName": "n999"}]
    )
    steps = requested(request, region)
    journal = [undoing.entry(step) for step in steps]
    assert len(list(batches_of(journal, 1 << 20))) == 1
    wanted = {step.image_id: step.new_name for step in steps}
    region.images = {i: was.with_values({"ImageName": wanted[i]}) for i, was in former.items()}
    back = requested(changes(journal), region)
    assert not any(step.error for step in back)
    assert {step.image_id: step.new_name for step in back} == {
        i: was.name for i, was in former.items()
    }


def test_first_state_is_restored() -> None:
    """An image that was changed twice is restored to its first state, and comes first."""
    was = image("img-a", "1", Tags={"k": "1"})
    once = image("img-a", "2", Tags={"k": "2"})
    outcomes = [
        Outcome(
            Step(REGION, "img-a", {"ImageName": "2"}, before=was),
            {"ImageName": "2", "Tag.k": "2"},
        ),
        Outcome(
            Step(REGION, "img-b", {"ImageName": "4"}, before=image("img-b", "3")),
            {"ImageName": "4"},
        ),
        Outcome(
            Step(REGION, "img-a", {"ImageName": "5"}, before=once),
            {"ImageName": "5", "Tag.k": None},
        ),
    ]
    assert list(undoing.entries(outcomes)) == [
        {
            "Region": REGION,
            "ImageId": "img-a",
            "ImageName": "1",
            "Tags": [{"Key": "k", "Value": "1"}],
            "Expect": {"ImageName": "5", "DeleteTags": ["k"]},
        },
        {"Region": REGION, "ImageId": "img-b", "ImageName": "3", "Expect": {"ImageName": "4"}},
    ]


def test_reverted_change_needs_no_undo() -> None:
    """An image that two documents changed and changed back needs no undo."""
    was, once = image("img-a", "1"), image("img-a", "2", Tags={"k": "1"})
    outcomes = [
        Outcome(Step(REGION, "img-a", before=was), {"ImageName": "2", "Tag.k": "1"}),
        Outcome(Step(REGION, "img-a", before=once), {"ImageName": "1", "Tag.k": None}),
    ]
    assert list(undoing.entries(outcomes)) == []


def test_same_id_in_two_regions() -> None:
    """The same id in two regions is two images."""
    outcomes = [
        Outcome(Step(region, "img-a", before=image("img-a", "1")), {"ImageName": "2"})
        for region in ("ap-beijing", REGION)
    ]
    assert [entry["Region"] for entry in undoing.entries(outcomes)] == [REGION, "ap-beijing"]


def test_failed_changes_are_not_undone() -> None:
    """Planned, missing and failed images have neither an undo entry nor a journal entry."""
    step = Step(REGION, "img-a", {"ImageName": "2"}, before=image("img-a", "1"))
    missing = Step(REGION, "img-b", error=ApiError("InvalidImageId.NotFound", "gone"))
    outcomes = [
        Outcome.planned_for(step),
        Outcome(step),
        Outcome(missing, error=missing.error),
        Outcome(step, error=ApiError("X", "x")),
    ]
    assert list(undoing.entries(outcomes)) == []
    assert undoing.entry(missing) == {}


def test_undo_of_a_temporary_name() -> None:
    """An image that was left with a temporary name gets its old name back."""
    step = Step(REGION, "img-a", {"ImageName": "2"}, before=image("img-a", "1"))
    left = Outcome(step, {"ImageName": "image-steward-tmp-img-a"}, error=ApiError("X", "x"))
    (entry,) = undoing.entries([left])
    assert entry == {
        "Region": REGION,
        "ImageId": "img-a",
        "ImageName": "1",
        "Expect": {"ImageName": "image-steward-tmp-img-a"},
    }


def test_values_that_the_api_rejects() -> None:
    """An empty name or tag value is left out, because the API would reject the whole Undo."""
    before = image("img-a", "", Tags={"a": "", "b": "1"}, ImageDescription="")
    step = Step(
        REGION, "img-a",
        {"ImageName": "n", "ImageDescription": "d", "Tag.a": "x", "Tag.b": "x", "Tag.c": None},
        before=before,
    )  # fmt: skip
    entry = undoing.entry(step)
    assert entry == {
        "Region": REGION,
        "ImageId": "img-a",
        "ImageDescription": "",
        "Tags": [{"Key": "b", "Value": "1"}],
        "Expect": {"ImageDescription": "d", "Tags": [{"Key": "b", "Value": "x"}]},
    }
    assert changes([entry])
    nothing = Step(REGION, "img-a", {"ImageName": "n"}, before=before)
    assert list(undoing.entries([Outcome(nothing, {"ImageName": "n"})])) == []
    assert undoing.entry(nothing) == {}


def test_short_entry_is_one_chunk() -> None:
    """An entry that fits is not cut."""
    entry = {"Region": REGION, "ImageId": "img-a", "ImageName": "1", "DeleteTags": ["k"]}
    assert list(undoing.chunks(entry, len(json.dumps(entry)))) == [entry]


def test_long_entry_is_cut_in_its_lists() -> None:
    """A long entry is cut: its attributes, then as many tags in each chunk as fit."""
    tags = [{"Key": f"k{i}", "Value": "v" * 20} for i in range(3)]
    head = {"Region": REGION, "ImageId": "img-a"}
    entry = {**head, "ImageName": "1", "Tags": tags, "DeleteTags": ["d" * 90, "e" * 90]}
    assert list(undoing.chunks(entry, 165)) == [
        {**head, "ImageName": "1"},
        {**head, "DeleteTags": ["d" * 90]},
        {**head, "DeleteTags": ["e" * 90]},
        {**head, "Tags": tags[:2]},
        {**head, "Tags": tags[2:]},
    ]


def test_value_that_does_not_fit() -> None:
    """A value that is longer than a chunk is a chunk of its own; the others are cut as usual."""
    head = {"Region": REGION, "ImageId": "img-a"}
    expected = {"ImageFamily": "g" * 200, "Tags": [{"Key": "d", "Value": "1"}]}
    family, deleted = {"ImageFamily": "f" * 200}, {"DeleteTags": ["d"]}
    entry = {**head, "ImageName": "1", **family, **deleted, "Expect": expected}
    assert list(undoing.chunks(entry, 150)) == [
        {**head, "ImageName": "1"},
        {**head, **family, "Expect": {"ImageFamily": expected["ImageFamily"]}},
        {**head, **deleted, "Expect": {"Tags": expected["Tags"]}},
    ]


def test_long_entry_of_tags_only() -> None:
    """No chunk is without a change."""
    head = {"Region": REGION, "ImageId": "img-a"}
    entry = {**head, "DeleteTags": ["d" * 90, "e" * 90]}
    assert list(undoing.chunks(entry, 110)) == [
        {**head, "DeleteTags": ["d" * 90]},
        {**head, "DeleteTags": ["e" * 90]},
    ]
