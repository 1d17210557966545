"""From an event to where its documents are. Pure; nothing is fetched here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias
from urllib.parse import urlsplit

from image_steward import regions
from image_steward.errors import InvalidEvent, Rejection
from image_steward.model import CosObject
from image_steward.settings import BUCKET
from image_steward.strict_json import is_text, kind_of

_HOST_LENGTH = 253
_CREATED = "cos:ObjectCreated:"
_HOST_REGION = re.compile(r"cos\.?([a-z0-9-]+)\.myqcloud\.com")


class InlineDocument(NamedTuple):
    """A document that the event carries itself."""

    source: str
    data: bytes


class IgnoredPart(NamedTuple):
    """A part of an event that is none of our business, and why."""

    source: str
    reason: str


class RejectedPart(NamedTuple):
    """A part of an event that cannot be read; the other parts can."""

    source: str
    error: Rejection


Part: TypeAlias = "CosObject | InlineDocument | IgnoredPart | RejectedPart"


class Event(NamedTuple):
    """What an event asks for: its trigger's name, and its parts, each on its own."""

    trigger: str
    parts: list[Part]


class Trigger(NamedTuple):
    """What fires the function: `fired` knows its events, `parts` takes one apart.

    `parts` gets the function's own region, too.
    """

    name: str
    fired: Callable[[dict[str, Any]], bool]
    parts: Callable[[dict[str, Any], str], list[Part]]


def parse(event: object, *, region: str) -> Event:
    """Recognise an event. `region` is the function's own, the last resort for COS events.

    Raises:
        InvalidEvent: it is an event of no trigger.
    """
    if not isinstance(event, dict):
        raise InvalidEvent(
            f"the event is {kind_of(event)}; allowed is a JSON object: a COS event (Records), "
            'a timer event (Type "Timer") or a document itself'
        )
    trigger = next(trigger for trigger in TRIGGERS if trigger.fired(event))
    return Event(trigger.name, trigger.parts(event, region))


def _direct(event: dict[str, Any], _region: str) -> list[Part]:
    try:
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise InvalidEvent("the event holds what JSON cannot, or is nested too deep") from None
    return [InlineDocument("direct", text.encode("utf-8", "surrogatepass"))]


def _timer(event: dict[str, Any], _region: str) -> list[Part]:
    source = f"timer:{str(event.get('TriggerName', ''))[:60]}"
    message = event.get("Message")
    if not isinstance(message, str):
        text = f"Message of the timer event is {kind_of(message)}; a string is needed"
        return [RejectedPart(source, InvalidEvent(text))]
    return [InlineDocument(source, message.encode("utf-8", "surrogatepass"))]


def _records(event: dict[str, Any], region: str) -> list[Part]:
    records = event["Records"]
    if not isinstance(records, list) or not records:
        given = "empty" if records == [] else kind_of(records)
        raise InvalidEvent(f"Records is {given}; a list with at least one record is needed")
    return [_part(f"Records/{i}", record, region) for i, record in enumerate(records)]


def _part(place: str, record: object, region: str) -> Part:
    try:
        return _record(place, record, region)
    except InvalidEvent as error:
        return RejectedPart(place, error)


def _record(place: str, record: object, region: str) -> CosObject | IgnoredPart:
    event_name = _member(record, "event", "the record").get("eventName")
    if not isinstance(event_name, str):
        raise InvalidEvent(f"event.eventName is {kind_of(event_name)}; a string is needed")
    kind = "".join(event_name.split())  # an old template has a stray blank after "cos:"
    if not kind.startswith(_CREATED):
        return IgnoredPart(place, f"event {kind[:60]} creates no object")
    cos = _member(record, "cos", "the record")
    bucket, appid = _bucket(_member(cos, "cosBucket", "cos"))
    raw = _member(cos, "cosObject", "cos").get("key")
    if not isinstance(raw, str) or not raw.strip("/") or not is_text(raw):
        raise InvalidEvent("cos.cosObject.key is not the name of an object")
    found = CosObject(bucket, _key(raw, bucket, appid), _region(cos, region))
    if found.key.endswith("/"):
        return IgnoredPart(found.source, "the key ends with / and marks a folder")
    return found


def _member(value: object, name: str, where: str) -> dict[str, Any]:
    member = value.get(name) if isinstance(value, dict) else None
    if not isinstance(member, dict):
        raise InvalidEvent(f"{where} has no object {name!r}: this is no COS event")
    return member


def _bucket(bucket: dict[str, Any]) -> tuple[str, str]:
    name, appid = str(bucket.get("name", "")), str(bucket.get("appid", ""))
    full = name if appid and name.endswith(f"-{appid}") else f"{name}-{appid}"
    if not BUCKET.fullmatch(full):
        raise InvalidEvent(
            f"cosBucket names {full[:80]!r}; a name in lower case and an appid are needed"
        )
    return full, appid


def _key(raw: str, bucket: str, appid: str) -> str:
    """The object key: the event's, less `/<appid>/<bucket>/` once and only at the start."""
    name = bucket.removesuffix(f"-{appid}")
    found = re.fullmatch(rf"(?s:/{appid}/(?:{name}|{bucket})/(.+))", raw)
    return found[1] if found else raw.removeprefix("/")  # the oldest template: /HappyFace.png


def _region(cos: dict[str, Any], own: str) -> str:
    bucket = cos["cosBucket"]
    named = filter(regions.is_region, (bucket.get("s3Region"), bucket.get("cosRegion")))
    coded = regions.from_code(bucket.get("region"))
    found = next(named, None) or coded or _url_region(cos["cosObject"]) or own
    if not found:
        raise InvalidEvent("the bucket's region stands neither in the event nor in the context")
    return found


def _url_region(cos_object: dict[str, Any]) -> str | None:
    try:
        host = urlsplit(str(cos_object.get("url", ""))).hostname or ""
    except ValueError:
        return None
    label = _HOST_REGION.search(host[-_HOST_LENGTH:])
    return regions.from_code(label[1]) if label and host.endswith(label[0]) else None


TRIGGERS = (
    Trigger("cos", lambda event: "Records" in event, _records),  # document/product/583/9707
    Trigger("timer", lambda event: event.get("Type") == "Timer", _timer),  # 583/9708
    Trigger("direct", lambda _: True, _direct),
)
"""The first that an event fits has fired."""
