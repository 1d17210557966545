"""The plan of a naming policy, and the check that the policy is stable. Pure."""

from __future__ import annotations

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import UnstablePolicy, Violation
from image_steward.messages import short
from image_steward.model import Image, Now, Plan, Step, by_name
from image_steward.planning.ceiling import limited
from image_steward.planning.desired_state import DesiredState, desired_state_of, desired_states_of
from image_steward.planning.diff import apply_step, plan_regions
from image_steward.planning.rename_order import order_renames

_RANKING_CHANGES = (
    "KeepLatest ranks the images that Select matches, and this policy changes what Select looks "
    "at: if the run is interrupted, the next one ranks fewer images, and may keep the wrong ones"
)


def plan(policy: NamingPolicy, current: CurrentImages, now: Now) -> Plan:
    """The plan of a policy. A dry run may exceed MaxChanges.

    Raises:
        UnstablePolicy: as `normalise`.
        TooManyChanges: the plan changes more images than MaxChanges.
        TimeRanOut: as `now`.
    """
    planned = plan_regions(current, lambda region, images: normalise(policy, region, images, now))
    errors = planned.errors.values()
    if not policy.dry_run and any(error.transient or error.may_be_applied for error in errors):
        # MaxChanges is for all regions together, and the next delivery may read those missing.
        planned = planned._replace(steps={})
    if policy.may_regroup and planned.changes:
        warning = UnstablePolicy(Violation("/Normalise/KeepLatest", _RANKING_CHANGES))
        planned = planned._replace(warnings=(warning,))
    phases, statuses = policy.phases, policy.blocking_statuses
    planned = planned._replace(phases=phases, blocking_statuses=statuses)
    path = "/Normalise/MaxChanges"
    return limited(planned, policy.max_changes, "MaxChanges", path, dry_run=policy.dry_run)


def normalise(policy: NamingPolicy, region: str, images: list[Image], now: Now) -> list[Step]:
    """A step for each private image of a region.

    Raises:
        UnstablePolicy: a second run would change something again.
        TimeRanOut: as `now`.
    """
    templates = {**policy.templates, **{f"Tag.{key}": tag for key, tag in policy.tags.items()}}
    rules = {name: f"{name}: {short(template.text)}" for name, template in templates.items()}
    rules["ImageDeprecated"] = f"KeepLatest: {policy.keep_latest}"
    states = desired_states_of(policy, region, images, now)
    steps = [state.step(region, rules) for state in states]
    check_stable(policy, region, images, steps, now)
    return order_renames(steps, images, policy.select.owner)


def check_stable(
    policy: NamingPolicy, region: str, images: list[Image], steps: list[Step], now: Now
) -> None:
    """Check that the policy does not change its own outcome in a second run.

    Every changed image is planned again, both after the whole run and after a run that is
    interrupted between attributes and tags. Only KeepLatest compares images: if some of them are
    not selected any more, all images of the region are planned again together.

    Raises:
        UnstablePolicy: it would change something again, or skip an image that is half done.
    """
    if not policy.feedback_paths:
        return
    deselects = False
    for image, step in zip(images, steps, strict=True):
        if step.is_empty:
            continue
        changed = apply_step(image, step)
        state = desired_state_of(policy, region, changed, now)
        deselects |= bool(state.skip_reason)
        _reject_if_unstable(region, image, state)
        if policy.feedback_paths > 1 and step.attributes and step.tags:
            ((first,), _) = policy.phases
            half = apply_step(image, Step(region, image.image_id, **{first: getattr(step, first)}))
            state = desired_state_of(policy, region, half, now, current_name=changed.name)
            if state.skip_reason:
                message = (
                    f"if the run is interrupted after it has written the {first} of "
                    f"{image.image_id} in {region}, the next one skips the image half done "
                    f"({state.skip_reason}); Select and the templates may read the attributes or "
                    "the tags that the policy writes, but not both"
                )
                raise UnstablePolicy(Violation("/Normalise", message))
            state.image = changed  # the image to compare with
            _reject_if_unstable(region, image, state)
    if policy.may_regroup and deselects:
        outcome = [apply_step(image, step) for image, step in zip(images, steps, strict=True)]
        states = desired_states_of(policy, region, outcome, now)
        for image, state in zip(images, states, strict=True):
            _reject_if_unstable(region, image, state)


def _reject_if_unstable(region: str, before: Image, state: DesiredState) -> None:
    """Reject a policy whose next run would change an image again.

    Raises:
        UnstablePolicy: the first value that would change: now, after this run and after the next.
    """
    after = state.image
    differences = by_name(*after.missing(state.attributes, state.tags))
    if state.skip_reason or not differences:
        return
    name = next(iter(differences))
    member = "Tags" if name.startswith("Tag.") else name.replace("ImageDeprecated", "KeepLatest")
    values = (by_name(i.attributes, i.tags).get(name, "") for i in (before, after, state))
    now, then, later = (short(str(value)) for value in values)
    message = (
        f"{name.replace('Tag.', 'tag ', 1)} of {after.image_id} in {region} is {now}; this run "
        f"would make it {then} and the next one {later}; a second run must change nothing"
    )
    raise UnstablePolicy(Violation(f"/Normalise/{member}", message))
