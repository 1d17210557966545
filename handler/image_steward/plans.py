"""What a request comes to: the steps in each region, by the images as they are now."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from image_steward.errors import (
    StewardError,
    TemporaryName,
    TooManyChanges,
    UnstablePolicy,
    Violation,
)
from image_steward.images import NAMES_OF_A_FILTER, describe_images, list_images
from image_steward.planning import Step, ordered, plan
from image_steward.workers import attempted, side_by_side

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from image_steward.documents import Change, ChangeRequest
    from image_steward.images import Call
    from image_steward.policies import Policy


_REGROUPS = (
    "KeepLatest ranks what Select finds, and Select looks at what this policy writes: if the run "
    "breaks off, the next one ranks only the images that are left, and may keep others of them"
)


@dataclass
class Plan:
    """Steps by region; what could not be planned, by region; what should be known beforehand."""

    steps: list[list[Step]]
    refused: list[tuple[str, StewardError]] = field(default_factory=list)
    warnings: list[StewardError] = field(default_factory=list)

    @classmethod
    def of_regions(cls, found: Mapping[str, list[Step] | StewardError]) -> Plan:
        """From the steps of each region, or why it could not be read: the others can be done."""
        steps = [each for each in found.values() if isinstance(each, list)]
        return cls(steps, [(r, e) for r, e in found.items() if isinstance(e, StewardError)])


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
    made = Plan.of_regions(dict(zip(policy.regions, side_by_side(works), strict=True)))
    if policy.regroups and any(not step.is_empty for steps in made.steps for step in steps):
        made.warnings.append(UnstablePolicy(Violation("/Normalise/KeepLatest", _REGROUPS)))
    return _limited(made, policy.max_changes, "/Normalise/MaxChanges", dry_run=dry_run)


def _limited(made: Plan, most: int, path: str, *, dry_run: bool) -> Plan:
    """The plan, if it changes at most so many images; a dry run gets a warning instead.

    Raises:
        TooManyChanges: with `path`, the JSON Pointer to what said so.
    """
    changes = sum(not step.is_empty for steps in made.steps for step in steps)
    if changes > most:
        told = f"{changes} images would be changed; at most {most} are allowed"
        error = TooManyChanges(Violation(path, told))
        if not dry_run:
            raise error
        made.warnings.append(error)
    return made


def of_temporary_names(made: Plan) -> list[TemporaryName]:
    """What is to be known of each image with a temporary name that an earlier run has left."""
    return [
        _of_temporary_name(step, step.before.name)
        for steps in made.steps
        for step in steps
        if step.before and step.before.has_temporary_name
    ]


def _of_temporary_name(step: Step, name: str) -> TemporaryName:
    place = f"{step.image_id} in {step.region}"
    if step.new_name:
        return TemporaryName(
            f"{place} has the temporary name {name!r} of an earlier run; the Undo of this one "
            "would give it back, so to undo both take the journal or the log of the earlier one"
        )
    return TemporaryName(
        f"{place} has the temporary name {name!r} of another run and keeps it: if none is under "
        "way, deliver the document of that run again as it was, or give the image a name"
    )


def _changes(call: Call, region: str, changes: Sequence[Change]) -> list[Step]:
    ids = [change.image_id for change in changes]
    try:
        images = describe_images(call, region, ids)
    except StewardError as error:
        return [Step(region, image_id, error=error) for image_id in ids]
    return in_order(call, region, plan(changes, images))


def in_order(call: Call, region: str, steps: Sequence[Step]) -> list[Step]:
    """The steps with their renames in an order that works."""
    names = [step.new_name for step in steps if step.new_name]
    if not names:
        return list(steps)
    try:
        # Who else has these names? A few can be asked for; they need not be in the plan.
        others = list_images(call, region, names if len(names) <= NAMES_OF_A_FILTER else ())
    except StewardError as error:
        nothing = partial(Step, region, error=error)
        return [s if s.error else nothing(image_id=s.image_id, before=s.before) for s in steps]
    return ordered(steps, others.values())


def _normalised(call: Call, policy: Policy, region: str, now: float) -> list[Step] | StewardError:
    """The steps of a policy in one region, or why it could not be read."""
    from image_steward.normalising import normalise  # noqa: PLC0415 - other kinds never pay for it

    images = attempted(partial(list_images, call, region))
    if isinstance(images, StewardError):
        return images
    return normalise(policy, region, images.values(), now)
