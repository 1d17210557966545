"""Parameters of API calls: parsed from a query or a form, and checked against an action's shape.

A shape is `str`, `int`, `bool`, a list of one shape, or an object `{name: shape}`. `None` is that
of a parameter that is not emulated: it is refused, unless it is empty or switches something off.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from typing import Any
from urllib.parse import parse_qsl

from image_steward.messages import nearest
from scf_local.cloud.wire import ErrorReply, require

_INTEGER = re.compile("-?[0-9]{1,18}")

KINDS = {str: "a string", int: "an integer", bool: "a boolean", list: "an array", dict: "an object"}
"""Of JSON values, by Python type."""

Shape = Any
"""Recursive, which type hints cannot express in all supported versions of Python."""


def check(params: object, shape: Mapping[str, Shape], required: tuple[str, ...]) -> None:
    """Reject parameters that an action does not accept.

    Raises:
        ErrorReply: UnknownParameter, MissingParameter, InvalidParameter (wrong type),
            UnsupportedOperation (not emulated).
    """
    _check(params, shape, "")
    for name in required:
        if not isinstance(params, dict) or name not in params:
            raise ErrorReply("MissingParameter", f"The required parameter `{name}` is missing.")


def _check(value: object, shape: Shape, path: str) -> None:
    if shape is None:
        message = f"`{path}` is not emulated; leave it out."
        require(_is_off(value), "UnsupportedOperation", message)
        return
    kind = shape if isinstance(shape, type) else type(shape)
    # Compare exact types: to isinstance, True is an int.
    require(type(value) is kind, "InvalidParameter", f"`{path}` must be {KINDS[kind]}.")
    if isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, shape[0], f"{path}.{index}")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in shape:
                message = f"`{name}` is not a parameter{nearest(name, shape)}"
                raise ErrorReply("UnknownParameter", message)
            _check(item, shape[name], f"{path}.{name}".lstrip("."))


def _is_off(value: object) -> bool:
    if isinstance(value, (dict, list)):
        return all(map(_is_off, value.values() if isinstance(value, dict) else value))
    return value in (None, False, 0, "", "FALSE", "DISABLE")


def from_query(
    query: str, shape: Mapping[str, Shape], *, exclude: Container[str] = ()
) -> dict[str, Any]:
    """Parse parameters from a query or a form, such as `Filters.0.Name=...`.

    A text becomes an integer or a boolean if the shape asks for one and the text looks like one.
    Parameters named in `exclude` are left out.
    """
    tree: dict[str, Any] = {}
    for path, value in parse_qsl(query, keep_blank_values=True):
        if path in exclude:
            continue
        *parents, last = path.split(".")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise ErrorReply("InvalidParameter", f"`{path}` is given more than once.")
        node[last] = value
    return {name: _convert(value, shape.get(name, str)) for name, value in tree.items()}


def _convert(value: Any, shape: Shape) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(shape, list) and isinstance(value, dict):
        try:
            items = sorted(value.items(), key=lambda item: int(item[0]))
        except ValueError:
            return value
        return [_convert(item, shape[0]) for _, item in items]
    if isinstance(shape, dict) and isinstance(value, dict):
        return {name: _convert(item, shape.get(name, str)) for name, item in value.items()}
    if shape is int and isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if shape is bool and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return value
