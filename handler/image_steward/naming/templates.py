"""Templates: text with fields in braces, which can reach nothing else.

{ImageFamily}                   the value of a field
{Tag.team|ImageFamily|unknown}  ... or of the first field that has one, or the text at the end
{CreatedTime:%Y%m%d}            a formatted time, at the fields' offset from UTC
{ImageName:.20}                 at most 20 characters of a value, whole visible ones
{OsName:lower} {OsName:upper}   in lower and in upper case
{{  }}                          a literal brace

Each alternative may have a format. Any other `:` is part of a name, such as `Tag.app:role`, or of
the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, lru_cache, partial
from operator import itemgetter
from typing import NoReturn, TypeAlias

from image_steward.messages import nearest, short
from image_steward.naming.style import cut
from image_steward.naming.text import clean

MAX_LENGTH, MAX_FIELDS = 1024, 20
"""Characters and fields of a template: a document may have 50 templates for 1,000 images."""

DIRECTIVES = "YymdHMSjGVu"
"""The strftime directives allowed after `%`: numbers only, the same in every locale."""

_TOKEN = re.compile(r"(?P<brace>\{\{|\}\})|\{(?P<field>[^{}]*)\}|(?P<stray>[{}])|(?P<text>[^{}]+)")
_TEXT_FORMAT = re.compile(r"\.[1-9][0-9]{0,3}|lower|upper")
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
    utc_offset: int = 0
    """Seconds; times with a format are local to it."""


@dataclass(frozen=True)
class _Field:
    name: str
    format: str
    utc_offset: int
    default: str = ""
    others: tuple[_Field, ...] = ()
    """The fields that are used if this one is empty."""

    @cached_property
    def formatted(self) -> Callable[[str], str]:
        """Formats a value; an empty one stays empty. Uses strftime only for calendar directives."""
        if "%" not in self.format:
            cases = {"lower": str.lower, "upper": str.upper}
            return cases.get(self.format) or partial(cut, length=int(self.format[1:]))
        parts = re.findall(r"%(.)|([^%]+)", self.format)
        directives = [letter for letter, _ in parts if letter and letter != "%"]
        pattern = "".join(text or ("%%" if letter == "%" else "%s") for letter, text in parts)
        if not self.utc_offset and _SLICES.keys() >= set(directives):
            slices = itemgetter(*(_SLICES[letter] for letter in directives))
            return lambda time: time and pattern % slices(time)
        values, at = itemgetter(*directives), self.utc_offset
        return lambda time: pattern % values(n) if time and (n := _calendar(time, at)) else ""

    def otherwise(self, values: Mapping[str, str]) -> str:
        """The first value of the other fields, or the default."""
        found = (f.formatted(values[f.name]) if f.format else values[f.name] for f in self.others)
        return next(filter(None, found), self.default)


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
        pattern, count = "", 0
        found: list[_Field] = []
        for _, field, literal in tokens(text, "ImageId"):
            pattern += literal.replace("%", "%%")
            if field is not None:
                found.append(_field(field, fields, hint, values))
                count += 1 + len(found[-1].others)
                if count > MAX_FIELDS:
                    raise ValueError(f"has more than {MAX_FIELDS} fields")
                pattern += "%s"
        return cls(text, pattern, tuple(found))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The names of its fields."""
        return frozenset(f.name for field in self._fields for f in (field, *field.others))

    def render(self, values: Mapping[str, str]) -> str:
        """Render with the values of all fields, which may be empty; times as by `clock.utc`.

        The result is clean: without invisible characters, and without blanks at its ends.

        Raises:
            NoValue: a field has neither a value nor a default.
        """
        # A hot loop: a run may have 100,000 images to name.
        rendered = [
            (f.formatted(values[f.name]) if f.format else values[f.name])
            or (f.otherwise(values) if f.others else f.default)
            for f in self._fields
        ]
        if "" in rendered:
            field = self._fields[rendered.index("")]
            raise NoValue("|".join(f.name for f in (field, *field.others)))
        text = self._pattern % tuple(rendered)
        return text.strip() if text.isascii() else clean(text)


def tokens(text: str, example: str) -> Iterator[tuple[int, str | None, str]]:
    """Yield the parts of a text: the position and content of a field, or None, and literal text.

    `example` is the name of a field for messages.

    Raises:
        ValueError: a brace is unmatched, or the text is too long.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"has {len(text)} characters; at most {MAX_LENGTH} are allowed")
    for token in _TOKEN.finditer(text):
        if brace := token["stray"]:
            raise ValueError(
                f"unmatched {brace} at character {token.start() + 1}; "
                f"write a field as {{{example}}}, and a literal brace as {brace * 2}"
            )
        literal = token["brace"][0] if token["brace"] else token["text"] or ""
        yield token.start() + 1, token["field"], literal


@lru_cache(maxsize=1000)
def _calendar(time: str, utc_offset: int) -> dict[str, str]:
    """What each directive makes of a time, local to an offset; nothing if it has no local time.

    Cached, since a document may use the same times in thousands of fields.
    """
    try:
        moment = datetime.fromisoformat(time[:-1]) + timedelta(seconds=utc_offset)
    except OverflowError:
        return {}
    local = moment.isoformat()
    week = dict(zip("jGVu", moment.strftime("%j %G %V %u").split(), strict=True))
    week["G"] = week["G"].zfill(4)  # strftime's years may have fewer digits
    return {letter: local[part] for letter, part in _SLICES.items()} | week


def _field(source: str, fields: Fields, hint: Hint, values: Collection[str]) -> _Field:
    *bodies, last = source.split("|")
    if bodies and "" in (*bodies, last):
        raise ValueError(f"{{{source}}} has an empty alternative; give one, or leave out the |")
    found = [_named(body, fields) or _reject(body, fields, hint, values) for body in bodies]
    if field := _named(last, fields):
        found.append(field)
    name, _, form = last.partition(":")
    if not found or (not field and name in fields.names and form.startswith("%")):
        _reject(last, fields, hint, values)
    others = tuple([_Field(*each, fields.utc_offset) for each in found[1:]])
    return _Field(*found[0], fields.utc_offset, "" if field else last, others)


def _named(body: str, fields: Fields) -> tuple[str, str] | None:
    """The name and the format of a field, if an alternative names one."""
    name, _, form = body.partition(":")
    if name in fields.times and _TIME_FORMAT.fullmatch(form):
        return name, form
    name, colon, form = body.rpartition(":")
    if not colon or not _TEXT_FORMAT.fullmatch(form):
        name, form = body, ""  # the key of a tag may contain a colon
    has_prefix = name.startswith(fields.prefixes) and name not in fields.prefixes
    return (name, form) if has_prefix or name in fields.names else None


def _reject(body: str, fields: Fields, hint: Hint, values: Collection[str]) -> NoReturn:
    """Raise an error: why an alternative is not a field, and what is allowed."""
    name, colon, form = body.partition(":")
    if colon and name in (*fields.names, *fields.times):
        times, allowed = " and ".join(fields.times), " ".join(f"%{x}" for x in DIRECTIVES)
        problem = f"{short(form)} is not a format of {name}; allowed are .20 (characters), lower "
        problem += f"and upper, and only {times} may have a time format"
        if name in fields.times:
            problem = f"a time format requires at least one of {allowed}, and allows no other; "
            problem += "write a literal % as %%"
        raise ValueError(f"{{{body}}}: {problem}")
    known = [*fields.names, *(f"{prefix}<key>" for prefix in fields.prefixes)]
    wanted = {f"{prefix}{name}".lower() for prefix in fields.prefixes}
    meant = sorted((v for v in values if v.lower() in wanted), key=lambda v: v.endswith(name))
    advice = f"; did you mean {{{meant[-1]}}}?" if meant else hint(name, known)
    advice = advice or f"; allowed are {', '.join(known)}"
    raise ValueError(f"{short('{' + body + '}')} is not a field{advice}")
