"""Documents: every violation is listed with its path and what is allowed there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from image_steward import registry
from image_steward.documents import validation
from image_steward.errors import InvalidDocument
from image_steward.model import Change, ChangeRequest, CosObject
from region import bound_tags

OWN = "ap-guangzhou"
IMAGE = {"ImageId": "img-6pb6lrmy", "ImageName": "sample"}


def read(document: object, region: str = OWN) -> Any:  # noqa: ANN401 - of any kind
    """Read a document from a Python value."""
    return registry.read(json.dumps(document).encode(), region=region).request


def violations(document: object, region: str = OWN) -> list[tuple[str, str]]:
    """Return the path and message of each violation of a document that is rejected."""
    with pytest.raises(InvalidDocument) as caught:
        read(document, region)
    return list(caught.value.details)


def test_change_request() -> None:
    """An image's Region overrides the document's, which overrides the function's own."""
    request = read(
        {
            "Region": "ap-shanghai",
            "DryRun": True,
            "Images": [
                {
                    **IMAGE,
                    "Region": "ap-beijing",
                    "ImageDescription": "",
                    "ImageFamily": "web",
                    "ImageDeprecated": False,
                    "Tags": [{"Key": "team", "Value": "infra"}],
                    "DeleteTags": ["tmp"],
                },
                IMAGE,
            ],
        }
    )
    values: dict[str, str | bool | None] = {
        "ImageName": "sample",
        "ImageDescription": "",
        "ImageFamily": "web",
        "ImageDeprecated": False,
        "Tag.team": "infra",
        "Tag.tmp": None,
    }
    assert request == ChangeRequest(
        {
            "ap-beijing": {"img-6pb6lrmy": Change("ap-beijing", "img-6pb6lrmy", values)},
            "ap-shanghai": {
                "img-6pb6lrmy": Change("ap-shanghai", "img-6pb6lrmy", {"ImageName": "sample"})
            },
        },
        dry_run=True,
        region_paths={"ap-beijing": "/Images/0/Region", "ap-shanghai": "/Region"},
        tag_paths={"team": "/Images/0/Tags", "tmp": "/Images/0/DeleteTags"},
    )


def test_api_body() -> None:
    """The body of the API call is a change request for one image."""
    change = Change(OWN, "img-6pb6lrmy", {"ImageName": "sample"})
    paths, changes = {OWN: "/Region"}, {OWN: {"img-6pb6lrmy": change}}
    assert read(IMAGE) == ChangeRequest(changes, dry_run=False, region_paths=paths)
    assert read({**IMAGE, "DryRun": True}) == ChangeRequest(
        changes, dry_run=True, region_paths=paths
    )


def test_pointer() -> None:
    """A pointer names bucket and key; its Region is the object's."""
    document = {"Document": "cos://b-1/镜像/a b.json"}
    assert read(document) == CosObject("b-1", "镜像/a b.json", OWN)
    assert read({**document, "Region": "ap-tokyo"}) == CosObject("b-1", "镜像/a b.json", "ap-tokyo")


LONG = "x" * 61


@pytest.mark.parametrize(
    ("document", "path", "message"),
    [
        (None, "", "the document is null; must be an object"),
        ([IMAGE], "", "the document is an array"),
        ("x", "", "the document is a string"),
        (5, "", "the document is a number"),
        (True, "", "the document is a boolean"),
        ({}, "", "no members"),
        ({"images": []}, "", "did you mean Images?"),
        (
            {"Thing": 1, "Doc": 2},
            "",
            "one of Document, Normalise, builds, Images, ImageId is required",
        ),
        ({"Images": []}, "/Images", "0 entries; at least 1"),
        ({"Images": {}}, "/Images", "is an object; must be an array"),
        ({"Images": [5]}, "/Images/0", "is a number; must be an object"),
        ({"Images": [IMAGE], "Dryrun": 1}, "/Dryrun", "did you mean DryRun?"),
        ({"Images": [IMAGE], "x/y~z": 1}, "/x~1y~0z", "allowed are Region, DryRun, Images"),
        ({"Images": [IMAGE], "DryRun": "true"}, "/DryRun", "is a string; must be a boolean"),
        ({"Images": [IMAGE], "Region": "Guangzhou"}, "/Region", "a region name such as"),
        ({"Images": [IMAGE], "Region": "ap-x\n"}, "/Region", "a region name such as"),
        ({"Images": [IMAGE], "Region": "ap-x.evil.example/"}, "/Region", "a region name"),
        ({"Images": [{"ImageName": "a"}]}, "/Images/0", "member ImageId is missing"),
        ({"Images": [{"ImageId": "img-1"}]}, "/Images/0", "at least one of ImageName, ImageDesc"),
        ({"Images": [IMAGE, IMAGE]}, "/Images/1/ImageId", "is already at /Images/0"),
        ({"ImageId": "img-1"}, "", "at least one of ImageName"),
        ({**IMAGE, "ImageNmae": "a"}, "/ImageNmae", "did you mean ImageName?"),
        ({**IMAGE, "ImageId": "ami-1"}, "/ImageId", '"ami-1"; must be an image id such as'),
        ({**IMAGE, "ImageId": "img-1\n"}, "/ImageId", "an image id such as"),
        ({**IMAGE, "ImageName": LONG}, "/ImageName", "61 characters; at most 60"),
        ({**IMAGE, "ImageName": ""}, "/ImageName", "0 characters; at least 1"),
        ({**IMAGE, "ImageName": None}, "/ImageName", "is null; must be a string"),
        ({**IMAGE, "ImageDescription": "镜" * 257}, "/ImageDescription", "257 characters"),
        ({**IMAGE, "Tags": []}, "/Tags", "0 entries"),
        ({**IMAGE, "Tags": [{"Key": "a"}]}, "/Tags/0", "member Value is missing"),
        ({**IMAGE, "Tags": [{"Key": "k" * 128, "Value": "v"}]}, "/Tags/0/Key", "at most 127"),
        ({**IMAGE, "Tags": [{"Key": "k", "Value": "v" * 256}]}, "/Tags/0/Value", "at most 255"),
        ({**IMAGE, "Tags": [{"Key": "k", "Value": ""}]}, "/Tags/0/Value", "at least 1"),
        (
            {**IMAGE, "Tags": [{"Key": str(i), "Value": "v"} for i in range(51)]},
            "/Tags",
            "51 entries; at most 50",
        ),
        (
            {**IMAGE, "Tags": [{"Key": "k", "Value": "v"}, {"Key": "k", "Value": "w"}]},
            "/Tags",
            'key "k" appears 2 times',
        ),
        (
            {**IMAGE, "Tags": [{"Key": "k", "Value": "v"}], "DeleteTags": ["k"]},
            "/DeleteTags",
            'key "k" is also in Tags',
        ),
        ({**IMAGE, "DeleteTags": ["k", "k"]}, "/DeleteTags", "appears 2 times"),
        ({"Document": "http://b-1/x"}, "/Document", "must be cos://<bucket-appid>/<key>"),
        ({"Document": "cos://b/x"}, "/Document", "must be cos://<bucket-appid>/<key>"),
        ({"Document": "cos://b-1/"}, "/Document", "must be cos://<bucket-appid>/<key>"),
        ({"Document": "cos://b-1/x", "ImageId": "img-1"}, "/ImageId", "unknown member"),
    ],
)
def test_rejected(document: object, path: str, message: str) -> None:
    """Each violation is reported once, with its path, what was given and what is allowed."""
    ((found_path, found_message),) = violations(document)
    assert found_path == path
    assert message in found_message


def test_largest_values() -> None:
    """Values at the limits are accepted: 60 characters, 256 characters, 1,000 images, 50 tags."""
    tags = [{"Key": f"k{i}", "Value": "v" * 255} for i in range(50)]
    images: list[dict[str, Any]] = [
        {"ImageId": f"img-{i}", "ImageName": "镜" * 60, "ImageDescription": "é" * 256}
        for i in range(1000)
    ]
    images[-1]["Tags"] = tags
    request = read({"Images": images})
    assert isinstance(request, ChangeRequest)
    *_, last = changes = [c for region in request.changes.values() for c in region.values()]
    assert len(changes) == 1000
    assert len(bound_tags(last)) == 50


def test_search_stops_early() -> None:
    """The entries of a list that is too long are not looked at."""
    assert len(violations({"Images": [{}] * 90_000})) == 1
    assert len(violations({"ImageId": "img-1", "DeleteTags": [{}] * 9000})) == 1


def test_every_violation_is_listed() -> None:
    """All violations of a document are reported, each once."""
    document = {"Images": [{"ImageName": LONG, "x": 1}, {"ImageId": 5, "Tags": [{}]}], "y": 2}
    assert sorted(path for path, _ in violations(document)) == [
        "/Images/0", "/Images/0/ImageName", "/Images/0/x", "/Images/1/ImageId",
        "/Images/1/Tags/0", "/Images/1/Tags/0", "/y",
    ]  # fmt: skip


def test_too_many_breaches_are_cut() -> None:
    """A document of nothing but nonsense lists the first thousand violations and says so."""
    found = violations({"Images": [{"ImageId": 5, "x": 1}] * 1000})
    assert len(found) == validation.MAX_VIOLATIONS + 1
    assert "the rest are omitted" in found[-1][1]


def test_thousand_and_one_images() -> None:
    """A document with 1,001 images is rejected."""
    images = [{**IMAGE, "ImageId": f"img-{i}"} for i in range(1001)]
    assert violations({"Images": images}) == [
        ("/Images", "has 1001 entries; at most 1000 are allowed (maxItems)")
    ]


@pytest.mark.parametrize("document", [IMAGE, {"Images": [IMAGE]}, {"Document": "cos://b-1/x"}])
def test_region_is_required(document: dict[str, Any]) -> None:
    """A document is rejected if neither it nor the function has a region."""
    ((_, message),) = violations(document, region="")
    assert "Region" in message


def test_same_image_in_two_regions() -> None:
    """The same id in two regions is two images."""
    read({"Images": [IMAGE, {**IMAGE, "Region": "ap-tokyo"}]})


SCHEMAS = sorted((Path(validation.__file__).parent / "schemas").glob("*.json"))


@pytest.mark.parametrize("kind", [path.stem for path in SCHEMAS])
def test_schemas_are_valid(kind: str) -> None:
    """The schemas are valid draft 2020-12, and each pattern has a description."""
    schema: Any = validation.validator(kind).schema
    Draft202012Validator.check_schema(schema)
    assert validation.validator(kind) is validation.validator(kind)
    inner = [schema]
    while inner:
        each = inner.pop()
        assert not isinstance(each.get("pattern"), str) or each["description"]
        inner += [value for value in each.values() if isinstance(value, dict)]


def schemas_in(schema: object) -> list[dict[str, Any]]:
    """Return a schema and those in it."""
    if isinstance(schema, list):
        return [found for each in schema for found in schemas_in(each)]
    if not isinstance(schema, dict):
        return []
    return [schema, *(found for each in schema.values() for found in schemas_in(each))]


ALL_SCHEMAS = [
    schema
    for path in SCHEMAS
    for schema in schemas_in(validation.validator(path.stem).schema)
    if isinstance(schema.get("type"), str)
]
_TEXTS = st.sampled_from(["", "a", "img-1", "ap-tokyo", "x" * 61, "y" * 300, "a\n"])
_MEMBERS = st.sampled_from(sorted({n for each in ALL_SCHEMAS for n in each.get("properties", ())}))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(_MEMBERS | _TEXTS, inner, max_size=4)
        | st.lists(st.fixed_dictionaries({"Key": _TEXTS, "Value": _TEXTS}), max_size=52)
    ),
)


@given(st.sampled_from(ALL_SCHEMAS), _VALUES)
def test_quick_yes_is_right(schema: dict[str, Any], value: object) -> None:
    """What is accepted without jsonschema, jsonschema accepts."""
    assert not validation._is_valid(value, schema) or Draft202012Validator(schema).is_valid(value)


@pytest.mark.parametrize(
    ("member", "valid", "invalid"),
    [
        ("Tags", [{"Key": "k", "Value": "v"}], [{"Key": "k"}]),
        ("Tags", [{"Key": "k", "Value": "v"}] * 50, [{"Key": "k", "Value": "v"}] * 51),
        ("Tags", [{"Key": "k", "Value": "v" * 255}], [{"Key": "k", "Value": "v" * 256}]),
        ("Tags", [{"Key": "k", "Value": "v"}], [{"Key": "k", "Value": "v", "Name": "n"}]),
        ("DeleteTags", ["k"], []),
        ("Expect", {}, {"Tags": "k"}),
        ("ImageFamily", "a", "a\n"),
        ("ImageName", "a", ""),
    ],
)
def test_simple_members_are_accepted_quickly(member: str, valid: object, invalid: object) -> None:
    """Members of images that are valid need no validator of their own; the others get one."""
    schema: Any = validation.validator("change-request").schema
    schema = schema["properties"]["Images"]["items"]["properties"][member]
    assert validation._is_valid(valid, schema)
    assert not validation._is_valid(invalid, schema)
