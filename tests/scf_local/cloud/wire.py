"""HTTP requests, replies and error replies as values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from typing import Any, Literal, TypeVar
from urllib.parse import parse_qsl

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """An HTTP request: `path` percent-decoded, `query` as sent, `headers` by lower-case name.

    `body` is incomplete if it is longer than allowed, or `timed_out`.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timed_out: bool = False

    @cached_property
    def params(self) -> dict[str, str]:
        """The parameters of the query, also those without a value; of equal names, the last."""
        return dict(parse_qsl(self.query, keep_blank_values=True, errors="surrogateescape"))


@dataclass(frozen=True)
class Reply:
    """An HTTP reply, as it will be sent.

    Attributes:
        delay: seconds before it is sent; infinity means never.
        byte_interval: seconds between two bytes of the body.
        later: waits for the reply to send instead, which takes time.
        cut: closes the connection before the first byte is sent, or halfway through the body.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    delay: float = 0.0
    byte_interval: float = 0.0
    cut: Literal["", "before", "halfway"] = ""
    later: Callable[[], Reply] | None = None


@dataclass(frozen=True)
class Call:
    """The call that a reply belongs to; `number` counts the calls of this action, from 1.

    `params` are the parameters of an API call, or `Bucket` and `Key` of a COS request.
    """

    action: str
    region: str
    params: Mapping[str, Any]
    number: int


class ErrorReply(Exception):
    """An error reply of COS; or of the API, with HTTP 200 (document/product/213/31576)."""

    def __init__(self, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status


def require(holds: object, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> None:
    """Raise an error reply unless something holds."""
    if not holds:
        raise ErrorReply(code, message, status)


def found(value: T | None, code: str, message: str, status: int = HTTPStatus.BAD_REQUEST) -> T:
    """Return what was found, or raise an error reply if that is None."""
    if value is None:
        raise ErrorReply(code, message, status)
    return value
