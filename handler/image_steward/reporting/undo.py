"""Change requests that put images back as they were. Pure.

The same entries stand in a result's `Undo`, in the journal and in the log lines `image.before`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TypeAlias

from image_steward.limits import IMAGES_OF_A_REQUEST
from image_steward.model import ATTRIBUTES, Attributes, Outcome, Step, TagChanges

Entry: TypeAlias = "dict[str, Any]"
"""An entry of a change request."""


def entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """What puts back what was done, an entry for each image.

    Where an image was changed twice its first state counts.
    """
    by_image: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        if outcome.step.before and not outcome.planned:
            former = by_image.pop(outcome.step.image_key, None)
            by_image[outcome.step.image_key] = former.merged_with(outcome) if former else outcome
    # The image changed last comes first: so a name that was freed for another image is free again
    # when its own gets it back.
    yield from filter(None, map(_undoing, reversed(by_image.values())))


def entry(step: Step) -> Entry:
    """What would put back all that a step is going to do; empty if that is nothing."""
    return _undoing(Outcome.planned_for(step))


def merged(entries: Iterable[Entry]) -> Iterator[Entry]:
    """One entry for each image, of entries in the order in which they were written.

    What an image was first counts. The order is that of `entries`.
    """
    images: dict[tuple[str, str], tuple[Attributes, TagChanges]] = {}
    for one in entries:
        place = (one["Region"], one["ImageId"])
        attributes = {name: one[name] for name in ATTRIBUTES if name in one}
        bound = {tag["Key"]: tag["Value"] for tag in one.get("Tags", ())}
        tags = {**bound, **dict.fromkeys(one.get("DeleteTags", ()))}
        was, tagged = images.pop(place, ({}, {}))
        # Those that were there before keep their place, and their value.
        images[place] = {**attributes, **was}, {**tagged, **tags, **tagged}
    for place, (attributes, tags) in reversed(images.items()):
        yield _entry(place, attributes, tags)


def batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """The entries in lists, each for a change request of at most `size` bytes.

    Those of a region stay together where they fit, since its images may have to swap names. One
    that is too large alone comes in parts, each in a list of its own: a change request names an
    image once. The last of them is to be carried out first, as of several changes the last one.
    """
    room = size - 100  # for the members around the list
    batch: list[Entry] = []
    left = room
    by_region = sorted(entries, key=lambda entry: str(entry["Region"]))
    for _, group in groupby(by_region, key=lambda entry: entry["Region"]):
        sized = [(entry, len(json.dumps(entry)) + 2) for entry in group]
        is_too_much = sum(needed for _, needed in sized) > left
        if batch and (is_too_much or len(batch) + len(sized) > IMAGES_OF_A_REQUEST):
            yield batch
            batch, left = [], room
        for entry, needed in sized:
            if batch and (needed > left or len(batch) == IMAGES_OF_A_REQUEST):
                yield batch
                batch, left = [], room
            if needed > room:
                yield from ([chunk] for chunk in reversed(list(chunks(entry, room))))
                continue
            batch.append(entry)
            left -= needed
    if batch:
        yield batch


def chunks(entry: Entry, size: int) -> Iterator[Entry]:
    """The entry in parts, each of about `size` bytes of JSON at most.

    Tags go before others come: an image holds 50 at most.
    """
    head = {name: entry[name] for name in ("Region", "ImageId")}
    part = dict(entry)
    if len(json.dumps(part)) <= size:
        yield part
        return
    lists = {name: part.pop(name) for name in ("DeleteTags", "Tags") if name in part}
    if part.keys() > head.keys():
        yield part
    for name, items in lists.items():
        held: list[Any] = []
        for item in items:
            if held and len(json.dumps([*held, item])) > size:
                yield {**head, name: held}
                held = []
            held.append(item)
        yield {**head, name: held}


def _undoing(outcome: Outcome) -> Entry:
    """What puts an image back as it was before a step; empty if nothing differs.

    A change request takes no empty names and values of tags, as the API takes none. An image may
    have one all the same; the whole request would be refused for it, so it is left out.
    """
    was = outcome.step.before
    if not was:
        return {}
    attributes = {
        name: was.attributes[name]
        for name, value in outcome.attributes.items()
        if was.attributes[name] != value and (name != "ImageName" or was.name)
    }
    former = {key: was.tags.get(key) for key in outcome.tags}
    tags = {key: value for key, value in former.items() if value not in {outcome.tags[key], ""}}
    return _entry(outcome.step.image_key, attributes, tags) if attributes or tags else {}


def _entry(place: tuple[str, str], attributes: Attributes, tags: TagChanges) -> Entry:
    bound = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    new = [key for key, value in tags.items() if value is None]
    return {
        "Region": place[0],
        "ImageId": place[1],
        **attributes,
        **({"Tags": bound} if bound else {}),
        **({"DeleteTags": new} if new else {}),
    }
