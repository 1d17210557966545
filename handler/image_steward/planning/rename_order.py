"""Orders renames, so that no image gets a name that another one still has. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import count

from image_steward.current_images import CurrentImages
from image_steward.errors import ApiError, ImageBusy, NameTaken, StewardError, TemporaryName
from image_steward.model import Image, Plan, Step, StepsByRegion
from image_steward.naming.temporary import is_temporary, temporary
from image_steward.planning.diff import STATE_CODE, failed_step, would_wait


def order_renames_by_region(steps: StepsByRegion, current: CurrentImages) -> StepsByRegion:
    """`order_renames` for each region, by the holders of the new names."""
    return {region: order_renames(steps[region], current[region].holders) for region in steps}


def order_renames(
    steps: list[Step], images: Iterable[Image] | StewardError, owner: str = ""
) -> list[Step]:
    """The steps; each rename waits until the image that has the new name is renamed itself.

    In each cycle of such renames one image first gets a temporary name, which costs one more call.
    A step fails if the image that has the new name keeps it, or if an earlier step gets that name.
    `images` are those of the region; any that have none of the new names may be missing. If they
    are unknown, all renames fail. `owner` is for the temporary names.
    """
    if isinstance(images, StewardError):
        return [failed_step(step, images) if step.new_name else step for step in steps]
    renames = {step.image_id: step for step in steps if step.new_name}
    if not renames:
        return list(steps)
    names = {image.image_id: image.name for image in images}
    names |= {step.image_id: step.before.name for step in steps if step.before}
    wanted = {step.new_name for step in renames.values()}
    holders: dict[str, list[str]] = defaultdict(list)
    for image_id, name in names.items():
        if name in wanted:
            holders[name].append(image_id)
    conflicts = _conflicts(steps, names, holders)
    new_names = {i: step.new_name for i, step in renames.items() if i not in conflicts}
    waits_for = {i: holders[name][0] for i, name in new_names.items() if name in holders}
    cycles = _cycles(waits_for)
    conflicts |= _unready(cycles, renames)
    waiting = _waiting(renames.values(), waits_for)
    openers = {cycle[0] for cycle in cycles}
    taken = {*names.values(), *wanted} if openers else wanted

    def with_order(step: Step) -> Step:
        image_id = step.image_id
        if image_id in conflicts:
            return failed_step(step, conflicts[image_id])
        if image_id not in waits_for:
            return step
        if image_id in waiting and not step.would_wait:
            step = would_wait(step, f"{waits_for[image_id]} has the new name")
        candidates = (temporary(image_id, number, owner) for number in count(1))
        free = next(n for n in candidates if n not in taken) if image_id in openers else ""
        return step._replace(waits_for=waits_for[image_id], temporary_name=free)

    return [with_order(step) for step in steps]


def _conflicts(
    steps: list[Step], names: Mapping[str, str], holders: Mapping[str, Sequence[str]]
) -> dict[str, StewardError]:
    """The images that cannot get their new names, or not yet, and why."""
    renames = {step.image_id: step for step in steps if step.new_name}
    waiting = {step.image_id for step in steps if step.error and step.error.transient}
    claims: dict[str, str] = {}
    """For each new name, the first image that is to get it."""
    conflicts: dict[str, StewardError] = {}
    for image_id, step in renames.items():
        other = claims.setdefault(step.new_name, image_id)
        having = holders.get(step.new_name, ())
        if len(having) > 1:  # whatever becomes of one, the others may keep it
            conflicts[image_id] = _taken(step, f"{', '.join(having[:5])} have it")
        elif having and having[0] not in renames:
            conflicts[image_id] = _taken(step, f"{having[0]} has it", waits=having[0] in waiting)
        elif other != image_id:
            conflicts[image_id] = _taken(step, f"{other} will get it")
    keepers = list(conflicts)
    while keepers:  # an image that keeps its name may have the new name of another image
        keeper = keepers.pop()
        claimant = claims.get(names[keeper])
        if claimant is not None and claimant not in conflicts:
            why, waits = f"{keeper} has it and cannot be renamed", conflicts[keeper].transient
            conflicts[claimant] = _taken(renames[claimant], why, waits=waits)
            keepers.append(claimant)
    return conflicts


def _taken(step: Step, why: str, *, waits: bool = False) -> ApiError:
    message = f'the name "{step.new_name}" is taken in {step.region}: {why}'
    if waits:
        return ImageBusy(STATE_CODE, f"{message} for now")
    return NameTaken("InvalidImageName.Duplicate", message)


def _unready(
    cycles: Iterable[Sequence[str]], renames: Mapping[str, Step]
) -> dict[str, StewardError]:
    """The images of cycles that must wait, and why; a dry run shows cycles that would wait."""
    busy: dict[str, StewardError] = {}
    for cycle in cycles:
        images = [step.before for i in cycle if not (step := renames[i]).would_wait and step.before]
        if unready := next((image for image in images if image.is_unready), None):
            # Its rename may fail when another image has a temporary name already.
            message = f"{unready.image_id} of its rename cycle is {unready.state}"
            busy |= dict.fromkeys(cycle, ImageBusy(STATE_CODE, message))
    return busy


def _waiting(renames: Iterable[Step], waits_for: Mapping[str, str]) -> set[str]:
    """The images whose rename would wait, or whose new name is that of such an image."""
    followers = {holder: image_id for image_id, holder in waits_for.items()}
    last = {step.image_id for step in renames if step.would_wait}
    waiting = set(last)
    while last:
        last = {followers[image_id] for image_id in last if image_id in followers} - waiting
        waiting |= last
    return waiting


def _cycles(waits_for: Mapping[str, str]) -> list[list[str]]:
    """The cycles, each as image ids of which every one waits for the next."""
    cycles = []
    start_of: dict[str, str] = {}
    """For each visited image, the start of the walk that visited it first."""
    for start in waits_for:
        image_id = start
        while image_id in waits_for and image_id not in start_of:
            start_of[image_id] = start
            image_id = waits_for[image_id]
        if start_of.get(image_id) == start:
            cycle = [image_id]
            while (following := waits_for[cycle[-1]]) != image_id:
                cycle.append(following)
            cycles.append(cycle)
    return cycles


def temporary_name_warnings(plan: Plan) -> list[TemporaryName]:
    """A warning for each image that has a temporary name from an earlier run."""
    warnings = []
    for step in plan.all_steps:
        if step.before and is_temporary(step.before.name):
            advice = (
                "an earlier run, and Undo would restore it: to undo both runs, use the journal or "
                "the log of the earlier one"
                if step.new_name
                else "another run, and keeps it: if that run has ended, deliver its document "
                "again, unchanged, or rename the image"
            )
            name = f'{step.image_id} in {step.region} has the temporary name "{step.before.name}"'
            warnings.append(TemporaryName(f"{name} from {advice}"))
    return warnings
