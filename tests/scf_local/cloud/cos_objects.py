"""COS: the actions of objects and their versions (versions: document/product/436/19883)."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from dataclasses import replace
from email.utils import formatdate
from itertools import count
from typing import TYPE_CHECKING
from urllib.parse import unquote

from scf_local.cloud.cos_calls import bucket_of, error, iso_time, xml_reply
from scf_local.cloud.seed import Object
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scf_local.cloud.cos_calls import CosCall

METADATA = "x-cos-meta-"
_NAMES = (
    *("Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language"),
    *("Content-Type", "Expires"),
)
STORED = {name.lower(): name for name in _NAMES}
"""Headers that are stored with an object, by lower-case name, besides its metadata."""
MAX_DELETED = 1000
_RANGE = re.compile("bytes=([0-9]{1,18})-([0-9]{0,18})|bytes=-([0-9]{1,18})")


def raw(text: str) -> bytes:
    """Return the bytes of a key."""
    return text.encode("utf-8", "surrogateescape")


def described(stored: Object) -> dict[str, str]:
    """Return what listings have of an object or a part."""
    size = str(len(stored.content))
    return {"LastModified": iso_time(stored.modified), "ETag": etag_of(stored), "Size": size}


def etag_of(stored: Object) -> str:
    """Return an object's ETag, in quotes."""
    return f'"{stored.etag or hashlib.md5(stored.content).hexdigest()}"'


# --- Reading ---


def get_object(call: CosCall) -> Reply:
    """Return an object, or a range of it (document/product/436/7753, 436/7745)."""
    stored = _find(call.objects.get(call.key), call.http.params.get("versionId"))
    overrides = {name.removeprefix("response-"): text for name, text in call.http.params.items()}
    requested = call.http.headers
    etag = etag_of(stored)
    headers = {
        "ETag": etag,
        "Last-Modified": formatdate(stored.modified, usegmt=True),
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream",
        **_version_header(call, stored),
        **stored.headers,
        **storable(overrides),
    }
    if not _etag_matches(etag, requested.get("if-match", "*")):
        raise error("PreconditionFailed", f"ETag is {etag}.")
    if _etag_matches(etag, requested.get("if-none-match", "")):
        return Reply(304, headers, b"")
    if "range" not in requested:
        return Reply(200, headers, stored.content)
    size = len(stored.content)
    first, last = _range(requested["range"], size)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Reply(206, headers, stored.content[first : last + 1])


def _find(newest: Object | None, version: str | None, code: str = "MethodNotAllowed") -> Object:
    """Return an object's newest version, or the given one; `code` rejects a delete marker."""
    if newest is None or (newest.is_delete_marker and version is None):
        raise error("NoSuchKey", "The key does not exist.")
    for stored in (newest, *newest.older):
        if version in {None, stored.version}:
            if stored.is_delete_marker:
                raise error(code, "The version is a delete marker.")
            return stored
    raise error("NoSuchVersion", "The version does not exist.")


def _version_header(call: CosCall, stored: Object) -> dict[str, str]:
    has_versions = call.state.versioning.get(call.bucket)
    return {"x-cos-version-id": stored.version} if has_versions else {}


def _etag_matches(etag: str, header: str) -> bool:
    # Unquoted, too, as in the SDK's own examples.
    return header == "*" or etag.strip('"') in (item.strip(' "') for item in header.split(","))


def _range(header: str, size: int) -> tuple[int, int]:
    match = _RANGE.fullmatch(header)
    if match is None:
        message = f"Range {header!r} is not emulated; emulated are bytes=0-9, bytes=10-, bytes=-10."
        raise error("NotImplemented", message)
    first, last, length = match.groups()
    begin = max(size - int(length), 0) if length else int(first)
    end = min(int(last or size), size - 1)
    if begin > end:
        raise error("InvalidRange", f"{header} is not within {size} bytes.")
    return begin, end


# --- Writing ---


def put_object(call: CosCall) -> Reply:
    """Store an object (document/product/436/7749)."""
    stored, headers = store(call, Object(call.body(), storable(call.http.headers)))
    return Reply(200, {"ETag": etag_of(stored), **headers}, b"")


def put_object_copy(call: CosCall) -> Reply:
    """Store a copy of an object (document/product/436/10881)."""
    address, _, query = call.http.headers.get("x-cos-copy-source", "").partition("?")
    host, _, path = address.partition("/")
    bucket, _ = bucket_of(host) or ("", "")
    key, version = unquote(path, errors="surrogateescape"), query.removeprefix("versionId=")
    if not bucket or not key or query[:10] not in {"", "versionId="}:
        form = "<bucket-appid>.cos.<region>.myqcloud.com/<key>[?versionId=<id>]"
        raise error("InvalidCopySource", f"x-cos-copy-source must be {form}.")
    directive = call.http.headers.get("x-cos-metadata-directive", "Copy")
    if directive not in {"Copy", "Replaced"}:
        raise error("InvalidArgument", f"Directive {directive!r} must be Copy or Replaced.")
    if (bucket, key, version, directive) == (call.bucket, call.key, "", "Copy"):
        # assumed: the document names no code
        raise error("InvalidRequest", "A copy to itself needs x-cos-metadata-directive Replaced.")
    if bucket not in call.state.objects:
        raise error("NoSuchBucket", "The bucket of x-cos-copy-source does not exist.")
    # That of a delete marker has the status 400 (436/8287); assumed: its code.
    source = _find(call.state.objects[bucket].get(key), version or None, "InvalidCopySource")
    kept = source.headers if directive == "Copy" else storable(call.http.headers)
    # assumed: the ETag is that of one upload, also for a source that was uploaded in parts
    stored, headers = store(call, Object(source.content, kept))
    members = {"ETag": etag_of(stored), "LastModified": iso_time(call.now)}
    return xml_reply("CopyObjectResult", members, headers)


def storable(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are stored with an object, of headers by lower-case name.

    Raises:
        CosError: InvalidArgument.
    """
    headers = {
        STORED.get(name, name): value
        for name, value in given.items()
        if name in STORED or name.startswith(METADATA)
    }
    for name, value in headers.items():
        if not value.isprintable():  # nor is half a surrogate pair, which replaces a non-UTF-8 byte
            raise error("InvalidArgument", f"Invalid {name}: {value!r}.")
    return headers


def store(call: CosCall, new: Object, key: str | None = None) -> tuple[Object, dict[str, str]]:
    """Store an object under the call's key, or another one, and return it with its headers."""
    key = key or call.key
    versions = _versions(call, key)
    version, used = "null", {old.version for old in versions}
    if call.state.versioning.get(call.bucket) == "Enabled":
        # The form of real ones: base64 of a number that falls with time.
        latest = 2**64 - 1 - int(call.now * 1e6)
        ids = (b64encode(b"%d" % (latest - n)).decode().rstrip("=") for n in count())
        version = next(each for each in ids if each not in used)
    older = tuple(old for old in versions if old.version != version)
    stored = replace(new, modified=call.now, version=version, older=older)
    call.objects[key] = stored
    return stored, _version_header(call, stored)


def _versions(call: CosCall, key: str) -> tuple[Object, ...]:
    newest = call.objects.get(key)
    return (replace(newest, older=()), *newest.older) if newest else ()


# --- Deleting ---


def delete_object(call: CosCall) -> Reply:
    """Delete an object, or one version of it (document/product/436/7743)."""
    removed = _delete(call, call.key, call.http.params.get("versionId"))
    headers = {"x-cos-version-id": removed.version} if removed else {}
    if removed and removed.is_delete_marker:
        headers["x-cos-delete-marker"] = "true"
    return Reply(204, headers, b"")


def delete_multiple_objects(call: CosCall) -> Reply:
    """Delete objects, or versions of them (document/product/436/8289)."""
    document, deleted = call.xml(), []
    objects = document.findall("{*}Object")
    if not 1 <= len(objects) <= MAX_DELETED or not all(each.findtext("{*}Key") for each in objects):
        raise error("MalformedXML", f"1 to {MAX_DELETED} objects are required, each with a Key.")
    for element in objects:
        key, version = (element.findtext(f"{{*}}{name}") or "" for name in ("Key", "VersionId"))
        removed = _delete(call, key, version or None)
        members = {"Key": key, "VersionId": [version] * bool(version)}
        if removed and removed.is_delete_marker:
            members |= {"DeleteMarker": "true", "DeleteMarkerVersionId": removed.version}
        deleted.append(members)
    is_quiet = document.findtext("{*}Quiet") == "true"
    return xml_reply("DeleteResult", {"Deleted": deleted * (not is_quiet)})


def _delete(call: CosCall, key: str, version: str | None) -> Object | None:
    """Delete an object, and return the version that was deleted, or the new delete marker."""
    has_versions = call.state.versioning.get(call.bucket)
    if has_versions and version is None:
        return store(call, Object(b"", is_delete_marker=True), key)[0]
    versions = _versions(call, key)
    call.objects.pop(key, None)
    left = [old for old in versions if version not in {None, old.version}]
    if left:
        call.objects[key] = replace(left[0], older=tuple(left[1:]))
    return next((old for old in versions if has_versions and old not in left), None)
