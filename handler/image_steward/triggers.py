"""From an event to where its documents are. Pure; nothing is fetched here."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from image_steward import regions
from image_steward.errors import InvalidEvent, Rejection
from image_steward.settings import BUCKET

_CREATED = "cos:ObjectCreated:"
_URL_REGION = re.compile(r"https?://[^/]*?\.?cos\.?([a-z0-9-]+)\.myqcloud\.com(?:[:/]|$)")


@dataclass(frozen=True)
class CosObject:
    """An object that holds a document. `bucket` is the full name, `<bucket>-<appid>`."""

    bucket: str
    key: str
    region: str

    @property
    def source(self) -> str:
        """How results and log lines name it."""
        return f"cos://{self.bucket}/{self.key}"


@dataclass(frozen=True)
class Inline:
    """A document that the event carries itself."""

    source: str
    data: bytes


@dataclass(frozen=True)
class Ignored:
    """A part of an event that is none of our business, and why."""

    source: str
    reason: str


@dataclass(frozen=True)
class Refused:
    """A part of an event that cannot be read; the other parts can."""

    source: str
    error: Rejection


@dataclass(frozen=True)
class Trigger:
    """What an event asks for. `kind` is `cos`, `timer` or `direct`."""

    kind: str
    parts: tuple[CosObject | Inline | Ignored | Refused, ...]


def read(event: object, *, region: str) -> Trigger:
    """Recognise an event. `region` is the function's own, the last resort for COS events.

    Shapes: document/product/583/9707 (COS), 583/9708 (timer).

    Raises:
        InvalidEvent: it is none of the three kinds.
    """
    if not isinstance(event, dict):
        raise InvalidEvent(
            f"the event is {_name(event)}; allowed is a JSON object: a COS event (Records), "
            'a timer event (Type "Timer") or a document itself'
        )
    if "Records" in event:
        return Trigger("cos", tuple(_records(event["Records"], region)))
    if event.get("Type") == "Timer":
        return Trigger("timer", (_timer(event),))
    try:
        data = json.dumps(event).encode()
    except (TypeError, ValueError, RecursionError):
        raise InvalidEvent("the event holds what JSON cannot, or is nested too deep") from None
    return Trigger("direct", (Inline("direct", data),))


def _timer(event: dict[str, Any]) -> Inline | Refused:
    source = f"timer:{str(event.get('TriggerName', ''))[:60]}"
    message = event.get("Message")
    if not isinstance(message, str):
        error = InvalidEvent(f"Message of the timer event is {_name(message)}; a text is needed")
        return Refused(source, error)
    return Inline(source, message.encode("utf-8", "surrogatepass"))


def _records(records: object, region: str) -> list[CosObject | Ignored | Refused]:
    if not isinstance(records, list) or not records:
        given = "empty" if records == [] else _name(records)
        raise InvalidEvent(f"Records is {given}; a list with at least one record is needed")
    return [_part(f"Records/{i}", record, region) for i, record in enumerate(records)]


def _part(place: str, record: object, region: str) -> CosObject | Ignored | Refused:
    try:
        return _record(record, region)
    except InvalidEvent as error:
        return Refused(place, error)


def _record(record: object, region: str) -> CosObject | Ignored:
    cos = _member(record, "cos", "the record")
    event_name = _member(record, "event", "the record").get("eventName")
    if not isinstance(event_name, str):
        raise InvalidEvent(f"event.eventName is {_name(event_name)}; a text is needed")
    bucket, appid = _bucket(_member(cos, "cosBucket", "cos"))
    cos_object = _member(cos, "cosObject", "cos")
    raw = cos_object.get("key")
    if not isinstance(raw, str) or not raw.strip("/"):
        raise InvalidEvent(f"cos.cosObject.key is {_name(raw)}; the name of an object is needed")
    found = CosObject(bucket, _key(raw, bucket, appid), _region(cos, region))
    kind = "".join(event_name.split())  # an old template has a stray blank after "cos:"
    if not kind.startswith(_CREATED):
        return Ignored(found.source, f"event {kind[:60]} creates no object")
    if found.key.endswith("/"):
        return Ignored(found.source, "the key ends with / and marks a folder")
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
    for name in (bucket.removesuffix(f"-{appid}"), bucket):
        prefix = f"/{appid}/{name}/"
        if raw.startswith(prefix) and raw != prefix:
            return raw.removeprefix(prefix)
    return raw.removeprefix("/")  # the oldest template: /HappyFace.png


def _region(cos: dict[str, Any], own: str) -> str:
    bucket = cos["cosBucket"]
    url = _URL_REGION.match(str(cos["cosObject"].get("url", "")))
    for given in (bucket.get("s3Region"), bucket.get("cosRegion")):
        if regions.is_region(given):
            return str(given)
    found = regions.from_code(bucket.get("region")) or (url and regions.from_code(url[1])) or own
    if not found:
        raise InvalidEvent("the bucket's region stands neither in the event nor in the context")
    return found


def _name(value: object) -> str:
    """A value as a message names it: never its content, which may be anything."""
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number",
             str: "a text", list: "a list", dict: "an object"}  # fmt: skip
    if value == "":
        return "empty"
    return names.get(type(value), type(value).__name__)
