"""What of an image differs, as text: attributes by name, `Tag <key>` for each tag. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from scf_local.cells import printable
from scf_local.replay import entries_of

if TYPE_CHECKING:
    from collections.abc import Iterator

ABSENT = "(none)"
"""Stands for what is not there; a value of this very text is quoted."""

_VALUE_LENGTH = 256  # of a description, the longest there is


class Change(NamedTuple):
    """A member of an image before and after."""

    name: str
    before: str
    after: str


def changes_of(image: dict[str, Any]) -> Iterator[Change]:
    """The members of `Before` and `After`, those of `Before` first."""
    before, after = _members(image.get("Before")), _members(image.get("After"))
    for name in {**before, **after}:
        yield Change(printable(name), _value(before.get(name)), _value(after.get(name)))


def _members(state: object) -> dict[str, object]:
    attributes = state if isinstance(state, dict) else {}
    return {
        **{name: value for name, value in attributes.items() if name != "Tags"},
        **{f"Tag {tag.get('Key')}": tag.get("Value") for tag in entries_of(state, "Tags")},
    }


def _value(value: object) -> str:
    if value is None:
        return ABSENT
    if not isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False), _VALUE_LENGTH)
    text = printable(value, _VALUE_LENGTH)
    # Blanks at the ends could not be seen, nor an empty text.
    return f'"{text}"' if text != text.strip() or text in {"", ABSENT} else text
