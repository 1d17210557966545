"""What was probably meant by a name that does not exist."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WIDTH = 60
_LIKENESS = 0.6
_MIN_START = 3


def nearest(given: object, known: Iterable[str], likeness: float = _LIKENESS) -> str:
    """`; did you mean <name>?`, for the known name that is spelt like `given`, else nothing.

    `likeness` is how near, up to 1; unless more is asked for, a name that begins so will do.
    """
    from difflib import get_close_matches  # noqa: PLC0415 - only mistakes need it

    folded = {name.lower(): name for name in known}
    text = str(given)[:_WIDTH].lower()
    near = get_close_matches(text, folded, n=1, cutoff=likeness)
    if not near and likeness <= _LIKENESS and len(text) >= _MIN_START:
        near = [name for name in folded if name.startswith(text)]
    return f"; did you mean {folded[near[0]]}?" if near else ""
