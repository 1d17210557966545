"""From the steps of a region to the API calls they need, and the order of these calls. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from image_steward.limits import RESOURCES_PER_TAG_CALL, TAGS_PER_TAG_CALL
from image_steward.model import Attributes, Image, Step, TagChanges, Values, by_name
from image_steward.planning.diff import foreign_values

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

    def changed_by_others(self, image: Image) -> Values:
        """If the document has `Expect`: what is neither as it was nor as this run writes it."""
        step = self.steps[image.image_id]
        if not (step.is_guarded and step.before):
            return {}
        written, wanted = by_name(self.attributes, self.tags), by_name(step.attributes, step.tags)
        return foreign_values(image, written, step.before.values, wanted)

    @property
    def reverted(self) -> Write:
        """The write that gives the image of a rename its old name back."""
        names = [step.before.name for step in self.steps.values() if step.before]
        return replace(self, attributes={"ImageName": names[0]})


class Task(NamedTuple):
    """Writes made one after the other; tasks are independent of each other.

    They write tags of images with equal tag changes, and unbind tags first, as an image may have
    the maximum number of tags. Or they write attributes of one image, or of several images, each of
    which gets the name of the one before.
    """

    writes: list[Write]
    is_cycle: bool = False
    """A rename cycle: the first write gives an image a temporary name, the last its new name."""

    @property
    def image_ids(self) -> set[str]:
        """The ids of its images."""
        return {image_id for write in self.writes for image_id in write.steps}


def tasks_of(
    region: str, steps: Sequence[Step], phase: Sequence[str], last_tags: Collection[str]
) -> Iterator[Task]:
    """The tasks of a phase, as `Plan.phases` describes it."""
    if "attributes" in phase:
        yield from _attribute_tasks(region, steps)
    groups: dict[frozenset[tuple[str, str | None]], tuple[TagChanges, list[Step]]] = {}
    for step in steps:
        if changes := step.tag_changes(phase, last_tags):
            groups.setdefault(frozenset(changes.items()), (changes, []))[1].append(step)
    for changes, group in groups.values():
        deleted = [(key, value) for key, value in changes.items() if value is None]
        bound = [(key, value) for key, value in changes.items() if value is not None]
        calls = (*_batches(deleted, TAGS_PER_TAG_CALL), *_batches(bound, TAGS_PER_TAG_CALL))
        for batch in _batches(group, RESOURCES_PER_TAG_CALL):
            by_id = {step.image_id: step for step in batch}
            yield Task([Write(region, by_id, tags=dict(tags)) for tags in calls])


def _attribute_tasks(region: str, steps: Iterable[Step]) -> Iterator[Task]:
    by_id = {step.image_id: step for step in steps if step.attributes}
    followers = {step.waits_for: step for step in by_id.values() if step.waits_for}
    for start in by_id.values():
        if start.temporary_name or not start.waits_for:
            chain = [start]
            while (step := followers.get(chain[-1].image_id)) and step is not start:
                chain.append(step)
            writes = [Write(region, {s.image_id: s}, dict(s.attributes)) for s in chain]
            if start.temporary_name:
                # With the other attributes: if the API rejects them, no name has changed.
                writes[0].attributes["ImageName"] = start.temporary_name
                writes.append(replace(writes[0], attributes={"ImageName": start.new_name}))
            yield Task(writes, is_cycle=bool(start.temporary_name))


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
