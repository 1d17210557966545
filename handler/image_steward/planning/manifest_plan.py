"""The plan of a Packer manifest: the labels of its images. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any

from image_steward import limits
from image_steward.current_images import CurrentImages
from image_steward.documents.packer_manifest import Build, PackerManifest, usable
from image_steward.documents.validation import Violations
from image_steward.errors import ImageBusy, InvalidDocument, Violation
from image_steward.messages import short
from image_steward.model import ATTRIBUTES, Image, Now, Plan, Step, StepsByRegion, Value, Values
from image_steward.naming.fields import may_change, values_of
from image_steward.naming.patterns import Glob
from image_steward.naming.templates import NoValue
from image_steward.naming.text import clean, value_error
from image_steward.planning import diff
from image_steward.planning.rename_order import order_renames_by_region


def new_names(manifest: PackerManifest, current: CurrentImages) -> dict[str, list[str]]:
    """The names that images are to get, by region. Raises as `plan`."""
    return diff.new_names_of(_steps(manifest, current)[0])


def plan(manifest: PackerManifest, current: CurrentImages, _now: Now) -> Plan:
    """The plan of a manifest whose images were polled until they were ready or time ran short.

    An image that is still not ready becomes pending, and then no image of its build is renamed:
    Packer finds the copies of an image by its name. A dry run plans as if all were ready. A build
    is left out, with an error, if it asks for a value that no document may set or that would differ
    at the next delivery, or for KeepLatest without a family.

    Raises:
        InvalidDocument: every image that would get the name of another one; or no build is left.
    """
    steps, invalid = _steps(manifest, current)
    errors = {"": InvalidDocument(*invalid)} if invalid else {}
    warnings = (InvalidDocument(*manifest.warnings),) if manifest.warnings else ()
    steps = order_renames_by_region(steps, current)
    return Plan(steps, errors, warnings, rules=manifest.rules)


def labels(build: Build, region: str, image: Image) -> Values:
    """What a build sets on its image, or on a copy of the image.

    Raises:
        NoValue: a template field has neither a value nor a default.
        InvalidDocument: no document may set a value.
    """
    values = _fields_of(build, region, image)
    wanted: dict[str, Value] = {}
    for name, template in build.templates.items():
        try:
            text = wanted[name] = usable(name, template.render(values), build.style)
        except ValueError as error:
            raise InvalidDocument(Violation(build.paths[name], str(error))) from None
        if name == "ImageName":  # it is rendered first; the other templates see the new name
            values[name] = text
    if "ImageDeprecated" in build.data:
        wanted["ImageDeprecated"] = build.data["ImageDeprecated"] == "true"
    return wanted


def _fields_of(build: Build, region: str, image: Image) -> dict[str, Any]:
    """The values of the fields in use: a build may have thousands of values."""
    values = values_of(build.fields, region, image)
    return {field: build.values.get(field, values[field]) for field in build.fields}


def unstable_values(build: Build, region: str, image: Image, wanted: Values) -> list[Violation]:
    """The values that would differ at the next delivery, once the image is as wanted, or in part.

    SCF may deliver an event twice, a run may be interrupted between attributes and tags, and a
    rename may be postponed.
    """
    unstable: dict[str, Violation] = {}
    seen = [_fields_of(build, region, image)]
    tags = tuple(wanted.keys() - set(ATTRIBUTES))
    for first, second in product(((), ("ImageName",), ATTRIBUTES), ((), tags)):
        left_out = {*first, *second}
        state = image.with_values({n: v for n, v in wanted.items() if n not in left_out})
        if (fields := _fields_of(build, region, state)) in seen:
            continue  # the templates see no difference
        seen.append(fields)
        try:
            later = labels(build, region, state)
        except (NoValue, InvalidDocument):
            later = {}
        for name, template in build.templates.items():
            if template.fields and later.get(name) != wanted[name]:
                now, then = short(str(wanted[name])), short(str(later.get(name, "invalid")))
                message = (
                    f"{name} of {image.image_id} in {region} would be {now} now and {then} "
                    "at the next delivery; it must not depend on what this manifest sets"
                )
                unstable.setdefault(name, Violation(build.paths[name], message))
    return list(unstable.values())


def _steps(manifest: PackerManifest, current: CurrentImages) -> tuple[StepsByRegion, Violations]:
    """The steps of all images, and the errors of the builds left out. Raises as `plan`."""
    conflicts, errors = Violations(), Violations(fatal=False)
    errors.extend(manifest.errors)
    named: dict[tuple[str, str], str] = {}
    """By region and name: the first image that is to have it, and what says so."""
    steps: StepsByRegion = {}
    for build in manifest.builds:
        images = [diff.empty_step(r, i, current[r].images) for r, i in build.images]
        unready = next(filter(None, map(diff.why_unready, images)), "")
        is_copying = build.data.get("CopyTags") == "true"
        source = _source(build, images, manifest.protected_tags) if is_copying else None
        blocked = f"CopyTags waits while {unready}" if unready and source else ""
        found = Violations(fatal=False)
        own = [_step(step, build, source, found) for step in images]
        if found and not blocked:
            errors.extend(found)
            continue
        for step in own:
            is_named = "ImageName" in build.templates and not (step.error or step.is_skipped)
            if step.before and is_named and not blocked:
                name, path = step.new_name or step.before.name, build.paths["ImageName"]
                claim = f"{step.image_id} in {step.region} by {path}"
                if (other := named.setdefault((step.region, name), claim)) != claim:
                    message = f"{short(name)} would also be the name of {other}; use a field that "
                    conflicts.add(path, f"{message}differs, such as {{name}} or {{ImageId}}")
            planned = _postponed(step, unready, blocked, dry_run=manifest.dry_run)
            steps.setdefault(step.region, []).append(planned)
    if conflicts or not steps:
        conflicts.extend(errors)
        conflicts.check()
    return steps, errors


def _source(build: Build, steps: Iterable[Step], protected: Iterable[Glob]) -> Image | None:
    """The image that others are copies of, as labelled, with those of its tags that they may get.

    It is the earliest image; of several, the first that has tags.
    """
    pairs = [(image, step) for step in steps if (image := step.before)]
    if not pairs:
        return None
    image, step = min(pairs, key=lambda p: (p[0].facts["CreatedTime"] or "unknown", not p[0].tags))
    image = image.with_values(_step(step, build, None, Violations(fatal=False)).values)
    tags = {key: clean(text) for key, text in image.tags.items() if may_change(key, protected)}
    valid = {f"Tag.{k}": text for k, text in tags.items() if not value_error("Tag", text)}
    return image._replace(values=valid)


def _step(step: Step, build: Build, source: Image | None, violations: Violations) -> Step:
    """The step with the changes that a build asks for; adds to the violations.

    A copy gets the tags of its `source`, and its templates see them. Tags that the manifest sets
    have precedence, and so do their former values.
    """
    image, where = step.before, f"{step.image_id} in {step.region}"
    if step.error or not image:
        return step
    if error := diff.change_error(image):
        return diff.failed_step(step, error)
    seen = image
    if source and source.image_id != image.image_id:
        former = {name: v for name, v in image.values.items() if name in build.templates}
        seen = image.with_values({**source.values, **former})
    try:
        wanted = labels(build, step.region, seen)
    except (NoValue, InvalidDocument) as reason:
        violations.extend(reason.details if isinstance(reason, InvalidDocument) else ())
        return step._replace(reasons=(str(reason),), is_skipped=True)
    violations.extend(unstable_values(build, step.region, seen, wanted))
    after = seen.with_values(wanted)
    if (count := len(after.tags)) > limits.TAGS_PER_IMAGE:
        message = f"{where} would have {count} tags; at most {limits.TAGS_PER_IMAGE} are allowed"
        violations.add(f"{build.path}/custom_data", message)
    if "KeepLatest" in build.data and not after.values["ImageFamily"]:
        message = f"requires an ImageFamily; {where} has none, and the manifest sets none"
        violations.add(build.paths["KeepLatest"], message)
    values = image.missing(after.values)
    is_copy = values.keys() - {*build.templates, *ATTRIBUTES}
    reasons = (f"CopyTags: from {source.image_id}",) if source and is_copy else ()
    return step._replace(values=values, reasons=reasons)


def _postponed(step: Step, unready: str, blocked: str, *, dry_run: bool) -> Step:
    """The step without what must wait: all of an image that is not ready, the name of the others.

    `unready` says which image of the build is not ready, and why; `blocked`, why all of the others
    waits, too. A dry run only adds what would wait.
    """
    why = "" if step.is_empty and not step.is_skipped else diff.why_unready(step) or blocked
    message = why or f"not renamed while {unready}: Packer finds the copies of an image by its name"
    if not (why or (unready and step.new_name)):
        return step
    if dry_run:
        return diff.would_wait(step, message)
    error = ImageBusy(diff.STATE_CODE, message)
    if why:
        return diff.failed_step(step, error)
    others = {name: value for name, value in step.values.items() if name != "ImageName"}
    return step._replace(values=others, error=error)
