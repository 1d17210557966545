"""The plan of a change request. Pure."""

from __future__ import annotations

from image_steward.current_images import CurrentImages
from image_steward.model import ATTRIBUTES, ChangeRequest, Now, Plan, Step, StepsByRegion
from image_steward.planning.diff import new_names_of, step_of, why_unready, would_wait
from image_steward.planning.rename_order import order_renames_by_region


def new_names(request: ChangeRequest, current: CurrentImages) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    return new_names_of(_steps(request, current))


def plan(request: ChangeRequest, current: CurrentImages, _now: Now) -> Plan:
    """The plan of a request; an error of a region becomes the error of each image there."""
    steps = _steps(request, current)
    if request.dry_run:
        steps = {region: list(map(_seen_waiting, steps[region])) for region in steps}
    ordered = order_renames_by_region(steps, current).items()
    return Plan({region: list(map(_without_failed, part)) for region, part in ordered})


def _without_failed(step: Step) -> Step:
    """The step; one that fails for good does not wait."""
    return step._replace(would_wait=False) if step.error else step


def _seen_waiting(step: Step) -> Step:
    # Tags are bound and deleted in any state.
    reason = why_unready(step) if step.values.keys() & {*ATTRIBUTES} else ""
    return would_wait(step, reason) if reason else step


def _steps(request: ChangeRequest, current: CurrentImages) -> StepsByRegion:
    return {
        region: [step_of(change, current[region].images) for change in changes.values()]
        for region, changes in request.changes.items()
    }
