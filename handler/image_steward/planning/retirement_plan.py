"""The plan of what retires once the images of a manifest are labelled. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import MAX_CHANGES
from image_steward.documents.packer_manifest import PackerManifest
from image_steward.errors import TooManyChanges, Violation
from image_steward.model import Image, Outcome, Plan, Step
from image_steward.planning.desired_state import DesiredState, oldest_first, retire, untouchable
from image_steward.planning.diff import after, of_regions


@dataclass(frozen=True)
class Retirement:
    """All but the newest images of some families retire, as a manifest's KeepLatest says."""

    regions: Mapping[str, Mapping[str, int]]
    """How many stay, by region and family."""
    labelled: Mapping[tuple[str, str], Step]
    """What was done to the images of the manifest, by region and id."""
    path: str
    """The JSON Pointer to the KeepLatest that says so."""
    dry_run: bool


def retirement(manifest: PackerManifest, outcomes: Sequence[Outcome]) -> Retirement | None:
    """What KeepLatest of a manifest asks for where its images are labelled; None: nothing."""
    steps = {o.step.image_key: o.step for o in outcomes if not (o.error or o.step.is_skipped)}
    builds = [build for build in manifest.builds if build.keep_latest]
    regions: dict[str, dict[str, int]] = {}
    for build in builds:
        for step in (steps[place] for place in build.images if place in steps):
            kept = regions.setdefault(step.region, {})
            kept[step.family] = max(kept.get(step.family, 0), build.keep_latest)
    if not regions:
        return None
    return Retirement(regions, steps, f"{builds[0].path}/KeepLatest", manifest.dry_run)


def plan(request: Retirement, current: CurrentImages, _now: float) -> Plan:
    """As much of the plan as one run may do; refused whole, it would be at the next build, too.

    First the images that are to be used again, so that no family is left without one.
    """
    made = of_regions(current, lambda region, images: _retired(request, region, images))
    changes = sorted(made.changes, key=_urgency)
    late = {step.image_key for step in changes[MAX_CHANGES:]}
    if not late:
        return made
    told = (
        f"KeepLatest would change {len(changes)} images; {MAX_CHANGES} are changed now, "
        "the oldest ones, and the others when this manifest or that of a later build is delivered"
    )
    steps = {
        r: [step for step in each if step.image_key not in late] for r, each in made.steps.items()
    }
    return replace(made, steps=steps, warnings=(TooManyChanges(Violation(request.path, told)),))


def _retired(request: Retirement, region: str, images: Collection[Image]) -> list[Step]:
    """The steps that leave the newest of each family, and deprecate the others."""
    # As they are labelled, whether the list shows it yet or not.
    known = [after(image, request.labelled.get((region, image.image_id))) for image in images]
    found: list[Step] = []
    for family, keep in request.regions[region].items():
        desired_states = [
            DesiredState(i, untouchable(i)) for i in known if i.attributes["ImageFamily"] == family
        ]
        retire(keep, oldest_first(desired_states))
        found += [
            desired.step(region, {"ImageDeprecated": f"KeepLatest: {keep}"})
            for desired in desired_states
        ]
    # An image that was labelled is counted already, unless it is changed once more.
    return [step for step in found if not step.is_empty or step.image_key not in request.labelled]


def _urgency(step: Step) -> tuple[bool, str, str]:
    created = step.before.facts["CreatedTime"] if step.before else ""
    return bool(step.attributes["ImageDeprecated"]), created, step.image_id
