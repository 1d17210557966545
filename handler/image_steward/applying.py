"""From steps to outcomes: the writes, and what became of each."""

from __future__ import annotations

import heapq
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
    started: float | None = None
    """Monotonic seconds, when its first try began."""
    seconds: float = 0.0
    """From then to the end of the last try, waits included."""
    open_writes: int = 0
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
    refusals: dict[str, StewardError] = field(default_factory=dict)
    """What the last try said of single images, by id."""

    def __post_init__(self) -> None:
        self.outcomes = list(self.left.values())

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

    def give_up(self, error: StewardError) -> None:
        """What is left has failed, each for its own reason if there is one."""
        for image_id, outcome in self.left.items():
            outcome.error = outcome.error or self.refusals.get(image_id, error)

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
                outcome = self.left.pop(image_id)
                outcome.error = outcome.error or error
        for image_id in self.left:
            raise self.refusals[image_id]

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
                outcome.open_writes += 1
            self._push(now, write)
        side_by_side([self._work] * max(1, min(WORKERS, len(self._queue))))

    def _work(self) -> None:
        while turn := self._pop():
            moment, write = turn
            self._clock.sleep_until(moment)
            self._open(write)
            again = self._try(write)
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
                write.give_up(self._last_look(write, error) if write.is_unclear else error)
            return again
        return None

    def _last_look(self, write: Write, error: StewardError) -> StewardError:
        """Look once more; a name that is taken may be taken by the image, since our own try.

        The error for what is not done: `error`, if looking showed so. Otherwise nobody knows, and
        the next delivery will.
        """
        try:
            write.look(self._call)
        except StewardError as failure:
            reason = f"{error.code}: {error.message}; reading back: {failure.code}"
            return failure if failure.healable else NoClearAnswer(reason)
        return error

    def _open(self, write: Write) -> None:
        with self._lock:
            for outcome in write.left.values():
                outcome.attempts += 1
                outcome.started = outcome.started or self._clock.monotonic()

    def _close(self, write: Write) -> None:
        with self._lock:
            for outcome in write.outcomes:
                outcome.open_writes -= 1
                if not outcome.open_writes:
                    outcome.seconds = self._clock.monotonic() - (outcome.started or 0.0)
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
