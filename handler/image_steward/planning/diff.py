"""What an image lacks of what is wanted. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from image_steward.current_images import CurrentImages, RegionImages
from image_steward.errors import ApiError, StewardError
from image_steward.model import Attributes, Change, Image, Plan, Step

Images = Mapping[str, Image | ApiError] | StewardError
"""Of a region, by id; trouble with the region is that of each of its images."""


def images_of(current: CurrentImages) -> dict[str, Images]:
    """The images of each region."""
    return {
        r: seen.images if isinstance(seen, RegionImages) else seen for r, seen in current.items()
    }


def names_of(steps: Mapping[str, Iterable[Step]]) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    return {r: [step.new_name for step in each if step.new_name] for r, each in steps.items()}


def members(attributes: Attributes, tags: dict[str, str]) -> Attributes:
    """Both, the tags as `Tag.<key>`."""
    return {**attributes, **{f"Tag.{key}": value for key, value in tags.items()}}


def unchanged(region: str, image_id: str, images: Images) -> Step:
    """The step of an image as it is, or of one that was not seen: that has an error."""
    told = f"{region} has no image {image_id}"
    image = images if isinstance(images, StewardError) else images.get(image_id)
    image = image or ApiError("InvalidImageId.NotFound", told)
    if isinstance(image, StewardError):
        return Step(region, image_id, error=image)
    return Step(region, image_id, before=image)


def step_of(change: Change, images: Images) -> Step:
    """The step of one change; `images` are those that were seen in its region."""
    step = unchanged(change.region, change.image_id, images)
    if not step.before:
        return step
    attributes, tags = step.before.lacks(change.attributes, change.tags)
    deleted = tuple(key for key in change.delete_tags if key in step.before.tags)
    return replace(step, attributes=attributes, tags=tags, delete_tags=deleted)


def failed_step(step: Step, error: StewardError) -> Step:
    """The step of an image about which nothing can be done."""
    return Step(step.region, step.image_id, before=step.before, error=error)


def after(image: Image, step: Step | None) -> Image:
    """What an image looks like when the attributes and tags of a step, if any, are set."""
    if not step or step.is_empty:
        return image
    attributes = {**image.attributes, **step.attributes}
    return Image(image.image_id, attributes, {**image.tags, **step.tags}, image.facts)


def of_regions(current: CurrentImages, steps_of: Callable[[str, list[Image]], list[Step]]) -> Plan:
    """A plan of what `steps_of` makes of the images of each region that could be read."""
    steps: dict[str, list[Step]] = {}
    region_errors: dict[str, StewardError] = {}
    for region, seen in current.items():
        if isinstance(seen, StewardError):
            region_errors[region] = seen
        else:
            images = [image for image in seen.images.values() if isinstance(image, Image)]
            steps[region] = steps_of(region, images)
    return Plan(steps, region_errors)
