"""The images that were built, looked at until none of them is still being made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from image_steward.errors import StewardError
from image_steward.images import Image, describe_images, has_failed
from image_steward.workers import attempted, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from image_steward.clock import Deadline
    from image_steward.errors import ApiError
    from image_steward.images import Call

Found = dict[str, "Image | ApiError"]
"""Images of a region, by id; an `ApiError` where the API refuses one."""

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0
"""Seconds between two looks at images that are still being made."""


@dataclass(frozen=True)
class Wait:
    """For images that are still being made: `until` when; `note` is told of each, by region."""

    until: Deadline
    note: Callable[[str, Image], None]


def settled(
    call: Call, wanted: Mapping[str, Iterable[str]], wait: Wait | None
) -> dict[str, Found | StewardError]:
    """The images of these ids, by region; without a `wait` they are looked at once."""
    found: dict[str, Found | StewardError] = {}
    regions = list(wanted)
    pause = FIRST_PAUSE
    while True:
        looks = [partial(describe_images, call, region, list(wanted[region])) for region in regions]
        works = [partial(attempted, look) for look in looks]
        found |= zip(regions, side_by_side(works), strict=True)
        unready = {r: waiting for r in regions if (waiting := _unready(found[r]))}
        if not unready or not wait or wait.until.remaining() <= pause:
            return found
        for region, images in unready.items():
            for image in images:
                wait.note(region, image)
        clock = wait.until.clock
        clock.sleep_until(clock.monotonic() + pause)
        regions = list(unready)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _unready(found: Found | StewardError) -> list[Image]:
    if isinstance(found, StewardError):
        return []
    return [image for image in found.values() if isinstance(image, Image) and is_unready(image)]


def is_unready(image: Image) -> bool:
    """Whether its state is one that passes; they are not all documented."""
    state = image.facts["ImageState"]
    return state != "NORMAL" and not has_failed(state)
