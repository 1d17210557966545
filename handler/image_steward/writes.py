"""The calls that change something: which ones, in which order, and each until it is settled."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice, pairwise
from typing import TYPE_CHECKING, TypeVar

from image_steward.images import (
    TAG_KEYS,
    TAG_RESOURCES,
    Image,
    describe_images,
    modify_image_attribute,
    tag_resources,
    untag_resources,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from image_steward.errors import StewardError
    from image_steward.images import Call
    from image_steward.outcomes import Outcome

T = TypeVar("T")


@dataclass
class Write:
    """One call that changes one image, or binds or unbinds tags of a few, until all is settled.

    `left` are the outcomes, by image id, of which it is not known yet what became of them.
    """

    region: str
    left: dict[str, Outcome]
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    """All bound, or all (None) unbound."""
    tries: int = 0
    is_unclear: bool = False
    """Whether a try may have worked although nothing said so."""
    refusals: dict[str, StewardError] = field(default_factory=dict)
    """What the last try said of single images, by id."""
    error: StewardError | None = None
    """Why some of it was given up."""
    waiting: list[Write] = field(default_factory=list)
    """The writes that this one has to make room for, or (tags) that are to come after it."""
    is_waiting: bool = False
    """Whether this one stands in another's `waiting`."""
    held_by: tuple[str, ...] = ()
    """It is not for images that have one of these statuses by then."""
    opener: Write | None = None
    """The write that gave the image a temporary name, if this one is to give it the wanted one."""

    def __post_init__(self) -> None:
        self.outcomes = list(self.left.values())

    @property
    def is_done(self) -> bool:
        """Whether all of it was carried out."""
        return not (self.left or self.error)

    def attempt(self, call: Call) -> None:
        """Make the call; but first, if it may have worked before, look whether it has.

        Raises:
            StewardError: what is in `left` then is not done, or not known to be.
        """
        if self.is_unclear:
            self.look(call)
        if self.left:
            self._send(call)

    def look(self, call: Call) -> None:
        """Settle those that hold what was to be written; nothing but reading tells for sure."""
        images = describe_images(call, self.region, list(self.left))
        for image_id in list(self.left):
            image = images.get(image_id)
            if isinstance(image, Image) and self._is_held_by(image):
                self._done(image_id)

    def put_off(self) -> None:
        """Leave out the images of which something else is not done, as `held_by` says."""
        for image_id, outcome in list(self.left.items()):
            if outcome.status in self.held_by:
                self.error = self.left.pop(image_id).error

    def give_up(self, error: StewardError) -> None:
        """What is left, if anything is, has failed, each for its own reason if there is one."""
        if self.left:
            self.error = error
        for image_id, outcome in self.left.items():
            outcome.fail(self.refusals.get(image_id, error))

    def _send(self, call: Call) -> None:
        ids = list(self.left)
        self.refusals = {}
        if self.attributes:
            request_id = modify_image_attribute(call, self.region, ids[0], self.attributes)
        elif None in self.tags.values():
            request_id, self.refusals = untag_resources(call, self.region, ids, self.tags)
        else:
            tags = {key: value for key, value in self.tags.items() if value is not None}
            request_id, self.refusals = tag_resources(call, self.region, ids, tags)
        for image_id in ids:
            self.left[image_id].request_ids.append(request_id)
            error = self.refusals.get(image_id)
            if error is None:
                self._done(image_id)
            elif not error.healable:
                self.left.pop(image_id).fail(error)
        for image_id in self.left:
            raise self.refusals[image_id]

    def _done(self, image_id: str) -> None:
        outcome = self.left.pop(image_id)
        was = outcome.step.before.attributes if outcome.step.before else {}
        outcome.attributes.update(self.attributes)
        outcome.attributes = {n: v for n, v in outcome.attributes.items() if was.get(n) != v}
        outcome.tags.update(self.tags)

    def _is_held_by(self, image: Image) -> bool:
        return self.attributes.items() <= image.attributes.items() and all(
            image.tags.get(key) == value for key, value in self.tags.items()
        )


def writes_of(region: str, outcomes: Sequence[Outcome]) -> tuple[list[Write], list[Write]]:
    """The calls that outcomes need: for attributes, some of them not to begin with, and for tags.

    One for an image's attributes, two where it gets a temporary name in between; the tags in
    batches. A rename begins when the image that holds the name has left it.
    """
    writes: list[Write] = []
    tag_writes: list[Write] = []
    leaving: dict[str, Write] = {}
    last: dict[str, Write] = {}
    for outcome in outcomes:
        step, image_id = outcome.step, outcome.step.image_id
        if step.attributes:
            first = dict(step.attributes)
            if step.temporary and step.before:
                # Everything else goes first: if it is refused, no name has been touched.
                first["ImageName"] = step.temporary
                last[image_id] = Write(region, {image_id: outcome}, {"ImageName": step.new_name})
            leaving[image_id] = Write(region, {image_id: outcome}, first)
            writes.append(leaving[image_id])
            if image_id in last:
                last[image_id].opener = leaving[image_id]
                writes.append(last[image_id])
    for outcome in outcomes:
        if outcome.step.waits_for:
            write = last.get(outcome.step.image_id) or leaving[outcome.step.image_id]
            leaving[outcome.step.waits_for].waiting.append(write)
            write.is_waiting = True
    for batch in _batches(outcomes):
        tag_writes += _in_turn(region, batch)
    return writes, tag_writes


def _in_turn(region: str, batch: Sequence[Outcome]) -> list[Write]:
    """The tag calls of a batch, one after the other: first those that make room.

    An image holds 50 tags, and one that has them all has to lose some before it gets others.
    """
    step = batch[0].step
    writes = [
        Write(region, {o.step.image_id: o for o in batch}, tags=dict(tags))
        for changes in (dict.fromkeys(step.delete_tags), dict(step.tags))
        for tags in _chunks(changes.items(), TAG_KEYS)
    ]
    for write, following in pairwise(writes):
        write.waiting.append(following)
        following.is_waiting = True
    return writes


def _batches(outcomes: Iterable[Outcome]) -> Iterator[list[Outcome]]:
    """The outcomes that need tag calls, those with equal tag changes together."""
    equal: dict[tuple[object, ...], list[Outcome]] = {}
    for outcome in outcomes:
        step = outcome.step
        if step.tags or step.delete_tags:
            key = (frozenset(step.tags.items()), frozenset(step.delete_tags))
            equal.setdefault(key, []).append(outcome)
    for group in equal.values():
        yield from _chunks(group, TAG_RESOURCES)


def _chunks(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while chunk := list(islice(rest, size)):
        yield chunk
