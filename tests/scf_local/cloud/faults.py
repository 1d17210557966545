"""Faults: which calls the emulated cloud answers wrongly, and how.

A faults file is JSON, `{"Seed": 1, "Rules": [...]}`; for each call the first rule that matches
decides. A rule's members:

- `Action` (needed): `ModifyImageAttribute`, `GetObject`, ..., or `*`.
- `Fault` (needed): one of `distortions.FAULTS`; docs/faults.md says what each does.
- `Calls`, `From`: `[1, 3]` are the first and the third call of that action, 2 is every one from the
  second on; with both, either matches, with neither every call.
- `Probability`: 0 to 1, default 1. Whether it hits depends on `Seed`, rule, action and call number
  alone, so that parallel calls cannot change it.
- `Code`, `Message`, `Status`, `Seconds`, `ContentType`: for the faults that take them.
"""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

from image_steward.messages import nearest
from scf_local import json_files
from scf_local.cloud import cos, cvm, tags
from scf_local.cloud.distortions import FAULTS, PARAMETERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from scf_local.cloud.wire import Reply

ACTIONS = ("*", *cvm.SERVICE.actions, *tags.SERVICE.actions, *cos.ACTIONS.values())


class FaultsError(ValueError):
    """Faults that cannot be used; the message says where and why."""


@dataclass(frozen=True)
class Rule:
    """One rule; an empty member is one left out, `start` is the file's `From`.

    Raises:
        FaultsError: with the JSON Pointer of the member.
    """

    action: str
    fault: str
    calls: tuple[int, ...] = ()
    start: int = 0
    probability: float = 1.0
    code: str = ""
    message: str = ""
    status: int = 0
    seconds: float = 0.0
    content_type: str = ""

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value != one.default:
                _check(_member(one.name), list(value) if one.name == "calls" else value)
        if self.seconds < 0 and self.fault != "skew":
            raise FaultsError(f"/Seconds: {self.seconds}; below 0 only for 'skew'")
        takes = FAULTS[self.fault].takes
        for name in PARAMETERS:
            given = getattr(self, name)
            if given and name not in takes:
                allowed = ", ".join(map(_member, takes)) or "none"
                raise FaultsError(
                    f"/{_member(name)}: not for {self.fault!r}, which takes {allowed}"
                )
            if not given and takes.get(name, given) is None:
                raise FaultsError(f"/{_member(name)}: {self.fault!r} needs it")
            object.__setattr__(self, name, given or takes.get(name, given))

    def matches(self, action: str, number: int) -> bool:
        """Whether it is about call `number` of `action`, its probability aside."""
        return self.action in {"*", action} and (
            number in self.calls or (number >= self.start if self.start else not self.calls)
        )

    @property
    def before(self) -> bool:
        """Whether the call is answered without being looked at, so that nothing happens."""
        return FAULTS[self.fault].before

    @property
    def outcome(self) -> str:
        """What is recorded of a call answered `before`: the code, where the client sees one."""
        return self.code or f"fault:{self.fault}"

    def distort(self, reply: Reply) -> Reply:
        """What goes out instead of the true reply (or of the refusal with `outcome`)."""
        return FAULTS[self.fault].distort(self, reply)


@dataclass(frozen=True)
class Faults:
    """Rules, the first that matches a call wins; equal seeds give equal faults."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    @classmethod
    def from_file(cls, path: Path) -> Faults:
        """Read a faults file.

        Raises:
            ValueError: naming the file, the place in it and what is allowed.
        """
        given = json_files.read(path)
        try:
            return _faults(given)
        except FaultsError as error:
            raise FaultsError(f"{path}: {error}") from None

    def rule_for(self, action: str, number: int) -> Rule | None:
        """The rule for call `number` (from 1) of `action`; a jitter's seconds are drawn."""
        for at, rule in enumerate(self.rules):
            if rule.matches(action, number):
                # As bytes: a client may send an action that is not UTF-8.
                seed = f"{self.seed} {at} {action} {number}".encode("utf-8", "backslashreplace")
                draw = random.Random(seed)  # noqa: S311 - no secret
                if draw.random() < rule.probability:
                    if rule.fault == "jitter":
                        return replace(rule, seconds=rule.seconds * (1 - draw.random()))
                    return rule
        return None


# --- The file ---

_NAMES = {"start": "From"}


def _member(name: str) -> str:
    return _NAMES.get(name) or "".join(part.capitalize() for part in name.split("_"))


_FIELDS = {_member(one.name): one.name for one in fields(Rule)}


def _is_number(value: object, low: float, high: float) -> bool:
    # A NaN is within no limits.
    return isinstance(value, (int, float)) and type(value) is not bool and low <= value <= high


def _is_call(value: object) -> bool:
    return type(value) is int and value > 0


_ERRORS = range(400, 600)
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "Calls": (
        lambda value: isinstance(value, list) and all(map(_is_call, value)),
        "a list of call numbers, from 1",
    ),
    "From": (_is_call, "a call number, from 1"),
    "Probability": (lambda value: _is_number(value, 0, 1), "a number from 0 to 1"),
    "Status": (lambda value: type(value) is int and value in _ERRORS, "400 to 599"),
    "Seconds": (
        lambda value: _is_number(value, -1e9, 1e9) and value != 0,
        "a number up to 1e9, not 0",
    ),
    "ContentType": (
        lambda value: isinstance(value, str) and re.fullmatch("[!-~][ -~]*", value) is not None,
        "a text such as text/html",
    ),
    "Code": (lambda value: isinstance(value, str) and value.isprintable(), "a text"),
    "Message": (lambda value: isinstance(value, str) and value.isprintable(), "a text of one line"),
}


def _check(name: str, value: object) -> None:
    if name in {"Action", "Fault"}:
        _one_of(value, ACTIONS if name == "Action" else FAULTS, f"/{name}")
    else:
        is_allowed, told = _ALLOWED[name]
        if not is_allowed(value):
            raise FaultsError(f"/{name}: {value!r}; allowed is {told}")


def _one_of(value: object, names: Iterable[str], place: str) -> None:
    names = list(names)
    if value not in names:
        told = f"{value!r}{nearest(value, names)}"
        raise FaultsError(f"{place}: {told}; allowed are {', '.join(names)}")


def _faults(given: object) -> Faults:
    if not isinstance(given, dict) or not isinstance(given.get("Rules"), list):
        raise FaultsError('/: allowed is {"Seed": 0, "Rules": [{"Action": ..., "Fault": ...}]}')
    for name in given:
        _one_of(name, ("Seed", "Rules"), f"/{name}")
    seed = given.get("Seed", 0)
    if type(seed) is not int:
        raise FaultsError(f"/Seed: {seed!r}; allowed is a whole number")
    rules = (_rule(rule, f"/Rules/{at}") for at, rule in enumerate(given["Rules"]))
    return Faults(tuple(rules), seed)


def _rule(given: object, place: str) -> Rule:
    if not isinstance(given, dict):
        raise FaultsError(f"{place}: allowed is a rule, a JSON object")
    for name in ("Action", "Fault"):
        if name not in given:
            raise FaultsError(f"{place}/{name}: missing")
    try:
        for name, value in given.items():
            _one_of(name, _FIELDS, f"/{name}")
            _check(name, value)  # here too: a Rule takes an empty value for one left out
        members = {_FIELDS[name]: value for name, value in given.items()}
        return Rule(**members | {"calls": tuple(given.get("Calls", ()))})
    except FaultsError as error:
        raise FaultsError(f"{place}{error}") from None
