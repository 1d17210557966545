"""The official Node.js SDK with all its signature methods, against `scf-local cloud`."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conformance.conftest import INSTALLED, ServedCloud

if TYPE_CHECKING:
    from collections.abc import Callable

REGION, IMAGE = "ap-guangzhou", "img-6pb6lrmy"
RESOURCE = f"qcs::cvm:{REGION}:uin/:image/{IMAGE}"
METHODS = [*product(("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"), ("POST", "GET"))]
"""Signature method and HTTP method."""
NAMES = ("endpoint", "own names")
"""Whether the SDK is given the cloud's endpoint, or nothing but the exported variables."""


@dataclass(frozen=True)
class NodeSdk:
    """The SDK with one signature method, HTTP method and kind of name, connected to a cloud."""

    cloud: ServedCloud
    home: Path
    methods: tuple[str, str]
    names: str = NAMES[0]

    def __call__(self, *calls: dict[str, Any]) -> list[dict[str, Any]]:
        """Make calls, and return for each the reply, or the error's code and RequestId."""
        methods = dict(zip(("signMethod", "reqMethod"), self.methods, strict=True))
        url = self.cloud.url if self.names == NAMES[0] else ""
        text = json.dumps({"url": url, "calls": [methods | call for call in calls]})
        script = Path(__file__).with_name("call.cjs")
        done = self.cloud.run(
            *("node", "--no-deprecation", script),
            home=self.home,
            text=text,
            NODE_PATH=str(INSTALLED / "node/node_modules"),
        )
        assert (done.returncode, done.stderr) == (0, "")
        replies: list[dict[str, Any]] = json.loads(done.stdout)
        return replies


@pytest.fixture(params=[*product(METHODS, NAMES)], ids=str)
def node(
    serve: Callable[[], ServedCloud], tmp_path: Path, request: pytest.FixtureRequest
) -> NodeSdk:
    """The SDK with each pair of methods and each kind of name, connected to a seeded cloud."""
    return NodeSdk(serve(), tmp_path, *request.param)


def call(
    action: str,
    *,
    tag: bool = False,
    credential: object = None,
    **params: Any,  # noqa: ANN401 - any JSON
) -> dict[str, Any]:
    """Return a call of the CVM or the Tag API; `credential` replaces parts of the credentials."""
    return {"tag": tag, "action": action, "params": params, "credential": credential or {}}


def test_images(node: NodeSdk) -> None:
    """An image is renamed and described; the SDK returns each member as the cloud has it."""
    name = "sample 名 a&b=c+d%20"
    changes: dict[str, Any] = {"ImageName": name, "ImageDeprecated": True}
    by_name = {"Name": "image-name", "Values": [name, "other"]}
    renamed, described = node(
        call("ModifyImageAttribute", ImageId=IMAGE, **changes),
        call("DescribeImages", Filters=[by_name], Limit=1),
    )
    assert renamed.keys() == {"RequestId"}
    assert described.keys() == {"ImageSet", "TotalCount", "RequestId"}
    assert described["ImageSet"] == [node.cloud.image(REGION, IMAGE)]
    assert described["ImageSet"][0].items() >= changes.items()


def test_tags(node: NodeSdk) -> None:
    """All four actions on tags work without a region."""
    tags = [{"TagKey": "team", "TagValue": "web"}, {"TagKey": "tmp", "TagValue": "1"}]
    kind: dict[str, Any] = {
        "ServiceType": "cvm",
        "ResourcePrefix": "image",
        "ResourceRegion": REGION,
    }
    unknown = RESOURCE.replace(IMAGE, "img-zzzzzzzz")
    tagged, modified, described, untagged = node(
        call("TagResources", tag=True, ResourceList=[RESOURCE, unknown], Tags=tags),
        call("ModifyResourceTags", tag=True, Resource=RESOURCE, DeleteTags=[{"TagKey": "tmp"}]),
        call("DescribeResourceTagsByResourceIds", tag=True, ResourceIds=[IMAGE], Limit=5, **kind),
        call("UnTagResources", tag=True, ResourceList=[RESOURCE], TagKeys=["team"]),
    )
    assert [failed["Code"] for failed in tagged["FailedResources"]] == ["ResourceNotFound"]
    assert modified.keys() == {"RequestId"}
    assert [row["TagKey"] for row in described["Tags"]] == ["team"]
    assert untagged["FailedResources"] == []
    assert node.cloud.image(REGION, IMAGE)["Tags"] == []


def test_errors(node: NodeSdk) -> None:
    """Each error has the API's code and a RequestId."""
    wrong_id, wrong_key, no_token = (
        {"secretId": "AKIDOTHER"},
        {"secretKey": "other"},
        {"token": None},
    )
    expected = {
        "AuthFailure.SecretIdNotFound": call("DescribeImages", credential=wrong_id),
        "AuthFailure.SignatureFailure": call("DescribeImages", credential=wrong_key),
        "AuthFailure.TokenFailure": call("DescribeImages", credential=no_token),
        "InvalidImageId.Malformed": call("ModifyImageAttribute", ImageId="ami-1"),
        "MissingParameter": call("ModifyImageAttribute"),
        "InvalidAction": call("DescribeInstances"),
    }
    errors = node(*expected.values())
    assert [error["code"] for error in errors] == list(expected)
    assert all(error["requestId"] for error in errors)


@pytest.mark.parametrize("methods", METHODS, ids=" ".join)
def test_skewed_clock(
    serve: Callable[..., ServedCloud], tmp_path: Path, methods: tuple[str, str]
) -> None:
    """If the clocks differ by more than five minutes, the error has the API's code."""
    cloud = serve({"Action": "*", "Fault": "skew", "Seconds": 310})
    (error,) = NodeSdk(cloud, tmp_path, methods)(call("DescribeImages"))
    assert error["code"] == "AuthFailure.SignatureExpire"
