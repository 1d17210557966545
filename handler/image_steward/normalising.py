"""From a policy and the images of a region to the steps that it wants. Pure."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from image_steward.errors import UnstablePolicy, Violation
from image_steward.images import Image
from image_steward.names import TEMPORARY, cut
from image_steward.planning import Step, ordered
from image_steward.policies import OPT_OUT
from image_steward.schema import short
from image_steward.templates import NoValue

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from image_steward.policies import Policy

MAX_DESCRIPTION = 256
MAX_VALUE = 255
"""Characters of descriptions and tag values; a longer text is cut between two of them."""


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
        (_numbered if policy.numbers else _first_come)(policy, region, chosen, taken)
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

    def lacking(self) -> tuple[dict[str, str | bool], dict[str, str]]:
        """The attributes and tags that differ from the image's."""
        has, tags = self.image.attributes, self.image.tags
        return (
            {name: value for name, value in self.attributes.items() if has[name] != value},
            {key: value for key, value in self.tags.items() if tags.get(key) != value},
        )


def _wish(policy: Policy, region: str, image: Image, now: float) -> _Wish:
    wish = _Wish(image)
    wish.skipped = _untouchable(image) or policy.select.mismatch(image, now)
    if wish.skipped:
        return wish
    values = _values(policy.fields, region, image)
    try:
        if template := policy.templates.get("ImageName"):
            wish.base = policy.style.apply(template.render(values))
            if not wish.base:
                wish.skipped = f"ImageName {short(template.text)} gives an empty name"
                return wish
            wish.attributes["ImageName"] = values["ImageName"] = wish.base
        _render_the_rest(policy, wish, values)
    except NoValue as error:
        wish.skipped = str(error)
        if image.name.startswith(TEMPORARY):
            wish.skipped += " (its name is a temporary one)"
    return wish


def _values(fields: Iterable[str], region: str, image: Image) -> dict[str, str]:
    values = {name: image.facts.get(name, "") for name in fields}
    for name in fields:
        if name in image.attributes:
            values[name] = str(image.attributes[name])
        elif name.startswith("Tag."):
            values[name] = image.tags.get(name[4:], "")
    if image.name.startswith(TEMPORARY):
        values["ImageName"] = ""
    values["ImageId"] = image.image_id
    values["Region"] = region
    return values


def _name(policy: Policy, region: str, wish: _Wish, name: str) -> None:
    """Give an image another name than its base; the other templates see it."""
    if wish.attributes["ImageName"] != name:
        wish.attributes["ImageName"] = name
        if "ImageName" in policy.later_fields:
            values = _values(policy.later_fields, region, wish.image)
            _render_the_rest(policy, wish, values | {"ImageName": name})


def _render_the_rest(policy: Policy, wish: _Wish, values: Mapping[str, str]) -> None:
    for name, template in policy.templates.items():
        if name != "ImageName":
            text = template.render(values)
            wish.attributes[name] = cut(text, MAX_DESCRIPTION) if name != "ImageFamily" else text
    for key, template in policy.tags.items():
        value = cut(template.render(values).strip(), MAX_VALUE).rstrip()
        if not value:
            raise NoValue(f"tag {key}")
        wish.tags[key] = value


def _untouchable(image: Image) -> str:
    if image.tags.get(OPT_OUT[0]) == OPT_OUT[1]:
        return "it has the tag {} = {}".format(*OPT_OUT)
    if image.facts["ImageType"] != "PRIVATE_IMAGE":
        return f"ImageType is {image.facts['ImageType']}"
    if image.facts["ImageState"] != "NORMAL":
        return f"ImageState is {image.facts['ImageState']}"
    return ""


def _numbered(policy: Policy, region: str, chosen: Sequence[_Wish], taken: set[str]) -> None:
    """Give each its name or a numbered one; whoever holds a fitting one keeps it."""
    waiting = []
    for wish in chosen:
        if policy.keeps(wish.image.name, wish.base):
            taken.add(wish.image.name)
            _name(policy, region, wish, wish.image.name)
        else:
            waiting.append(wish)
    late = []
    for wish in waiting:
        if wish.base in taken:
            late.append(wish)
        else:
            taken.add(wish.base)
            _name(policy, region, wish, wish.base)
    # Long names that begin alike are cut to the same one, so they count on from each other.
    tried: dict[tuple[str, int], int] = {}
    for wish in late:
        number = 2
        while (name := policy.style.numbered(wish.base, number)) in taken:
            digits = str(number)
            series = (name.removesuffix(digits), len(digits))
            number = tried[series] = max(number + 1, tried.get(series, 0))
        taken.add(name)
        _name(policy, region, wish, name)


def _first_come(policy: Policy, region: str, chosen: Sequence[_Wish], taken: set[str]) -> None:
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
    for wish in chosen:
        if not wish.skipped:
            _name(policy, region, wish, wish.base)


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

    The others look the same as before. Only KeepLatest looks at several images together: it could
    change its mind about some when others are not selected any more, so then all are done again.
    """
    if not policy.reads_what_it_writes:
        return
    outcome = [_after(image, step) for image, step in zip(images, steps, strict=True)]
    wishes = [
        _alone(policy, region, image, now)
        for image, step in zip(outcome, steps, strict=True)
        if not step.is_empty
    ]
    if policy.keep_latest and any(wish.skipped for wish in wishes):
        wishes = _wishes(policy, region, outcome, now)
    for wish in wishes:
        if not wish.skipped and any(wish.lacking()):
            (was,) = (image for image in images if image.image_id == wish.image.image_id)
            raise UnstablePolicy(_flip(region, was, wish))


def _after(image: Image, step: Step) -> Image:
    if step.is_empty:
        return image
    attributes = {**image.attributes, **step.attributes}
    return Image(image.image_id, attributes, {**image.tags, **step.tags}, image.facts)


def _alone(policy: Policy, region: str, image: Image, now: float) -> _Wish:
    """What is wanted of an image that nobody contests its name."""
    wish = _wish(policy, region, image, now)
    if wish.base and not wish.skipped and policy.keeps(image.name, wish.base):
        _name(policy, region, wish, image.name)
    return wish


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
