"""Names of images: their style, their length, their numbers. Pure."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from image_steward.limits import NAME_LENGTH

# White space, what looks like it or like nothing (zero width, direction marks), control
# characters, and the separators that people use.
_RUN = r"\s\x00-\x1f\x7f-\x9f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff_\-/\\|"

_ATTACHED = ("Mn", "Mc", "Me")
_VIRAMA = 9
_LEADING_JAMO = re.compile(r"[\u1100-\u115f\ua960-\ua97c]")
_AFTER_LEADING = re.compile(r"[\u1100-\u11ff\ua960-\ua97c\uac00-\ud7fb]")
_JOINING = re.compile(
    r"[\u1160-\u11ff\ud7b0-\ud7fb\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
    r"\u0e33\u0eb3\uff9e\uff9f]"  # letters by category, yet marks of what they follow
)
# Letters by category, yet marks of what they precede.
_PREPENDED = re.compile(
    r"[\u0d4e\u1cf5\u1cf6\U000111c2\U000111c3\U0001193f\U00011941\U00011a3a"
    r"\U00011a84-\U00011a89\U00011d46\U00011f02]"
)
_NUMBER = re.compile(r"[1-9][0-9]{0,28}")
_FLAG_LETTER = re.compile(r"[\U0001f1e6-\U0001f1ff]")


@dataclass(frozen=True)
class Style:
    """How rendered names are put right; doing it twice is doing it once."""

    case: str = "keep"
    separator: str = "-"

    @cached_property
    def _run(self) -> re.Pattern[str]:
        return re.compile(f"[{_RUN}{re.escape(self.separator)}]+")

    def apply(self, text: str) -> str:
        """The name of at most 60 characters that a text becomes; it may come out empty."""
        text = unicodedata.normalize("NFKC", text)
        if self.case != "keep":
            changed = text.lower() if self.case == "lower" else text.upper()
            text = unicodedata.normalize("NFKC", changed)
        return self.cut(self._run.sub(self.separator, text).strip(self.separator), NAME_LENGTH)

    def cut(self, name: str, length: int) -> str:
        """The name, shortened between two characters to so many code points."""
        return cut(name, length).rstrip(self.separator)

    def numbered(self, name: str, number: int) -> str:
        """`name`, `name-2`, `name-3` …: the name gives way to the number."""
        if number == 1:
            return name
        ending = f"{self.separator}{number}"
        return self.cut(name, NAME_LENGTH - len(ending)) + ending

    def fits(self, name: str, wanted: str) -> bool:
        """Whether `name` is the wanted one, or one of its numbered forms."""
        if name == wanted:
            return True
        number = name.rpartition(self.separator)[2]
        return bool(_NUMBER.fullmatch(number)) and name == self.numbered(wanted, int(number))


def cut(text: str, length: int) -> str:
    """At most so many code points of a text, ending between two characters that people see."""
    if len(text) <= length:
        return text
    # A single character may be longer than that; then there is no good place.
    place = next((i for i in range(length, 0, -1) if not _is_inside(text, i)), length)
    return text[:place]


def _is_inside(text: str, place: int) -> bool:
    """Whether a character (grapheme cluster, UAX 29) may reach across a place.

    Rather once too often than once too seldom: the tables of the whole rule would be many times
    this function.
    """
    left, right = text[place - 1], text[place]
    if _FLAG_LETTER.match(left) and _FLAG_LETTER.match(right):  # flags are pairs of letters
        flags = takewhile(_FLAG_LETTER.match, reversed(text[:place]))
        return len(list(flags)) % 2 == 1
    return bool(
        unicodedata.category(right) in _ATTACHED
        or _JOINING.match(right)
        or unicodedata.category(left) == "Cf"
        or _PREPENDED.match(left)
        or (_LEADING_JAMO.match(left) and _AFTER_LEADING.match(right))
        or left + right == "\r\n"
        or _has_virama(text, place)
    )


def _has_virama(text: str, place: int) -> bool:
    """Whether a virama is among the marks before a place: it ties the next consonant to them."""
    attached = (*_ATTACHED, "Cf")
    marks = takewhile(lambda mark: unicodedata.category(mark) in attached, reversed(text[:place]))
    return any(unicodedata.combining(mark) == _VIRAMA for mark in marks)
