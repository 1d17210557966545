"""The images as they are now: those that a request names, or all of some regions."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

from image_steward.cloud.image_api import list_images
from image_steward.current_images.polling import settled
from image_steward.errors import StewardError
from image_steward.limits import VALUES_OF_A_FILTER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from image_steward.clock import Deadline
    from image_steward.cloud.image_api import Call
    from image_steward.errors import ApiError
    from image_steward.model import Image
    from image_steward.parallel import SideBySide

T = TypeVar("T")
NamesImagesT = TypeVar("NamesImagesT", bound="NamesImages")

APPLYING_SECONDS = 2.0
"""For each image of a request, kept back from the time that is waited for its images."""


@dataclass(frozen=True)
class Look:
    """How a run looks at images: `call` tries again by itself, `note` is told of each wait."""

    call: Call
    side_by_side: SideBySide
    deadline: Deadline
    note: Callable[[str, Image], None]
    dry_run: bool
    """A dry run waits for nothing."""


@dataclass(frozen=True)
class RegionImages:
    """What was seen in a region."""

    images: Mapping[str, Image | ApiError]
    """By id; an `ApiError` where the API refuses one."""
    holders: Sequence[Image] | StewardError = field(default=())
    """Images of the region that hold names which are wanted, and others; or why none were seen."""


CurrentImages: TypeAlias = "dict[str, RegionImages | StewardError]"
"""By region; an error where it could not be looked at: that is not the trouble of the others."""


class NamesImages(Protocol):
    """A request that names images."""

    @property
    def image_ids(self) -> dict[str, list[str]]:
        """Their ids, by region."""


class NamesRegions(Protocol):
    """A request that is for all images of some regions."""

    @property
    def regions(self) -> Sequence[str]:
        """The names of the regions."""


def named(
    request: NamesImagesT,
    look: Look,
    *,
    new_names: Callable[[NamesImagesT, str, Mapping[str, Image | ApiError]], Sequence[str]],
    wait: bool = False,
) -> CurrentImages:
    """The images that a request names, and who else holds the names that it wants.

    `new_names` says which those are, of a region whose images are known. `wait`: until the images
    that are still being made are there, as long as enough time is left to change them.
    """
    ids = request.image_ids
    until = None
    if wait and not look.dry_run:
        left = look.deadline.remaining()
        changing = APPLYING_SECONDS * sum(map(len, ids.values()))
        until = look.deadline.earlier(left - min(left / 2, changing))
    found = settled(look.call, ids, look.side_by_side, until, look.note)

    def with_holders(region: str) -> RegionImages | StewardError:
        images = found[region]
        if isinstance(images, StewardError):
            return images
        names = new_names(request, region, images)
        return RegionImages(images, _attempted(partial(_holders, look.call, region, names)))

    works = [partial(with_holders, region) for region in ids]
    return dict(zip(ids, look.side_by_side(works), strict=True))


def whole(request: NamesRegions, look: Look) -> CurrentImages:
    """All private images of the regions of a request."""

    def seen(region: str) -> RegionImages | StewardError:
        return _attempted(lambda: RegionImages(list_images(look.call, region)))

    works = [partial(seen, region) for region in request.regions]
    return dict(zip(request.regions, look.side_by_side(works), strict=True))


def _holders(call: Call, region: str, names: Sequence[str]) -> list[Image]:
    if not names:
        return []
    # A few names can be asked for; they need not be those of images in the request.
    return list(
        list_images(call, region, names if len(names) <= VALUES_OF_A_FILTER else ()).values()
    )


def _attempted(work: Callable[[], T]) -> T | StewardError:
    try:
        return work()
    except StewardError as error:
        return error
