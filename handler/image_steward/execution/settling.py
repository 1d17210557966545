"""One write until it is settled what became of each of its images."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

from image_steward.cloud.image_api import Call, change_tags, describe_images, modify_image_attribute
from image_steward.cloud.retries import Retries
from image_steward.errors import AmbiguousResponse, ApiError, ImageBusy, StewardError
from image_steward.execution.writes import Write
from image_steward.model import Image, Outcome

Work: TypeAlias = "Generator[float, None, list[Outcome]]"
"""Work that yields the moment (monotonic seconds) to go on at whenever it has to wait."""


class Settling:
    """The tries of one write. A try that may have worked is settled by reading the images back."""

    def __init__(self, write: Write, call: Call, retries: Retries) -> None:
        self._write = write
        self._call = call
        self._retries = retries
        self._clock = retries.deadline.clock
        self._began = self._clock.monotonic()
        self._tries = 0
        self._left: dict[str, tuple[str, ...]] = dict.fromkeys(write.steps, ())
        """The images of which it is not known yet what became, each with its request ids."""
        self._refusals: dict[str, StewardError] = {}
        """What the last try said of single images."""
        self._outcomes: list[Outcome] = []

    def work(self) -> Work:
        """Make the call, again as long as that may help."""
        is_unclear = False
        while self._left and (error := self._attempt(look_first=is_unclear)):
            is_unclear |= isinstance(error, AmbiguousResponse)
            again = self._retries.next_attempt(error, self._tries)
            if again is None:
                error = self._last_look(error) if is_unclear else error
                for image_id in list(self._left):
                    self._settle(image_id, self._refusals.get(image_id, error))
            elif again > self._clock.monotonic():
                yield again
        return self._outcomes

    def _attempt(self, *, look_first: bool) -> StewardError | None:
        self._tries += 1
        try:
            if look_first:
                self._look()
            if self._left:
                self._send()
        except StewardError as error:
            before = (self._write.steps[image_id].before for image_id in self._left)
            if isinstance(error, ImageBusy) and any(image and image.has_failed for image in before):
                return ApiError(error.code, error.message, error.request_id)  # it stays so
            return error
        return None

    def _look(self) -> None:
        """Settle those that hold what was to be written; nothing but reading tells for sure."""
        images = describe_images(self._call, self._write.region, list(self._left))
        for image_id in list(self._left):
            image = images.get(image_id)
            if isinstance(image, Image) and self._write.is_applied_to(image):
                self._settle(image_id)

    def _last_look(self, error: StewardError) -> StewardError:
        """ImageReader once more; a name that is taken may be taken by the image, since our own try.

        The error for what is not done: `error`, if looking showed so. Otherwise nobody knows, and
        the next delivery will.
        """
        try:
            self._look()
        except StewardError as failure:
            reason = f"{error.code}: {error.message}; reading back: {failure.code}"
            return failure if failure.transient else AmbiguousResponse(reason)
        return error

    def _send(self) -> None:
        write, ids = self._write, list(self._left)
        self._refusals = {}
        if write.attributes:
            request_id = modify_image_attribute(self._call, write.region, ids[0], write.attributes)
        else:
            request_id, self._refusals = change_tags(self._call, write.region, ids, write.tags)
        for image_id in ids:
            self._left[image_id] += (request_id,)
            error = self._refusals.get(image_id)
            if error is None or not error.transient:
                self._settle(image_id, error)
        for image_id in self._left:
            raise self._refusals[image_id]

    def _settle(self, image_id: str, error: StewardError | None = None) -> None:
        outcome = Outcome(
            self._write.steps[image_id],
            attributes={} if error else self._write.attributes,
            tags={} if error else self._write.tags,
            request_ids=self._left.pop(image_id),
            error=error,
            attempts=self._tries,
            began=self._began,
            ended=self._clock.monotonic(),
        )
        self._outcomes.append(outcome)
