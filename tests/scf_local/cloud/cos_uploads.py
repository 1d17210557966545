"""COS: uploads in parts (document/product/436/7746, 436/7750, 436/7742, 436/7740, 436/7747)."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from scf_local.cloud.cos_buckets import listing, page_of
from scf_local.cloud.cos_calls import MAX_BYTES, error, iso_time, xml_reply
from scf_local.cloud.cos_objects import described, etag_of, raw, storable, store
from scf_local.cloud.seed import Object
from scf_local.cloud.wire import Reply
from scf_local.environment import UIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scf_local.cloud.cos_calls import CosCall

MIN_PART = 1 << 20
"""Bytes of every part but the last (document/product/436/7750)."""
MAX_PART_NUMBER = 10_000
_OWNER = {"ID": f"qcs::cam::uin/{UIN}:uin/{UIN}", "DisplayName": UIN}
_OWNERS = {"Initiator": _OWNER, "Owner": _OWNER, "StorageClass": "STANDARD"}


@dataclass(frozen=True)
class Upload:
    """An upload that is neither completed nor aborted, with its parts by number.

    `members` are what listings have of it; `headers` will be those of the object.
    """

    bucket: str
    key: str
    headers: Mapping[str, str]
    members: dict[str, Any]
    parts: dict[int, Object] = field(default_factory=dict)


def initiate(call: CosCall) -> Reply:
    """Begin an upload."""
    number = f"{int(call.now * 1e6)}{secrets.token_hex(24)}"  # real ones begin with the time, too
    listed = {"UploadId": number, **_OWNERS, "Initiated": iso_time(call.now)}
    upload = Upload(call.bucket, call.key, storable(call.http.headers), listed)
    call.state.uploads[number] = upload
    members = {"Bucket": call.bucket, "Key": call.key, "UploadId": number}
    return xml_reply("InitiateMultipartUploadResult", members)


def _upload(call: CosCall) -> Upload:
    upload = call.state.uploads.get(call.http.params["uploadId"])
    if upload is None or (upload.bucket, upload.key) != (call.bucket, call.key):
        raise error("NoSuchUpload", "The upload does not exist, or is completed or aborted.")
    return upload


def upload_part(call: CosCall) -> Reply:
    """Store a part, or replace it."""
    upload, number = _upload(call), call.number("partNumber")
    if not 1 <= number <= MAX_PART_NUMBER:
        raise error("InvalidArgument", f"partNumber is {number}; 1 to {MAX_PART_NUMBER} allowed.")
    parts = {**upload.parts, number: Object(call.body(), modified=call.now)}
    if sum(len(part.content) for part in parts.values()) > MAX_BYTES:
        raise error("EntityTooLarge", f"The emulated cloud allows at most {MAX_BYTES} bytes.")
    upload.parts[number] = parts[number]
    return Reply(200, {"ETag": etag_of(parts[number])}, b"")


def complete(call: CosCall) -> Reply:
    """Store the object that the given parts are."""
    upload = _upload(call)
    numbers = {str(number): number for number in upload.parts}
    parts: dict[int, Object] = {}
    for element in call.xml().iterfind("{*}Part"):
        text, etag = (element.findtext(f"{{*}}{name}") or "" for name in ("PartNumber", "ETag"))
        number, last = numbers.get(text, 0), next(reversed(parts), 0)
        if not number or etag_of(upload.parts[number]).strip('"') != etag.strip('"'):
            raise error("InvalidPart", f"Part {text!r} with ETag {etag!r} was not uploaded.")
        if number <= last:
            raise error("InvalidPartOrder", f"Part {number} follows part {last}.")
        parts[number] = upload.parts[number]
    contents = [part.content for part in parts.values()]
    if not contents:
        raise error("MalformedXML", "The body has no parts.")
    if min(map(len, contents[:-1]), default=MIN_PART) < MIN_PART:
        raise error("EntityTooSmall", f"All parts but the last need at least {MIN_PART} bytes.")
    digests = b"".join(hashlib.md5(content).digest() for content in contents)
    etag = f"{hashlib.md5(digests).hexdigest()}-{len(contents)}"
    stored, headers = store(call, Object(b"".join(contents), upload.headers, etag=etag))
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
    """Return one page of the parts of an upload."""
    upload, after = _upload(call), call.number("part-number-marker", 0)
    later = sorted(number for number in upload.parts if number > after)
    page, is_cut, head = page_of(call, "max-parts", later)
    names = {"Bucket": call.bucket, "Key": call.encode(raw(call.key)), **_OWNERS}
    names |= {"UploadId": call.http.params["uploadId"], "PartNumberMarker": str(after)}
    following = {"NextPartNumberMarker": str(page[-1])} if is_cut else {}
    parts = [{"PartNumber": str(number), **described(upload.parts[number])} for number in page]
    return xml_reply("ListPartsResult", {**names, **head, **following, "Part": parts})


def list_uploads(call: CosCall) -> Reply:
    """Return one page of the uploads of a bucket (document/product/436/7736)."""
    entries = {
        (raw(upload.key), number.encode()): upload.members
        for number, upload in call.state.uploads.items()
        if upload.bucket == call.bucket
    }
    page = listing(call, entries, "Upload", "max-uploads", ("key-marker", "upload-id-marker"))
    return xml_reply("ListMultipartUploadsResult", {"Bucket": call.bucket, **page})
