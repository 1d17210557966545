"""Steps: the difference between current images and what they are to be. Pure."""

from __future__ import annotations

from collections.abc import Callable

from image_steward.current_images import CurrentImages, Images
from image_steward.errors import ApiError, Changed, NotAllowed, StewardError
from image_steward.messages import shown
from image_steward.model import OPTED_OUT, Change, Image, Plan, Step, StepsByRegion, Values
from image_steward.naming.temporary import is_temporary

STATE_CODE = "InvalidImageId.IncorrectState"
"""The API's error code for an image whose state forbids a change (document/api/213/15713)."""


def new_names_of(steps: StepsByRegion) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    return {r: [step.new_name for step in steps[r] if step.new_name] for r in steps}


def empty_step(region: str, image_id: str, images: Images) -> Step:
    """A step without changes; it has an error if the image cannot be read or has opted out."""
    image = images if isinstance(images, StewardError) else images.get(image_id)
    image = image or ApiError("InvalidImageId.NotFound", f"{region} has no image {image_id}")
    if isinstance(image, StewardError):
        return Step(region, image_id, error=image)
    error = NotAllowed(OPTED_OUT) if image.is_opted_out else None
    return Step(region, image_id, before=image, error=error)


def step_of(change: Change, images: Images) -> Step:
    """The step of one change; `images` are those of its region."""
    step = empty_step(change.region, change.image_id, images)
    image = step.before
    if step.error or not image:
        return step
    step = step._replace(values=image.missing(change.values), is_guarded=bool(change.expect))
    if unexpected := foreign_values(image, change.expect, {**change.expect, **change.values}):
        found = (f"{n} is {shown(v)}, not {shown(change.expect[n])}" for n, v in unexpected.items())
        message = f"not as expected: {', '.join(found)}; this image stays as it is"
        return failed_step(step, Changed(message))
    error = None if step.is_empty else change_error(image)
    return failed_step(step, error) if error else step


def foreign_values(image: Image, known: Values, *also_known: Values) -> Values:
    """Of the names in `known`, the values that are neither known nor a temporary name of ours."""
    current = image.values
    ours = {"ImageName"} if is_temporary(image.name) else set()
    names = [n for n in known if current.get(n) not in {v.get(n) for v in (known, *also_known)}]
    return {name: current.get(name) for name in names if name not in ours}


def change_error(image: Image) -> ApiError | None:
    """Why the API would reject any change of an image, as far as its type and state say."""
    if (kind := image.facts["ImageType"]) != "PRIVATE_IMAGE":
        code = "UnsupportedOperation.SharedImageModifyUnsupported"
        return ApiError(code, f"{image.image_id} is a {kind}; only private images can be changed")
    if image.has_failed:
        return ApiError(STATE_CODE, f"{image.image_id} is permanently {image.state}")
    return None


def why_unready(step: Step) -> str:
    """Why an image is not ready, but may be soon; otherwise empty."""
    if step.error:
        return f"{step.image_id} cannot be read" if step.error.transient else ""
    image = step.before
    return f"{step.image_id} is {image.state}" if image and image.is_unready else ""


def would_wait(step: Step, reason: str) -> Step:
    """The step in a dry run, if a run would do it, or its rename, later."""
    return step._replace(would_wait=True, reasons=(*step.reasons, f"would wait: {reason}"))


def failed_step(step: Step, error: StewardError) -> Step:
    """The step with an error instead of its changes."""
    waits = step.would_wait
    return Step(step.region, step.image_id, before=step.before, error=error, would_wait=waits)


def plan_regions(
    current: CurrentImages, plan_region: Callable[[str, list[Image]], list[Step]]
) -> Plan:
    """A plan with the steps that `plan_region` returns for each region that could be read."""
    found = {region: region_images.images for region, region_images in current.items()}
    steps = {
        region: plan_region(region, [i for i in images.values() if isinstance(i, Image)])
        for region, images in found.items()
        if not isinstance(images, StewardError)
    }
    return Plan(steps, {r: error for r, error in found.items() if isinstance(error, StewardError)})
