"""The plan of a change request. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from image_steward.current_images import CurrentImages, RegionImages
from image_steward.errors import ApiError, StewardError
from image_steward.model import Change, ChangeRequest, Image, Plan, Step
from image_steward.planning.diff import step_of
from image_steward.planning.rename_order import in_order


def new_names(
    request: ChangeRequest, region: str, images: Mapping[str, Image | ApiError]
) -> list[str]:
    """The names that images of a region are to get."""
    steps = (step_of(change, images) for change in request.by_region[region])
    return [step.new_name for step in steps if step.new_name]


def plan(request: ChangeRequest, current: CurrentImages, *, now: float, dry_run: bool) -> Plan:
    """The plan; trouble with a region is that of each of its images."""
    del now, dry_run  # a change request depends on neither
    changes = request.by_region
    return Plan({region: _steps(changes[region], seen) for region, seen in current.items()})


def _steps(changes: list[Change], seen: RegionImages | StewardError) -> list[Step]:
    if isinstance(seen, StewardError):
        return [Step(change.region, change.image_id, error=seen) for change in changes]
    return in_order([step_of(change, seen.images) for change in changes], seen.holders)
