"""Which images retire by a manifest's KeepLatest, once its own images are labelled. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import MAX_CHANGES
from image_steward.documents.packer_manifest import PackerManifest
from image_steward.errors import NotRetired, StewardError, TooManyChanges, Violation
from image_steward.model import Image, Now, Outcome, Plan, Step
from image_steward.planning.desired_state import DesiredState, oldest_first, reason_to_skip, retire
from image_steward.planning.diff import apply_step, plan_regions


@dataclass(frozen=True)
class Retirement:
    """The request to retire all but the newest images of some families."""

    regions: Collection[str]
    keep: Mapping[tuple[str, str], int]
    """How many images to keep, by region and family."""
    labelled: Mapping[tuple[str, str], Step]
    """The steps of the manifest's own images, by image key."""
    built: Collection[str]
    """The ids of all images that the run has built: none of them retires."""
    left_alone: Collection[tuple[str, str]]
    """Regions and families of images that were not labelled; an empty family: all of them."""
    path: str
    """The JSON Pointer of the first KeepLatest."""
    dry_run: bool
    max_changes: int = MAX_CHANGES


def retirement_of(manifest: PackerManifest, outcomes: Sequence[Outcome]) -> Retirement | None:
    """The request by a manifest's KeepLatest, for the families of the images labelled; or None.

    A family is left alone if one of its images was not labelled. If the family of such an image is
    not known, since it is not a fixed text, all families of the region are.
    """
    steps = {o.step.image_key: o.step for o in outcomes if not (o.error or o.step.is_skipped)}
    every = (*manifest.builds, *manifest.others)
    builds = [build for build in every if "KeepLatest" in build.data]
    keep: dict[tuple[str, str], int] = {}
    left_alone: set[tuple[str, str]] = set()
    for build in builds:
        template = build.templates.get("ImageFamily")
        fixed = template.render({}) if template and not template.fields else ""
        for region, image_id in build.images:
            if step := steps.get((region, image_id)):
                family = region, step.after("ImageFamily")
                keep[family] = max(keep.get(family, 0), build.keep_latest)
            else:
                left_alone.add((region, fixed))
    keep = {key: n for key, n in keep.items() if left_alone.isdisjoint((key, (key[0], "")))}
    if not builds:
        return None
    regions = tuple(dict.fromkeys(region for region, _ in keep))
    built = {image_id for build in every for _, image_id in build.images}
    path = builds[0].paths["KeepLatest"]
    return Retirement(regions, keep, steps, built, left_alone, path, manifest.dry_run)


def plan(request: Retirement, current: CurrentImages, _now: Now) -> Plan:
    """The plan, cut to `max_changes`: if it were rejected, the next one would be too large as well.

    Images that are no longer deprecated come first, so that no family is left without an image.
    """
    planned = plan_regions(current, lambda region, images: _retire(request, region, images))
    warnings: list[StewardError] = [
        NotRetired(
            f"KeepLatest leaves {f'family {family}' if family else 'all families'} in {region} "
            "alone: not all images of this run were labelled"
        )
        for region, family in sorted(request.left_alone)
    ]
    planned = planned._replace(warnings=tuple(warnings))
    changes = sorted(planned.changes, key=_priority)
    later = {step.image_key for step in changes[request.max_changes :]}
    if not later:
        return planned
    message = (
        f"KeepLatest would change {len(changes)} images; at most {request.max_changes} are "
        "allowed in one run, oldest first; the rest follow when this or a later build's manifest "
        "is delivered"
    )
    steps = {r: [s for s in planned.steps[r] if s.image_key not in later] for r in planned.steps}
    warning = TooManyChanges(Violation(request.path, message))
    return planned._replace(steps=steps, warnings=(*warnings, warning))


def _retire(request: Retirement, region: str, images: Collection[Image]) -> list[Step]:
    """The steps that deprecate all but the newest images of each family."""
    # With their new labels, even if DescribeImages does not show these yet.
    known = [apply_step(i, request.labelled.get((region, i.image_id))) for i in images]
    steps: list[Step] = []
    for family in (family for where, family in request.keep if where == region):
        keep = request.keep[region, family]
        members = [image for image in known if image.attributes["ImageFamily"] == family]
        states = [DesiredState(image, reason_to_skip(image)) for image in members]
        retire(keep, oldest_first(states), request.built)
        rules = {"ImageDeprecated": f"KeepLatest: {keep}"}
        steps += [state.step(region, rules) for state in states]
    # The manifest's own images have an outcome already; they are listed only if they change again.
    return [step for step in steps if not step.is_empty or step.image_key not in request.labelled]


def _priority(step: Step) -> tuple[bool, str, str]:
    created = step.before.facts["CreatedTime"] if step.before else ""
    return bool(step.attributes["ImageDeprecated"]), created, step.image_id
