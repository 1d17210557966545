"""What several pages show of a result. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from scf_local.terminal_text import printable

MAX_MESSAGE = 4096
"""Characters shown of a message."""

_TONES = {
    "applied": "good", "changed": "good",
    "planned": "info",
    "partial": "warn", "rejected": "warn", "pending": "warn", "unfinished": "warn",
    "would wait": "warn",
    "failed": "bad", "raised": "bad", "timeout": "bad", "memory": "bad", "exited": "bad",
}  # fmt: skip
_LABEL = 40


class Badge(NamedTuple):
    """A word, and the tone that decides its colour."""

    text: str
    tone: str


class Problem(NamedTuple):
    """An entry of `Errors` or `Warnings`."""

    source: str
    code: str
    path: str
    message: str


def badge(word: object) -> Badge:
    """Return the badge of an outcome or a status, also of unknown ones from other functions."""
    text = printable(word, _LABEL)
    return Badge(text or "(empty)", _TONES.get(text, "quiet"))


def problems_of(entries: Iterable[dict[str, Any]]) -> list[Problem]:
    """Return the entries of `Errors` or `Warnings` as printable texts."""
    names = [name.capitalize() for name in Problem._fields]
    return [
        Problem(*(printable(entry.get(name, ""), MAX_MESSAGE) for name in names))
        for entry in entries
    ]
