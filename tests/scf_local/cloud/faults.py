"""Fault injection: which calls get which fault, and how each fault alters the reply.

A faults file is JSON, `{"Seed": 1, "Rules": [...]}`; the first rule that matches a call applies.
The members of a rule:

- `Action` (required): `ModifyImageAttribute`, `GetObject`, ..., or `*`.
- `Fault` (required): a name in `FAULTS`; docs/faults.md describes each.
- `Calls`, `From`: `[1, 3]` is the first and the third call of that action, 2 is the second call
  and all later ones. With both, a call must match one of them; with neither, every call matches.
- `Probability`: 0 to 1, default 1. The draw depends only on `Seed`, rule, action and call number,
  so that parallel calls do not change it.
- `Code`, `Message`, `Status`, `Seconds`, `ContentType`: for the faults that have these parameters.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from image_steward.errors import InvalidDocument
from image_steward.messages import nearest, shown
from scf_local import json_files
from scf_local.cloud import cos, cvm, tags
from scf_local.cloud.cls import service as cls_service
from scf_local.cloud.scf import service
from scf_local.cloud.wire import Reply

# --- Fault types: how each alters the reply ---

Inject = Callable[["Rule", Reply], Reply]

_PAGE = b"<html><head><title>Fault</title></head><body><h1>Fault</h1></body></html>\n"


def _altered(content_type: str = "", **parts: Any) -> Inject:  # noqa: ANN401 - of Reply
    """Replace parts of the reply; its status and Content-Type by the rule's, if it has them.

    In a `content_type`, `{}` stands for the reply's own.
    """

    def inject(rule: Rule, reply: Reply) -> Reply:
        headers = dict(reply.headers)
        if kind := content_type or rule.content_type:
            headers["Content-Type"] = kind.replace("{}", headers.get("Content-Type", ""))
        status = rule.status or reply.status
        return replace(reply, **{"status": status, "headers": headers, **parts})

    return inject


def _truncated(_rule: Rule, reply: Reply) -> Reply:
    # Padded to two bytes, so that one is sent and one is missing even of an empty object.
    return replace(reply, body=reply.body.ljust(2), cut="halfway")


def _delayed(rule: Rule, reply: Reply) -> Reply:
    return replace(reply, delay=rule.seconds)


def _drip(rule: Rule, reply: Reply) -> Reply:
    return replace(reply, byte_interval=rule.seconds)


def _envelope(reply: Reply) -> dict[str, Any] | None:
    """Return the JSON of an API reply, or None for a COS reply."""
    if reply.headers.get("Content-Type") != "application/json":
        return None
    return dict(json.loads(reply.body))


def _no_request_id(rule: Rule, reply: Reply) -> Reply:
    headers = {name: value for name, value in reply.headers.items() if name != cos.REQUEST_ID}
    body = reply.body
    envelope = _envelope(reply)
    if envelope:
        del envelope["Response"]["RequestId"]
        body = json.dumps(envelope).encode()
    elif headers.get("Content-Type") == "application/xml":
        body = re.sub(rb"<(RequestId|TraceId)>.*?</\1>", b"", body)
    return replace(reply, status=rule.status or reply.status, headers=headers, body=body)


def _unknown_field(_rule: Rule, reply: Reply) -> Reply:
    envelope = _envelope(reply)
    if envelope is None:
        return replace(reply, headers={**reply.headers, "x-cos-unknown-field": "1"})
    envelope["Response"]["UnknownField"] = {"Unknown": [None]}
    return replace(reply, body=json.dumps(envelope).encode())


def _status(rule: Rule, reply: Reply) -> Reply:
    body = b'{"message": "Fault"}' if "json" in rule.content_type else _PAGE
    headers = {"Content-Type": rule.content_type}
    return replace(reply, status=rule.status, headers=headers, body=body)


def _utf_16(_rule: Rule, reply: Reply) -> Reply:
    return replace(reply, body=reply.body.decode("utf-8", "replace").encode("utf-16"))


@dataclass(frozen=True)
class FaultType:
    """A type of fault, with the names and defaults of its parameters.

    A parameter with the default None is required. An empty default keeps the reply's own value.
    """

    inject: Inject
    skips_action: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)


_ERROR = {"code": None, "message": "Injected by the faults file.", "status": 0}
_SECOND = {"seconds": 1.0}
PARAMETERS = ("code", "message", "status", "seconds", "content_type")

_REDIRECT = _altered(status=HTTPStatus.FOUND, headers={"Location": "/_moved"}, body=b"")
_STATUS = {"status": 503, "content_type": "text/html"}

FAULTS: dict[str, FaultType] = {
    "error": FaultType(_altered(), skips_action=True, parameters=_ERROR),
    "error-charset": FaultType(_altered("{}; charset=utf-8"), skips_action=True, parameters=_ERROR),
    "error-html": FaultType(_altered("text/html"), skips_action=True, parameters=_ERROR),
    "error-no-request-id": FaultType(_no_request_id, skips_action=True, parameters=_ERROR),
    "error-applied": FaultType(_altered(), parameters=_ERROR),
    "cut": FaultType(_altered(cut="before"), skips_action=True),
    "cut-applied": FaultType(_altered(cut="before")),
    "truncated": FaultType(_truncated),
    "empty": FaultType(_altered(status=HTTPStatus.OK, body=b"")),
    "html": FaultType(_altered("text/html", status=HTTPStatus.OK, body=_PAGE)),
    "html-as-json": FaultType(_altered("application/json", status=HTTPStatus.OK, body=_PAGE)),
    "no-response": FaultType(_altered(status=HTTPStatus.OK, body=b"{}")),
    "list": FaultType(_altered(status=HTTPStatus.OK, body=b"[]")),
    "no-request-id": FaultType(_no_request_id),
    "unknown-field": FaultType(_unknown_field),
    "content-type": FaultType(_altered(), parameters={"content_type": "text/plain"}),
    "utf-16": FaultType(_utf_16),
    "status": FaultType(_status, skips_action=True, parameters=_STATUS),
    "redirect": FaultType(_REDIRECT, skips_action=True),
    "drip": FaultType(_drip, parameters=_SECOND),
    "silent": FaultType(_altered(delay=math.inf), skips_action=True),
    "slow": FaultType(_delayed, parameters=_SECOND),
    "jitter": FaultType(_delayed, parameters=_SECOND),
    # For these two the dispatcher fails the verification of the request.
    "skew": FaultType(_altered(), parameters={"seconds": 3600.0}),
    "expired-token": FaultType(_altered()),
}
"""By name; docs/faults.md describes each."""


# --- Rules ---

_SCHEMA = str(Path(__file__).with_name("faults"))
_SERVICES = (cvm.SERVICE, tags.SERVICE, service.SERVICE, cls_service.SERVICE)
RUN_FUNCTION = "RunFunction"
"""Not an action of the API: a delivery of an event to a function."""
RUN_STATUSES = ("429", "432", "500")
"""Codes with which the platform refuses a delivery (document/product/583/42611)."""
_API_ACTIONS = (name for each in _SERVICES for name in each.actions)
ACTIONS = ("*", *_API_ACTIONS, *cos.ACTIONS, RUN_FUNCTION)


class FaultsError(ValueError):
    """An invalid faults file or rule; the message has the path and the reason."""


@dataclass(frozen=True)
class Rule:
    """A rule; an empty field means that the member is missing, `start` is the member `From`.

    Raises:
        FaultsError: has the JSON Pointer of the member.
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
        _check_known(self.action, ACTIONS, "/Action")
        _check_known(self.fault, FAULTS, "/Fault")
        if self.seconds < 0 and self.fault != "skew":
            raise FaultsError(f"/Seconds: is {self.seconds}; only 'skew' allows a negative number")
        if self.action == RUN_FUNCTION and self.code not in RUN_STATUSES:
            allowed = f"Fault error with Code {', '.join(RUN_STATUSES)}"
            raise FaultsError(f"/Code: is {shown(self.code)}; {RUN_FUNCTION} allows {allowed}")
        defaults = FAULTS[self.fault].parameters
        for name in PARAMETERS:
            given = getattr(self, name)
            if given and name not in defaults:
                allowed = ", ".join(map(_member, defaults)) or "no parameters"
                raise FaultsError(f"/{_member(name)}: fault {self.fault!r} allows {allowed}")
            if not given and defaults.get(name, given) is None:
                raise FaultsError(f"/{_member(name)}: is required for fault {self.fault!r}")
            object.__setattr__(self, name, given or defaults.get(name, given))

    def matches(self, action: str, number: int) -> bool:
        """Whether it matches call `number` of `action`, regardless of its probability."""
        is_general = self.action == "*" and action != RUN_FUNCTION
        is_later = number >= self.start if self.start else not self.calls
        return (is_general or self.action == action) and (is_later or number in self.calls)

    @property
    def skips_action(self) -> bool:
        """Whether the fault replaces the call, so that the action is not performed."""
        return FAULTS[self.fault].skips_action

    @property
    def outcome(self) -> str:
        """The recorded outcome if the action is skipped: the code that is sent, if one is."""
        return self.code or f"fault:{self.fault}"

    def inject(self, reply: Reply) -> Reply:
        """Return the altered reply; `reply` is an error with the code `outcome` if skipped."""
        return FAULTS[self.fault].inject(self, reply)


@dataclass(frozen=True)
class Faults:
    """Rules, of which the first that matches a call applies; `seed` decides the random draws."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    @classmethod
    def from_file(cls, path: Path) -> Faults:
        """Read a faults file.

        Raises:
            ValueError: names the file, the path in it and what is allowed.
        """
        from image_steward.documents.validation import validate  # noqa: PLC0415 - takes 0.1 s

        given = json_files.read(path)
        try:
            validate(_SCHEMA, given)
            rules = [_rule(rule, f"/Rules/{index}") for index, rule in enumerate(given["Rules"])]
        except InvalidDocument as error:
            lines = (": ".join(filter(None, (str(path), *each))) for each in error.details)
            raise FaultsError("\n".join(lines)) from None
        except FaultsError as error:
            raise FaultsError(f"{path}: {error}") from None
        return cls(tuple(rules), given.get("Seed", 0))

    def rule_for(self, action: str, number: int) -> Rule | None:
        """Return the rule for call `number` (from 1) of `action`; for jitter, draw the seconds."""
        for index, rule in enumerate(self.rules):
            if rule.matches(action, number):
                # Bytes, since a client may send an action that is not UTF-8.
                seed = f"{self.seed} {index} {action} {number}".encode("utf-8", "backslashreplace")
                draw = random.Random(seed)  # noqa: S311 - no secret
                if draw.random() < rule.probability:
                    if rule.fault == "jitter":
                        return replace(rule, seconds=rule.seconds * (1 - draw.random()))
                    return rule
        return None


_NAMES = {"start": "From"}


def _member(name: str) -> str:
    return _NAMES.get(name) or "".join(part.capitalize() for part in name.split("_"))


_FIELDS = {_member(each.name): each.name for each in fields(Rule)}


def _check_known(name: str, known: Iterable[str], path: str) -> None:
    names = list(known)
    if name not in names:
        allowed = f"{', '.join(names)}{nearest(name, names)}"
        raise FaultsError(f"{path}: {shown(name)} is not one of {allowed}")


def _rule(given: dict[str, Any], path: str) -> Rule:
    """A rule that is valid by the schema."""
    members = {_FIELDS[name]: value for name, value in given.items()}
    try:
        return Rule(**members | {"calls": tuple(given.get("Calls", ()))})
    except FaultsError as error:
        raise FaultsError(f"{path}{error}") from None
