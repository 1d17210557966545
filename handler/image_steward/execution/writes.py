"""From the steps of a region to the calls that they need, and which have to follow which. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from image_steward.limits import RESOURCES_PER_TAG_CALL, TAGS_PER_TAG_CALL
from image_steward.model import Attributes, Image, Step, TagChanges

T = TypeVar("T")


@dataclass(frozen=True)
class Write:
    """One call that changes one image, or binds or unbinds tags of a few."""

    region: str
    steps: Mapping[str, Step]
    """Of the images that it is for, by id."""
    attributes: Attributes = field(default_factory=dict)
    tags: TagChanges = field(default_factory=dict)
    """All bound, or all (None) unbound."""

    def is_applied_to(self, image: Image) -> bool:
        """Whether an image has all that is to be written."""
        return self.attributes.items() <= image.attributes.items() and all(
            image.tags.get(key) == value for key, value in self.tags.items()
        )


@dataclass(frozen=True)
class Task:
    """Writes one after the other."""

    writes: list[Write]

    @property
    def image_ids(self) -> set[str]:
        """The images that it is for."""
        return {image_id for write in self.writes for image_id in write.steps}


class Chain(Task):
    """Renames, of one image each: each gets the name that the one before it has left.

    Most have one write. In a cycle the first write gives an image a temporary name, and the last
    one gives the same image its new name.
    """


class TagBatch(Task):
    """Tag calls for images with equal tag changes, whatever becomes of each call.

    First those that make room: an image that has all the tags it can hold has to lose some before
    it gets others.
    """


def way_back_of(chain: Task) -> Write | None:
    """The write that takes the temporary name of a cycle back; None if it is none."""
    first = chain.writes[0]
    (step,) = first.steps.values()
    if not step.temporary or not step.before:
        return None
    return Write(first.region, first.steps, {"ImageName": step.before.name})


def tasks_of(region: str, steps: Sequence[Step], phase: Sequence[str]) -> list[Task]:
    """The tasks of a phase, of those in which "attributes" and "tags" are written."""
    return [
        *(_chains(region, steps) if "attributes" in phase else ()),
        *(_tag_batches(region, steps) if "tags" in phase else ()),
    ]


def _chains(region: str, steps: Iterable[Step]) -> Iterator[Task]:
    by_id = {step.image_id: step for step in steps if step.attributes}
    followers = {step.waits_for: step for step in by_id.values() if step.waits_for}
    for start in by_id.values():
        if start.temporary or not start.waits_for:
            yield Chain(list(_chain(region, start, followers)))


def _tag_batches(region: str, steps: Iterable[Step]) -> Iterator[Task]:
    equal: dict[tuple[object, ...], list[Step]] = {}
    for step in steps:
        if step.tags or step.delete_tags:
            key = (frozenset(step.tags.items()), frozenset(step.delete_tags))
            equal.setdefault(key, []).append(step)
    for group in equal.values():
        for batch in _chunks(group, RESOURCES_PER_TAG_CALL):
            yield TagBatch(_tag_writes(region, batch))


def _chain(region: str, start: Step, followers: Mapping[str, Step]) -> Iterator[Write]:
    first = dict(start.attributes)
    if start.temporary:
        # Everything else goes first: if it is refused, no name has been touched.
        first["ImageName"] = start.temporary
    yield Write(region, {start.image_id: start}, first)
    step = followers.get(start.image_id)
    while step and step is not start:
        yield Write(region, {step.image_id: step}, dict(step.attributes))
        step = followers.get(step.image_id)
    if start.temporary:
        yield Write(region, {start.image_id: start}, {"ImageName": start.new_name})


def _tag_writes(region: str, batch: Sequence[Step]) -> list[Write]:
    steps = {step.image_id: step for step in batch}
    changes: tuple[TagChanges, ...] = (dict.fromkeys(batch[0].delete_tags), {**batch[0].tags})
    return [
        Write(region, steps, tags=dict(tags))
        for changed in changes
        for tags in _chunks(changed.items(), TAGS_PER_TAG_CALL)
    ]


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
