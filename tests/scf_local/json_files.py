"""JSON files: hand-written ones, read strictly, and events, which may hold all that SCF accepts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from image_steward import strict_json
from image_steward.errors import InvalidJSON

if TYPE_CHECKING:
    from pathlib import Path

MAX_EVENT_DEPTH = 500
"""Levels of events and results, which are only passed on and shown; Python fails near 1,000."""


def read(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The value in a hand-written file: a seed, faults, expected outcomes.

    Raises:
        ValueError: the file cannot be read or is not strict JSON; begins with its path.
    """
    try:
        return strict_json.loads(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None
    except InvalidJSON as error:
        raise ValueError(f"{path}: not JSON: {error.message}") from None


def parse(data: bytes, name: str, *, line: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """The value in `data`, an event or a line of a log: UTF-8 with or without a byte order mark.

    `line` is the line number of `data` in a file of several values.

    Raises:
        ValueError: `<name>:<line>:<column>: <problem>`, with line and column where known.
    """
    name = f"{name}:{line}" if line else name
    text = decode(data, name)
    try:
        value = json.loads(text, parse_constant=reject_constant)
    except json.JSONDecodeError as error:
        position = error.colno if line else f"{error.lineno}:{error.colno}"
        problem = strict_json.reason(error) if text.strip() else "it is empty"
        raise ValueError(f"{name}:{position}: not JSON: {problem}") from None
    except RecursionError:
        raise ValueError(f"{name}: nested deeper than {MAX_EVENT_DEPTH} levels") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if is_deep(value, text, MAX_EVENT_DEPTH):
        raise ValueError(f"{name}: nested deeper than {MAX_EVENT_DEPTH} levels")
    return value


def is_deep(value: object, text: str, levels: int) -> bool:
    """Whether the value of a JSON text has more than `levels` levels of lists and objects."""
    if text.count("[") + text.count("{") <= levels:  # much faster than walking the value
        return False
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def decode(data: bytes, name: str) -> str:
    """The text of a hand-written file.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 at byte {error.start}") from None


def reject_constant(name: str) -> NoReturn:
    """Reject `NaN` and the like, which Python would read as JSON."""
    raise ValueError(f"not JSON: {name} is not a JSON number")
