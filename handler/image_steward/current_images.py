"""Reads the current images: those that a request names, or all of some regions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias, TypeVar

from image_steward.clock import Deadline
from image_steward.cloud.image_api import Call, describe_images, list_images
from image_steward.cloud.recent_writes import RecentWrites
from image_steward.errors import ApiError, StewardError
from image_steward.limits import VALUES_PER_FILTER
from image_steward.model import Image
from image_steward.parallel import RunParallel

T = TypeVar("T")

FIRST_POLL_DELAY = 2.0
LONGEST_POLL_DELAY = 15.0
"""Seconds between two polls of images that are not ready."""

FIRST_EXPECT_DELAY = 1.0
EXPECT_SECONDS = 5.0
"""For how long images that are not as expected are read again."""

SECONDS_PER_IMAGE = 2.0
"""Time that polling leaves to change each image."""

Request: TypeAlias = Any
"""A request with `regions`, or with `image_ids` by region."""

Images: TypeAlias = "Mapping[str, Image | ApiError] | StewardError"
"""The images of a region by id (`ApiError`: the API rejects the id), or the region's error."""


class RegionImages:
    """The images of a region, and the holders of new names: the images that have these now.

    `holders` are all of them, possibly with other images; or why they are unknown.
    """

    def __init__(self, images: Images, holders: Sequence[Image] | StewardError = ()) -> None:
        self.images, self.holders = images, holders


IsReady: TypeAlias = "Callable[[str, Image], bool]"
"""Whether an image of a region need not be read again."""

CurrentImages: TypeAlias = "dict[str, RegionImages]"
"""By region; an error of one region does not affect the others."""


class ImageReader:
    """Reads images for one request; `call` retries by itself.

    `on_wait` is called with the region and each image that is not ready, before each poll.
    `new_names` returns the new names by region, for a request and its images; None: it renames
    nothing.
    """

    def __init__(  # noqa: PLR0913, PLR0917 - what a run has
        self,
        call: Call,
        run_parallel: RunParallel,
        deadline: Deadline,
        on_wait: Callable[[str, Image], None],
        new_names: Callable[[Request, CurrentImages], Mapping[str, Sequence[str]]] | None,
        recent_writes: RecentWrites,
    ) -> None:
        self.call, self.run_parallel, self.deadline = call, run_parallel, deadline
        self.on_wait, self.new_names, self.recent_writes = on_wait, new_names, recent_writes

    def read_all(self, request: Request) -> CurrentImages:
        """All private images of the regions of a request."""
        images = self._in_regions(request.regions, self._list)
        return {region: RegionImages(found) for region, found in images.items()}

    def read_named(self, request: Request) -> CurrentImages:
        """The images that a request names, and the holders of their new names.

        Images that are not as the request expects are read again for up to 5 s, as reads may lag.
        """
        until = self.deadline.earlier(min(EXPECT_SECONDS, self.deadline.remaining() / 2))
        return self._read(request, FIRST_EXPECT_DELAY, until, request.is_as_expected)

    def read_when_ready(self, request: Request) -> CurrentImages:
        """As `read_named`, polling while enough time is left to change the images.

        A dry run does not poll.
        """
        remaining = self.deadline.remaining()
        reserve = SECONDS_PER_IMAGE * sum(map(len, request.image_ids.values()))
        polling = 0 if request.dry_run else remaining - min(remaining / 2, reserve)
        until = self.deadline.earlier(polling)
        return self._read(request, FIRST_POLL_DELAY, until, lambda _, image: not image.is_unready)

    def _read(
        self, request: Request, delay: float, until: Deadline, is_ready: IsReady
    ) -> CurrentImages:
        ids: Mapping[str, Sequence[str]] = request.image_ids

        def read(region: str) -> dict[str, Image | ApiError]:
            found = describe_images(self.call, region, ids[region])
            return self.recent_writes.apply(region, found)

        images = self._in_regions(ids, read)
        while (left := until.remaining()) > 0:
            unready = [
                (region, image)
                for region, found in images.items()
                for image in (() if isinstance(found, StewardError) else found.values())
                if isinstance(image, Image) and not is_ready(region, image)
            ]
            if not unready:
                break
            for region, image in unready:
                if image.is_unready:  # not one that is only read again, as reads may lag
                    self.on_wait(region, image)
            until.clock.sleep_until(until.clock.monotonic() + min(delay, left))
            images |= self._in_regions(dict.fromkeys(region for region, _ in unready), read)
            delay = min(delay * 1.5, LONGEST_POLL_DELAY)
        current = {region: RegionImages(found) for region, found in images.items()}
        names = self.new_names(request, current) if self.new_names else {}
        holders = self._in_regions(images, lambda r: self._read_holders(names.get(r, ()), r))
        return {r: RegionImages(found, holders[r]) for r, found in images.items()}

    def _read_holders(self, names: Sequence[str], region: str) -> list[Image]:
        # DescribeImages filters by a few names only; if there are more, all images are read.
        filtered = names if len(names) <= VALUES_PER_FILTER else ()
        return list(self._list(region, filtered).values()) if names else []

    def _list(self, region: str, names: Sequence[str] = ()) -> dict[str, Image]:
        return self.recent_writes.apply(region, list_images(self.call, region, names))

    def _in_regions(
        self, regions: Collection[str], read: Callable[[str], T]
    ) -> dict[str, T | StewardError]:
        """What `read` returns for each region, or the error that it raises."""

        def result_or_error(region: str) -> T | StewardError:
            try:
                return read(region)
            except StewardError as error:
                return error

        results = self.run_parallel([partial(result_or_error, region) for region in regions])
        return dict(zip(regions, results, strict=True))
