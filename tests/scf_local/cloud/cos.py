"""COS: the table of its actions; the Host header has bucket and region.

Headers and parameters that COS would act on are emulated or rejected, never ignored
(error codes: document/product/436/7730; names of actions: document/product/598/57092).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import quote

from scf_local.cloud import cos_objects as objects
from scf_local.cloud import cos_uploads as uploads
from scf_local.cloud.cos_calls import CosCall, resource_of, xml_reply
from scf_local.cloud.scf import triggers
from scf_local.cloud.signatures import COS_TOKEN
from scf_local.cloud.wire import ErrorReply, Reply, Request, require

REQUEST_ID = "x-cos-request-id"
MAX_KEY = 850
"""Bytes (document/product/436/13324); assumed: the error code."""


@dataclass(frozen=True)
class Action:
    """An action: a kind of request, and the headers and parameters that it allows, by spaces.

    `mark` is a parameter or header that the request must have. What is allowed are regular
    expressions of a name, or of a name and a value; without parameters, the mark. Headers that COS
    does not act on are always allowed.
    """

    request: str
    mark: str
    run: Callable[[CosCall], Reply]
    headers: str = ""
    parameters: str = ""


_META = f"{objects.METADATA}.*"
_READ = " ".join(("versionId", *(f"response-{name}" for name in objects.STORED)))
_KEYS = "prefix delimiter=.? marker max-keys=[0-9]{1,9} encoding-type=url"
# The SDK always sends these parameters.
_UPLOADS = (
    "uploads prefix encoding-type=url delimiter= key-marker= upload-id-marker= max-uploads=1000"
)
_PARTS = "uploadId max-parts=1000 part-number-marker=0 encoding-type=url"
_PART = "uploadId partNumber=([1-9][0-9]{0,3}|10000)"
_IF = "if-match if-none-match"
_ACL = f"x-cos-acl=({'|'.join(objects.ACLS)})"
_COPY = "x-cos-copy-source"
_COPIED = f"{_COPY} x-cos-metadata-directive=(Copy|Replaced) {_META}"
ACTIONS = {
    "GetBucketVersioning": Action("GET /", "versioning", objects.get_versioning),
    "PutBucketVersioning": Action("PUT /", "versioning", objects.put_versioning),
    "GetBucketACL": Action("GET /", "acl", objects.get_acl),
    "PutBucketACL": Action("PUT /", "acl", objects.put_acl, _ACL),
    "ListMultipartUploads": Action("GET /", "uploads", uploads.list_uploads, "", _UPLOADS),
    "GetBucket": Action("GET /", "", objects.get_bucket, "", _KEYS),
    "HeadBucket": Action("HEAD /", "", objects.head_bucket),
    "PutBucket": Action("PUT /", "", objects.put_bucket, _ACL),
    "DeleteMultipleObjects": Action("POST /", "delete", objects.delete_multiple_objects),
    "InitiateMultipartUpload": Action("POST /<key>", "uploads", uploads.initiate, _META),
    "UploadPart": Action("PUT /<key>", "partNumber", uploads.upload_part, "", _PART),
    "CompleteMultipartUpload": Action("POST /<key>", "uploadId", uploads.complete),
    "AbortMultipartUpload": Action("DELETE /<key>", "uploadId", uploads.abort),
    "ListParts": Action("GET /<key>", "uploadId", uploads.list_parts, "", _PARTS),
    "GetObject": Action("GET /<key>", "", objects.get_object, f"{_IF} {objects.RANGE}", _READ),
    "HeadObject": Action("HEAD /<key>", "", objects.get_object, _IF, "versionId"),
    "PutObjectCopy": Action("PUT /<key>", _COPY, objects.put_object_copy, _COPIED),
    "PutObject": Action("PUT /<key>", "", objects.put_object, _META),
    "DeleteObject": Action("DELETE /<key>", "", objects.delete_object, "", "versionId"),
}
"""By name; a request is for the first of its kind whose mark it has."""
_RIGHTS = {"PutObjectCopy": "PutObject", "DeleteMultipleObjects": ""}
"""Of actions whose right has another name (436/31923; 436/10881 has `PutObjectCopy`).

A copy also needs `GetObject` of its source; to delete several, `DeleteObject` of each (436/8289).
"""
_ALWAYS = (COS_TOKEN, "x-cos-sdk-retry", "x-cos-storage-class=STANDARD", "q-.*")
_FEATURES = re.compile("if-|pic-operations|range|x-ci-|x-cos-")
"""Headers that COS acts on."""


def action_of(request: Request) -> str:
    """Return the action of a request, or only its method if that is not emulated."""
    given = {"", *request.params} - {_COPY} | {_COPY} & request.headers.keys()
    kind = _kind(request)
    names = (name for name, a in ACTIONS.items() if a.request == kind and a.mark in given)
    return next(names, request.method)


def _kind(request: Request) -> str:
    return f"{request.method} /{'<key>' if request.path.removeprefix('/') else ''}"


def handle(call: CosCall) -> Reply:
    """Return the reply to a verified request, without its request id; hold `state.lock`.

    What it has changed goes to the functions whose triggers fire.

    Raises:
        ErrorReply: an error of COS; NotImplemented for what is not emulated.
    """
    name = action_of(call.http)
    _check_emulated(name, call.http)
    size = len(objects.raw(call.key))
    if size > MAX_KEY:
        raise ErrorReply("KeyTooLong", f"The key has {size} bytes; at most {MAX_KEY} are allowed.")
    if right := _RIGHTS.get(name, name):
        call.caller.require(f"cos:{right}", resource_of(call.bucket, call.region, call.key))
    if name != "PutBucket" and call.state.objects_in(call.region, call.bucket) is None:
        is_read = call.http.method in {"GET", "HEAD"}
        call.state.miss_object(call.region, call.bucket, call.key if is_read else "")
        raise ErrorReply("NoSuchBucket", f"{call.region} has no bucket {call.bucket}.", 404)
    reply = ACTIONS[name].run(call)
    functions, where = call.state.functions, (call.region, call.bucket)
    for change in call.changes:
        functions.queue += triggers.on_change(functions, *where, change, call.now)
    return reply


def _check_emulated(name: str, request: Request) -> None:
    if name not in ACTIONS:
        emulated = [f"{a.request}{'?' * bool(a.mark)}{a.mark}" for a in ACTIONS.values()]
        what = "?".join([_kind(request), *request.params][:2])
        message = f"{what} is not emulated; emulated are {', '.join(emulated)}."
        raise ErrorReply("NotImplemented", message)  # COS has 501, which its SDK repeats for 6 s
    action = ACTIONS[name]
    features = {each: text for each, text in request.headers.items() if _FEATURES.match(each)}
    _check(name, "header", features, action.headers)
    _check(name, "parameter", request.params, action.parameters or action.mark)


def _check(name: str, kind: str, given: Mapping[str, str], emulated: str) -> None:
    patterns = [each if "=" in each else f"{each}=.*" for each in (*emulated.split(), *_ALWAYS)]
    allowed = re.compile("|".join(patterns), re.DOTALL)
    for each, text in sorted(given.items()):
        message = f"The {kind} {each!r} of {name} is not emulated, or not with this value; "
        message += f"emulated: {', '.join(emulated.split()) or 'none'}"
        require(allowed.fullmatch(f"{each}={text}"), "NotImplemented", message)


def error_reply(error: ErrorReply, resource: str, request_id: str) -> Reply:
    """Return an error as COS sends it."""
    resource = quote(resource, ":/", errors="surrogateescape")
    members = {"Code": error.code, "Message": error.message, "Resource": resource}
    members |= {"RequestId": request_id, "TraceId": request_id}
    return xml_reply("Error", members, {REQUEST_ID: request_id}, error.status)
