"""Limits: the numbers are the API's, and the schemas have the same ones."""

from __future__ import annotations

import json
from typing import Any

import pytest

from conftest import ROOT
from image_steward import limits

SCHEMAS = ROOT / "handler/image_steward/documents/schemas"

RULES = {
    "change-request": {
        "/properties/Images/maxItems": "IMAGES_PER_REQUEST",
        "/$defs/ImageName/maxLength": "NAME_LENGTH",
        "/$defs/ImageDescription/maxLength": "DESCRIPTION_LENGTH",
        "/$defs/Tags/maxItems": "TAGS_PER_IMAGE",
        "/$defs/Tags/items/properties/Value/maxLength": "TAG_VALUE_LENGTH",
        "/$defs/TagKey/maxLength": "TAG_KEY_LENGTH",
        "/$defs/DeleteTags/maxItems": "TAGS_PER_IMAGE",
    },
    "naming-policy": {
        "/properties/Normalise/properties/Tags/maxItems": "TAGS_PER_IMAGE",
        "/properties/Normalise/properties/Tags/items/properties/Key/maxLength": "TAG_KEY_LENGTH",
    },
}
"""Where each schema repeats a limit, by JSON Pointer."""


def test_limits_are_those_of_the_api() -> None:
    """The limits are those of document/api/213/15713, 213/15715 and product/651/13354."""
    assert {name: value for name, value in vars(limits).items() if name.isupper()} == {
        "NAME_LENGTH": 60,
        "DESCRIPTION_LENGTH": 256,
        "TAG_KEY_LENGTH": 127,
        "TAG_VALUE_LENGTH": 255,
        "LENGTHS": {"ImageName": (1, 60), "ImageDescription": (0, 256), "Tag": (1, 255)},
        "TAGS_PER_IMAGE": 50,
        "IMAGES_PER_REQUEST": 1000,
        "PAGE_SIZE": 100,
        "VALUES_PER_FILTER": 5,
        "RESOURCES_PER_TAG_CALL": 9,
        "TAGS_PER_TAG_CALL": 10,
    }


@pytest.mark.parametrize(
    ("schema", "pointer"), [(schema, pointer) for schema, each in RULES.items() for pointer in each]
)
def test_schemas_have_the_limits(schema: str, pointer: str) -> None:
    """A schema has the same number as `limits`."""
    value: Any = json.loads((SCHEMAS / f"{schema}.json").read_text(encoding="utf-8"))
    for step in pointer.split("/")[1:]:
        value = value[step]
    assert value == getattr(limits, RULES[schema][pointer])
