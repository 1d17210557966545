"""One write until it is settled what became of each of its images."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from image_steward.cloud.image_api import (
    describe_images,
    modify_image_attribute,
    tag_resources,
    untag_resources,
)
from image_steward.errors import ApiError, ImageBusy, NoClearAnswer, StewardError
from image_steward.model import Image

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from image_steward.cloud.image_api import Call
    from image_steward.cloud.retries import Retries
    from image_steward.execution.writes import Write
    from image_steward.model import Attributes, TagChanges


@dataclass(frozen=True)
class Effect:
    """What became of one image by one write: all of it was done, unless there is an error."""

    image_id: str
    attributes: Attributes = field(default_factory=dict)
    tags: TagChanges = field(default_factory=dict)
    error: StewardError | None = None
    request_ids: tuple[str, ...] = ()
    attempts: int = 0
    began: float = 0.0
    ended: float = 0.0


Settling: TypeAlias = "Generator[float, None, list[Effect]]"
"""Work that yields the moment (monotonic seconds) to go on at whenever it has to wait."""


def settle(write: Write, call: Call, retries: Retries) -> Settling:
    """Make the call, again as long as that may help. The effects are of its images, in any order.

    A try of which nobody knows whether it worked is settled by reading the images back.
    """
    return _Settling(write, call, retries).run()


class _Settling:
    def __init__(self, write: Write, call: Call, retries: Retries) -> None:
        self._write = write
        self._call = call
        self._retries = retries
        self._clock = retries.deadline.clock
        self._began = self._clock.monotonic()
        self._tries = 0
        self._left: dict[str, list[str]] = {image_id: [] for image_id in write.steps}
        """The request ids so far, by image, of those of which it is not known what became."""
        self._refusals: dict[str, StewardError] = {}
        """What the last try said of single images."""
        self._effects: list[Effect] = []

    def run(self) -> Settling:
        is_unclear = False
        while self._left and (error := self._try(is_unclear)):
            is_unclear |= isinstance(error, NoClearAnswer)
            again = self._retries.next_try(error, self._tries)
            if again is None:
                self._give_up(self._last_look(error) if is_unclear else error)
            elif again > self._clock.monotonic():
                yield again
        return self._effects

    def _try(self, is_unclear: bool) -> StewardError | None:  # noqa: FBT001 - private
        """Make the call; but first, if it may have worked before, look whether it has."""
        self._tries += 1
        try:
            if is_unclear:
                self._look()
            if self._left:
                self._send()
        except StewardError as error:
            return self._for_good(error)
        return None

    def _look(self) -> None:
        """Settle those that hold what was to be written; nothing but reading tells for sure."""
        images = describe_images(self._call, self._write.region, list(self._left))
        for image in images.values():
            if isinstance(image, Image) and self._write.is_held_by(image):
                self._settle(image.image_id)

    def _last_look(self, error: StewardError) -> StewardError:
        """Look once more; a name that is taken may be taken by the image, since our own try.

        The error for what is not done: `error`, if looking showed so. Otherwise nobody knows, and
        the next delivery will.
        """
        try:
            self._look()
        except StewardError as failure:
            reason = f"{error.code}: {error.message}; reading back: {failure.code}"
            return failure if failure.healable else NoClearAnswer(reason)
        return error

    def _send(self) -> None:
        write, ids = self._write, list(self._left)
        self._refusals = {}
        if write.attributes:
            request_id = modify_image_attribute(self._call, write.region, ids[0], write.attributes)
        elif None in write.tags.values():
            request_id, self._refusals = untag_resources(self._call, write.region, ids, write.tags)
        else:
            tags = {key: value for key, value in write.tags.items() if value is not None}
            request_id, self._refusals = tag_resources(self._call, write.region, ids, tags)
        for image_id in ids:
            self._left[image_id].append(request_id)
            error = self._refusals.get(image_id)
            if error is None or not error.healable:
                self._settle(image_id, error)
        for image_id in self._left:
            raise self._refusals[image_id]

    def _give_up(self, error: StewardError) -> None:
        """What is left has failed, each for its own reason if there is one."""
        for image_id in list(self._left):
            self._settle(image_id, self._refusals.get(image_id, error))

    def _settle(self, image_id: str, error: StewardError | None = None) -> None:
        done: tuple[Attributes, TagChanges] = (
            ({}, {}) if error else (self._write.attributes, self._write.tags)
        )
        request_ids = tuple(self._left.pop(image_id))
        times = self._began, self._clock.monotonic()
        self._effects.append(Effect(image_id, *done, error, request_ids, self._tries, *times))

    def _for_good(self, error: StewardError) -> StewardError:
        """The error, final if it is the state of an image whose making has failed: that stays."""
        before = (self._write.steps[image_id].before for image_id in self._left)
        if isinstance(error, ImageBusy) and any(image and image.has_failed for image in before):
            return ApiError(error.code, error.message, error.request_id)
        return error


def not_attempted(write: Write, error: StewardError) -> Iterator[Effect]:
    """The effects of a write that is not even tried."""
    for image_id in write.steps:
        yield Effect(image_id, error=error)
