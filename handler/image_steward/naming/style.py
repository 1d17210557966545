"""The style of image names: case, separators, length, number suffixes. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from image_steward.limits import NAME_LENGTH

# Whitespace, invisible characters (zero width, direction marks), control characters, and common
# separators.
_SEPARATORS = r"\s\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff_\-/\\|"

_MARKS = ("Mn", "Mc", "Me")
_VIRAMA = 9
_LEADING_JAMO = re.compile(r"[\u1100-\u115f\ua960-\ua97c]")
_AFTER_LEADING = re.compile(r"[\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb]")
_JOINING = re.compile(
    r"[\u1160-\u11ff\ud7b0-\ud7fb\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
    r"\u0e33\u0eb3\uff9e\uff9f]"  # letters by category, but marks of what they follow
)
# Letters by category, but marks of what they precede.
_PREPENDED = re.compile(
    r"[\u0d4e\u1cf5\u1cf6\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a"
    r"\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_NUMBER = re.compile(r"[1-9][0-9]{0,28}")
_FLAG_LETTER = re.compile(r"[\U0001f1e6-\U0001f1ff]")


@dataclass(frozen=True)
class Style:
    """A style for rendered names. Applying it is idempotent."""

    case: str = "keep"
    separator: str = "-"

    @cached_property
    def _separators(self) -> re.Pattern[str]:
        return re.compile(f"[{_SEPARATORS}{re.escape(self.separator)}]+")

    def apply(self, text: str) -> str:
        """Turn a text into a name of at most 60 characters; it may be empty."""
        text = unicodedata.normalize("NFKC", text)
        if self.case != "keep":
            changed = text.lower() if self.case == "lower" else text.upper()
            text = unicodedata.normalize("NFKC", changed)
        text = self._separators.sub(self.separator, text).strip(self.separator)
        return self.cut(text, NAME_LENGTH)

    def cut(self, name: str, length: int) -> str:
        """Cut a name as `cut` does, and remove separators at its end."""
        return cut(name, length).rstrip(self.separator)

    def numbered(self, name: str, number: int) -> str:
        """Return `name`, `name-2`, `name-3` …; a long name is cut to make room for the number."""
        if number == 1:
            return name
        ending = f"{self.separator}{number}"
        return self.cut(name, NAME_LENGTH - len(ending)) + ending

    def fits(self, name: str, base: str) -> bool:
        """Whether `name` is `base` or one of its numbered forms."""
        if name == base:
            return True
        number = name.rpartition(self.separator)[2]
        return bool(_NUMBER.fullmatch(number)) and name == self.numbered(base, int(number))


def cut(text: str, length: int) -> str:
    """Cut a text to at most `length` code points, without splitting a visible character."""
    if len(text) <= length:
        return text
    # A single character may be longer than `length`; then it is split.
    end = next((i for i in range(length, 0, -1) if not _is_inside(text, i)), length)
    return text[:end]


def _is_inside(text: str, index: int) -> bool:
    """Whether an index may be inside a character (grapheme cluster, UAX 29).

    Errs on the side of yes: the tables of the full rules would be many times this function.
    """
    left, right = text[index - 1], text[index]
    if _FLAG_LETTER.match(left) and _FLAG_LETTER.match(right):  # flags are pairs of letters
        flags = takewhile(_FLAG_LETTER.match, reversed(text[:index]))
        return len(list(flags)) % 2 == 1
    return bool(
        unicodedata.category(right) in _MARKS
        or _JOINING.match(right)
        or unicodedata.category(left) == "Cf"
        or _PREPENDED.match(left)
        or (_LEADING_JAMO.match(left) and _AFTER_LEADING.match(right))
        or left + right == "\r\n"
        or _has_virama(text, index)
    )


def _has_virama(text: str, index: int) -> bool:
    """Whether a virama is among the marks before an index: it joins the next consonant to them."""
    categories = (*_MARKS, "Cf")
    marks = takewhile(lambda mark: unicodedata.category(mark) in categories, reversed(text[:index]))
    return any(unicodedata.combining(mark) == _VIRAMA for mark in marks)
