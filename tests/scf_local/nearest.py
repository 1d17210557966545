"""What was probably meant by a name that does not exist."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MIN_START = 3


def nearest(given: object, names: Iterable[str]) -> str:
    """`; did you mean <name>?`, for a name that is spelt or begins like `given`, else nothing."""
    folded = {name.lower(): name for name in names}
    text = str(given)[:80].lower()
    near = get_close_matches(text, folded, 1)
    if not near and len(text) >= _MIN_START:
        near = [name for name in folded if name.startswith(text)]
    return f"; did you mean {folded[near[0]]}?" if near else ""
