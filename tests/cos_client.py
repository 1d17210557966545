"""The official COS SDK, connected to an emulated cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qcloud_cos import CosConfig, CosS3Client

from scf_local.credentials import Credentials

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud

REGION = "ap-guangzhou"
KEYS = Credentials()


def config(keys: Credentials = KEYS, **settings: Any) -> CosConfig:  # noqa: ANN401 - the SDK's own
    """Return a configuration of the SDK."""
    return CosConfig(
        Region=REGION,
        SecretId=keys.secret_id,
        SecretKey=keys.secret_key,
        Token=keys.token,
        Scheme="http",
        **settings,
    )


def client_of(cloud: EmulatedCloud, keys: Credentials = KEYS) -> CosS3Client:
    """Return a COS client that sends the bucket in the Host header."""
    host, port = cloud.url.removeprefix("http://").split(":")
    return CosS3Client(config(keys, IP=host, Port=int(port), KeepAlive=False), retry=0)
