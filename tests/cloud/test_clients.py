"""The official Python clients, typed, sync and async, in every form of request that they send."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from contextlib import nullcontext
from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.cvm.v20170312 import cvm_client, cvm_client_async
from tencentcloud.cvm.v20170312 import models as cvm
from tencentcloud.tag.v20180813 import models as tag
from tencentcloud.tag.v20180813 import tag_client, tag_client_async

from scf_local.cloud.seed import tags_of
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, IMAGE = "ap-guangzhou", "img-6pb6lrmy"
RESOURCE = f"qcs::cvm:{REGION}:uin/:image/{IMAGE}"
NAME = "sample 名 a&b=c+d%20"
KEYS = AccountCredentials()
CLIENTS = {
    (cvm, "sync"): cvm_client.CvmClient,
    (cvm, "async"): cvm_client_async.CvmClient,
    (tag, "sync"): tag_client.TagClient,
    (tag, "async"): tag_client_async.TagClient,
}
FORMS = [
    *product(("sync", "async"), ("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"), ("POST", "GET"))
]

# httpx, which the async clients use, logs each URL at INFO: a GET signed the older way holds the
# token in it, and conftest.py allows none in a log.
logging.getLogger("httpx").setLevel(logging.WARNING)

# The SDK warns of the undocumented members that real images have, too.
pytestmark = pytest.mark.filterwarnings("ignore:.*fileds are useless")


@dataclass(frozen=True)
class Client:
    """A typed client of either service; both ways of running it look alike."""

    url: str
    kind: str
    sign_method: str
    method: str

    def __call__(
        self,
        models: Any,  # noqa: ANN401 - the SDK's module
        action: str,
        keys: AccountCredentials = KEYS,
        **params: object,
    ) -> Any:  # noqa: ANN401 - the SDK's answer
        """Call an action."""
        http = HttpProfile("http", self.url.removeprefix("http://"), self.method)
        profile = ClientProfile(self.sign_method, http, language="en-US")
        region = None if models is tag else REGION  # the Tag API wants none
        signer = Credential(keys.secret_id, keys.secret_key, keys.token)
        client = CLIENTS[models, self.kind](signer, region, profile)
        request = getattr(models, f"{action}Request")()
        request._deserialize(params)
        if self.kind == "sync":
            return getattr(client, action)(request)

        async def call() -> Any:  # noqa: ANN401 - the SDK's answer
            async with client:
                return await getattr(client, action)(request)

        return asyncio.run(call())


@pytest.fixture(params=FORMS, ids=" ".join)
def client(request: pytest.FixtureRequest, cloud: EmulatedCloud) -> Client:
    """Each client in each form, pointed at the seeded cloud."""
    return Client(cloud.url, *request.param)


def mistyped(model: Any) -> Iterator[str]:  # noqa: ANN401 - any model of the SDK
    """The members of a reply whose types are not those that the SDK documents."""
    for name, member in vars(type(model)).items():
        if not isinstance(member, property):
            continue
        value = getattr(model, name)
        listed, kind = re.findall(r":rtype: (list of )?(\w+)", str(member.__doc__))[0]
        for one in value if listed and value is not None else [value]:
            if hasattr(one, "_deserialize"):
                yield from mistyped(one)
            if one is not None and type(one).__name__ != kind:
                yield f"{name}: {one!r} is no {kind}"


def test_images(client: Client, cloud: EmulatedCloud) -> None:
    """An image is renamed and read, whatever the name holds, and every member has its type."""
    assert client(cvm, "ModifyImageAttribute", ImageId=IMAGE, ImageName=NAME).RequestId
    chosen = {"Name": "image-name", "Values": [NAME, "other"]}
    reply = client(cvm, "DescribeImages", Filters=[chosen], Limit=1)
    (image,) = reply.ImageSet
    assert (image.ImageId, image.ImageName) == (IMAGE, NAME)
    assert (reply.TotalCount, list(mistyped(reply))) == (1, [])
    assert cloud.state.image(REGION, IMAGE)["ImageName"] == NAME


def test_truth_values(client: Client, cloud: EmulatedCloud) -> None:
    """A truth value arrives, except where the SDK itself signs `True` but sends `true`."""
    told = (client.kind, client.method, client.sign_method[:4])
    with (
        pytest.raises(TencentCloudSDKException, match="SignatureFailure")
        if told == ("async", "GET", "Hmac")
        else nullcontext()
    ):
        client(cvm, "ModifyImageAttribute", ImageId=IMAGE, ImageDeprecated=True)
        assert cloud.state.image(REGION, IMAGE)["ImageDeprecated"] is True


def test_tags(client: Client, cloud: EmulatedCloud) -> None:
    """All four actions on tags work without a region, and every member has its type."""
    gone = RESOURCE.replace(IMAGE, "img-zzzzzzzz")
    pair = {"TagKey": "team", "TagValue": "web @+名"}
    reply = client(tag, "TagResources", ResourceList=[RESOURCE, gone], Tags=[pair])
    (failed,) = reply.FailedResources
    assert (failed.Resource, failed.Code) == (gone, "ResourceNotFound")
    client(tag, "ModifyResourceTags", Resource=RESOURCE, ReplaceTags=[{**pair, "TagKey": "owner"}])
    asked: dict[str, Any] = {"ServiceType": "cvm", "ResourcePrefix": "image"}
    asked |= {"ResourceIds": [IMAGE], "ResourceRegion": REGION, "Offset": 1, "Limit": 1}
    page = client(tag, "DescribeResourceTagsByResourceIds", **asked)
    assert (page.TotalCount, [one.TagKey for one in page.Tags]) == (2, ["owner"])
    assert [*mistyped(reply), *mistyped(page)] == []
    client(tag, "ModifyResourceTags", Resource=RESOURCE, DeleteTags=[{"TagKey": "owner"}])
    assert tags_of(cloud.state.image(REGION, IMAGE)) == {"team": "web @+名"}
    assert client(tag, "UnTagResources", ResourceList=[RESOURCE], TagKeys=["team"]).RequestId
    assert tags_of(cloud.state.image(REGION, IMAGE)) == {}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"secret_id": "AKIDOTHER"}, "AuthFailure.SecretIdNotFound"),
        ({"secret_key": "other"}, "AuthFailure.SignatureFailure"),
        ({"token": "other"}, "AuthFailure.TokenFailure"),
        ({"token": None}, "AuthFailure.TokenFailure"),
    ],
    ids=["id", "key", "token", "no token"],
)
def test_wrong_keys(client: Client, changes: dict[str, Any], code: str) -> None:
    """Id, key and token each have to be the right one; the code is the API's, with a RequestId."""
    with pytest.raises(TencentCloudSDKException) as raised:
        client(cvm, "DescribeImages", replace(KEYS, **changes))
    assert raised.value.code == code
    assert raised.value.requestId


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
@pytest.mark.parametrize("seconds", [-310, 310])
def test_skewed_clock(form: tuple[str, str, str], seconds: int) -> None:
    """A clock more than five minutes off, behind or ahead, is refused with the API's code."""
    with (
        EmulatedCloud(State(), clock=lambda: time.time() + seconds) as cloud,
        pytest.raises(TencentCloudSDKException) as raised,
    ):
        Client(cloud.url, *form)(cvm, "DescribeImages")
    assert raised.value.code == "AuthFailure.SignatureExpire"


@pytest.mark.parametrize(
    ("action", "params", "code"),
    [
        ("DescribeImages", {"Limit": 101}, "InvalidParameterValue.InvalidParameterValueLimit"),
        ("ModifyImageAttribute", {}, "MissingParameter"),
        ("ModifyImageAttribute", {"ImageId": "ami-1"}, "InvalidImageId.Malformed"),
        ("DescribeInstances", {"Limit": 1}, "InvalidAction"),
    ],
)
def test_refusals(client: Client, action: str, params: dict[str, Any], code: str) -> None:
    """What is wrong with a request has the same code in every form of it."""
    with pytest.raises(TencentCloudSDKException) as raised:
        client(cvm, action, **params)
    assert raised.value.code == code


# `pytest.warns` sends on what it did not wait for, from a module that pyproject.toml's filter of
# the same warning does not name.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_unknown_members_are_warned_of(cloud: EmulatedCloud, kind: str) -> None:
    """The undocumented members of real images make the typed client warn, as they do there."""
    with pytest.warns(UserWarning, match="fileds are useless"):
        Client(cloud.url, kind, "TC3-HMAC-SHA256", "POST")(cvm, "DescribeImages", Limit=1)


def test_large_request(cloud: EmulatedCloud) -> None:
    """A query may have 32 KB, a form 1 MB and JSON 10 MB (product/1278/46710)."""
    for form, size, code in (
        (("TC3-HMAC-SHA256", "GET"), 31_000, "MissingParameter"),
        (("TC3-HMAC-SHA256", "GET"), 33_000, "RequestSizeLimitExceeded"),
        (("HmacSHA1", "GET"), 33_000, "RequestSizeLimitExceeded"),
        (("HmacSHA1", "POST"), 1_000_000, "MissingParameter"),
        (("HmacSHA1", "POST"), 1_100_000, "RequestSizeLimitExceeded"),
        (("TC3-HMAC-SHA256", "POST"), 10_000_000, "MissingParameter"),
        (("TC3-HMAC-SHA256", "POST"), 10_500_000, "RequestSizeLimitExceeded"),
    ):
        text = "d" * size
        with pytest.raises(TencentCloudSDKException) as raised:
            Client(cloud.url, "sync", *form)(cvm, "ModifyImageAttribute", ImageDescription=text)
        assert raised.value.code == code
        assert cloud.state.snapshot()["Calls"][-1]["Outcome"] == code
