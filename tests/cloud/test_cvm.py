"""DescribeImages and ModifyImageAttribute of the emulated cloud, without HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import called
from scf_local.cloud.cvm import SERVICE
from scf_local.cloud.parameters import from_query
from scf_local.cloud.state import State
from scf_local.cloud.wire import ErrorReply

REGION = "ap-guangzhou"
DESCRIBE, MODIFY = SERVICE.actions["DescribeImages"], SERVICE.actions["ModifyImageAttribute"]


@pytest.fixture
def state() -> State:
    """One image of each kind, and an image with an equal name in another region."""
    return State(
        {
            REGION: [
                {
                    "ImageId": "img-aaaaaaaa",
                    "ImageName": "web",
                    "CreatedTime": "2026-01-01T00:00:00Z",
                },
                {
                    "ImageId": "img-bbbbbbbb",
                    "ImageName": "Web-2",
                    "CreatedTime": "2026-01-03T00:00:00+00:00",
                    "Platform": "Ubuntu",
                    "Tags": [{"Key": "team", "Value": "infra"}],
                },
                {"ImageId": "img-cccccccc", "ImageName": "busy", "ImageState": "CREATING"},
                {"ImageId": "img-dddddddd", "ImageName": "theirs", "ImageType": "SHARED_IMAGE"},
                {
                    "ImageId": "img-eeeeeeee",
                    "ImageName": "public",
                    "ImageType": "PUBLIC_IMAGE",
                    "CreatedTime": "2025-01-01T00:00:00Z",
                    "CdcCacheStatus": "CACHED",
                },
            ],
            "ap-shanghai": [{"ImageId": "img-ffffffff", "ImageName": "web"}],
        }
    )


def described(state: State, **params: Any) -> list[str]:  # noqa: ANN401 - any parameter
    """The last letters of the image ids in a reply."""
    return [image["ImageId"][-1] for image in called(DESCRIBE, state, REGION, params)["ImageSet"]]


def filtered(name: str, *values: str) -> dict[str, Any]:
    """Parameters with one filter."""
    return {"Filters": [{"Name": name, "Values": list(values)}]}


@pytest.mark.parametrize(
    ("params", "letters"),
    [
        ({}, "dcbae"),
        ({"Offset": 1, "Limit": 2}, "cb"),
        ({"Offset": 9}, ""),
        ({"InstanceType": "SA5.MEDIUM2"}, "dcbae"),
        ({"ImageIds": ["img-aaaaaaaa", "img-zzzzzzzz"]}, "a"),
        ({"ImageIds": []}, "dcbae"),
        (filtered("image-id", "img-bbbbbbbb"), "b"),
        (filtered("image-type", "SHARED_IMAGE", "PUBLIC_IMAGE"), "de"),
        (filtered("image-name", "web"), "ba"),
        (filtered("platform", "ubu"), "b"),
        (filtered("tag-key", "team"), "b"),
        (filtered("tag-key", "infra"), ""),
        (filtered("tag-value", "infra"), "b"),
        (filtered("tag:team", "infra", "web"), "b"),
        (filtered("tag:team", "web"), ""),
        (filtered("dedicated-cluster-id", "cluster-1"), ""),
        (filtered("cdc-cache-status", "CACHED"), "e"),
        (
            {
                "Filters": filtered("image-name", "web")["Filters"]
                + filtered("tag-key", "team")["Filters"]
            },
            "b",
        ),
    ],
)
def test_describe(state: State, params: dict[str, Any], letters: str) -> None:
    """Images are sorted newest first; any value of a filter and all filters must match."""
    assert "".join(described(state, **params)) == letters


def test_describe_counts_all(state: State) -> None:
    """TotalCount includes other pages, and the default page size is 20 images."""
    many = State({REGION: [{"ImageId": f"img-{number:08}"} for number in range(130)]})
    reply = called(DESCRIBE, many, REGION, {})
    assert (len(reply["ImageSet"]), reply["TotalCount"]) == (20, 130)
    assert len(called(DESCRIBE, many, REGION, {"Limit": 100})["ImageSet"]) == 100
    assert called(DESCRIBE, state, "ap-bangkok", {}) == {"ImageSet": [], "TotalCount": 0}


def test_describe_returns_copies(state: State) -> None:
    """Changing a reply does not change the emulated cloud."""
    called(DESCRIBE, state, REGION, {})["ImageSet"][0]["ImageName"] = "changed"
    assert "changed" not in str(called(DESCRIBE, state, REGION, {}))


@pytest.mark.parametrize(
    ("params", "code"),
    [
        (
            {"ImageIds": ["img-aaaaaaaa"], "Filters": []},
            "InvalidParameter.InvalidParameterCoexistImageIdsFilters",
        ),
        ({"Limit": 0}, "InvalidParameterValue.InvalidParameterValueLimit"),
        ({"Limit": 101}, "InvalidParameterValue.InvalidParameterValueLimit"),
        ({"Offset": -1}, "InvalidParameterValue"),
        ({"Limit": "20"}, "InvalidParameter"),
        ({"Limit": True}, "InvalidParameter"),
        ({"ImageIds": "img-aaaaaaaa"}, "InvalidParameter"),
        ({"ImageIds": [1]}, "InvalidParameter"),
        ({"ImageIds": None}, "InvalidParameter"),
        ({"Filters": [{"Name": "image-id", "Value": "a"}]}, "UnknownParameter"),
        ({"ImageId": "img-aaaaaaaa"}, "UnknownParameter"),
        ({"InstanceType": "SA5"}, "InvalidInstanceType.Malformed"),
        ({"ImageIds": ["ami-aaaaaaaa"]}, "InvalidImageId.Malformed"),
        ({"ImageIds": ["img-short"]}, "InvalidImageId.Malformed"),
        (
            {"ImageIds": [f"img-{number:08}" for number in range(101)]},
            "InvalidParameterValue.LimitExceeded",
        ),
        (filtered("image-id", "x"), "InvalidImageId.Malformed"),
        (filtered("image-family", "web"), "InvalidFilter"),
        (filtered("image-name"), "InvalidFilter"),
        ({"Filters": [{"Values": ["web"]}]}, "InvalidFilter"),
        ({"Filters": filtered("image-name", "a")["Filters"] * 11}, "InvalidFilter"),
        (filtered("image-name", *"abcdef"), "InvalidFilterValue.LimitExceeded"),
        (filtered("tag:", "a"), "FailedOperation.IllegalTagKey"),
    ],
)
def test_describe_errors(state: State, params: dict[str, Any], code: str) -> None:
    """Each invalid parameter has its documented error code."""
    with pytest.raises(ErrorReply) as raised:
        called(DESCRIBE, state, REGION, params)
    assert raised.value.code == code


@pytest.mark.parametrize(
    ("action", "code"), [(DESCRIBE, "InvalidRegion.NotFound"), (MODIFY, "UnsupportedRegion")]
)
def test_invalid_region(state: State, action: Any, code: str) -> None:  # noqa: ANN401 - an Action
    """An invalid region is rejected with the code that the action documents."""
    with pytest.raises(ErrorReply) as raised:
        called(action, state, "guangzhou", {"ImageId": "img-aaaaaaaa"} if action is MODIFY else {})
    assert raised.value.code == code


@pytest.mark.parametrize(
    "changes",
    [
        {"ImageName": "sample"},
        {"ImageName": "web"},
        {"ImageName": "busy-2", "ImageDescription": "d" * 256},
        {"ImageName": "名" * 60},
        {"ImageName": "theirs"},
        {"ImageDescription": "", "ImageFamily": ""},
        {"ImageFamily": "business-daily-update", "ImageDeprecated": True},
        {},
    ],
)
def test_modify(state: State, changes: dict[str, Any]) -> None:
    """Only the given attributes are set, and an image's own name is not a duplicate."""
    before = state.image(REGION, "img-aaaaaaaa")
    assert called(MODIFY, state, REGION, {"ImageId": "img-aaaaaaaa", **changes}) == {}
    assert state.image(REGION, "img-aaaaaaaa") == before | changes
    assert state.image("ap-shanghai", "img-ffffffff")["ImageName"] == "web"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "MissingParameter"),
        ({"ImageName": "sample"}, "MissingParameter"),
        ([], "InvalidParameter"),
        ({"ImageId": "img-aaaaaaaa", "Tags": []}, "UnknownParameter"),
        ({"ImageId": "img-aaaaaaaa", "ImageNam": "sample"}, "UnknownParameter"),
        ({"ImageId": "img-aaaaaaaa", "ImageName": 1}, "InvalidParameter"),
        ({"ImageId": "img-aaaaaaaa", "ImageDeprecated": "true"}, "InvalidParameter"),
        ({"ImageId": "img-aaaaaaaa", "ImageDeprecated": 1}, "InvalidParameter"),
        ({"ImageId": "aaaaaaaa"}, "InvalidImageId.Malformed"),
        ({"ImageId": "img-ffffffff", "ImageName": "x"}, "InvalidImageId.NotFound"),
        ({"ImageId": "img-cccccccc", "ImageName": "x"}, "InvalidImageId.IncorrectState"),
        ({"ImageId": "img-aaaaaaaa", "ImageName": "Web-2"}, "InvalidImageName.Duplicate"),
        ({"ImageId": "img-aaaaaaaa", "ImageName": "busy"}, "InvalidImageName.Duplicate"),
        ({"ImageId": "img-aaaaaaaa", "ImageName": ""}, "InvalidParameterValue"),
        ({"ImageId": "img-aaaaaaaa", "ImageName": "n" * 61}, "InvalidParameterValue.TooLarge"),
        (
            {"ImageId": "img-aaaaaaaa", "ImageDescription": "d" * 257},
            "InvalidParameterValue.TooLarge",
        ),
        (
            {"ImageId": "img-aaaaaaaa", "ImageFamily": "web server"},
            "InvalidParameterValue.InvalidImageFamily",
        ),
        (
            {"ImageId": "img-dddddddd", "ImageName": "x"},
            "UnsupportedOperation.SharedImageModifyUnsupported",
        ),
        (
            {"ImageId": "img-eeeeeeee", "ImageName": "x"},
            "UnauthorizedOperation.ImageNotBelongToAccount",
        ),
    ],
)
def test_modify_errors(state: State, params: Any, code: str) -> None:  # noqa: ANN401 - any JSON
    """Each invalid request has its documented error code and changes nothing."""
    before = state.snapshot()["Images"]
    with pytest.raises(ErrorReply) as raised:
        called(MODIFY, state, REGION, params)
    assert raised.value.code == code
    assert state.snapshot()["Images"] == before


def test_nearest_parameter(state: State) -> None:
    """The error for a misspelt parameter suggests the nearest valid name."""
    with pytest.raises(ErrorReply, match="`ImageNam` is not a parameter; did you mean ImageName"):
        called(MODIFY, state, REGION, {"ImageId": "img-aaaaaaaa", "ImageNam": "sample"})


@pytest.mark.parametrize(
    ("query", "params"),
    [
        ("", {}),
        ("Limit=5&Offset=-1", {"Limit": 5, "Offset": -1}),
        ("Limit=five", {"Limit": "five"}),
        (f"Offset={'9' * 5000}", {"Offset": "9" * 5000}),
        ("Offset=٣", {"Offset": "٣"}),
        ("ImageIds.1=b&ImageIds.0=a&ImageIds.10=c", {"ImageIds": ["a", "b", "c"]}),
        ("ImageIds.x=b", {"ImageIds": {"x": "b"}}),
        (
            "Filters.0.Name=tag%3Aa&Filters.0.Values.0=%E4%B8%AD+b&Filters.0.Values.1=",
            {"Filters": [{"Name": "tag:a", "Values": ["中 b", ""]}]},
        ),
        ("Filters.0.Other=1", {"Filters": [{"Other": "1"}]}),
    ],
)
def test_parameters_of_get(query: str, params: dict[str, Any]) -> None:
    """The flat parameters of a GET request become the nested, typed parameters of a POST."""
    assert from_query(query, DESCRIBE.shape) == params


def test_excluded_parameters() -> None:
    """Common parameters, which the older form mixes with the action's own, are excluded."""
    query = "Action=DescribeImages&Limit=1&Nonce=2"
    assert from_query(query, DESCRIBE.shape, exclude={"Action", "Nonce"}) == {"Limit": 1}


def test_booleans_of_get() -> None:
    """The Python SDK's `True` and others' `true` are booleans; any other text stays text."""
    for text, value in (("True", True), ("false", False), ("yes", "yes")):
        assert from_query(f"ImageDeprecated={text}", MODIFY.shape) == {"ImageDeprecated": value}


def test_conflicting_get_parameters() -> None:
    """A parameter that is both a value and a structure is rejected."""
    with pytest.raises(ErrorReply, match="given more than once"):
        from_query("Filters=a&Filters.0.Name=b", DESCRIBE.shape)
