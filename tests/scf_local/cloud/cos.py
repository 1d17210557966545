"""COS: GET, HEAD and PUT of objects and their versions; the Host header has bucket and region.

Headers and parameters that COS would act on are emulated or rejected, never ignored
(document/product/436/7753, 436/7745, 436/7749; versions: 436/19883; error codes: 436/7730).
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64decode, b64encode
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote
from xml.sax.saxutils import escape

from scf_local.cloud.seed import Object
from scf_local.cloud.signatures import COS_TOKEN
from scf_local.cloud.wire import CosError, Reply

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from scf_local.cloud.state import State
    from scf_local.cloud.wire import Request

REQUEST_ID = "x-cos-request-id"
ACTIONS = {
    "GET": "GetObject",
    "HEAD": "HeadObject",
    "PUT": "PutObject",
    "GET ?versioning": "GetBucketVersioning",
    "PUT ?versioning": "PutBucketVersioning",
}
MAX_BYTES = 64 << 20
"""What is kept in memory; PUT Object allows 5 GiB (document/product/436/7749)."""

_HOST = re.compile(
    r"(?P<bucket>[a-z0-9-]+-\d+)\.cos(-internal)?\.(?P<region>[a-z0-9-]+)"
    r"\.(myqcloud\.com|tencentcos\.cn)(:\d+)?"
)
_NAMES = (
    "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
    "Content-Type", "Expires",
)  # fmt: skip
_STORED = {name.lower(): name for name in _NAMES}
_OVERRIDES = {f"response-{name}": name for name in _STORED}
_METADATA = "x-cos-meta-"
_FEATURES = ("if-", "pic-operations", "range", "x-ci-", "x-cos-")
_EMULATED = {
    "GetObject": ("if-match", "if-none-match", "range"),
    "HeadObject": ("if-match", "if-none-match"),
}
_PARAMETERS = {"GetObject": ("versionId", *_OVERRIDES), "HeadObject": ("versionId",)}
_VERSIONING = re.compile(
    rb"<VersioningConfiguration>\s*<Status>(Enabled|Suspended)</Status>\s*</VersioningConfiguration>"
)
_RANGE = re.compile("bytes=([0-9]{1,18})-([0-9]{0,18})|bytes=-([0-9]{1,18})")


def bucket_of(host: str) -> tuple[str, str] | None:
    """Return the bucket and region in a Host header, or None if it is not that of a bucket."""
    match = _HOST.fullmatch(host)
    return match and (match["bucket"], match["region"])


def action_of(request: Request) -> str:
    """Return the action of a request, or only its method if that is not emulated."""
    if request.path.removeprefix("/"):
        return ACTIONS.get(request.method, request.method)
    names = dict(parse_qsl(request.query, keep_blank_values=True))
    of_bucket = " ?versioning" if "versioning" in names else " ?"
    return ACTIONS.get(request.method + of_bucket, request.method)


def handle(state: State, bucket: str, request: Request, now: float) -> Reply:
    """Return the reply to a verified request, without its request id.

    Raises:
        CosError: an error of COS; MethodNotAllowed, NotImplemented for what is not emulated.
    """
    key = request.path.removeprefix("/")
    action = action_of(request)
    if action not in ACTIONS.values():
        message = f"{request.method} {request.path!r} is not emulated; objects have GET, HEAD, PUT."
        raise CosError(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", message)
    query = parse_qsl(request.query, keep_blank_values=True)
    overrides = {_OVERRIDES[name]: value for name, value in query if name in _OVERRIDES}
    _check_emulated(action, request, (name for name, _ in query if key or name != "versioning"))
    with state.lock:
        objects = state.objects.get(bucket)
        if objects is None:
            raise CosError(HTTPStatus.NOT_FOUND, "NoSuchBucket", "The bucket does not exist.")
        if not key:
            return _versioning(state, bucket, request)
        newest = objects.get(key)
        versions = (newest, *newest.older) if newest else ()
        status = state.versioning.get(bucket)
        if request.method == "PUT":
            version = _new_version(now, len(versions)) if status == "Enabled" else "null"
            older = tuple(replace(old, older=()) for old in versions if old.version != version)
            found = Object(_body(request), _storable(request.headers), now, version, older)
            objects[key] = found
        else:
            found = _find(versions, dict(query).get("versionId"))
    headers = {"x-cos-version-id": found.version} if status else {}
    if request.method == "PUT":
        return Reply(HTTPStatus.OK, {"ETag": _etag(found), **headers}, b"")
    headers |= {**found.headers, **_storable(overrides)}
    return _read(replace(found, headers=headers), request.headers)


def _find(versions: tuple[Object, ...], version: str | None) -> Object:
    """Return an object's newest version, or the given one."""
    if not versions:
        raise CosError(HTTPStatus.NOT_FOUND, "NoSuchKey", "The key does not exist.")
    for stored in versions:
        if version in {None, stored.version}:
            return stored
    raise CosError(HTTPStatus.NOT_FOUND, "NoSuchVersion", "The version does not exist.")


def _versioning(state: State, bucket: str, request: Request) -> Reply:
    """Return the status of a bucket's versions, or set it (document/product/436/19889)."""
    if request.method == "PUT":
        given = _VERSIONING.search(_body(request))
        if given is None:
            message = "The Status must be Enabled or Suspended."
            raise CosError(HTTPStatus.BAD_REQUEST, "MalformedXML", message)
        state.versioning[bucket] = given[1].decode()
        return Reply(HTTPStatus.OK, {}, b"")
    status = state.versioning.get(bucket)
    element = f"<Status>{status}</Status>" if status else ""  # none if it was never set
    xml = f"<VersioningConfiguration>{element}</VersioningConfiguration>"
    return Reply(HTTPStatus.OK, {"Content-Type": "application/xml"}, xml.encode())


def _new_version(now: float, count: int) -> str:
    """Return a version id, in the form of real ones, that none of `count` older versions has."""
    return b64encode(b"%d" % (2**64 - 1 - int(now * 1e6) - count)).decode().rstrip("=")


def _check_emulated(action: str, request: Request, parameters: Iterable[str]) -> None:
    emulated = {COS_TOKEN, "x-cos-sdk-retry", *_EMULATED.get(action, ())}
    for name, value in request.headers.items():
        metadata = request.method == "PUT" and name.startswith(_METADATA)
        standard = (name, value) == ("x-cos-storage-class", "STANDARD")
        if name.startswith(_FEATURES) and name not in emulated and not metadata and not standard:
            raise _not_emulated(f"The header {name} of a {request.method}")
    for name in parameters:
        if not name.startswith("q-") and name not in (COS_TOKEN, *_PARAMETERS.get(action, ())):
            raise _not_emulated(f"The parameter {name!r} of a {request.method}")


def _not_emulated(what: str) -> CosError:
    return CosError(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented", f"{what} is not emulated.")


def _storable(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are stored with an object, of headers by lower-case name."""
    headers = {
        _STORED.get(name, name): value
        for name, value in given.items()
        if name in _STORED or name.startswith(_METADATA)
    }
    for name, value in headers.items():
        if not value.isprintable():  # nor is half a surrogate pair, which replaces a non-UTF-8 byte
            raise CosError(HTTPStatus.BAD_REQUEST, "InvalidArgument", f"Invalid {name}: {value!r}.")
    return headers


def _body(request: Request) -> bytes:
    if request.timed_out:
        raise CosError(HTTPStatus.BAD_REQUEST, "RequestTimeout", "The body did not arrive in time.")
    if len(request.body) > MAX_BYTES:
        message = f"The emulated cloud keeps at most {MAX_BYTES} bytes of an object."
        raise CosError(HTTPStatus.BAD_REQUEST, "EntityTooLarge", message)
    given = request.headers.get("content-md5")
    if given is None:
        return request.body
    try:
        digest = b64decode(given, validate=True)
    except ValueError:
        digest = b""
    if len(digest) != hashlib.md5().digest_size:
        raise CosError(HTTPStatus.BAD_REQUEST, "InvalidDigest", f"{given!r} is not an MD5 digest.")
    if digest != hashlib.md5(request.body).digest():
        raise CosError(HTTPStatus.BAD_REQUEST, "BadDigest", "Content-MD5 does not match the body.")
    return request.body


def _etag(stored: Object) -> str:
    return f'"{hashlib.md5(stored.content).hexdigest()}"'


def _etag_matches(etag: str, header: str) -> bool:
    # Unquoted, too, as in the SDK's own examples.
    return header == "*" or etag.strip('"') in (item.strip(' "') for item in header.split(","))


def _read(stored: Object, requested: Mapping[str, str]) -> Reply:
    etag = _etag(stored)
    headers = {
        "ETag": etag,
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **stored.headers,
    }
    if not _etag_matches(etag, requested.get("if-match", "*")):
        raise CosError(HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed", f"ETag is {etag}.")
    if _etag_matches(etag, requested.get("if-none-match", "")):
        return Reply(HTTPStatus.NOT_MODIFIED, headers, b"")
    if "range" not in requested:
        return Reply(HTTPStatus.OK, headers, stored.content)
    size = len(stored.content)
    first, last = _range(requested["range"], size)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, headers, stored.content[first : last + 1])


def _range(header: str, size: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(header)
    if match is None:
        raise _not_emulated(f"A Range such as {header!r}")
    first, last, length = match.groups()
    begin = max(size - int(length), 0) if length else int(first)
    end = min(int(last or size), size - 1)
    if begin > end:
        status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
        raise CosError(status, "InvalidRange", f"{header} is not within {size} bytes.")
    return begin, end


def error_reply(error: CosError, resource: str, request_id: str) -> Reply:
    """Return an error as COS sends it (document/product/436/7730)."""
    # XML allows few control characters, not even escaped.
    resource = quote(resource, ":/", errors="surrogateescape")
    members = {"Code": error.code, "Message": error.message, "Resource": resource}
    members |= {"RequestId": request_id, "TraceId": request_id}
    body = "".join(f"\t<{name}>{escape(text)}</{name}>\n" for name, text in members.items())
    xml = f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n{body}</Error>\n"
    content = xml.encode("utf-8", "backslashreplace")  # the key may not be UTF-8
    return Reply(error.status, {"Content-Type": "application/xml"}, content)
