"""The plan of a naming policy, and whether the policy leaves its own outcome alone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import StewardError, TooManyChanges, UnstablePolicy, Violation
from image_steward.messages import short
from image_steward.model import Image, Plan, Step
from image_steward.planning.desired_state import DesiredState, desired_state_of, desired_states_of
from image_steward.planning.diff import after, members, of_regions
from image_steward.planning.rename_order import ordered

_REGROUPS = (
    "KeepLatest ranks what Select finds, and Select looks at what this policy writes: if the run "
    "breaks off, the next one ranks only the images that are left, and may keep others of them"
)


def plan(policy: NamingPolicy, current: CurrentImages, now: float) -> Plan:
    """The plan, `now` (seconds since the epoch); a dry run's may be larger than allowed.

    Raises:
        UnstablePolicy, TooManyChanges: as they say.
    """
    made = of_regions(current, lambda region, images: normalise(policy, region, images, now))
    changes = len(made.changes)
    warnings: list[StewardError] = []
    if policy.may_regroup and changes:
        warnings.append(UnstablePolicy(Violation("/Normalise/KeepLatest", _REGROUPS)))
    if changes > policy.max_changes:
        told = f"{changes} images would be changed; at most {policy.max_changes} are allowed"
        error = TooManyChanges(Violation("/Normalise/MaxChanges", told))
        if not policy.dry_run:
            raise error
        warnings.append(error)
    return replace(
        made,
        warnings=tuple(warnings),
        phases=policy.phases,
        blocking_statuses=policy.blocking_statuses,
    )


def normalise(
    policy: NamingPolicy, region: str, images: Collection[Image], now: float
) -> list[Step]:
    """A step for each of the private images of a region, `now` (seconds since the epoch).

    Raises:
        UnstablePolicy: a second run would change something again.
    """
    templates = {**policy.templates, **{f"Tag.{key}": each for key, each in policy.tags.items()}}
    rules = {name: f"{name}: {short(each.text)}" for name, each in templates.items()}
    rules["ImageDeprecated"] = f"KeepLatest: {policy.keep_latest}"
    steps = [
        desired.step(region, rules) for desired in desired_states_of(policy, region, images, now)
    ]
    check_stable(policy, region, images, steps, now)
    return ordered(steps, images, policy.select.owner)


def check_stable(
    policy: NamingPolicy, region: str, images: Collection[Image], steps: Sequence[Step], now: float
) -> None:
    """Hold the policy to its own outcome: each image that is changed, looked at once more.

    And as a run leaves it that breaks off between its attributes and its tags. The images that are
    not changed look the same as before. Only KeepLatest looks at several together: it could change
    its mind about some when others are not selected any more, so then all are done again.
    """
    if not policy.feedback_paths:
        return
    loses_some = False
    for image, step in zip(images, steps, strict=True):
        if step.is_empty:
            continue
        once = after(image, step)
        desired = desired_state_of(policy, region, once, now)
        loses_some |= bool(desired.skipped)
        _check(region, image, desired)
        if policy.feedback_paths > 1 and step.attributes and step.tags:
            ((first,), _) = policy.phases
            half = after(image, Step(region, image.image_id, **{first: getattr(step, first)}))
            desired = desired_state_of(policy, region, half, now, held=once.name)
            if desired.skipped:
                message = (
                    f"a run that stops after the {first} of {image.image_id} in {region} would "
                    f"leave it half done, as the next one would skip it: {desired.skipped}; of "
                    "what the policy writes, Select and the templates may look at attributes or "
                    "at tags, not at both"
                )
                raise UnstablePolicy(Violation("/Normalise", message))
            desired.image = once
            _check(region, image, desired)
    if policy.may_regroup and loses_some:
        outcome = [after(image, step) for image, step in zip(images, steps, strict=True)]
        for image, desired in zip(
            images, desired_states_of(policy, region, outcome, now), strict=True
        ):
            _check(region, image, desired)


def _check(region: str, was: Image, desired: DesiredState) -> None:
    """Refuse a policy that wants something of its own outcome.

    Raises:
        UnstablePolicy: the first thing that a second run would change, as it is, would be and then.
    """
    once = desired.image
    attributes, tags = once.lacks(desired.attributes, desired.tags)
    if desired.skipped or not (attributes or tags):
        return
    name = next(iter([*attributes, *(f"Tag.{key}" for key in tags)]))
    member = {"ImageDeprecated": "KeepLatest"}.get(name, name) if attributes else "Tags"
    values = (members(each.attributes, each.tags).get(name, "") for each in (was, once, desired))
    now, then, later = (short(str(value)) for value in values)
    told = (
        f"{name.replace('Tag.', 'tag ', 1)} of {once.image_id} in {region} is {now}; this run "
        f"would make it {then} and the next one {later}; a policy must leave its own outcome alone"
    )
    raise UnstablePolicy(Violation(f"/Normalise/{member}", told))
