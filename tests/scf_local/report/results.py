"""A function's answer, taken apart as far as it is what Image Steward answers. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from image_steward.results import STATUSES

if TYPE_CHECKING:
    from collections.abc import Callable

_TOLD = {"RequestId", "Trigger", "Outcome", "DryRun"}
"""What the row says anyway."""
_IMAGE = {
    "Source", "Region", "ImageId", "Status", "Before", "After", "RequestIds", "Reason",
    "Code", "Message",
}  # fmt: skip
_NESTED = {"Before", "After", "RequestIds"}
_TROUBLE = {"Source", "Code", "Path", "Message"}
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
            elif name == "Images" and _all(member, _is_image):
                result.images = member
            elif name == "Errors" and _all(member, _is_trouble):
                result.errors = member
            elif name == "Warnings" and _all(member, _is_trouble):
                result.warnings = member
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


def _is_trouble(value: object) -> bool:
    return (
        isinstance(value, dict) and value.keys() <= _TROUBLE and all(map(_is_plain, value.values()))
    )


def _is_image(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() <= _IMAGE
        and _is_state(value.get("Before", {}))
        and _is_state(value.get("After", {}))
        and _all(value.get("RequestIds", []), _is_plain)
        and all(map(_is_plain, (value[name] for name in value.keys() & (_IMAGE - _NESTED))))
    )


def _is_state(value: object) -> bool:
    return isinstance(value, dict) and all(
        _all(member, _is_tag) if name == "Tags" else _is_plain(member)
        for name, member in value.items()
    )


def _is_tag(value: object) -> bool:
    return (
        isinstance(value, dict)
        and value.keys() == {"Key", "Value"}
        and all(map(_is_plain, value.values()))
    )


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, (str, int, float))
