"""Templates: text with fields in braces, and nothing else reachable from them.

{ImageFamily}           the field's value
{Tag.team|unknown}      ... or a default, when it is empty or missing
{CreatedTime:%Y%m%d}    a time (UTC), written as asked for
{{  }}                  a brace
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from operator import itemgetter

from image_steward.messages import nearest, short

DIRECTIVES = "YymdHMSjGVu"
"""What may follow a `%`: the numbers of strftime, the same in every language."""

_PART = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")
# strftime takes a zero character for the end of the format.
_FORMAT = re.compile(rf"(?:[^%\0]|%%)*%[{DIRECTIVES}](?:[^%\0]|%[{DIRECTIVES}%])*")
_PLACES = {
    "Y": slice(0, 4), "y": slice(2, 4), "m": slice(5, 7), "d": slice(8, 10),
    "H": slice(11, 13), "M": slice(14, 16), "S": slice(17, 19),
}  # fmt: skip
"""Where these stand in a time as `clock.utc` writes it: they need no calendar."""


class NoValue(Exception):
    """A field is empty or missing, and the template has no default for it."""

    def __init__(self, field: str) -> None:
        super().__init__(f"{field} is empty and has no default")
        self.field = field


@dataclass(frozen=True)
class Fields:
    """What a template may name: fields by name, by prefix (`Tag.`), and which of them are times."""

    names: tuple[str, ...]
    prefixes: tuple[str, ...]
    times: tuple[str, ...]


@dataclass(frozen=True)
class _Field:
    name: str
    default: str
    format: str = ""

    @cached_property
    def written(self) -> Callable[[str], str]:
        """What writes a time (or none) in this format: strftime only where a calendar is needed."""
        parts = re.findall(r"%(.)|([^%]+)", self.format)
        asked = [letter for letter, _ in parts if letter and letter != "%"]
        if not _PLACES.keys() >= set(asked):
            return lambda time: time and datetime.fromisoformat(time[:-1]).strftime(self.format)
        pattern = "".join(text or ("%%" if letter == "%" else "%s") for letter, text in parts)
        cut = itemgetter(*(_PLACES[letter] for letter in asked))
        return lambda time: time and pattern % cut(time)


@dataclass(frozen=True)
class Template:
    """A template that has been read. `text` is how it was written."""

    text: str
    _pattern: str
    _fields: tuple[_Field, ...]

    @classmethod
    def parse(cls, text: str, fields: Fields) -> Template:
        """Read a template.

        Raises:
            ValueError: what is wrong with it, and what is allowed there.
        """
        pattern = ""
        found: list[_Field] = []
        for part in _PART.finditer(text):
            if part["stray"]:
                raise ValueError(
                    f"{part['stray']} at character {part.start() + 1} stands alone; "
                    f"a field is {{Name}}, a brace is {part['stray'] * 2}"
                )
            if part["field"] is not None:
                found.append(_field(part["field"], fields))
                pattern += "%s"
            else:
                literal = part["brace"][0] if part["brace"] else part["text"]
                pattern += literal.replace("%", "%%")
        return cls(text, pattern, tuple(found))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of the fields in it."""
        return frozenset(field.name for field in self._fields)

    def render(self, values: Mapping[str, str]) -> str:
        """The text with each field's value, empty where there is none; times as `clock.utc`.

        Raises:
            NoValue: a field has neither value nor default.
        """
        # One pass, nothing called that need not be: a run may have 100,000 images to name.
        found = tuple(
            [
                (each.written(values[each.name]) if each.format else values[each.name])
                or each.default
                for each in self._fields
            ]
        )
        if "" in found:
            raise NoValue(self._fields[found.index("")].name)
        return self._pattern % found


def _field(inside: str, fields: Fields) -> _Field:
    body, bar, default = inside.partition("|")
    if bar and not default:
        raise ValueError(f"{{{inside}}} has an empty default; give one, or leave out the |")
    name, colon, form = body.partition(":")
    if colon and name in fields.times:
        if not _FORMAT.fullmatch(form):
            allowed = " ".join(f"%{letter}" for letter in DIRECTIVES)
            raise ValueError(
                f"{{{inside}}}: the format of a time has at least one of {allowed}; a % is %%"
            )
        return _Field(name, default, form)
    is_prefixed = any(body.startswith(prefix) and body != prefix for prefix in fields.prefixes)
    if is_prefixed or body in fields.names:  # a tag's key may hold a colon
        return _Field(body, default)
    known = [*fields.names, *(f"{prefix}<key>" for prefix in fields.prefixes)]
    if name in fields.names and colon:
        raise ValueError(f"{{{inside}}}: only a time has a format: {', '.join(fields.times)}")
    hint = nearest(name, known) or f"; allowed are {', '.join(known)}"
    raise ValueError(f"{short('{' + inside + '}')} names no field{hint}")
