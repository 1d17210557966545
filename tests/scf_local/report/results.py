"""Splits a function's result into the parts of an Image Steward result. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from image_steward.model import STATUSES

_SHOWN_ELSEWHERE = {"RequestId", "Trigger", "Outcome", "DryRun"}
"""Members that the row of the event shows."""
_MAX_COUNT = 10**9
"""Of images in a summary: far more than exist, and small enough to draw a bar."""
_EMPTY: tuple[object, ...] = ([], {}, {"Images": []})


@dataclass
class ResultParts:
    """The known parts of a result; `rest` has a title and a value for everything else.

    Other functions may return any JSON: all of it is kept, and nothing raises.
    """

    summary: dict[str, int] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    rules: list[dict[str, Any]] = field(default_factory=list)
    rest: list[tuple[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, value: object) -> ResultParts:
        """Split any JSON value."""
        if not isinstance(value, dict) or not isinstance(value.get("Outcome"), str):
            return cls(rest=[("Result", value)])
        parts = cls()
        for name, member in value.items():
            if name == "Summary" and _is_summary(member):
                parts.summary = {status: member.get(status, 0) for status in STATUSES}
            elif name in _LISTS and _fits(member, _LISTS[name]):
                setattr(parts, name.lower(), member)
            elif name not in _SHOWN_ELSEWHERE and member not in _EMPTY:
                parts.rest.append((name, member))
        return parts


def rules_of(members: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The members of a document that say what images become, as texts; tags one by one."""
    named = [(str(member.get("Key")), member.get("Value")) for member in members]
    return [rule for name, value in named for rule in _rules_of(name, value)]


def _rules_of(name: str, value: object) -> Iterator[tuple[str, str]]:
    """The rules in a member of a document: each object in a list is one."""
    if isinstance(value, dict) and value.keys() == {"Key", "Value"} and name == "Tags":
        yield f"Tag.{value['Key']}", str(value["Value"])
    elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
        for each in value:
            yield from _rules_of(name, each)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_summary(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    has_statuses = isinstance(value, dict) and value.keys() <= set(STATUSES)
    return has_statuses and all(type(n) is int and 0 <= n < _MAX_COUNT for n in value.values())


def _fits(value: object, shape: Any) -> bool:  # noqa: ANN401 - recursive
    """Whether a value has a shape: a list `[shape]`, an object `{name: shape}`, or a type.

    The name `*` stands for any other; `Key` and `Value` are required, all others are not.
    """
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(each, shape[0]) for each in value)
    if not isinstance(shape, dict):
        return isinstance(value, shape)
    other = shape.get("*", ())
    return (
        isinstance(value, dict)
        and shape.keys() & {"Key", "Value"} <= value.keys()
        and all(_fits(member, shape.get(name, other)) for name, member in value.items())
    )


_SCALAR = (str, int, float, type(None))
_STATE = {"Tags": [{"Key": _SCALAR, "Value": _SCALAR}], "*": _SCALAR}
_SCALARS = (
    "Source", "Region", "ImageId", "ImageName", "Status", "Waits", "Reason", "Code",
    "Message",
)  # fmt: skip
_IMAGE = {
    **dict.fromkeys(_SCALARS, _SCALAR),
    **dict.fromkeys(("Before", "After"), _STATE),
    "RequestIds": [_SCALAR],
}
_PROBLEM = dict.fromkeys(("Source", "Code", "Path", "Message"), _SCALAR)
_LISTS = {
    "Images": [_IMAGE],
    "Errors": [_PROBLEM],
    "Warnings": [_PROBLEM],
    "Rules": [{"Key": _SCALAR, "Value": object}],
}
