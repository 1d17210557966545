"""Events as SCF delivers them. Pure: the same arguments and clock give the same event."""

from __future__ import annotations

import base64
import re
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from image_steward import regions

if TYPE_CHECKING:
    from collections.abc import Callable

SHAPES = ("2018", "2021")
COS_EVENT_NAMES = (
    *(f"cos:ObjectCreated:{kind}" for kind in
      ("*", "Put", "Post", "Copy", "Append", "CompleteMultipartUpload", "Origin", "Replication")),
    *(f"cos:ObjectRemove:{kind}" for kind in ("*", "Delete", "DeleteMarkerCreated")),
    *(f"cos:ObjectRestore:{kind}" for kind in ("Post", "Completed")),
)  # fmt: skip
"""document/product/583/9707; `Append` and the literal `*` are from other sources."""

_CODES = {region: code for code, region in reversed(regions.SHORT_CODES.items())}
_TIMER_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}")
_MAX_MESSAGE_BYTES = 4096


def cos_event(  # noqa: PLR0913 - the parts of an event
    bucket: str,
    key: str,
    *,
    region: str = "ap-guangzhou",
    shape: str = "2021",
    event_name: str = "cos:ObjectCreated:Put",
    version_id: str = "",
    etag: str = "",
    clock: Callable[[], float] = time.time,
) -> dict[str, Any]:
    """The event of an upload of `key` to `bucket` (the full name, `<bucket>-<appid>`).

    `shape` is `2018`, as documented (document/product/583/9707), or `2021`, as delivered since
    then: with `cosRegion` and `s3Region`, and `reqid` always 0. `etag` may have quotes.

    Raises:
        ValueError: the bucket, region or key is not valid.
    """
    from image_steward.settings import BUCKET  # noqa: PLC0415 - takes 10 ms, and other commands make no event

    if not BUCKET.fullmatch(bucket):
        raise ValueError(
            f"{bucket!r} is not a full bucket name; use <bucket>-<appid> in lower case, such as "
            "manifests-1250000000"
        )
    if not regions.is_region(region):
        raise ValueError(f"{region!r} is not a region; use a full name, such as ap-guangzhou")
    try:
        path = quote(key)
    except UnicodeEncodeError:
        raise ValueError(f"key {key!r} is not UTF-8") from None
    if not key:
        raise ValueError("the key is empty; use the key of an object, such as requests/a.json")
    name, _, appid = bucket.rpartition("-")
    code = _CODES.get(region, region)
    now = int(clock())
    meta = {
        "x-cos-request-id": base64.b64encode(f"{now:08x}_25b25864_1521_278af3".encode()).decode(),
        "Content-Type": "application/json",
    }
    if etag:  # a real event of 2021 has one, but here the content is unknown
        meta["ETag"] = '"{}"'.format(etag.strip('"'))
    cos_bucket = {"region": code, "name": name, "appid": appid}
    queue_region, qualifier, reqid = code, "$LATEST", 179398952
    if shape == "2021":
        meta["x-cos-storage-class"] = "STANDARD"
        cos_bucket |= {"cosRegion": region, "s3Region": region}
        queue_region, qualifier, reqid = region, "$DEFAULT", 0
    cos = {
        "cosSchemaVersion": "1.0",
        "cosObject": {
            "url": f"http://{bucket}.cos.{region}.myqcloud.com/{path}",
            "meta": meta,
            "vid": version_id,
            "key": f"/{appid}/{name}/{key}",
            "size": 1029,
        },
        "cosBucket": cos_bucket,
        "cosNotificationId": "unkown",  # SCF's spelling
    }
    queue = f"qcs:0:scf:{queue_region}:appid/{appid}:default.image-steward.{qualifier}"
    event = {
        "eventName": event_name,
        "eventVersion": "1.0",
        "eventTime": now,
        "eventSource": "qcs::cos",
        "requestParameters": {
            "requestSourceIP": "192.0.2.1",
            "requestHeaders": {"Authorization": _authorization(now)},
        },
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
    if not _TIMER_NAME.fullmatch(name):
        raise ValueError(
            f"{name[:80]!r} is not a timer name; it must be a letter followed by up to 59 "
            "letters, digits, _ or -"
        )
    size = len(message.encode("utf-8", "surrogatepass"))
    if size > _MAX_MESSAGE_BYTES:
        raise ValueError(
            f"the message takes {size} bytes; SCF allows {_MAX_MESSAGE_BYTES}. Upload the "
            'document and point to it: {"Document": "cos://<bucket>-<appid>/<key>"}'
        )
    fired = datetime.fromtimestamp(clock() // 60 * 60, timezone.utc)
    return {
        "Type": "Timer",
        "TriggerName": name,
        "Time": fired.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Message": message,
    }


def _authorization(now: int) -> str:
    """The uploader's signature: real events carry one, and it must not be logged."""
    key_time = f"{now};{now + 3600}"
    return (
        f"q-sign-algorithm=sha1&q-ak=AKIDuploader00000000000000000EXAMPLE&q-sign-time={key_time}&q-key-time={key_time}"
        "&q-header-list=host&q-url-param-list=&q-signature=" + "0123456789abcdef" * 2 + "01234567"
    )
