"""The desired state of each image of a region, by a naming policy. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from image_steward.documents.naming_policy import NamingPolicy
from image_steward.limits import DESCRIPTION_LENGTH, TAG_VALUE_LENGTH
from image_steward.messages import short
from image_steward.model import OPTED_OUT, Attributes, Image, Now, Step, Tags
from image_steward.naming.fields import values_of
from image_steward.naming.style import cut
from image_steward.naming.templates import NoValue
from image_steward.naming.temporary import is_temporary
from image_steward.naming.text import value_error


@dataclass(slots=True)
class DesiredState:
    """What a policy wants one image to be; filled in gradually."""

    image: Image
    skip_reason: str = ""
    """Why the policy does not change the image; empty if it does."""
    base_name: str = ""
    """The name from the template, without a number."""
    attributes: Attributes = field(default_factory=dict)
    tags: Tags = field(default_factory=dict)
    rank: int = 0
    """In its family; the newest image has rank 1."""
    values: dict[str, str] = field(default_factory=dict)
    """Of the template fields; `ImageName` is the new name once it is known."""

    def step(self, region: str, rules: Mapping[str, str]) -> Step:
        """The step to this state; `rules` has the text of each rule by attribute or `Tag.<key>`."""
        image = self.image
        if self.skip_reason:
            why = (self.skip_reason,)
            return Step(region, image.image_id, before=image, reasons=why, is_skipped=True)
        attributes, tags = image.missing(self.attributes, self.tags)
        reasons = [rules[name] for name in attributes] + [rules[f"Tag.{key}"] for key in tags]
        if "ImageName" in attributes and attributes["ImageName"] != self.base_name:
            reasons.append(f"{short(self.base_name)} is taken")
        if "ImageDeprecated" in attributes:
            reasons.append(f"number {self.rank} of its family, newest first")
        return Step(region, image.image_id, attributes, tags, before=image, reasons=tuple(reasons))


def desired_states_of(
    policy: NamingPolicy, region: str, images: Iterable[Image], now: Now
) -> list[DesiredState]:
    """The desired states of images, in the same order."""
    states = [desired_state_of(policy, region, image, now) for image in images]
    selected = oldest_first(states)
    if "ImageName" in policy.templates:
        taken = {state.image.name for state in states if state.skip_reason}
        if policy.number_on_conflict:
            _number_conflicts(policy, selected, taken)
        else:
            _skip_conflicts(selected, taken)
    if policy.keep_latest:
        retire(policy.keep_latest, selected)
    return states


def desired_state_of(
    policy: NamingPolicy, region: str, image: Image, now: Now, current_name: str = ""
) -> DesiredState:
    """Desired state of an image, ignoring name conflicts; `current_name` overrides its own name."""
    state = DesiredState(image, reason_to_skip(image) or policy.select.mismatch(image, now()))
    if state.skip_reason:
        return state
    state.values = values_of(policy.fields, region, image)
    try:
        if template := policy.templates.get("ImageName"):
            base = state.base_name = policy.style.apply(template.render(state.values))
            if not base:
                state.skip_reason = f"the name from {short(template.text)} is empty"
                return state
            name = current_name or image.name
            name = name if policy.number_on_conflict and policy.style.fits(name, base) else base
            state.attributes["ImageName"] = state.values["ImageName"] = name
        _render(state, policy)
    except NoValue as error:
        state.skip_reason = str(error)
        if is_temporary(image.name):
            state.skip_reason += " (the image has a temporary name)"
    return state


def reason_to_skip(image: Image) -> str:
    """Why policies must not change an image; empty if they may."""
    if image.is_opted_out:
        return OPTED_OUT
    if image.facts["ImageType"] != "PRIVATE_IMAGE":
        return f"ImageType is {image.facts['ImageType']}, not PRIVATE_IMAGE"
    return "" if image.state == "NORMAL" else f"ImageState is {image.state}, not NORMAL"


def oldest_first(states: Iterable[DesiredState]) -> list[DesiredState]:
    """The states of images that are not skipped, oldest image first."""
    selected = [state for state in states if not state.skip_reason]
    return sorted(selected, key=lambda s: (s.image.facts["CreatedTime"], s.image.image_id))


def retire(keep: int, states: list[DesiredState], spared: Collection[str] = ()) -> None:
    """Deprecate all but the newest `keep` images of each family; not those that are `spared`.

    `states` are oldest first.
    """
    families: dict[str, int] = defaultdict(int)
    for state in reversed(states):
        family = str(state.attributes.get("ImageFamily", state.image.attributes["ImageFamily"]))
        if family and not state.skip_reason:
            families[family] += 1
            state.rank = families[family]
            if state.rank <= keep or state.image.image_id not in spared:
                state.attributes["ImageDeprecated"] = state.rank > keep


def _number_conflicts(policy: NamingPolicy, states: list[DesiredState], taken: set[str]) -> None:
    """Add numbers to names that are taken; an image keeps its name if that fits, number and all."""
    renamed = [state for state in states if state.attributes["ImageName"] != state.image.name]
    taken |= {s.image.name for s in states if s.attributes["ImageName"] == s.image.name}
    conflicts = []
    for state in renamed:
        if state.base_name in taken:
            conflicts.append(state)
        else:
            taken.add(state.base_name)
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
        taken.add(name)
        state.attributes["ImageName"] = state.values["ImageName"] = name
        _render(state, policy)


def _skip_conflicts(states: list[DesiredState], taken: set[str]) -> None:
    """Skip images whose names are taken; of several that want one name, the oldest gets it."""
    holders = {state.base_name: state for state in states if state.base_name == state.image.name}
    skipped = [
        s for s in states if s.base_name in taken or holders.setdefault(s.base_name, s) is not s
    ]
    while skipped:  # a skipped image keeps its name, which another one may want
        state = skipped.pop()
        state.skip_reason = f"the name {short(state.base_name)} is taken by another image"
        holder = holders.get(state.image.name)
        if holder is not None and not holder.skip_reason:
            skipped.append(holder)


def _render(state: DesiredState, policy: NamingPolicy) -> None:
    """Render all templates except that of the name."""
    for name, template in policy.templates.items():
        if name != "ImageName":
            text = template.render(state.values)
            is_description = name == "ImageDescription"
            text = cut(text, DESCRIPTION_LENGTH).rstrip() if is_description else _usable(name, text)
            state.attributes[name] = text
    for key, template in policy.tags.items():
        text = cut(template.render(state.values), TAG_VALUE_LENGTH).rstrip()
        state.tags[key] = _usable(f"Tag.{key}", text)


def _usable(name: str, text: str) -> str:
    """The text of a family or a tag.

    Raises:
        NoValue: it is empty, or has a character that is not allowed.
    """
    if error := value_error(name, text) if text else "is empty":
        raise NoValue(name, error)
    return text
