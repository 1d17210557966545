"""From steps to outcomes: the writes, and what became of each."""

from __future__ import annotations

import heapq
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count, islice
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

from image_steward.errors import NoClearAnswer, StewardError, Stopped
from image_steward.images import (
    TAG_KEYS,
    TAG_RESOURCES,
    Image,
    describe_images,
    modify_image_attribute,
    tag_resources,
    untag_resources,
)
from image_steward.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from image_steward.images import Call
    from image_steward.planning import Step
    from image_steward.retries import Retries

T = TypeVar("T")

WORKERS = 4
"""For each region: enough that a reply of a third of a second costs no turn."""


@dataclass
class Outcome:
    """What became of a step: what was done (or planned), and the error that ended it."""

    source: str
    step: Step
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)
    """Values bound; None: unbound."""
    request_ids: list[str] = field(default_factory=list)
    error: StewardError | None = None
    planned: bool = False
    attempts: int = 0
    """Tries of the calls it took, all of them together."""
    seconds: float = 0.0
    """From the start of the first try to the end of the last one, waits included."""
    writes: int = 0
    """Calls that are still to be settled."""

    @property
    def status(self) -> str:
        """The `Status` of the result document."""
        if self.error:
            waits = self.error.healable or isinstance(self.error, Stopped)
            return "pending" if waits else "failed"
        if self.step.is_empty:
            return "unchanged"
        return "planned" if self.planned else "changed"

    @property
    def before(self) -> dict[str, Any]:
        """The members that differ, as they were."""
        if not self.step.before:
            return {}
        image = self.step.before
        was = {key: image.tags.get(key) for key in self.tags}
        return _members({n: image.attributes[n] for n in self.attributes}, was)

    @property
    def after(self) -> dict[str, Any]:
        """The members that differ, as they are now, or would be."""
        return _members(self.attributes, self.tags)


def outcome_of(source: str, step: Step, *, planned: bool = False) -> Outcome:
    """The outcome of a step before any call; `planned`: there will be none."""
    outcome = Outcome(source, step, error=step.error, planned=planned)
    if planned:
        outcome.attributes.update(step.attributes)
        outcome.tags.update({**step.tags, **dict.fromkeys(step.delete_tags)})
    return outcome


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

    def __post_init__(self) -> None:
        self.outcomes = list(self.left.values())

    def attempt(self, call: Call) -> None:
        """Make the call; but first, if it may have worked before, look whether it has.

        Raises:
            StewardError: what is in `left` then is not done, or not known to be.
        """
        for outcome in self.left.values():
            outcome.attempts += 1
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

    def give_up(self, error: StewardError) -> None:
        """What is left has failed."""
        for outcome in self.left.values():
            outcome.error = outcome.error or error

    def _send(self, call: Call) -> None:
        ids = list(self.left)
        failed: dict[str, StewardError] = {}
        if self.attributes:
            request_id = modify_image_attribute(call, self.region, ids[0], self.attributes)
        elif None in self.tags.values():
            request_id, failed = untag_resources(call, self.region, ids, self.tags)
        else:
            tags = {key: value for key, value in self.tags.items() if value is not None}
            request_id, failed = tag_resources(call, self.region, ids, tags)
        for image_id in ids:
            self.left[image_id].request_ids.append(request_id)
            error = failed.get(image_id)
            if error is None:
                self._done(image_id)
            elif not error.healable:
                outcome = self.left.pop(image_id)
                outcome.error = outcome.error or error
        for image_id in self.left:
            raise failed[image_id]

    def _done(self, image_id: str) -> None:
        outcome = self.left.pop(image_id)
        outcome.attributes.update(self.attributes)
        outcome.tags.update(self.tags)

    def _is_held_by(self, image: Image) -> bool:
        return self.attributes.items() <= image.attributes.items() and all(
            image.tags.get(key) == value for key, value in self.tags.items()
        )


def writes_of(region: str, outcomes: Sequence[Outcome]) -> Iterator[Write]:
    """The calls that outcomes need: one for an image's attributes, then the tags in batches."""
    for outcome in outcomes:
        if outcome.step.attributes:
            yield Write(region, {outcome.step.image_id: outcome}, outcome.step.attributes)
    for batch in _batches(outcomes):
        step = batch[0].step
        for changes in (dict(step.tags), dict.fromkeys(step.delete_tags)):
            for tags in _chunks(changes.items(), TAG_KEYS):
                yield Write(region, {o.step.image_id: o for o in batch}, tags=dict(tags))


class Applier:
    """Carries out the writes of one region: a few at a time, each tried again as `retries` says.

    A write that has to wait steps aside for the others. `note` is called once for each outcome
    that needed a write, as soon as all of its writes are settled.
    """

    def __init__(self, call: Call, retries: Retries, note: Callable[[Outcome], None]) -> None:
        self._call = call
        self._retries = retries
        self._note = note
        self._clock = retries.deadline.clock
        self._queue: list[tuple[float, int, Write]] = []
        self._numbers = count()
        self._lock = Lock()

    def apply(self, region: str, outcomes: Sequence[Outcome]) -> None:
        """Carry out all that the outcomes need; what became of it is in them afterwards."""
        now = self._clock.monotonic()
        for write in writes_of(region, outcomes):
            for outcome in write.outcomes:
                outcome.writes += 1
            self._push(now, write)
        side_by_side([self._work] * max(1, min(WORKERS, len(self._queue))))

    def _work(self) -> None:
        while turn := self._pop():
            moment, write = turn
            self._clock.sleep_until(moment)
            start = self._clock.monotonic()
            again = self._try(write)
            for outcome in write.outcomes:
                outcome.seconds += self._clock.monotonic() - start
            if again is None:
                self._close(write)
            else:
                self._push(again, write)

    def _try(self, write: Write) -> float | None:
        """Attempt a write; when to do it again, or None: all of it is settled."""
        try:
            write.attempt(self._call)
        except StewardError as error:
            write.tries += 1
            write.is_unclear |= isinstance(error, NoClearAnswer)
            again = self._retries.next_try(error, write.tries)
            if again is None:
                if write.is_unclear:
                    # A name that is taken may be taken by the image itself, since our own try.
                    with suppress(StewardError):
                        write.look(self._call)
                write.give_up(error)
            return again
        return None

    def _close(self, write: Write) -> None:
        with self._lock:
            for outcome in write.outcomes:
                outcome.writes -= 1
                if not outcome.writes:
                    self._note(outcome)

    def _push(self, moment: float, write: Write) -> None:
        with self._lock:
            heapq.heappush(self._queue, (moment, next(self._numbers), write))

    def _pop(self) -> tuple[float, Write] | None:
        with self._lock:
            if not self._queue:
                return None
            moment, _, write = heapq.heappop(self._queue)
            return moment, write


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


def _members(
    attributes: Mapping[str, str | bool], tags: Mapping[str, str | None]
) -> dict[str, Any]:
    """As documents write them; `Tags` only where a tag differs."""
    pairs = [{"Key": key, "Value": value} for key, value in tags.items() if value is not None]
    return {**attributes, **({"Tags": pairs} if tags else {})}
