"""From steps to outcomes: the writes of a region, a few at a time."""

from __future__ import annotations

import heapq
from itertools import count
from threading import Lock
from typing import TYPE_CHECKING

from image_steward.errors import (
    AccountRefused,
    ApiError,
    ImageBusy,
    NameTaken,
    NoClearAnswer,
    StewardError,
    Stopped,
)
from image_steward.images import has_failed
from image_steward.outcomes import is_final
from image_steward.workers import side_by_side
from image_steward.writes import Write, writes_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from image_steward.images import Call
    from image_steward.outcomes import Outcome
    from image_steward.retries import Retries

WORKERS = 4
"""For each region: enough that a reply of a third of a second costs no turn."""


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

    def apply(
        self, outcomes: Sequence[Outcome], last: str = "", held_by: tuple[str, ...] = ()
    ) -> None:
        """Carry out all that the outcomes need; what became of it is in them afterwards.

        `last`, "tags" or "attributes", begins when the others are settled, and not for an image
        that has one of the statuses `held_by` then: whoever chose the image by it finds it again.
        """
        if not outcomes:
            return
        attributes, tags = writes_of(outcomes[0].step.region, outcomes)
        for write in [*attributes, *tags]:
            for outcome in write.outcomes:
                outcome.open_writes += 1
        if last:
            first, second = (tags, attributes) if last == "attributes" else (attributes, tags)
            self._carry_out(first)
            for write in second:
                write.held_by = held_by
            self._carry_out(second)
        else:
            self._carry_out([*attributes, *tags])

    def _carry_out(self, writes: Sequence[Write]) -> None:
        now = self._clock.monotonic()
        for write in writes:
            if not write.is_waiting:
                self._push(now, write)
        side_by_side([self._work] * min(WORKERS, len(self._queue)))

    def _work(self) -> None:
        while turn := self._pop():
            moment, write = turn
            self._clock.sleep_until(moment)
            write.put_off()
            self._open(write)
            again = self._try(write)
            if again is None:
                self._close(write)
                self._go_on(write)
            else:
                self._push(again, write)

    def _try(self, write: Write) -> float | None:
        """Attempt a write; when to do it again, or None: all of it is settled."""
        try:
            write.attempt(self._call)
        except StewardError as raised:
            error = _for_good(write, raised)
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
                    now = self._clock.monotonic()
                    outcome.seconds = now - (now if outcome.started is None else outcome.started)
                    self._note(outcome)

    def _go_on(self, write: Write) -> None:
        """Begin the writes that this one made room for, or give them up, and what waits for them.

        They are given up for good only if this one was; else the next delivery finds them. Tags
        only wait for their turn: there may be room for them whatever became of the others.
        """
        settled = [write]
        while settled:
            write = settled.pop()
            for waiting in write.waiting:
                if write.is_done or write.tags or _is_gone(write):
                    self._push(self._clock.monotonic(), waiting)
                    continue
                error = _still_taken(write)
                waiting.give_up(error)
                if is_final(error):
                    self._go_back(waiting)
                self._close(waiting)
                settled.append(waiting)

    def _go_back(self, write: Write) -> None:
        """Rather its old name than a temporary one for good, if that is still free."""
        (outcome,) = write.outcomes
        opener = write.opener
        if (
            outcome.step.before
            and opener
            and opener.is_done
            and not any(waiting.is_done for waiting in opener.waiting)
        ):
            with self._lock:
                outcome.open_writes += 1
            name: dict[str, str | bool] = {"ImageName": outcome.step.before.name}
            self._push(self._clock.monotonic(), Write(write.region, dict(write.left), name))

    def _push(self, moment: float, write: Write) -> None:
        with self._lock:
            heapq.heappush(self._queue, (moment, next(self._numbers), write))

    def _pop(self) -> tuple[float, Write] | None:
        with self._lock:
            if not self._queue:
                return None
            moment, _, write = heapq.heappop(self._queue)
            return moment, write


def _for_good(write: Write, error: StewardError) -> StewardError:
    """The error, final if it is the state of an image whose making has failed: that stays so."""
    states = (o.step.before.facts["ImageState"] for o in write.left.values() if o.step.before)
    if isinstance(error, ImageBusy) and any(map(has_failed, states)):
        return ApiError(error.code, error.message, error.request_id)
    return error


def _is_gone(write: Write) -> bool:
    """Whether its image does not exist any more: then nobody has its name."""
    return write.error is not None and write.error.code == "InvalidImageId.NotFound"


def _still_taken(write: Write) -> StewardError:
    """Why what waits for a write cannot be done: for good, unless time heals the write."""
    error = write.error
    if isinstance(error, AccountRefused):
        return Stopped(f"not attempted after {error.code}: {error.message}")
    if error and not is_final(error):
        return error
    (outcome,) = write.outcomes
    message = f"{outcome.step.image_id} could not leave its name; see what became of it"
    return NameTaken("InvalidImageName.Duplicate", message)
