"""Temporary names, which open a rename cycle: images that swap names."""

from __future__ import annotations

from image_steward.limits import NAME_LENGTH

TEMPORARY = "image-steward-tmp-"
"""The prefix of all temporary names."""


def temporary(image_id: str, attempt: int, owner: str = "") -> str:
    """A temporary name for an image; each attempt returns another one.

    `owner` lets a later run recognise the name if the run that gave it is interrupted.
    """
    ending = f"-{attempt}" if attempt > 1 else ""
    return f"{TEMPORARY}{owner}{image_id}"[: NAME_LENGTH - len(ending)] + ending


def is_temporary(name: str, owner: str = "") -> bool:
    """Whether a name is a temporary one; with `owner`, whether it is that owner's."""
    return name.startswith(TEMPORARY + owner)
