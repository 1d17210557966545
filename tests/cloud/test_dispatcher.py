"""Requests that the official SDKs cannot be made to send."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from scf_local.cloud.dispatcher import Dispatcher
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.signatures import tc3_signature, v1_signature
from scf_local.cloud.state import State
from scf_local.cloud.wire import Request
from scf_local.credentials import AccountCredentials

NOW = 1764000000
CREDENTIALS = AccountCredentials()


def signed(
    body: bytes,
    host: str = "cvm.tencentcloudapi.com",
    region: str = "ap-x",
    *,
    service: str = "cvm",
    kind: str = "application/json",
) -> Request:
    """A signed DescribeImages request at `NOW`."""
    headers = {"content-type": kind, "host": host}
    request = Request("POST", "/", "", headers, body)
    signature = tc3_signature(CREDENTIALS.secret_key, request, headers, NOW, service)
    headers |= {
        "authorization": "TC3-HMAC-SHA256 "
        f"Credential={CREDENTIALS.secret_id}/2025-11-24/{service}/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
        "x-tc-action": "DescribeImages",
        "x-tc-version": "2017-03-12",
        "x-tc-timestamp": str(NOW),
        "x-tc-token": CREDENTIALS.token,
        "x-tc-region": region,
    }
    return Request("POST", "/", headers=headers, body=body)


def outcome(dispatcher: Dispatcher, request: Request) -> str:
    """The error code, or "ok"."""
    response = json.loads(dispatcher.dispatch(request).body)["Response"]
    return str(response.get("Error", {"Code": "ok"})["Code"])


@pytest.fixture
def dispatcher() -> Dispatcher:
    """A dispatcher with a fixed clock."""
    return Dispatcher(State(), clock=lambda: NOW)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_body_that_is_not_json(dispatcher: Dispatcher, body: bytes) -> None:
    """A signed body that is not JSON is rejected like any invalid parameter."""
    assert outcome(dispatcher, signed(body)) == "InvalidParameter"


@pytest.mark.parametrize("name", ["action", "version", "timestamp", "region"])
def test_missing_header(dispatcher: Dispatcher, name: str) -> None:
    """Every common parameter is required."""
    request = signed(b"{}")
    headers = {key: value for key, value in request.headers.items() if key != f"x-tc-{name}"}
    assert outcome(dispatcher, replace(request, headers=headers)) == "MissingParameter"


@pytest.mark.parametrize(
    ("first", "second", "shared"),
    [
        (("cvm.tencentcloudapi.com", "ap-a"), ("cvm.tencentcloudapi.com", "ap-b"), True),
        (("cvm.ap-a.tencentcloudapi.com", "ap-a"), ("cvm.ap-a.tencentcloudapi.com", "ap-b"), True),
        (("cvm.ap-a.tencentcloudapi.com", "ap-a"), ("cvm.ap-b.tencentcloudapi.com", "ap-a"), False),
        (("127.0.0.1:80", "ap-a"), ("127.0.0.1:80", "ap-b"), False),
        (("127.0.0.1:80", "ap-a"), ("127.0.0.1:80", "ap-a"), True),
    ],
)
def test_rate_limit_per_endpoint(
    dispatcher: Dispatcher, first: tuple[str, str], second: tuple[str, str], shared: object
) -> None:
    """Each endpoint has its own rate limit; at a local address, so has each region."""
    assert [outcome(dispatcher, signed(b"{}", *first)) for _ in range(40)] == ["ok"] * 40
    expected = "RequestLimitExceeded" if shared else "ok"
    assert outcome(dispatcher, signed(b"{}", *second)) == expected


def state_is_served(dispatcher: Dispatcher) -> bool:
    """Whether the state can still be read."""
    reply = dispatcher.dispatch(Request("GET", "/_state"))
    return reply.status == 200 and isinstance(json.loads(reply.body), dict)


@pytest.mark.parametrize("body", [rb'{"ImageIds": ["\ud800"]}', rb'{"\udfff": 1}', rb'"\ud800"'])
def test_half_surrogate_pair_is_rejected(dispatcher: Dispatcher, body: bytes) -> None:
    """Half a surrogate pair is rejected, in a value as in a name."""
    assert outcome(dispatcher, signed(body)) == "InvalidParameter"
    assert state_is_served(dispatcher)


@pytest.mark.parametrize("name", ["action", "version", "region", "timestamp", "token"])
def test_header_that_is_not_utf8(dispatcher: Dispatcher, name: str) -> None:
    """A header that is not UTF-8 is rejected, without harm to this reply or the next."""
    dispatcher.faults = Faults((Rule("*", "slow", probability=0.0),))
    request = signed(b"{}")
    headers = {**request.headers, f"x-tc-{name}": "\udcff"}
    assert outcome(dispatcher, replace(request, headers=headers)) != "ok"
    assert state_is_served(dispatcher)


@pytest.mark.parametrize("part", ["path", "header", "query", "authorization"])
def test_cos_request_that_is_not_utf8(dispatcher: Dispatcher, part: str) -> None:
    """A COS request that is not UTF-8 in any part is rejected with status 403."""
    authorization = (
        f"q-sign-algorithm=sha1&q-ak={CREDENTIALS.secret_id}&q-sign-time={NOW - 9};{NOW + 9}"
        f"&q-key-time={NOW - 9};{NOW + 9}&q-header-list=host;x-a&q-url-param-list=a"
        f"&q-signature={'0' * 40}"
    )
    headers = {
        "host": "b-1250000000.cos.ap-x.myqcloud.com",
        "authorization": authorization + ("\udcff" if part == "authorization" else ""),
        "x-a": "\udcff" if part == "header" else "",
    }
    path, query = ("/\udcff", "") if part == "path" else ("/k", "a=\udcff")
    reply = dispatcher.dispatch(Request("GET", path, query, headers))
    assert reply.status == 403
    assert state_is_served(dispatcher)


def signed_v1(
    method: str = "GET",
    host: str = "cvm.tencentcloudapi.com",
    **changes: Any,  # noqa: ANN401 - None omits a parameter
) -> Request:
    """A DescribeImages request at `NOW` with the older signature, among its parameters."""
    defaults = {
        "Action": "DescribeImages",
        "Version": "2017-03-12",
        "Region": "ap-x",
        "SecretId": CREDENTIALS.secret_id,
        "Token": CREDENTIALS.token,
        "Timestamp": str(NOW),
        "Nonce": "0",
    }
    params = {name: value for name, value in (defaults | changes).items() if value is not None}
    request = Request(method, "/", headers={"host": host})
    params["Signature"] = v1_signature(CREDENTIALS.secret_key, request, params)
    text = urlencode(params)
    if method == "GET":
        return Request(method, "/", text, {"host": host})
    return Request(method, "/", "", {"host": host}, text.encode())


@pytest.mark.parametrize("host", ["cvm.tencentcloudapi.com", "127.0.0.1:80", "localhost:80"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_v1(dispatcher: Dispatcher, method: str, host: str) -> None:
    """A request with the older signature is routed by host or version, counted and recorded."""
    assert outcome(dispatcher, signed_v1(method, host, Limit="1")) == "ok"
    assert [outcome(dispatcher, signed_v1(method, host)) for _ in range(40)] == [
        *(["ok"] * 39),
        "RequestLimitExceeded",
    ]
    calls = dispatcher.state.calls
    assert calls[0] == {"Time": NOW, "Action": "DescribeImages", "Region": "ap-x", "Outcome": "ok"}


@pytest.mark.parametrize(
    ("host", "changes", "code"),
    [
        ("cvm.tencentcloudapi.com", {"Action": ""}, "MissingParameter"),
        ("cvm.tencentcloudapi.com", {"Version": None}, "MissingParameter"),
        ("cvm.tencentcloudapi.com", {"Region": None}, "MissingParameter"),
        ("cvm.tencentcloudapi.com", {"Version": "2018-08-13"}, "NoSuchVersion"),
        ("cbs.tencentcloudapi.com", {}, "NoSuchProduct"),
        ("127.0.0.1:80", {"Version": "2018-08-14"}, "NoSuchVersion"),
        ("127.0.0.1:80", {"Version": "2018-08-13"}, "InvalidAction"),
        ("127.0.0.1:80", {"Version": "2018-08-13", "Region": None}, "InvalidAction"),
        ("127.0.0.1:80", {"Limit.0": "1"}, "InvalidParameter"),
        ("127.0.0.1:80", {"Signature_": "1"}, "UnknownParameter"),
    ],
)
def test_v1_errors(dispatcher: Dispatcher, host: str, changes: dict[str, Any], code: str) -> None:
    """Missing and invalid parameters have the same codes as in the newer form."""
    assert outcome(dispatcher, signed_v1(host=host, **changes)) == code


def test_v1_unsigned(dispatcher: Dispatcher) -> None:
    """A request that only names an action is an API request without a signature."""
    assert outcome(dispatcher, Request("GET", "/", "Action=DescribeImages")) == "MissingParameter"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_v1_that_is_not_utf8(dispatcher: Dispatcher, method: str) -> None:
    """Bytes that are not UTF-8 break the signature, without harm to this reply or the next."""
    request = signed_v1(method)
    broken = (
        replace(request, query=f"{request.query}&ImageIds.0=\udcff")
        if method == "GET"
        else replace(request, body=request.body + b"&Action=\xff")
    )
    assert outcome(dispatcher, broken) == "AuthFailure.SignatureFailure"
    assert state_is_served(dispatcher)


def test_service_of_a_local_address(dispatcher: Dispatcher) -> None:
    """The Node.js SDK signs for its endpoint's first label; locally, the version decides.

    So does `tccli`, which sends its endpoint's scheme in the Host header.
    """
    assert outcome(dispatcher, signed(b"{}", "127.0.0.1:80", service="127")) == "ok"
    assert outcome(dispatcher, signed(b"{}", "http://127.0.0.1:80", service="cvm")) == "ok"
    request = signed(b"{}", service="127")
    assert outcome(dispatcher, request) == "AuthFailure.SignatureFailure"


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("form", ["TC3", "query", "body"])
def test_other_methods(dispatcher: Dispatcher, method: str, form: str) -> None:
    """The API accepts only GET and POST, with any kind of signature."""
    request = signed(b"{}") if form == "TC3" else signed_v1("POST" if form == "body" else "GET")
    assert outcome(dispatcher, replace(request, method=method)) == "UnsupportedProtocol"
    assert [call["Outcome"] for call in dispatcher.state.calls] == ["UnsupportedProtocol"]


def test_multipart_is_rejected(dispatcher: Dispatcher) -> None:
    """A multipart body is rejected with InvalidRequest, and the message suggests JSON."""
    request = signed(b"--a--", kind="multipart/form-data; boundary=a")
    error = json.loads(dispatcher.dispatch(request).body)["Response"]["Error"]
    assert error == {
        "Code": "InvalidRequest",
        "Message": "multipart/form-data is not emulated; send JSON.",
    }


def test_faults_with_v1(dispatcher: Dispatcher) -> None:
    """Faults also apply to requests with the older signature."""
    dispatcher.faults = Faults((Rule("*", "skew", calls=(1,)), Rule("*", "expired-token")))
    outcomes = [outcome(dispatcher, signed_v1()) for _ in range(2)]
    assert outcomes == ["AuthFailure.SignatureExpire", "AuthFailure.TokenFailure"]


def moved(dispatcher: Dispatcher, body: str, kind: str = "application/json") -> int:
    """The status of a request that moves the clock."""
    headers = {"host": "127.0.0.1", "content-type": kind}
    reply = dispatcher.dispatch(Request("POST", "/_clock", "", headers, body.encode()))
    if reply.later:
        assert json.loads(reply.later().body) == {"Time": dispatcher.now()}
    return reply.status


def test_clock_moves_all_but_signatures_and_rates() -> None:
    """A moved clock shows in calls; signatures stay valid, and rates are those of real time."""
    dispatcher = Dispatcher(clock=lambda: NOW)
    request = signed(b"{}", region="ap-guangzhou")
    assert {outcome(dispatcher, request) for _ in range(40)} == {"ok"}
    assert outcome(dispatcher, request) == "RequestLimitExceeded"
    assert [moved(dispatcher, '{"Seconds": 3600}'), moved(dispatcher, '{"Seconds": 0.5}')] == [
        200
    ] * 2
    assert outcome(dispatcher, request) == "RequestLimitExceeded"
    dispatcher.clock = lambda: NOW + 1
    assert outcome(dispatcher, request) == "ok"
    assert dispatcher.state.calls[-1]["Time"] == NOW + 3601.5


def test_clock_is_read() -> None:
    """`GET /_clock` returns the time of the emulated cloud."""
    dispatcher = Dispatcher(clock=lambda: NOW)
    dispatcher.move_clock(60)
    reply = dispatcher.dispatch(Request("GET", "/_clock", "", {"host": "localhost"}))
    assert json.loads(reply.body) == {"Time": NOW + 60}


@pytest.mark.parametrize(
    "body",
    [
        *("", "{}", "[]", '{"Seconds": -1}', '{"Seconds": "60"}', '{"Seconds": 1e12}'),
        *('{"Seconds": NaN}', "[" * 60_000),
    ],
)
def test_clock_moves_only_forward(body: str) -> None:
    """What is not a number of seconds to move on is an error that says what is allowed."""
    dispatcher = Dispatcher(clock=lambda: NOW)
    assert moved(dispatcher, body) == 400
    assert moved(dispatcher, '{"Seconds": 60}', "text/plain") == 400  # what a web page can send
    assert outcome(dispatcher, signed(b"{}")) != "AuthFailure"
    assert dispatcher.state.calls[-1]["Time"] == NOW
