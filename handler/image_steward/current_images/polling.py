"""Images that are still being made, looked at until none of them is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from image_steward.clock import Deadline
from image_steward.cloud.image_api import Call, describe_images
from image_steward.errors import ApiError, StewardError
from image_steward.model import Image

if TYPE_CHECKING:
    from image_steward.parallel import SideBySide

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0
"""Seconds between two looks at images that are still being made."""


def settled(
    call: Call,
    wanted: Mapping[str, Sequence[str]],
    side_by_side: SideBySide,
    until: Deadline | None,
    note: Callable[[str, Image], None],
) -> dict[str, dict[str, Image | ApiError] | StewardError]:
    """The images of these ids, by region and id, or why a region cannot be looked at.

    Without `until` they are looked at once, else until then; `note` is told of each wait.
    """
    found: dict[str, dict[str, Image | ApiError] | StewardError] = {}
    regions = list(wanted)
    pause = FIRST_PAUSE

    def look(region: str) -> dict[str, Image | ApiError] | StewardError:
        try:
            return describe_images(call, region, wanted[region])
        except StewardError as error:
            return error

    while True:
        looks = side_by_side([partial(look, region) for region in regions])
        found |= zip(regions, looks, strict=True)
        unready = {region: images for region in regions if (images := _unready(found[region]))}
        if not unready or not until or until.remaining() <= pause:
            return found
        for region, images in unready.items():
            for image in images:
                note(region, image)
        until.clock.sleep_until(until.clock.monotonic() + pause)
        regions = list(unready)
        pause = min(pause * 1.5, LONGEST_PAUSE)


def _unready(found: dict[str, Image | ApiError] | StewardError) -> list[Image]:
    if isinstance(found, StewardError):
        return []
    return [image for image in found.values() if isinstance(image, Image) and image.is_unready]
