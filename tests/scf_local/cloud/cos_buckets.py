"""COS: the actions of a bucket: its keys, its region, the status of its versions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scf_local.cloud.cos_calls import bucket_of, error, xml_reply
from scf_local.cloud.cos_objects import described, raw
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scf_local.cloud.cos_calls import CosCall, Members

MAX_ENTRIES = 1000


def get_bucket(call: CosCall) -> Reply:
    """Return one page of keys (document/product/436/7734)."""
    owner = dict.fromkeys(("ID", "DisplayName"), call.bucket.rpartition("-")[2])
    entries = {
        (raw(key), b""): {**described(stored), "Owner": owner, "StorageClass": "STANDARD"}
        for key, stored in call.objects.items()
        if not stored.is_delete_marker
    }
    page = listing(call, entries, "Contents", "max-keys", ("marker",))
    return xml_reply("ListBucketResult", {"Name": call.bucket, **page})


def page_of(call: CosCall, limit: str, entries: list[Any]) -> tuple[list[Any], bool, Members]:
    """Return one page of entries, as long as a parameter allows, and if and how a reply ends it."""
    length = min(call.number(limit, MAX_ENTRIES), MAX_ENTRIES)  # assumed: more is no error
    is_cut = 0 < length < len(entries)
    members = {member_of(limit): str(length), "IsTruncated": str(is_cut).lower(), **call.encoding}
    return entries[:length], is_cut, members


def listing(
    call: CosCall,
    entries: Mapping[tuple[bytes, bytes], Members],
    element: str,
    limit: str,
    markers: tuple[str, ...],
) -> Members:
    """Return the members of a reply that has one page of `entries`, in the order of bytes.

    Args:
        call: has the prefix, the delimiter, and the parameters that the next arguments name.
        entries: the members of each, by its key and (for uploads) its id.
        element: the name of the element for an entry.
        limit: the parameter that has the page's length.
        markers: the parameters that have the key, and the id, after which the page begins.
    """
    names = ("prefix", "delimiter", *markers)
    prefix, delimiter, *after = given = [raw(call.http.params.get(name, "")) for name in names]
    if len(call.http.params.get("delimiter", "")) > 1:
        raise error("InvalidDelimiter", "The delimiter must be one character.")
    found: dict[tuple[bytes, bytes], tuple[str, Members]] = {}
    for key, number in sorted(entries):
        end = key.find(delimiter, len(prefix)) if delimiter else -1
        if key.startswith(prefix) and end >= 0:
            common = key[: end + len(delimiter)]
            found[common, b""] = "CommonPrefixes", {"Prefix": call.encode(common)}
        elif key.startswith(prefix):
            found[key, number] = element, {"Key": call.encode(key), **entries[key, number]}
    later = [entry for entry in found if entry > (after[0], b"".join(after[1:]) or b"\xff")]
    page, is_cut, members = page_of(call, limit, later)
    echoed = dict(zip(names, given, strict=True))
    if is_cut:
        echoed |= zip([f"next-{name}" for name in markers], page[-1], strict=False)
    members |= {member_of(name): call.encode(text) for name, text in echoed.items()}
    for name, entry in map(found.__getitem__, page):
        members[name] = [*members.get(name, ()), entry]
    return members


def member_of(parameter: str) -> str:
    """Return the member of a reply that echoes a parameter."""
    return "".join(part.capitalize() for part in parameter.split("-"))


def head_bucket(call: CosCall) -> Reply:
    """Return that the bucket exists (document/product/436/7735)."""
    _, region = bucket_of(call.http.headers["host"]) or ("", "")
    return Reply(200, {"x-cos-bucket-region": region}, b"")


def get_versioning(call: CosCall) -> Reply:
    """Return the status of a bucket's versions (document/product/436/19888)."""
    status = call.state.versioning.get(call.bucket)  # none if it was never set
    return xml_reply("VersioningConfiguration", {"Status": [status] if status else []})


def put_versioning(call: CosCall) -> Reply:
    """Set the status of a bucket's versions (document/product/436/19889)."""
    status = call.xml().findtext("{*}Status")
    if status not in {"Enabled", "Suspended"}:
        raise error("MalformedXML", "The Status must be Enabled or Suspended.")
    call.state.versioning[call.bucket] = status
    return Reply(200, {}, b"")
