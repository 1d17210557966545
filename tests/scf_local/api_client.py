"""Calls of the cloud's APIs, real or emulated, by the official SDK."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from scf_local import network
from scf_local.credentials import SCF_NAMES

VERSIONS = {"cvm": "2017-03-12", "scf": "2018-04-16", "cls": "2020-10-16"}


def call(
    cloud: Mapping[str, str], region: str, service: str, action: str, params: dict[str, Any]
) -> dict[str, Any]:
    """Return the `Response` of an action in a region; `cloud` are the variables of the cloud.

    Raises:
        TencentCloudSDKException: an error reply, or none.
    """
    url = cloud.get(network.ENDPOINT, "")
    host = urlsplit(url).netloc or f"{service}.{region}.tencentcloudapi.com"
    http = HttpProfile(endpoint=host, protocol="http" if url else "https")
    profile = ClientProfile(httpProfile=http, language="en-US")
    credential = Credential(*map(cloud.get, SCF_NAMES))
    client = CommonClient(service, VERSIONS[service], credential, region, profile)
    with suppress(ValueError, LookupError, TypeError, AttributeError):  # such as a proxy's page
        return dict(client.call_json(action, params)["Response"])
    raise TencentCloudSDKException("ClientNetworkError", "The reply is not one of the API.")
