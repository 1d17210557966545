"""The images as they are now: those that a request names, or all of some regions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from image_steward.clock import Deadline
from image_steward.cloud.image_api import Call, describe_images, list_images
from image_steward.errors import ApiError, StewardError
from image_steward.limits import VALUES_PER_FILTER
from image_steward.model import Image

if TYPE_CHECKING:
    from image_steward.parallel import SideBySide

T = TypeVar("T")

FIRST_PAUSE = 2.0
LONGEST_PAUSE = 15.0
"""Seconds between two looks at images that are still being made."""

APPLYING_SECONDS = 2.0
"""For each image of a request, kept back from the time that is waited for its images."""


class RegionImages(NamedTuple):
    """What was seen in a region."""

    images: Mapping[str, Image | ApiError]
    """By id; an `ApiError` where the API refuses one."""
    holders: Sequence[Image] | StewardError = ()
    """Among others, the images that hold the new names now; or why they were not seen."""


SeenImages: TypeAlias = "Mapping[str, Mapping[str, Image | ApiError] | StewardError]"
"""By region and id; an error where the region, or the image, could not be looked at."""

CurrentImages: TypeAlias = "dict[str, RegionImages | StewardError]"
"""By region; an error where it could not be looked at: that is not the trouble of the others."""


class ImageReader(NamedTuple):
    """How a run looks at images. `call` tries again by itself."""

    call: Call
    side_by_side: SideBySide
    deadline: Deadline
    on_wait: Callable[[str, Image], None]
    """Is told of each image that is waited for, with its region."""
    new_names: Callable[[Any, SeenImages], Mapping[str, Sequence[str]]] | None
    """The names that images are to get, by region: of a request, and what was seen."""

    def by_region(self, regions: Iterable[str], work: Callable[[str], T]) -> dict[str, T]:
        """What a work finds in each of the regions."""
        regions = list(regions)
        found = self.side_by_side([partial(work, region) for region in regions])
        return dict(zip(regions, found, strict=True))


def read_all(request: Any, reader: ImageReader) -> CurrentImages:  # noqa: ANN401 - of any kind that has `regions`
    """All private images of the regions of a request."""
    seen = partial(_attempted, lambda region: RegionImages(list_images(reader.call, region)))
    return reader.by_region(request.regions, seen)


def read_named(request: Any, reader: ImageReader, until: Deadline | None = None) -> CurrentImages:  # noqa: ANN401 - that has `image_ids`
    """The images that a request names, and who else holds the names it wants.

    Images that are still being made are waited for `until` then.
    """
    found = _settled(request.image_ids, reader, until)
    names = reader.new_names(request, found) if reader.new_names else {}

    def seen(region: str) -> RegionImages | StewardError:
        images = found[region]
        if isinstance(images, StewardError):
            return images
        wanted = names.get(region, ())
        return RegionImages(images, _attempted(partial(_holders, reader.call, wanted), region))

    return reader.by_region(request.image_ids, seen)


def read_when_ready(request: Any, reader: ImageReader) -> CurrentImages:  # noqa: ANN401 - that has `image_ids`
    """As `read_named`, when the images are there, or else as long as time is left to change them.

    A dry run waits for nothing.
    """
    left = reader.deadline.remaining()
    changing = APPLYING_SECONDS * sum(map(len, request.image_ids.values()))
    until = reader.deadline.earlier(left - min(left / 2, changing))
    return read_named(request, reader, None if request.dry_run else until)


def _settled(
    wanted: Mapping[str, Sequence[str]], reader: ImageReader, until: Deadline | None
) -> dict[str, dict[str, Image | ApiError] | StewardError]:
    """The images of these ids, by region and id, or why a region cannot be looked at."""
    seen = partial(_attempted, lambda region: describe_images(reader.call, region, wanted[region]))
    found = reader.by_region(wanted, seen)
    pause = FIRST_PAUSE
    while until and until.remaining() > pause:
        unready = {region: images for region in found if (images := _unready(found[region]))}
        if not unready:
            break
        for region, images in unready.items():
            for image in images:
                reader.on_wait(region, image)
        until.clock.sleep_until(until.clock.monotonic() + pause)
        found |= reader.by_region(unready, seen)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    return found


def _unready(found: dict[str, Image | ApiError] | StewardError) -> list[Image]:
    if isinstance(found, StewardError):
        return []
    return [image for image in found.values() if isinstance(image, Image) and image.is_unready]


def _holders(call: Call, names: Sequence[str], region: str) -> list[Image]:
    # A few names can be asked for; they need not be those of images in the request.
    asked = names if len(names) <= VALUES_PER_FILTER else ()
    return list(list_images(call, region, asked).values()) if names else []


def _attempted(work: Callable[[str], T], region: str) -> T | StewardError:
    try:
        return work(region)
    except StewardError as error:
        return error
