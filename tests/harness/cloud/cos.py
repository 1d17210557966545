"""COS: GET, HEAD and PUT of objects; the bucket is in the Host header, in any region."""

from __future__ import annotations

import hashlib
import re
from http import HTTPStatus
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from harness.cloud.wire import CosError, Reply

if TYPE_CHECKING:
    from harness.cloud.state import State
    from harness.cloud.wire import Request

REQUEST_ID = "x-cos-request-id"
ACTIONS = {"GET": "GetObject", "HEAD": "HeadObject", "PUT": "PutObject"}

_HOST = re.compile(
    r"(?P<bucket>[a-z0-9-]+-\d+)\.cos(-internal)?\.(?P<region>[a-z0-9-]+)"
    r"\.(myqcloud\.com|tencentcos\.cn)(:\d+)?"
)


def addressed(host: str) -> tuple[str, str] | None:
    """The bucket and region that a Host header names, or None if it is no bucket's."""
    match = _HOST.fullmatch(host)
    return match and (match["bucket"], match["region"])


def answer(state: State, bucket: str, request: Request) -> Reply:
    """The reply to a verified request, without its request id.

    Raises:
        CosError: NoSuchBucket, NoSuchKey, MethodNotAllowed.
    """
    key = request.path.removeprefix("/")
    if request.method not in ACTIONS or not key:
        raise CosError(
            HTTPStatus.METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            f"{request.method} /{key} is not emulated; GET, HEAD and PUT of an object are.",
        )
    with state.lock:
        objects = state.objects.get(bucket)
        if objects is None:
            raise CosError(
                HTTPStatus.NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist."
            )
        if request.method == "PUT":
            objects[key] = request.body
        content = objects.get(key)
    if content is None:
        raise CosError(HTTPStatus.NOT_FOUND, "NoSuchKey", "The specified key does not exist.")
    headers = {"ETag": f'"{hashlib.md5(content).hexdigest()}"'}
    if request.method == "PUT":
        return Reply(HTTPStatus.OK, headers, b"")
    return Reply(HTTPStatus.OK, headers | {"Content-Type": "application/octet-stream"}, content)


def refusal(error: CosError, resource: str, request_id: str) -> Reply:
    """An error as COS sends it (document/product/436/7730)."""
    members = {
        "Code": error.code,
        "Message": error.message,
        "Resource": resource,
        "RequestId": request_id,
        "TraceId": request_id,
    }
    body = "".join(f"\t<{name}>{escape(text)}</{name}>\n" for name, text in members.items())
    xml = f"<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n{body}</Error>\n"
    content = xml.encode("utf-8", "backslashreplace")  # the key may be no UTF-8
    return Reply(error.status, {"Content-Type": "application/xml"}, content)
