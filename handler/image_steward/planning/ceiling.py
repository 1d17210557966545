"""Ceilings on the images that one document may change. Pure."""

from __future__ import annotations

from image_steward.errors import NameTaken, StewardError, TooManyChanges, Violation
from image_steward.model import Plan


def limited(plan: Plan, most: int, name: str, path: str = "", *, dry_run: bool) -> Plan:
    """The plan, if it changes at most `most` images; a larger one gets a warning in a dry run.

    `name` is that of the ceiling, `path` its JSON Pointer if it is in the document.

    Raises:
        TooManyChanges: the plan changes more images.
    """
    # The next delivery may change an image that this one could not read, find or rename.
    may_follow = (step for step in plan.all_steps if step.error and _may_follow(step.error))
    count = len({step.image_key for step in (*plan.changes, *may_follow)})
    if count <= most:
        return plan
    message = f"{count} images would be changed; {name} allows {most}"
    if not dry_run:
        raise TooManyChanges(Violation(path, message))
    warning = TooManyChanges(Violation(path, f"{message}, so the document would be rejected"))
    return plan._replace(warnings=(*plan.warnings, warning))


def _may_follow(error: StewardError) -> bool:
    is_missing = error.code == "InvalidImageId.NotFound"
    return error.transient or is_missing or isinstance(error, NameTaken)
