"""The official COS SDK, pointed at an emulated cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcloud_cos import CosConfig, CosS3Client

from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud

REGION = "ap-guangzhou"
KEYS = AccountCredentials()


def config(keys: AccountCredentials = KEYS, **settings: Any) -> CosConfig:  # noqa: ANN401 - the SDK's own
    """The SDK's configuration."""
    return CosConfig(
        Region=REGION,
        SecretId=keys.secret_id,
        SecretKey=keys.secret_key,
        Token=keys.token,
        Scheme="http",
        **settings,
    )


def client_of(cloud: EmulatedCloud, keys: AccountCredentials = KEYS) -> CosS3Client:
    """The COS client, with the bucket in the Host header."""
    host, port = cloud.url.removeprefix("http://").split(":")
    return CosS3Client(config(keys, IP=host, Port=int(port), KeepAlive=False), retry=0)
