"""Untrusted text made safe for a terminal."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence

_MAX_LENGTH = 200


def printable(value: object, length: int = _MAX_LENGTH) -> str:
    """One line of text, cut to `length`; control characters are replaced."""
    text = str(value)
    if not text.isprintable():  # checked first because it is much faster
        text = "".join(c if _is_printable(c) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text[:length] + "…" if len(text) > length else text


def escaped(text: str) -> str:
    """Text of any number of lines; control characters are escaped as in JSON, which stays the same.

    So are invisible characters, and those that reorder text; not line feeds and tabs.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if _is_printable(c) or c in "\n\t" else json.dumps(c)[1:-1] for c in text)


def listed(texts: Sequence[str], at_most: int = 20) -> list[str]:
    """The texts, or the first ones and the number of the others."""
    more = len(texts) - at_most
    return [*texts[:at_most], f"and {more:,} more"] if more > 0 else [*texts]


def _is_printable(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
