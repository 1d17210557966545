"""Globs: patterns with `*` (any text) and `?` (one character)."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass


@dataclass(frozen=True)
class Glob:
    """A pattern with `*` and `?`; brackets are literal."""

    text: str

    def matches(self, text: str) -> bool:
        """Whether the pattern matches the whole text."""
        # fnmatch's regular expressions, which it caches, never backtrack over a `*`.
        return fnmatch.fnmatchcase(text, self.text.replace("[", "[[]"))
