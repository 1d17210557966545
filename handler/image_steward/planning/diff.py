"""Steps: the difference between current images and what they are to be. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from image_steward.current_images import CurrentImages, Images, ImagesByRegion, RegionImages
from image_steward.errors import ApiError, StewardError
from image_steward.model import Attributes, Change, Image, Plan, Step, StepsByRegion, Tags


def images_of(current: CurrentImages) -> ImagesByRegion:
    """The images of each region, without the holders of new names."""
    return {r: c.images if isinstance(c, RegionImages) else c for r, c in current.items()}


def new_names_of(steps: StepsByRegion) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    return {r: [step.new_name for step in steps[r] if step.new_name] for r in steps}


def by_field(attributes: Attributes, tags: Tags) -> Attributes:
    """Attributes and tags by their names in templates; a tag is `Tag.<key>`."""
    return {**attributes, **{f"Tag.{key}": value for key, value in tags.items()}}


def empty_step(region: str, image_id: str, images: Images) -> Step:
    """A step without changes; it has an error if the image could not be read."""
    image = images if isinstance(images, StewardError) else images.get(image_id)
    image = image or ApiError("InvalidImageId.NotFound", f"{region} has no image {image_id}")
    if isinstance(image, StewardError):
        return Step(region, image_id, error=image)
    return Step(region, image_id, before=image)


def step_of(change: Change, images: Images) -> Step:
    """The step of one change; `images` are those of its region."""
    step = empty_step(change.region, change.image_id, images)
    if not step.before:
        return step
    attributes, tags = step.before.missing(change.attributes, change.tags)
    deleted = tuple(key for key in change.delete_tags if key in step.before.tags)
    return replace(step, attributes=attributes, tags=tags, delete_tags=deleted)


def failed_step(step: Step, error: StewardError) -> Step:
    """The step with an error instead of its changes."""
    return Step(step.region, step.image_id, before=step.before, error=error)


def apply_step(image: Image, step: Step | None) -> Image:
    """The image with the attributes and tags that its step sets, if there is a step."""
    if not step or step.is_empty:
        return image
    attributes = {**image.attributes, **step.attributes}
    return Image(image.image_id, attributes, {**image.tags, **step.tags}, image.facts)


def plan_regions(
    current: CurrentImages, plan_region: Callable[[str, list[Image]], list[Step]]
) -> Plan:
    """A plan with the steps that `plan_region` returns for each region that could be read."""
    steps = {
        region: plan_region(region, [i for i in found.images.values() if isinstance(i, Image)])
        for region, found in current.items()
        if isinstance(found, RegionImages)
    }
    return Plan(steps, {r: e for r, e in current.items() if isinstance(e, StewardError)})
