"""The emulated cloud over HTTP, called by the official SDKs."""

from __future__ import annotations

import gc
import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from http.client import HTTPResponse, RemoteDisconnected
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit
from xml.etree import ElementTree as ET

import pytest
import requests
from hypothesis import example, given, strategies
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from cos_client import client_of
from scf_local.cloud import cos_calls
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.signatures import cos_signature
from scf_local.cloud.state import State
from scf_local.cloud.wire import Call, Reply, Request
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
        **cloud.network(),
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


# --- Requests that no SDK sends ---

COS_HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
METHODS = ("GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND")


def head_of(method: str, target: str, **headers: str) -> bytes:
    """The start of a request, up to its body; a member `Content_Length` is that header."""
    fields = {"Host": COS_HOST, **{name.replace("_", "-"): text for name, text in headers.items()}}
    lines = (f"{method} {target} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items()))
    return "\r\n".join((*lines, "", "")).encode()


def cos_authorization(cloud: EmulatedCloud, method: str, path: str) -> dict[str, str]:
    """The headers that sign a request for a path, which is not encoded."""
    credentials = cloud.credentials
    window = f"{int(time.time()) - 9};{int(time.time()) + 99}"
    signature = cos_signature(credentials.secret_key, Request(method, path), window)
    return {
        "Authorization": f"q-sign-algorithm=sha1&q-ak={credentials.secret_id}&q-sign-time={window}"
        f"&q-key-time={window}&q-header-list=&q-url-param-list=&q-signature={signature}",
        "x_cos_security_token": credentials.token,
    }


def connection(cloud: EmulatedCloud) -> socket.socket:
    """A connection, on which no test waits for long."""
    host, port = cloud.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=20)


def reply_to(stream: socket.socket) -> tuple[int, bytes]:
    """Return the status and body of the next reply, or (0, b"") if the connection is closed."""
    reply = HTTPResponse(stream)
    try:
        reply.begin()
        return reply.status, reply.read()
    except (RemoteDisconnected, ConnectionResetError):
        return 0, b""
    finally:
        reply.close()


def is_closed(stream: socket.socket) -> bool:
    """Whether the cloud closes the connection, waiting for that."""
    with suppress(ConnectionResetError):
        return stream.recv(1) == b""
    return True


@pytest.fixture(scope="module")
def shared() -> Iterator[EmulatedCloud]:
    """One running cloud for all examples of a property."""
    with EmulatedCloud(State(objects={BUCKET: {}})) as running:
        yield running


@given(
    method=strategies.sampled_from(METHODS),
    key=strategies.one_of(strategies.text(), strategies.binary()),
)
@example(method="GET", key="requests/a\n.json")
@example(method="PUT", key="\r\n")
@example(method="DELETE", key=b"\0\xff\xfe")
@example(method="GET", key="\x85\u2028?#%0A//..")
def test_every_request_is_dispatched(shared: EmulatedCloud, method: str, key: str | bytes) -> None:
    """Whatever the method and key, the signature is verified and the request is recorded."""
    raw = key if isinstance(key, bytes) else key.encode("utf-8", "replace")
    with connection(shared) as stream:
        stream.sendall(head_of(method, "/" + quote(raw, safe="")))
        status = stream.recv(1 << 16).split()[1]
    assert status == b"403"
    recorded = shared.state.snapshot()["Calls"][-1]
    assert (recorded["Outcome"], recorded["Region"]) == ("AccessDenied", REGION)


@pytest.mark.parametrize("target", ["*", f"http://{COS_HOST}/b%0A", "//", "/?%0A"])
def test_every_target_is_dispatched(cloud: EmulatedCloud, target: str) -> None:
    """Request targets in other forms are dispatched, too."""
    with connection(cloud) as stream:
        stream.sendall(head_of("OPTIONS", target))
        assert reply_to(stream)[0] == 403
    assert [call["Outcome"] for call in cloud.state.calls] == ["AccessDenied"]


def test_key_that_is_not_utf8(cloud: EmulatedCloud) -> None:
    """A signature covers the bytes of a key, also of one that is not UTF-8."""
    signed = cos_authorization(cloud, "GET", "/\udcff\n")
    with connection(cloud) as stream:
        stream.sendall(head_of("GET", "/%FF%0A", **signed))
        status, body = reply_to(stream)
    assert (status, ET.fromstring(body).findtext("Code")) == (404, "NoSuchKey")  # noqa: S314


@pytest.mark.parametrize(
    ("start", "headers", "status"),
    [
        ("PUT /k", {}, 403),
        ("PUT /k", {"Authorization": "q-ak=a"}, 403),
        ("POST /k", {}, 403),
        ("POST /else", {"Host": "127.0.0.1"}, 404),
        ("POST /_state", {"Host": "127.0.0.1"}, 404),
    ],
)
@pytest.mark.parametrize(
    "body", [{"Content_Length": str(600 << 20)}, {"Transfer_Encoding": "chunked"}], ids=str
)
def test_body_of_a_rejected_request_is_not_read(
    cloud: EmulatedCloud, start: str, headers: dict[str, str], status: int, body: dict[str, str]
) -> None:
    """A request that its head is enough to reject is answered before its body is sent."""
    method, target = start.split()
    with connection(cloud) as stream:
        stream.sendall(head_of(method, target, **headers, **body))
        assert reply_to(stream)[0] == status
        assert is_closed(stream)
    assert [call["Outcome"] for call in cloud.state.calls] == ["AccessDenied"] * (status == 403)


def _with_key(cloud: EmulatedCloud, **credential: str) -> dict[str, str]:
    """The headers of an API request with a signature of the right form, or with other parts."""
    parts = {"id": cloud.credentials.secret_id, "scheme": "TC3-HMAC-SHA256", **credential}
    scope = f"Credential={parts['id']}/2026-01-01/cvm/tc3_request"
    signed = f"{parts['scheme']} {scope}, SignedHeaders=content-type;host, Signature=0a"
    return {"Host": "127.0.0.1", "Authorization": signed}


@pytest.mark.parametrize("kind", ["TC3", "v1", "COS"])
def test_body_is_read_up_to_its_limit(cloud: EmulatedCloud, kind: str) -> None:
    """An endless body is read up to one byte more than allowed, and rejected as too large."""
    signed = cos_authorization(cloud, "PUT", "/k")
    target, limit, headers, code = {
        "TC3": ("/", 10 << 20, _with_key(cloud), b"RequestSizeLimitExceeded"),
        "v1": ("/", 1 << 20, {"Host": "127.0.0.1"}, b"RequestSizeLimitExceeded"),
        "COS": ("/k", cos_calls.MAX_BYTES, signed, b"EntityTooLarge"),
    }[kind]
    method = "PUT" if kind == "COS" else "POST"
    with connection(cloud) as stream:
        stream.sendall(head_of(method, target, **headers, Content_Length=str(600 << 20)))
        stream.sendall(b"a" * (limit + 1))
        status, text = reply_to(stream)
        assert (status, code in text) == (400 if kind == "COS" else 200, True)
        assert is_closed(stream)
    assert cloud.state.calls[-1]["Outcome"] == code.decode()
    assert "k" not in cloud.state.objects[BUCKET]


class Measuring(EmulatedCloud):
    """A cloud that records the sizes of the bodies that it keeps in memory."""

    def dispatch(self, http: Request) -> Reply:
        """Record the size of the body."""
        self.sizes = [*getattr(self, "sizes", ()), len(http.body)]
        return super().dispatch(http)


@pytest.mark.parametrize(
    ("start", "headers", "limit"),
    [
        ("PUT /k", {}, 0),
        ("GET /k", {}, 0),
        ("PUT /else", {"Host": "127.0.0.1"}, 0),
        ("POST /", {"Host": "127.0.0.1"}, 1 << 20),
        ("POST /", {"Host": "127.0.0.1", "Authorization": "b"}, 64 << 10),
        ("POST /", {"Host": "127.0.0.1", "X-TC-Action": "b"}, 64 << 10),
        ("POST /", _with_key(EmulatedCloud(), id="AKIDother"), 64 << 10),
        ("POST /", _with_key(EmulatedCloud(), scheme="TC3-HMAC-SHA1"), 64 << 10),
        ("POST /", _with_key(EmulatedCloud()), 10 << 20),
        ("POST /", {"Host": "evil.example"}, 0),
    ],
)
def test_endless_body(start: str, headers: dict[str, str], limit: int) -> None:
    """However much a client sends, little more than the limit is kept, and the connection ends."""
    method, target = start.split()
    chunk = b"10000\r\n" + bytes(1 << 16) + b"\r\n"
    with Measuring(State()) as cloud, connection(cloud) as stream:
        stream.sendall(head_of(method, target, **headers, Transfer_Encoding="chunked"))
        with suppress(ConnectionError):
            for number in range(5000):
                stream.sendall(chunk)
                time.sleep(0.002 if number << 16 > limit else 0)
            pytest.fail("still connected")
    (size,) = getattr(cloud, "sizes", (0,))
    assert limit <= size <= (limit + (1 << 19) if limit else 0)


def test_expect_continue(cloud: EmulatedCloud) -> None:
    """A client that asks first sends the body of a signed request only."""
    expect = {"Content_Length": "3", "Expect": "100-continue"}
    with connection(cloud) as stream:
        stream.sendall(head_of("PUT", "/k", **expect))
        assert reply_to(stream)[0] == 403
    with connection(cloud) as stream:
        stream.sendall(head_of("PUT", "/k", **expect, **cos_authorization(cloud, "PUT", "/k")))
        assert stream.recv(99) == b"HTTP/1.1 100 Continue\r\n\r\n"
        stream.sendall(b"abc")
        assert reply_to(stream)[0] == 200
    assert cloud.state.objects[BUCKET]["k"].content == b"abc"


@pytest.fixture
def impatient() -> Iterator[EmulatedCloud]:
    """A cloud that waits for a request only briefly."""
    with EmulatedCloud(State.from_folder(SEED), request_seconds=0.2) as running:
        yield running


@pytest.mark.parametrize("sent", [b"", b"GE", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b"])
@pytest.mark.parametrize("after_reply", [False, True])
def test_half_sent_head(impatient: EmulatedCloud, sent: bytes, after_reply: object) -> None:
    """A connection is closed if the head of its first or next request does not arrive."""
    with connection(impatient) as stream:
        if after_reply:
            stream.sendall(head_of("GET", "/k"))
            assert reply_to(stream)[0] == 403
        stream.sendall(sent)
        assert is_closed(stream)


def test_slow_head(impatient: EmulatedCloud) -> None:
    """A head that arrives byte by byte, without an end, is not waited for."""
    with connection(impatient) as stream:
        stream.sendall(b"GET /")
        with suppress(ConnectionError):
            for _ in range(2000):
                stream.sendall(b"a")
                time.sleep(0.01)
            pytest.fail("still connected")


@pytest.mark.parametrize("body", [b"", b"abc"])
@pytest.mark.parametrize(
    "encoding", [{"Content_Length": "9"}, {"Transfer_Encoding": "chunked"}], ids=str
)
def test_half_sent_object(impatient: EmulatedCloud, body: bytes, encoding: dict[str, str]) -> None:
    """A body that does not arrive is answered RequestTimeout, and not stored."""
    signed = cos_authorization(impatient, "PUT", "/k")
    chunk = b"3\r\n" if body and "Transfer_Encoding" in encoding else b""
    with connection(impatient) as stream:
        stream.sendall(head_of("PUT", "/k", **signed, **encoding) + chunk + body)
        status, text = reply_to(stream)
        assert (status, b"<Code>RequestTimeout</Code>" in text) == (400, True)
        assert is_closed(stream)
    assert impatient.state.calls[-1]["Outcome"] == "RequestTimeout"
    assert "k" not in impatient.state.objects[BUCKET]


def test_half_sent_api_request(impatient: EmulatedCloud) -> None:
    """An API request whose body does not arrive is answered and recorded, and closes."""
    for target, headers, code in (
        ("/", {"X_TC_Action": "DescribeImages"}, "AuthFailure.InvalidAuthorization"),
        ("/", {}, "MissingParameter"),
    ):
        with connection(impatient) as stream:
            head = head_of("POST", target, Host="127.0.0.1", Content_Length="99", **headers)
            stream.sendall(head + b"Limit=1&Act")
            assert code.encode() in reply_to(stream)[1]
            assert is_closed(stream)
        assert impatient.state.calls[-1]["Outcome"] == code


def test_idle_connection_is_kept(cloud: EmulatedCloud) -> None:
    """A connection serves any number of requests, also after one that was rejected."""
    with connection(cloud) as stream:
        for _ in range(3):
            stream.sendall(head_of("GET", "/k"))
            assert reply_to(stream)[0] == 403
            signed = {"Host": "127.0.0.1", "X_TC_Action": "b", "Content_Length": "2"}
            stream.sendall(head_of("POST", "/", **signed) + b"ab")
            assert reply_to(stream)[0] == 200


def test_slow_reply_is_not_cut(impatient: EmulatedCloud) -> None:
    """The time for a request does not bound the reply."""
    impatient.latency = 0.5
    assert requests.get(f"{impatient.url}/_state", timeout=5).status_code == 200


def status_of(cloud: EmulatedCloud, request: bytes) -> int:
    """The status of the reply to a request."""
    with connection(cloud) as stream:
        stream.sendall(request)
        return reply_to(stream)[0]


@pytest.mark.parametrize(
    "host",
    [
        "evil.example", "", "127.0.0.1.evil.example", "evil.example:80", "tencentcloudapi.com.evil",
        "eviltencentcloudapi.com", "10.0.0.1", "[::2]", "localhost.evil", "a@localhost",
        "localhost:x", "myqcloud.com", "evil.cos.ap-guangzhou.myqcloud.com.evil",
    ],
)  # fmt: skip
@pytest.mark.parametrize("target", ["GET /_state", "POST /", "PUT /k", "GET /else"])
def test_foreign_host(shared: EmulatedCloud, target: str, host: str) -> None:
    """A name that is not the cloud's gets no answer: a web page may make it point here."""
    calls = len(shared.state.calls)
    assert status_of(shared, head_of(*target.split(), Host=host, Content_Length="0")) == 403
    assert len(shared.state.calls) == calls


def test_no_host(shared: EmulatedCloud) -> None:
    """Nor does a request without a name."""
    assert status_of(shared, b"GET /_state HTTP/1.0\r\n\r\n") == 403


@pytest.mark.parametrize(
    "host", ["127.0.0.1:{}", "localhost:{}", "LOCALHOST:{}", "cvm.ap-guangzhou.localhost:{}",
             "[::1]:{}", "cvm.tencentcloudapi.com",
             "cvm.ap-guangzhou.tencentcloudapi.com:443"],
)  # fmt: skip
def test_own_host(shared: EmulatedCloud, host: str) -> None:
    """The cloud answers under its own address, and under the names of the cloud's API."""
    name = host.format(shared.url.rpartition(":")[2])
    assert status_of(shared, head_of("GET", "/_state", Host=name)) == 200


@pytest.mark.parametrize(
    "sent",
    [
        b"GET /" + b"a" * (1 << 17) + b" HTTP/1.1\r\n\r\n",
        b"GET /_state HTTP/1.1\r\nHost: 127.0.0.1\r\nA b\r\n\r\n",
        head_of("POST", "/", Host="127.0.0.1", Transfer_Encoding="chunked") + b"ZZ\r\nabc\r\n\r\n",
        b"\x16\x03\x01",
    ],
    ids=["line", "header", "chunk", "tls"],
)
def test_malformed_request(
    shared: EmulatedCloud, caplog: pytest.LogCaptureFixture, sent: bytes
) -> None:
    """A request that is not HTTP is answered 400 without a traceback on the terminal."""
    assert status_of(shared, sent) == 400
    assert not caplog.records


def test_bug_is_still_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An unexpected exception of the emulated cloud itself is logged."""

    def fail(_call: Call, _reply: Reply) -> Reply:
        raise ZeroDivisionError

    with EmulatedCloud(State(), on_reply=fail) as cloud:
        assert status_of(cloud, head_of("GET", "/k")) == 500
    assert "ZeroDivisionError" in caplog.text


def test_long_names_are_not_kept(cloud: EmulatedCloud) -> None:
    """What an unsigned request calls its action and region is recorded only up to a length."""
    with connection(cloud) as stream:
        stream.sendall(
            head_of("GET", f"/?Action={'a' * 30_000}&Region={'b' * 30_000}", Host="localhost")
        )
        assert reply_to(stream)[0] == 200
    (recorded,) = cloud.state.calls
    assert len(str(recorded)) < 500


def test_stop_while_clients_connect() -> None:
    """A cloud that stops while clients connect closes all connections that it has accepted."""
    is_over = threading.Event()

    def connect(port: int) -> None:
        while not is_over.is_set():
            with suppress(OSError):
                socket.create_connection(("127.0.0.1", port), 1).close()

    with ThreadPoolExecutor(3) as pool:
        with EmulatedCloud() as cloud:
            for _ in range(3):
                pool.submit(connect, urlsplit(cloud.url).port or 0)
            time.sleep(0.05)
        is_over.set()
    gc.collect()  # pytest fails if Python warns of one that is still open
