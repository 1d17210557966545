"""What the actions of COS share: a request, its errors, and XML as COS receives and sends it."""

from __future__ import annotations

import hashlib
import re
import xml.etree.ElementTree as ET
from base64 import b64encode
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from xml.sax.saxutils import escape

from scf_local.cloud.wire import CosError, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scf_local.cloud.seed import Object
    from scf_local.cloud.state import State
    from scf_local.cloud.wire import Request

    Members = dict[str, Any]

MAX_BYTES = 64 << 20
"""What is kept in memory of an object; PUT Object allows 5 GiB (document/product/436/7749)."""
MAX_XML = 8 << 20
"""assumed; enough for 1,000 keys to delete, or for 10,000 parts."""

_HOST = re.compile(
    r"(?P<bucket>[a-z0-9-]+-\d+)\.cos(-internal)?\.(?P<region>[a-z0-9-]+)"
    r"\.(myqcloud\.com|tencentcos\.cn)(:\d+)?"
)
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_STATUSES = dict.fromkeys(("NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion"), 404)
_STATUSES |= {"MethodNotAllowed": 405, "PreconditionFailed": 412, "InvalidRange": 416}
_STATUSES |= {"NotImplemented": 501}


def bucket_of(host: str) -> tuple[str, str] | None:
    """Return the bucket and region in a Host header, or None if it is not that of a bucket."""
    match = _HOST.fullmatch(host)
    return match and (match["bucket"], match["region"])


def error(code: str, message: str) -> CosError:
    """Return an error with its status (document/product/436/7730)."""
    return CosError(_STATUSES.get(code, 400), code, message)


@dataclass(frozen=True)
class CosCall:
    """A verified request for an existing bucket; its methods raise the `CosError` of bad input."""

    state: State
    bucket: str
    key: str
    http: Request
    now: float

    @property
    def objects(self) -> dict[str, Object]:
        """The objects of the bucket."""
        return self.state.objects[self.bucket]

    @property
    def encoding(self) -> dict[str, str]:
        """The member that says how the reply encodes keys, if it does."""
        encoding = self.http.params.get("encoding-type", "")
        if encoding not in {"", "url"}:
            raise error("InvalidArgument", f"encoding-type is {encoding!r}; it must be 'url'.")
        return {"EncodingType": encoding} if encoding else {}

    def encode(self, key: bytes) -> str:
        """Return a key as the reply has it; without an encoding, XML may not hold all of it."""
        return quote(key) if self.encoding else key.decode(errors="replace")

    def number(self, name: str, default: int | str = "") -> int:
        """Return a parameter that is a number."""
        text = str(self.http.params.get(name) or default)
        if not re.fullmatch("[0-9]{1,9}", text):
            raise error("InvalidArgument", f"{name} is {text!r}; it must be a number.")
        return int(text)

    def body(self, limit: int = MAX_BYTES) -> bytes:
        """Return the body, if it is complete and has the digest in Content-MD5."""
        body, given = self.http.body, self.http.headers.get("content-md5")
        if self.http.timed_out:
            raise error("RequestTimeout", "The body did not arrive in time.")
        if len(body) > limit:
            raise error("EntityTooLarge", f"The emulated cloud allows at most {limit} bytes.")
        if given is None:
            return body
        if not re.fullmatch("[A-Za-z0-9+/]{22}==", given):
            raise error("InvalidDigest", f"{given!r} is not an MD5 digest.")
        if given != b64encode(hashlib.md5(body).digest()).decode():
            raise error("BadDigest", "Content-MD5 does not match the body.")
        return body

    def xml(self) -> ET.Element:
        """Return the body as XML."""
        try:
            return ET.fromstring(self.body(MAX_XML))  # noqa: S314 - the request is signed
        except (ET.ParseError, ValueError, LookupError) as reason:  # or an unknown encoding
            raise error("MalformedXML", f"The body is not XML: {reason}.") from None


def xml_reply(root: str, members: Members, headers: Mapping[str, str] | None = None) -> Reply:
    """Return a reply with an XML document; a list is an element for each of its entries."""
    elements = [f"\t{element}\n" for item in members.items() if (element := _element(*item))]
    body = "".join(["\n", *elements] if elements else [])
    xml = f"<?xml version='1.0' encoding='utf-8' ?>\n<{root}>{body}</{root}>\n"
    return Reply(200, {"Content-Type": "application/xml", **(headers or {})}, xml.encode())


def _element(name: str, member: Members | list[Any] | str) -> str:
    if isinstance(member, list):
        return "".join(_element(name, entry) for entry in member)
    if isinstance(member, str):
        # XML allows few control characters, not even escaped, and parsers replace a bare \r.
        text = escape(_NOT_XML.sub("\ufffd", member), {"\r": "&#13;"})
    else:
        text = "".join(_element(*item) for item in member.items())
    return f"<{name}>{text}</{name}>"


def iso_time(seconds: float) -> str:
    """Return a time as XML has it."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")
