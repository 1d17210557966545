"""The images as they are now: those that a request names, or all of some regions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

from image_steward.clock import Deadline
from image_steward.cloud.image_api import Call, list_images
from image_steward.current_images.polling import settled
from image_steward.errors import ApiError, StewardError
from image_steward.limits import VALUES_OF_A_FILTER
from image_steward.model import Image

if TYPE_CHECKING:
    from image_steward.parallel import SideBySide

T = TypeVar("T")

APPLYING_SECONDS = 2.0
"""For each image of a request, kept back from the time that is waited for its images."""


class Look(NamedTuple):
    """How a run looks at images: `call` tries again by itself, `note` is told of each wait."""

    call: Call
    side_by_side: SideBySide
    deadline: Deadline
    note: Callable[[str, Image], None]
    new_names: Callable[[Any, str, Mapping[str, Image | ApiError]], Sequence[str]] | None
    """Which names a request wants in a region whose images are known."""
    dry_run: bool
    """A dry run waits for nothing."""


class RegionImages(NamedTuple):
    """What was seen in a region."""

    images: Mapping[str, Image | ApiError]
    """By id; an `ApiError` where the API refuses one."""
    holders: Sequence[Image] | StewardError = ()
    """Images of the region that hold names which are wanted, and others; or why none were seen."""


CurrentImages: TypeAlias = "dict[str, RegionImages | StewardError]"
"""By region; an error where it could not be looked at: that is not the trouble of the others."""


def named(request: Any, look: Look) -> CurrentImages:  # noqa: ANN401 - of any kind
    """The images that a request names (`image_ids`), and who else holds the names it wants."""
    return _with_holders(request, look, until=None)


def named_when_ready(request: Any, look: Look) -> CurrentImages:  # noqa: ANN401
    """As `named`, when the images are there that are still being made.

    They are waited for as long as enough time is left to change them.
    """
    left = look.deadline.remaining()
    changing = APPLYING_SECONDS * sum(map(len, request.image_ids.values()))
    until = look.deadline.earlier(left - min(left / 2, changing))
    return _with_holders(request, look, until=None if look.dry_run else until)


def whole(request: Any, look: Look) -> CurrentImages:  # noqa: ANN401
    """All private images of the `regions` of a request."""

    def seen(region: str) -> RegionImages | StewardError:
        return _attempted(lambda: RegionImages(list_images(look.call, region)))

    works = [partial(seen, region) for region in request.regions]
    return dict(zip(request.regions, look.side_by_side(works), strict=True))


def _with_holders(request: Any, look: Look, until: Deadline | None) -> CurrentImages:  # noqa: ANN401
    ids = request.image_ids
    found = settled(look.call, ids, look.side_by_side, until, look.note)

    def seen(region: str) -> RegionImages | StewardError:
        images = found[region]
        if isinstance(images, StewardError):
            return images
        names = look.new_names(request, region, images) if look.new_names else ()
        return RegionImages(images, _attempted(partial(_holders, look.call, region, names)))

    return dict(zip(ids, look.side_by_side([partial(seen, region) for region in ids]), strict=True))


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
