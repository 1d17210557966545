"""The style of image names: case, characters, separators, length, number suffixes. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Any

from image_steward.limits import NAME_LENGTH
from image_steward.naming.text import CONTROL, INVISIBLE

_SEPARATORS = {
    "any": rf"\s{CONTROL}{INVISIBLE}_\-/\\|",
    "ascii": r"\0-\-/:-@\[-`{-\U0010ffff",  # all but letters, digits and dots
}
"""What becomes a separator, by charset, as in the brackets of a pattern."""

_MARKS = ("Mn", "Mc", "Me")
_VIRAMA = 9
_JOINED = re.compile(
    r"\r\n|[\u1100-\u115f\ua960-\ua97c][\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb]"
    # Letters by category, but marks of what they follow, or of what they precede.
    r"|.[\u1160-\u11ff\ud7b0-\ud7fb\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
    r"\u0e33\u0eb3\uff9e\uff9f]"
    r"|[\u0d4e\u1cf5\u1cf6\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a"
    r"\U00011a84-\U00011a89\U00011d46\U00011f02].",
    re.DOTALL,
)
"""Pairs of code points of one visible character, apart from those that their categories join."""
_NUMBER = re.compile(r"[1-9][0-9]{0,5}")
"""Leaves room for a character and a separator in the shortest `max_length`, 8."""
_FLAG_LETTERS = "".join(map(chr, range(0x1F1E6, 0x1F200)))
_MAX_CLUSTER = 32

_MAX_RENDERED = 256
"""Code points of a rendered text that count: NFKC may make 18 of one."""


@dataclass(frozen=True)
class Style:
    """A style for rendered names. Applying it is idempotent."""

    case: str = "keep"
    separator: str = "-"
    charset: str = "any"
    max_length: int = NAME_LENGTH

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> Style:
        """The style with the members of `Style` in a document; a length may also be a string."""
        names = ("Case", "Separator", "Charset")
        texts = {name.lower(): members[name] for name in names if name in members}
        return cls(**texts, max_length=int(members.get("MaxLength", NAME_LENGTH)))

    @cached_property
    def _separators(self) -> re.Pattern[str]:
        return re.compile(f"[{_SEPARATORS[self.charset]}{re.escape(self.separator)}]+")

    def apply(self, text: str) -> str:
        """Turn a text into a name of at most `max_length` characters; it may be empty.

        Only the first 256 code points of the text count.
        """
        text = unicodedata.normalize("NFKC", text[:_MAX_RENDERED])[:_MAX_RENDERED]
        if self.case != "keep":
            changed = text.lower() if self.case == "lower" else text.upper()
            text = unicodedata.normalize("NFKC", changed)
        text = self._separators.sub(self.separator, text).strip(self.separator)
        return text if len(text) <= self.max_length else self.cut(text, self.max_length)

    def cut(self, name: str, length: int) -> str:
        """Cut a name as `cut` does, and remove separators at its end."""
        return cut(name, length).rstrip(self.separator)

    def numbered(self, name: str, number: int) -> str:
        """Return `name`, `name-2`, `name-3` …; a long name is cut to make room for the number."""
        if number == 1:
            return name
        ending = f"{self.separator}{number}"
        return self.cut(name, self.max_length - len(ending)) + ending

    def fits(self, name: str, base: str) -> bool:
        """Whether `name` is `base` or one of its numbered forms."""
        if name == base:
            return True
        number = name.rpartition(self.separator)[2]
        return bool(_NUMBER.fullmatch(number)) and name == self.numbered(base, int(number))


def cut(text: str, length: int) -> str:
    """Cut a text to at most `length` code points, without splitting a visible character.

    A character of more than `_MAX_CLUSTER` code points is split.
    """
    if len(text) <= length:
        return text
    starts = range(length, max(0, length - _MAX_CLUSTER), -1)
    return text[: next((i for i in starts if not _is_joined(text[:i], text[i])), length)]


def _is_joined(before: str, right: str) -> bool:
    """Whether a code point may be one visible character with the one before it.

    Visible characters are grapheme clusters (UAX 29). Errs on the side of yes: the tables of the
    full rules would be many times this function.
    """
    left = before[-1]
    flags = len(before) - len(before.rstrip(_FLAG_LETTERS))
    marks = takewhile(_is_mark, reversed(before[-_MAX_CLUSTER:]))
    return (
        (flags % 2 == 1 and right in _FLAG_LETTERS)  # flags are pairs of letters
        or unicodedata.category(left) == "Cf"
        or unicodedata.category(right) in _MARKS
        or bool(_JOINED.match(left + right))
        # Marks with a virama join the next consonant to them.
        or any(unicodedata.combining(mark) == _VIRAMA for mark in marks)
    )


def _is_mark(letter: str) -> bool:
    return unicodedata.category(letter) in (*_MARKS, "Cf")
