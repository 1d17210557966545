"""Splits a function's result into the parts of an Image Steward result. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

from image_steward.model import STATUSES

Check = Callable[[Any], bool]

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
            elif name in _LISTS and _is_list_of(member, _LISTS[name]):
                setattr(parts, name.lower(), member)
            elif name not in _SHOWN_ELSEWHERE and member not in _EMPTY:
                parts.rest.append((name, member))
        return parts


def rules_of(members: Iterable[dict[str, Any]]) -> list[tuple[str, str]]:
    """The members of a document that say what images become, as texts; tags one by one."""
    return [
        rule
        for member in members
        for rule in _rules_of(str(member.get("Key")), member.get("Value"))
    ]


def _rules_of(name: str, value: object) -> Iterator[tuple[str, str]]:
    """The rules in a member of a document: each object in a list is one."""
    if isinstance(value, dict) and value.keys() == {"Key", "Value"} and name == "Tags":
        yield f"Tag.{value['Key']}", str(value["Value"])
    elif isinstance(value, list) and all(isinstance(each, dict) for each in value):
        for each in value:
            yield from _rules_of(name, each)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_list_of(value: object, is_valid: Check) -> bool:
    return isinstance(value, list) and all(map(is_valid, value))


def _is_summary(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= set(STATUSES)
        and all(type(count) is int and 0 <= count < _MAX_COUNT for count in value.values())
    )


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _is_tag(value: object) -> bool:
    return _is_object_of(value, _TAG) and value.keys() == _TAG.keys()


def _is_state(value: object) -> bool:
    return isinstance(value, dict) and all(
        _is_list_of(member, _is_tag) if name == "Tags" else _is_scalar(member)
        for name, member in value.items()
    )


def _is_object_of(value: object, shape: Mapping[str, Check]) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object that has only these members, each of them valid."""
    return isinstance(value, dict) and all(
        name in shape and shape[name](member) for name, member in value.items()
    )


_TAG = dict.fromkeys(("Key", "Value"), _is_scalar)
_RULE: dict[str, Check] = {"Key": _is_scalar, "Value": lambda _: True}
_PROBLEM = dict.fromkeys(("Source", "Code", "Path", "Message"), _is_scalar)
_SCALARS = (
    "Source", "Region", "ImageId", "ImageName", "Status", "Waits", "Reason", "Code",
    "Message",
)  # fmt: skip
_IMAGE = {
    **dict.fromkeys(_SCALARS, _is_scalar),
    **dict.fromkeys(("Before", "After"), _is_state),
    "RequestIds": lambda value: _is_list_of(value, _is_scalar),
}
_LISTS: dict[str, Check] = {
    "Images": lambda value: _is_object_of(value, _IMAGE),
    "Errors": lambda value: _is_object_of(value, _PROBLEM),
    "Warnings": lambda value: _is_object_of(value, _PROBLEM),
    "Rules": lambda value: _is_object_of(value, _RULE) and value.keys() == _RULE.keys(),
}
