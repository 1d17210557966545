"""An image's changes as text: attributes by name, tags as `Tag <key>`. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple

from scf_local.replay import entries_of
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterator

ABSENT = "(none)"
"""Shown for a missing value; a value with this very text is quoted."""

_VALUE_LENGTH = 256  # the longest description


class AttributeChange(NamedTuple):
    """An attribute or a tag before and after."""

    name: str
    before: str
    after: str


def changes_of(image: dict[str, Any]) -> Iterator[AttributeChange]:
    """The changes between `Before` and `After`, those named in `Before` first."""
    before, after = _attributes(image.get("Before")), _attributes(image.get("After"))
    for name in {**before, **after}:
        yield AttributeChange(printable(name), _text(before.get(name)), _text(after.get(name)))


def _attributes(state: object) -> dict[str, object]:
    attributes = state if isinstance(state, dict) else {}
    return {
        **{name: value for name, value in attributes.items() if name != "Tags"},
        **{f"Tag {tag.get('Key')}": tag.get("Value") for tag in entries_of(state, "Tags")},
    }


def _text(value: object) -> str:
    if value is None:
        return ABSENT
    if not isinstance(value, str):
        return printable(json.dumps(value, ensure_ascii=False), _VALUE_LENGTH)
    text = printable(value, _VALUE_LENGTH)
    # Quotes make an empty text and blanks at either end visible.
    return f'"{text}"' if text != text.strip() or text in {"", ABSENT} else text
