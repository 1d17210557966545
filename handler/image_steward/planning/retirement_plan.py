"""Which images retire by a manifest's KeepLatest, once its own images are labelled. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import MAX_CHANGES
from image_steward.documents.packer_manifest import PackerManifest
from image_steward.errors import NotRetired, StewardError, TooManyChanges, Violation
from image_steward.model import Image, Now, Outcome, Plan, Step
from image_steward.planning.desired_state import DesiredState, oldest_first, reason_to_skip, retire
from image_steward.planning.diff import plan_regions


@dataclass(frozen=True)
class Retirement:
    """The request to retire all but the newest images of some families."""

    regions: Collection[str]
    keep: Mapping[tuple[str, str], int]
    """How many images to keep, by region and family."""
    labelled: Mapping[tuple[str, str], Image]
    """The manifest's own images with their new labels, by image key."""
    built: Mapping[str, bool]
    """By the id of each image that the run has built, whether its build sets ImageDeprecated.

    None of them retires, and those do not count, either.
    """
    left_alone: Collection[tuple[str, str]]
    """Regions and families of images that were not labelled; an empty family: all of them."""
    path: str
    """The JSON Pointer of the first KeepLatest."""
    dry_run: bool
    max_changes: int = MAX_CHANGES

    _replace = replace  # as a NamedTuple has it: all requests are changed alike


def retirement_of(manifest: PackerManifest, outcomes: Sequence[Outcome]) -> Retirement | None:
    """The request by a manifest's KeepLatest, for the families of the images labelled; or None.

    A family is left alone if one of its images was not labelled. If the family of such an image is
    not known, since it is not a fixed text, all families of the region are; if its region is not
    known, the family is left alone everywhere. While any image is pending, all families are.
    """
    steps = [o.step for o in outcomes if not (o.error or o.step.is_skipped)]
    labelled = {s.image_key: s.before.with_values(s.values) for s in steps if s.before}
    waits = any(o.status == "pending" or o.step.would_wait for o in outcomes)
    every = (*manifest.builds, *manifest.others)
    builds = [build for build in every if "KeepLatest" in build.data]
    everywhere = {(region, "") for build in every for region, _ in build.images}
    keep: dict[tuple[str, str], int] = {}
    left_alone: set[tuple[str, str]] = set()
    for build in builds:
        template = build.templates.get("ImageFamily")
        fixed = "" if waits or not template or template.fields else template.render({})
        for region, image_id in build.images or everywhere:
            if (image := labelled.get((region, image_id))) and not waits:
                family = region, str(image.values["ImageFamily"])
                keep[family] = max(keep.get(family, 0), int(build.data["KeepLatest"]))
            else:
                left_alone.add((region, fixed))
    keep = {key: n for key, n in keep.items() if left_alone.isdisjoint((key, (key[0], "")))}
    if not builds:
        return None
    regions = tuple(dict.fromkeys(region for region, _ in keep))
    built = {i: "ImageDeprecated" in build.data for build in every for _, i in build.images}
    path = builds[0].paths["KeepLatest"]
    return Retirement(regions, keep, labelled, built, left_alone, path, manifest.dry_run)


def plan(request: Retirement, current: CurrentImages, _now: Now) -> Plan:
    """The plan, cut to `max_changes`: if it were rejected, the next one would be too large as well.

    Images that are no longer deprecated come first, so that no family is left without an image.
    """
    planned = plan_regions(current, lambda region, images: _retire(request, region, images))
    planned = planned._replace(warnings=tuple(map(_not_retired, sorted(request.left_alone))))
    changes = sorted(planned.changes, key=_priority)
    later = {step.image_key for step in changes[request.max_changes :]}
    if not later:
        return planned
    message = (
        f"KeepLatest would change {len(changes)} images; at most {request.max_changes} are "
        "allowed in one run, oldest first; the rest follow when this or a later build's manifest "
        "is delivered, if STEWARD_MAX_CHANGES leaves room"
    )
    steps = {r: [s for s in planned.steps[r] if s.image_key not in later] for r in planned.steps}
    warning = TooManyChanges(Violation(request.path, message))
    return planned._replace(steps=steps, warnings=(*planned.warnings, warning))


def _not_retired(left_alone: tuple[str, str]) -> StewardError:
    region, family = left_alone
    families = f"family {family}" if family else "all families"
    reason = "not all images of this run are labelled"
    return NotRetired(f"KeepLatest leaves {families} in {region} alone: {reason}")


def _retire(request: Retirement, region: str, images: Collection[Image]) -> list[Step]:
    """The steps that deprecate all but the newest images of each family."""
    # With their new labels, even if DescribeImages does not list these, or the images, yet.
    opted_out = {image.image_id for image in images if image.is_opted_out}
    labelled = request.labelled.items()
    own = {i: image for (r, i), image in labelled if r == region and i not in opted_out}
    families: dict[tuple[str, str], list[DesiredState]] = defaultdict(list)
    for image in oldest_first(({image.image_id: image for image in images} | own).values()):
        if not request.built.get(image.image_id):
            skip_reason = "" if image.image_id in own else reason_to_skip(image)
            group = str(image.values["ImageFamily"])
            state = DesiredState(image, skip_reason, group="" if skip_reason else group)
            families[region, group].append(state)
    steps: list[Step] = []
    for family, keep in request.keep.items():
        states = families[family]  # none if it is one of another region
        retire(keep, states, request.built)
        steps += [state.step(region) for state in states]
    # The manifest's own images have an outcome already; they are listed only if they change again.
    return [step for step in steps if not step.is_empty or step.image_id not in own]


def _priority(step: Step) -> tuple[bool, str, str]:
    created = step.before.facts["CreatedTime"] if step.before else ""
    return bool(step.values["ImageDeprecated"]), created, step.image_id
