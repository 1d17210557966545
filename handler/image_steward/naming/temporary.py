"""Names that images have for a moment, while two or more swap theirs."""

from __future__ import annotations

from image_steward.limits import NAME_LENGTH

TEMPORARY = "image-steward-tmp-"
"""What they begin with."""


def temporary(image_id: str, attempt: int, mark: str = "") -> str:
    """A name for the time in between that can be told apart from any other.

    `mark` tells whoever gave it that it was theirs, should they die before they take it back.
    """
    ending = f"-{attempt}" if attempt > 1 else ""
    return f"{TEMPORARY}{mark}{image_id}"[: NAME_LENGTH - len(ending)] + ending


def is_temporary(name: str, mark: str = "") -> bool:
    """Whether a name is a temporary one, with this mark if one is given."""
    return name.startswith(TEMPORARY + mark)
