"""The official SDKs: SCF, CAM and COS. The only module that imports them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import requests
from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from scf_deploy.call import Call
from scf_deploy.errors import CloudError, Throttled, Unanswered
from scf_local.credentials import AccountCredentials

_VERSIONS = {"scf": "v20180416", "cam": "v20190116"}
_COS = {
    "HeadBucket": "head_bucket", "PutBucket": "create_bucket",
    "GetBucketACL": "get_bucket_acl", "PutBucketACL": "put_bucket_acl",
    "GetBucketVersioning": "get_bucket_versioning", "PutBucketVersioning": "put_bucket_versioning",
    "GetBucket": "list_objects",
}  # fmt: skip
"""The COS SDK's method for each action."""
_NOT_DONE = ("RequestLimitExceeded", "ResourceInsufficient.Concurrent", "SlowDown")
_UNANSWERED = ("InternalError", "ClientNetworkError", "ServerNetworkError", "ClientParamsError")
_SECONDS = 60
_TOO_MANY, _SERVER_ERROR, _NOT_FOUND = 429, 500, 404


@dataclass(frozen=True)
class Cloud:
    """Makes calls in a region, with an account's keys.

    Attributes:
        endpoint: a URL in which `{service}` and `{region}` may stand; empty: the SDK's own.
            CAM has no regions: for it, `.{region}` is left out.
        cos_endpoint: a URL that all requests to buckets are sent to, with the bucket in `Host`.
        certificates: a file with those to trust, which the API's SDK would look for nowhere.
    """

    credentials: AccountCredentials
    region: str
    endpoint: str = ""
    cos_endpoint: str = ""
    certificates: str | None = None

    def __call__(self, call: Call) -> dict[str, Any]:
        """Make a call and return the reply; never again by itself.

        Raises:
            CloudError: see `errors`.
        """
        send = self._cos if call.service == "cos" else self._api
        return send(call.service, call.action, call.params)

    def download(self, url: str) -> bytes:
        """Return what a presigned URL of COS has.

        Raises:
            CloudError: there is nothing, or no reply.
        """
        parts, base = urlsplit(url), self.cos_endpoint.rstrip("/")
        here = f"{base}{parts.path}?{parts.query}" if base else url
        try:
            reply = requests.get(here, headers={"Host": parts.netloc}, timeout=_SECONDS)
        except requests.RequestException as error:
            raise Unanswered("download of the code", type(error).__name__, str(error)) from None
        if not reply.ok:
            raise CloudError("download of the code", f"HTTP{reply.status_code}", reply.reason)
        return reply.content

    def _api(self, service: str, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        module = f"tencentcloud.{service}.{_VERSIONS[service]}"
        models = import_module(f"{module}.models")
        client_class = getattr(
            import_module(f"{module}.{service}_client"), f"{service.capitalize()}Client"
        )
        request = getattr(models, f"{action}Request")()
        request.from_json_string(json.dumps(params))
        place = ".{region}" if service == "cam" else "{region}"
        url = self.endpoint.replace(place, "" if service == "cam" else self.region)
        parts = urlsplit(url.replace("{service}", service))
        http = HttpProfile(
            parts.scheme or None, parts.netloc or None,
            reqTimeout=_SECONDS, certification=self.certificates,
        )  # fmt: skip
        profile = ClientProfile(httpProfile=http, language="en-US")
        client = client_class(Credential(*astuple(self.credentials)), self.region, profile)
        try:
            reply = getattr(client, action)(request)
            answer: dict[str, Any] = json.loads(reply.to_json_string())
        except TencentCloudSDKException as error:
            code, reason = str(error.get_code()), str(error.get_message())
            kind = _kind(code)
            raise kind(action, code, reason, error.get_request_id() or "") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # a proxy's page
            raise Unanswered(action, type(error).__name__, "the reply is not the API's") from None
        return answer

    def _cos(self, _: str, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
        url = urlsplit(self.cos_endpoint)
        keys = self.credentials
        config = CosConfig(
            Region=self.region,
            SecretId=keys.secret_id,
            SecretKey=keys.secret_key,
            Token=keys.token or None,
            Scheme=url.scheme or None,
            IP=url.hostname,  # keeps the bucket in the Host header
            Port=url.port,
            Timeout=_SECONDS,
        )
        method: Callable[..., dict[str, Any] | None]
        method = getattr(CosS3Client(config, retry=0), _COS[action])
        try:
            return method(**params) or {}
        except CosServiceError as error:
            status, code = error.get_status_code(), str(error.get_error_code())
            raise _cos_kind(status)(action, code, str(error.get_error_msg())) from None
        except CosClientError as error:
            raise Unanswered(action, "CosClientError", str(error)) from None


def _kind(code: str) -> type[CloudError]:
    if code.startswith(_NOT_DONE):
        return Throttled
    return Unanswered if code.startswith(_UNANSWERED) else CloudError


def _cos_kind(status: int) -> type[CloudError]:
    if status == _TOO_MANY:
        return Throttled
    return Unanswered if status >= _SERVER_ERROR else CloudError
