"""Strict JSON: rejects whatever two parsers could read differently."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any, NoReturn

from image_steward.errors import InvalidJSON

MAX_DEPTH = 64
"""Levels of nested arrays and objects."""

MAX_CONTAINERS = 100_000
"""Arrays and objects: nearly twice what any valid document has, and 25 MB of memory."""

MAX_DIGITS = 400
"""Of an integer; parsing time grows with the square of the digits."""

_ADVICE = "save the document as UTF-8"


def loads(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """Parse a JSON document in UTF-8, with or without a byte order mark.

    Raises:
        InvalidJSON: not UTF-8, not JSON, a duplicate member, `NaN` or `Infinity`, a number out
            of range, an unpaired surrogate, nested deeper than `MAX_DEPTH`, or more than
            `MAX_CONTAINERS`.
    """
    try:
        value = _DECODER.decode(_text(data))
    except json.JSONDecodeError as error:
        raise InvalidJSON(f"line {error.lineno}, column {error.colno}: {reason(error)}") from None
    except RecursionError:
        raise InvalidJSON(f"nested deeper than {MAX_DEPTH} levels") from None
    _check(value)
    return value


def reason(error: json.JSONDecodeError) -> str:
    """Why a text is not JSON: Python's message, without the "at" before a position."""
    return (error.msg[0].lower() + error.msg[1:]).removesuffix(" at").removesuffix(" starting")


def _text(data: bytes) -> str:
    if b"\0" in data:
        raise InvalidJSON(f"the text contains a zero byte, as UTF-16 does; {_ADVICE}")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidJSON(f"not UTF-8 at byte {error.start}; {_ADVICE}") from None
    if not text.strip():
        raise InvalidJSON("the document is empty")
    if text.count("[") + text.count("{") > MAX_CONTAINERS:
        # A group in the pattern, as for escapes, would take 150 bytes a match.
        outside = re.sub('"[^"]*"', "", text.replace("\\\\", "").replace('\\"', ""))
        if outside.count("[") + outside.count("{") > MAX_CONTAINERS:
            raise InvalidJSON(f"more than {MAX_CONTAINERS:,} arrays and objects")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        ((name, count),) = Counter(name for name, _ in pairs).most_common(1)
        raise InvalidJSON(f"member {json.dumps(name[:60])} appears {count} times in one object")
    return members


def _constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not a JSON number")


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InvalidJSON(f"a number has {len(digits)} digits; at most {MAX_DIGITS} are allowed")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidJSON(f"{digits[:20]} is out of range; the limit is ±1.8e308")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
)


def _check(value: Any, depth: int = 0) -> None:  # noqa: ANN401 - any JSON value
    """Check depth and surrogates."""
    if isinstance(value, (dict, list)):
        if depth == MAX_DEPTH:
            raise InvalidJSON(f"nested deeper than {MAX_DEPTH} levels")
        for item in (*value, *value.values()) if isinstance(value, dict) else value:
            _check(item, depth + 1)
    elif isinstance(value, str) and not is_text(value):
        raise InvalidJSON(f"half a surrogate pair in {json.dumps(value[:60])}")


def is_text(value: str) -> bool:
    """Whether a string can be encoded as UTF-8, that is, has no unpaired surrogate."""
    return value == value.encode(errors="ignore").decode()


def kind_of(value: object) -> str:
    """The JSON type of a value, for messages that should not quote the value itself."""
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number",
             str: "a string", list: "an array", dict: "an object"}  # fmt: skip
    return kinds.get(type(value), type(value).__name__)
