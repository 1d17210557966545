"""COS: uploads in parts (document/product/436/7746, 436/7750, 436/7742, 436/7740, 436/7747)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

from scf_local.cloud.cos_calls import MAX_BYTES, CosCall, check_size, iso_time, xml_reply
from scf_local.cloud.cos_objects import described, etag_of, raw, storable, store
from scf_local.cloud.seed import Object
from scf_local.cloud.wire import ErrorReply, Reply, require

MIN_PART = 1 << 20
"""Bytes of every part but the last (document/product/436/7750)."""


@dataclass(frozen=True)
class Upload:
    """An upload that is neither completed nor aborted, with its parts by number.

    `headers` will be those of the object.
    """

    bucket: str
    key: str
    begun: float
    headers: Mapping[str, str]
    parts: dict[int, Object] = field(default_factory=dict)


def initiate(call: CosCall) -> Reply:
    """Begin an upload."""
    number = f"{int(call.now * 1e6)}{secrets.token_hex(24)}"  # real ones begin with the time, too
    headers = storable(call.http.headers)
    call.state.uploads[number] = Upload(call.bucket, call.key, call.now, headers)
    members = {"Bucket": call.bucket, "Key": call.key, "UploadId": number}
    return xml_reply("InitiateMultipartUploadResult", members)


def _upload(call: CosCall) -> Upload:
    upload = call.state.uploads.get(call.http.params.get("uploadId", ""))
    if upload is None or (upload.bucket, upload.key) != (call.bucket, call.key):
        raise ErrorReply("NoSuchUpload", "The upload does not exist, or has ended.", 404)
    return upload


def upload_part(call: CosCall) -> Reply:
    """Store a part, or replace it."""
    parts, number = _upload(call).parts, int(call.http.params["partNumber"])
    part = Object(call.body, modified=call.now)
    size = sum(len(each.content) for each in {**parts, number: part}.values())
    check_size(size, MAX_BYTES)
    parts[number] = part
    return Reply(200, {"ETag": etag_of(part)}, b"")


def complete(call: CosCall) -> Reply:
    """Store the object that the given parts are."""
    upload = _upload(call)
    known = {(str(n), etag_of(part).strip('"')): n for n, part in upload.parts.items()}
    given = [(n, etag.strip('"')) for n, etag in call.entries("Part", "PartNumber", "ETag")]
    unknown = [part for part in given if part not in known]
    require(not unknown, "InvalidPart", f"No such PartNumber and ETag: {unknown}.")
    numbers = [known[part] for part in given]
    is_order = numbers == sorted(set(numbers))
    require(is_order, "InvalidPartOrder", f"The parts must be in order, not {numbers}.")
    contents = [upload.parts[number].content for number in numbers]
    is_large = all(len(content) >= MIN_PART for content in contents[:-1])
    require(is_large, "EntityTooSmall", f"All but the last part need {MIN_PART} bytes or more.")
    digests = b"".join(hashlib.md5(content).digest() for content in contents)
    etag = f"{hashlib.md5(digests).hexdigest()}-{len(contents)}"
    new = Object(b"".join(contents), upload.headers, etag=etag)
    stored, headers = store(call, call.key, new, "cos:ObjectCreated:CompleteMultipartUpload")
    del call.state.uploads[call.http.params["uploadId"]]
    location = f"http://{call.http.headers['host']}/{quote(raw(call.key))}"
    members = {"Bucket": call.bucket, "Key": call.key, "ETag": etag_of(stored)}
    return xml_reply("CompleteMultipartUploadResult", {"Location": location, **members}, headers)


def abort(call: CosCall) -> Reply:
    """Discard an upload."""
    _upload(call)
    del call.state.uploads[call.http.params["uploadId"]]
    return Reply(204, {}, b"")


def list_parts(call: CosCall) -> Reply:
    """Return the parts of an upload."""
    listed = sorted(_upload(call).parts.items())
    parts = [{"PartNumber": str(number), **described(part)} for number, part in listed]
    members = {"Bucket": call.bucket, "Key": call.encode(raw(call.key)), "IsTruncated": "false"}
    return xml_reply("ListPartsResult", {**members, "Part": parts})


def list_uploads(call: CosCall) -> Reply:
    """Return the uploads of a bucket by key and time (document/product/436/7736)."""
    prefix = call.http.params.get("prefix", "")
    uploads = [
        {"Key": call.encode(raw(upload.key)), "UploadId": n, "Initiated": iso_time(upload.begun)}
        for n, upload in sorted(call.state.uploads.items(), key=lambda item: (item[1].key, item[0]))
        if upload.bucket == call.bucket and upload.key.startswith(prefix)
    ]
    members = {"Bucket": call.bucket, "IsTruncated": "false", "Upload": uploads}
    return xml_reply("ListMultipartUploadsResult", members)
