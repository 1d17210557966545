"""The official Node.js SDK, in every form of request that it sends, against `scf-local cloud`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.conftest import INSTALLED, Cloud

if TYPE_CHECKING:
    from collections.abc import Callable

REGION, IMAGE = "ap-guangzhou", "img-6pb6lrmy"
RESOURCE = f"qcs::cvm:{REGION}:uin/:image/{IMAGE}"
FORMS = [*product(("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"), ("POST", "GET"))]


@dataclass(frozen=True)
class Node:
    """The SDK in one form, pointed at a cloud."""

    cloud: Cloud
    home: Path
    form: tuple[str, str]

    def __call__(self, *calls: dict[str, Any]) -> list[dict[str, Any]]:
        """Replies, or codes and RequestIds, one for each call."""
        form = dict(zip(("signMethod", "reqMethod"), self.form, strict=True))
        asked = {"url": self.cloud.url, "calls": [form | call for call in calls]}
        script = Path(__file__).with_name("ask.cjs")
        done = self.cloud.run(
            *("node", "--no-deprecation", script),
            home=self.home,
            text=json.dumps(asked),
            NODE_PATH=str(INSTALLED / "node/node_modules"),
        )
        assert (done.returncode, done.stderr) == (0, "")
        replies: list[dict[str, Any]] = json.loads(done.stdout)
        return replies


@pytest.fixture(params=FORMS, ids=" ".join)
def node(serve: Callable[[], Cloud], tmp_path: Path, request: pytest.FixtureRequest) -> Node:
    """The SDK in each form, pointed at a seeded cloud."""
    return Node(serve(), tmp_path, request.param)


def call(action: str, *, tag: bool = False, keys: object = None, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """A call, of CVM unless it is of the Tag API."""
    return {"tag": tag, "action": action, "params": params, "keys": keys or {}}


def test_images(node: Node) -> None:
    """An image is renamed and read, with every member that the wire has, in its own type."""
    name = "sample 名 a&b=c+d%20"
    changes: dict[str, Any] = {"ImageName": name, "ImageDeprecated": True}
    chosen = {"Name": "image-name", "Values": [name, "other"]}
    renamed, described = node(
        call("ModifyImageAttribute", ImageId=IMAGE, **changes),
        call("DescribeImages", Filters=[chosen], Limit=1),
    )
    assert renamed.keys() == {"RequestId"}
    assert described.keys() == {"ImageSet", "TotalCount", "RequestId"}
    assert described["ImageSet"] == [node.cloud.image(REGION, IMAGE)]
    assert described["ImageSet"][0].items() >= changes.items()


def test_tags(node: Node) -> None:
    """All four actions on tags work without a region."""
    tags = [{"TagKey": "team", "TagValue": "web"}, {"TagKey": "tmp", "TagValue": "1"}]
    asked: dict[str, Any] = {
        "ServiceType": "cvm",
        "ResourcePrefix": "image",
        "ResourceRegion": REGION,
    }
    gone = RESOURCE.replace(IMAGE, "img-zzzzzzzz")
    tagged, modified, described, untagged = node(
        call("TagResources", tag=True, ResourceList=[RESOURCE, gone], Tags=tags),
        call("ModifyResourceTags", tag=True, Resource=RESOURCE, DeleteTags=[{"TagKey": "tmp"}]),
        call("DescribeResourceTagsByResourceIds", tag=True, ResourceIds=[IMAGE], Limit=5, **asked),
        call("UnTagResources", tag=True, ResourceList=[RESOURCE], TagKeys=["team"]),
    )
    assert [one["Code"] for one in tagged["FailedResources"]] == ["ResourceNotFound"]
    assert modified.keys() == {"RequestId"}
    assert [row["TagKey"] for row in described["Tags"]] == ["team"]
    assert untagged["FailedResources"] == []
    assert node.cloud.image(REGION, IMAGE)["Tags"] == []


def test_refusals(node: Node) -> None:
    """Each refusal has the API's code and a RequestId."""
    expected = {
        "AuthFailure.SecretIdNotFound": call("DescribeImages", keys={"secretId": "AKIDOTHER"}),
        "AuthFailure.SignatureFailure": call("DescribeImages", keys={"secretKey": "other"}),
        "AuthFailure.TokenFailure": call("DescribeImages", keys={"token": None}),
        "InvalidImageId.Malformed": call("ModifyImageAttribute", ImageId="ami-1"),
        "MissingParameter": call("ModifyImageAttribute"),
        "InvalidAction": call("DescribeInstances"),
    }
    refusals = node(*expected.values())
    assert [refusal["code"] for refusal in refusals] == list(expected)
    assert all(refusal["requestId"] for refusal in refusals)


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
def test_skewed_clock(serve: Callable[..., Cloud], tmp_path: Path, form: tuple[str, str]) -> None:
    """Clocks more than five minutes apart are refused with the API's code."""
    cloud = serve({"Action": "*", "Fault": "skew", "Seconds": 310})
    (refusal,) = Node(cloud, tmp_path, form)(call("DescribeImages"))
    assert refusal["code"] == "AuthFailure.SignatureExpire"
