"""What an image lacks of what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from image_steward.current_images.read import CurrentImages, RegionImages
from image_steward.errors import ApiError, StewardError
from image_steward.model import Change, Image, Plan, Step


def step_of(change: Change, images: Mapping[str, Image | StewardError]) -> Step:
    """The step of one change; `images` are those that were seen in its region, by id."""
    image = image_in(images, change.region, change.image_id)
    if isinstance(image, StewardError):
        return Step(change.region, change.image_id, error=image)
    deleted = tuple(key for key in change.delete_tags if key in image.tags)
    lacking = image.lacks(change.attributes, change.tags)
    return Step(change.region, change.image_id, *lacking, deleted, before=image)


def images_of(
    seen: RegionImages | StewardError, image_ids: Iterable[str]
) -> Mapping[str, Image | StewardError]:
    """The images of a region by id; trouble with the region is that of each of them."""
    return dict.fromkeys(image_ids, seen) if isinstance(seen, StewardError) else seen.images


def image_in(
    images: Mapping[str, Image | StewardError], region: str, image_id: str
) -> Image | StewardError:
    """An image, or what the API would say of one that does not exist."""
    told = f"{region} has no image {image_id}"
    return images.get(image_id) or ApiError("InvalidImageId.NotFound", told)


def refused(step: Step, error: StewardError) -> Step:
    """The step of an image about which nothing can be done."""
    return Step(step.region, step.image_id, before=step.before, error=error)


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
