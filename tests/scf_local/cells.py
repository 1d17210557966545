"""Text from anywhere, safe to show on a terminal."""

from __future__ import annotations

import unicodedata

from rich.text import Text

_LENGTH = 200


def printable(value: object, length: int = _LENGTH) -> str:
    """Text of one line, cut to `length`, without control characters that would move the cursor."""
    text = str(value)
    if not text.isprintable():  # asked first, since it is so much faster
        text = "".join(c if _is_shown(c) else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text[:length] + "…" if len(text) > length else text


def cell(value: object) -> Text:
    """The same for rich, to be shown as it is: no markup."""
    return Text(printable(value))


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"
