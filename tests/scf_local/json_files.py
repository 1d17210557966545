"""JSON from files: what people write, read strictly, and events, which may be what SCF takes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

from image_steward import strict_json
from image_steward.errors import InvalidJSON

if TYPE_CHECKING:
    from pathlib import Path

MAX_EVENT_DEPTH = 500
"""Of events and results, which are passed on and shown alone; Python itself gives up near 1,000."""


def read(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The value in a file that people write: seeds, faults, expectations.

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
    """The event, or line of a log, that `data` holds: UTF-8, with or without a byte order mark.

    `line` is the number of the line that `data` is, of a file of several values.

    Raises:
        ValueError: `<name>:<line>:<column>: what is wrong`, the place as far as it is known.
    """
    name = f"{name}:{line}" if line else name
    text = decode(data, name)
    try:
        value = json.loads(text, parse_constant=refuse)
    except json.JSONDecodeError as error:
        place = error.colno if line else f"{error.lineno}:{error.colno}"
        raise ValueError(f"{name}:{place}: not JSON: {error.msg}") from None
    except RecursionError:
        raise ValueError(f"{name}: nested too deep") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if is_deep(value, text, MAX_EVENT_DEPTH):
        raise ValueError(f"{name}: nested deeper than {MAX_EVENT_DEPTH} levels")
    return value


def is_deep(value: object, text: str, levels: int) -> bool:
    """Whether the value of a text has more levels of lists and objects."""
    if text.count("[") + text.count("{") <= levels:  # far sooner asked than the value
        return False
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            below
            for each in level
            for below in (each.values() if isinstance(each, dict) else each)
            if isinstance(below, (dict, list))
        ]
    return bool(level)


def decode(data: bytes, name: str) -> str:
    """The text of a file that people write.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 (byte {error.start})") from None


def refuse(name: str) -> NoReturn:
    """Refuse `NaN` and the like, which Python reads as JSON."""
    raise ValueError(f"not JSON: {name} is no JSON value")
