"""Makes one write, with retries, until the outcome of each of its images is known."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from image_steward.cloud.image_api import Call, change_images, describe_images
from image_steward.cloud.recent_writes import RecentWrites
from image_steward.cloud.retries import Retries
from image_steward.current_images import EXPECT_SECONDS
from image_steward.errors import AmbiguousResponse, Changed, NotAllowed, StewardError
from image_steward.execution.writes import Write
from image_steward.model import OPTED_OUT, Image, Outcome

Execution: TypeAlias = "Generator[float, None, list[Outcome]]"
"""Yields the moment (monotonic seconds) at which to resume it; returns the outcomes."""


class Settling:
    """The attempts of one write, until all its images are settled: their outcomes are known.

    After an error that may hide a change, the images are read back to find out.
    """

    def __init__(
        self, write: Write, call: Call, retries: Retries, recent_writes: RecentWrites
    ) -> None:
        self._write = write
        self._call = call
        self._retries = retries
        self._recent_writes = recent_writes
        self._clock = retries.deadline.clock
        self._began = self._clock.monotonic()
        self._attempts = 0
        self._unsettled: dict[str, tuple[str, ...]] = dict.fromkeys(write.steps, ())
        """The request ids so far of each image that is not settled."""
        self._image_errors: dict[str, StewardError] = {}
        """Errors of single images in the last response."""
        self._outcomes: list[Outcome] = []

    def run(self) -> Execution:
        """Make the call, and retry while that can help."""
        may_be_applied = False
        while self._unsettled and (error := self._attempt(read_back=may_be_applied)):
            errors = (error, *self._image_errors.values())
            may_be_applied |= any(each.may_be_applied for each in errors)
            resume_at = self._retries.next_attempt(error, self._attempts)
            if resume_at is None:
                if may_be_applied:
                    error = yield from self._confirm(error)
                for image_id in list(self._unsettled):
                    self._settle(image_id, self._image_errors.get(image_id, error))
            elif resume_at > self._clock.monotonic():
                yield resume_at
        return self._outcomes

    def _attempt(self, *, read_back: bool) -> StewardError | None:
        self._attempts += 1
        self._image_errors = {}
        try:
            if read_back:
                self._read_back()
            if self._unsettled:
                self._send()
        except StewardError as error:
            return error
        return None

    def _read_back(self) -> None:
        """Settle the images to which the write has been applied, or that others have changed."""
        images = describe_images(self._call, self._write.region, list(self._unsettled))
        for image_id, image in images.items():
            if image_id not in self._unsettled or not isinstance(image, Image):
                continue
            if image.has(self._write.values):
                self._settle(image_id)
            elif image.is_opted_out:
                self._settle(image_id, NotAllowed(OPTED_OUT))
            elif names := self._write.changed_by_others(image):
                message = f"{', '.join(names)} of {image_id} changed during the run"
                self._settle(image_id, Changed(message))

    def _confirm(self, error: StewardError) -> Generator[float, None, StewardError]:
        """Read back after the last attempt; return the error of the images still not settled.

        `NameTaken`, for example, may mean that an earlier attempt worked. As reads may lag, they
        are repeated for up to 5 s. If reading back fails, the error becomes transient, and the
        next delivery finds out.
        """
        until = self._retries.deadline.earlier(EXPECT_SECONDS)
        try:
            self._read_back()
            while self._unsettled and until.remaining() > 1:
                yield self._clock.monotonic() + 1
                self._read_back()
        except StewardError as failure:
            if not error.transient:
                message = f"{error.code}: {error.message}; reading back: {failure.code}"
                return AmbiguousResponse(message)
        return error

    def _send(self) -> None:
        write, ids = self._write, list(self._unsettled)
        request_id, self._image_errors = change_images(self._call, write.region, ids, write.values)
        for image_id in ids:
            self._unsettled[image_id] += (request_id,)
            error = self._image_errors.get(image_id)
            if error is None or not (error.transient or error.may_be_applied):
                self._settle(image_id, error)
        if self._unsettled:
            raise max((self._image_errors[i] for i in self._unsettled), key=lambda e: e.transient)

    def _settle(self, image_id: str, error: StewardError | None = None) -> None:
        write, before = self._write, self._write.steps[image_id].before
        if before and not error:
            self._recent_writes.add(write.region, before, write.values)
        outcome = Outcome(
            write.steps[image_id],
            values={} if error else write.values,
            request_ids=self._unsettled.pop(image_id),
            error=error,
            attempts=self._attempts,
            began=self._began,
            ended=self._clock.monotonic(),
        )
        self._outcomes.append(outcome)
