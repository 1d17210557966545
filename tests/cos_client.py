"""The official COS SDK, connected to an emulated cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcloud_cos import CosConfig, CosS3Client

from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud

REGION = "ap-guangzhou"
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
