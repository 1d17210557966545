"""Derived fields: what a policy takes out of other fields, replaces or maps. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from image_steward.naming.patterns import Glob, Pattern
from image_steward.naming.templates import NoValue, Template

MAX_TEXT = 256
"""Code points of a text that count: no value of an image has more."""

_CACHED = 1 << 14

Pairs: TypeAlias = "Sequence[Mapping[str, str]]"
"""Pairs of `Key` and `Value`."""

Reader: TypeAlias = "Callable[[str], Sequence[str]]"
"""Turns a text, after NFKC, into the values of the fields; all empty if it finds nothing."""


@dataclass(frozen=True)
class Derive:
    """One step: it reads a text, and gives the fields that later steps and templates see."""

    source: Template
    fields: tuple[str, ...]
    read: Reader

    def depends_on(self, changed: AbstractSet[str]) -> bool:
        """Whether it reads a changed field, or gives one that another step gives as well."""
        return not (changed.isdisjoint(self.source.fields) and changed.isdisjoint(self.fields))

    def apply(self, values: Mapping[str, str]) -> Iterable[tuple[str, str]]:
        """The derived fields and their values."""
        try:
            text = self.source.render(values)
        except NoValue:
            text = ""
        return zip(self.fields, self.read(text), strict=True)


def replacing(pairs: Pairs) -> Reader:
    """Replaces each key, a literal text in any case, by its value, in order."""
    keys = [re.compile(re.escape(_nfkc(pair["Key"])), re.IGNORECASE) for pair in pairs]
    values = [pair["Value"].replace("\\", r"\\") for pair in pairs]

    def read(text: str) -> Sequence[str]:
        for key, value in zip(keys, values, strict=True):
            text = key.sub(value, text)[:MAX_TEXT]
        return (text,)

    return _cached(read)


def mapping(pairs: Pairs) -> Reader:
    """The value of the first key, a glob, that matches in any case."""
    rules = [(Glob(pair["Key"]), pair["Value"]) for pair in pairs]
    return _cached(lambda text: (next((v for key, v in rules if key.matches_folded(text)), ""),))


def parsing(patterns: Sequence[Pattern], fields: Sequence[str]) -> Reader:
    """The values that the first matching pattern finds."""

    def read(text: str) -> Sequence[str]:
        matches = (pattern.match(text) for pattern in patterns)
        found = next((match for match in matches if match is not None), {})
        return [found.get(field, "") for field in fields]

    return _cached(read)


def _cached(read: Reader) -> Reader:
    """Reads a text once: most images share their OsName, and a plan is checked on its outcome."""
    return lru_cache(_CACHED)(lambda text: read(_nfkc(text)))


def _nfkc(text: str) -> str:
    return unicodedata.normalize("NFKC", text[:MAX_TEXT])[:MAX_TEXT]
