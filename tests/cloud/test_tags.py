"""The Tag API of the emulated cloud, without HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from conftest import called
from scf_local.cloud.seed import tags_of
from scf_local.cloud.state import State
from scf_local.cloud.tags import SERVICE
from scf_local.cloud.wire import ErrorReply
from scf_local.environment import UIN

TAG, UNTAG = SERVICE.actions["TagResources"], SERVICE.actions["UnTagResources"]
MODIFY = SERVICE.actions["ModifyResourceTags"]
DESCRIBE = SERVICE.actions["DescribeResourceTagsByResourceIds"]
A = "qcs::cvm:ap-guangzhou:uin/:image/img-aaaaaaaa"


@pytest.fixture
def state() -> State:
    """An image with one tag, a shared image, and an image with the maximum number of tags."""
    full = [{"Key": f"key{number}", "Value": "v"} for number in range(50)]
    return State(
        {
            "ap-guangzhou": [
                {"ImageId": "img-aaaaaaaa", "Tags": [{"Key": "team", "Value": "infra"}]},
                {"ImageId": "img-bbbbbbbb", "ImageType": "SHARED_IMAGE"},
                {"ImageId": "img-cccccccc", "Tags": full},
            ]
        }
    )


def tags(**pairs: str) -> list[dict[str, str]]:
    """Tags in the form of the API."""
    return [{"TagKey": key, "TagValue": value} for key, value in pairs.items()]


def current_tags(state: State) -> dict[str, str]:
    """The tags of image a."""
    return tags_of(state.image("ap-guangzhou", "img-aaaaaaaa"))


def test_tag_and_untag(state: State) -> None:
    """Tags are added, overwritten and removed; others stay; a missing tag can be removed."""
    resource = A.replace("uin/", f"uin/{UIN}")
    params = {"ResourceList": [resource], "Tags": tags(team="web", 环境="生产【一】")}
    assert called(TAG, state, "", params) == {"FailedResources": []}
    assert current_tags(state) == {"team": "web", "环境": "生产【一】"}
    for _ in range(2):
        assert called(UNTAG, state, "", {"ResourceList": [A], "TagKeys": ["team"]}) == {
            "FailedResources": []
        }
        assert current_tags(state) == {"环境": "生产【一】"}


def test_wire_form_of_tags(state: State) -> None:
    """A tag has the documented members and the undocumented ones."""
    assert state.image("ap-guangzhou", "img-aaaaaaaa")["Tags"] == [
        {"Key": "team", "Value": "infra", "tagKey": "team", "tagValue": "infra"}
    ]


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (A.replace("aaaaaaaa", "zzzzzzzz"), "ResourceNotFound"),
        (A.replace("guangzhou", "shanghai"), "ResourceNotFound"),
        (A.replace(":image/", ":instance/"), "ResourceNotFound"),
        (A.replace("uin/", "uin/100000000009"), "AuthFailure.UnauthorizedOperation"),
        (A.replace("aaaaaaaa", "bbbbbbbb"), "AuthFailure.UnauthorizedOperation"),
        (A.replace("aaaaaaaa", "cccccccc"), "LimitExceeded.ResourceAttachedTags"),
    ],
)
def test_failed_resources(state: State, resource: str, code: str) -> None:
    """A failed resource is reported in a successful reply, and the others are tagged."""
    reply = called(TAG, state, "", {"ResourceList": [resource, A], "Tags": tags(owner="ops")})
    (failure,) = reply["FailedResources"]
    assert failure.keys() == {"Resource", "Code", "Message"}
    assert (failure["Resource"], failure["Code"]) == (resource, code)
    assert current_tags(state)["owner"] == "ops"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ResourceList": None}, "InvalidParameter"),
        ({"ResourceList": []}, "LimitExceeded.ResourceNumPerRequest"),
        ({"ResourceList": [A] * 11}, "LimitExceeded.ResourceNumPerRequest"),
        ({"ResourceList": ["img-aaaaaaaa"]}, "InvalidParameterValue.ResourceDescriptionError"),
        ({"ResourceList": [A.replace("cvm", "cbs")]}, "InvalidParameter.UnsupportedService"),
        ({"Tags": []}, "LimitExceeded.TagNumPerRequest"),
        (
            {"Tags": tags(**{f"key{number}": "v" for number in range(11)})},
            "LimitExceeded.TagNumPerRequest",
        ),
        ({"Tags": [{"Key": "team", "Value": "a"}]}, "UnknownParameter"),
        ({"Tags": [{"TagValue": "a"}]}, "InvalidParameterValue.TagKeyEmpty"),
        ({"Tags": tags(**{"k" * 128: "v"})}, "InvalidParameterValue.TagKeyLengthExceeded"),
        ({"Tags": tags(**{"a*b": "v"})}, "InvalidParameterValue.TagKeyCharacterIllegal"),
        ({"Tags": tags(**{" a": "v"})}, "InvalidParameterValue.TagKeyCharacterIllegal"),
        ({"Tags": tags(a="v") * 2}, "InvalidParameterValue.TagKeyDuplicate"),
        ({"Tags": tags(a="")}, "InvalidParameterValue.TagValueEmpty"),
        ({"Tags": tags(a="v" * 256)}, "InvalidParameterValue.TagValueLengthExceeded"),
        ({"Tags": tags(a="v ")}, "InvalidParameterValue.TagValueCharacterIllegal"),
        ({"Tags": tags(a="v\n")}, "InvalidParameterValue.TagValueCharacterIllegal"),
        *(
            ({"Tags": tags(**{key: "v"})}, "InvalidParameter.ReservedTagKey")
            for key in ("qcs:a", "project", "项目", "qcloud-a", "tencent")
        ),
    ],
)
def test_tag_errors(state: State, changes: dict[str, Any], code: str) -> None:
    """An invalid request is rejected as a whole, with its documented code."""
    with pytest.raises(ErrorReply) as raised:
        called(TAG, state, "", {"ResourceList": [A], "Tags": tags(owner="ops")} | changes)
    assert raised.value.code == code
    assert current_tags(state) == {"team": "infra"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"ResourceList": [A]}, "MissingParameter"),
        ({"TagKeys": ["team"]}, "MissingParameter"),
        ({"ResourceList": [A], "TagKeys": []}, "LimitExceeded.TagNumPerRequest"),
        ({"ResourceList": [A], "TagKeys": ["k"] * 11}, "LimitExceeded.TagNumPerRequest"),
        ({"ResourceList": [A] * 11, "TagKeys": ["k"]}, "LimitExceeded.ResourceNumPerRequest"),
        ({"ResourceList": [A], "TagKeys": [""]}, "InvalidParameterValue.TagKeyEmpty"),
    ],
)
def test_untag_errors(state: State, params: dict[str, Any], code: str) -> None:
    """The same rules apply to removing tags."""
    with pytest.raises(ErrorReply) as raised:
        called(UNTAG, state, "", params)
    assert raised.value.code == code


def test_longest_tag(state: State) -> None:
    """The documented maximum lengths are allowed."""
    longest = {"键" * 127: "值" * 255}
    called(TAG, state, "", {"ResourceList": [A] * 10, "Tags": tags(**longest)})
    assert current_tags(state) == {"team": "infra"} | longest


def keys(*names: str) -> list[dict[str, str]]:
    """Keys in the form of ModifyResourceTags."""
    return [{"TagKey": name} for name in names]


def test_modify_merges(state: State) -> None:
    """One call adds, overwrites and removes tags, and the other tags stay."""
    called(TAG, state, "", {"ResourceList": [A], "Tags": tags(tmp="1", keep="2")})
    params = {
        "Resource": A,
        "ReplaceTags": tags(team="web", owner="ops"),
        "DeleteTags": keys("tmp"),
    }
    assert called(MODIFY, state, "", params) == {}
    assert current_tags(state) == {"team": "web", "keep": "2", "owner": "ops"}
    for _ in range(2):  # removing a missing tag succeeds
        called(MODIFY, state, "", {"Resource": A, "DeleteTags": keys("owner")})
    assert current_tags(state) == {"team": "web", "keep": "2"}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "InvalidParameter.Tag"),
        ({"ReplaceTags": []}, "InvalidParameter.Tag"),
        ({"ReplaceTags": tags(a="v"), "DeleteTags": []}, "InvalidParameter.Tag"),
        (
            {"ReplaceTags": tags(**{f"k{number}": "v" for number in range(11)})},
            "InvalidParameter.Tag",
        ),
        ({"DeleteTags": keys(*"abcdefghijk")}, "InvalidParameter.Tag"),
        (
            {"ReplaceTags": tags(a="v"), "DeleteTags": keys("b", "a")},
            "InvalidParameterValue.DeleteTagsParamError",
        ),
        ({"ReplaceTags": tags(a="v") * 2}, "InvalidParameterValue.TagKeyDuplicate"),
        ({"ReplaceTags": tags(**{"a*b": "v"})}, "InvalidParameterValue.TagKeyCharacterIllegal"),
        ({"DeleteTags": keys("")}, "InvalidParameterValue.TagKeyEmpty"),
        ({"DeleteTags": ["team"]}, "InvalidParameter"),
        ({"Resource": None, "DeleteTags": keys("a")}, "InvalidParameter"),
        (
            {"Resource": "img-aaaaaaaa", "DeleteTags": keys("a")},
            "InvalidParameterValue.ResourceDescriptionError",
        ),
        (
            {"Resource": A.replace("aaaaaaaa", "zzzzzzzz"), "DeleteTags": keys("a")},
            "ResourceNotFound",
        ),
        (
            {"Resource": A.replace("aaaaaaaa", "bbbbbbbb"), "DeleteTags": keys("a")},
            "AuthFailure.UnauthorizedOperation",
        ),
        (
            {"Resource": A.replace("aaaaaaaa", "cccccccc"), "ReplaceTags": tags(a="v")},
            "LimitExceeded.ResourceAttachedTags",
        ),
    ],
)
def test_modify_errors(state: State, params: dict[str, Any], code: str) -> None:
    """An invalid request has its error code and changes nothing."""
    before = state.snapshot()
    with pytest.raises(ErrorReply) as raised:
        called(MODIFY, state, "", {"Resource": A, **params})
    assert raised.value.code == code
    assert state.snapshot() == before


def test_modify_swaps_within_the_limit(state: State) -> None:
    """An image with the maximum number of tags accepts a new one if the call removes one."""
    full = A.replace("aaaaaaaa", "cccccccc")
    called(
        MODIFY,
        state,
        "",
        {"Resource": full, "ReplaceTags": tags(new="v"), "DeleteTags": keys("key0")},
    )
    assert len(tags_of(state.image("ap-guangzhou", "img-cccccccc"))) == 50


def query(*letters: str, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - any parameter
    """Parameters that query the tags of images."""
    ids = [f"img-{letter * 8}" for letter in letters]
    params: dict[str, Any] = {"ServiceType": "cvm", "ResourcePrefix": "image", "ResourceIds": ids}
    return {**params, "ResourceRegion": "ap-guangzhou", **changes}


def test_describe_rows_are_tags(state: State) -> None:
    """A page counts tags, not resources; it has 15 by default, and unknown ids have none."""
    reply = called(DESCRIBE, state, "", query("z", "a", "a", "c"))
    assert (reply["TotalCount"], reply["Offset"], reply["Limit"]) == (51, 0, 15)
    assert reply["Tags"][0] == {
        "TagKey": "team",
        "TagValue": "infra",
        "ResourceId": "img-aaaaaaaa",
        "TagKeyMd5": "f894427cc1c571f79da49605ef8b112f",
        "TagValueMd5": "2d0059c6b6b34a757c93f800bcb3f37c",
        "ServiceType": "cvm",
        "Category": "Custom",
    }
    assert len(reply["Tags"]) == 15
    last = called(DESCRIBE, state, "", query("a", "c", Offset=50, Limit=25))
    assert [row["TagKey"] for row in last["Tags"]] == ["key49"]


@pytest.mark.parametrize(
    "changes",
    [{"ResourcePrefix": "instance"}, {"ResourceRegion": "ap-shanghai"}, {"Category": "System"}],
)
def test_describe_lists_no_other_tags(state: State, changes: dict[str, str]) -> None:
    """Only custom tags of images in the given region are listed."""
    assert called(DESCRIBE, state, "", query("a", **changes))["TotalCount"] == 0
    assert called(DESCRIBE, state, "", query("a", Category="Custom"))["TotalCount"] == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"ServiceType": "cbs"}, "InvalidParameterValue.ServiceTypeInvalid"),
        ({"ResourcePrefix": ""}, "InvalidParameterValue.ResourcePrefixInvalid"),
        ({"ResourceRegion": "guangzhou"}, "InvalidParameterValue.RegionInvalid"),
        ({"ResourceIds": []}, "InvalidParameterValue.ResourceIdInvalid"),
        ({"ResourceIds": ["img-aaaaaaaa"] * 51}, "InvalidParameterValue.ResourceIdInvalid"),
        ({"Limit": 0}, "InvalidParameterValue"),
        ({"Offset": 1}, "InvalidParameterValue.OffsetInvalid"),
        ({"Offset": -15}, "InvalidParameterValue.OffsetInvalid"),
        ({"Category": "Mine"}, "InvalidParameterValue"),
        ({"Limit": "15"}, "InvalidParameter"),
        ({"ResourceRegions": ["ap-x"]}, "UnknownParameter"),
    ],
)
def test_describe_errors(state: State, changes: dict[str, Any], code: str) -> None:
    """Each invalid parameter has its error code."""
    with pytest.raises(ErrorReply) as raised:
        called(DESCRIBE, state, "", query("a", **changes))
    assert raised.value.code == code


@pytest.mark.parametrize("name", ["ServiceType", "ResourcePrefix", "ResourceIds", "ResourceRegion"])
def test_describe_requires_all_parameters(state: State, name: str) -> None:
    """Every parameter that identifies the resources is required."""
    params = {key: value for key, value in query("a").items() if key != name}
    with pytest.raises(ErrorReply, match="MissingParameter"):
        called(DESCRIBE, state, "", params)
