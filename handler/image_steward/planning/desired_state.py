"""What a policy wants of each image of a region. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from image_steward.documents.naming_policy import OPT_OUT, NamingPolicy
from image_steward.limits import DESCRIPTION_LENGTH, TAG_VALUE_LENGTH
from image_steward.messages import short
from image_steward.model import Attributes, Image, Step
from image_steward.naming.fields import values_of
from image_steward.naming.style import cut
from image_steward.naming.templates import NoValue, Template
from image_steward.naming.temporary import is_temporary


@dataclass(slots=True)
class DesiredState:
    """What a policy wants of one image, while that is being found out."""

    image: Image
    skipped: str = ""
    """Why nothing is done about it."""
    base: str = ""
    """The name that the template gives, before conflicts are looked at."""
    attributes: Attributes = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    rank: int = 0
    """In its family, the newest being 1."""
    values: dict[str, str] = field(default_factory=dict)
    """Of the fields of the templates; the name is the new one as soon as that is known."""

    def step(self, region: str, rules: Mapping[str, str]) -> Step:
        """The step that grants it; `rules` are in words, by what they are for."""
        image = self.image
        if self.skipped:
            why = (self.skipped,)
            return Step(region, image.image_id, before=image, reasons=why, is_skipped=True)
        attributes, tags = image.lacks(self.attributes, self.tags)
        said = [rules[name] for name in attributes] + [rules[f"Tag.{key}"] for key in tags]
        if "ImageName" in attributes and attributes["ImageName"] != self.base:
            said.append(f"{self.base!r} is taken")
        if "ImageDeprecated" in attributes:
            said.append(f"number {self.rank} of its family, newest first")
        return Step(region, image.image_id, attributes, tags, before=image, reasons=tuple(said))


def desired_states_of(
    policy: NamingPolicy, region: str, images: Iterable[Image], now: float
) -> list[DesiredState]:
    """In the order of the images, `now` (seconds since the epoch)."""
    desired_states = [desired_state_of(policy, region, image, now) for image in images]
    chosen = oldest_first(desired_states)
    if "ImageName" in policy.templates:
        taken = {desired.image.name for desired in desired_states if desired.skipped}
        if policy.number_on_conflict:
            _numbered(policy, chosen, taken)
        else:
            _first_come(chosen, taken)
    if policy.keep_latest:
        retire(policy.keep_latest, chosen)
    return desired_states


def desired_state_of(
    policy: NamingPolicy, region: str, image: Image, now: float, held: str = ""
) -> DesiredState:
    """What is wanted of an image that nobody contests its name, which is `held` or its own."""
    desired = DesiredState(image, untouchable(image) or policy.select.mismatch(image, now))
    if desired.skipped:
        return desired
    desired.values = values_of(policy.fields, region, image)
    try:
        if template := policy.templates.get("ImageName"):
            desired.base = policy.style.apply(template.render(desired.values))
            if not desired.base:
                desired.skipped = f"ImageName {short(template.text)} gives an empty name"
                return desired
            held = held or image.name
            name = desired.base
            if policy.number_on_conflict and policy.style.fits(held, name):
                name = held
            desired.attributes["ImageName"] = desired.values["ImageName"] = name
        _render(desired, policy.templates, policy.tags)
    except NoValue as error:
        desired.skipped = str(error)
        if is_temporary(image.name):
            desired.skipped += " (its name is a temporary one)"
    return desired


def untouchable(image: Image) -> str:
    """Why no policy is for an image; empty if one may be."""
    if image.tags.get(OPT_OUT[0]) == OPT_OUT[1]:
        return "it has the tag {} = {}".format(*OPT_OUT)
    if image.facts["ImageType"] != "PRIVATE_IMAGE":
        return f"ImageType is {image.facts['ImageType']}"
    return "" if image.state == "NORMAL" else f"ImageState is {image.state}"


def oldest_first(desired_states: Iterable[DesiredState]) -> list[DesiredState]:
    """The desired_states that are not skipped, by the age of their images."""
    chosen = [desired for desired in desired_states if not desired.skipped]
    return sorted(
        chosen, key=lambda desired: (desired.image.facts["CreatedTime"], desired.image.image_id)
    )


def retire(keep: int, chosen: Sequence[DesiredState]) -> None:
    """Deprecate all but the newest of each family, as it will be; `chosen` is oldest first."""
    families: dict[str, int] = defaultdict(int)
    for desired in reversed(chosen):
        family = str(desired.attributes.get("ImageFamily", desired.image.attributes["ImageFamily"]))
        if family and not desired.skipped:
            families[family] += 1
            desired.rank = families[family]
            desired.attributes["ImageDeprecated"] = desired.rank > keep


def _numbered(policy: NamingPolicy, chosen: Sequence[DesiredState], taken: set[str]) -> None:
    """Give each its name or a numbered one; whoever holds a fitting one keeps it."""
    waiting = [
        desired for desired in chosen if desired.attributes["ImageName"] != desired.image.name
    ]
    taken |= {one.image.name for one in chosen if one.attributes["ImageName"] == one.image.name}
    late = []
    for desired in waiting:
        if desired.base in taken:
            late.append(desired)
        else:
            taken.add(desired.base)
    named = [
        {key: template for key, template in each.items() if "ImageName" in template.fields}
        for each in (policy.templates, policy.tags)
    ]
    # Long names that begin alike are cut to the same one, so they count on from each other.
    tried: dict[tuple[str, int], int] = {}
    last: dict[str, int] = {}
    for desired in late:
        number = last.get(desired.base, 1) + 1
        while (name := policy.style.numbered(desired.base, number)) in taken:
            digits = str(number)
            series = (name.removesuffix(digits), len(digits))
            number = tried[series] = max(number + 1, tried.get(series, 0))
        last[desired.base] = number
        taken.add(name)
        desired.attributes["ImageName"] = desired.values["ImageName"] = name
        _render(desired, *named)


def _first_come(chosen: Sequence[DesiredState], taken: set[str]) -> None:
    """Give each its name if nobody else has it; the others keep what they have."""
    given = {desired.base: desired for desired in chosen if desired.base == desired.image.name}
    left_alone = [w for w in chosen if w.base in taken or given.setdefault(w.base, w) is not w]
    while left_alone:  # whoever keeps a name may keep it from another
        desired = left_alone.pop()
        desired.skipped = f"another image has, or gets, the name {desired.base!r}"
        taken.add(desired.image.name)
        loser = given.get(desired.image.name)
        if loser is not None and not loser.skipped:
            left_alone.append(loser)


def _render(
    desired: DesiredState, attributes: Mapping[str, Template], tags: Mapping[str, Template]
) -> None:
    """What the templates give that see the new name."""
    for name, template in attributes.items():
        if name != "ImageName":
            text = template.render(desired.values)
            desired.attributes[name] = (
                text if name == "ImageFamily" else cut(text, DESCRIPTION_LENGTH)
            )
    for key, template in tags.items():
        value = cut(template.render(desired.values).strip(), TAG_VALUE_LENGTH).rstrip()
        if not value:
            raise NoValue(f"tag {key}")
        desired.tags[key] = value
