"""Globs: patterns with `*` (any text) and `?` (one character)."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Glob:
    """A pattern with `*` and `?`; brackets are literal."""

    text: str
    _regex: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # fnmatch's regular expressions never backtrack over a `*`.
        pattern = fnmatch.translate(self.text.replace("[", "[[]"))
        object.__setattr__(self, "_regex", re.compile(pattern))

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        return self._regex.match(text) is not None
