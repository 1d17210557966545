"""JSON read strictly: what two parsers could read differently is refused."""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any, NoReturn

from image_steward.errors import InvalidJSON

MAX_DEPTH = 64
"""Levels of lists and objects that a document may have."""

MAX_DIGITS = 400
"""Of a whole number; the time that thousands of them take is quadratic."""

_ADVICE = "save the document as UTF-8"


def loads(data: bytes) -> Any:  # noqa: ANN401 - any JSON value
    """The value that `data` (UTF-8, a byte order mark is accepted) holds.

    Raises:
        InvalidJSON: not UTF-8, not JSON, a member twice in one object, `NaN` or `Infinity`,
            a number out of range, half a surrogate pair, or deeper than `MAX_DEPTH`.
    """
    try:
        value = _DECODER.decode(_decoded(data))
    except json.JSONDecodeError as error:
        what = error.msg[0].lower() + error.msg[1:]
        raise InvalidJSON(f"line {error.lineno}, column {error.colno}: {what}") from None
    except RecursionError:
        raise InvalidJSON(f"nested deeper than {MAX_DEPTH} levels") from None
    _check(value)
    return value


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        is_utf16 = data.startswith((b"\xff\xfe", b"\xfe\xff"))
        hint = " (a UTF-16 byte order mark stands first)" if is_utf16 else ""
        raise InvalidJSON(f"not UTF-8 at byte {error.start}{hint}: {_ADVICE}") from None
    if "\0" in text:
        raise InvalidJSON(f"a zero byte stands in the text, as in UTF-16: {_ADVICE}")
    if not text.strip():
        raise InvalidJSON("the document is empty")
    return text


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name in members if counts[name] > 1)
        raise InvalidJSON(f"member {json.dumps(twice[:60])} stands twice in one object")
    return members


def _constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is no JSON number")


def _int(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise InvalidJSON("a number has too many digits")
    return int(digits)


def _float(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise InvalidJSON(f"{digits[:20]} is out of range")
    return number


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_float, parse_int=_int
)


def _check(value: Any) -> None:  # noqa: ANN401 - any JSON value
    """Depth and surrogates, level by level, so that depth costs no stack."""
    level, depth = [value], 0
    while level:
        below: list[Any] = []
        depth += any(isinstance(item, (dict, list)) for item in level)
        if depth > MAX_DEPTH:
            raise InvalidJSON(f"nested deeper than {MAX_DEPTH} levels")
        for item in level:
            if isinstance(item, dict):
                below += [*item, *item.values()]
            elif isinstance(item, list):
                below += item
            elif isinstance(item, str) and not is_text(item):
                raise InvalidJSON(f"half a surrogate pair in {json.dumps(item[:60])}")
        level = below


def is_text(value: str) -> bool:
    """Whether a string holds no half of a surrogate pair, so that UTF-8 can hold it."""
    return value == value.encode(errors="ignore").decode()


def kind_of(value: object) -> str:
    """A value's kind, as messages name it; its content may be anything and is not for them."""
    kinds = {type(None): "null", bool: "a boolean", int: "a number", float: "a number",
             str: "a string", list: "an array", dict: "an object"}  # fmt: skip
    return kinds.get(type(value), type(value).__name__)
