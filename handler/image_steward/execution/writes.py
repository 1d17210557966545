"""From the steps of a region to the API calls they need, and the order of these calls. Pure."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

from image_steward.limits import RESOURCES_PER_TAG_CALL, TAGS_PER_TAG_CALL
from image_steward.model import TAG, Image, Plan, Step, Values
from image_steward.planning.diff import foreign_values

T = TypeVar("T")


class Write(NamedTuple):
    """One call: it changes attributes of one image, or binds or unbinds tags of several."""

    region: str
    steps: Mapping[str, Step]
    """Of its images, by image id."""
    values: Values
    """Of attributes, or of tags: either all have a value or all are None."""

    def changed_by_others(self, image: Image) -> Values:
        """If the document has `Expect`: what is neither as it was nor as this run writes it."""
        step = self.steps[image.image_id]
        if not (step.is_guarded and step.before):
            return {}
        return foreign_values(image, self.values, step.before.values, step.values)

    @property
    def reverted(self) -> "Write":
        """The write that gives the image of a rename its old name back."""
        names = [step.before.name for step in self.steps.values() if step.before]
        return self._replace(values={"ImageName": names[0]})


class Task:
    """Writes made one after the other; tasks are independent of each other.

    They write tags of images with equal tag changes, and unbind tags first, as an image may have
    the maximum number of tags. Or they write attributes of one image, or of several images, each of
    which gets the name of the one before. In a rename cycle, the first write gives an image a
    temporary name, the last its new name.
    """

    def __init__(
        self, writes: list[Write], *, is_of_tags: bool = False, is_cycle: bool = False
    ) -> None:
        self.writes, self.is_of_tags, self.is_cycle = writes, is_of_tags, is_cycle

    @property
    def image_ids(self) -> set[str]:
        """The ids of its images."""
        return {image_id for write in self.writes for image_id in write.steps}


def tasks_of(plan: Plan, region: str, phase: Collection[str]) -> Iterator[Task]:
    """The tasks of a phase in a region."""
    groups: dict[frozenset[tuple[str, object]], tuple[Values, list[Step]]] = {}
    attribute_writes: dict[str, Write] = {}
    for step in plan.steps[region]:
        values = plan.written_in(phase, step)
        if tags := {n: v for n, v in values.items() if n.startswith(TAG)}:
            groups.setdefault(frozenset(tags.items()), (tags, []))[1].append(step)
        if attributes := {n: v for n, v in values.items() if n not in tags}:
            attribute_writes[step.image_id] = Write(region, {step.image_id: step}, attributes)
    yield from _attribute_tasks(attribute_writes)
    for changes, group in groups.values():
        deleted = [(name, value) for name, value in changes.items() if value is None]
        bound = [(name, value) for name, value in changes.items() if value is not None]
        calls = (*_batches(deleted, TAGS_PER_TAG_CALL), *_batches(bound, TAGS_PER_TAG_CALL))
        for batch in _batches(group, RESOURCES_PER_TAG_CALL):
            by_id = {step.image_id: step for step in batch}
            yield Task([Write(region, by_id, dict(pairs)) for pairs in calls], is_of_tags=True)


def _attribute_tasks(writes: Mapping[str, Write]) -> Iterator[Task]:
    steps = [write.steps[image_id] for image_id, write in writes.items()]
    followers = {step.waits_for: step for step in steps if step.waits_for}
    for start in steps:
        if start.temporary_name or not start.waits_for:
            chain = [start]
            while (step := followers.get(chain[-1].image_id)) and step is not start:
                chain.append(step)
            first, *others = [writes[step.image_id] for step in chain]
            if start.temporary_name:
                # With the other attributes: if the API rejects them, no name has changed.
                others.append(first._replace(values={"ImageName": start.new_name}))
                first = first._replace(values={**first.values, "ImageName": start.temporary_name})
            yield Task([first, *others], is_cycle=bool(start.temporary_name))


def _batches(items: Sequence[T], size: int) -> list[Sequence[T]]:
    return [items[i : i + size] for i in range(0, len(items), size)]
