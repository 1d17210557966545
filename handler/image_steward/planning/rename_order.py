"""Renames in an order in which none meets a name in use. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain, count

from image_steward.current_images import CurrentImages, RegionImages
from image_steward.errors import NameTaken, StewardError, TemporaryName
from image_steward.model import Image, Plan, Step
from image_steward.naming.temporary import is_temporary, temporary
from image_steward.planning.diff import failed_step


def in_order(steps: Mapping[str, Sequence[Step]], current: CurrentImages) -> dict[str, list[Step]]:
    """`ordered`, in each region; where it is not known who holds names nothing is renamed."""
    return {region: _in_order(each, current[region]) for region, each in steps.items()}


def _in_order(steps: Sequence[Step], seen: RegionImages | StewardError) -> list[Step]:
    holders = seen if isinstance(seen, StewardError) else seen.holders
    if not isinstance(holders, StewardError):
        return ordered(steps, holders)
    return [failed_step(step, holders) if step.new_name else step for step in steps]


def ordered(steps: Sequence[Step], images: Iterable[Image], owner: str = "") -> list[Step]:
    """The steps, their renames such that none meets a name in use.

    An image waits for the one that holds its name to leave it. Where they wait in a cycle, one
    of them gets a temporary name, so each cycle costs one call more. A name that nobody is going
    to leave is a conflict: nothing is done about the image that wants it. `images` are those of
    the region, of which some may be missing that hold none of the names wanted; `owner` is for
    temporary names.
    """
    movers = {step.image_id: step for step in steps if step.new_name}
    if not movers:
        return list(steps)
    known = {image.image_id: image.name for image in images}
    known |= {step.image_id: step.before.name for step in steps if step.before}
    holders = dict(zip(known.values(), known, strict=True))
    conflicts = _conflicts(movers, known, holders)
    moving = {i: step for i, step in movers.items() if i not in conflicts}
    waits = {i: holders[step.new_name] for i, step in moving.items() if step.new_name in holders}
    openers = _openers(waits)
    taken = holders.keys() | {step.new_name for step in moving.values()}

    def placed(step: Step) -> Step:
        image_id = step.image_id
        if image_id in conflicts:
            return failed_step(step, conflicts[image_id])
        if image_id not in waits:
            return step
        temporary = _free_name(image_id, owner, taken) if image_id in openers else ""
        return replace(step, waits_for=waits[image_id], temporary=temporary)

    return [placed(step) for step in steps]


def _free_name(image_id: str, owner: str, taken: set[str]) -> str:
    return next(name for n in count(1) if (name := temporary(image_id, n, owner)) not in taken)


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
    """One image of each cycle of waiting ones."""
    found: set[str] = set()
    seen: dict[str, str] = {}
    """From where each was reached."""
    for start in waits:
        image_id = start
        while image_id in waits and image_id not in seen:
            seen[image_id] = start
            image_id = waits[image_id]
        if seen.get(image_id) == start:
            found.add(image_id)
    return found


def temporary_names(plan: Plan) -> list[TemporaryName]:
    """What is to be known of each image with a temporary name that an earlier run has left."""
    found = []
    for step in chain.from_iterable(plan.steps.values()):
        if step.before and is_temporary(step.before.name):
            told = (
                "an earlier run; the Undo of this one would give it back, so to undo both take the "
                "journal or the log of the earlier one"
                if step.new_name
                else "another run and keeps it: if none is under way, deliver the document of that "
                "run again as it was, or give the image a name"
            )
            name = f"{step.image_id} in {step.region} has the temporary name {step.before.name!r}"
            found.append(TemporaryName(f"{name} of {told}"))
    return found
