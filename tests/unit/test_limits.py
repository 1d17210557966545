"""Limits: the numbers are the API's, and the schemas have the same ones."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from conftest import ROOT
from image_steward import limits, registry
from image_steward.errors import InvalidDocument
from image_steward.naming.text import clean, value_error
from packer import build, manifest

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
        "LENGTHS": {
            "ImageName": (1, 60),
            "ImageDescription": (0, 256),
            "Tag": (1, 255),
            "TagKey": (1, 127),
        },
        "TAGS_PER_IMAGE": 50,
        "RESERVED_TAG_KEYS": ("qcs:", "project", "项目", "qcloud", "tencent"),
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


CONTROL = "\0\x1f\x7f\x80\x9f\n\r\t\u2028\u2029"


def is_allowed(document: dict[str, Any]) -> bool:
    """Whether a document is read."""
    try:
        registry.read(json.dumps(document).encode(), region="ap-guangzhou")
    except InvalidDocument:
        return False
    return True


@given(
    st.sampled_from(["ImageName", "ImageDescription", "ImageFamily", "Tag.k", "TagKey"]),
    st.text(st.sampled_from(CONTROL) | st.characters(exclude_categories=["Cs"]), max_size=60)
    | st.sampled_from(["x" * length for length in (60, 61, 127, 128, 255, 256, 257)]),
)
@example("ImageFamily", "a\x9bb")
@example("TagKey", "a\nb")
@example("TagKey", "a ")
@example("TagKey", "a\u200bb")
def test_one_rule_for_all_documents(name: str, text: str) -> None:
    """Schemas and code agree on what a name, a family, a description and a tag may be.

    A change request may name keys that others have bound, invisible characters and all.
    """
    tag = {"Key": text if name == "TagKey" else "k", "Value": "v" if name == "TagKey" else text}
    image = {name: text} if name.startswith("Image") else {"Tags": [tag]}
    allowed = value_error(name, text) == ""
    is_odd_key = name == "TagKey" and clean(text) != text
    if not is_odd_key:
        assert is_allowed({"ImageId": "img-6pb6lrmy", **image}) == allowed
    if name == "TagKey":
        assert is_allowed({"Normalise": {"Tags": [{"Key": text, "Value": "v"}]}}) == allowed
        assert is_allowed(manifest(build({f"Tag.{text}": "v"}))) == allowed
