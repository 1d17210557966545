"""Change requests that restore images to their previous state. Pure.

A result's `Undo`, the journal and the log lines `image.before` have the same entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TypeAlias

from image_steward.limits import IMAGES_PER_REQUEST
from image_steward.model import ATTRIBUTES, Attributes, Outcome, Step, TagChanges

Entry: TypeAlias = "dict[str, Any]"
"""A JSON object; here an image in a change request."""


def entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """Undo what was done, with one entry per image.

    An image that was changed twice gets back its state before the first change.
    """
    by_image: dict[tuple[str, str], Outcome] = {}
    for outcome in outcomes:
        if outcome.step.before and not outcome.planned:
            earlier = by_image.pop(outcome.step.image_key, None)
            by_image[outcome.step.image_key] = earlier.merged_with(outcome) if earlier else outcome
    # The last change is undone first: if an image gave up its name to another one, the name is
    # free again when the first image gets it back.
    yield from filter(None, map(_undo_entry, reversed(by_image.values())))


def entry(step: Step) -> Entry:
    """Undo all that a step is going to change; empty if there is nothing to undo."""
    return _undo_entry(Outcome.planned_for(step))


def merged(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Merge entries, given in the order in which they were written, into one per image.

    The first state of an image counts. The order is that of `entries`.
    """
    images: dict[tuple[str, str], tuple[Attributes, TagChanges]] = {}
    for entry in entries:
        image_key = (entry["Region"], entry["ImageId"])
        attributes = {name: entry[name] for name in ATTRIBUTES if name in entry}
        bound = {tag["Key"]: tag["Value"] for tag in entry.get("Tags", ())}
        tags = {**bound, **dict.fromkeys(entry.get("DeleteTags", ()))}
        first, first_tags = images.pop(image_key, ({}, {}))
        # Earlier tags keep their position, and their value.
        images[image_key] = {**attributes, **first}, {**first_tags, **tags, **first_tags}
    for image_key, (attributes, tags) in reversed(images.items()):
        yield _entry(image_key, attributes, tags)


def batches(entries: Iterable[Entry], size: int) -> Iterator[list[Entry]]:
    """Split entries into change requests of at most `size` bytes each.

    The images of a region stay in one batch if they fit, since they may swap names. An entry that
    is too large is split into chunks, each in a batch of its own, because a change request names
    an image only once. Its last chunk comes first: the last change is undone first.
    """
    budget = size - 100  # without the members around the list
    batch: list[Entry] = []
    left = budget
    by_region = sorted(entries, key=lambda entry: str(entry["Region"]))
    for _, group in groupby(by_region, key=lambda entry: entry["Region"]):
        sized = [(entry, len(json.dumps(entry)) + 2) for entry in group]
        is_too_large = sum(needed for _, needed in sized) > left
        if batch and (is_too_large or len(batch) + len(sized) > IMAGES_PER_REQUEST):
            yield batch
            batch, left = [], budget
        for entry, needed in sized:
            if batch and (needed > left or len(batch) == IMAGES_PER_REQUEST):
                yield batch
                batch, left = [], budget
            if needed > budget:
                yield from ([chunk] for chunk in reversed(list(chunks(entry, budget))))
                continue
            batch.append(entry)
            left -= needed
    if batch:
        yield batch


def chunks(entry: Entry, size: int) -> Iterator[Entry]:
    """Split an entry into chunks of at most about `size` bytes of JSON.

    Tags are deleted before others are bound, since an image can have only 50.
    """
    head = {name: entry[name] for name in ("Region", "ImageId")}
    chunk = dict(entry)
    if len(json.dumps(chunk)) <= size:
        yield chunk
        return
    lists = {name: chunk.pop(name) for name in ("DeleteTags", "Tags") if name in chunk}
    if chunk.keys() > head.keys():
        yield chunk
    for name, tags in lists.items():
        part: list[Any] = []
        for tag in tags:
            if part and len(json.dumps([*part, tag])) > size:
                yield {**head, name: part}
                part = []
            part.append(tag)
        yield {**head, name: part}


def _undo_entry(outcome: Outcome) -> Entry:
    """Restore an image to its state before a step; empty if nothing differs.

    Empty names and tag values are left out, although an image may have them: the API, and so a
    change request, would reject them.
    """
    before = outcome.step.before
    if not before:
        return {}
    attributes = {
        name: before.attributes[name]
        for name, value in outcome.attributes.items()
        if before.attributes[name] != value and (name != "ImageName" or before.name)
    }
    values = {key: before.tags.get(key) for key in outcome.tags}
    tags = {key: value for key, value in values.items() if value not in {outcome.tags[key], ""}}
    return _entry(outcome.step.image_key, attributes, tags) if attributes or tags else {}


def _entry(image_key: tuple[str, str], attributes: Attributes, tags: TagChanges) -> Entry:
    bound = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    deleted = [key for key, value in tags.items() if value is None]
    return {
        "Region": image_key[0],
        "ImageId": image_key[1],
        **attributes,
        **({"Tags": bound} if bound else {}),
        **({"DeleteTags": deleted} if deleted else {}),
    }
