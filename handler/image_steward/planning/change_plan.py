"""The plan of a change request. Pure."""

from __future__ import annotations

from image_steward.current_images import CurrentImages
from image_steward.model import ChangeRequest, Plan, Step
from image_steward.planning.diff import Images, images_of, step_of
from image_steward.planning.rename_order import in_order


def new_names(request: ChangeRequest, region: str, images: Images) -> list[str]:
    """The names that images of a region are to get."""
    return [step.new_name for step in _steps(request, region, images) if step.new_name]


def plan(request: ChangeRequest, current: CurrentImages, *, now: float, dry_run: bool) -> Plan:
    """The plan; trouble with a region is that of each of its images."""
    del now, dry_run  # a change request depends on neither
    ids = request.image_ids
    steps = {r: _steps(request, r, images_of(seen, ids[r])) for r, seen in current.items()}
    return Plan({region: in_order(each, current[region]) for region, each in steps.items()})


def _steps(request: ChangeRequest, region: str, images: Images) -> list[Step]:
    return [step_of(change, images) for change in request.by_region[region]]
