"""What error messages are made of: texts in quotes, the nearest known name, JSON Pointers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from image_steward.late import load

WIDTH = 60
"""Characters that a message quotes of what somebody gave."""


def nearest(name: str, known: Iterable[str], likeness: float = 0.6) -> str:
    """A question that names the known name nearest to `name`; empty if none is near.

    `likeness` is how near, up to 1.
    """
    folded = {member.lower(): member for member in known}
    near = load("difflib:get_close_matches")(name[:WIDTH].lower(), folded, n=1, cutoff=likeness)
    return f"did you mean {folded[near[0]]}?" if near else ""


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
