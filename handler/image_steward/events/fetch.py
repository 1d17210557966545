"""From a part of an event to the bytes of its document, if it may come from there."""

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
"""Reads an object, or raises as `cloud.objects.Objects.read` does."""


def fetch(part: CosObject | InlineDocument, settings: Settings, read: Read) -> bytes:
    """The document of a part of an event.

    Raises:
        DocumentTooLarge, SourceNotAllowed, ObjectNotFound, AccessDenied: as they say.
        StewardError: COS could not be asked.
    """
    if isinstance(part, CosObject):
        return _first(_candidates(part), settings, read)
    if len(part.data) > settings.max_document_bytes:
        limit = settings.max_document_bytes
        raise DocumentTooLarge(f"{len(part.data)} bytes; at most {limit} are allowed")
    return part.data


def fetch_target(target: CosObject, settings: Settings, read: Read) -> bytes:
    """The document that a pointer names; its key is taken as it stands. Raises as `fetch`."""
    return _first([target], settings, read)


def is_journal(part: CosObject, settings: Settings) -> bool:
    """Whether a part may be an object of the journal: applied at once, it would undo its run."""
    bucket, prefix = settings.journal or ("", "")
    return any(one.bucket == bucket and one.key.startswith(prefix) for one in _candidates(part))


def _first(candidates: list[CosObject], settings: Settings, read: Read) -> bytes:
    """The content of the first candidate that is allowed and exists."""
    allowed = [each for each in candidates if settings.allows(each.bucket, each.key)]
    if not allowed:
        raise SourceNotAllowed(
            f"{candidates[0].source} is outside STEWARD_SOURCES, or has a . or .. segment"
        )
    for place in allowed[:-1]:
        with suppress(ObjectNotFound):
            return read(place)
    return read(allowed[-1])


def _candidates(part: CosObject) -> list[CosObject]:
    """What an event's key may mean: documented nowhere, so as it stands first, then decoded."""
    decoded = unquote(part.key)
    is_other = decoded not in {part.key, ""} and not decoded.endswith("/")
    return [part, *([part._replace(key=decoded)] if is_other else [])]
