"""What the actions of COS share: a request, and XML as COS receives and sends it."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import cached_property
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from scf_local.cloud.cam.model import Caller
from scf_local.cloud.seed import Object
from scf_local.cloud.state import Bucket, State
from scf_local.cloud.wire import ErrorReply, Reply, Request, require

MAX_BYTES = 64 << 20
"""What is kept in memory of an object; PUT Object allows 5 GiB (document/product/436/7749)."""
BODY_LIMITS = {"PUT": MAX_BYTES, "POST": 8 << 20}
"""By method; other requests are answered without their body. Assumed: that of POST."""
MAX_ENTRIES = 1000
"""Of a listing, or of a body."""

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Change:
    """What was done to an object: `event` is such as `cos:ObjectCreated:Put`.

    `version` is what was stored or deleted.
    """

    event: str
    key: str
    version: Object


@dataclass(frozen=True)
class CosCall:
    """A verified request for a bucket in a region; its methods raise `ErrorReply` for bad input.

    `changes` are those that the action has made; events tell of them.
    """

    state: State
    bucket: str
    region: str
    http: Request
    now: float
    caller: Caller
    changes: list[Change] = field(default_factory=list)

    @property
    def key(self) -> str:
        """The key of the object that it is for, or nothing."""
        return self.http.path.removeprefix("/")

    @property
    def objects(self) -> dict[str, Object]:
        """The objects of the bucket, which exists, by key."""
        return self.state.objects[self.bucket]

    @property
    def settings(self) -> Bucket:
        """What the bucket has besides objects."""
        return self.state.buckets[self.bucket]

    def encode(self, key: bytes) -> str:
        """Return a key as the reply has it; without an encoding, XML may not hold all of it."""
        return quote(key) if "encoding-type" in self.http.params else key.decode(errors="replace")

    @property
    def body(self) -> bytes:
        """The body, which is complete and has the digest in Content-MD5."""
        body, limit = self.http.body, BODY_LIMITS[self.http.method]
        require(not self.http.timed_out, "RequestTimeout", "The body did not arrive in time.")
        check_size(len(body), limit)
        digest = b64encode(hashlib.md5(body).digest()).decode()
        given = self.http.headers.get("content-md5", digest)
        message = f"Content-MD5 is {given!r}; the body's is {digest!r}."
        require(given == digest, "BadDigest", message)
        return body

    @cached_property
    def xml(self) -> ET.Element:
        """The body as XML."""
        try:
            return ET.fromstring(self.body)  # noqa: S314 - the request is signed
        except (ET.ParseError, ValueError, LookupError) as reason:  # or an unknown encoding
            raise ErrorReply("MalformedXML", f"The body is not XML: {reason}.") from None

    def entries(self, element: str, *members: str) -> list[tuple[str, ...]]:
        """Return the members of each such element in the body; the first one is required."""
        found = self.xml.findall(f"{{*}}{element}")
        rows = [tuple(each.findtext(f"{{*}}{name}", "") for name in members) for each in found]
        is_complete = 1 <= len(rows) <= MAX_ENTRIES and all(row[0] for row in rows)
        message = f"{element} with {members[0]}: 1 to {MAX_ENTRIES} are required."
        require(is_complete, "MalformedXML", message)
        return rows


def check_size(size: int, limit: int) -> None:
    """Reject what is larger than the emulated cloud keeps."""
    message = f"The emulated cloud allows at most {limit} bytes."
    require(size <= limit, "EntityTooLarge", message)


def xml_reply(
    root: str, members: dict[str, Any], headers: Mapping[str, str] | None = None, status: int = 200
) -> Reply:
    """Return a reply with an XML document; a list is several elements, and None is none."""
    xml = f"<?xml version='1.0' encoding='utf-8' ?>\n{_element(root, members)}"
    return Reply(status, {"Content-Type": "application/xml", **(headers or {})}, xml.encode())


def _element(name: str, member: dict[str, Any] | list[Any] | str | None) -> str:
    """Return an element as XML; attributes may follow its name."""
    if member is None:
        return ""
    if isinstance(member, list):
        return "".join(_element(name, entry) for entry in member)
    if isinstance(member, dict):
        text = "".join(_element(*item) for item in member.items())
    else:
        # XML allows few control characters, not even escaped, and parsers replace a bare \r.
        text = escape(_NOT_XML.sub("\ufffd", member), {"\r": "&#13;"})
    return f"<{name}>{text}</{name.partition(' ')[0]}>"


def resource_of(bucket: str, region: str, key: str) -> str:
    """Return an object as CAM's policies name it; with an empty key, the bucket."""
    return f"qcs::cos:{region}:uid/{bucket.rpartition('-')[2]}:{bucket}/{key}"


def iso_time(seconds: float) -> str:
    """Return a time as XML has it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
