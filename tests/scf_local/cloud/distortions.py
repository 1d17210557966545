"""Distortions: what goes out instead of a true reply, for each kind of fault."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from scf_local.cloud import cos

if TYPE_CHECKING:
    from scf_local.cloud.faults import Rule
    from scf_local.cloud.wire import Reply

Distort = Callable[["Rule", "Reply"], "Reply"]

_PAGE = b"<html><head><title>Fault</title></head><body><h1>Fault</h1></body></html>\n"


def _as_sent(_rule: Rule, reply: Reply) -> Reply:
    return reply


def _refused(content_type: str = "{}") -> Distort:
    """The refusal, under another Content-Type; `{}` stands for its own."""

    def distort(rule: Rule, reply: Reply) -> Reply:
        own = reply.headers["Content-Type"]
        return replace(
            reply,
            status=rule.status or reply.status,
            headers={**reply.headers, "Content-Type": content_type.format(own)},
        )

    return distort


def _content(body: bytes, content_type: str = "") -> Distort:
    """A success with another body."""

    def distort(_rule: Rule, reply: Reply) -> Reply:
        headers = {**reply.headers, **({"Content-Type": content_type} if content_type else {})}
        return replace(reply, status=HTTPStatus.OK, headers=headers, body=body)

    return distort


def _closed(_rule: Rule, reply: Reply) -> Reply:
    return replace(reply, cut="before")


def _truncated(_rule: Rule, reply: Reply) -> Reply:
    # At least two bytes, so that one is sent and one is missing: an object may be empty.
    return replace(reply, body=reply.body.ljust(2), cut="within")


def _late(rule: Rule, reply: Reply) -> Reply:
    return replace(reply, delay=rule.seconds)


def _envelope(reply: Reply) -> dict[str, Any] | None:
    """An API reply's JSON, None of a COS reply."""
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
        body = re.sub(rb"\t<(RequestId|TraceId)>.*\n", b"", body)
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


def _redirect(_rule: Rule, reply: Reply) -> Reply:
    return replace(reply, status=HTTPStatus.FOUND, headers={"Location": "/_moved"}, body=b"")


def _content_type(rule: Rule, reply: Reply) -> Reply:
    return replace(reply, headers={**reply.headers, "Content-Type": rule.content_type})


def _utf_16(_rule: Rule, reply: Reply) -> Reply:
    return replace(reply, body=reply.body.decode("utf-8", "replace").encode("utf-16"))


@dataclass(frozen=True)
class Fault:
    """`takes` holds the parameters' defaults: None has to be given, an empty one depends."""

    distort: Distort
    before: bool = False
    takes: Mapping[str, Any] = field(default_factory=dict)


_ERROR = {"code": None, "message": "Injected by the faults file.", "status": 0}
_SECOND = {"seconds": 1.0}
PARAMETERS = ("code", "message", "status", "seconds", "content_type")

FAULTS: dict[str, Fault] = {
    "error": Fault(_refused(), before=True, takes=_ERROR),
    "error-charset": Fault(_refused("{}; charset=utf-8"), before=True, takes=_ERROR),
    "error-html": Fault(_refused("text/html"), before=True, takes=_ERROR),
    "error-no-request-id": Fault(_no_request_id, before=True, takes=_ERROR),
    "error-applied": Fault(_refused(), takes=_ERROR),
    "cut": Fault(_closed, before=True),
    "cut-applied": Fault(_closed),
    "truncated": Fault(_truncated),
    "empty": Fault(_content(b"")),
    "html": Fault(_content(_PAGE, "text/html")),
    "html-as-json": Fault(_content(_PAGE, "application/json")),
    "no-response": Fault(_content(b"{}")),
    "list": Fault(_content(b"[]")),
    "no-request-id": Fault(_no_request_id),
    "unknown-field": Fault(_unknown_field),
    "content-type": Fault(_content_type, takes={"content_type": "text/plain"}),
    "utf-16": Fault(_utf_16),
    "status": Fault(_status, before=True, takes={"status": 503, "content_type": "text/html"}),
    "redirect": Fault(_redirect, before=True),
    "drip": Fault(lambda rule, reply: replace(reply, pace=rule.seconds), takes=_SECOND),
    "silent": Fault(lambda _rule, reply: replace(reply, delay=math.inf), before=True),
    "slow": Fault(_late, takes=_SECOND),
    "jitter": Fault(_late, takes=_SECOND),
    # These two are about how the request is verified, which refuses it by itself.
    "skew": Fault(_as_sent, takes={"seconds": 3600.0}),
    "expired-token": Fault(_as_sent),
}
"""By name; docs/faults.md says what each does."""
