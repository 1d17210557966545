"""What goes over the wire: requests, replies and refusals, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Request:
    """An HTTP request: `path` percent-decoded, `query` as sent, `headers` by lower-case name."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """An HTTP reply, as it will be sent.

    It waits `delay` seconds (infinity: for ever), and `pace` seconds between the body's bytes.
    `cut` closes the connection before the first byte of all, or halfway through the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0
    pace: float = 0.0
    cut: Literal["", "before", "within"] = ""


@dataclass(frozen=True)
class Call:
    """What a reply answers; `number` counts the calls of this action, from 1.

    `params` are an API call's parameters, or `Bucket` and `Key` of a COS request.
    """

    action: str
    region: str
    params: Mapping[str, Any]
    number: int


class ApiError(Exception):
    """An API refusal: HTTP 200 with `Error` in the envelope (document/product/213/31576)."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message


class CosError(Exception):
    """A COS refusal: its HTTP status, and an XML body."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(status, code, message)
        self.status = status
        self.code = code
        self.message = message
