"""Untrusted text made safe for a terminal."""

from __future__ import annotations

import unicodedata

from rich.text import Text

_MAX_LENGTH = 200


def printable(value: object, length: int = _MAX_LENGTH) -> str:
    """One line of text, cut to `length`; control characters are replaced."""
    text = str(value)
    if not text.isprintable():  # checked first because it is much faster
        text = "".join(c if _is_printable(c) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text[:length] + "…" if len(text) > length else text


def cell(value: object) -> Text:
    """A table cell for rich: printable text without markup."""
    return Text(printable(value))


def _is_printable(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
