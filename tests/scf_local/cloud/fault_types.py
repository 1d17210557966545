"""Fault types: how each fault alters the reply."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from scf_local.cloud import cos
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from scf_local.cloud.faults import Rule

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
    envelope: dict[str, Any] = json.loads(reply.body)
    return envelope


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
    return replace(
        reply, status=rule.status, headers={"Content-Type": rule.content_type}, body=body
    )


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
