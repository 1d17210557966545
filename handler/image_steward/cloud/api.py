"""CVM and Tag calls through the official API SDK, with what it gets wrong put right.

`CommonClient` rather than the typed clients: the same transport and signature, a third of the
import, and reply members that the typed models do not know are kept. What is put right here:
an error reply is an error whatever its Content-Type, and a reply that cannot be read is told
apart from a success.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import requests
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from image_steward.cloud.transport import SESSION
from image_steward.errors import (
    AccountRefused,
    ApiError,
    KeysRefused,
    NoClearAnswer,
    Stopped,
    Throttled,
)
from image_steward.pacing import Pacers

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Mapping

    from tencentcloud.common.http.request import RequestInternal

    from image_steward.clock import Clock, RunTime
    from image_steward.cloud.transport import Credentials
    from image_steward.settings import Settings

VERSIONS = {"cvm": "2017-03-12", "tag": "2018-08-13"}


@dataclass
class Api:
    """Calls for one run, each at its pace. Safe for threads.

    `keys` reads the credentials; it is asked again, once, when the cloud refuses those read
    before. `tally` counts the calls, and those that the cloud refused as too fast.
    """

    settings: Settings
    keys: Callable[[], Credentials]
    time: RunTime
    tally: Counter[str]

    def __post_init__(self) -> None:
        self._credentials = self.keys()
        self._renewals = 1
        self._refusal: AccountRefused | None = None
        self._pacers = _pacers(self.time.start_by.clock)
        self._lock = Lock()

    def __call__(
        self, service: str, action: str, region: str, params: Mapping[str, Any]
    ) -> dict[str, Any]:
        """The members of the reply's `Response`, `RequestId` always among them.

        Raises:
            ApiError: the reply says `Error`.
            NoClearAnswer: no reply, or one that is neither an error nor has a `RequestId`.
            TimeRanOut: its turn would have come too late.
            Stopped: a call before it found that the account is refused.
        """
        endpoint = self.settings.api_endpoint_of(service, region)
        pacer = self._pacers[action, endpoint]
        self._check()
        turn = pacer.wait(self.time.start_by)
        self._check()
        credentials = self._credentials
        client = _client(service, region, endpoint)
        client.credential = self  # asked for the keys as they are when the call is signed
        with self._lock:
            self.tally["calls"] += 1
        try:
            response = _response(client, action, params)
        except Throttled:
            pacer.refused(turn)
            with self._lock:
                self.tally["throttles"] += 1
            raise
        except AccountRefused as error:
            if isinstance(error, KeysRefused) and self._renewed(credentials):
                return self(service, action, region, params)
            self._refusal = error
            raise
        pacer.admitted()
        return response

    def get_credential_info(self) -> tuple[str, str, str | None]:
        """What the SDK asks a credential for, at every call."""
        keys = self._credentials
        return keys.secret_id, keys.secret_key, keys.token

    def _check(self) -> None:
        if self._refusal:
            raise Stopped(f"not attempted after {self._refusal.code}: {self._refusal.message}")

    def _renewed(self, refused: Credentials) -> bool:
        """Whether there are other credentials to try than those that were refused."""
        with self._lock:
            if self._credentials is refused and self._renewals:
                self._renewals -= 1
                self._credentials = self.keys()
            return self._credentials is not refused


@lru_cache(maxsize=1)
def _pacers(clock: Clock) -> Pacers:
    """The paces of the instance: a run that follows at once must not start with a burst."""
    return Pacers(clock)


@lru_cache(maxsize=64)
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


def _response(client: CommonClient, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        response = json.loads(client.call(action, dict(params)).decode("utf-8"))["Response"]
        if "Error" not in response:
            return {**response, "RequestId": _request_id(response["RequestId"])}
        code, message = (str(response["Error"][name]) for name in ("Code", "Message"))
        request_id = str(response.get("RequestId", ""))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise NoClearAnswer(f"{action}: a reply that cannot be read ({reason[:80]})") from None
    raise ApiError.of(code, message, request_id)


def _request_id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no RequestId")
    return value
