"""The plan of a Packer manifest: what its images are labelled. Pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from image_steward.current_images import CurrentImages, SeenImages
from image_steward.documents.packer_manifest import Build, PackerManifest, length_error
from image_steward.errors import ApiError, ImageBusy, InvalidDocument, Violation
from image_steward.messages import pointer_step, short
from image_steward.model import Attributes, Change, Image, Plan, Step
from image_steward.naming.fields import TEXT_ATTRIBUTES, values_of
from image_steward.naming.templates import NoValue
from image_steward.planning import diff
from image_steward.planning.rename_order import in_order

_STATE = "InvalidImageId.IncorrectState"
"""The API's own code for what the state of an image forbids (document/api/213/15713)."""


def new_names(manifest: PackerManifest, seen: SeenImages) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    steps, violations = _steps(manifest, seen)
    return {} if violations else diff.names_of(steps)


def plan(manifest: PackerManifest, current: CurrentImages, _now: float) -> Plan:
    """The plan of a manifest whose images are there, or were waited for long enough.

    An image that is still being made then is pending, and nothing is renamed: Packer finds the
    copies of an image by its name. A dry run plans as if all were there.

    Raises:
        InvalidDocument: every value that comes out too long, or otherwise at a second delivery,
            and KeepLatest without a family.
    """
    steps, violations = _steps(manifest, diff.images_of(current))
    if violations:
        raise InvalidDocument(*violations)
    warnings = (InvalidDocument(*manifest.warnings),) if manifest.warnings else ()
    return Plan(in_order(steps, current), warnings=warnings)


def change_of(build: Build, region: str, image: Image) -> Change:
    """What a build wants of its image or of a copy of it.

    Raises:
        NoValue: the image has no value for a field of a template, nor has that a default.
        InvalidDocument: a value comes out longer than the API takes, or empty.
    """
    fields = {field for template in build.templates.values() for field in template.fields}
    values = values_of(fields, region, image)
    # Of thousands of values a template names a few, and there may be a thousand images.
    values |= {field: build.values[field] for field in fields if field in build.values}
    attributes: Attributes = {}
    tags: dict[str, str] = {}
    for name, template in build.templates.items():
        text = template.render(values)
        if wrong := length_error(name, text):
            raise InvalidDocument(Violation(f"{build.path}/{pointer_step(name)}", wrong))
        if name in TEXT_ATTRIBUTES:
            attributes[name] = text
        else:
            tags[name.removeprefix("Tag.")] = text
        if name == "ImageName":  # which is the first: the others see the new one
            values[name] = text
    if build.deprecated is not None:
        attributes["ImageDeprecated"] = build.deprecated
    return Change(region, image.image_id, attributes, tags, ())


def unstable(build: Build, image: Image, change: Change) -> list[Violation]:
    """What a build would want otherwise of an image that has its `change`, or a part of it.

    Events come twice, and a run may break off between attributes and tags, or put off the name.
    """
    wanted = diff.members(change.attributes, change.tags)
    no_name = {name: value for name, value in change.attributes.items() if name != "ImageName"}
    found: dict[str, Violation] = {}
    for attributes, tags in product((change.attributes, no_name, {}), (change.tags, {})):
        labelled = diff.after(image, Step(change.region, image.image_id, attributes, tags))
        try:
            later = change_of(build, change.region, labelled)
            again = diff.members(later.attributes, later.tags)
        except (NoValue, InvalidDocument):
            again = {}
        for name, template in build.templates.items():
            if template.fields and again.get(name) != wanted[name]:
                now = short(str(wanted[name]))
                then = short(str(again[name])) if name in again else "nothing that can be set"
                told = (
                    f"{name} of {image.image_id} in {change.region} would be {now} now and {then} "
                    "at the next delivery: it hangs on what the manifest itself sets"
                )
                found.setdefault(name, Violation(f"{build.path}/{pointer_step(name)}", told))
    return list(found.values())


def _steps(
    manifest: PackerManifest, seen: SeenImages
) -> tuple[dict[str, list[Step]], list[Violation]]:
    """What the images lack, by region, and what cannot be set at all."""
    violations: list[Violation] = []
    steps = {
        region: [
            _step(diff.unchanged(region, image_id, seen[region]), build, violations)
            for image_id, build in builds.items()
        ]
        for region, builds in manifest.by_region.items()
    }
    unready = [why for each in steps.values() for step in each if (why := _not_yet(step))]
    if unready and not manifest.dry_run:
        steps = {r: [_held_back(step, unready[0]) for step in each] for r, each in steps.items()}
    return steps, violations


def _step(step: Step, build: Build, violations: list[Violation]) -> Step:
    image = step.before
    if not image:
        return step
    place = f"{step.image_id} in {step.region}"
    if image.has_failed:
        return diff.failed_step(step, ApiError(_STATE, f"{place} is {image.state}, and stays so"))
    try:
        change = change_of(build, step.region, image)
    except NoValue as error:
        return replace(step, reasons=(str(error),), is_skipped=True)
    except InvalidDocument as error:
        violations += error.violations
        return diff.failed_step(step, error)
    violations += unstable(build, image, change)
    step = diff.step_of(change, {step.image_id: image})
    if build.keep_latest and not step.family:
        told = f"{place} has no ImageFamily and gets none"
        violations.append(Violation(f"{build.path}/KeepLatest", told))
    changed = diff.members(step.attributes, step.tags)
    said = (f"{n}: {short(each.text)}" for n, each in build.templates.items() if n in changed)
    return replace(step, reasons=tuple(said))


def _held_back(step: Step, first: str) -> Step:
    """The step without what has to wait for images that are not ready, or not to be seen."""
    if why := _not_yet(step):
        return diff.failed_step(step, step.error or ImageBusy(_STATE, why))
    if not step.new_name:
        return step
    told = f"not renamed while {first}: Packer finds the copies of an image by its name"
    rest = {name: value for name, value in step.attributes.items() if name != "ImageName"}
    return replace(step, attributes=rest, error=ImageBusy(_STATE, told))


def _not_yet(step: Step) -> str:
    """Why an image may be about to change by itself; empty if it is not."""
    if step.error:
        return f"{step.image_id} cannot be seen" if step.error.transient else ""
    image = step.before
    return f"{step.image_id} is {image.state}" if image and image.is_unready else ""
