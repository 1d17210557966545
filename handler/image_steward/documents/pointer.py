"""Pointers: the document lies in an object of COS."""

from __future__ import annotations

from typing import Any

from image_steward.documents.validation import NO_REGION, validate
from image_steward.errors import InvalidDocument
from image_steward.model import CosObject


def read(document: dict[str, Any], region: str) -> CosObject:
    """Where the document lies; `region` is used if the pointer names none.

    Raises:
        InvalidDocument: every violation of the schema; no region is known.
    """
    validate("pointer", document)
    bucket, _, key = document["Document"].removeprefix("cos://").partition("/")
    place = document.get("Region", region)
    if not place:
        raise InvalidDocument(NO_REGION)
    return CosObject(bucket, key, place)
