"""The emulated cloud over HTTP, called by the official SDKs."""

from __future__ import annotations

import json
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from cos_client import client_of
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.cloud.wire import Call, Reply
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = Path(__file__).parents[2] / "events" / "seed"
REGION, IMAGE = "ap-guangzhou", "img-6pb6lrmy"
BUCKET = "manifests-1250000000"


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """A running cloud with the project's seed."""
    with EmulatedCloud(State.from_folder(SEED)) as running:
        yield running


def profile(cloud: EmulatedCloud) -> ClientProfile:
    """A client profile that points at the cloud."""
    http = HttpProfile(protocol="http", endpoint=cloud.url.removeprefix("http://"))
    return ClientProfile(httpProfile=http, language="en-US")


def credential(credentials: AccountCredentials) -> Credential:
    """The SDK's form of the credentials."""
    return Credential(credentials.secret_id, credentials.secret_key, credentials.token)


def call(  # noqa: PLR0913, PLR0917 - what makes up a call
    cloud: EmulatedCloud,
    action: str,
    params: dict[str, Any],
    service: str = "cvm",
    version: str = "2017-03-12",
    region: str | None = REGION,
    credentials: AccountCredentials | None = None,
) -> Any:  # noqa: ANN401 - the SDK's answer
    """Call an action with CommonClient."""
    signer = credential(credentials or cloud.credentials)
    client = CommonClient(service, version, signer, REGION, profile(cloud))
    client.region = region  # the constructor requires one
    return client.call_json(action, params)["Response"]


def code_of(*args: Any, **kwargs: Any) -> str:  # noqa: ANN401 - those of `call`
    """The error code that a call fails with."""
    with pytest.raises(TencentCloudSDKException) as raised:
        call(*args, **kwargs)
    assert raised.value.requestId
    return str(raised.value.code)


def test_common_client_sees_the_wire(cloud: EmulatedCloud) -> None:
    """The wire format has undocumented members, and may lack documented ones."""
    images = call(cloud, "DescribeImages", {"ImageIds": ["img-c3d4e5f6", "img-qlzp4oea"]})[
        "ImageSet"
    ]
    assert images[0]["CreatePercent"] == 40
    assert "SnapshotSet" not in images[0]
    assert images[1]["Tags"] == [
        {"Key": "team", "Value": "infra", "tagKey": "team", "tagValue": "infra"}
    ]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"action": "DescribeInstances"}, "InvalidAction"),
        ({"version": "2016-01-01"}, "NoSuchVersion"),
        ({"service": "cbs"}, "NoSuchProduct"),
        ({"region": None}, "MissingParameter"),
        ({"region": "guangzhou"}, "InvalidRegion.NotFound"),
        ({"params": {"Limit": 1000}}, "InvalidParameterValue.InvalidParameterValueLimit"),
        ({"credentials": AccountCredentials(token="")}, "AuthFailure.TokenFailure"),
        ({"credentials": AccountCredentials(secret_key="other")}, "AuthFailure.SignatureFailure"),
        (
            {"credentials": AccountCredentials(secret_id="AKIDOTHER")},
            "AuthFailure.SecretIdNotFound",
        ),
    ],
)
def test_errors(cloud: EmulatedCloud, changes: dict[str, Any], code: str) -> None:
    """The official client raises the documented code, which is also recorded."""
    arguments = {"action": "DescribeImages", "params": {}} | changes
    assert code_of(cloud, **arguments) == code
    assert [recorded["Outcome"] for recorded in cloud.state.snapshot()["Calls"]] == [code]


def test_region_is_optional_for_tags(cloud: EmulatedCloud) -> None:
    """The Tag API requires no region, only its own parameters."""
    code = code_of(cloud, "TagResources", {}, service="tag", version="2018-08-13", region=None)
    assert code == "MissingParameter"


def test_envelope() -> None:
    """Every reply, errors too, is HTTP 200 with the exact Content-Type that the SDKs expect."""
    replies: list[Reply] = []

    def record(_call: Call, reply: Reply) -> Reply:
        replies.append(reply)
        return reply

    with EmulatedCloud(State(), request_id=lambda: "id-1", on_reply=record) as cloud:
        assert call(cloud, "DescribeImages", {}) == {
            "ImageSet": [],
            "TotalCount": 0,
            "RequestId": "id-1",
        }
        answer = requests.post(cloud.url, headers={"X-TC-Action": "DescribeImages"}, timeout=5)
    assert (answer.status_code, answer.headers["Content-Type"]) == (200, "application/json")
    response = answer.json()["Response"]
    assert response["RequestId"] == "id-1"
    assert response["Error"]["Code"] == "AuthFailure.InvalidAuthorization"
    assert [reply.status for reply in replies] == [200, 200]


def test_on_reply_replaces() -> None:
    """The reply that `on_reply` returns is sent; it receives the call and its number."""
    calls: list[Call] = []

    def fail_second(call_: Call, reply: Reply) -> Reply:
        calls.append(call_)
        if call_.number == 2:
            error = {"Code": "InternalError", "Message": ""}
            body = json.dumps({"Response": {"Error": error, "RequestId": "a"}})
            return replace(reply, body=body.encode())
        return reply

    with EmulatedCloud(State.from_folder(SEED), on_reply=fail_second) as cloud:
        assert call(cloud, "DescribeImages", {"Limit": 1})["ImageSet"]
        assert code_of(cloud, "DescribeImages", {"Limit": 2}) == "InternalError"
        client_of(cloud).head_object(Bucket=BUCKET, Key="requests/rename.json")
    assert calls == [
        Call("DescribeImages", REGION, {"Limit": 1}, 1),
        Call("DescribeImages", REGION, {"Limit": 2}, 2),
        Call("HeadObject", REGION, {"Bucket": BUCKET, "Key": "requests/rename.json"}, 1),
    ]


@pytest.mark.parametrize(
    ("service", "version", "action", "limit"),
    [
        ("cvm", "2017-03-12", "ModifyImageAttribute", 10),
        ("cvm", "2017-03-12", "DescribeImages", 40),
        ("tag", "2018-08-13", "TagResources", 20),
        ("tag", "2018-08-13", "UnTagResources", 20),
        ("tag", "2018-08-13", "ModifyResourceTags", 20),
        ("tag", "2018-08-13", "DescribeResourceTagsByResourceIds", 100),
    ],
)
def test_limits(service: str, version: str, action: str, limit: int) -> None:
    """Each action is limited per region and second, and allowed again a second later."""
    passed = 0.0

    def outcome(region: str) -> str:
        return code_of(cloud, action, {"no": 1}, service, version, region)

    start = time.time()
    with EmulatedCloud(State(), clock=lambda: start + passed) as cloud:
        outcomes = [outcome(REGION) for _ in range(limit + 1)]
        assert outcomes == ["UnknownParameter"] * limit + ["RequestLimitExceeded"]
        assert outcome("ap-shanghai") == "UnknownParameter"
        passed = 0.75
        assert outcome(REGION) == "RequestLimitExceeded"
        passed = 1.0
        assert outcome(REGION) == "UnknownParameter"


def test_limits_can_be_switched_off() -> None:
    """Without limits, nothing is throttled."""
    with EmulatedCloud(State(), limits=False) as cloud:
        codes = {code_of(cloud, "ModifyImageAttribute", {}) for _ in range(30)}
    assert codes == {"MissingParameter"}


def test_clock() -> None:
    """The signature's time is checked against the emulated cloud's clock."""
    with EmulatedCloud(State(), clock=lambda: 0.0) as cloud:
        assert code_of(cloud, "DescribeImages", {}) == "AuthFailure.SignatureExpire"


def test_state_over_http(cloud: EmulatedCloud) -> None:
    """`GET /_state` needs no signature and returns `State.snapshot`, including writes."""
    call(cloud, "ModifyImageAttribute", {"ImageId": IMAGE, "ImageName": "sample"})
    answer = requests.get(f"{cloud.url}/_state", timeout=5).json()
    assert answer == cloud.state.snapshot()
    (recorded,) = answer["Calls"]
    assert recorded.keys() == {"Time", "Action", "Region", "Outcome"}
    assert answer["Objects"][BUCKET]
    assert cloud.state.writes() == [recorded]


@pytest.mark.parametrize("path", ["/", "/else", "/_state/"])
def test_unknown_path(cloud: EmulatedCloud, path: str) -> None:
    """Any other path is 404, and the text names the valid one."""
    answer = requests.get(cloud.url + path, timeout=5)
    assert answer.status_code == 404
    assert "GET /_state" in answer.text


def test_latency() -> None:
    """A reply is delayed by the given latency."""
    with (
        EmulatedCloud(State.from_folder(SEED), latency=60.0) as cloud,
        pytest.raises(requests.ReadTimeout),
    ):
        requests.get(f"{cloud.url}/_state", timeout=0.05)


def test_environment(cloud: EmulatedCloud) -> None:
    """The variables that point the function at the cloud are those that it reads."""
    assert cloud.environment() == {
        "STEWARD_API_ENDPOINT": cloud.url,
        "STEWARD_COS_ENDPOINT": cloud.url,
        "TENCENTCLOUD_SECRETID": "AKIDLOCALEXAMPLE000000000000000000",
        "TENCENTCLOUD_SECRETKEY": "LOCALEXAMPLEKEY00000000000000000",
        "TENCENTCLOUD_SESSIONTOKEN": "LOCALEXAMPLETOKEN",
    }


def test_port_in_use() -> None:
    """The error for a port in use names it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            EmulatedCloud(State(), port=port).__enter__()
