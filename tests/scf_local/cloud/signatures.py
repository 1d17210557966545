"""Verifies signatures: TC3-HMAC-SHA256, the older v1, and q-sign-algorithm=sha1 of COS."""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from urllib.parse import parse_qsl, quote, urlencode

from scf_local.cloud.wire import ErrorReply, Request
from scf_local.credentials import AccountCredentials

TOLERANCE_SECONDS = 300
"""document/api/213/30654: "must not differ by more than five minutes"."""
V1_METHODS = {"HmacSHA1": "sha1", "HmacSHA256": "sha256"}
"""Values of SignatureMethod; the first is the default (document/api/213/15693)."""
COS_TOKEN = "x-cos-security-token"  # noqa: S105 - the name of a header or parameter

_RAW = ("utf-8", "surrogateescape")  # how the server decodes bytes that are not UTF-8
_TC3 = re.compile(
    r"TC3-HMAC-SHA256 Credential=(?P<id>[^/\s,]+)/(?P<date>\d{4}-\d\d-\d\d)/(?P<service>[\w:-]+)"
    r"/tc3_request,\s*SignedHeaders=(?P<headers>[a-z0-9;-]+),\s*Signature=(?P<signature>[0-9a-f]+)"
)


# --- TC3-HMAC-SHA256 (document/api/213/30654) ---


def tc3_signature(  # noqa: PLR0913 - everything that is signed
    secret_key: str,
    *,
    timestamp: int,
    service: str,
    method: str,
    query: str,
    headers: Iterable[tuple[str, str]],
    payload: bytes,
) -> str:
    """Return the signature in hex; `headers` are those signed, by lower-case name, sorted."""
    headers = list(headers)
    lines = "".join(f"{name}:{value}\n" for name, value in headers)
    names = ";".join(name for name, _ in headers)
    canonical = f"{method}\n/\n{query}\n{lines}\n{names}\n{hashlib.sha256(payload).hexdigest()}"
    date = _utc_date(timestamp)
    scope = f"{date}/{service}/tc3_request"
    digest = hashlib.sha256(canonical.encode(*_RAW)).hexdigest()
    key = f"TC3{secret_key}".encode()
    for part in (date, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    to_sign = f"TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{digest}"
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def tc3_key(request: Request) -> str:
    """Return the SecretId that the head of a request names, or nothing."""
    signed = _TC3.fullmatch(request.headers.get("authorization", "").strip())
    return signed["id"] if signed else ""


def verify_tc3(request: Request, credentials: AccountCredentials, now: float) -> str:
    """Verify a signature, and return the service that it is for, such as `cvm`.

    Raises:
        ErrorReply: AuthFailure.*, or MissingParameter for a missing X-TC-Timestamp.
    """
    headers = request.headers
    signed = _TC3.fullmatch(headers.get("authorization", "").strip())
    if signed is None:
        raise ErrorReply("AuthFailure.InvalidAuthorization", "Authorization is missing or invalid.")
    timestamp = headers.get("x-tc-timestamp", "")
    if not re.fullmatch(r"[0-9]{1,12}", timestamp):
        raise ErrorReply("MissingParameter", "The request header `X-TC-Timestamp` is missing.")
    names = signed["headers"].split(";")
    if not {"content-type", "host"} <= set(names) or names != sorted(set(names)):
        raise ErrorReply(
            "AuthFailure.InvalidAuthorization",
            f"SignedHeaders {signed['headers']!r} is not sorted, or lacks content-type or host.",
        )
    _check_clock(int(timestamp), now)
    if signed["id"] != credentials.secret_id:
        raise ErrorReply("AuthFailure.SecretIdNotFound", f"No such SecretId: {signed['id']}.")
    if signed["date"] != _utc_date(int(timestamp)):
        raise ErrorReply(
            "AuthFailure.SignatureFailure",
            f"The scope's date {signed['date']} is not the UTC date of X-TC-Timestamp.",
        )
    payload = b"" if request.method == "GET" else request.body
    if headers.get("x-tc-content-sha256") == "UNSIGNED-PAYLOAD":
        payload = b"UNSIGNED-PAYLOAD"

    def sign(variant: Mapping[str, str]) -> str:
        return tc3_signature(
            credentials.secret_key,
            timestamp=int(timestamp),
            service=signed["service"],
            method=request.method,
            query=request.query,
            headers=[(name, _tc3_value(name, variant)) for name in names],
            payload=payload,
        )

    if not _is_signed(signed["signature"], headers, sign):
        raise ErrorReply("AuthFailure.SignatureFailure", "The signature is not the expected one.")
    if headers.get("x-tc-token", "") != credentials.token:
        raise ErrorReply("AuthFailure.TokenFailure", "X-TC-Token is missing or wrong.")
    return signed["service"]


def _check_clock(timestamp: int, now: float) -> None:
    if abs(now - timestamp) > TOLERANCE_SECONDS:
        raise ErrorReply(
            "AuthFailure.SignatureExpire",
            f"Timestamp and the server's time differ by more than {TOLERANCE_SECONDS} s.",
        )


def _tc3_value(name: str, headers: Mapping[str, str]) -> str:
    # The document converts all values to lower case, the Python SDK none. This matters only for
    # X-TC-… headers, which that SDK does not sign.
    value = headers.get(name, "").strip()
    return value.lower() if name.startswith("x-tc-") else value


def _utc_date(timestamp: int) -> str:
    return datetime.fromtimestamp(timestamp, timezone.utc).strftime("%Y-%m-%d")


def _is_signed(
    given: str, headers: Mapping[str, str], sign: Callable[[Mapping[str, str]], str]
) -> bool:
    """Whether a signature is that of the headers, with or without `host`'s port, as SDKs differ."""
    without_port = {**headers, "host": re.sub(r":\d+$", "", headers.get("host", ""))}
    expected = (sign(variant).encode() for variant in (headers, without_port))
    return any(hmac.compare_digest(text, given.encode(*_RAW)) for text in expected)


# --- v1: HmacSHA1 and HmacSHA256 (document/api/213/15693) ---


def v1_signature(secret_key: str, *, method: str, host: str, params: Mapping[str, str]) -> str:
    """Return the signature in base64; `params` are all but Signature, not URL-encoded."""
    pairs = "&".join(f"{name}={value}" for name, value in sorted(params.items()))
    digest = V1_METHODS[params.get("SignatureMethod", "HmacSHA1")]
    to_sign = f"{method}{host}/?{pairs}".encode(*_RAW)
    return b64encode(hmac.digest(secret_key.encode(), to_sign, digest)).decode()


def verify_v1(
    request: Request, params: Mapping[str, str], credentials: AccountCredentials, now: float
) -> None:
    """Verify the signature in a request's parameters. A Nonce may be used more than once.

    Raises:
        ErrorReply: AuthFailure.*, or the code for a missing or invalid parameter.
    """
    for name in ("SecretId", "Timestamp", "Nonce", "Signature"):
        if not params.get(name):
            raise ErrorReply("MissingParameter", f"The request parameter `{name}` is missing.")
    method = params.get("SignatureMethod", "HmacSHA1")
    for name, allowed, value in (
        ("Timestamp", "[0-9]{1,12}", params["Timestamp"]),
        ("Nonce", "[0-9]{1,20}", params["Nonce"]),
        ("SignatureMethod", "|".join(V1_METHODS), method),
    ):
        if not re.fullmatch(allowed, value):
            raise ErrorReply("InvalidParameterValue", f"{name} {value!r} does not match {allowed}.")
    _check_clock(int(params["Timestamp"]), now)
    if params["SecretId"] != credentials.secret_id:
        raise ErrorReply("AuthFailure.SecretIdNotFound", f"No such SecretId: {params['SecretId']}.")
    signed = {name: value for name, value in params.items() if name != "Signature"}

    def sign(variant: Mapping[str, str]) -> str:
        return v1_signature(
            credentials.secret_key,
            method=request.method,
            host=variant.get("host", ""),
            params=signed,
        )

    if not _is_signed(params["Signature"], request.headers, sign):
        raise ErrorReply("AuthFailure.SignatureFailure", "The signature is not the expected one.")
    if params.get("Token", "") != credentials.token:
        raise ErrorReply("AuthFailure.TokenFailure", "The parameter `Token` is missing or wrong.")


# --- COS, q-sign-algorithm=sha1 (document/product/436/7778) ---


def cos_signature(  # noqa: PLR0913 - as above
    secret_key: str,
    *,
    key_time: str,
    method: str,
    path: str,
    params: Iterable[tuple[str, str]],
    headers: Iterable[tuple[str, str]],
) -> str:
    """Return the signature in hex; `path` not encoded, `params` and `headers` those signed."""
    http = "\n".join((method.lower(), path, _cos_pairs(params), _cos_pairs(headers), ""))
    to_sign = f"sha1\n{key_time}\n{hashlib.sha1(http.encode(*_RAW)).hexdigest()}\n"
    sign_key = hmac.digest(secret_key.encode(), key_time.encode(), "sha1").hex()
    return hmac.digest(sign_key.encode(), to_sign.encode(), "sha1").hex()


def presigned_url(credentials: AccountCredentials, host: str, path: str, end: float) -> str:
    """Return a URL that gets an object until `end`, in epoch seconds."""
    times = f"0;{int(end)}"
    headers = {"host": host}
    signature = cos_signature(
        credentials.secret_key,
        key_time=times,
        method="GET",
        path=path,
        params=(),
        headers=headers.items(),
    )
    query = {"q-sign-algorithm": "sha1", "q-ak": credentials.secret_id, "q-sign-time": times}
    query |= {"q-key-time": times, "q-header-list": ";".join(headers), "q-url-param-list": ""}
    query |= {"q-signature": signature, COS_TOKEN: credentials.token}
    return f"https://{host}{quote(path)}?{urlencode(query)}"


def _cos_pairs(pairs: Iterable[tuple[str, str]]) -> str:
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
    query, given = request.params, _cos_members(request)
    names = ("sign-algorithm", "ak", "sign-time", "key-time", "header-list", "url-param-list")
    algorithm, key_id, times, key_times, headers, params = (given.get(f"q-{n}", "") for n in names)
    signature = given.get("q-signature", "")
    window = re.fullmatch(r"([0-9]{1,12});([0-9]{1,12})", times)
    is_formed = algorithm == "sha1" and re.fullmatch(r"[0-9a-f]{40}", signature)
    if not window or not is_formed or key_times != times:
        raise ErrorReply("AccessDenied", "Authorization is missing or malformed.", 403)
    start, end = map(int, window.groups())
    if now < start:
        raise ErrorReply("RequestTimeTooSkewed", "The signature is not valid yet.", 403)
    if now > end:
        raise ErrorReply("AccessDenied", "Request has expired", 403)
    if key_id != credentials.secret_id:
        raise ErrorReply(
            "InvalidAccessKeyId", "The Access Key Id does not exist in our records.", 403
        )
    query = {name.lower(): value for name, value in query.items()}

    def sign(variant: Mapping[str, str]) -> str:
        return cos_signature(
            credentials.secret_key,
            key_time=times,
            method=request.method,
            path=request.path,
            params=[(name, query.get(name, "")) for name in params.split(";") if name],
            headers=[(name, variant.get(name, "")) for name in headers.split(";") if name],
        )

    if not _is_signed(signature, request.headers, sign):
        raise ErrorReply("SignatureDoesNotMatch", "The signature is not the expected one.", 403)
    if (request.headers.get(COS_TOKEN) or query.get(COS_TOKEN, "")) != credentials.token:
        raise ErrorReply("InvalidToken", f"{COS_TOKEN} is missing or wrong.", 403)
