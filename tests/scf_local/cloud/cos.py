"""COS: GET, HEAD and PUT of objects; the bucket is in the Host header, in any region.

What a header or a parameter asks for is done or refused, never passed over
(document/product/436/7753, 436/7745, 436/7749; the codes: 436/7730).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl
from xml.sax.saxutils import escape

from scf_local.cloud.seed import Object
from scf_local.cloud.signatures import COS_TOKEN
from scf_local.cloud.wire import CosError, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scf_local.cloud.state import State
    from scf_local.cloud.wire import Request

REQUEST_ID = "x-cos-request-id"
ACTIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}
MAX_BYTES = 5 << 30
"""Of an upload in one piece (document/product/436/7749)."""

_HOST = re.compile(
    r"(?P<bucket>[a-z0-9-]+-\d+)\.cos(-internal)?\.(?P<region>[a-z0-9-]+)"
    r"\.(myqcloud\.com|tencentcos\.cn)(:\d+)?"
)
_NAMES = (
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
    "Content-Type", "Expires",
)  # fmt: skip
_KEPT = {name.lower(): name for name in _NAMES}
_INSTEAD = {f"response-{name}": name for name in _KEPT}
_META = "x-cos-meta-"
_ASKING = ("if-", "pic-operations", "range", "x-ci-", "x-cos-")
_DONE = {
    "GET": frozenset(("if-match", "if-none-match", "range")),
    "HEAD": frozenset(("if-match", "if-none-match")),
    "PUT": frozenset(),
}
_RANGE = re.compile("bytes=([0-9]{1,18})-([0-9]{0,18})|bytes=-([0-9]{1,18})")


def addressed(host: str) -> tuple[str, str] | None:
    """The bucket and region that a Host header names, or None if it is no bucket's."""
    match = _HOST.fullmatch(host)
    return match and (match["bucket"], match["region"])


def answer(state: State, bucket: str, request: Request, now: float) -> Reply:
    """The reply to a verified request, without its request id.

    Raises:
        CosError: what COS refuses, MethodNotAllowed and NotImplemented for what is not emulated.
    """
    key = request.path.removeprefix("/")
    if request.method not in ACTIONS or not key:
        told = f"{request.method} /{key} is not emulated; GET, HEAD and PUT of an object are."
        raise CosError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", told)
    query = parse_qsl(request.query, keep_blank_values=True)
    instead = {_INSTEAD[name]: value for name, value in query if name in _INSTEAD}
    _check_emulated(request, (name for name, _ in query))
    with state.lock:
        objects = state.objects.get(bucket)
        if objects is None:
            raise CosError(HTTPStatus.NOT_FOUND, "NoSuchBucket", "The bucket does not exist.")
        if request.method == "PUT":
            stored = objects[key] = Object(_body(request), _kept(request.headers), now)
            return Reply(HTTPStatus.OK, {"ETag": _etag(stored)}, b"")
        found = objects.get(key)
    if found is None:
        raise CosError(HTTPStatus.NOT_FOUND, "NoSuchKey", "The key does not exist.")
    return _read(replace(found, headers={**found.headers, **_kept(instead)}), request.headers)


def _check_emulated(request: Request, parameters: Iterable[str]) -> None:
    done = _DONE[request.method] | {COS_TOKEN, "x-cos-sdk-retry"}
    for name, value in request.headers.items():
        meta = request.method == "PUT" and name.startswith(_META)
        standard = (name, value) == ("x-cos-storage-class", "STANDARD")
        if name.startswith(_ASKING) and name not in done and not meta and not standard:
            raise _not_emulated(f"The header {name} of a {request.method}")
    for name in parameters:
        instead = request.method == "GET" and name in _INSTEAD
        if not name.startswith("q-") and name != COS_TOKEN and not instead:
            raise _not_emulated(f"The parameter {name!r} of a {request.method}")


def _not_emulated(what: str) -> CosError:
    return CosError(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented", f"{what} is not emulated.")


def _kept(given: Mapping[str, str]) -> dict[str, str]:
    """Of headers, by lower-case name, those that come back with an object."""
    kept = {
        _KEPT.get(name, name): value
        for name, value in given.items()
        if name in _KEPT or name.startswith(_META)
    }
    for name, value in kept.items():
        if not value.isprintable():  # half a surrogate pair, which stands for no UTF-8, too
            raise CosError(HTTPStatus.BAD_REQUEST, "InvalidArgument", f"{name}: {value!r}")
    return kept


def _body(request: Request) -> bytes:
    given = request.headers.get("content-md5")
    if given is None:
        return request.body
    try:
        digest = b64decode(given, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != hashlib.md5().digest_size:
        raise CosError(HTTPStatus.BAD_REQUEST, "InvalidDigest", f"{given!r} is no Content-MD5.")
    if digest != hashlib.md5(request.body).digest():
        raise CosError(HTTPStatus.BAD_REQUEST, "BadDigest", "Content-MD5 is not the body's.")
    return request.body


def _etag(stored: Object) -> str:
    return f'"{hashlib.md5(stored.content).hexdigest()}"'


def _names(etag: str, asked: str) -> bool:
    # Unquoted too, as the SDK's own examples have it.
    return asked == "*" or etag.strip('"') in (each.strip(' "') for each in asked.split(","))


def _read(stored: Object, asked: Mapping[str, str]) -> Reply:
    etag = _etag(stored)
    headers = {
        "ETag": etag,
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **stored.headers,
    }
    if not _names(etag, asked.get("if-match", "*")):
        raise CosError(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed", f"ETag is {etag}.")
    if _names(etag, asked.get("if-none-match", "")):
        return Reply(HTTPStatus.NOT_MODIFIED, headers, b"")
    if "range" not in asked:
        return Reply(HTTPStatus.OK, headers, stored.content)
    size = len(stored.content)
    first, last = _range(asked["range"], size)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, headers, stored.content[first : last + 1])


def _range(asked: str, size: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(asked)
    if match is None:
        raise _not_emulated(f"A Range such as {asked!r}")
    first, last, length = match.groups()
    begin = max(size - int(length), 0) if length else int(first)
    end = min(int(last or size), size - 1)
    if begin > end:
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        raise CosError(status, "InvalidRange", f"{asked} is not within {size} bytes.")
    return begin, end


def refusal(error: CosError, resource: str, request_id: str) -> Reply:
    """An error as COS sends it (document/product/436/7730)."""
    members = {"Code": error.code, "Message": error.message, "Resource": resource}
    members |= {"RequestId": request_id, "TraceId": request_id}
    body = "".join(f"\t<{name}>{escape(text)}</{name}>\n" for name, text in members.items())
    xml = f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n{body}</Error>\n"
    content = xml.encode("utf-8", "backslashreplace")  # the key may be no UTF-8
    return Reply(error.status, {"Content-Type": "application/xml"}, content)
