"""An image's changes as text: attributes by name, tags as `Tag <key>`. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Any, NamedTuple

from scf_local.replay import entries_of
from scf_local.terminal_text import printable

ABSENT = "(none)"
"""Shown for a missing value; a value with this very text is quoted."""

_VALUE_LENGTH = 256  # the longest description
_SHARED = 3
"""A common start or end of two values is left unmarked only if it has this many characters."""


class AttributeChange(NamedTuple):
    """An attribute or a tag before and after."""

    name: str
    before: str
    after: str


class Diff(NamedTuple):
    """A change, split into the common start of both values, what differs, and the common end."""

    name: str
    head: str
    before: str
    after: str
    tail: str


def changes_of(image: dict[str, Any]) -> Iterator[AttributeChange]:
    """The changes between `Before` and `After`, those named in `Before` first."""
    return changes_between(attributes_of(image.get("Before")), attributes_of(image.get("After")))


def changes_between(
    before: Mapping[str, object], after: Mapping[str, object]
) -> Iterator[AttributeChange]:
    """The changes between values by name, those in `before` first.

    Values that differ are never printed alike: if need be, they are JSON with escapes.
    """
    for name in {**before, **after}:
        values = before.get(name), after.get(name)
        old, new = map(text_of, values)
        codes = [json.dumps(value) for value in values]
        if old == new and codes[0] != codes[1]:
            old, new = codes
        yield AttributeChange(printable(name), old, new)


def diff_of(change: AttributeChange) -> Diff:
    """Split a change, so that only the differing part can be marked."""
    name, before, after = change
    if ABSENT in {before, after}:
        return Diff(name, "", before, after, "")
    start = _shared(before, after)
    old, new = before[start:], after[start:]
    end = _shared(old[::-1], new[::-1])
    tail = old[len(old) - end :]
    return Diff(name, before[:start], old.removesuffix(tail), new.removesuffix(tail), tail)


def _shared(old: str, new: str) -> int:
    """Return the length of the common start, or 0 if it is shorter than `_SHARED`."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    return same if same >= _SHARED else 0


def attributes_of(state: object, tag_prefix: str = "Tag ") -> dict[str, Any]:
    """The values in `Before` or `After`, by name; those of tags by prefix and key."""
    attributes = state if isinstance(state, dict) else {}
    return {
        **{name: value for name, value in attributes.items() if name != "Tags"},
        **{f"{tag_prefix}{tag.get('Key')}": tag.get("Value") for tag in entries_of(state, "Tags")},
    }


def text_of(value: object) -> str:
    """A value as a text for people, in quotes if its ends would not be visible."""
    if value is None:
        return ABSENT
    if not isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False), _VALUE_LENGTH)
    text = printable(value, _VALUE_LENGTH)
    # Quotes make an empty text and blanks visible, and tell a name from what stands beside it.
    is_plain = text == text.strip() and text not in {"", ABSENT} and not re.search("  |→", text)
    return text if is_plain else f'"{text}"'
