"""From an event to its parts and their sources. Pure; fetches nothing."""

import json
import re
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from image_steward import regions
from image_steward.errors import Ignored, InvalidEvent, StewardError
from image_steward.messages import short
from image_steward.model import CosObject
from image_steward.settings import BUCKET
from image_steward.strict_json import is_text, kind_of

_MAX_NUMBER = 10**20
_MAX_KEY = 3000  # COS allows 850 bytes, here perhaps URL-encoded
_MIN_KEY_ID = 20


class Part(NamedTuple):
    """A part of an event; the others do not depend on it."""

    source: str
    content: list[CosObject] | bytes | StewardError
    """The object that holds a document, by all keys that may be meant; or the document itself.

    Or why it is not processed: `Ignored`, or a `Rejection`.
    """


def parse(event: object, *, region: str) -> tuple[str, list[Part]]:
    """The trigger of an event, and its parts.

    `region` is the function's own, the fallback for COS events without one.

    Raises:
        InvalidEvent: the event matches no trigger.
    """
    if not isinstance(event, dict):
        allowed = 'a COS event (Records), a timer event (Type "Timer") or a document'
        raise InvalidEvent(f"the event is {kind_of(event)}; must be a JSON object: {allowed}")
    if "Records" in event:  # document/product/583/9707
        records = event["Records"]
        if not isinstance(records, list) or not records:
            given = "empty" if records == [] else kind_of(records)
            raise InvalidEvent(f"Records is {given}; must be an array of at least one record")
        return "cos", [_part(f"Records/{i}", record, region) for i, record in enumerate(records)]
    if event.get("Type") == "Timer":  # document/product/583/9708
        return "timer", [_timer(event)]
    if "EventList" in event or {"specversion", "data"} <= event.keys():  # document/product/1359
        raise InvalidEvent("the event is one of EventBridge, which the function does not read yet")
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise InvalidEvent("the event is not valid JSON, or is nested too deeply") from None
    return "direct", [Part("direct", text.encode("utf-8", "surrogatepass"))]


def _timer(event: dict[str, Any]) -> Part:
    source = f"timer:{_text(event.get('TriggerName'))[:60]}"
    text = event.get("Message")
    if not isinstance(text, str):
        message = f"Message of the timer event is {_kind(text)}; must be a string"
        return Part(source, InvalidEvent(message))
    return Part(source, text.encode("utf-8", "surrogatepass"))


def _part(source: str, record: object, region: str) -> Part:
    try:
        cos_object = _parse_record(record, region)
    except (InvalidEvent, Ignored) as error:
        # Its frames hold the part: garbage that takes a tenth of the time for such an event.
        return Part(source, error.with_traceback(None))
    if cos_object.key.endswith("/"):
        marker = Ignored("the key ends with /: the object is a folder marker")
        return Part(cos_object.source, marker)
    objects, decoded = [cos_object], unquote(cos_object.key)  # the encoding is undocumented
    is_key = decoded and not decoded.endswith("/") and "\ufffd" not in decoded
    if is_key and decoded != cos_object.key:
        objects.append(cos_object._replace(key=decoded))
    return Part(cos_object.source, objects)


def _parse_record(record: Any, region: str) -> CosObject:  # noqa: ANN401 - any JSON value
    event_name = _member(record, "event", "the record").get("eventName")
    if not isinstance(event_name, str):
        raise InvalidEvent(f"event.eventName is {_kind(event_name)}; must be a string")
    event_name = "".join(event_name.split())  # an old template has a space after "cos:"
    if not event_name.startswith("cos:ObjectCreated:"):
        raise Ignored(f"event {event_name[:60]} does not create an object")
    cos = _member(record, "cos", "the record")
    bucket, appid = _bucket(_member(cos, "cosBucket", "cos"))
    cos_object = _member(cos, "cosObject", "cos")
    key = cos_object.get("key")
    if not isinstance(key, str) or not key.strip("/") or not is_text(key) or len(key) > _MAX_KEY:
        given = short(key) if isinstance(key, str) else _kind(key)
        raise InvalidEvent(f"cos.cosObject.key is {given}; must be the key of an object")
    key, region = _key(key, bucket, appid), _region(cos, region)
    version_id = _token(cos_object.get("vid"))
    etag = _token(_members(cos_object.get("meta")).get("ETag")).strip('"')
    uploader = _uploader(_members(record["event"].get("requestParameters")))
    return CosObject(bucket, key, region, version_id, etag, uploader)


def _member(value: object, name: str, parent: str) -> dict[str, Any]:
    member = value.get(name) if isinstance(value, dict) else None
    if not isinstance(member, dict):
        raise InvalidEvent(f'not a COS event: "{name}" of {parent} must be an object')
    return member


def _members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _token(value: object) -> str:
    """A string of printable ASCII without blanks, as it may be in a header; else empty."""
    text = value[:1024] if isinstance(value, str) else ""
    return text if text.isascii() and text.isprintable() and " " not in text else ""


def _uploader(request: dict[str, Any]) -> dict[str, str]:
    """Who uploaded an object: the IP address, and both ends of the key id in the signature."""
    signature = _token(_members(request.get("requestHeaders")).get("Authorization"))
    key_id = f"&{signature}".partition("&q-ak=")[2].partition("&")[0]
    ends = f"{key_id[:8]}…{key_id[-4:]}" if len(key_id) >= _MIN_KEY_ID else ""
    fields = {"UploaderIp": _token(request.get("requestSourceIP"))[:45], "UploaderKeyId": ends}
    return {name: value for name, value in fields.items() if value}


def _text(value: object) -> str:
    """A string, or a number (an appid may be one), as a string; anything else is empty."""
    if isinstance(value, int) and abs(value) < _MAX_NUMBER:
        return str(value)
    return value if isinstance(value, str) else ""


def _kind(value: object) -> str:
    return "missing" if value is None else kind_of(value)


def _bucket(bucket: dict[str, Any]) -> tuple[str, str]:
    """The full name of the bucket, and the appid."""
    name, appid = _text(bucket.get("name")), _text(bucket.get("appid"))
    full = name if appid and name.endswith(f"-{appid}") else f"{name}-{appid}"
    if not BUCKET.fullmatch(full):
        raise InvalidEvent(f"cosBucket is {short(full)}; must be <bucket>-<appid> in lower case")
    return full, appid


def _key(key: str, bucket: str, appid: str) -> str:
    """The object key: the event's without one leading `/<appid>/<bucket>/`."""
    name = bucket.removesuffix(f"-{appid}")
    match = re.fullmatch(rf"(?s:/{appid}/(?:{name}|{bucket})/(.+))", key)
    return match[1] if match else key.removeprefix("/")  # the oldest template: /HappyFace.png


def _region(cos: dict[str, Any], own: str) -> str:
    bucket = cos["cosBucket"]
    full_names = filter(regions.is_region, (bucket.get("s3Region"), bucket.get("cosRegion")))
    short_name = regions.from_code(bucket.get("region"))
    region = next(full_names, None) or short_name or _url_region(cos["cosObject"]) or own
    if not region:
        raise InvalidEvent("the bucket's region is neither in the event nor in the context")
    return region


def _url_region(cos_object: dict[str, Any]) -> str | None:
    try:
        host = urlsplit(_text(cos_object.get("url"))).hostname or ""
    except ValueError:
        return None
    match = re.search(r"cos\.?([a-z0-9-]+)\.myqcloud\.com", host[-253:])  # the longest host
    return regions.from_code(match[1]) if match and host.endswith(match[0]) else None
