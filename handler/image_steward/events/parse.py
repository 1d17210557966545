"""From an event to its parts and their sources. Pure; fetches nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from image_steward import regions
from image_steward.errors import InvalidEvent, Rejection
from image_steward.messages import short
from image_steward.model import CosObject
from image_steward.settings import BUCKET
from image_steward.strict_json import is_text, kind_of

_MAX_HOST = 253
_MAX_NUMBER = 10**20
_CREATED = "cos:ObjectCreated:"
_MAX_IP = 45
_MAX_KEY = 3000  # COS allows 850 bytes, here perhaps URL-encoded
_MIN_KEY_ID = 20
_MAX_TOKEN = 1024
_COS_HOST = re.compile(r"cos\.?([a-z0-9-]+)\.myqcloud\.com")


class InlineDocument(NamedTuple):
    """A document inside the event itself."""

    source: str
    data: bytes


class IgnoredPart(NamedTuple):
    """A part of an event that is not for this function, and why."""

    source: str
    reason: str


class RejectedPart(NamedTuple):
    """An invalid part of an event; the other parts are processed."""

    source: str
    error: Rejection


Part: TypeAlias = "CosObject | InlineDocument | IgnoredPart | RejectedPart"


class Event(NamedTuple):
    """A parsed event: the name of its trigger, and its independent parts."""

    trigger: str
    parts: list[Part]


class Trigger(NamedTuple):
    """A kind of event: `matches(event)`, and `parts(event, region)` with the function's region."""

    name: str
    matches: Callable[[dict[str, Any]], bool]
    parts: Callable[[dict[str, Any], str], list[Part]]


def parse(event: object, *, region: str) -> Event:
    """Parse an event. `region` is the function's own, the fallback for COS events without one.

    Raises:
        InvalidEvent: the event matches no trigger.
    """
    if not isinstance(event, dict):
        raise InvalidEvent(
            f"the event is {kind_of(event)}; must be a JSON object: a COS event (Records), "
            'a timer event (Type "Timer") or a document'
        )
    trigger = next(trigger for trigger in TRIGGERS if trigger.matches(event))
    return Event(trigger.name, trigger.parts(event, region))


def _direct(event: dict[str, Any], _region: str) -> list[Part]:
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise InvalidEvent("the event is not valid JSON, or is nested too deeply") from None
    return [InlineDocument("direct", text.encode("utf-8", "surrogatepass"))]


def _eventbridge(_event: dict[str, Any], _region: str) -> list[Part]:
    raise InvalidEvent("the event is one of EventBridge, which the function does not read yet")


def _timer(event: dict[str, Any], _region: str) -> list[Part]:
    source = f"timer:{_text(event.get('TriggerName'))[:60]}"
    text = event.get("Message")
    if not isinstance(text, str):
        error = InvalidEvent(f"Message of the timer event is {_kind(text)}; must be a string")
        return [RejectedPart(source, error)]
    return [InlineDocument(source, text.encode("utf-8", "surrogatepass"))]


def _records(event: dict[str, Any], region: str) -> list[Part]:
    records = event["Records"]
    if not isinstance(records, list) or not records:
        given = "empty" if records == [] else kind_of(records)
        raise InvalidEvent(f"Records is {given}; must be an array of at least one record")
    return [_part(f"Records/{i}", record, region) for i, record in enumerate(records)]


def _part(source: str, record: object, region: str) -> Part:
    try:
        return _parse_record(source, record, region)
    except InvalidEvent as error:
        return RejectedPart(source, error)


def _parse_record(source: str, record: Any, region: str) -> CosObject | IgnoredPart:  # noqa: ANN401 - any JSON value
    event_name = _member(record, "event", "the record").get("eventName")
    if not isinstance(event_name, str):
        raise InvalidEvent(f"event.eventName is {_kind(event_name)}; must be a string")
    event_name = "".join(event_name.split())  # an old template has a space after "cos:"
    if not event_name.startswith(_CREATED):
        return IgnoredPart(source, f"event {event_name[:60]} does not create an object")
    cos = _member(record, "cos", "the record")
    bucket, appid = _bucket(_member(cos, "cosBucket", "cos"))
    key = _member(cos, "cosObject", "cos").get("key")
    if not isinstance(key, str) or not key.strip("/") or not is_text(key) or len(key) > _MAX_KEY:
        given = short(key) if isinstance(key, str) else _kind(key)
        raise InvalidEvent(f"cos.cosObject.key is {given}; must be the key of an object")
    cos_object = CosObject(
        bucket,
        _key(key, bucket, appid),
        _region(cos, region),
        version_id=_token(cos["cosObject"].get("vid")),
        etag=_token(_members(cos["cosObject"].get("meta")).get("ETag")).strip('"'),
        uploader=_uploader(_members(record["event"].get("requestParameters"))),
    )
    if cos_object.key.endswith("/"):
        return IgnoredPart(cos_object.source, "the key ends with /: the object is a folder marker")
    return cos_object


def _member(value: object, name: str, parent: str) -> dict[str, Any]:
    member = value.get(name) if isinstance(value, dict) else None
    if not isinstance(member, dict):
        raise InvalidEvent(f'not a COS event: "{name}" of {parent} must be an object')
    return member


def _members(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _token(value: object) -> str:
    """A string of printable ASCII without blanks, as it may be in a header; else empty."""
    text = value[:_MAX_TOKEN] if isinstance(value, str) else ""
    return text if text.isascii() and text.isprintable() and " " not in text else ""


def _uploader(request: dict[str, Any]) -> dict[str, str]:
    """Who uploaded an object: the IP address, and both ends of the key id in the signature."""
    signature = _token(_members(request.get("requestHeaders")).get("Authorization"))
    key_id = f"&{signature}".partition("&q-ak=")[2].partition("&")[0]
    fields = {
        "UploaderIp": _token(request.get("requestSourceIP"))[:_MAX_IP],
        "UploaderKeyId": f"{key_id[:8]}…{key_id[-4:]}" if len(key_id) >= _MIN_KEY_ID else "",
    }
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
    match = _COS_HOST.search(host[-_MAX_HOST:])
    return regions.from_code(match[1]) if match and host.endswith(match[0]) else None


TRIGGERS = (
    Trigger("cos", lambda event: "Records" in event, _records),  # document/product/583/9707
    Trigger("timer", lambda event: event.get("Type") == "Timer", _timer),  # 583/9708
    Trigger(  # document/product/1359
        "eventbridge",
        lambda event: "EventList" in event or {"specversion", "data"} <= event.keys(),
        _eventbridge,
    ),
    Trigger("direct", lambda _: True, _direct),
)
"""The first match counts."""
