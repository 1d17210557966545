"""What the official SDKs cannot be made to send."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from harness.cloud import Credentials, Faults, Rule, State
from harness.cloud.gateway import Gateway
from harness.cloud.signatures import tc3_signature
from harness.cloud.wire import Request

NOW = 1764000000
KEYS = Credentials()


def signed(body: bytes, host: str = "cvm.tencentcloudapi.com", region: str = "ap-x") -> Request:
    """A DescribeImages request at `NOW`."""
    headers = {"content-type": "application/json", "host": host}
    signature = tc3_signature(
        KEYS.secret_key,
        timestamp=NOW,
        service="cvm",
        method="POST",
        query="",
        headers=headers.items(),
        payload=body,
    )
    headers |= {
        "authorization": f"TC3-HMAC-SHA256 Credential={KEYS.secret_id}/2025-11-24/cvm/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
        "x-tc-action": "DescribeImages",
        "x-tc-version": "2017-03-12",
        "x-tc-timestamp": str(NOW),
        "x-tc-token": KEYS.token,
        "x-tc-region": region,
    }
    return Request("POST", "/", headers=headers, body=body)


def outcome(gateway: Gateway, request: Request) -> str:
    """The error code, or "ok"."""
    response = json.loads(gateway.answer(request).body)["Response"]
    return str(response.get("Error", {"Code": "ok"})["Code"])


@pytest.fixture
def gateway() -> Gateway:
    """A gateway whose time stands still."""
    return Gateway(State(), clock=lambda: NOW)


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_body_that_is_no_json(gateway: Gateway, body: bytes) -> None:
    """A signed body that is no JSON is refused like any wrong parameter."""
    assert outcome(gateway, signed(body)) == "InvalidParameter"


@pytest.mark.parametrize("name", ["action", "version", "timestamp", "region"])
def test_missing_header(gateway: Gateway, name: str) -> None:
    """Each common parameter has to be there."""
    request = signed(b"{}")
    headers = {key: value for key, value in request.headers.items() if key != f"x-tc-{name}"}
    assert outcome(gateway, replace(request, headers=headers)) == "MissingParameter"


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
def test_where_calls_are_counted(
    gateway: Gateway, first: tuple[str, str], second: tuple[str, str], shared: object
) -> None:
    """The endpoint that a call arrives at has the limit; locally the region names the endpoint."""
    assert [outcome(gateway, signed(b"{}", *first)) for _ in range(40)] == ["ok"] * 40
    expected = "RequestLimitExceeded" if shared else "ok"
    assert outcome(gateway, signed(b"{}", *second)) == expected


def state_is_served(gateway: Gateway) -> bool:
    """Whether the state can still be asked for."""
    reply = gateway.answer(Request("GET", "/_state"))
    return reply.status == 200 and isinstance(json.loads(reply.body), dict)


@pytest.mark.parametrize("body", [rb'{"ImageIds": ["\ud800"]}', rb'{"\udfff": 1}', rb'"\ud800"'])
def test_half_surrogate_pair_is_refused(gateway: Gateway, body: bytes) -> None:
    """Text that no UTF-8 can hold does not get in, neither as a value nor as a name."""
    assert outcome(gateway, signed(body)) == "InvalidParameter"
    assert state_is_served(gateway)


@pytest.mark.parametrize("name", ["action", "version", "region", "timestamp", "token"])
def test_header_that_is_no_utf8(gateway: Gateway, name: str) -> None:
    """A header's byte that is no UTF-8 is refused, and harms neither this reply nor the next."""
    gateway.faults = Faults((Rule("*", "slow", probability=0.0),))
    request = signed(b"{}")
    headers = {**request.headers, f"x-tc-{name}": "\udcff"}
    assert outcome(gateway, replace(request, headers=headers)) != "ok"
    assert state_is_served(gateway)


@pytest.mark.parametrize("part", ["path", "header", "query", "authorization"])
def test_cos_request_that_is_no_utf8(gateway: Gateway, part: str) -> None:
    """A COS request with such a byte anywhere is refused as COS refuses."""
    authorization = (
        f"q-sign-algorithm=sha1&q-ak={KEYS.secret_id}&q-sign-time={NOW - 9};{NOW + 9}"
        f"&q-key-time={NOW - 9};{NOW + 9}&q-header-list=host;x-a&q-url-param-list=a"
        f"&q-signature={'0' * 40}"
    )
    headers = {
        "host": "b-1250000000.cos.ap-x.myqcloud.com",
        "authorization": authorization + ("\udcff" if part == "authorization" else ""),
        "x-a": "\udcff" if part == "header" else "",
    }
    path, query = ("/\udcff", "") if part == "path" else ("/k", "a=\udcff")
    reply = gateway.answer(Request("GET", path, query, headers))
    assert reply.status == 403
    assert state_is_served(gateway)


def test_older_signature_is_named(gateway: Gateway) -> None:
    """A request signed with HmacSHA1 or HmacSHA256 is told which method is emulated."""
    form = "Action=DescribeImages&Region=ap-x&SignatureMethod=HmacSHA256&Signature=a%3D"
    kind = {"content-type": "application/x-www-form-urlencoded"}
    for request in (
        Request("GET", "/", form, kind),
        Request("POST", "/", "", kind, form.encode()),
    ):
        error = json.loads(gateway.answer(request).body)["Response"]["Error"]
        assert error["Code"] == "AuthFailure.InvalidAuthorization"
        assert "Signed with HmacSHA256; emulated is TC3-HMAC-SHA256" in error["Message"]
    assert [call["Action"] for call in gateway.state.calls] == ["DescribeImages"] * 2
