"""Verifies signatures: TC3-HMAC-SHA256, the older v1, and q-sign-algorithm=sha1 of COS."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote, urlencode

from scf_local.cloud.wire import ErrorReply, Request, found, require
from scf_local.credentials import AccountCredentials

TOLERANCE_SECONDS = 300
"""document/api/213/30654: "must not differ by more than five minutes"."""
V1_METHODS = {"HmacSHA1": "sha1", "HmacSHA256": "sha256"}
"""Values of SignatureMethod; the first is the default (document/api/213/15693)."""
COS_TOKEN = "x-cos-security-token"  # noqa: S105 - the name of a header or parameter

_Names = Iterable[str]
_RAW = ("utf-8", "surrogateescape")  # how the server decodes bytes that are not UTF-8
_TC3 = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/\s,]+)/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[\w:-]+)"
    r"/tc3_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]+)"
)
_UNSIGNED = "UNSIGNED-PAYLOAD"
_WRONG = "The signature is not the expected one."


# --- TC3-HMAC-SHA256 (document/api/213/30654) ---


def tc3_signature(
    secret_key: str, request: Request, names: _Names, timestamp: int, service: str
) -> str:
    """Return the signature in hex; `names` are those of the signed headers, lower-case, sorted."""
    names = list(names)
    # The document converts all values to lower case, the Python SDK none. This matters only for
    # X-TC-… headers, which that SDK does not sign.
    values = {name: request.headers.get(name, "").strip() for name in names}
    values |= {name: text.lower() for name, text in values.items() if name.startswith("x-tc-")}
    lines = "".join(f"{name}:{value}\n" for name, value in values.items())
    payload = b"" if request.method == "GET" else request.body
    if request.headers.get("x-tc-content-sha256") == _UNSIGNED:
        payload = _UNSIGNED.encode()
    hashed = hashlib.sha256(payload).hexdigest()
    canonical = f"{request.method}\n/\n{request.query}\n{lines}\n{';'.join(names)}\n{hashed}"
    scope = [_utc_date(timestamp), service, "tc3_request"]
    key = f"TC3{secret_key}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    digest = hashlib.sha256(canonical.encode(*_RAW)).hexdigest()
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{'/'.join(scope)}\n{digest}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def tc3_key(request: Request) -> str:
    """Return the SecretId that the head of a request names, or nothing."""
    signed = _signed(request)
    return signed["id"] if signed else ""


def _signed(request: Request) -> re.Match[str] | None:
    return _TC3.fullmatch(request.headers.get("authorization", "").strip())


def verify_tc3(request: Request, credentials: AccountCredentials, now: float) -> str:
    """Verify a signature, and return the service that it is for, such as `cvm`.

    Raises:
        ErrorReply: AuthFailure.*, or MissingParameter for a missing X-TC-Timestamp.
    """
    headers = request.headers
    malformed, wrong = "AuthFailure.InvalidAuthorization", "AuthFailure.SignatureFailure"
    signed = found(_signed(request), malformed, "Authorization is missing or invalid.")
    timestamp, service = headers.get("x-tc-timestamp", ""), signed["service"]
    message = "The request header `X-TC-Timestamp` is missing."
    require(re.fullmatch(r"[0-9]{1,12}", timestamp), "MissingParameter", message)
    names = signed["headers"].split(";")
    message = f"SignedHeaders {signed['headers']!r} is not sorted, or lacks content-type or host."
    is_complete = {"content-type", "host"} <= set(names) and names == sorted(set(names))
    require(is_complete, malformed, message)
    time = int(timestamp)
    _check_caller(signed["id"], time, credentials, now)
    message = f"The scope's date {signed['date']} is not the UTC date of X-TC-Timestamp."
    require(signed["date"] == _utc_date(time), wrong, message)

    def sign(variant: Request) -> str:
        return tc3_signature(credentials.secret_key, variant, names, time, service)

    require(_is_signed(signed["signature"], request, sign), wrong, _WRONG)
    has_token = headers.get("x-tc-token", "") == credentials.token
    require(has_token, "AuthFailure.TokenFailure", "X-TC-Token is missing or wrong.")
    return service


def _check_caller(key_id: str, timestamp: int, credentials: AccountCredentials, now: float) -> None:
    message = f"Timestamp and the server's time differ by more than {TOLERANCE_SECONDS} s."
    is_now = abs(now - timestamp) <= TOLERANCE_SECONDS
    require(is_now, "AuthFailure.SignatureExpire", message)
    is_known = key_id == credentials.secret_id
    require(is_known, "AuthFailure.SecretIdNotFound", f"No such SecretId: {key_id}.")


def _utc_date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")


def _is_signed(given: str, request: Request, sign: Callable[[Request], str]) -> bool:
    """Whether a signature is that of a request, with or without `host`'s port, as SDKs differ."""
    without_port = re.sub(r":\d+$", "", request.headers.get("host", ""))
    other = replace(request, headers={**request.headers, "host": without_port})
    expected = (sign(variant).encode() for variant in (request, other))
    return any(hmac.compare_digest(text, given.encode(*_RAW)) for text in expected)


# --- v1: HmacSHA1 and HmacSHA256 (document/api/213/15693) ---


def v1_signature(secret_key: str, request: Request, params: Mapping[str, str]) -> str:
    """Return the signature in base64; `params` are all but Signature, not URL-encoded."""
    pairs = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    digest = V1_METHODS[params.get("SignatureMethod", "HmacSHA1")]
    to_sign = f"{request.method}{request.headers.get('host', '')}/?{pairs}".encode(*_RAW)
    return b64encode(hmac.digest(secret_key.encode(), to_sign, digest)).decode()


def verify_v1(
    request: Request, params: Mapping[str, str], credentials: AccountCredentials, now: float
) -> None:
    """Verify the signature in a request's parameters. A Nonce may be used more than once.

    Raises:
        ErrorReply: AuthFailure.*, or the code for a missing or invalid parameter.
    """
    for name in ("SecretId", "Timestamp", "Nonce", "Signature"):
        message = f"The request parameter `{name}` is missing."
        require(params.get(name), "MissingParameter", message)
    for name, allowed, value in (
        ("Timestamp", "[0-9]{1,12}", params["Timestamp"]),
        ("Nonce", "[0-9]{1,20}", params["Nonce"]),
        ("SignatureMethod", "|".join(V1_METHODS), params.get("SignatureMethod", "HmacSHA1")),
    ):
        message = f"{name} {value!r} does not match {allowed}."
        require(re.fullmatch(allowed, value), "InvalidParameterValue", message)
    _check_caller(params["SecretId"], int(params["Timestamp"]), credentials, now)
    signed = {name: value for name, value in params.items() if name != "Signature"}

    def sign(variant: Request) -> str:
        return v1_signature(credentials.secret_key, variant, signed)

    is_signed = _is_signed(params["Signature"], request, sign)
    require(is_signed, "AuthFailure.SignatureFailure", _WRONG)
    has_token = params.get("Token", "") == credentials.token
    require(has_token, "AuthFailure.TokenFailure", "The parameter `Token` is missing or wrong.")


# --- COS, q-sign-algorithm=sha1 (document/product/436/7778) ---


def cos_signature(
    secret_key: str, request: Request, key_time: str, params: _Names = (), headers: _Names = ()
) -> str:
    """Return the signature in hex; `params` and `headers` are the signed names, in lower case."""
    signed = [_cos_pairs(_lower(request.params), params), _cos_pairs(request.headers, headers)]
    http = "\n".join((request.method.lower(), request.path, *signed, ""))
    to_sign = f"sha1\n{key_time}\n{hashlib.sha1(http.encode(*_RAW)).hexdigest()}\n"
    sign_key = hmac.digest(secret_key.encode(), key_time.encode(), "sha1").hex()
    return hmac.digest(sign_key.encode(), to_sign.encode(), "sha1").hex()


def presigned_url(credentials: AccountCredentials, host: str, path: str, end: float) -> str:
    """Return a URL that gets an object until `end`, in epoch seconds."""
    times = f"0;{int(end)}"
    request = Request("GET", path, headers={"host": host})
    signature = cos_signature(credentials.secret_key, request, times, headers=["host"])
    query = {"q-sign-algorithm": "sha1", "q-ak": credentials.secret_id, "q-sign-time": times}
    query |= {"q-key-time": times, "q-header-list": "host", "q-url-param-list": ""}
    query |= {"q-signature": signature, COS_TOKEN: credentials.token}
    return f"https://{host}{quote(path)}?{urlencode(query)}"


def _lower(params: Mapping[str, str]) -> dict[str, str]:
    return {name.lower(): value for name, value in params.items()}


def _cos_pairs(given: Mapping[str, str], names: _Names) -> str:
    pairs = ((name, given.get(name, "")) for name in names if name)
    encoded = (
        (quote(name, "-_.~", *_RAW).lower(), quote(value, "-_.~", *_RAW)) for name, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def cos_key(request: Request) -> str:
    """Return the SecretId that a COS request names, or nothing."""
    return _cos_members(request).get("q-ak", "")


def _cos_members(request: Request) -> dict[str, str]:
    given = dict(parse_qsl(request.headers.get("authorization", ""), keep_blank_values=True))
    return given or {k: value for k, value in request.params.items() if k.startswith("q-")}


def verify_cos(request: Request, credentials: AccountCredentials, now: float) -> None:
    """Verify the signature in a COS request's Authorization header, or in a presigned URL.

    Raises:
        ErrorReply: always with status 403.
    """
    given = _cos_members(request)
    names = ("sign-algorithm", "ak", "sign-time", "key-time", "header-list", "url-param-list")
    algorithm, key_id, times, key_times, headers, params = (given.get(f"q-{n}", "") for n in names)
    signature = given.get("q-signature", "")
    window = re.fullmatch(r"([0-9]{1,12});([0-9]{1,12})", times)
    is_formed = algorithm == "sha1" and re.fullmatch(r"[0-9a-f]{40}", signature)
    if not window or not is_formed or key_times != times:
        raise ErrorReply("AccessDenied", "Authorization is missing or malformed.", 403)
    start, end = map(int, window.groups())
    require(now >= start, "RequestTimeTooSkewed", "The signature is not valid yet.", 403)
    require(now <= end, "AccessDenied", "Request has expired", 403)
    message = "The Access Key Id does not exist in our records."
    require(key_id == credentials.secret_id, "InvalidAccessKeyId", message, 403)

    def sign(variant: Request) -> str:
        lists = params.split(";"), headers.split(";")
        return cos_signature(credentials.secret_key, variant, times, *lists)

    require(_is_signed(signature, request, sign), "SignatureDoesNotMatch", _WRONG, 403)
    token = request.headers.get(COS_TOKEN) or _lower(request.params).get(COS_TOKEN, "")
    require(token == credentials.token, "InvalidToken", f"{COS_TOKEN} is missing or wrong.", 403)
