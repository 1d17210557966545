"""Pointers to a document in COS."""

from __future__ import annotations

from typing import Any

from image_steward.documents.validation import NO_REGION, validate
from image_steward.errors import InvalidDocument
from image_steward.model import CosObject


def read(document: dict[str, Any], region: str, _known: object = ()) -> CosObject:
    """Read a pointer; `region` is the default for its Region.

    Raises:
        InvalidDocument: lists every violation of the schema; or no region is known.
    """
    validate("pointer", document)
    bucket, _, key = document["Document"].removeprefix("cos://").partition("/")
    if not (region := document.get("Region", region)):
        raise InvalidDocument(NO_REGION)
    return CosObject(bucket, key, region)
