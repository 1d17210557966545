"""CVM and Tag calls through the official API SDK, with what it gets wrong put right.

`CommonClient` rather than the typed clients: the same transport and signature, a third of the
import, and reply members that the typed models do not know are kept. What is put right here:
an error reply is an error whatever its Content-Type, and a reply that cannot be read is told
apart from a success.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from image_steward import codes
from image_steward.cloud.transport import SESSION, Credentials
from image_steward.errors import ApiError, NoClearAnswer

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping

    from tencentcloud.common.http.request import RequestInternal

    from image_steward.settings import Settings

VERSIONS = {"cvm": "2017-03-12", "tag": "2018-08-13"}


@dataclass
class Api:
    """Calls for one run; `tally` counts them, and those the cloud refused as too fast."""

    settings: Settings
    credentials: Credentials
    tally: Counter[str]

    def __call__(
        self, service: str, action: str, region: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The members of the reply's `Response`, `RequestId` always among them.

        Raises:
            ApiError: the reply says `Error`.
            NoClearAnswer: no reply, or one that is neither an error nor has a `RequestId`.
        """
        client = _client(service, region, self.settings.api_endpoint_of(service, region))
        client.credential = self.credentials
        self.tally["calls"] += 1
        try:
            return _response(client.call(action, dict(params)))
        except (ValueError, KeyError, TypeError) as error:
            reason = f"{type(error).__name__}: {error}"
            raise NoClearAnswer(f"{action}: a reply that cannot be read ({reason[:80]})") from None
        except ApiError as error:
            self.tally["throttles"] += codes.is_throttle(error.code)
            raise


@cache
def _client(service: str, region: str, endpoint: str) -> CommonClient:
    """One for each region and instance: creating one costs more than a call."""
    url = urlsplit(endpoint)
    http = HttpProfile(protocol=url.scheme, endpoint=url.netloc)
    profile = ClientProfile(httpProfile=http, language="en-US")
    client = CommonClient(service, VERSIONS[service], None, region, profile)
    client.request = _Transport(url.scheme)
    return client


@dataclass(frozen=True)
class _Transport:
    """Stands where the SDK keeps its own HTTP side, and does the one thing asked of it."""

    scheme: str

    def send_request(self, request: RequestInternal) -> requests.Response:
        url = f"{self.scheme}://{request.host}{request.uri}"
        try:
            reply = SESSION.request(request.method, url, data=request.data, headers=request.header)
        except requests.RequestException as error:
            raise NoClearAnswer(f"{type(error).__name__}: {str(error)[:300]}") from None
        if reply.status_code != requests.codes.ok:
            raise NoClearAnswer(f"{request.host}: HTTP status {reply.status_code}")
        # The SDK looks for errors in two Content-Types only, and stumbles over some of those it
        # finds. It finds none under this one; `_response` looks into every reply.
        reply.headers["Content-Type"] = "application/octet-stream"
        return reply


def _response(content: bytes) -> dict[str, Any]:
    response = json.loads(content.decode("utf-8"))["Response"]
    if "Error" in response:
        error = response["Error"]
        request_id = str(response.get("RequestId", ""))
        raise ApiError.of(str(error["Code"]), str(error["Message"]), request_id)
    return {**response, "RequestId": str(response["RequestId"])}
