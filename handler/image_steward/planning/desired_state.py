"""The desired state of each image of a region, by a naming policy. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from image_steward.clock import utc
from image_steward.documents.naming_policy import NamingPolicy
from image_steward.errors import ApiError
from image_steward.limits import TAGS_PER_IMAGE
from image_steward.messages import short
from image_steward.model import ATTRIBUTES, OPTED_OUT, Image, Now, Step, Value
from image_steward.naming.style import cut
from image_steward.naming.templates import NoValue
from image_steward.naming.temporary import is_temporary
from image_steward.naming.text import value_error

ANY_TIME = "~"
"""Later than any time as `clock.utc` writes it."""

_TOO_MANY_TAGS = "LimitExceeded.ResourceAttachedTags"
"""The Tag API's error code (document/api/651)."""


@dataclass(slots=True)
class DesiredState:
    """What a policy wants one image to be; filled in gradually."""

    image: Image
    skip_reason: str = ""
    """Why the policy does not change the image; empty if it does."""
    base_name: str = ""
    """The name from the template, without a number."""
    holder: str = ""
    """The id of the image that has that name; empty: it is free."""
    values: dict[str, Value] = field(default_factory=dict)
    """What it is to have; None: the tag is deleted."""
    group: str = ""
    """The images among which Retire ranks this one; empty: it is not ranked."""
    rank: int = 0
    """In its group; the newest image has rank 1."""
    has_too_many_tags: bool = False
    """Whether it fails, since it would have more tags than an image can have."""
    is_displaced: bool = False
    """Whether it is skipped because another image has its name."""

    def skip(self, reason: str) -> None:
        """Leave the image alone."""
        note = " (the image has a temporary name)" if is_temporary(self.image.name) else ""
        self.skip_reason, self.group = reason + note, ""

    def step(self, region: str) -> Step:
        """The step to this state."""
        image = self.image
        if self.has_too_many_tags:
            error = ApiError(_TOO_MANY_TAGS, self.skip_reason)
            return Step(region, image.image_id, before=image, error=error)
        if self.skip_reason:
            skipped = (self.skip_reason,)
            return Step(region, image.image_id, before=image, reasons=skipped, is_skipped=True)
        values, reasons = image.missing(self.values), []
        if self.holder and "ImageName" in values:
            reasons.append(f'"{self.base_name}" is taken by {self.holder}')
        if self.rank and "ImageDeprecated" in values:
            reasons.append(f"number {self.rank} of its group, newest first")
        return Step(region, image.image_id, values, image, reasons=tuple(reasons))


def desired_states_of(
    policy: NamingPolicy, region: str, images: Iterable[Image], now: Now, left_out: Collection[str]
) -> list[DesiredState]:
    """The desired states of images, oldest first; those `left_out`, by id, are skipped."""
    states = [desired_state_of(policy, region, image, now, left_out) for image in images]
    if "ImageName" in policy.templates:
        selected = [state for state in states if not state.skip_reason]
        taken = {s.image.name: s.image.image_id for s in states if s.skip_reason}
        if policy.number_on_conflict:
            _number_conflicts(policy, region, selected, taken)
        else:
            _skip_conflicts(selected, taken)
    if rule := policy.retire:
        created_by = utc(now() - rule.older_than) if rule.older_than else ANY_TIME
        retire(rule.keep, states, (), created_by)
    return states


def desired_state_of(
    policy: NamingPolicy, region: str, image: Image, now: Now, left_out: Collection[str] = ()
) -> DesiredState:
    """The desired state of an image, ignoring name conflicts and ranks."""
    moment = now()
    reason = reason_to_skip(image) or policy.mismatch(image, moment)
    if image.image_id in left_out:
        reason = "the policy is not stable for it"
    age = policy.select.age_mismatch(image, moment)
    if reason or (age and not policy.retire):
        return DesiredState(image, reason or age)
    state, values = DesiredState(image), policy.values(region, image)
    if age and not replace(policy.select, younger_than=None).age_mismatch(image, moment):
        return DesiredState(image, age, group=_group(state, policy, values))  # it stays as it is
    try:
        name = ""
        if template := policy.templates.get("ImageName"):
            name = state.base_name = policy.style.apply(template.render(values))
            if not name:
                _check("ImageName", name)
            if policy.number_on_conflict and policy.style.fits(image.name, name):
                name = image.name
        _render(state, policy, values, name)
        added = state.values.keys() - image.values.keys()
        count = len(image.values) + len(added) - len(ATTRIBUTES)
        if added and count > TAGS_PER_IMAGE:
            state.has_too_many_tags = True
            later = " before others are deleted" if None in state.values.values() else ""
            state.skip(f"it would have {count} tags{later}; at most {TAGS_PER_IMAGE} are allowed")
    except NoValue as error:
        state.skip(str(error))
    if age:  # it is only ranked, as it will be
        state = DesiredState(image, age, group=state.group)
    return state


def reason_to_skip(image: Image) -> str:
    """Why policies must not change an image; empty if they may."""
    if image.is_opted_out:
        return OPTED_OUT
    if image.facts["ImageType"] != "PRIVATE_IMAGE":
        return f"ImageType is {image.facts['ImageType']}, not PRIVATE_IMAGE"
    return "" if image.state == "NORMAL" else f"ImageState is {image.state}, not NORMAL"


def oldest_first(images: Iterable[Image]) -> list[Image]:
    """The images, oldest first."""
    return sorted(images, key=lambda image: (image.facts["CreatedTime"], image.image_id))


def retire(
    keep: int, states: list[DesiredState], spared: Collection[str], created_by: str = ANY_TIME
) -> None:
    """Deprecate all but the newest `keep` images of each group; not those that are `spared`.

    `states` are oldest first. Images created after `created_by`, or of unknown age if that is a
    time, are not deprecated, either.
    """
    ranks: dict[str, int] = defaultdict(int)
    for state in reversed(states):
        if state.group:
            ranks[state.group] += 1
            state.rank = ranks[state.group]
            created, image = state.image.facts["CreatedTime"], state.image
            is_kept = state.rank <= keep
            is_old = (created or ANY_TIME) <= created_by
            if is_kept or (is_old and image.image_id not in spared):
                state.values["ImageDeprecated"] = not is_kept
                if image.values["ImageDeprecated"] is is_kept:
                    state.skip_reason = ""  # what is only too young or too old is retired, too


def _number_conflicts(
    policy: NamingPolicy, region: str, states: list[DesiredState], taken: dict[str, str]
) -> None:
    """Add numbers to names that are taken; an image keeps its name if that fits, number and all."""
    renamed = [state for state in states if state.values["ImageName"] != state.image.name]
    images = (s.image for s in states if s.values["ImageName"] == s.image.name)
    taken |= {image.name: image.image_id for image in images}
    conflicts = []
    for state in renamed:
        if state.base_name in taken:
            conflicts.append(state)
        else:
            taken[state.base_name] = state.image.image_id
    # Long names may be equal once they are cut to make room for a number; such names share one
    # series of numbers.
    tried: dict[tuple[str, int], int] = {}
    last: dict[str, int] = {}
    for state in conflicts:
        number = last.get(state.base_name, 1) + 1
        while (name := policy.style.numbered(state.base_name, number)) in taken:
            digits = str(number)
            series = (name.removesuffix(digits), len(digits))
            number = tried[series] = max(number + 1, tried.get(series, 0))
        last[state.base_name] = number
        taken[name] = state.image.image_id
        state.holder = taken[state.base_name]
        try:
            _render(state, policy, policy.values(region, state.image), name)
        except NoValue as error:
            state.skip(str(error))


def _skip_conflicts(states: list[DesiredState], taken: Collection[str]) -> None:
    """Skip images whose names are taken; of several that want one name, the oldest gets it."""
    holders = {state.base_name: state for state in states if state.base_name == state.image.name}
    skipped = [
        s for s in states if s.base_name in taken or holders.setdefault(s.base_name, s) is not s
    ]
    while skipped:  # a skipped image keeps its name, which another one may want
        state = skipped.pop()
        state.skip(f"the name {short(state.base_name)} is taken by another image")
        state.is_displaced = True
        holder = holders.get(state.image.name)
        if holder is not None and not holder.skip_reason:
            skipped.append(holder)


def _render(state: DesiredState, policy: NamingPolicy, values: dict[str, Any], name: str) -> None:
    """Render all templates except that of the name; `name` is the new one, empty for none.

    `values` are those by the old name.
    """
    if name:
        state.values["ImageName"] = name
        if name != state.image.name:
            values = policy.derived({**values, "ImageName": name}, values, {"ImageName"})
    if policy.deprecated is not None:
        state.values["ImageDeprecated"] = policy.deprecated
    for member, template, most in policy.other_templates:
        text = template.render(values)
        if len(text) > most:
            text = cut(text, most).rstrip()
        if member != "ImageDescription" and not (text and text.isprintable()):
            _check(member, text)
        state.values[member] = text
    if policy.delete_tags:
        state.values |= dict.fromkeys(filter(policy.deletes, state.image.values))
    state.group = _group(state, policy, values)


def _group(state: DesiredState, policy: NamingPolicy, values: dict[str, Any]) -> str:
    """The group in which an image is ranked, by its values as they will be; empty if it is not."""
    if not policy.retire:
        return ""
    values |= {name: "" if value is None else value for name, value in state.values.items()}
    try:
        return policy.retire.group_by.render(policy.derived(values, values, policy.changed_fields))
    except NoValue:
        return ""


def _check(name: str, text: str) -> None:
    """Check the text of a name, a family or a tag.

    Raises:
        NoValue: it is empty, or has a character that is not allowed.
    """
    if error := value_error(name, text) if text else "is empty":
        raise NoValue(name, error)
