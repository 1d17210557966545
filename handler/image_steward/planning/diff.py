"""What an image lacks of what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from image_steward.errors import ApiError
from image_steward.model import Change, Image, Step


def step_of(change: Change, images: Mapping[str, Image | ApiError]) -> Step:
    """The step of one change; `images` are those that were seen in its region, by id."""
    image = images.get(change.image_id) or missing(change.region, change.image_id)
    if isinstance(image, ApiError):
        return Step(change.region, change.image_id, error=image)
    deleted = tuple(key for key in change.delete_tags if key in image.tags)
    lacking = image.lacks(change.attributes, change.tags)
    return Step(change.region, change.image_id, *lacking, deleted, before=image)


def missing(region: str, image_id: str) -> ApiError:
    """What the API would say of an image that does not exist."""
    return ApiError("InvalidImageId.NotFound", f"{region} has no image {image_id}")


def after(image: Image, step: Step) -> Image:
    """What an image looks like when the attributes and tags of a step are set."""
    if step.is_empty:
        return image
    attributes = {**image.attributes, **step.attributes}
    return Image(image.image_id, attributes, {**image.tags, **step.tags}, image.facts)
