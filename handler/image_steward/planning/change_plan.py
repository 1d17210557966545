"""The plan of a change request. Pure."""

from __future__ import annotations

from image_steward.current_images import CurrentImages
from image_steward.model import ChangeRequest, Now, Plan, StepsByRegion
from image_steward.planning.diff import new_names_of, step_of
from image_steward.planning.rename_order import order_renames_by_region


def new_names(request: ChangeRequest, current: CurrentImages) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    return new_names_of(_steps(request, current))


def plan(request: ChangeRequest, current: CurrentImages, _now: Now) -> Plan:
    """The plan of a request; an error of a region becomes the error of each image there."""
    return Plan(order_renames_by_region(_steps(request, current), current))


def _steps(request: ChangeRequest, current: CurrentImages) -> StepsByRegion:
    return {
        region: [step_of(change, current[region].images) for change in changes.values()]
        for region, changes in request.changes.items()
    }
