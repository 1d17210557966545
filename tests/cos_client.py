"""The official COS SDK, connected to an emulated cloud."""

from __future__ import annotations

import time
from contextlib import closing
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from qcloud_cos import CosConfig, CosS3Client, CosServiceError

from scf_local.cloud.signatures import cos_signature
from scf_local.cloud.wire import Request
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.server import EmulatedCloud

REGION, BUCKET = "ap-guangzhou", "manifests-1250000000"
CREDENTIALS = AccountCredentials()


def config(credentials: AccountCredentials = CREDENTIALS, **settings: Any) -> CosConfig:  # noqa: ANN401 - any of CosConfig
    """Return a configuration of the SDK."""
    return CosConfig(
        Region=REGION,
        SecretId=credentials.secret_id,
        SecretKey=credentials.secret_key,
        Token=credentials.token,
        Scheme="http",
        **settings,
    )


def client_of(cloud: EmulatedCloud, credentials: AccountCredentials = CREDENTIALS) -> CosS3Client:
    """Return a COS client that sends the bucket in the Host header."""
    host, port = cloud.url.removeprefix("http://").split(":")
    return CosS3Client(config(credentials, IP=host, Port=int(port), KeepAlive=False), retry=0)


def error_of(call: Callable[..., Any], **params: Any) -> tuple[int, str]:  # noqa: ANN401 - the SDK's own
    """Return the status and error code of an SDK call that fails."""
    with pytest.raises(CosServiceError) as raised:
        call(**params)
    return raised.value.get_status_code(), raised.value.get_error_code()


def send(  # noqa: PLR0913, PLR0917 - all that a request has
    cloud: EmulatedCloud,
    method: str,
    key: bytes = b"",
    params: dict[str, bytes] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
) -> tuple[int, dict[str, str], bytes]:
    """Send a signed request that the SDK could not send, and return status, headers and body."""
    window = f"{int(time.time()) - 60};{int(time.time()) + 60}"
    query = urlencode(params or {}, quote_via=quote)
    path = f"/{key.decode(errors='surrogateescape')}"
    names = sorted(name.lower() for name in params or {})
    request = Request(method, path, query)
    signature = cos_signature(CREDENTIALS.secret_key, request, window, names)
    sent = {
        "Host": f"{BUCKET}.cos.{REGION}.myqcloud.com",
        "x-cos-security-token": CREDENTIALS.token,
        "Authorization": f"q-sign-algorithm=sha1&q-ak={CREDENTIALS.secret_id}&q-sign-time={window}"
        f"&q-key-time={window}&q-header-list=&q-url-param-list={';'.join(names)}&q-signature={signature}",
        **(headers or {}),
    }
    connection = HTTPConnection(cloud.url.removeprefix("http://"), timeout=20)
    connection.request(method, f"/{quote(key)}{'?' * bool(query)}{query}", body, sent)
    with closing(connection), connection.getresponse() as reply:
        return reply.status, {k.lower(): v for k, v in reply.getheaders()}, reply.read()
