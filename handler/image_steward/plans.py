"""What a request comes to: the steps in each region, by the images as they are now."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
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
from image_steward.images import (
    NAMES_OF_A_FILTER,
    Image,
    describe_images,
    has_failed,
    list_images,
)
from image_steward.normalising import after, normalise
from image_steward.planning import Step, missing, ordered, plan
from image_steward.schema import short
from image_steward.templates import NoValue
from image_steward.waiting import is_unready, settled
from image_steward.workers import side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from image_steward.documents import Change, ChangeRequest
    from image_steward.images import Call
    from image_steward.manifests import Build, PackerManifest
    from image_steward.policies import Policy
    from image_steward.waiting import Found, Wait

_STATE = "InvalidImageId.IncorrectState"
"""The API's own code for what the state of an image forbids (document/api/213/15713)."""


@dataclass
class Plan:
    """Steps by region; what could not be planned, by region; what should be known beforehand."""

    steps: list[list[Step]]
    refused: list[tuple[str, StewardError]] = field(default_factory=list)
    warnings: list[StewardError] = field(default_factory=list)


def of_changes(call: Call, request: ChangeRequest) -> Plan:
    """The plan of a change request; trouble with a region is that of each of its images."""
    by_region: dict[str, list[Change]] = {}
    for change in request.changes:
        by_region.setdefault(change.region, []).append(change)
    works = [partial(_changes, call, region, changes) for region, changes in by_region.items()]
    return Plan(side_by_side(works))


def of_policy(call: Call, policy: Policy, now: float, *, dry_run: bool) -> Plan:
    """The plan of a policy, `now` (seconds since the epoch); a dry run may be larger than allowed.

    Raises:
        UnstablePolicy, TooManyChanges: as they say.
    """
    works = [partial(_normalised, call, policy, region, now) for region in policy.regions]
    found = dict(zip(policy.regions, side_by_side(works), strict=True))
    made = Plan(
        [steps for steps in found.values() if isinstance(steps, list)],
        # The other regions can be done without it.
        [(region, error) for region, error in found.items() if isinstance(error, StewardError)],
    )
    return _limited(made, policy.max_changes, "/Normalise/MaxChanges", dry_run=dry_run)


def of_manifest(call: Call, manifest: PackerManifest, wait: Wait, *, dry_run: bool) -> Plan:
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
    works = [partial(_in_order, call, region, each) for region, each in steps.items()]
    return Plan(side_by_side(works), warnings=_warnings(manifest))


def of_retirement(
    call: Call, manifest: PackerManifest, labelled: Sequence[Step], now: float, *, dry_run: bool
) -> Plan:
    """What KeepLatest of a manifest comes to where its images are `labelled`.

    Raises:
        TooManyChanges: as it says.
    """
    steps = {(step.region, step.image_id): step for step in labelled}
    keeps: dict[str, dict[str, int]] = {}
    for build in manifest.builds:
        for place in build.images:
            if build.keep_latest and place in steps:
                kept = keeps.setdefault(place[0], {})
                family = _family(steps[place])
                kept[family] = max(kept.get(family, 0), build.keep_latest)
    works = [partial(_retired, call, region, kept, steps, now) for region, kept in keeps.items()]
    found = dict(zip(keeps, side_by_side(works), strict=True))
    made = Plan(
        [each for each in found.values() if isinstance(each, list)],
        [(region, error) for region, error in found.items() if isinstance(error, StewardError)],
    )
    return _limited(made, policies.MAX_CHANGES, "", dry_run=dry_run)


def _limited(made: Plan, most: int, path: str, *, dry_run: bool) -> Plan:
    changes = sum(not step.is_empty for steps in made.steps for step in steps)
    if changes > most:
        told = f"{changes} images would be changed; at most {most} are allowed"
        error = TooManyChanges(Violation(path, told))
        if not dry_run:
            raise error
        made.warnings.append(error)
    return made


def _changes(call: Call, region: str, changes: Sequence[Change]) -> list[Step]:
    ids = [change.image_id for change in changes]
    try:
        images = describe_images(call, region, ids)
    except StewardError as error:
        return [Step(region, image_id, error=error) for image_id in ids]
    return _in_order(call, region, plan(changes, images))


def _in_order(call: Call, region: str, steps: Sequence[Step]) -> list[Step]:
    """The steps with their renames in an order that works."""
    names = [step.new_name for step in steps if step.new_name]
    if not names:
        return list(steps)
    try:
        # Who else has these names? A few can be asked for; they need not be in the plan.
        others = list_images(call, region, names if len(names) <= NAMES_OF_A_FILTER else ())
    except StewardError as error:
        return [step if step.error else replace(_nothing(step), error=error) for step in steps]
    return ordered(steps, others.values())


def _nothing(step: Step) -> Step:
    return Step(step.region, step.image_id, before=step.before)


def _normalised(call: Call, policy: Policy, region: str, now: float) -> list[Step] | StewardError:
    """The steps of a policy in one region, or why it could not be read."""
    try:
        images = list_images(call, region)
    except StewardError as error:
        return error
    return normalise(policy, region, images.values(), now)


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
            return replace(_nothing(step), error=step.error or ImageBusy(_STATE, why))
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
    try:
        images = list_images(call, region)
    except StewardError as error:
        return error
    # As they are labelled, whether the list shows it yet or not.
    steps = [labelled.get((region, image_id)) for image_id in images]
    known = [after(i, step) if step else i for i, step in zip(images.values(), steps, strict=True)]
    found: list[Step] = []
    for family, keep in keeps.items():
        members = [image for image in known if image.attributes["ImageFamily"] == family]
        found += normalise(policies.keep_latest(keep), region, members, now)
    # An image that was labelled is counted already, unless it is changed once more.
    return [s for s in found if not s.is_empty or (region, s.image_id) not in labelled]
