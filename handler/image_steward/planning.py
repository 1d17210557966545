"""From what is wanted and what is to the steps between, renames in an order that works. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count
from typing import TYPE_CHECKING

from image_steward.errors import ApiError, NameTaken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from image_steward.documents import Change
    from image_steward.errors import StewardError
    from image_steward.images import Image


@dataclass(frozen=True, slots=True)
class Step:
    """What one image lacks. Only what differs is in it; an empty step costs no write."""

    region: str
    image_id: str
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    delete_tags: tuple[str, ...] = ()
    before: Image | None = None
    """The image as it is."""
    error: StewardError | None = None
    """Why nothing can be done about it."""
    reasons: tuple[str, ...] = ()
    """Which rules want this, or why the image is skipped."""
    is_skipped: bool = False
    waits_for: str = ""
    """The image that has to leave its name first."""
    temporary: str = ""
    """A name for the time until that has happened: the step opens a cycle."""

    @property
    def place(self) -> tuple[str, str]:
        """Region and id of the image."""
        return self.region, self.image_id

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.attributes or self.tags or self.delete_tags)

    @property
    def new_name(self) -> str:
        """The name that the image is to get; empty if it keeps its own."""
        return str(self.attributes.get("ImageName", ""))


def plan(changes: Sequence[Change], images: Mapping[str, Image | ApiError]) -> list[Step]:
    """A step for each change, in their order; `images` are the region's, by id."""
    return [_step(change, images.get(change.image_id)) for change in changes]


def _step(change: Change, image: Image | ApiError | None) -> Step:
    if image is None:
        image = missing(change.region, change.image_id)
    if isinstance(image, ApiError):
        return Step(change.region, change.image_id, error=image)
    deleted = tuple(key for key in change.delete_tags if key in image.tags)
    lacking = image.lacks(change.attributes, change.tags)
    return Step(change.region, change.image_id, *lacking, deleted, before=image)


def missing(region: str, image_id: str) -> ApiError:
    """What the API would say of an image that does not exist."""
    return ApiError("InvalidImageId.NotFound", f"{region} has no image {image_id}")


def ordered(steps: Sequence[Step], images: Iterable[Image], mark: str = "") -> list[Step]:
    """The steps, their renames such that none meets a name in use.

    An image waits for the one that holds its name to leave it. Where they wait in a circle, one
    of them gets a temporary name, so each circle costs one call more. A name that nobody is going
    to leave is a conflict: nothing is done about the image that wants it. `images` are those of
    the region, of which some may be missing that hold none of the names wanted; `mark` is for
    temporary names.
    """
    movers = {step.image_id: step for step in steps if step.new_name}
    if not movers:
        return list(steps)
    known = {image.image_id: image.name for image in images}
    known |= {step.image_id: step.before.name for step in steps if step.before}
    holders = dict(zip(known.values(), known, strict=True))
    refused = _conflicts(movers, known, holders)
    moving = {i: step for i, step in movers.items() if i not in refused}
    waits = {i: holders[step.new_name] for i, step in moving.items() if step.new_name in holders}
    openers = _openers(waits)
    taken = holders.keys() | {step.new_name for step in moving.values()}

    def placed(step: Step) -> Step:
        image_id = step.image_id
        if image_id in refused:
            return Step(step.region, image_id, before=step.before, error=refused[image_id])
        if image_id not in waits:
            return step
        temporary = _free_name(image_id, mark, taken) if image_id in openers else ""
        return replace(step, waits_for=waits[image_id], temporary=temporary)

    return [placed(step) for step in steps]


def _free_name(image_id: str, mark: str, taken: set[str]) -> str:
    from image_steward.names import temporary  # noqa: PLC0415 - only circles need it

    return next(name for n in count(1) if (name := temporary(image_id, n, mark)) not in taken)


def _conflicts(
    movers: Mapping[str, Step], known: Mapping[str, str], holders: Mapping[str, str]
) -> dict[str, NameTaken]:
    """The images that cannot get their names, and why; whoever waits for them cannot either."""
    first: dict[str, str] = {}
    found: dict[str, NameTaken] = {}
    for image_id, step in movers.items():
        other = first.setdefault(step.new_name, image_id)
        holder = holders.get(step.new_name)
        if holder is not None and holder not in movers:
            found[image_id] = _taken(step, holder, "has it")
        elif other != image_id:
            found[image_id] = _taken(step, other, "is to get it")
    staying = list(found)
    while staying:
        holder = staying.pop()
        waiting = first.get(known[holder])
        if waiting is not None and waiting not in found:
            found[waiting] = _taken(movers[waiting], holder, "cannot leave it")
            staying.append(waiting)
    return found


def _taken(step: Step, other: str, why: str) -> NameTaken:
    message = f"the name {step.new_name!r} is not free in {step.region}: {other} {why}"
    return NameTaken("InvalidImageName.Duplicate", message)


def _openers(waits: Mapping[str, str]) -> set[str]:
    """One image of each circle of waiting ones."""
    found: set[str] = set()
    seen: set[str] = set()
    for start in waits:
        trail: set[str] = set()
        image_id = start
        while image_id in waits and image_id not in seen:
            seen.add(image_id)
            trail.add(image_id)
            image_id = waits[image_id]
        if image_id in trail:
            found.add(image_id)
    return found
