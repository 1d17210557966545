"""Ceilings on the images that one document may change. Pure."""

from __future__ import annotations

from image_steward.errors import Rejection, TooManyChanges, Violation
from image_steward.model import Plan


def limited(plan: Plan, most: int, name: str, path: str = "", *, dry_run: bool) -> Plan:
    """The plan, if it changes at most `most` images; a larger one gets a warning in a dry run.

    `name` is that of the ceiling, `path` its JSON Pointer if it is in the document.

    Raises:
        TooManyChanges: the plan changes more images.
    """
    # The next delivery may change an image that this one could not read, find or rename.
    failed = (s for s in plan.all_steps if s.error and not isinstance(s.error, Rejection))
    count = len({step.image_key for step in (*plan.changes, *failed)})
    if count <= most:
        return plan
    message = f"{count} images would be changed; {name} allows {most}"
    error = TooManyChanges(Violation(path, message))
    if not dry_run:
        raise error
    return plan._replace(warnings=(*plan.warnings, error))
