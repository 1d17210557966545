"""From one part of an event to the bytes of its document, if its source is allowed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias
from urllib.parse import unquote

from image_steward import errors
from image_steward.model import CosObject
from image_steward.settings import Settings

Read: TypeAlias = "Callable[[CosObject], bytes]"
"""Reads an object; raises like `cloud.objects.Objects.read`."""

Fetched: TypeAlias = "tuple[bytes, tuple[str, ...]]"
"""A document, and the kinds of documents that STEWARD_SOURCES allows from its source."""


def fetch(source: str, content: list[CosObject] | bytes, settings: Settings, read: Read) -> Fetched:
    """Return the document of one part of an event, or the one that a pointer names.

    Raises:
        DocumentTooLarge, SourceNotAllowed, ObjectNotFound, AccessDenied, Superseded: see `errors`.
        StewardError: the request to COS failed.
    """
    if isinstance(content, list):
        return _read_first(content, settings, read)
    size, limit = len(content), settings.max_document_bytes
    if size > limit:
        message = f"the document has {size} bytes; STEWARD_MAX_DOCUMENT_BYTES is {limit}"
        raise errors.DocumentTooLarge(message)
    kinds = settings.kinds_from(source.partition(":")[0])
    if not kinds:
        raise _not_allowed(source, settings)
    return content, kinds


def is_journal(objects: list[CosObject], settings: Settings) -> bool:
    """Whether it may be a journal object, which would undo the run that has just written it."""
    bucket, prefix = settings.journal or ("", "")
    return any(obj.bucket == bucket and obj.key.startswith(prefix) for obj in objects)


def _read_first(objects: list[CosObject], settings: Settings, read: Read) -> Fetched:
    """Read the first object that is allowed and exists."""
    source = objects[0].source
    keys = [text for obj in objects for text in (obj.key, unquote(obj.key))]
    if any({"", ".", ".."} & set(key.split("/")) for key in keys):
        # The SDK removes slashes at the beginning, and HTTP clients normalise dots.
        rule = "an empty, . or .. segment in a key, also URL-encoded, could reach another object"
        raise errors.SourceNotAllowed(f"{source} is not an allowed source: {rule}")
    error: errors.StewardError = _not_allowed(source, settings)
    for obj in objects:
        if kinds := settings.kinds_from(obj.path):
            try:
                return read(obj), kinds
            except (errors.ObjectNotFound, errors.Superseded) as missed:
                error = error if isinstance(error, errors.Superseded) else missed
    raise error


def _not_allowed(source: str, settings: Settings) -> errors.SourceNotAllowed:
    message = f"is not an allowed source; STEWARD_SOURCES has {', '.join(settings.sources)}"
    return errors.SourceNotAllowed(f"{source} {message}")
