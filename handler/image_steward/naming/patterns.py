"""Patterns: globs, and the inverse of templates, which reads fields out of a text. Pure.

*                  any text
?                  one character
{app}              a field: at least one character, as few as possible
{os:word}          letters and digits
{n:digits}         digits
{v:version}        digits, with single dots between them
{built:%Y%m%d}     a time that the calendar has; its directives are %Y or %y, %m %d %H %M %S
{{  }}             a literal brace

All other text is literal, and compared after NFKC, ignoring case; a literal star or question mark
cannot be written. The whole text must match. A `*` or `{app}` takes as few characters as the rest
of the pattern allows. The other fields take as many as they can, and give none back.

Of a time, `%Y` has four digits. Other numbers have two, or one where the format has other text
before or after it and no digit follows. Missing parts are those of 2000-01-01 00:00:00.
"""

from __future__ import annotations

import fnmatch
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property

from image_steward.messages import nearest, short
from image_steward.naming.templates import DIRECTIVES, MAX_FIELDS, tokens

_KINDS = {
    "word": r"[^\W_]+(?![^\W_])",
    "digits": "[0-9]+(?![0-9])",
    "version": r"[0-9]+(?:\.[0-9]+)*(?!\.?[0-9])",
}
"""Greedy; what may not follow keeps them from giving back."""

_LEAP = "(?:[02468][048]|[13579][26])"
_NUMBERS = {
    "Y": "(?!0000)[0-9]{4}", "y": "[0-9]{2}", "m": "(?:0[1-9]|1[0-2]|[1-9](?![0-9]))",
    "d": "(?:0[1-9]|[12][0-9]|3[01]|[1-9](?![0-9]))", "H": "(?:[01][0-9]|2[0-3]|[0-9](?![0-9]))",
    "M": "(?:[0-5][0-9]|[0-9](?![0-9]))", "S": "(?:[0-5][0-9]|[0-9](?![0-9]))",
}  # fmt: skip
_NO_DATES = (
    {"m": "(?:0[2469]|11|[2469](?![0-9]))", "d": "31"},
    {"m": "(?:02|2(?![0-9]))", "d": "30"},
    {"m": "(?:02|2(?![0-9]))", "d": "29", "y": f"(?!{_LEAP})[0-9]{{2}}"},
    {"m": "(?:02|2(?![0-9]))", "d": "29", "Y": f"(?!{_LEAP}00|..(?!00){_LEAP})[0-9]{{4}}"},
)
"""Numbers that are valid alone, but not together."""


@dataclass(frozen=True)
class Glob:
    """A pattern with `*` and `?`; brackets and braces are literal."""

    text: str

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self.text == "*" or bool(self._exact.match(text))

    def matches_folded(self, text: str) -> bool:
        """Whether the pattern matches as a `Pattern` does; the text must be NFKC already."""
        return bool(self._folded.match(text))

    @cached_property
    def _exact(self) -> re.Pattern[str]:
        # The expressions of fnmatch never backtrack over a `*`.
        return re.compile(fnmatch.translate(self.text.replace("[", "[[]")))

    @cached_property
    def _folded(self) -> re.Pattern[str]:
        return _compile(_segments(self.text))


@dataclass(frozen=True)
class Pattern:
    """A parsed pattern."""

    fields: tuple[str, ...]
    """The names of its fields, in order."""
    times: frozenset[str]
    """The names of those that are times."""
    _regex: re.Pattern[str]
    _offset: timedelta

    @classmethod
    def parse(cls, text: str, utc_offset: int = 0) -> Pattern:
        """Parse a pattern; its times are local to an offset in seconds.

        Raises:
            ValueError: what is wrong, at which character, and what is allowed.
        """
        segments = [""]
        sources: dict[str, str] = {}
        for at, field, literal in tokens(text, "app"):
            first, *others = _segments(literal)
            segments[-1] += first
            segments += others
            if field is None:
                continue
            name, colon, kind = field.partition(":")
            if name in sources or not re.fullmatch("[A-Za-z][A-Za-z0-9_]{0,63}", name):
                problem = "is used twice" if name in sources else "is not a name"
                raise ValueError(
                    f"{short(name)} at character {at + 1} {problem}; each field requires its own: "
                    "an ASCII letter, then letters, digits or _, at most 64"
                )
            if len(sources) == MAX_FIELDS:
                raise ValueError(f"has more than {MAX_FIELDS} fields")
            if not colon:
                segments.append("")
                sources[name] = ".+?"
            else:
                sources[name] = _KINDS.get(kind) or _time(name, kind, at + len(name) + 2)
            segments[-1] += f"(?P<{name}>{sources[name]})"
        times = frozenset(name for name, source in sources.items() if "(?P<" in source)
        return cls(tuple(sources), times, _compile(segments), timedelta(seconds=utc_offset))

    def match(self, text: str) -> dict[str, str] | None:
        """The values of the fields, if the pattern matches the whole text; times as by `clock.utc`.

        The text must be NFKC already, so that a list of patterns requires that once.
        """
        if not (found := self._regex.match(text)):
            return None
        groups = found.groupdict()
        for name in self.times:
            numbers = {"Y": 2000, "m": 1, "d": 1, "H": 0, "M": 0, "S": 0}
            numbers |= {x: int(groups[f"_{x}{name}"]) for x in _NUMBERS if f"_{x}{name}" in groups}
            if "y" in numbers:
                numbers["Y"] = (numbers["y"] + 31) % 100 + 1969  # 69 is 1969, 68 is 2068
            local = "{Y:04}-{m:02}-{d:02}T{H:02}:{M:02}:{S:02}".format(**numbers)
            try:
                groups[name] = f"{(datetime.fromisoformat(local) - self._offset).isoformat()}Z"
            except OverflowError:
                return None
        return {name: groups[name] for name in self.fields}


def _segments(text: str) -> list[str]:
    """Regular expressions for literal text, parted before each `*`."""
    first, *others = (".".join(map(_literal, part.split("?"))) for part in re.split(r"\*+", text))
    return [first, *(f".*?{part}" for part in others)]


def _literal(text: str) -> str:
    return re.escape(unicodedata.normalize("NFKC", text))


def _compile(segments: Iterable[str]) -> re.Pattern[str]:
    """Compile segments: all but the first begin with text of any length.

    As in `fnmatch`, a lookahead finds each segment once, so that the time is at most quadratic: no
    other place of a segment helps the next one, which can reach it anyway.
    """
    *before, last = segments
    atomic = [f"(?=(?P<_{i}>{segment}))(?P=_{i})" for i, segment in enumerate(before)]
    return re.compile(rf"{''.join(atomic)}{last}\Z", re.DOTALL | re.IGNORECASE)


def _time(name: str, form: str, start: int) -> str:
    """The regular expression of a time, with a group for each number; `start` is for messages.

    Raises:
        ValueError: the format is wrong, and not another kind of field either.
    """
    if not re.search("%[^%]", form):
        raise ValueError(
            f"{short(form)} at character {start} is not a kind of field; allowed are "
            f"{', '.join(_KINDS)}, and times such as %Y%m%d{nearest(form, _KINDS)}"
        )
    parts: list[str] = []
    letters: set[str] = set()
    for part in re.finditer("%(.?)|[^%]+", form, re.DOTALL):
        letter = part[1]
        if letter is None or letter == "%":
            parts.append(_literal(letter or part[0]).replace("%", "%%"))
            continue
        if letter not in _NUMBERS or letter in letters or {"Y", "y"} <= {*letters, letter}:
            is_written = letter not in _NUMBERS and letter in set(DIRECTIVES)
            problem = "can be written, but not read" if is_written else "is not allowed"
            raise ValueError(
                f"{short(part[0])} at character {start + part.start()} {problem}; allowed are, "
                "each once, %Y or %y, %m, %d, %H, %M and %S; write a literal % as %%"
            )
        letters.add(letter)
        parts.append(f"%({letter})s")
    # Without other text beside it, the last number has two digits; those before another one must.
    if parts[-1].startswith("%(") and (len(parts) == 1 or parts[-2].startswith("%(")):
        parts.insert(-1, "(?=[0-9]{2})")
    source = "".join(parts)
    no_dates = (source % (_NUMBERS | each) for each in _NO_DATES if each.keys() <= letters)
    groups = {letter: f"(?P<_{letter}{name}>{_NUMBERS[letter]})" for letter in letters}
    return "".join(f"(?!{no_date})" for no_date in no_dates) + source % groups
