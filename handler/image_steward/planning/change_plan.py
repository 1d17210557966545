"""The plan of a change request. Pure."""

from __future__ import annotations

from image_steward.current_images import CurrentImages, SeenImages
from image_steward.model import ChangeRequest, Plan, Step
from image_steward.planning.diff import images_of, names_of, step_of
from image_steward.planning.rename_order import in_order


def new_names(request: ChangeRequest, seen: SeenImages) -> dict[str, list[str]]:
    """The names that images are to get, by region."""
    return names_of(_steps(request, seen))


def plan(request: ChangeRequest, current: CurrentImages, _now: float) -> Plan:
    """The plan; trouble with a region is that of each of its images."""
    return Plan(in_order(_steps(request, images_of(current)), current))


def _steps(request: ChangeRequest, seen: SeenImages) -> dict[str, list[Step]]:
    return {
        region: [step_of(change, seen[region]) for change in changes]
        for region, changes in request.by_region.items()
    }
