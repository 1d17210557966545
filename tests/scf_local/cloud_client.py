"""Requests to a running emulated cloud's own paths."""

from __future__ import annotations

import json
from typing import Any
from urllib.request import ProxyHandler, Request, build_opener

_TIMEOUT_S = 30


def state(endpoint: str) -> dict[str, Any]:
    """What it has: images, objects, functions and more by name, and the calls it has received."""
    return dict(_sent(f"{endpoint}/_state"))


def calls(endpoint: str, since: float) -> list[dict[str, Any]]:
    """The calls that it has received since then, in seconds since 1970."""
    return [call for call in state(endpoint)["Calls"] if call["Time"] >= since]


def now(endpoint: str) -> float:
    """Its time, in seconds since 1970."""
    return float(_sent(f"{endpoint}/_clock")["Time"])


def move_clock(endpoint: str, seconds: float) -> None:
    """Move its clock on."""
    _sent(f"{endpoint}/_clock", {"Seconds": seconds})


def _sent(url: str, document: object = None) -> Any:  # noqa: ANN401 - any JSON value
    """The reply to a GET, or to a POST of a document."""
    body = None if document is None else json.dumps(document).encode()
    request = Request(url, body, {"Content-Type": "application/json"})  # noqa: S310 - of scf-local
    direct = build_opener(ProxyHandler({}))  # whatever the user's variables say
    with direct.open(request, timeout=_TIMEOUT_S) as reply:
        return json.load(reply)
