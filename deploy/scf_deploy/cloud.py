"""The official SDKs for SCF, CAM and COS. The only module that imports them.

`CommonClient` instead of the typed clients: it needs no package for each service, and its replies
keep members that the typed models do not know. `tests/deploy` holds each call against the models.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Any
from urllib.parse import urlsplit
from xml.etree.ElementTree import ParseError

import requests
from qcloud_cos import CosClientError, CosConfig, CosS3Client, CosServiceError
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from scf_deploy.call import Call
from scf_deploy.errors import CloudError, InvalidEndpoint, Throttled, Unanswered
from scf_deploy.masking import masked
from scf_local.credentials import AccountCredentials

_VERSIONS = {"scf": "2018-04-16", "cam": "2019-01-16", "cls": "2020-10-16"}
_COS = {"PutBucket": "create_bucket", "GetBucket": "list_objects"}
"""The COS SDK's methods whose names are not those of the actions: `get_bucket_acl`."""
_NOT_DONE = ("RequestLimitExceeded", "SlowDown", "HTTP429")
_UNANSWERED = (
    "InternalError", "ServiceUnavailable", "ClientNetworkError", "ServerNetworkError", "HTTP5",
)  # fmt: skip
_NOT_API = (ValueError, LookupError, TypeError, AttributeError, ParseError)
"""What the SDKs raise for replies of somebody else, such as the page of a proxy."""
_SECONDS = 60
"""To connect, to send, and for each part of a reply."""


@dataclass(frozen=True)
class Cloud:
    """Makes calls in a region, with an account's keys.

    Attributes:
        endpoint: a URL in which `{service}` and `{region}` may stand; empty: the SDK's own.
            CAM has no regions: for it, `.{region}` is left out.
        cos_endpoint: a URL that all requests to buckets are sent to, with the bucket in `Host`.

    Raises:
        InvalidEndpoint: what should be a URL is none.
    """

    credentials: AccountCredentials
    region: str
    endpoint: str = ""
    cos_endpoint: str = ""

    def __post_init__(self) -> None:
        for each in (self.endpoint, self.cos_endpoint):
            if each and not re.fullmatch(r"https?://[^/@?#\s]+/?", each):
                raise InvalidEndpoint(f"{each.rpartition('@')[2]} is not a URL of a host only")

    def __call__(self, call: Call) -> dict[str, Any]:
        """Make a call and return the reply; never again by itself.

        Raises:
            CloudError: see `errors`.
        """
        send = {"cos": self._cos, "url": self._download}.get(call.service, self._api)
        code, reason, request_id = "ServerNetworkError", "the reply is not the API's", ""
        try:
            return send(call)
        except TencentCloudSDKException as error:
            code, request_id = str(error.get_code()), error.get_request_id() or ""
            reason = error.get_message()  # of a status other than 200: the body
        except CosServiceError as error:
            # Of what has no body, it has the headers; of what is not XML, a text.
            given = error.get_digest_msg()
            given = given if isinstance(given, Mapping) else {}
            code = given.get("code") or f"HTTP{error.get_status_code()}"
            reason = given.get("message") or "the reply has no reason"
            request_id = given.get("requestid") or given.get("x-cos-request-id") or ""
        except (requests.RequestException, CosClientError) as error:
            code, reason = "ClientNetworkError", str(error)
        except _NOT_API:
            pass
        kind = Throttled if code.startswith(_NOT_DONE) else CloudError
        kind = Unanswered if code.startswith(_UNANSWERED) else kind
        raise kind(call.action, code, _text(reason, call), request_id)

    def _api(self, call: Call) -> dict[str, Any]:
        service, is_global = call.service, call.service == "cam"
        place = ".{region}" if is_global else "{region}"
        url = self.endpoint.replace(place, "" if is_global else self.region)
        parts = urlsplit(url.replace("{service}", service))
        http = HttpProfile(
            parts.scheme or None, parts.netloc or None, reqTimeout=_SECONDS,
            certification=True,  # otherwise REQUESTS_CA_BUNDLE would not count
        )  # fmt: skip
        profile = ClientProfile(httpProfile=http, language="en-US")
        keys = Credential(*astuple(self.credentials))
        client = CommonClient(service, _VERSIONS[service], keys, self.region, profile)
        reply: dict[str, Any] = client.call_json(call.action, dict(call.params))["Response"]
        if error := reply.get("Error"):  # the SDK raises it only for some Content-Types
            raise TencentCloudSDKException(error["Code"], error["Message"], reply.get("RequestId"))
        if "RequestId" not in reply:
            raise LookupError
        return reply

    def _cos(self, call: Call) -> dict[str, Any]:
        url, (key_id, key, token) = urlsplit(self.cos_endpoint), astuple(self.credentials)
        config = CosConfig(
            Region=self.region, SecretId=key_id, SecretKey=key, Token=token or None,
            Scheme=url.scheme or None, Timeout=_SECONDS,
            IP=url.hostname, Port=url.port,  # which keeps the bucket in the Host header
        )  # fmt: skip
        name = re.sub("(?<=[a-z])(?=[A-Z])", "_", call.action).lower()
        method = getattr(CosS3Client(config, retry=0), _COS.get(call.action, name))
        return method(**call.params) or {}

    def _download(self, call: Call) -> dict[str, Any]:
        """Return what a presigned URL of COS has, as `Body`."""
        url, base = call.params["Url"], self.cos_endpoint.rstrip("/")
        parts = urlsplit(url)
        here = f"{base}{parts.path}?{parts.query}" if base else url
        reply = requests.get(here, headers={"Host": parts.netloc}, timeout=_SECONDS)
        if not reply.ok:
            raise TencentCloudSDKException(f"HTTP{reply.status_code}", reply.reason)
        return {"Body": reply.content}


def _text(reason: object, call: Call) -> str:
    """Return a reason as text, without what it quotes of secrets in the call, or in a URL."""
    text = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
    variables = call.params.get("Environment", {}).get("Variables", ())
    for each in (*variables, {"Key": "", "Value": call.params.get("CustomArgument", "")}):
        if masked(each["Key"], each["Value"]) != each["Value"]:
            text = text.replace(each["Value"], "(hidden)")
    return re.sub(r"\?\S+", "?…", text)
