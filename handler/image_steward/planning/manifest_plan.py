"""The plan of a Packer manifest: the labels of its images. Pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from image_steward.current_images import CurrentImages, ImagesByRegion
from image_steward.documents.packer_manifest import Build, PackerManifest
from image_steward.documents.validation import Violations
from image_steward.errors import ImageBusy, InvalidDocument, Violation
from image_steward.messages import short
from image_steward.model import Change, Image, Now, Plan, Step, StepsByRegion, by_name
from image_steward.naming.fields import TEXT_ATTRIBUTES, values_of
from image_steward.naming.templates import NoValue
from image_steward.naming.text import value_error
from image_steward.planning import diff
from image_steward.planning.rename_order import order_renames_by_region


def new_names(manifest: PackerManifest, images: ImagesByRegion) -> dict[str, list[str]]:
    """The names that images are to get, by region. Raises as `plan`."""
    return diff.new_names_of(_steps(manifest, images)[0])


def plan(manifest: PackerManifest, current: CurrentImages, _now: Now) -> Plan:
    """The plan of a manifest whose images were polled until they were ready or time ran short.

    An image that is still not ready becomes pending, and then no image of its build is renamed:
    Packer finds the copies of an image by its name. A dry run plans as if all were ready. A build
    is left out, with an error, if it asks for a value that no document may set or that would differ
    at the next delivery, or for KeepLatest without a family.

    Raises:
        InvalidDocument: every image that would get the name of another one; or no build is left.
    """
    steps, invalid = _steps(manifest, diff.images_of(current))
    errors = {"": InvalidDocument(*invalid)} if invalid else {}
    warnings = (InvalidDocument(*manifest.warnings),) if manifest.warnings else ()
    return Plan(order_renames_by_region(steps, current), errors, warnings)


def change_of(build: Build, region: str, image: Image) -> Change:
    """What a build asks for its image, or for a copy of the image.

    Raises:
        NoValue: a template field has neither a value nor a default.
        InvalidDocument: no document may set a value.
    """
    values = values_of(build.fields, region, image)
    # Only the values in use: a build may have thousands of values, and a thousand images.
    values |= {field: build.values[field] for field in build.fields if field in build.values}
    attributes: dict[str, str | bool] = {}
    tags: dict[str, str] = {}
    for name, template in build.templates.items():
        text = template.render(values)
        if error := value_error(name, text):
            raise InvalidDocument(Violation(build.paths[name], error))
        if name in TEXT_ATTRIBUTES:
            attributes[name] = text
        else:
            tags[name.removeprefix("Tag.")] = text
        if name == "ImageName":  # it is rendered first; the other templates see the new name
            values[name] = text
    if "ImageDeprecated" in build.data:
        attributes["ImageDeprecated"] = build.data["ImageDeprecated"] == "true"
    return Change(region, image.image_id, attributes, tags, ())


def unstable_values(build: Build, image: Image, change: Change) -> list[Violation]:
    """The values that would differ at the next delivery, after the `change` or a part of it.

    SCF may deliver an event twice, a run may be interrupted between attributes and tags, and a
    rename may be postponed.
    """
    wanted = change.values
    without_name = {name: text for name, text in change.attributes.items() if name != "ImageName"}
    unstable: dict[str, Violation] = {}
    seen = [values_of(build.fields, change.region, image)]
    for attributes, tags in product((change.attributes, without_name, {}), (change.tags, {})):
        labelled = diff.apply_step(image, Step(change.region, image.image_id, attributes, tags))
        if (values := values_of(build.fields, change.region, labelled)) in seen:
            continue  # the templates see no difference
        seen.append(values)
        try:
            later = change_of(build, change.region, labelled).values
        except (NoValue, InvalidDocument):
            later = {}
        for name, template in build.templates.items():
            if template.fields and later.get(name) != wanted[name]:
                now, then = short(str(wanted[name])), short(str(later.get(name, "invalid")))
                message = (
                    f"{name} of {image.image_id} in {change.region} would be {now} now and {then} "
                    "at the next delivery; it must not depend on what this manifest sets"
                )
                unstable.setdefault(name, Violation(build.paths[name], message))
    return list(unstable.values())


def _steps(manifest: PackerManifest, images: ImagesByRegion) -> tuple[StepsByRegion, Violations]:
    """The steps of all images, and the errors of the builds left out. Raises as `plan`."""
    conflicts, errors = Violations(), Violations(fatal=False)
    errors.extend(manifest.errors)
    named: dict[tuple[str, str], str] = {}
    """By region and name: the first image that is to have it, and what says so."""
    steps: StepsByRegion = {}
    for build in manifest.builds:
        count = errors.count
        own = [_step(diff.empty_step(r, i, images[r]), build, errors) for r, i in build.images]
        if errors.count > count:
            continue
        unready = next(filter(None, map(_why_unready, own)), "")
        for step in own:
            if "ImageName" in build.templates and not (step.error or step.is_skipped):
                name, path = step.after("ImageName"), build.paths["ImageName"]
                claim = f"{step.image_id} in {step.region} by {path}"
                if (other := named.setdefault((step.region, name), claim)) != claim:
                    message = f"{short(name)} would also be the name of {other}; use a field that "
                    conflicts.add(path, f"{message}differs, such as {{name}} or {{ImageId}}")
            planned = _postponed(step, unready, dry_run=manifest.dry_run) if unready else step
            steps.setdefault(step.region, []).append(planned)
    if conflicts or not steps:
        conflicts.extend(errors)
        conflicts.check()
    return steps, errors


def _step(step: Step, build: Build, violations: Violations) -> Step:
    """The step with the changes that a build asks for; adds to the violations."""
    image = step.before
    if step.error or not image:
        return step
    if error := diff.change_error(image):
        return diff.failed_step(step, error)
    try:
        change = change_of(build, step.region, image)
    except NoValue as missing:
        return replace(step, reasons=(str(missing),), is_skipped=True)
    except InvalidDocument as invalid:
        violations.extend(invalid.violations)
        return diff.failed_step(step, invalid)
    violations.extend(unstable_values(build, image, change))
    step = diff.step_of(change, {step.image_id: image})
    if "KeepLatest" in build.data and not step.after("ImageFamily"):
        message = f"{step.image_id} in {step.region} has none, and the manifest sets none"
        violations.add(build.paths["KeepLatest"], f"requires an ImageFamily; {message}")
    changed = by_name(step.attributes, step.tags)
    rules = (f"{n}: {short(t.text)}" for n, t in build.templates.items() if n in changed)
    return replace(step, reasons=tuple(rules))


def _postponed(step: Step, unready: str, *, dry_run: bool) -> Step:
    """The step without what must wait: all of an image that is not ready, the name of the others.

    `unready` says which image is not ready, and why. A dry run only adds what would wait.
    """
    why = "" if step.is_empty and not step.is_skipped else _why_unready(step)
    message = why or f"not renamed while {unready}: Packer finds the copies of an image by its name"
    if not (why or step.new_name):
        return step
    if dry_run:
        return replace(step, would_wait=True, reasons=(*step.reasons, f"would wait: {message}"))
    error = ImageBusy(diff.STATE_CODE, message)
    if why:
        return diff.failed_step(step, error)
    others = {name: value for name, value in step.attributes.items() if name != "ImageName"}
    return replace(step, attributes=others, error=error)


def _why_unready(step: Step) -> str:
    """Why an image is not ready, but may be soon; otherwise empty."""
    if step.error:
        return f"{step.image_id} cannot be read" if step.error.transient else ""
    image = step.before
    return f"{step.image_id} is {image.state}" if image and image.is_unready else ""
