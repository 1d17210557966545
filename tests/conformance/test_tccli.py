"""The official command line, `tccli`, against `scf-local cloud`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conformance.typed_cli import REGION, Tccli, mistyped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conformance.conftest import ServedCloud

IMAGE = "img-6pb6lrmy"
RESOURCE = f"qcs::cvm:{REGION}:uin/:image/{IMAGE}"


@pytest.fixture
def tccli(serve: Callable[[], ServedCloud], tmp_path: Path) -> Tccli:
    """`tccli`, connected to a seeded cloud."""
    return Tccli(serve(), tmp_path)


def test_describe(tccli: Tccli) -> None:
    """Images are described, paged and filtered; all members have the type that tccli expects.

    SnapshotSet is missing in real replies, too.
    """
    reply = tccli("cvm", "DescribeImages", "--Limit", "100")
    assert reply["TotalCount"] == len(reply["ImageSet"])
    assert set(mistyped(reply, "DescribeImagesResponse", "cvm")) == {"Image.SnapshotSet is null"}
    by_id = json.dumps([{"Name": "image-id", "Values": [IMAGE]}])
    page = tccli("cvm", "DescribeImages", "--Filters", by_id, "--Limit", "1", "--Offset", "0")
    assert [image["ImageId"] for image in page["ImageSet"]] == [IMAGE]
    unfolded = ("--Filters.0.Name", "image-id", "--Filters.0.Values", IMAGE)
    same = tccli("cvm", "DescribeImages", "--cli-unfold-argument", *unfolded)
    assert same["ImageSet"] == page["ImageSet"]


def test_modify(tccli: Tccli) -> None:
    """An image's name, in any script, its description and its deprecation are changed."""
    options = ("--ImageId", IMAGE, "--ImageName", "sample 名", "--ImageDescription", "built today")
    reply = tccli("cvm", "ModifyImageAttribute", *options, "--ImageDeprecated", "True")
    assert reply.keys() == {"RequestId"}
    image = tccli.cloud.image(REGION, IMAGE)
    assert (image["ImageName"], image["ImageDescription"]) == ("sample 名", "built today")
    assert image["ImageDeprecated"] is True


def test_tags(tccli: Tccli) -> None:
    """All four actions on tags work, and report what failed."""
    resources = json.dumps([RESOURCE, RESOURCE.replace(IMAGE, "img-zzzzzzzz")])
    pair = json.dumps([{"TagKey": "team", "TagValue": "web"}])
    reply = tccli("tag", "TagResources", "--ResourceList", resources, "--Tags", pair)
    assert list(mistyped(reply, "TagResourcesResponse", "tag")) == []
    assert [failed["Code"] for failed in reply["FailedResources"]] == ["ResourceNotFound"]
    more = json.dumps([{"TagKey": "owner", "TagValue": "ops"}])
    tccli("tag", "ModifyResourceTags", "--Resource", RESOURCE, "--ReplaceTags", more)
    kind = ("--ServiceType", "cvm", "--ResourcePrefix", "image", "--ResourceRegion", REGION)
    page = tccli("tag", "DescribeResourceTagsByResourceIds", *kind, "--ResourceIds", f'["{IMAGE}"]')
    assert list(mistyped(page, "DescribeResourceTagsByResourceIdsResponse", "tag")) == []
    assert [row["TagKey"] for row in page["Tags"]] == ["team", "owner"]
    keys = ("--TagKeys", '["team", "owner"]')
    tccli("tag", "UnTagResources", "--ResourceList", json.dumps([RESOURCE]), *keys)
    assert tccli.cloud.image(REGION, IMAGE)["Tags"] == []


@pytest.mark.parametrize(
    ("environ", "options", "code"),
    [
        ({"TENCENTCLOUD_SECRET_ID": "AKIDOTHER"}, (), "AuthFailure.SecretIdNotFound"),
        ({"TENCENTCLOUD_SECRET_KEY": "other"}, (), "AuthFailure.SignatureFailure"),
        ({"TENCENTCLOUD_TOKEN": "other"}, (), "AuthFailure.TokenFailure"),
        ({"TENCENTCLOUD_TOKEN": ""}, (), "AuthFailure.TokenFailure"),
        ({}, ("--ImageId", "img-zzzzzzzz"), "InvalidImageId.NotFound"),
        ({}, ("--ImageName", "n" * 61), "InvalidParameterValue.TooLarge"),
        ({}, ("--ImageName", "web-build-0143"), "InvalidImageName.Duplicate"),
    ],
)
def test_errors(tccli: Tccli, environ: dict[str, str], options: tuple[str, ...], code: str) -> None:
    """Tccli prints an error with its code and RequestId, as those of the real API."""
    given = options if "--ImageId" in options else ("--ImageId", IMAGE, *options)
    done = tccli.run("cvm", "ModifyImageAttribute", *given, **environ)
    assert (done.returncode, done.stdout) == (255, "")
    assert f"[TencentCloudSDKException] code:{code} message:" in done.stderr
    assert "requestId:" in done.stderr


@pytest.mark.parametrize("seconds", [-310, 310])
def test_skewed_clock(serve: Callable[..., ServedCloud], tmp_path: Path, seconds: int) -> None:
    """If the clocks differ by more than five minutes, the error has the API's code."""
    cloud = serve({"Action": "*", "Fault": "skew", "Seconds": seconds})
    done = Tccli(cloud, tmp_path).run("cvm", "DescribeImages")
    assert "code:AuthFailure.SignatureExpire" in done.stderr
