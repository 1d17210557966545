"""The plan of a Packer manifest: what its images are labelled. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from image_steward.current_images import CurrentImages, RegionImages
from image_steward.documents.packer_manifest import Build, PackerManifest, breach
from image_steward.errors import ApiError, ImageBusy, InvalidDocument, StewardError, Violation
from image_steward.messages import pointer_step, short
from image_steward.model import Attributes, Change, Image, Plan, Step
from image_steward.naming.fields import values_of
from image_steward.naming.templates import NoValue, Template
from image_steward.planning.diff import missing, step_of
from image_steward.planning.rename_order import in_order

_STATE = "InvalidImageId.IncorrectState"
"""The API's own code for what the state of an image forbids (document/api/213/15713)."""


def new_names(
    manifest: PackerManifest, region: str, images: Mapping[str, Image | ApiError]
) -> list[str]:
    """The names that images of a region are to get."""
    steps = (
        _labelled(region, image_id, build, images, [])
        for image_id, build in manifest.by_region[region].items()
    )
    return [step.new_name for step in steps if step.new_name]


def plan(manifest: PackerManifest, current: CurrentImages, *, now: float, dry_run: bool) -> Plan:
    """The plan of a manifest whose images are there, or were waited for long enough.

    An image that is still being made then is pending, and nothing is renamed: Packer finds the
    copies of an image by its name. A dry run plans as if all were there.

    Raises:
        InvalidDocument: every value that comes out too long, or otherwise at a second delivery,
            and KeepLatest without a family.
    """
    del now
    violations: list[Violation] = []
    steps = {
        region: [
            _labelled(region, image_id, build, _images(current[region]), violations)
            for image_id, build in builds.items()
        ]
        for region, builds in manifest.by_region.items()
    }
    if violations:
        raise InvalidDocument(*violations)
    if not dry_run:
        steps = _held_back(steps)
    warnings = (InvalidDocument(*manifest.warnings),) if manifest.warnings else ()
    in_turn = {region: _in_order(each, current[region]) for region, each in steps.items()}
    return Plan(in_turn, warnings=warnings)


def change_of(build: Build, region: str, image: Image) -> Change:
    """What a build wants of its image or of a copy of it.

    Raises:
        NoValue: the image has no value for a field of a template, nor has that a default.
        InvalidDocument: a value comes out longer than the API takes, or empty.
    """
    templates = [*build.templates.values(), *build.tags.values()]
    fields = {field for template in templates for field in template.fields}
    values = values_of(fields, region, image)
    # Of thousands of values a template names a few, and there may be a thousand images.
    values |= {field: build.values[field] for field in fields if field in build.values}
    attributes: Attributes = {}
    for name, template in build.templates.items():  # ImageName first: the others see the new one
        attributes[name] = text = _rendered(build, name, template, values)
        if name == "ImageName":
            values[name] = text
    if build.deprecated is not None:
        attributes["ImageDeprecated"] = build.deprecated
    tags = {
        key: _rendered(build, f"Tag.{key}", template, values)
        for key, template in build.tags.items()
    }
    return Change(region, image.image_id, attributes, tags, ())


def unstable(build: Build, image: Image, change: Change) -> list[Violation]:
    """What a build would want otherwise of an image that has its `change`, or a part of it.

    Events come twice, and a run may break off between attributes and tags, or put off the name.
    """
    wanted = _members(change)
    no_name = {name: value for name, value in change.attributes.items() if name != "ImageName"}
    found: dict[str, Violation] = {}
    for attributes, tags in product((change.attributes, no_name, {}), (change.tags, {})):
        has = {**image.attributes, **attributes}
        labelled = replace(image, attributes=has, tags={**image.tags, **tags})
        try:
            again = _members(change_of(build, change.region, labelled))
        except (NoValue, InvalidDocument):
            again = {}
        for name, template in build.by_key.items():
            if template.fields and again.get(name) != wanted[name]:
                now = short(str(wanted[name]))
                later = short(str(again[name])) if name in again else "nothing that can be set"
                told = (
                    f"{name} of {image.image_id} in {change.region} would be {now} now and {later} "
                    "at the next delivery: it hangs on what the manifest itself sets"
                )
                path = f"{build.path}/{pointer_step(name)}"
                found.setdefault(name, Violation(path, told))
    return list(found.values())


def _images(seen: RegionImages | StewardError) -> Mapping[str, Image | ApiError] | StewardError:
    return seen if isinstance(seen, StewardError) else seen.images


def _in_order(steps: list[Step], seen: RegionImages | StewardError) -> list[Step]:
    return steps if isinstance(seen, StewardError) else in_order(steps, seen.holders)


def _labelled(
    region: str,
    image_id: str,
    build: Build,
    images: Mapping[str, Image | ApiError] | StewardError,
    violations: list[Violation],
) -> Step:
    """What a build's image lacks; `violations` get what cannot be set at all."""
    image = images if isinstance(images, StewardError) else images.get(image_id)
    if not isinstance(image, Image):
        return Step(region, image_id, error=image or missing(region, image_id))
    if image.has_failed:
        told = f"{image_id} in {region} is {image.state}, and stays so"
        return Step(region, image_id, before=image, error=ApiError(_STATE, told))
    try:
        change = change_of(build, region, image)
    except NoValue as error:
        return Step(region, image_id, before=image, reasons=(str(error),), is_skipped=True)
    except InvalidDocument as error:
        violations += error.violations
        return Step(region, image_id, before=image, error=error)
    violations += unstable(build, image, change)
    step = step_of(change, {image_id: image})
    changed = [*step.attributes, *(f"Tag.{key}" for key in step.tags)]
    said = [f"{n}: {short(build.by_key[n].text)}" for n in changed if n in build.by_key]
    if build.keep_latest and not step.family:
        told = f"{image_id} in {region} has no ImageFamily and gets none"
        violations.append(Violation(f"{build.path}/KeepLatest", told))
    return replace(step, reasons=tuple(said))


def _held_back(steps: Mapping[str, list[Step]]) -> dict[str, list[Step]]:
    """The same without what has to wait for images that are still being made, or not to be seen."""
    first = next((why for each in steps.values() for step in each if (why := _not_yet(step))), "")
    if not first:
        return dict(steps)

    def held(step: Step) -> Step:
        if why := _not_yet(step):
            error = step.error or ImageBusy(_STATE, why)
            return Step(step.region, step.image_id, before=step.before, error=error)
        if not step.new_name:
            return step
        told = f"not renamed while {first}: Packer finds the copies of an image by its name"
        rest = {name: value for name, value in step.attributes.items() if name != "ImageName"}
        return replace(step, attributes=rest, error=ImageBusy(_STATE, told))

    return {region: [held(step) for step in each] for region, each in steps.items()}


def _not_yet(step: Step) -> str:
    """Why an image may be about to change by itself; empty if it is not."""
    if step.error:
        return f"{step.image_id} cannot be seen" if step.error.healable else ""
    is_unready = step.before is not None and step.before.is_unready
    return f"{step.image_id} is {step.before.state}" if step.before and is_unready else ""


def _members(change: Change) -> dict[str, str | bool]:
    return {**change.attributes, **{f"Tag.{key}": value for key, value in change.tags.items()}}


def _rendered(build: Build, name: str, template: Template, values: dict[str, str]) -> str:
    text = template.render(values)
    if wrong := breach(name, text):
        raise InvalidDocument(Violation(f"{build.path}/{pointer_step(name)}", wrong))
    return text
