"""Parts of error messages: quoted input, spelling suggestions, JSON Pointers."""

from __future__ import annotations

import json
from collections.abc import Iterable

from image_steward.lazy import load

MAX_QUOTED = 60
"""Characters of the input that a message quotes."""

_CUTOFF = 0.6
_MIN_PREFIX = 3


def nearest(given: object, known: Iterable[str], cutoff: float = _CUTOFF) -> str:
    """Return `; did you mean <name>?` for the known name most similar to `given`, or nothing.

    `cutoff` is the minimum similarity, up to 1. By default, a name that only starts with `given`
    will do.
    """
    by_lowercase = {name.lower(): name for name in known}
    text = str(given)[:MAX_QUOTED].lower()
    matches = load("difflib:get_close_matches")(text, by_lowercase, n=1, cutoff=cutoff)
    if not matches and cutoff <= _CUTOFF and len(text) >= _MIN_PREFIX:
        matches = [name for name in by_lowercase if name.startswith(text)]
    return f"; did you mean {by_lowercase[matches[0]]}?" if matches else ""


def short(text: str) -> str:
    """Quote a string, cut to `MAX_QUOTED` characters."""
    return json.dumps(_clip(text), ensure_ascii=False)


def shown(value: object) -> str:
    """A value as JSON, cut to `MAX_QUOTED` characters."""
    return short(value) if isinstance(value, str) else _clip(json.dumps(value, ensure_ascii=False))


def pointer_step(step: str) -> str:
    """Escape a step of a JSON Pointer (RFC 6901), cut to more than any valid key has."""
    return step[:200].replace("~", "~0").replace("/", "~1")


def _clip(text: str) -> str:
    return text if len(text) <= MAX_QUOTED else text[:MAX_QUOTED] + "…"
