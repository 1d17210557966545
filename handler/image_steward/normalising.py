"""From a policy and the images of a region to the steps that it wants. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_steward.errors import UnstablePolicy, Violation
from image_steward.images import Image
from image_steward.names import cut
from image_steward.planning import Step, ordered
from image_steward.policies import MAX_VALUE, OPT_OUT
from image_steward.schema import short
from image_steward.templates import NoValue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from image_steward.policies import Policy
    from image_steward.templates import Template

MAX_DESCRIPTION = 256
"""Characters of descriptions; a longer text is cut between two of them, as a tag's value is."""


def normalise(policy: Policy, region: str, images: Collection[Image], now: float) -> list[Step]:
    """A step for each of the private images of a region, `now` (seconds since the epoch).

    Raises:
        UnstablePolicy: a second run would change something again.
    """
    reasons = _reasons(policy)
    steps = [_step(region, wish, reasons) for wish in _wishes(policy, region, images, now)]
    _check_stable(policy, region, images, steps, now)
    return ordered(steps, images, policy.select.mark)


def _wishes(policy: Policy, region: str, images: Iterable[Image], now: float) -> list[_Wish]:
    """In the order of the images."""
    wishes = [_wish(policy, region, image, now) for image in images]
    chosen = sorted(
        (wish for wish in wishes if not wish.skipped),
        key=lambda wish: (wish.image.facts["CreatedTime"], wish.image.image_id),
    )
    if "ImageName" in policy.templates:
        taken = {wish.image.name for wish in wishes if wish.skipped}
        if policy.numbers:
            _numbered(policy, chosen, taken)
        else:
            _first_come(chosen, taken)
    if policy.keep_latest:
        _retire(policy.keep_latest, chosen)
    return wishes


@dataclass(slots=True)
class _Wish:
    """What a policy wants of one image, while that is being found out."""

    image: Image
    skipped: str = ""
    """Why nothing is done about it."""
    base: str = ""
    """The name that the template gives, before conflicts are looked at."""
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    place: int = 0
    """In its family, the newest being 1."""
    values: dict[str, str] = field(default_factory=dict)
    """Of the fields of the templates; the name is the new one as soon as that is known."""

    def lacking(self) -> tuple[dict[str, str | bool], dict[str, str]]:
        """The attributes and tags that differ from the image's."""
        return self.image.lacks(self.attributes, self.tags)


def _wish(policy: Policy, region: str, image: Image, now: float, held: str = "") -> _Wish:
    """What is wanted of an image that nobody contests its name, which is `held` or its own."""
    wish = _Wish(image, _passed_over(policy, image, now))
    if wish.skipped:
        return wish
    wish.values = values_of(policy.fields, region, image)
    try:
        if template := policy.templates.get("ImageName"):
            wish.base = policy.style.apply(template.render(wish.values))
            if not wish.base:
                wish.skipped = f"ImageName {short(template.text)} gives an empty name"
                return wish
            held = held or image.name
            name = held if policy.keeps(held, wish.base) else wish.base
            wish.attributes["ImageName"] = wish.values["ImageName"] = name
        _render(wish, policy.later, policy.tags)
    except NoValue as error:
        wish.skipped = str(error)
        if image.has_temporary_name:
            wish.skipped += " (its name is a temporary one)"
    return wish


def values_of(fields: Iterable[str], region: str, image: Image) -> dict[str, str]:
    """What an image has for the fields of templates; empty for fields that it knows nothing of."""
    values = {}
    for name in fields:
        if name in image.attributes:
            values[name] = str(image.attributes[name])
        elif name.startswith("Tag."):
            values[name] = image.tags.get(name[4:], "")
        else:
            values[name] = image.facts.get(name, "")
    if image.has_temporary_name:
        values["ImageName"] = ""
    values["ImageId"] = image.image_id
    values["Region"] = region
    return values


def _name(policy: Policy, wish: _Wish, name: str) -> None:
    """Give an image another name than its base; the other templates see it."""
    wish.attributes["ImageName"] = wish.values["ImageName"] = name
    _render(wish, *policy.after_name)


def _render(wish: _Wish, attributes: Mapping[str, Template], tags: Mapping[str, Template]) -> None:
    for name, template in attributes.items():
        text = template.render(wish.values)
        wish.attributes[name] = cut(text, MAX_DESCRIPTION) if name != "ImageFamily" else text
    for key, template in tags.items():
        value = cut(template.render(wish.values).strip(), MAX_VALUE).rstrip()
        if not value:
            raise NoValue(f"tag {key}")
        wish.tags[key] = value


def _passed_over(policy: Policy, image: Image, now: float) -> str:
    """Why a policy is not for an image; empty if it is."""
    if image.tags.get(OPT_OUT[0]) == OPT_OUT[1]:
        return "it has the tag {} = {}".format(*OPT_OUT)
    if image.facts["ImageType"] != "PRIVATE_IMAGE":
        return f"ImageType is {image.facts['ImageType']}"
    if image.facts["ImageState"] != "NORMAL":
        return f"ImageState is {image.facts['ImageState']}"
    return policy.select.mismatch(image, now)


def _numbered(policy: Policy, chosen: Sequence[_Wish], taken: set[str]) -> None:
    """Give each its name or a numbered one; whoever holds a fitting one keeps it."""
    waiting = []
    for wish in chosen:
        if wish.attributes["ImageName"] == wish.image.name:
            taken.add(wish.image.name)
        else:
            waiting.append(wish)
    late = []
    for wish in waiting:
        if wish.base in taken:
            late.append(wish)
        else:
            taken.add(wish.base)
    # Long names that begin alike are cut to the same one, so they count on from each other.
    tried: dict[tuple[str, int], int] = {}
    last: dict[str, int] = {}
    for wish in late:
        number = last.get(wish.base, 1) + 1
        while (name := policy.style.numbered(wish.base, number)) in taken:
            digits = str(number)
            series = (name.removesuffix(digits), len(digits))
            number = tried[series] = max(number + 1, tried.get(series, 0))
        last[wish.base] = number
        taken.add(name)
        _name(policy, wish, name)


def _first_come(chosen: Sequence[_Wish], taken: set[str]) -> None:
    """Give each its name if nobody else has it; the others keep what they have."""
    given = {wish.base: wish for wish in chosen if wish.base == wish.image.name}
    left_alone = [
        wish
        for wish in chosen
        if wish.base in taken or given.setdefault(wish.base, wish) is not wish
    ]
    while left_alone:  # whoever keeps a name may keep it from another
        wish = left_alone.pop()
        wish.skipped = f"another image has, or gets, the name {wish.base!r}"
        taken.add(wish.image.name)
        loser = given.get(wish.image.name)
        if loser is not None and not loser.skipped:
            left_alone.append(loser)


def _retire(keep: int, chosen: Sequence[_Wish]) -> None:
    """Deprecate all but the newest of each family, as it will be; `chosen` is oldest first."""
    families: dict[str, int] = defaultdict(int)
    for wish in reversed(chosen):
        family = str(wish.attributes.get("ImageFamily", wish.image.attributes["ImageFamily"]))
        if family and not wish.skipped:
            families[family] += 1
            wish.place = families[family]
            wish.attributes["ImageDeprecated"] = wish.place > keep


def _reasons(policy: Policy) -> dict[str, str]:
    """What the rules say, by the field that they are for."""
    rules = {f"Tag.{key}": template for key, template in policy.tags.items()} | policy.templates
    return {name: f"{name}: {short(template.text)}" for name, template in rules.items()} | {
        "ImageDeprecated": f"KeepLatest: {policy.keep_latest}"
    }


def _step(region: str, wish: _Wish, reasons: Mapping[str, str]) -> Step:
    image = wish.image
    if wish.skipped:
        return Step(region, image.image_id, before=image, reasons=(wish.skipped,), is_skipped=True)
    attributes, tags = wish.lacking()
    said = [reasons[name] for name in attributes] + [reasons[f"Tag.{key}"] for key in tags]
    if "ImageName" in attributes and attributes["ImageName"] != wish.base:
        said.append(f"{wish.base!r} is taken")
    if "ImageDeprecated" in attributes:
        said.append(f"number {wish.place} of its family, newest first")
    return Step(region, image.image_id, attributes, tags, before=image, reasons=tuple(said))


def _check_stable(
    policy: Policy, region: str, images: Collection[Image], steps: Sequence[Step], now: float
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
            wish = _wish(policy, region, once, now)
        else:
            wish = _Wish(once, _passed_over(policy, once, now))
        loses_some |= bool(wish.skipped)
        _check(region, image, wish)
        if policy.can_be_torn and step.attributes and step.tags:
            first = {"attributes": "tags", "tags": "attributes"}[policy.writes_last]
            half = after(image, Step(region, image.image_id, **{first: getattr(step, first)}))
            wish = _wish(policy, region, half, now, held=once.name)
            if wish.skipped:
                raise UnstablePolicy(_torn(region, image, first, wish.skipped))
            wish.image = once
            _check(region, image, wish)
    if policy.regroups and loses_some:
        outcome = [after(image, step) for image, step in zip(images, steps, strict=True)]
        for image, wish in zip(images, _wishes(policy, region, outcome, now), strict=True):
            _check(region, image, wish)


def _check(region: str, was: Image, wish: _Wish) -> None:
    """Refuse a policy that wants something of its own outcome."""
    if not wish.skipped and any(wish.lacking()):
        raise UnstablePolicy(_flip(region, was, wish))


def after(image: Image, step: Step) -> Image:
    """What an image looks like when a step of a policy is done."""
    if step.is_empty:
        return image
    attributes = {**image.attributes, **step.attributes}
    return Image(image.image_id, attributes, {**image.tags, **step.tags}, image.facts)


def _torn(region: str, was: Image, first: str, why: str) -> Violation:
    """What becomes of an image when a run breaks off after its `first` half."""
    return Violation(
        "/Normalise",
        f"a run that breaks off after the {first} of {was.image_id} in {region} would leave it "
        f"half done, as the next one would skip it: {why}; of what the policy writes, Select and "
        "the templates may look at attributes or at tags, not at both",
    )


def _flip(region: str, was: Image, wish: _Wish) -> Violation:
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
