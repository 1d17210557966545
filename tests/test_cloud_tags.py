"""TagResources and UnTagResources of the emulated cloud, without HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from harness.cloud import ApiError, State
from harness.cloud.seed import tags_of
from harness.cloud.tags import SERVICE
from harness.environment import UIN

TAG, UNTAG = SERVICE.actions["TagResources"], SERVICE.actions["UnTagResources"]
A = "qcs::cvm:ap-guangzhou:uin/:image/img-aaaaaaaa"


@pytest.fixture
def state() -> State:
    """An image with one tag, a shared one and a full one."""
    full = [{"Key": f"key{at}", "Value": "v"} for at in range(50)]
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
    """Tags as the API takes them."""
    return [{"TagKey": key, "TagValue": value} for key, value in pairs.items()]


def held(state: State) -> dict[str, str]:
    """The tags of image a."""
    return tags_of(state.image("ap-guangzhou", "img-aaaaaaaa"))


def test_tag_and_untag(state: State) -> None:
    """Tags are added, overwritten and removed, other tags stay, removing again is no failure."""
    resource = A.replace("uin/", f"uin/{UIN}")
    params = {"ResourceList": [resource], "Tags": tags(team="web", 环境="生产【一】")}
    assert TAG(state, "", params) == {"FailedResources": []}
    assert held(state) == {"team": "web", "环境": "生产【一】"}
    for _ in range(2):
        assert UNTAG(state, "", {"ResourceList": [A], "TagKeys": ["team"]}) == {
            "FailedResources": []
        }
        assert held(state) == {"环境": "生产【一】"}


def test_wire_form_of_tags(state: State) -> None:
    """A bound tag has the documented members and the undocumented ones."""
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
    """A resource that fails is reported in an answer that succeeds, and the others are done."""
    reply = TAG(state, "", {"ResourceList": [resource, A], "Tags": tags(owner="ops")})
    (failure,) = reply["FailedResources"]
    assert failure.keys() == {"Resource", "Code", "Message"}
    assert (failure["Resource"], failure["Code"]) == (resource, code)
    assert held(state)["owner"] == "ops"


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
            {"Tags": tags(**{f"key{at}": "v" for at in range(11)})},
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
def test_tag_refusals(state: State, changes: dict[str, Any], code: str) -> None:
    """A bad request is refused whole, with its documented code."""
    with pytest.raises(ApiError) as raised:
        TAG(state, "", {"ResourceList": [A], "Tags": tags(owner="ops")} | changes)
    assert raised.value.code == code
    assert held(state) == {"team": "infra"}


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
def test_untag_refusals(state: State, params: dict[str, Any], code: str) -> None:
    """The same rules hold for unbinding."""
    with pytest.raises(ApiError) as raised:
        UNTAG(state, "", params)
    assert raised.value.code == code


def test_longest_tag(state: State) -> None:
    """The documented maxima themselves are allowed."""
    longest = {"键" * 127: "值" * 255}
    TAG(state, "", {"ResourceList": [A] * 10, "Tags": tags(**longest)})
    assert held(state) == {"team": "infra"} | longest
