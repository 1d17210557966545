"""The differences between two JSON values, down to the field. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import zip_longest

from image_steward.messages import pointer_step
from scf_local.terminal_text import printable

NOTHING = object()
"""Stands for a value that is missing."""


def pairs(
    expected: object, actual: object, path: str, *, partial: bool = False
) -> Iterator[tuple[str, object, object]]:
    """The path and both values of each difference; numbers are equal in value, `true` is not 1.

    If `partial`, members of objects that are not expected do not matter.
    """
    if isinstance(expected, dict) and isinstance(actual, dict):
        for name in expected if partial else {**expected, **actual}:
            values = expected.get(name, NOTHING), actual.get(name, NOTHING)
            yield from pairs(*values, f"{path}/{pointer_step(name)}", partial=partial)
    elif isinstance(expected, list) and isinstance(actual, list):
        for number, values in enumerate(zip_longest(expected, actual, fillvalue=NOTHING)):
            yield from pairs(*values, f"{path}/{number}", partial=partial)
    elif expected != actual or isinstance(expected, bool) is not isinstance(actual, bool):
        yield path, expected, actual


def differences(expected: object, actual: object, *, partial: bool = False) -> Iterator[str]:
    """A line for each difference of a result from what is expected."""
    for field, wanted, got in pairs(expected, actual, "Result", partial=partial):
        yield f"{field}: expected {text_of(wanted)}, got {text_of(got)}"


def text_of(value: object) -> str:
    """A value as JSON, on one line."""
    text = "nothing" if value is NOTHING else json.dumps(value, ensure_ascii=False)
    return printable(text, 300)
