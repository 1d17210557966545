"""Templates: text with fields in braces, which can reach nothing else.

{ImageFamily}           the value of a field
{Tag.team|unknown}      ... or a default if it is empty or missing
{CreatedTime:%Y%m%d}    a formatted time (UTC)
{{  }}                  a literal brace
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property, lru_cache
from operator import itemgetter
from typing import TypeAlias

from image_steward.messages import nearest, short
from image_steward.naming.text import clean

MAX_LENGTH, MAX_FIELDS = 1024, 20
"""Characters and fields of a template: a document may have 50 templates for 1,000 images."""

DIRECTIVES = "YymdHMSjGVu"
"""The strftime directives allowed after `%`: numbers only, the same in every locale."""

_TOKEN = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")
# strftime stops at a zero character.
_TIME_FORMAT = re.compile(rf"(?:[^%\0]|%%)*%[{DIRECTIVES}](?:[^%\0]|%[{DIRECTIVES}%])*")
_SLICES = {
    "Y": slice(0, 4), "y": slice(2, 4), "m": slice(5, 7), "d": slice(8, 10),
    "H": slice(11, 13), "M": slice(14, 16), "S": slice(17, 19),
}  # fmt: skip
"""The directives that are a slice of a time as `clock.utc` writes it, and need no strftime."""

Hint: TypeAlias = "Callable[[object, Iterable[str]], str]"
"""Finds the nearest name, as `messages.nearest`; a document has a budget for it."""


class NoValue(Exception):
    """A field is empty or missing, and the template has no default for it."""

    def __init__(self, field: str, problem: str = "has no value and no default") -> None:
        super().__init__(f"{field} {problem}")
        self.field = field


@dataclass(frozen=True)
class Fields:
    """The fields that a template may use: names, prefixes (`Tag.`), and which names are times."""

    names: tuple[str, ...]
    prefixes: tuple[str, ...]
    times: tuple[str, ...]


@dataclass(frozen=True)
class _Field:
    name: str
    default: str
    format: str = ""

    @cached_property
    def format_time(self) -> Callable[[str], str]:
        """Formats a time; an empty one stays empty. Uses strftime only for calendar directives."""
        parts = re.findall(r"%(.)|([^%]+)", self.format)
        directives = [letter for letter, _ in parts if letter and letter != "%"]
        pattern = "".join(text or ("%%" if letter == "%" else "%s") for letter, text in parts)
        if not _SLICES.keys() >= set(directives):
            values = itemgetter(*directives)
            return lambda time: time and pattern % values(_calendar(time))
        slices = itemgetter(*(_SLICES[letter] for letter in directives))
        return lambda time: time and pattern % slices(time)


@dataclass(frozen=True)
class Template:
    """A parsed template. `text` is its source."""

    text: str
    _pattern: str
    _fields: tuple[_Field, ...]

    @classmethod
    def parse(
        cls, text: str, fields: Fields, hint: Hint = nearest, values: Collection[str] = ()
    ) -> Template:
        """Parse a template; `values` are fields that have one, to suggest for a missing prefix.

        Raises:
            ValueError: what is wrong, and what is allowed.
        """
        if len(text) > MAX_LENGTH:
            raise ValueError(f"has {len(text)} characters; at most {MAX_LENGTH} are allowed")
        pattern = ""
        found: list[_Field] = []
        for token in _TOKEN.finditer(text):
            if brace := token["stray"]:
                raise ValueError(
                    f"unmatched {brace} at character {token.start() + 1}; "
                    f"write a field as {{ImageId}}, and a literal brace as {brace * 2}"
                )
            if token["field"] is not None:
                found.append(_field(token["field"], fields, hint, values))
                if len(found) > MAX_FIELDS:
                    raise ValueError(f"has more than {MAX_FIELDS} fields")
                pattern += "%s"
            else:
                literal = token["brace"][0] if token["brace"] else token["text"]
                pattern += literal.replace("%", "%%")
        return cls(text, pattern, tuple(found))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of its fields."""
        return frozenset(field.name for field in self._fields)

    def render(self, values: Mapping[str, str]) -> str:
        """Render with the values of all fields, which may be empty; times as by `clock.utc`.

        The result is clean: without invisible characters, and without blanks at its ends.

        Raises:
            NoValue: a field has neither a value nor a default.
        """
        # A hot loop: a run may have 100,000 images to name.
        rendered = [
            (f.format_time(values[f.name]) if f.format else values[f.name]) or f.default
            for f in self._fields
        ]
        if "" in rendered:
            raise NoValue(self._fields[rendered.index("")].name)
        return clean(self._pattern % tuple(rendered))


@lru_cache(maxsize=1000)
def _calendar(time: str) -> dict[str, str]:
    """What each directive makes of a time; a document may use them in thousands of fields."""
    moment = datetime.fromisoformat(time[:-1])
    return {letter: moment.strftime(f"%{letter}") for letter in DIRECTIVES}


def _field(source: str, fields: Fields, hint: Hint, values: Collection[str]) -> _Field:
    body, bar, default = source.partition("|")
    if bar and not default:
        raise ValueError(f"{{{source}}} has an empty default; give one, or leave out the |")
    name, colon, time_format = body.partition(":")
    if colon and name in fields.times:
        if not _TIME_FORMAT.fullmatch(time_format):
            allowed = " ".join(f"%{letter}" for letter in DIRECTIVES)
            raise ValueError(
                f"{{{source}}}: a time format requires at least one of {allowed}, and allows no "
                "other; write a literal % as %%"
            )
        return _Field(name, default, time_format)
    has_prefix = any(body.startswith(prefix) and body != prefix for prefix in fields.prefixes)
    if has_prefix or body in fields.names:  # the key of a tag may contain a colon
        return _Field(body, default)
    known = [*fields.names, *(f"{prefix}<key>" for prefix in fields.prefixes)]
    if name in fields.names and colon:
        raise ValueError(f"{{{source}}}: only {' and '.join(fields.times)} may have a format")
    wanted = {f"{prefix}{name}".lower() for prefix in fields.prefixes}
    meant = sorted((v for v in values if v.lower() in wanted), key=lambda v: v.endswith(name))
    advice = f"; did you mean {{{meant[-1]}}}?" if meant else hint(name, known)
    advice = advice or f"; allowed are {', '.join(known)}"
    raise ValueError(f"{short('{' + source + '}')} is not a field{advice}")
