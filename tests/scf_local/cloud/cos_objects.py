"""COS: the actions of buckets, objects and versions (versions: document/product/436/19883)."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from image_steward.settings import BUCKET
from scf_local.cloud.cos_calls import MAX_ENTRIES, Change, CosCall, iso_time, resource_of, xml_reply
from scf_local.cloud.hosts import bucket_of
from scf_local.cloud.seed import Object
from scf_local.cloud.state import Bucket
from scf_local.cloud.wire import ErrorReply, Reply, require
from scf_local.environment import APPID, UIN

METADATA = "x-cos-meta-"
STORED = (
    *("cache-control", "content-disposition", "content-encoding", "content-language"),
    *("content-type", "expires"),
)
"""Headers that are stored with an object, by lower-case name, besides its metadata."""
_SOURCE = re.compile(r"([^/]+)/([^?]+)(?:\?versionId=(.+))?")
ACLS = {"private": (), "public-read": ("READ",), "public-read-write": ("READ", "WRITE")}
"""What all users may do, by the value of x-cos-acl (document/product/436/12470)."""
_ALL_USERS = {"URI": "http://cam.qcloud.com/groups/global/AllUsers"}
RANGE = "range=bytes=([0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})"


def raw(text: str) -> bytes:
    """Return the bytes of a key."""
    return text.encode("utf-8", "surrogateescape")


def described(stored: Object) -> dict[str, str]:
    """Return what listings have of an object or a part."""
    size = str(len(stored.content))
    return {"LastModified": iso_time(stored.modified), "ETag": etag_of(stored), "Size": size}


def etag_of(stored: Object) -> str:
    """Return an object's ETag, in quotes."""
    return f'"{stored.etag or stored.md5}"'


# --- Buckets ---


def get_bucket(call: CosCall) -> Reply:
    """Return one page of keys, in the order of bytes (document/product/436/7734)."""
    # assumed: more is no error
    length = min(int(call.http.params.get("max-keys", MAX_ENTRIES)), MAX_ENTRIES)
    names = ("prefix", "delimiter", "marker")
    prefix, delimiter, marker = given = [raw(call.http.params.get(name, "")) for name in names]
    found: dict[bytes, Object | None] = {}  # None is a common prefix
    for key, stored in sorted((raw(key), stored) for key, stored in call.objects.items()):
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if key.startswith(prefix) and not stored.is_delete_marker:
            found |= {key: stored} if end < 0 else {key[: end + len(delimiter)]: None}
    later = [entry for entry in found.items() if entry[0] > marker]
    page, is_cut = later[:length], 0 < length < len(later)
    owner = dict.fromkeys(("ID", "DisplayName"), call.bucket.rpartition("-")[2])
    more = {"Owner": owner, "StorageClass": "STANDARD"}
    members = {
        "Name": call.bucket,
        "EncodingType": call.http.params.get("encoding-type"),
        **{name.capitalize(): call.encode(text) for name, text in zip(names, given, strict=True)},
        "MaxKeys": str(length),
        "IsTruncated": str(is_cut).lower(),
        "NextMarker": call.encode(page[-1][0]) if is_cut else None,
        "Contents": [{"Key": call.encode(k), **described(v), **more} for k, v in page if v],
        "CommonPrefixes": [{"Prefix": call.encode(key)} for key, stored in page if not stored],
    }
    return xml_reply("ListBucketResult", members)


def head_bucket(call: CosCall) -> Reply:
    """Return that the bucket exists (document/product/436/7735)."""
    return Reply(200, {"x-cos-bucket-region": call.region}, b"")


def put_bucket(call: CosCall) -> Reply:
    """Create a bucket in the region of the host (document/product/436/7738).

    Assumed: the code for a name with another APPID, and for a bucket that another region has.
    """
    is_own = BUCKET.fullmatch(call.bucket) and call.bucket.endswith(f"-{APPID}")
    message = f"{call.bucket} is not a name such as manifests-{APPID}, with the account's APPID."
    require(is_own, "InvalidBucketName", message)
    is_new, message = call.bucket not in call.state.objects, "You have the bucket already."
    require(is_new, "BucketAlreadyOwnedByYou", message, 409)
    call.state.buckets[call.bucket] = Bucket(call.region, _acl(call))
    call.state.objects[call.bucket] = {}
    call.state.missing[f"objects/{call.bucket}/"] = None
    return Reply(200, {}, b"")


def get_acl(call: CosCall) -> Reply:
    """Return the ACL of a bucket (document/product/436/7733)."""
    owner = dict.fromkeys(("ID", "DisplayName"), f"qcs::cam::uin/{UIN}:uin/{UIN}")
    grants = [_grant("CanonicalUser", owner, "FULL_CONTROL")]
    grants += [_grant("Group", _ALL_USERS, permission) for permission in ACLS[call.settings.acl]]
    members = {"Owner": owner, "AccessControlList": {"Grant": grants}}
    return xml_reply("AccessControlPolicy", members)


def _grant(kind: str, grantee: dict[str, str], permission: str) -> dict[str, Any]:
    space = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    return {f'Grantee {space} xsi:type="{kind}"': grantee, "Permission": permission}


def put_acl(call: CosCall) -> Reply:
    """Replace the ACL of a bucket (document/product/436/7737)."""
    call.settings.acl = _acl(call)
    return Reply(200, {}, b"")


def _acl(call: CosCall) -> str:
    """Return the ACL in the header of a request, which may not have a body."""
    message = "A body is not emulated; emulated is the header x-cos-acl."
    require(not call.body, "NotImplemented", message)
    return call.http.headers.get("x-cos-acl", "private")


def get_versioning(call: CosCall) -> Reply:
    """Return the status of a bucket's versions (document/product/436/19888)."""
    # No status if it was never set.
    return xml_reply("VersioningConfiguration", {"Status": call.settings.versioning or None})


def put_versioning(call: CosCall) -> Reply:
    """Set the status of a bucket's versions (document/product/436/19889)."""
    status = call.xml.findtext("{*}Status", "")
    is_status = status in {"Enabled", "Suspended"}
    require(is_status, "MalformedXML", "The Status must be Enabled or Suspended.")
    call.settings.versioning = status
    return Reply(200, {}, b"")


# --- Reading ---


def get_object(call: CosCall) -> Reply:
    """Return an object, or a range of it (document/product/436/7753, 436/7745)."""
    stored = _find(call, call.bucket, call.region, call.key, call.http.params.get("versionId"))
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
    is_expected = _etag_matches(etag, requested.get("if-match", "*"))
    require(is_expected, "PreconditionFailed", f"ETag is {etag}.", 412)
    if _etag_matches(etag, requested.get("if-none-match", "")):
        return Reply(304, headers, b"")
    if "range" not in requested:
        return Reply(200, headers, stored.content)
    size = len(stored.content)
    first, last = _range(requested["range"], size)
    headers["Content-Range"] = f"bytes {first}-{last}/{size}"
    return Reply(206, headers, stored.content[first : last + 1])


def _find(call: CosCall, bucket: str, region: str, key: str, version: str | None) -> Object:
    """Return the newest version of an object in a bucket, or the given one."""
    newest = call.state.objects[bucket].get(key)
    if newest is None or (newest.is_delete_marker and version is None):
        call.state.miss_object(region, bucket, key)
        message = f"The key does not exist. In a seed, it is the file objects/{bucket}/{key}."
        raise ErrorReply("NoSuchKey", message, 404)
    found = [each for each in (newest, *newest.older) if version in {None, each.version}]
    require(found, "NoSuchVersion", "The version does not exist.", 404)
    is_content, message = not found[0].is_delete_marker, "The version is a delete marker."
    require(is_content, "MethodNotAllowed", message, 405)
    return found[0]


def _version_header(call: CosCall, stored: Object) -> dict[str, str]:
    return {"x-cos-version-id": stored.version} if call.settings.versioning else {}


def _etag_matches(etag: str, header: str) -> bool:
    # Unquoted, too, as in the SDK's own examples.
    return header == "*" or etag.strip('"') in (item.strip(' "') for item in header.split(","))


def _range(header: str, size: int) -> tuple[int, int]:
    first, last = header.removeprefix("bytes=").split("-")
    begin = int(first) if first else max(size - int(last), 0)
    end = min(int(last), size - 1) if first and last else size - 1
    require(begin <= end, "InvalidRange", f"{header} is not within {size} bytes.", 416)
    return begin, end


# --- Writing ---


def put_object(call: CosCall) -> Reply:
    """Store an object (document/product/436/7749)."""
    new = Object(call.body, storable(call.http.headers))
    stored, headers = store(call, call.key, new, "cos:ObjectCreated:Put")
    return Reply(200, {"ETag": etag_of(stored), **headers}, b"")


def put_object_copy(call: CosCall) -> Reply:
    """Store a copy of an object (document/product/436/10881)."""
    match = _SOURCE.fullmatch(call.http.headers["x-cos-copy-source"])
    host, path, version = match.groups() if match else ("", "", None)
    bucket, region = bucket_of(host) or ("", "")
    form = "<bucket-appid>.cos.<region>.myqcloud.com/<key>[?versionId=<id>]"
    require(bucket, "InvalidCopySource", f"x-cos-copy-source must be {form}.")
    key = unquote(path, errors="surrogateescape")
    call.caller.require("cos:GetObject", resource_of(bucket, region, key))
    is_there = call.state.objects_in(region, bucket) is not None
    require(is_there, "NoSuchBucket", f"{region} has no bucket {bucket}.", 404)
    source = _find(call, bucket, region, key, version)
    is_replaced = call.http.headers.get("x-cos-metadata-directive") == "Replaced"
    kept = storable(call.http.headers) if is_replaced else source.headers
    # assumed: the ETag is that of one upload, also for a source that was uploaded in parts
    stored, headers = store(call, call.key, Object(source.content, kept), "cos:ObjectCreated:Copy")
    members = {"ETag": etag_of(stored), "LastModified": iso_time(call.now)}
    return xml_reply("CopyObjectResult", members, headers)


def storable(given: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are stored with an object, of headers by lower-case name.

    Raises:
        ErrorReply: InvalidArgument.
    """
    headers = {
        name.title() if name in STORED else name: value
        for name, value in given.items()
        if name in STORED or name.startswith(METADATA)
    }
    for name, value in headers.items():
        # Nor is half a surrogate pair, which replaces a byte that is not UTF-8.
        require(value.isprintable(), "InvalidArgument", f"Invalid {name}: {value!r}.")
    return headers


def store(call: CosCall, key: str, new: Object, event: str) -> tuple[Object, dict[str, str]]:
    """Store an object, of which the event tells, and return it with its headers."""
    version = "null"
    if call.settings.versioning == "Enabled":
        # The form of real ones, whose numbers fall with time.
        version = b64encode(b"%d" % secrets.randbits(64)).decode().rstrip("=")
    older = tuple(old for old in _versions(call, key) if old.version != version)
    call.state.missing[f"objects/{call.bucket}/{key}"] = None
    call.objects[key] = stored = replace(new, modified=call.now, version=version, older=older)
    call.changes.append(Change(event, key, stored))
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
    """Delete objects, or versions of them (document/product/436/8289).

    Those that the caller may not delete stay, and the reply names them.
    """
    deleted, errors = [], []
    for key, version in call.entries("Object", "Key", "VersionId"):
        members = {"Key": key, "VersionId": version or None}
        try:
            call.caller.require("cos:DeleteObject", resource_of(call.bucket, call.region, key))
        except ErrorReply as error:
            errors.append({**members, "Code": error.code, "Message": error.message})
            continue
        removed = _delete(call, key, version or None)
        if removed and removed.is_delete_marker:
            members |= {"DeleteMarker": "true", "DeleteMarkerVersionId": removed.version}
        deleted.append(members)
    is_quiet = call.xml.findtext("{*}Quiet") == "true"
    return xml_reply("DeleteResult", {"Deleted": deleted * (not is_quiet), "Error": errors})


def _delete(call: CosCall, key: str, version: str | None) -> Object | None:
    """Delete an object, and return the version that was deleted, or the new delete marker."""
    has_versions = call.settings.versioning
    if has_versions and version is None:
        marker = Object(b"", is_delete_marker=True)
        return store(call, key, marker, "cos:ObjectRemove:DeleteMarkerCreated")[0]
    versions = _versions(call, key)
    call.state.missing[f"objects/{call.bucket}/{key}"] = None
    call.objects.pop(key, None)
    left = [old for old in versions if version not in {None, old.version}]
    if left:
        call.objects[key] = replace(left[0], older=tuple(left[1:]))
    removed = next((old for old in versions if old not in left), None)
    if removed:
        # assumed: also for a version that is not the newest, and for a delete marker
        call.changes.append(Change("cos:ObjectRemove:Delete", key, removed))
    return removed if has_versions else None
