"""All kinds of signatures: published vectors, signatures of the SDKs, and every error."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
import requests
from qcloud_cos import CosConfig
from qcloud_cos.cos_auth import CosS3Auth

from scf_local.cloud.signatures import (
    tc3_signature,
    v1_signature,
    verify_cos,
    verify_tc3,
    verify_v1,
)
from scf_local.cloud.wire import ErrorReply, Request
from scf_local.credentials import AccountCredentials

NOW = 1551113065
CREDENTIALS = AccountCredentials("AKIDEXAMPLE", "SecretExample", "TokenExample")
BODY = b'{"Limit": 1, "Filters": [{"Values": ["\\u672a\\u547d\\u540d"], "Name": "instance-name"}]}'
SIGNED = {"content-type": "application/json; charset=utf-8", "host": "cvm.tencentcloudapi.com"}


@pytest.mark.parametrize(
    ("secret_key", "headers", "signature"),
    [
        (
            "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE",
            SIGNED,
            "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
        ),
        (
            "*" * 32,
            SIGNED | {"x-tc-action": "describeinstances"},
            "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
        ),
    ],
)
def test_published_tc3_vectors(secret_key: str, headers: dict[str, str], signature: str) -> None:
    """The published example requests yield the published signatures (document/api/213/30654)."""
    request = Request("POST", "/", "", headers, BODY)
    assert signature == tc3_signature(secret_key, request, headers, NOW, "cvm")


def tc3_request(**changes: Any) -> Request:  # noqa: ANN401 - any of the parts below
    """A signed request; `changes` replace parts of it."""
    parts: dict[str, Any] = {
        "key": CREDENTIALS.secret_key,
        "method": "POST",
        "query": "",
        "body": BODY,
        "time": NOW,
        "service": "cvm",
        "headers": SIGNED,
    } | changes
    body = parts.get("payload", parts["body"])
    signed = Request(parts["method"], "/", parts["query"], parts["headers"], body)
    names, time, service = parts["headers"], parts["time"], parts["service"]
    signature = tc3_signature(parts["key"], signed, names, time, service)
    authorization = (
        "TC3-HMAC-SHA256 "
        f"Credential={CREDENTIALS.secret_id}/2019-02-25/{parts['service']}/tc3_request, "
        f"SignedHeaders={';'.join(parts['headers'])}, Signature={signature}"
    )
    headers = {
        **parts["headers"],
        "authorization": authorization,
        "x-tc-timestamp": str(parts["time"]),
        "x-tc-token": CREDENTIALS.token,
    }
    return Request(parts["method"], "/", parts["query"], headers, parts["body"])


def with_headers(request: Request, **headers: str) -> Request:
    """The request with headers that differ from those it was signed with."""
    return replace(
        request,
        headers={**request.headers, **{n.replace("_", "-"): v for n, v in headers.items()}},
    )


@pytest.mark.parametrize(
    "request_",
    [
        tc3_request(),
        tc3_request(method="GET", query="Limit=2&ImageIds.0=img-6pb6lrmy", body=b""),
        with_headers(
            tc3_request(headers=SIGNED | {"x-tc-action": "describeimages"}),
            x_tc_action="DescribeImages",
        ),
        with_headers(tc3_request(headers=SIGNED | {"host": "127.0.0.1"}), host="127.0.0.1:8080"),
        tc3_request(headers=SIGNED | {"host": "127.0.0.1:8080"}),
        with_headers(
            tc3_request(payload=b"UNSIGNED-PAYLOAD"), x_tc_content_sha256="UNSIGNED-PAYLOAD"
        ),
    ],
    ids=["post", "get", "action signed", "port not signed", "port signed", "payload not signed"],
)
def test_tc3_forms(request_: Request) -> None:
    """Every form that an SDK signs is accepted."""
    assert verify_tc3(request_, CREDENTIALS, NOW) == "cvm"


def changed_authorization(old: str, new: str) -> Request:
    """A request with a changed Authorization header."""
    request = tc3_request()
    return with_headers(request, authorization=request.headers["authorization"].replace(old, new))


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (Request("POST", "/"), "AuthFailure.InvalidAuthorization"),
        (with_headers(tc3_request(), authorization="SKIP"), "AuthFailure.InvalidAuthorization"),
        (changed_authorization("TC3-HMAC-SHA256", "TC3"), "AuthFailure.InvalidAuthorization"),
        (
            tc3_request(headers={"host": SIGNED["host"]}),
            "AuthFailure.InvalidAuthorization",
        ),
        (
            tc3_request(headers={"host": SIGNED["host"], "content-type": "a"}),
            "AuthFailure.InvalidAuthorization",
        ),
        (with_headers(tc3_request(), x_tc_timestamp="soon"), "MissingParameter"),
        (with_headers(tc3_request(), x_tc_timestamp="9" * 5000), "MissingParameter"),
        (tc3_request(time=NOW - 301), "AuthFailure.SignatureExpire"),
        (tc3_request(time=NOW + 301), "AuthFailure.SignatureExpire"),
        (changed_authorization(CREDENTIALS.secret_id, "AKIDOTHER"), "AuthFailure.SecretIdNotFound"),
        (changed_authorization("2019-02-25", "2019-02-26"), "AuthFailure.SignatureFailure"),
        (tc3_request(key="wrong"), "AuthFailure.SignatureFailure"),
        (changed_authorization("/cvm/", "/tag/"), "AuthFailure.SignatureFailure"),
        (replace(tc3_request(), body=BODY + b" "), "AuthFailure.SignatureFailure"),
        (replace(tc3_request(), query="a=b"), "AuthFailure.SignatureFailure"),
        (
            with_headers(tc3_request(), content_type="application/json"),
            "AuthFailure.SignatureFailure",
        ),
        (
            with_headers(tc3_request(), host="tag.tencentcloudapi.com"),
            "AuthFailure.SignatureFailure",
        ),
        (with_headers(tc3_request(), x_tc_token="other"), "AuthFailure.TokenFailure"),
        (with_headers(tc3_request(), x_tc_token=""), "AuthFailure.TokenFailure"),
    ],
)
def test_tc3_errors(request_: Request, code: str) -> None:
    """Each authentication error has its documented code."""
    with pytest.raises(ErrorReply) as raised:
        verify_tc3(request_, CREDENTIALS, NOW)
    assert raised.value.code == code


@pytest.mark.parametrize("offset", [-300, 300])
def test_clock_tolerance(offset: int) -> None:
    """A clock that is exactly five minutes off is accepted."""
    assert verify_tc3(tc3_request(time=NOW + offset), CREDENTIALS, NOW)


@pytest.mark.parametrize(
    ("hidden", "signature"),
    [("EXAMPLE", "EliP9YW3pW28FpsEdkXt/+WcGeI="), ("*******", "zmmjn35mikh6pM3V7sUEuX4wyYM=")],
)
def test_published_v1_vectors(hidden: str, signature: str) -> None:
    """The published example request yields the published signatures (document/api/213/15693)."""
    assert signature == v1_signature(
        f"Gu5t9xGARNpq86cd98joQYCN3{hidden}",
        Request("GET", "/", headers={"host": "cvm.tencentcloudapi.com"}),
        {
            "Timestamp": "1465185768",
            "Nonce": "11886",
            "Region": "ap-guangzhou",
            "SecretId": f"AKIDz8krbsJ5yKBZQpn74WFkmLPx3{hidden}",
            "Version": "2017-03-12",
            "Action": "DescribeInstances",
            "InstanceIds.0": "ins-09dx96dg",
            "Offset": "0",
            "Limit": "20",
        },
    )


V1 = {
    "Action": "DescribeImages",
    "Timestamp": str(NOW),
    "Nonce": "1",
    "SecretId": CREDENTIALS.secret_id,
    "Token": CREDENTIALS.token,
    "SignatureMethod": "HmacSHA256",
}
V1_REQUEST = Request("POST", "/", headers={"host": "127.0.0.1:8080"})


def v1_signed(host: str = "127.0.0.1:8080", **changes: str) -> dict[str, str]:
    """Parameters with their signature."""
    params = V1 | changes
    request = Request("POST", "/", headers={"host": host})
    signature = v1_signature(CREDENTIALS.secret_key, request, params)
    return {**params, "Signature": signature}


@pytest.mark.parametrize("offset", [-300, 0, 300])
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8080"])
@pytest.mark.parametrize("method", ["HmacSHA1", "HmacSHA256"])
def test_v1_forms(method: str, host: str, offset: int) -> None:
    """Both methods are accepted, with or without a signed port, up to five minutes off."""
    verify_v1(V1_REQUEST, v1_signed(host, SignatureMethod=method), CREDENTIALS, NOW + offset)


def test_v1_default_method() -> None:
    """The default SignatureMethod is HmacSHA1."""
    params = {name: value for name, value in V1.items() if name != "SignatureMethod"}
    request = Request("POST", "/", headers={"host": "127.0.0.1"})
    signature = v1_signature(CREDENTIALS.secret_key, request, params)
    verify_v1(V1_REQUEST, {**params, "Signature": signature}, CREDENTIALS, NOW)


@pytest.mark.parametrize(
    ("params", "code"),
    [
        *(
            ({**v1_signed(), name: ""}, "MissingParameter")
            for name in ("SecretId", "Timestamp", "Nonce", "Signature")
        ),
        (v1_signed() | {"SignatureMethod": "HmacMD5"}, "InvalidParameterValue"),
        (v1_signed(Nonce="-1"), "InvalidParameterValue"),
        (v1_signed(Timestamp="soon"), "InvalidParameterValue"),
        (v1_signed(Timestamp="9" * 5000), "InvalidParameterValue"),
        (v1_signed(Timestamp=str(NOW - 301)), "AuthFailure.SignatureExpire"),
        (v1_signed(Timestamp=str(NOW + 301)), "AuthFailure.SignatureExpire"),
        (v1_signed(SecretId="AKIDOTHER"), "AuthFailure.SecretIdNotFound"),
        (v1_signed(host="cvm.tencentcloudapi.com"), "AuthFailure.SignatureFailure"),
        (v1_signed() | {"Action": "Other"}, "AuthFailure.SignatureFailure"),
        (v1_signed() | {"Limit": "1"}, "AuthFailure.SignatureFailure"),
        (v1_signed() | {"SignatureMethod": "HmacSHA1"}, "AuthFailure.SignatureFailure"),
        (v1_signed() | {"Signature": "é"}, "AuthFailure.SignatureFailure"),
        (v1_signed(Token="other"), "AuthFailure.TokenFailure"),
        (v1_signed(Token=""), "AuthFailure.TokenFailure"),
    ],
)
def test_v1_errors(params: dict[str, str], code: str) -> None:
    """Each authentication error has the same code as in the newer form."""
    with pytest.raises(ErrorReply) as raised:
        verify_v1(V1_REQUEST, params, CREDENTIALS, NOW)
    assert raised.value.code == code


def test_v1_signature_covers_the_method() -> None:
    """Parameters that were signed for POST are rejected in a GET."""
    with pytest.raises(ErrorReply, match="SignatureFailure"):
        verify_v1(replace(V1_REQUEST, method="GET"), v1_signed(), CREDENTIALS, NOW)


def cos_request(method: str = "GET", key: str = "a/中 文+%.json", **sent_headers: str) -> Request:
    """A request signed by the official SDK, valid from 60 s before its `cos_now`."""
    config = CosConfig(
        Region="ap-guangzhou", SecretId=CREDENTIALS.secret_id, SecretKey=CREDENTIALS.secret_key
    )
    headers = {"Host": "b-1250000000.cos.ap-guangzhou.myqcloud.com"} | sent_headers
    prepared = requests.Request(
        method,
        "http://127.0.0.1:8080/",
        headers=headers,
        params={"response-content-type": "text/x a"},
        auth=CosS3Auth(config, key, {"response-content-type": "text/x a"}),
    ).prepare()
    return Request(
        method,
        f"/{key}",
        str(prepared.url).partition("?")[2],
        {name.lower(): value for name, value in prepared.headers.items()},
    )


def cos_now(request: Request) -> int:
    """The time 60 s after the SDK signed the request."""
    return int(request.headers["authorization"].split("q-sign-time=")[1].split(";")[0]) + 60


TOKEN = {"x-cos-security-token": CREDENTIALS.token}


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_cos_signature_of_the_sdk(method: str) -> None:
    """The official SDK's signature is accepted, with or without a port in the Host header."""
    request = cos_request(method, **TOKEN)
    verify_cos(request, CREDENTIALS, cos_now(request))
    verify_cos(
        with_headers(request, host=request.headers["host"] + ":8080"), CREDENTIALS, cos_now(request)
    )


@pytest.mark.parametrize(
    ("changes", "offset", "code"),
    [
        ({"authorization": ""}, 0, "AccessDenied"),
        ({"authorization": "q-sign-algorithm=sha1"}, 0, "AccessDenied"),
        ({}, -61, "RequestTimeTooSkewed"),
        ({}, 10001, "AccessDenied"),
        ({"host": "c-1250000000.cos.ap-guangzhou.myqcloud.com"}, 0, "SignatureDoesNotMatch"),
        ({"x_cos_security_token": "other"}, 0, "SignatureDoesNotMatch"),
    ],
)
def test_cos_errors(changes: dict[str, str], offset: int, code: str) -> None:
    """Each COS authentication error is HTTP 403 with its code."""
    request = cos_request(**TOKEN)
    with pytest.raises(ErrorReply) as raised:
        verify_cos(with_headers(request, **changes), CREDENTIALS, cos_now(request) + offset)
    assert (raised.value.status, raised.value.code) == (403, code)


@pytest.mark.parametrize(
    ("credentials", "code"),
    [
        (replace(CREDENTIALS, secret_id="AKIDOTHER"), "InvalidAccessKeyId"),
        (replace(CREDENTIALS, secret_key="other"), "SignatureDoesNotMatch"),
        (replace(CREDENTIALS, token="other"), "InvalidToken"),
    ],
)
def test_cos_rejects_other_credentials(credentials: AccountCredentials, code: str) -> None:
    """Id, key and token must each be correct."""
    request = cos_request(**TOKEN)
    with pytest.raises(ErrorReply) as raised:
        verify_cos(request, credentials, cos_now(request))
    assert raised.value.code == code


@pytest.mark.parametrize(
    "changes", [{"path": "/other"}, {"query": "response-content-type=b"}, {"method": "PUT"}]
)
def test_cos_signature_covers_the_request(changes: dict[str, Any]) -> None:
    """The signature covers the key, the signed parameters and the method."""
    request = cos_request(**TOKEN)
    changed = replace(request, **changes)
    with pytest.raises(ErrorReply, match="SignatureDoesNotMatch"):
        verify_cos(changed, CREDENTIALS, cos_now(request))


def test_cos_key_time() -> None:
    """Two different times in one Authorization header are rejected as malformed."""
    request = cos_request(**TOKEN)
    text = request.headers["authorization"].replace("q-key-time=1", "q-key-time=2")
    with pytest.raises(ErrorReply, match="malformed"):
        verify_cos(with_headers(request, authorization=text), CREDENTIALS, cos_now(request))


@pytest.mark.parametrize("signature", ["é", "0" * 39, "0" * 41, "G" * 40])
def test_cos_signature_is_hexadecimal(signature: str) -> None:
    """A signature that is not a SHA-1 in hexadecimal is malformed."""
    request = cos_request(**TOKEN)
    text = request.headers["authorization"].partition("q-signature=")[0]
    changed = with_headers(request, authorization=f"{text}q-signature={signature}")
    with pytest.raises(ErrorReply, match="malformed"):
        verify_cos(changed, CREDENTIALS, cos_now(request))


LISTING = {
    "prefix": "a b+中/%",
    "marker": "",
    "max-keys": "1000",
    "encoding-type": "url",
    "uploadId": "A",
}


@pytest.mark.parametrize("name", LISTING)
@pytest.mark.parametrize("change", ["changed", "removed"])
def test_cos_signature_covers_every_signed_parameter(name: str, change: str) -> None:
    """A parameter that the SDK signs can be neither changed nor, if it has a value, removed."""
    config = CosConfig(
        Region="ap-guangzhou", SecretId=CREDENTIALS.secret_id, SecretKey=CREDENTIALS.secret_key
    )
    auth = CosS3Auth(config, params=LISTING)
    prepared = requests.Request(
        "GET", "http://a.example/", TOKEN, params=LISTING, auth=auth
    ).prepare()
    headers = {name.lower(): value for name, value in prepared.headers.items()}
    query = str(prepared.url).partition("?")[2]
    request = Request("GET", "/", query, {"host": "a.example", **headers})
    verify_cos(request, CREDENTIALS, cos_now(request))
    other = {**LISTING, name: "other"}
    if change == "removed":
        del other[name]
    if change == "changed" or LISTING[name]:
        with pytest.raises(ErrorReply, match="SignatureDoesNotMatch"):
            verify_cos(replace(request, query=urlencode(other)), CREDENTIALS, cos_now(request))
