"""From one part of an event to the bytes of its document, if its source is allowed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeAlias
from urllib.parse import unquote

from image_steward.errors import DocumentTooLarge, ObjectNotFound, SourceNotAllowed
from image_steward.events.parse import InlineDocument
from image_steward.model import CosObject
from image_steward.settings import Settings

Read: TypeAlias = "Callable[[CosObject], bytes]"
"""Reads an object; raises like `cloud.objects.Objects.read`."""


def fetch(part: CosObject | InlineDocument, settings: Settings, read: Read) -> bytes:
    """Return the document of one part of an event.

    Raises:
        DocumentTooLarge, SourceNotAllowed, ObjectNotFound, AccessDenied: see `errors`.
        StewardError: the request to COS failed.
    """
    if isinstance(part, CosObject):
        return _read_first(_variants(part), settings, read)
    size, limit = len(part.data), settings.max_document_bytes
    if size > limit:
        message = f"the document has {size} bytes; STEWARD_MAX_DOCUMENT_BYTES is {limit}"
        raise DocumentTooLarge(message)
    return part.data


def fetch_target(target: CosObject, settings: Settings, read: Read) -> bytes:
    """Return the document that a pointer names. Its key is not decoded. Raises like `fetch`."""
    return _read_first([target], settings, read)


def is_journal(part: CosObject, settings: Settings) -> bool:
    """Whether a part may be a journal object, which would undo the run that has just written it."""
    bucket, prefix = settings.journal or ("", "")
    return any(obj.bucket == bucket and obj.key.startswith(prefix) for obj in _variants(part))


def _read_first(objects: list[CosObject], settings: Settings, read: Read) -> bytes:
    """Read the first object that is allowed and exists."""
    allowed = [obj for obj in objects if settings.allows(obj.bucket, obj.key)]
    if not allowed:
        rule = "it must match STEWARD_SOURCES, if that is set, and have no . or .. segment"
        raise SourceNotAllowed(f"{objects[0].source} is not an allowed source: {rule}")
    for obj in allowed[:-1]:
        with suppress(ObjectNotFound):
            return read(obj)
    return read(allowed[-1])


def _variants(part: CosObject) -> list[CosObject]:
    """The object by the event's key and by that key URL-decoded: the encoding is undocumented."""
    decoded = unquote(part.key)
    is_different = decoded not in {part.key, ""} and not decoded.endswith("/")
    return [part, *([part._replace(key=decoded)] if is_different else [])]
