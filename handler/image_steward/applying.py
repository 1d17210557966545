"""From steps to outcomes: the writes, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from image_steward.errors import StewardError, TimeRanOut
from image_steward.images import (
    TAG_KEYS,
    TAG_RESOURCES,
    modify_image_attribute,
    tag_resources,
    untag_resources,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from image_steward.clock import Deadline
    from image_steward.errors import ApiError
    from image_steward.images import Call
    from image_steward.planning import Step
    from image_steward.retries import Retries

    TagCall = Callable[[Call, str, list[str]], tuple[str, dict[str, ApiError]]]

T = TypeVar("T")


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

    @property
    def status(self) -> str:
        """The `Status` of the result document."""
        if self.error:
            return "pending" if self.error.healable else "failed"
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


@dataclass(frozen=True)
class Applier:
    """Makes the changes of steps of one region, each call tried again as `retries` says.

    After `deadline` nothing new is started: what is left is pending.
    """

    call: Call
    retries: Retries
    deadline: Deadline

    def apply(self, outcomes: Sequence[Outcome]) -> Iterator[Outcome]:
        """Carry out the steps, one `ModifyImageAttribute` an image, then the tags in batches.

        Yields each outcome that needed work as soon as all of it is done or given up.
        """
        todo = [o for o in outcomes if not o.error and not o.step.is_empty]
        for outcome in todo:
            if outcome.step.attributes:
                self._modify(outcome)
            if not (outcome.step.tags or outcome.step.delete_tags):
                yield outcome
        for batch in _batches(todo):
            step = batch[0].step
            for tags in _chunks(step.tags.items(), TAG_KEYS):
                self._tag(batch, dict(tags), partial(tag_resources, tags=dict(tags)))
            for keys in _chunks(step.delete_tags, TAG_KEYS):
                self._tag(batch, dict.fromkeys(keys), partial(untag_resources, keys=keys))
            yield from batch

    def _modify(self, outcome: Outcome) -> None:
        step = outcome.step

        def attempt() -> None:
            outcome.request_ids.append(
                modify_image_attribute(self.call, step.region, step.image_id, step.attributes)
            )
            outcome.attributes.update(step.attributes)

        self._settle(attempt, {step.image_id: outcome})

    def _tag(self, batch: list[Outcome], values: Mapping[str, str | None], send: TagCall) -> None:
        left = {outcome.step.image_id: outcome for outcome in batch}

        def attempt() -> None:
            request_id, failed = send(self.call, batch[0].step.region, list(left))
            for image_id, outcome in list(left.items()):
                outcome.request_ids.append(request_id)
                error = failed.get(image_id)
                if error is None:
                    outcome.tags.update(values)
                elif error.healable:
                    continue
                else:
                    outcome.error = outcome.error or error
                del left[image_id]
            for image_id in left:
                raise failed[image_id]

        self._settle(attempt, left)

    def _settle(self, attempt: Callable[[], None], left: Mapping[str, Outcome]) -> None:
        """Try; what is still in `left` when trying ends with an error has that error."""
        outcomes = list(left.values())
        clock = self.deadline.clock
        start = clock.monotonic()

        def counted() -> None:
            for outcome in left.values():
                outcome.attempts += 1
            attempt()

        try:
            if self.deadline.remaining() <= 0:
                raise TimeRanOut("the run's time was over before this change could start")
            self.retries(counted)
        except StewardError as error:
            for outcome in left.values():
                outcome.error = outcome.error or error
        for outcome in outcomes:
            outcome.seconds += clock.monotonic() - start


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
