"""Globs: patterns of `*` (any text) and `?` (one character)."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Glob:
    """A pattern of `*` and `?`; a bracket is a bracket."""

    text: str
    _regex: re.Pattern[str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        # fnmatch's own expression never backtracks over a star, whatever the pattern.
        pattern = fnmatch.translate(self.text.replace("[", "[[]"))
        object.__setattr__(self, "_regex", re.compile(pattern))

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self._regex.match(text) is not None
