"""Change requests that restore images to their previous state. Pure.

A result's `Undo`, the journal and the log lines `image.before` have the same entries.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TypeAlias

from image_steward.errors import NotRestorable
from image_steward.limits import IMAGES_PER_REQUEST
from image_steward.model import Image, Outcome, Step, TagChanges, Values

Entry: TypeAlias = "dict[str, Any]"
"""A JSON object; here an image in a change request."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """Undo what was done, with one entry per image; it expects what the run has left.

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


def apply_entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """Do what was planned in a dry run, with one entry per image; it expects what was read."""
    for outcome in outcomes:
        if outcome.status == "planned" and outcome.step.before:
            planned = Values(outcome.attributes, outcome.tags)
            yield _entry(outcome.step.image_key, planned, _of_image(outcome.step.before, planned))


def merged(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Merge entries, given in the order in which they were written, into one per image.

    The first state of an image is restored, and the last one expected. The order is that of
    `entries`.
    """
    images: dict[tuple[str, str], tuple[Values, Values]] = {}
    for entry in entries:
        image_key = (entry["Region"], entry["ImageId"])
        values, expected = Values.of(entry), Values.of(entry.get("Expect", {}))
        first, last = images.pop(image_key, (Values({}, {}), Values({}, {})))
        # Earlier tags keep their position, and their value.
        tags = {**first.tags, **values.tags, **first.tags}
        images[image_key] = (
            Values({**values.attributes, **first.attributes}, tags),
            Values({**last.attributes, **expected.attributes}, {**last.tags, **expected.tags}),
        )
    for image_key, (values, expected) in reversed(images.items()):
        yield _entry(image_key, values, expected)


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
    if len(json.dumps(entry)) <= size:
        yield entry
        return
    image_key = (entry["Region"], entry["ImageId"])
    values, expected = Values.of(entry), Values.of(entry.get("Expect", {}))
    if values.attributes:
        yield _entry(image_key, Values(values.attributes, {}), Values(expected.attributes, {}))
    part: Entry = {}
    tags: TagChanges = {}
    for key in sorted(values.tags, key=lambda key: values.tags[key] is not None):
        longer = {**tags, key: values.tags[key]}
        expected_tags = {k: v for k, v in expected.tags.items() if k in longer}
        entry = _entry(image_key, Values({}, longer), Values({}, expected_tags))
        if tags and len(json.dumps(entry)) > size:
            yield part
            longer = {key: values.tags[key]}
            expected_tags = {k: v for k, v in expected.tags.items() if k == key}
            entry = _entry(image_key, Values({}, longer), Values({}, expected_tags))
        part, tags = entry, longer
    if part:
        yield part


def _undo_entry(outcome: Outcome) -> Entry:
    """Restore an image to its state before a step; empty if nothing differs.

    What a document may not set is left out, although an image may have it.
    """
    before = outcome.step.before
    if not before:
        return {}
    done = Values(outcome.attributes, outcome.tags)
    old = _of_image(before, done)
    values = Values(
        {
            name: value
            for name, value in old.attributes.items()
            if done.attributes[name] != value and is_settable(name, str(value))
        },
        {
            key: value
            for key, value in old.tags.items()
            if done.tags[key] != value and (value is None or is_settable("Tag", value))
        },
    )
    expected = Values(
        {name: done.attributes[name] for name in values.attributes},
        {key: done.tags[key] for key in values.tags},
    )
    return _entry(outcome.step.image_key, values, expected) if any(values) else {}


def omitted(step: Step) -> list[NotRestorable]:
    """A warning for each value that a step changes and Undo has to leave out."""
    if not step.before:
        return []
    old = _of_image(
        step.before, Values(step.attributes, {**step.tags, **dict.fromkeys(step.delete_tags)})
    )
    names = [n for n, value in old.attributes.items() if not is_settable(n, str(value))]
    names += [
        f"Tag.{k}"
        for k, value in old.tags.items()
        if value is not None and not is_settable("Tag", value)
    ]
    image = f"of {step.image_id} in {step.region}"
    return [
        NotRestorable(f"{name} {image} has a value that no document may set, so Undo leaves it out")
        for name in names
    ]


def is_settable(name: str, value: str) -> bool:
    """Whether a document may set a value of an attribute, or (with the name `Tag`) of a tag."""
    if name in {"ImageDescription", "ImageDeprecated"}:
        return True
    return bool(value or name == "ImageFamily") and not _CONTROL.search(value)


def _of_image(image: Image, values: Values) -> Values:
    """What an image has for the attributes and tags of `values`."""
    attributes = {name: image.attributes[name] for name in values.attributes}
    return Values(attributes, {key: image.tags.get(key) for key in values.tags})


def _entry(image_key: tuple[str, str], values: Values, expected: Values) -> Entry:
    entry = {"Region": image_key[0], "ImageId": image_key[1], **values.members}
    return {**entry, "Expect": expected.members} if any(expected) else entry
