"""What error messages are made of: texts in quotes, the nearest known name, JSON Pointers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from image_steward.lazy import load

WIDTH = 60
"""Characters that a message quotes of what somebody gave."""

_LIKENESS = 0.6
_MIN_START = 3


def nearest(given: object, known: Iterable[str], likeness: float = _LIKENESS) -> str:
    """`; did you mean <name>?`, for the known name that is spelt like `given`, else nothing.

    `likeness` is how near, up to 1; unless more is asked for, a name that begins so will do.
    """
    folded = {name.lower(): name for name in known}
    text = str(given)[:WIDTH].lower()
    near = load("difflib:get_close_matches")(text, folded, n=1, cutoff=likeness)
    if not near and likeness <= _LIKENESS and len(text) >= _MIN_START:
        near = [name for name in folded if name.startswith(text)]
    return f"; did you mean {folded[near[0]]}?" if near else ""


def short(text: str) -> str:
    """A text in quotes, cut to `WIDTH`."""
    return json.dumps(_cut(text), ensure_ascii=False)


def shown(value: object) -> str:
    """A value as JSON writes it, cut to `WIDTH`."""
    return short(value) if isinstance(value, str) else _cut(json.dumps(value, ensure_ascii=False))


def pointer_step(step: str) -> str:
    """A step of a JSON Pointer (RFC 6901)."""
    return step.replace("~", "~0").replace("/", "~1")


def _cut(text: str) -> str:
    return text if len(text) <= WIDTH else text[:WIDTH] + "…"
