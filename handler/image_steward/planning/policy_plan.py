"""The plan of a naming policy. Pure."""

from __future__ import annotations

from collections.abc import Collection

from image_steward.current_images import CurrentImages
from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import StewardError, TooManyChanges, UnstablePolicy, Violation
from image_steward.messages import short
from image_steward.model import Image, Plan, Step
from image_steward.planning.rename_order import ordered
from image_steward.planning.stability import check_stable
from image_steward.planning.wishes import wishes_of

_REGROUPS = (
    "KeepLatest ranks what Select finds, and Select looks at what this policy writes: if the run "
    "breaks off, the next one ranks only the images that are left, and may keep others of them"
)


def plan(policy: NamingPolicy, current: CurrentImages, *, now: float, dry_run: bool) -> Plan:
    """The plan, `now` (seconds since the epoch); a dry run's may be larger than allowed.

    Raises:
        UnstablePolicy, TooManyChanges: as they say.
    """
    steps: dict[str, list[Step]] = {}
    unread: dict[str, StewardError] = {}
    for region, seen in current.items():
        if isinstance(seen, StewardError):
            unread[region] = seen
        else:
            images = [image for image in seen.images.values() if isinstance(image, Image)]
            steps[region] = normalise(policy, region, images, now)
    changes = sum(not step.is_empty for each in steps.values() for step in each)
    warnings: list[StewardError] = []
    if policy.regroups and changes:
        warnings.append(UnstablePolicy(Violation("/Normalise/KeepLatest", _REGROUPS)))
    if changes > policy.max_changes:
        told = f"{changes} images would be changed; at most {policy.max_changes} are allowed"
        error = TooManyChanges(Violation("/Normalise/MaxChanges", told))
        if not dry_run:
            raise error
        warnings.append(error)
    return Plan(steps, unread, tuple(warnings), policy.phases, policy.held_by)


def normalise(
    policy: NamingPolicy, region: str, images: Collection[Image], now: float
) -> list[Step]:
    """A step for each of the private images of a region, `now` (seconds since the epoch).

    Raises:
        UnstablePolicy: a second run would change something again.
    """
    rules = _rules(policy)
    steps = [wish.step(region, rules) for wish in wishes_of(policy, region, images, now)]
    check_stable(policy, region, images, steps, now)
    return ordered(steps, images, policy.select.mark)


def _rules(policy: NamingPolicy) -> dict[str, str]:
    """What the rules say, by what they are for."""
    templates = {f"Tag.{key}": each for key, each in policy.tags.items()} | policy.templates
    return {name: f"{name}: {short(each.text)}" for name, each in templates.items()} | {
        "ImageDeprecated": f"KeepLatest: {policy.keep_latest}"
    }
