"""The plan of a naming policy, and the check that the policy is stable. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import islice, product

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import UnstablePolicy, Violation
from image_steward.messages import shown
from image_steward.model import TAG, Image, Now, Plan, Step
from image_steward.naming.temporary import is_temporary
from image_steward.planning.ceiling import limited
from image_steward.planning.desired_state import desired_state_of, desired_states_of, oldest_first
from image_steward.planning.diff import failed_step, plan_regions
from image_steward.planning.rename_order import order_renames

MAX_ROUNDS = 10
"""How often a region is planned anew without the images that would change again."""

_MAX_LISTED = 20
"""Images that a rejection lists."""
_ORDERS = (
    (("tags",), ("attributes",), ("deletions",), ("last",)),
    (("tags",), ("deletions",), ("attributes",), ("last",)),
    (("tags",), ("attributes",), ("last",), ("deletions",)),
)
"""Orders of writes: what may end the selection of an image comes last."""


def plan(policy: NamingPolicy, current: CurrentImages, now: Now) -> Plan:
    """The plan of a policy. A dry run may exceed MaxChanges.

    Raises:
        UnstablePolicy: the policy is stable for none of the images that it would change.
        TooManyChanges: the plan changes more images than MaxChanges.
        TimeRanOut: as `now`.
    """
    planned = plan_regions(current, lambda region, images: normalise(policy, region, images, now))
    unstable = [s.error for s in planned.all_steps if isinstance(s.error, UnstablePolicy)]
    if unstable and not (planned.changes or planned.errors):
        listed = dict.fromkeys(Violation(*pair) for error in unstable for pair in error.details)
        more = [f"and {len(listed) - _MAX_LISTED} more images"] if len(listed) > _MAX_LISTED else []
        raise UnstablePolicy(*islice(listed, _MAX_LISTED), *more)
    errors = planned.errors.values()
    if not policy.dry_run and any(error.transient or error.may_be_applied for error in errors):
        # MaxChanges is for all regions together, and the next delivery may read those missing.
        planned = planned._replace(steps={})
    path, most = "/Normalise/MaxChanges", policy.max_changes
    planned = limited(planned, most, "MaxChanges", path, dry_run=policy.dry_run)
    return in_safe_order(policy, planned._replace(rules=policy.rules), now)


def normalise(policy: NamingPolicy, region: str, images: list[Image], now: Now) -> list[Step]:
    """A step for each private image of a region.

    The region is planned again on its own outcome. Images that would change again are taken out,
    and fail with `UnstablePolicy`; the rest is planned anew.

    Raises:
        TimeRanOut: as `now`.
    """
    images = oldest_first(images)
    unstable: dict[str, UnstablePolicy] = {}
    for left in reversed(range(MAX_ROUNDS)):
        states = desired_states_of(policy, region, images, now, unstable)
        steps = [state.step(region) for state in states]
        del states  # there may be 100,000
        changed = [step.image_id for step in steps if not step.is_empty]
        flips = _flips(policy, region, steps, now, unstable) if changed else {}
        if not flips:
            break
        if not left:
            message = (
                f"images still change again after {MAX_ROUNDS} plans, such as {next(iter(flips))}"
            )
            unstable |= dict.fromkeys(changed, UnstablePolicy(Violation("/Normalise", message)))
        unstable |= flips
    steps = [failed_step(s, unstable[s.image_id]) if s.image_id in unstable else s for s in steps]
    return order_renames(steps, images, policy.select.owner)


def _flips(
    policy: NamingPolicy, region: str, steps: list[Step], now: Now, unstable: Collection[str]
) -> dict[str, UnstablePolicy]:
    """The images that the next run would change again, by id, and what it would change."""
    outcome = (step.before.with_values(step.values) for step in steps if step.before)
    flips: dict[str, UnstablePolicy] = {}
    again = desired_states_of(policy, region, outcome, now, unstable)
    for step, state in zip(steps, again, strict=True):
        image = state.image
        differences = image.missing(state.values)
        # An image that keeps its name only because the next one is taken is not stable.
        is_skipped = state.skip_reason and (step.is_empty or not state.is_displaced)
        if step.before and differences and not (is_skipped or step.error):
            name = min(differences, key=lambda name: name.startswith(TAG))
            runs = (step.before.values, image.values, differences)
            now_, then, later = (shown(values.get(name)) for values in runs)
            message = (
                f"{name.replace('Tag.', 'tag ', 1)} of {step.image_id} in {region} is {now_}; this "
                f"run would make it {then} and the next one {later}; a second run must "
                "change nothing"
            )
            path = f"/Normalise/{'Tags' if name.startswith('Tag.') else name}"
            if policy.retire and name == "ImageDeprecated":
                path = policy.retire.path
            flips[step.image_id] = UnstablePolicy(Violation(path, message))
    return flips


def in_safe_order(policy: NamingPolicy, plan: Plan, now: Now) -> Plan:
    """The plan with an order of writes in which the next run finishes what this one may not.

    If no order is safe, the plan has a warning.
    """
    orders = [plan._replace(phases=order, last_tags=policy.last_tags) for order in _ORDERS]
    problems: list[Violation] = []
    for ordered in orders:
        if not (problem := _order_problem(policy, ordered, now)):
            return ordered
        problems.append(problem)
    return orders[0]._replace(warnings=(*plan.warnings, UnstablePolicy(problems[0])))


def _order_problem(policy: NamingPolicy, plan: Plan, now: Now) -> Violation | None:
    """Why the order of a plan's writes is not safe, or None."""
    last = len(plan.phases)
    for number, (region, steps) in product((last, *range(1, last)), plan.steps.items()):
        written = [name for phase in plan.phases[:number] for name in phase]
        befores = [(step, step.before) for step in steps if step.before]
        halves = [_half_done(plan, step, image, written) for step, image in befores]
        wholes = [image.with_values(step.values) for step, image in befores]
        is_whole = number == last
        if halves == wholes and not (is_whole and policy.retire):
            continue
        pairs = zip(befores, halves, strict=True)
        changed = {name for (_, image), half in pairs for name in _differences(image, half)}
        if not any(map(policy.reads, changed)):
            continue  # the next run sees no difference
        unstable = {s.image_id for s in steps if isinstance(s.error, UnstablePolicy)}
        states = desired_states_of(policy, region, halves, now, unstable)
        for (step, image), state, whole in zip(befores, states, wholes, strict=True):
            loses_rank = is_whole and not (step.is_empty or state.group)
            if policy.retire and loses_rank and desired_state_of(policy, region, image, now).group:
                message = (
                    f"{step.image_id} in {region} is ranked now, but the next run skips it, as "
                    f"{state.skip_reason}: if this run is interrupted, or newer images come, the "
                    "wrong ones may be kept"
                )
                return Violation(policy.retire.path, message)
            end = state.image.with_values(state.step(region).values)
            if (names := _differences(whole, end)) and not step.error:
                skips = f": the next one skips it, as {state.skip_reason}"
                reason = skips if state.skip_reason else ""
                where, advice = f"{step.image_id} in {region}", "use two policies"
                torn = f"has written the {' and '.join(written)} of {where}"
                if is_temporary(state.image.name):
                    torn = f"has given {where} a temporary name, so that others may change names"
                    advice = "the journal and the log keep its old name"
                return Violation(
                    "/Normalise",
                    f"no order of writes is safe: if a run is interrupted when it {torn}, "
                    f"{names[0]} does not become what is planned{reason}; {advice}",
                )
    return None


def _differences(image: Image, other: Image) -> list[str]:
    """The names of the values in which two images differ."""
    return [*other.missing(image.values), *image.missing(other.values)]


def _half_done(plan: Plan, step: Step, image: Image, written: Sequence[str]) -> Image:
    """An image when a part of its step is written; the first of a cycle has a temporary name."""
    values = plan.written_in(written, step)
    if step.temporary_name and "ImageName" not in values:
        values = plan.written_in(("attributes", *written), step)
        values = {**values, "ImageName": step.temporary_name}
    return image.with_values(values)
