"""What a Packer manifest comes to: labels, when its images are there, and then who retires."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from image_steward import labelling, policies
from image_steward.errors import (
    ApiError,
    ImageBusy,
    InvalidDocument,
    StewardError,
    TooManyChanges,
    Violation,
)
from image_steward.images import Image, has_failed, list_images
from image_steward.normalising import after, normalise
from image_steward.planning import Step, missing, plan
from image_steward.plans import Plan, in_order
from image_steward.schema import short
from image_steward.templates import NoValue
from image_steward.waiting import Wait, is_unready, settled
from image_steward.workers import attempted, side_by_side

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from image_steward.clock import Deadline
    from image_steward.images import Call
    from image_steward.manifests import Build, PackerManifest
    from image_steward.waiting import Found

_STATE = "InvalidImageId.IncorrectState"
"""The API's own code for what the state of an image forbids (document/api/213/15713)."""


APPLYING_SECONDS = 2.0
"""For each image of a manifest, kept back from the time that is waited for its copies."""


def wait_for(
    manifest: PackerManifest, deadline: Deadline, note: Callable[[str, Image], None]
) -> Wait:
    """How long to wait for the images of a manifest: what is left is for changing them."""
    left = deadline.remaining()
    changing = APPLYING_SECONDS * sum(len(build.images) for build in manifest.builds)
    return Wait(deadline.earlier(left - min(left / 2, changing)), note)


def labels(call: Call, manifest: PackerManifest, wait: Wait, *, dry_run: bool) -> Plan:
    """The plan of a Packer manifest, when all its images are there, or the wait is over.

    An image that is still being made then is pending, and nothing is renamed: Packer finds the
    copies of an image by its name. A dry run waits for nothing, and plans as if it had.

    Raises:
        InvalidDocument: every value that comes out too long, or otherwise at a second delivery,
            and KeepLatest without a family.
    """
    wanted: dict[str, dict[str, Build]] = {}
    for build in manifest.builds:
        for region, image_id in build.images:
            wanted.setdefault(region, {})[image_id] = build
    found = settled(call, wanted, None if dry_run else wait)
    violations: list[Violation] = []
    steps = {
        region: [_labelled(region, *pair, found[region], violations) for pair in builds.items()]
        for region, builds in wanted.items()
    }
    if violations:
        raise InvalidDocument(*violations)
    if not dry_run:
        steps = _held_back(steps)
    works = [partial(in_order, call, region, each) for region, each in steps.items()]
    return Plan(side_by_side(works), warnings=_warnings(manifest))


def retirement(call: Call, manifest: PackerManifest, labelled: Sequence[Step], now: float) -> Plan:
    """What KeepLatest of a manifest comes to where its images are `labelled`."""
    steps = {step.place: step for step in labelled}
    keeps: dict[str, dict[str, int]] = {}
    for build in manifest.builds:
        for place in build.images:
            if build.keep_latest and place in steps:
                kept = keeps.setdefault(place[0], {})
                family = _family(steps[place])
                kept[family] = max(kept.get(family, 0), build.keep_latest)
    works = [partial(_retired, call, region, kept, steps, now) for region, kept in keeps.items()]
    made = Plan.of_regions(dict(zip(keeps, side_by_side(works), strict=True)))
    paths = (f"{build.path}/KeepLatest" for build in manifest.builds if build.keep_latest)
    return _bounded(made, next(paths, ""))


def _bounded(made: Plan, path: str) -> Plan:
    """As much of the plan as one run may do; refused whole, it would be at the next build, too.

    First the images that are to be used again, so that no family is left without one.
    """
    changes = sorted((s for steps in made.steps for s in steps if not s.is_empty), key=_urgency)
    late = {step.place for step in changes[policies.MAX_CHANGES :]}
    if not late:
        return made
    told = (
        f"KeepLatest would change {len(changes)} images; {policies.MAX_CHANGES} are changed now, "
        "the oldest ones, and the others when this manifest or that of a later build is delivered"
    )
    return Plan(
        [[step for step in steps if step.place not in late] for steps in made.steps],
        made.refused,
        [*made.warnings, TooManyChanges(Violation(path, told))],
    )


def _urgency(step: Step) -> tuple[bool, str, str]:
    created = step.before.facts["CreatedTime"] if step.before else ""
    return bool(step.attributes["ImageDeprecated"]), created, step.image_id


def _labelled(
    region: str,
    image_id: str,
    build: Build,
    found: Found | StewardError,
    violations: list[Violation],
) -> Step:
    """What a build's image lacks; `violations` get what cannot be set at all."""
    image = found if isinstance(found, StewardError) else found.get(image_id)
    if not isinstance(image, Image):
        error = image or missing(region, image_id)
        return Step(region, image_id, error=error)
    state = image.facts["ImageState"]
    if has_failed(state):
        told = f"{image_id} in {region} is {state}, and stays so"
        return Step(region, image_id, before=image, error=ApiError(_STATE, told))
    try:
        change = labelling.change_of(build, region, image)
    except NoValue as error:
        return Step(region, image_id, before=image, reasons=(str(error),), is_skipped=True)
    except InvalidDocument as error:
        violations += error.violations
        return Step(region, image_id, before=image, error=error)
    violations += labelling.unstable(build, image, change)
    (step,) = plan([change], {image_id: image})
    changed = [*step.attributes, *(f"Tag.{key}" for key in step.tags)]
    said = [f"{n}: {short(build.by_key[n].text)}" for n in changed if n in build.by_key]
    step = replace(step, reasons=tuple(said))
    if build.keep_latest and not _family(step):
        told = f"{image_id} in {region} has no ImageFamily and gets none"
        violations.append(Violation(f"{build.path}/KeepLatest", told))
    return step


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
    state = step.before.facts["ImageState"] if step.before else ""
    return f"{step.image_id} is {state}" if step.before and is_unready(step.before) else ""


def _warnings(manifest: PackerManifest) -> list[StewardError]:
    return [InvalidDocument(*manifest.warnings)] if manifest.warnings else []


def _family(step: Step) -> str:
    """The family that the image of a step is to be in."""
    has = str(step.before.attributes["ImageFamily"]) if step.before else ""
    return str(step.attributes.get("ImageFamily", has))


def _retired(
    call: Call,
    region: str,
    keeps: Mapping[str, int],
    labelled: Mapping[tuple[str, str], Step],
    now: float,
) -> list[Step] | StewardError:
    """The steps that leave the newest of each family, and deprecate the others."""
    images = attempted(partial(list_images, call, region))
    if isinstance(images, StewardError):
        return images
    # As they are labelled, whether the list shows it yet or not.
    steps = [labelled.get((region, image_id)) for image_id in images]
    known = [after(i, step) if step else i for i, step in zip(images.values(), steps, strict=True)]
    found: list[Step] = []
    for family, keep in keeps.items():
        members = [image for image in known if image.attributes["ImageFamily"] == family]
        found += normalise(policies.keep_latest(keep), region, members, now)
    # An image that was labelled is counted already, unless it is changed once more.
    return [step for step in found if not step.is_empty or step.place not in labelled]
