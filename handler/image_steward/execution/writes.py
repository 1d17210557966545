"""From the steps of a region to the API calls they need, and the order of these calls. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TypeVar

from image_steward.limits import RESOURCES_PER_TAG_CALL, TAGS_PER_TAG_CALL
from image_steward.model import Attributes, Image, Step, TagChanges, by_name
from image_steward.naming.temporary import is_temporary

T = TypeVar("T")


@dataclass(frozen=True)
class Write:
    """One call: it changes attributes of one image, or binds or unbinds tags of several."""

    region: str
    steps: Mapping[str, Step]
    """Of its images, by image id."""
    attributes: Attributes = field(default_factory=dict)
    tags: TagChanges = field(default_factory=dict)
    """Either all have a value or all are None."""

    def is_applied_to(self, image: Image) -> bool:
        """Whether an image already has all that is to be written."""
        return image.has(by_name(self.attributes, self.tags))

    def changed_by_others(self, image: Image) -> list[str]:
        """If the document has `Expect`: what is neither as it was nor as this run writes it."""
        step, current = self.steps[image.image_id], image.values
        if not (step.is_guarded and step.before):
            return []
        before, wanted = step.before.values, by_name(step.attributes, step.tags)
        return [
            name
            for name, value in by_name(self.attributes, self.tags).items()
            if current.get(name) not in {value, before.get(name), wanted.get(name)}
            and not (name == "ImageName" and is_temporary(image.name))
        ]

    @property
    def reverted(self) -> Write:
        """The write that gives the image of a rename its old name back."""
        names = [step.before.name for step in self.steps.values() if step.before]
        return replace(self, attributes={"ImageName": names[0]})


@dataclass(frozen=True)
class Task:
    """Writes made one after the other; tasks are independent of each other."""

    writes: list[Write]

    @property
    def image_ids(self) -> set[str]:
        """The ids of its images."""
        return {image_id for write in self.writes for image_id in write.steps}


class AttributeTask(Task):
    """Attributes of one image, or of several images, each of which gets the name of the one before.

    In a rename cycle the first write gives an image a temporary name, and the last one gives the
    same image its new name.
    """

    @property
    def is_cycle(self) -> bool:
        """Whether its first write gives a temporary name."""
        return any(step.temporary_name for step in self.writes[0].steps.values())


class TagTask(Task):
    """Tags of images with equal tag changes; a failed write does not stop the next one.

    Tags are unbound first, as an image may have the maximum number of tags.
    """


def tasks_of(region: str, steps: Sequence[Step], phase: Sequence[str]) -> list[Task]:
    """The tasks of a phase, which writes "attributes", "tags" or both."""
    attribute_tasks = _attribute_tasks(region, steps) if "attributes" in phase else ()
    tag_tasks = _tag_tasks(region, steps) if "tags" in phase else ()
    return [*attribute_tasks, *tag_tasks]


def _attribute_tasks(region: str, steps: Iterable[Step]) -> Iterator[Task]:
    by_id = {step.image_id: step for step in steps if step.attributes}
    followers = {step.waits_for: step for step in by_id.values() if step.waits_for}
    for step in by_id.values():
        if step.temporary_name or not step.waits_for:
            yield AttributeTask(list(_attribute_writes(region, step, followers)))


def _attribute_writes(region: str, start: Step, followers: Mapping[str, Step]) -> Iterator[Write]:
    first = dict(start.attributes)
    if start.temporary_name:
        # Other attributes are written with it: if the API rejects them, no name has changed.
        first["ImageName"] = start.temporary_name
    yield Write(region, {start.image_id: start}, first)
    step = followers.get(start.image_id)
    while step and step is not start:
        yield Write(region, {step.image_id: step}, dict(step.attributes))
        step = followers.get(step.image_id)
    if start.temporary_name:
        yield Write(region, {start.image_id: start}, {"ImageName": start.new_name})


def _tag_tasks(region: str, steps: Iterable[Step]) -> Iterator[Task]:
    groups: dict[tuple[object, ...], list[Step]] = {}
    for step in steps:
        if step.tags or step.delete_tags:
            changes = (frozenset(step.tags.items()), frozenset(step.delete_tags))
            groups.setdefault(changes, []).append(step)
    for group in groups.values():
        for batch in _batches(group, RESOURCES_PER_TAG_CALL):
            yield TagTask(list(_tag_writes(region, batch)))


def _tag_writes(region: str, batch: Sequence[Step]) -> Iterator[Write]:
    steps = {step.image_id: step for step in batch}
    changes: tuple[TagChanges, ...] = (dict.fromkeys(batch[0].delete_tags), {**batch[0].tags})
    for tags in changes:
        for call in _batches(tags.items(), TAGS_PER_TAG_CALL):
            yield Write(region, steps, tags=dict(call))


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch
