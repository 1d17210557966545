"""Change requests that put images back as they were. Pure.

The same entries stand in a result's `Undo`, in the journal and in the log lines `image.before`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any, TypeAlias

from image_steward.limits import IMAGES_OF_A_REQUEST
from image_steward.model import ATTRIBUTES, Outcome, Step

Entry: TypeAlias = "dict[str, Any]"
"""An entry of a change request."""

_Members: TypeAlias = "dict[tuple[str, str], Any]"
"""Values by `("", attribute)` and `("Tag", key)`; None: a tag that is not there."""
_UNKNOWN = object()


def entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """What puts back what was done, an entry for each image.

    Where an image was changed twice its first state counts.
    """
    done = (one for one in outcomes if one.step.before and not one.planned)
    return _merged(_change(one.step, one.attributes, one.tags) for one in done)


def entry(step: Step) -> Entry:
    """What would put back all that a step is going to do; empty if that is nothing."""
    tags = {**step.tags, **dict.fromkeys(step.delete_tags)}
    return next(_merged([_change(step, step.attributes, tags)]), {})


def merged(entries: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One entry for each image, of entries in the order in which they were written."""
    return _merged((one["Region"], one["ImageId"], _read(one), {}) for one in entries)


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


def _merged(changes: Iterable[tuple[str, str, _Members, _Members]]) -> Iterator[dict[str, Any]]:
    """The entries that undo changes: of region and image, what it was, and what it is since then.

    What it was first counts, and the image changed last comes first: so a name that was freed for
    another image is free again when its own gets it back. There is none if nothing differs.

    A change request takes no empty names and values of tags, as the API takes none. An image may
    have one all the same; the whole request would be refused for it, so it is left out.
    """
    images: dict[tuple[str, str], tuple[_Members, _Members]] = {}
    for region, image_id, was, now in changes:
        first, last = images.pop((region, image_id), ({}, {}))
        newer = {member: value for member, value in was.items() if member not in first}
        images[region, image_id] = first | newer, last | now
    for (region, image_id), (first, last) in reversed(images.items()):
        back = {
            (kind, name): value
            for (kind, name), value in first.items()
            if last.get((kind, name), _UNKNOWN) != value
            and not (value == "" and (kind or name == "ImageName"))
        }
        if back:
            yield {"Region": region, "ImageId": image_id, **_written(back)}


def _change(
    step: Step, attributes: Mapping[str, Any], tags: Mapping[str, str | None]
) -> tuple[str, str, _Members, _Members]:
    now = _members(attributes, tags)
    was = step.before and _members(
        step.before.attributes, {k: step.before.tags.get(k) for k in tags}
    )
    return step.region, step.image_id, {each: was[each] for each in now} if was else {}, now


def _members(attributes: Mapping[str, Any], tags: Mapping[str, str | None]) -> _Members:
    known = {("", name): attributes[name] for name in ATTRIBUTES if name in attributes}
    return known | {("Tag", key): value for key, value in tags.items()}


def _read(entry: dict[str, Any]) -> _Members:
    bound = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}
    return _members(entry, bound | dict.fromkeys(entry.get("DeleteTags", ())))


def _written(members: _Members) -> dict[str, Any]:
    """As a change request has them."""
    tags = {name: value for (kind, name), value in members.items() if kind}
    bound = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    new = [key for key, value in tags.items() if value is None]
    return {
        **{name: members["", name] for name in ATTRIBUTES if ("", name) in members},
        **({"Tags": bound} if bound else {}),
        **({"DeleteTags": new} if new else {}),
    }
