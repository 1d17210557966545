"""Change requests that put images back as they were. Pure.

The same entries stand in a result's `Undo`, in the journal and in the log lines `image.before`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, TypeAlias

from image_steward.limits import IMAGES_OF_A_REQUEST
from image_steward.model import Attributes, Image, Outcome, Step, TagChanges

Entry: TypeAlias = "dict[str, Any]"
"""An entry of a change request."""


def entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """What puts back what was done, an entry for each image.

    Where an image was changed twice its first state counts.
    """
    by_image: dict[tuple[str, str], _Former] = {}
    for outcome in outcomes:
        if outcome.step.before and not outcome.planned:
            key = (outcome.step.region, outcome.step.image_id)
            former = by_image.pop(key, None) or _Former(outcome.step.before)
            former.attributes.update(outcome.attributes)
            former.tags.update(outcome.tags)
            by_image[key] = former
    for (region, image_id), former in reversed(by_image.items()):
        if members := former.members():
            yield {"Region": region, "ImageId": image_id, **members}


def entry(step: Step) -> Entry:
    """What would put back all that a step is going to do; empty if that is nothing."""
    if not step.before or step.is_empty:
        return {}
    tags: TagChanges = {**step.tags, **dict.fromkeys(step.delete_tags)}
    members = _Former(step.before, step.attributes, tags).members()
    return {"Region": step.region, "ImageId": step.image_id, **members} if members else {}


def parcels(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """The entries in lists, each for a change request of at most `size` bytes.

    Those of a region stay together where they fit, since its images may have to swap names. One
    that is too large alone comes in parts, each in a list of its own: a change request names an
    image once. The last of them is to be carried out first, as of several changes the last one.
    """
    room = size - 100  # for the members around the list
    parcel: list[Entry] = []
    left = room
    by_region = sorted(entries, key=lambda entry: str(entry["Region"]))
    for _, group in groupby(by_region, key=lambda entry: entry["Region"]):
        sized = [(entry, len(json.dumps(entry)) + 2) for entry in group]
        is_too_much = sum(needed for _, needed in sized) > left
        if parcel and (is_too_much or len(parcel) + len(sized) > IMAGES_OF_A_REQUEST):
            yield parcel
            parcel, left = [], room
        for entry, needed in sized:
            if parcel and (needed > left or len(parcel) == IMAGES_OF_A_REQUEST):
                yield parcel
                parcel, left = [], room
            if needed > room:
                yield from ([piece] for piece in reversed(list(pieces(entry, room))))
                continue
            parcel.append(entry)
            left -= needed
    if parcel:
        yield parcel


def pieces(entry: Entry, size: int) -> Iterator[Entry]:
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


@dataclass
class _Former:
    """An image as it was first, and what was done to it since."""

    image: Image
    attributes: Attributes = field(default_factory=dict)
    tags: TagChanges = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """The members of a change request entry that undo it; none if nothing differs.

        A change request takes no empty names and values of tags, as the API takes none. An image
        may have one all the same; the whole request would be refused for it, so it is left out.
        """
        was = self.image
        entry: dict[str, Any] = {
            name: was.attributes[name]
            for name, value in self.attributes.items()
            if was.attributes[name] != value and (name != "ImageName" or was.name)
        }
        changed = [key for key, value in self.tags.items() if was.tags.get(key) != value]
        bound = [{"Key": key, "Value": was.tags[key]} for key in changed if was.tags.get(key)]
        new = [key for key in changed if key not in was.tags]
        return entry | ({"Tags": bound} if bound else {}) | ({"DeleteTags": new} if new else {})
