"""The typed official Python clients, sync and async, with every request form they support."""

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
CREDENTIALS = AccountCredentials()
CLIENTS = {
    (cvm, "sync"): cvm_client.CvmClient,
    (cvm, "async"): cvm_client_async.CvmClient,
    (tag, "sync"): tag_client.TagClient,
    (tag, "async"): tag_client_async.TagClient,
}
FORMS = [
    *product(("sync", "async"), ("TC3-HMAC-SHA256", "HmacSHA1", "HmacSHA256"), ("POST", "GET"))
]

# httpx, which the async clients use, logs each URL at INFO. The URL of a GET request with the older
# signature contains the token, and conftest.py fails a test whose log contains a secret.
logging.getLogger("httpx").setLevel(logging.WARNING)

# The SDK warns about undocumented members, which real images have as well.
pytestmark = pytest.mark.filterwarnings("ignore:.*fileds are useless")


@dataclass(frozen=True)
class Client:
    """A typed client of either service; sync and async clients are called the same way."""

    url: str
    kind: str
    sign_method: str
    method: str

    def __call__(
        self,
        models: Any,  # noqa: ANN401 - the SDK's module
        action: str,
        credentials: AccountCredentials = CREDENTIALS,
        **params: object,
    ) -> Any:  # noqa: ANN401 - the SDK's answer
        """Call an action."""
        http = HttpProfile("http", self.url.removeprefix("http://"), self.method)
        profile = ClientProfile(self.sign_method, http, language="en-US")
        region = None if models is tag else REGION  # the Tag API has no regions
        signer = Credential(credentials.secret_id, credentials.secret_key, credentials.token)
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
    """Each client with each request form, connected to the seeded cloud."""
    return Client(cloud.url, *request.param)


def mistyped_members(model: Any) -> Iterator[str]:  # noqa: ANN401 - any model of the SDK
    """The members of a reply whose types differ from those that the SDK documents."""
    for name, member in vars(type(model)).items():
        if not isinstance(member, property):
            continue
        value = getattr(model, name)
        listed, kind = re.findall(r":rtype: (list of )?(\w+)", str(member.__doc__))[0]
        for item in value if listed and value is not None else [value]:
            if hasattr(item, "_deserialize"):
                yield from mistyped_members(item)
            if item is not None and type(item).__name__ != kind:
                yield f"{name}: {item!r} is not a {kind}"


def test_images(client: Client, cloud: EmulatedCloud) -> None:
    """Any name can be set and read back, and every member has its documented type."""
    assert client(cvm, "ModifyImageAttribute", ImageId=IMAGE, ImageName=NAME).RequestId
    name_filter = {"Name": "image-name", "Values": [NAME, "other"]}
    reply = client(cvm, "DescribeImages", Filters=[name_filter], Limit=1)
    (image,) = reply.ImageSet
    assert (image.ImageId, image.ImageName) == (IMAGE, NAME)
    assert (reply.TotalCount, list(mistyped_members(reply))) == (1, [])
    assert cloud.state.image(REGION, IMAGE)["ImageName"] == NAME


def test_booleans(client: Client, cloud: EmulatedCloud) -> None:
    """Booleans are accepted, except where the SDK itself signs `True` but sends `true`."""
    form = (client.kind, client.method, client.sign_method[:4])
    with (
        pytest.raises(TencentCloudSDKException, match="SignatureFailure")
        if form == ("async", "GET", "Hmac")
        else nullcontext()
    ):
        client(cvm, "ModifyImageAttribute", ImageId=IMAGE, ImageDeprecated=True)
        assert cloud.state.image(REGION, IMAGE)["ImageDeprecated"] is True


def test_tags(client: Client, cloud: EmulatedCloud) -> None:
    """All four tag actions work without a region, and every member has its documented type."""
    missing = RESOURCE.replace(IMAGE, "img-zzzzzzzz")
    pair = {"TagKey": "team", "TagValue": "web @+名"}
    reply = client(tag, "TagResources", ResourceList=[RESOURCE, missing], Tags=[pair])
    (failed,) = reply.FailedResources
    assert (failed.Resource, failed.Code) == (missing, "ResourceNotFound")
    client(tag, "ModifyResourceTags", Resource=RESOURCE, ReplaceTags=[{**pair, "TagKey": "owner"}])
    query: dict[str, Any] = {"ServiceType": "cvm", "ResourcePrefix": "image"}
    query |= {"ResourceIds": [IMAGE], "ResourceRegion": REGION, "Offset": 1, "Limit": 1}
    page = client(tag, "DescribeResourceTagsByResourceIds", **query)
    assert (page.TotalCount, [row.TagKey for row in page.Tags]) == (2, ["owner"])
    assert [*mistyped_members(reply), *mistyped_members(page)] == []
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
def test_wrong_credentials(client: Client, changes: dict[str, Any], code: str) -> None:
    """Id, key and token must each be correct; the error has the API's code and a RequestId."""
    with pytest.raises(TencentCloudSDKException) as raised:
        client(cvm, "DescribeImages", replace(CREDENTIALS, **changes))
    assert raised.value.code == code
    assert raised.value.requestId


@pytest.mark.parametrize("form", FORMS, ids=" ".join)
@pytest.mark.parametrize("seconds", [-310, 310])
def test_skewed_clock(form: tuple[str, str, str], seconds: int) -> None:
    """A clock more than five minutes off, behind or ahead, is rejected with the API's code."""
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
def test_errors(client: Client, action: str, params: dict[str, Any], code: str) -> None:
    """The same mistake has the same error code in every request form."""
    with pytest.raises(TencentCloudSDKException) as raised:
        client(cvm, action, **params)
    assert raised.value.code == code


# `pytest.warns` emits unexpected warnings again, from a module that pyproject.toml's filter for the
# same warning does not name.
@pytest.mark.filterwarnings("ignore:datetime.datetime.utcfromtimestamp:DeprecationWarning")
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_warning_about_unknown_members(cloud: EmulatedCloud, kind: str) -> None:
    """The typed client warns about undocumented members, as it does with real images."""
    with pytest.warns(UserWarning, match="fileds are useless"):
        Client(cloud.url, kind, "TC3-HMAC-SHA256", "POST")(cvm, "DescribeImages", Limit=1)


def test_large_request(cloud: EmulatedCloud) -> None:
    """A query is limited to 32 KB, a form to 1 MB and JSON to 10 MB (product/1278/46710)."""
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
