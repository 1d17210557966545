"""Entries of a change request, split into documents that the function accepts. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward.reporting import undo as undo_entries
from image_steward.settings import Settings


@dataclass(frozen=True)
class Entries:
    """The entries that a file asks for, in order.

    `problems` are messages about what cannot be used.
    """

    texts: list[str]
    """The entries as JSON, since objects would need several times as much memory."""
    problems: list[str]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries as objects."""
        return list(map(json.loads, self.texts))

    @cached_property
    def parts(self) -> list[list[str]]:
        """The entries by change request, each within the limits of a document."""
        return list(undo_entries.batches(self.texts, Settings().max_document_bytes)) or [[]]

    def part(self, number: int) -> dict[str, Any]:
        """One of the change requests, counted from 1.

        Raises:
            ValueError: it does not exist.
        """
        if not 1 <= number <= len(self.parts):
            raise ValueError(f"--part {number} not found; the last part is {len(self.parts)}")
        return document_of(list(map(json.loads, self.parts[number - 1])))


def document_of(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """The change request of these entries; an empty Region is that of the function."""
    return {"Images": [{n: v for n, v in each.items() if n != "Region" or v} for each in entries]}


def counted(number: int, noun: str) -> str:
    """A number of things, such as `1 image` or `1,200 images`."""
    return f"{number:,} {noun}{'s' * (number != 1)}"
