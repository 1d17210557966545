"""Events as SCF delivers them. Pure: the same arguments and clock give the same event."""

from __future__ import annotations

import base64
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from image_steward import regions
from image_steward.clock import utc
from scf_local.environment import NAME, REGION, check_region

SHAPES = ("2018", "2021")
COS_EVENT_NAMES = (
    *(f"cos:ObjectCreated:{kind}" for kind in
      ("*", "Put", "Post", "Copy", "Append", "CompleteMultipartUpload", "Origin", "Replication")),
    *(f"cos:ObjectRemove:{kind}" for kind in ("*", "Delete", "DeleteMarkerCreated")),
    *(f"cos:ObjectRestore:{kind}" for kind in ("Post", "Completed")),
)  # fmt: skip
"""document/product/583/9707; `Append` and the literal `*` are from other sources."""

_CODES = {region: code for code, region in reversed(regions.SHORT_CODES.items())}
TIMER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
MAX_MESSAGE_BYTES = 4096
_HEADERS = re.compile("cache-control|content-(disposition|encoding|language|type)|expires")


def cos_event(  # noqa: PLR0913 - the parts of an event
    bucket: str,
    key: str,
    *,
    region: str = REGION,
    shape: str = "2021",
    event_name: str = "cos:ObjectCreated:Put",
    body: bytes | None = None,
    etag: str = "",
    vid: str = "",
    meta: Mapping[str, str] | None = None,
    function_name: str = NAME,
    qualifier: str = "",
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """The event of an upload of `key` to `bucket` (the full name, `<bucket>-<appid>`).

    `shape` is `2018`, as documented (document/product/583/9707), or `2021`, as delivered since
    then: with `ETag`, `cosRegion` and `s3Region`, and `reqid` always 0.

    `body` is the object's content, which sets its size and ETag. `etag` replaces that of `body`,
    with quotes or without; `vid` is the version id. `meta` has headers that were uploaded with the
    object: standard ones, and others, which get the prefix `x-cos-meta-`.

    Raises:
        ValueError: the bucket, region, key or metadata is not valid.
    """
    import mimetypes  # noqa: PLC0415 - takes 10 ms, and other commands make no event

    from image_steward.settings import BUCKET  # noqa: PLC0415 - the same

    if not BUCKET.fullmatch(bucket):
        raise ValueError(
            f"{bucket!r} is not a full bucket name; use <bucket>-<appid> in lower case, such as "
            "manifests-1250000000"
        )
    check_region(region)
    try:
        path = quote(key)
    except UnicodeEncodeError:
        raise ValueError(f"key {key!r} is not UTF-8") from None
    if not key:
        raise ValueError("the key is empty; use the key of an object, such as requests/a.json")
    if (size := len(key.encode())) > 850:  # noqa: PLR2004 - document/product/436/13324
        raise ValueError(f"the key takes {size} bytes; COS allows 850")
    name, _, appid = bucket.rpartition("-")
    code = _CODES.get(region, region)
    now = int(clock())
    if body is not None and shape == "2021":
        etag = etag or hashlib.md5(body).hexdigest()
    upload = hashlib.md5(f"{path} {etag} {vid}".encode()).hexdigest()[:8]  # differs by record
    request_id = f"{now:08x}_{upload}_1521_278af3".encode()
    all_meta = {
        "x-cos-request-id": base64.b64encode(request_id).decode(),
        "Content-Type": mimetypes.MimeTypes().guess_type(path)[0] or "application/octet-stream",
    }
    if etag:  # without a body, that of a real event of 2021 is unknown
        all_meta["ETag"] = '"{}"'.format(etag.strip('"'))
    cos_bucket = {"region": code, "name": name, "appid": appid}
    queue_region, default, reqid = code, "$LATEST", 179398952
    if shape == "2021":
        all_meta["x-cos-storage-class"] = "STANDARD"
        cos_bucket |= {"cosRegion": region, "s3Region": region}
        queue_region, default, reqid = region, "$DEFAULT", 0
    cos = {
        "cosSchemaVersion": "1.0",
        "cosObject": {
            "url": f"http://{bucket}.cos.{region}.myqcloud.com/{path}",
            "meta": all_meta | _headers(meta or {}),
            "vid": vid,
            "key": f"/{appid}/{name}/{key}",
            "size": 1029 if body is None else len(body),
        },
        "cosBucket": cos_bucket,
        "cosNotificationId": "unkown",  # SCF's spelling
    }
    queue = f"qcs:0:scf:{queue_region}:appid/{appid}:default.{function_name}.{qualifier or default}"
    signed = {"Authorization": _authorization(now)}
    event = {
        "eventName": event_name,
        "eventVersion": "1.0",
        "eventTime": now,
        "eventSource": "qcs::cos",
        "requestParameters": {"requestSourceIP": "192.0.2.1", "requestHeaders": signed},
        "eventQueue": queue,
        "reservedInfo": "",
        "reqid": reqid,
    }
    return {"Records": [{"cos": cos, "event": event}]}


def timer_event(
    message: str = "", *, name: str = "EveryDay", clock: Callable[[], float] = time.time
) -> dict[str, str]:
    """The event of a timer whose argument is `message` (document/product/583/9708).

    Raises:
        ValueError: SCF does not accept the name, or the message is too long for it.
    """
    if not TIMER_NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} is not a timer name; it must be a letter followed by up to 59 "
            "letters, digits, _ or -"
        )
    size = len(message.encode("utf-8", "surrogatepass"))
    if size > MAX_MESSAGE_BYTES:
        raise ValueError(
            f"the message takes {size} bytes; SCF allows {MAX_MESSAGE_BYTES}. Upload the "
            'document and point to it: {"Document": "cos://<bucket>-<appid>/<key>"}'
        )
    time_text = utc(clock() // 60 * 60)
    return {"Type": "Timer", "TriggerName": name, "Time": time_text, "Message": message}


def _headers(meta: Mapping[str, str]) -> dict[str, str]:
    """The headers of an object, by the names that they have in an event.

    COS makes the names of metadata lower-case (document/product/436/13361).
    """
    headers = {}
    for name, value in meta.items():
        lower = name.lower()
        if not re.fullmatch("[a-z0-9-]*[a-z0-9]=[ -~]*", f"{lower}={value}"):
            raise ValueError(
                f"{name[:80]!r}={value[:80]!r} is not metadata; the name must be letters, digits "
                "and -, the value printable ASCII"
            )
        prefix = "" if lower.startswith("x-cos-") else "x-cos-meta-"
        headers[lower.title() if _HEADERS.fullmatch(lower) else prefix + lower] = value
    return headers


def _authorization(now: int) -> str:
    """The uploader's signature: real events carry one, and it must not be logged."""
    key_time = f"{now};{now + 3600}"
    return (
        f"q-sign-algorithm=sha1&q-ak=AKIDuploader00000000000000000EXAMPLE&q-sign-time={key_time}&q-key-time={key_time}"
        "&q-header-list=host&q-url-param-list=&q-signature=" + "0123456789abcdef" * 2 + "01234567"
    )
