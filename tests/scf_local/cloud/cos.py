"""COS: the table of its actions; the Host header has bucket and region.

Headers and parameters that COS would act on are emulated or rejected, never ignored
(error codes: document/product/436/7730; names of actions: document/product/598/57092).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import quote

from scf_local.cloud import cos_buckets as buckets
from scf_local.cloud import cos_calls
from scf_local.cloud import cos_objects as objects
from scf_local.cloud import cos_uploads as uploads
from scf_local.cloud.cos_calls import CosCall, error, xml_reply
from scf_local.cloud.signatures import COS_TOKEN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scf_local.cloud.state import State
    from scf_local.cloud.wire import CosError, Reply, Request

REQUEST_ID = "x-cos-request-id"
MAX_BYTES = cos_calls.MAX_BYTES
BODY_LIMITS = {"PUT": MAX_BYTES, "POST": cos_calls.MAX_XML}
"""By method; other requests are answered without their body."""
MAX_KEY = 850
"""Bytes (document/product/436/13324); assumed: the error code."""
bucket_of = cos_calls.bucket_of


@dataclass(frozen=True)
class Action:
    """An action: a kind of request, and the headers and parameters that it allows, by spaces.

    `mark` is a parameter or header that the request must have. A header or parameter may be a
    pattern. Headers that COS does not act on are always allowed.
    """

    request: str
    mark: str
    run: Callable[[CosCall], Reply]
    headers: str = ""
    parameters: str = ""


_META = f"{objects.METADATA}*"
_READ = " ".join(("versionId", *(f"response-{name}" for name in objects.STORED)))
_LIST = "prefix delimiter encoding-type"
_UPLOADS = f"{_LIST} key-marker upload-id-marker max-uploads"
_PARTS = "max-parts part-number-marker encoding-type"
_IF = "if-match if-none-match"
_COPY = "x-cos-copy-source"
ACTIONS = {
    "GetBucketVersioning": Action("GET /", "versioning", buckets.get_versioning),
    "PutBucketVersioning": Action("PUT /", "versioning", buckets.put_versioning),
    "ListMultipartUploads": Action("GET /", "uploads", uploads.list_uploads, "", _UPLOADS),
    "GetBucket": Action("GET /", "", buckets.get_bucket, "", f"{_LIST} marker max-keys"),
    "HeadBucket": Action("HEAD /", "", buckets.head_bucket),
    "DeleteMultipleObjects": Action("POST /", "delete", objects.delete_multiple_objects),
    "InitiateMultipartUpload": Action("POST /<key>", "uploads", uploads.initiate, _META),
    "UploadPart": Action("PUT /<key>", "uploadId", uploads.upload_part, "", "partNumber"),
    "CompleteMultipartUpload": Action("POST /<key>", "uploadId", uploads.complete),
    "AbortMultipartUpload": Action("DELETE /<key>", "uploadId", uploads.abort),
    "ListParts": Action("GET /<key>", "uploadId", uploads.list_parts, "", _PARTS),
    "GetObject": Action("GET /<key>", "", objects.get_object, f"{_IF} range", _READ),
    "HeadObject": Action("HEAD /<key>", "", objects.get_object, _IF, "versionId"),
    "PutObjectCopy": Action(
        "PUT /<key>", _COPY, objects.put_object_copy, f"x-cos-metadata-directive {_META}"
    ),
    "PutObject": Action("PUT /<key>", "", objects.put_object, _META),
    "DeleteObject": Action("DELETE /<key>", "", objects.delete_object, "", "versionId"),
}
"""By name; a request is for the first of its kind whose mark it has."""
_ALWAYS = (COS_TOKEN, "x-cos-sdk-retry", "q-*")
_FEATURES = re.compile("if-|pic-operations|range|x-ci-|x-cos-")
"""Headers that COS acts on."""


def action_of(request: Request) -> str:
    """Return the action of a request, or only its method if that is not emulated."""
    given = {"", *request.params, *(name for name in request.headers if name == _COPY)}
    for name, action in ACTIONS.items():
        if action.request == _kind(request) and action.mark in given:
            return name
    return request.method


def _kind(request: Request) -> str:
    return f"{request.method} /{'<key>' if request.path.removeprefix('/') else ''}"


def handle(state: State, bucket: str, request: Request, now: float) -> Reply:
    """Return the reply to a verified request, without its request id.

    Raises:
        CosError: an error of COS; MethodNotAllowed, NotImplemented for what is not emulated.
    """
    key, name = request.path.removeprefix("/"), action_of(request)
    _check_emulated(name, request)
    size = len(objects.raw(key))
    if size > MAX_KEY:
        raise error("KeyTooLong", f"The key has {size} bytes; at most {MAX_KEY} are allowed.")
    with state.lock:
        if bucket not in state.objects:
            raise error("NoSuchBucket", "The bucket does not exist.")
        return ACTIONS[name].run(CosCall(state, bucket, key, request, now))


def _check_emulated(name: str, request: Request) -> None:
    if name not in ACTIONS:
        emulated = [f"{a.request}{'?' * bool(a.mark)}{a.mark}" for a in ACTIONS.values()]
        is_known = any(text.startswith(f"{name} ") for text in emulated)
        what = "?".join([_kind(request), *request.params][:2])
        message = f"{what} is not emulated; emulated are {', '.join(emulated)}."
        raise error("NotImplemented" if is_known else "MethodNotAllowed", message)
    action = ACTIONS[name]
    given = {*request.headers.items()} - {("x-cos-storage-class", "STANDARD")}
    features = (header for header, _ in sorted(given) if _FEATURES.match(header))
    _check(name, "header", features, f"{action.headers} {action.mark}")
    _check(name, "parameter", request.params, f"{action.parameters} {action.mark}")


def _check(name: str, kind: str, given: Iterable[str], emulated: str) -> None:
    for each in given:
        if not any(fnmatchcase(each, pattern) for pattern in (*emulated.split(), *_ALWAYS)):
            message = f"The {kind} {each!r} of {name} is not emulated; emulated: "
            raise error("NotImplemented", message + (", ".join(emulated.split()) or "none"))


def error_reply(error: CosError, resource: str, request_id: str) -> Reply:
    """Return an error as COS sends it."""
    resource = quote(resource, ":/", errors="surrogateescape")
    members = {"Code": error.code, "Message": error.message, "Resource": resource}
    members |= {"RequestId": request_id, "TraceId": request_id}
    return replace(xml_reply("Error", members), status=error.status)
