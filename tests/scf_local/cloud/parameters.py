"""Parameters of API calls: from a query or a form, and checked against what an action takes.

A shape is `str`, `int`, `bool`, a list of one shape, or an object `{name: shape}`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from image_steward.messages import nearest
from scf_local.cloud.wire import ApiError

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

_INTEGER = re.compile("-?[0-9]{1,18}")

Shape = Any
"""Recursive, which types cannot say on all supported versions."""


def check(params: object, shape: Mapping[str, Shape], required: tuple[str, ...]) -> None:
    """Refuse what an action does not take.

    Raises:
        ApiError: UnknownParameter, MissingParameter, InvalidParameter (wrong type).
    """
    _check(params, shape, "")
    for name in required:
        if not isinstance(params, dict) or name not in params:
            raise ApiError("MissingParameter", f"The required parameter `{name}` is missing.")


def _check(value: object, shape: Shape, place: str) -> None:
    kind = shape if isinstance(shape, type) else type(shape)
    # JSON's true is Python's int: the exact type counts.
    if type(value) is not kind:
        raise ApiError("InvalidParameter", f"The type of `{place}` is not {kind.__name__}.")
    if isinstance(value, list):
        for at, item in enumerate(value):
            _check(item, shape[0], f"{place}.{at}")
    elif isinstance(value, dict):
        for name, item in value.items():
            if name not in shape:
                raise ApiError(
                    "UnknownParameter", f"`{name}` is no parameter{nearest(name, shape)}"
                )
            _check(item, shape[name], f"{place}.{name}".lstrip("."))


def from_query(
    query: str, shape: Mapping[str, Shape], *, besides: Container[str] = ()
) -> dict[str, Any]:
    """Parameters as a query or a form holds them: `Filters.0.Name=...`, all of them text.

    Text becomes a number or a truth value where the shape wants one and it looks like one.
    Parameters named in `besides` are left out.
    """
    tree: dict[str, Any] = {}
    for path, value in parse_qsl(query, keep_blank_values=True):
        if path in besides:
            continue
        *parents, last = path.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ApiError("InvalidParameter", f"`{path}` is given twice.")
        node[last] = value
    return {name: _shaped(value, shape.get(name, str)) for name, value in tree.items()}


def _shaped(value: Any, shape: Shape) -> Any:  # noqa: ANN401 - whatever JSON may hold
    if isinstance(shape, list) and isinstance(value, dict):
        try:
            items = sorted(value.items(), key=lambda item: int(item[0]))
        except ValueError:
            return value
        return [_shaped(item, shape[0]) for _, item in items]
    if isinstance(shape, dict) and isinstance(value, dict):
        return {name: _shaped(item, shape.get(name, str)) for name, item in value.items()}
    if shape is int and isinstance(value, str) and _INTEGER.fullmatch(value):
        return int(value)
    if shape is bool and isinstance(value, str):
        return {"true": True, "false": False}.get(value.lower(), value)
    return value
