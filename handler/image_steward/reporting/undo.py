"""Change requests that restore images to their previous state. Pure.

A result's `Undo`, the journal and the log lines `image.before` have the same entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

from image_steward.errors import NotRestorable
from image_steward.limits import IMAGES_PER_REQUEST
from image_steward.model import ATTRIBUTES, Outcome, Step, Values, by_image, members_of, values_in
from image_steward.naming.text import value_error
from image_steward.strict_json import is_text

Entry: TypeAlias = "dict[str, Any]"
"""A JSON object; here an image in a change request."""


def entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """Undo what was done, with one entry per image; it expects what the run has left.

    An image that was changed twice gets back its state before the first change.
    """
    done = [outcome for outcome in outcomes if outcome.values and not outcome.planned]
    images = by_image(done)
    # The last change is undone first: if an image gave up its name to another one, the name is
    # free again when the first image gets it back.
    last_first = dict.fromkeys(outcome.step.image_key for outcome in reversed(done))
    yield from filter(None, (_undo_entry(images[key]) for key in last_first))


def entry(step: Step) -> Entry:
    """Undo all that a step is going to change; empty if there is nothing to undo."""
    return _undo_entry(Outcome.planned_for(step))


def apply_entries(outcomes: Iterable[Outcome]) -> Iterator[Entry]:
    """Do what was planned in a dry run, given one outcome per image; it expects what was read."""
    for outcome in outcomes:
        if outcome.status == "planned" and outcome.values:
            old = outcome.old_values.items()
            expected = {n: v for n, v in old if not isinstance(v, str) or is_text(v)}
            yield entry_of(outcome.step.image_key, outcome.values, expected)


def batches(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    """Split entries into change requests of at most `size` bytes each.

    They are given and returned as JSON, which needs less memory.

    The images of a region stay in one batch if they fit, since they may swap names. An entry that
    is too large is split into chunks, each in a batch of its own, because a change request names
    an image only once. Its last chunk comes first: the last change is undone first.
    """
    budget = size - 100  # without the members around the list
    regions: dict[str, list[str]] = {}
    for text in texts:
        regions.setdefault(json.loads(text)["Region"], []).append(text)
    sized: list[tuple[list[str], int]] = []
    for _, images in sorted(regions.items()):
        total = sum(len(text) + 2 for text in images)
        if total <= budget and len(images) <= IMAGES_PER_REQUEST:
            sized.append((images, total))
            continue
        for text in images:  # each chunk counts as much as the entry, so it is alone
            cut = [] if len(text) <= budget else reversed(chunks(json.loads(text), budget))
            parts = list(map(json.dumps, cut)) or [text]
            sized += [([part], len(text) + 2) for part in parts]
    return _packed(sized, budget)


def chunks(entry: Entry, size: int) -> list[Entry]:
    """Split an entry into chunks of at most `size` bytes of JSON; a single value is not split.

    Tags are deleted before others are bound, since an image can have only 50.
    """
    if len(json.dumps(entry)) <= size:
        return [entry]
    values, expected = values_in(entry), values_in(entry.get("Expect", {}))

    def chunk_of(names: list[str]) -> Entry:
        chosen = [{n: part[n] for n in names if n in part} for part in (values, expected)]
        return entry_of((entry["Region"], entry["ImageId"]), *chosen)

    head = len(json.dumps(chunk_of([])))
    names = sorted(values, key=lambda n: (n not in ATTRIBUTES, values[n] is not None))
    sized = [([name], len(json.dumps(chunk_of([name]))) - head) for name in names]
    return list(map(chunk_of, _packed(sized, size - head)))


def _packed(sized: Iterable[tuple[list[str], int]], budget: int) -> Iterator[list[str]]:
    """Join lists, given with their sizes, as long as they are within the budget."""
    packed: list[list[str]] = [[]]
    left = budget
    for items, needed in sized:
        if needed > left or len(packed[-1]) + len(items) > IMAGES_PER_REQUEST:
            packed.append([])
            left = budget
        packed[-1] += items
        left -= needed
    return filter(None, packed)


def _undo_entry(outcome: Outcome) -> Entry:
    """Restore an image to its state before a step; empty if nothing differs.

    What a document may not set is left out, although an image may have it.
    """
    done = outcome.values
    values = {n: v for n, v in outcome.old_values.items() if v != done[n] and is_settable(n, v)}
    expected = {name: done[name] for name in values}
    return entry_of(outcome.step.image_key, values, expected) if values else {}


def omitted(step: Step) -> list[NotRestorable]:
    """A warning for each value that a step changes and Undo has to leave out."""
    image = f"of {step.image_id} in {step.region}"
    reason = "has a value that no document may set, so Undo leaves it out"
    old = Outcome.planned_for(step).old_values.items()
    return [NotRestorable(f"{n} {image} {reason}") for n, v in old if not is_settable(n, v)]


def is_settable(name: str, value: str | bool | None) -> bool:  # noqa: FBT001 - one of the values
    """Whether a document may set a value of an attribute or a tag."""
    key_error = value_error("TagKey", name[4:]) if name.startswith("Tag.") else ""
    is_valid = not isinstance(value, str) or (is_text(value) and not value_error(name, value))
    return is_valid and not key_error


def entry_of(image_key: tuple[str, str], values: Values, expected: Values) -> Entry:
    """The entry that sets values of an image, if it has those expected."""
    entry = {"Region": image_key[0], "ImageId": image_key[1], **members_of(values)}
    return {**entry, "Expect": members_of(expected)} if expected else entry
