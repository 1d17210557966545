"""From what is wanted and what is to the steps between. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_steward.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from image_steward.documents import Change
    from image_steward.errors import StewardError
    from image_steward.images import Image


@dataclass(frozen=True)
class Step:
    """What one image lacks. Only what differs is in it; an empty step costs no write."""

    region: str
    image_id: str
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    delete_tags: tuple[str, ...] = ()
    before: Image | None = None
    """The image as it is."""
    error: StewardError | None = None
    """Why nothing can be done about it."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.attributes or self.tags or self.delete_tags)


def plan(changes: Sequence[Change], images: Mapping[str, Image | ApiError]) -> list[Step]:
    """A step for each change, in their order; `images` are the region's, by id."""
    return [_step(change, images.get(change.image_id)) for change in changes]


def _step(change: Change, image: Image | ApiError | None) -> Step:
    if image is None:
        message = f"{change.region} has no image {change.image_id}"
        image = ApiError("InvalidImageId.NotFound", message)
    if isinstance(image, ApiError):
        return Step(change.region, change.image_id, error=image)
    return Step(
        change.region,
        change.image_id,
        attributes={n: v for n, v in change.attributes.items() if image.attributes[n] != v},
        tags={k: v for k, v in change.tags.items() if image.tags.get(k) != v},
        delete_tags=tuple(key for key in change.delete_tags if key in image.tags),
        before=image,
    )
