"""A function's answer, taken apart as far as it is what Image Steward answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from image_steward.model import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import TypeGuard

_TOLD = {"RequestId", "Trigger", "Outcome", "DryRun"}
"""What the row says anyway."""
_MAX_COUNT = 10**9
"""Of images in a summary: far more than there are, and still a number that can be drawn."""
_EMPTY: tuple[object, ...] = ([], {}, {"Images": []})


@dataclass
class Result:
    """The lists of a result; `rest` holds, under a title, whatever is not as it should be.

    A foreign function may answer with any JSON: nothing of it is lost, and nothing is an error.
    """

    summary: dict[str, int] = field(default_factory=dict)
    images: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[dict[str, Any]] = field(default_factory=list)
    rest: list[tuple[str, Any]] = field(default_factory=list)

    @classmethod
    def of(cls, value: object) -> Result:
        """Take apart any JSON value."""
        if not isinstance(value, dict) or not isinstance(value.get("Outcome"), str):
            return cls(rest=[("Result", value)])
        result = cls()
        for name, member in value.items():
            if name == "Summary" and _is_summary(member):
                result.summary = {status: member.get(status, 0) for status in STATUSES}
            elif name in _LISTS and _all(member, _LISTS[name]):
                setattr(result, name.lower(), member)
            elif name not in _TOLD and member not in _EMPTY:
                result.rest.append((name, member))
        return result


def _all(value: object, is_one: Callable[[Any], bool]) -> bool:
    return isinstance(value, list) and all(map(is_one, value))


def _is_summary(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= set(STATUSES)
        and all(type(count) is int and 0 <= count < _MAX_COUNT for count in value.values())
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))


def _is_tag(value: object) -> bool:
    return _has(value, _TAG) and value.keys() == _TAG.keys()


def _is_state(value: object) -> bool:
    return isinstance(value, dict) and all(
        _all(member, _is_tag) if name == "Tags" else _is_plain(member)
        for name, member in value.items()
    )


def _has(value: object, members: Mapping[str, Callable[[Any], bool]]) -> TypeGuard[dict[str, Any]]:
    """Whether it is an object with none but such members."""
    return isinstance(value, dict) and all(
        name in members and members[name](member) for name, member in value.items()
    )


_TAG = dict.fromkeys(("Key", "Value"), _is_plain)
_TROUBLE = dict.fromkeys(("Source", "Code", "Path", "Message"), _is_plain)
_PLAIN = ("Source", "Region", "ImageId", "Status", "Reason", "Code", "Message")
_IMAGE = {
    **dict.fromkeys(_PLAIN, _is_plain),
    **dict.fromkeys(("Before", "After"), _is_state),
    "RequestIds": lambda value: _all(value, _is_plain),
}
_LISTS: dict[str, Callable[[Any], bool]] = {
    "Images": lambda value: _has(value, _IMAGE),
    "Errors": lambda value: _has(value, _TROUBLE),
    "Warnings": lambda value: _has(value, _TROUBLE),
}
