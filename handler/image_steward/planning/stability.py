"""Whether a policy leaves its own outcome alone. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import UnstablePolicy, Violation
from image_steward.messages import short
from image_steward.model import Image, Step
from image_steward.planning.diff import after
from image_steward.planning.wishes import Wish, passed_over, wish_of, wishes_of


def check_stable(
    policy: NamingPolicy, region: str, images: Collection[Image], steps: Sequence[Step], now: float
) -> None:
    """Hold the policy to its own outcome: each image that is changed, looked at once more.

    And as a run leaves it that breaks off between its attributes and its tags. The images that are
    not changed look the same as before. Only KeepLatest looks at several together: it could change
    its mind about some when others are not selected any more, so then all are done again.
    """
    if not (policy.renders_what_it_writes or policy.selects_by_both or policy.regroups):
        return
    loses_some = False
    for image, step in zip(images, steps, strict=True):
        if step.is_empty:
            continue
        once = after(image, step)
        if policy.renders_what_it_writes:
            wish = wish_of(policy, region, once, now)
        else:
            wish = Wish(once, passed_over(policy, once, now))
        loses_some |= bool(wish.skipped)
        _check(region, image, wish)
        if policy.can_be_torn and step.attributes and step.tags:
            ((first,), _) = policy.phases
            half = after(image, Step(region, image.image_id, **{first: getattr(step, first)}))
            wish = wish_of(policy, region, half, now, held=once.name)
            if wish.skipped:
                raise UnstablePolicy(_torn(region, image, first, wish.skipped))
            wish.image = once
            _check(region, image, wish)
    if policy.regroups and loses_some:
        outcome = [after(image, step) for image, step in zip(images, steps, strict=True)]
        for image, wish in zip(images, wishes_of(policy, region, outcome, now), strict=True):
            _check(region, image, wish)


def _check(region: str, was: Image, wish: Wish) -> None:
    """Refuse a policy that wants something of its own outcome."""
    if not wish.skipped and any(wish.lacking()):
        raise UnstablePolicy(_flip(region, was, wish))


def _torn(region: str, was: Image, first: str, why: str) -> Violation:
    """What becomes of an image when a run breaks off after its `first` half."""
    return Violation(
        "/Normalise",
        f"a run that breaks off after the {first} of {was.image_id} in {region} would leave it "
        f"half done, as the next one would skip it: {why}; of what the policy writes, Select and "
        "the templates may look at attributes or at tags, not at both",
    )


def _flip(region: str, was: Image, wish: Wish) -> Violation:
    """The first thing that a second run would change: as it is, as it would be, and then."""
    attributes, tags = wish.lacking()
    once = wish.image
    for name, twice in attributes.items():
        member = "KeepLatest" if name == "ImageDeprecated" else name
        values = (was.attributes[name], once.attributes[name], twice)
        break
    else:
        key, twice = next(iter(tags.items()))
        member, name = "Tags", f"tag {key}"
        values = (was.tags.get(key, ""), once.tags[key], twice)
    now, then, later = (short(str(value)) for value in values)
    return Violation(
        f"/Normalise/{member}",
        f"{name} of {once.image_id} in {region} is {now}; this run would make it {then} and the "
        f"next one {later}; a policy must leave its own outcome alone",
    )
