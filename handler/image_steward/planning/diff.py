"""What an image lacks of what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from image_steward.current_images.read import CurrentImages
from image_steward.errors import ApiError, StewardError
from image_steward.model import Change, Image, Plan, Step


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


def of_regions(current: CurrentImages, steps_of: Callable[[str, list[Image]], list[Step]]) -> Plan:
    """A plan of what `steps_of` makes of the images of each region that could be read."""
    steps: dict[str, list[Step]] = {}
    unread: dict[str, StewardError] = {}
    for region, seen in current.items():
        if isinstance(seen, StewardError):
            unread[region] = seen
        else:
            images = [image for image in seen.images.values() if isinstance(image, Image)]
            steps[region] = steps_of(region, images)
    return Plan(steps, unread)
