"""CVM and Tag calls through the official API SDK, with what it gets wrong put right.

`CommonClient` rather than the typed clients: the same transport and signature, a third of the
import, and reply members that the typed models do not know are kept. What is put right here:
an error reply is an error whatever its Content-Type, and a reply that cannot be read is told
apart from a success.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import requests
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from image_steward.clock import Deadline
from image_steward.cloud.actions import Action
from image_steward.cloud.credentials import Credentials
from image_steward.cloud.rate_limit import RateLimiters
from image_steward.cloud.transport import Session
from image_steward.error_codes import error_of
from image_steward.errors import (
    AccountError,
    AmbiguousResponse,
    CredentialsError,
    Stopped,
    Throttled,
)
from image_steward.settings import Settings


@dataclass
class Api:
    """Calls for one run, each at its pace. Safe for threads.

    `keys` reads the credentials; it is asked again, once, when the cloud refuses those read
    before.
    """

    settings: Settings
    session: Session
    rate_limiters: RateLimiters
    keys: Callable[[], Credentials]
    start_by: Deadline
    calls: int = 0
    throttles: int = 0
    """Calls that the cloud refused as too fast."""
    _refusal: AccountError | None = None
    _lock: Lock = field(default_factory=Lock, repr=False)

    def __post_init__(self) -> None:
        self._credentials = self._first = self.keys()

    def __call__(self, action: Action, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """The members of the reply's `Response`, `RequestId` always among them.

        Raises:
            ApiError: the reply says `Error`.
            AmbiguousResponse: no reply, or one that is neither an error nor has a `RequestId`.
            TimeRanOut: its turn would have come too late.
            Stopped: a call before it found that the account is refused.
        """
        rate_limiter = self.rate_limiters.of(
            action, self.settings.api_endpoint_of(action.service, region)
        )
        self._check()
        turn = rate_limiter.wait(self.start_by)
        self._check()
        credentials = self._credentials
        with self._lock:
            self.calls += 1
        try:
            response = _response(self._client(credentials, action, region), action.name, params)
        except Throttled:
            rate_limiter.throttled(turn)
            with self._lock:
                self.throttles += 1
            raise
        except AccountError as error:
            if isinstance(error, CredentialsError) and self._renewed(credentials):
                return self(action, region, params)
            self._refusal = error
            raise
        rate_limiter.accepted()
        return response

    def _check(self) -> None:
        if self._refusal:
            raise Stopped(f"not attempted after {self._refusal.code}: {self._refusal.message}")

    def _renewed(self, refused: Credentials) -> bool:
        """Whether there are other credentials to try than those that were refused."""
        with self._lock:
            if self._credentials is refused is self._first:
                self._credentials = self.keys()
            return self._credentials is not refused

    def _client(self, keys: Credentials, action: Action, region: str) -> CommonClient:
        """A client for one call: making it costs a twentieth of one, keeping it would be state."""
        endpoint = self.settings.api_endpoint_of(action.service, region)
        http = HttpProfile(endpoint=urlsplit(endpoint).netloc)
        profile = ClientProfile(httpProfile=http, language="en-US")
        client = CommonClient(action.service, action.version, keys, region, profile)
        client.request = _Transport(endpoint, self.session)
        return client


def _response(client: CommonClient, action: str, params: Mapping[str, Any]) -> dict[str, Any]:
    try:
        body = client.call(action, dict(params)).decode("utf-8")
        response = json.loads(body)["Response"]
        if "Error" not in response:
            return {**response, "RequestId": _request_id(response["RequestId"])}
        code, message = (str(response["Error"][name]) for name in ("Code", "Message"))
        request_id = str(response.get("RequestId", ""))
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        reason = f"{type(error).__name__}: {error}"[:80]
        raise AmbiguousResponse(f"{action}: a reply that cannot be read ({reason})") from None
    raise error_of(code, message, request_id)


def _request_id(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("no RequestId")
    return value


@dataclass(frozen=True)
class _Transport:
    """Stands where the SDK keeps its own HTTP side, and does the one thing asked of it."""

    endpoint: str
    session: Session

    def send_request(self, request: Any) -> requests.Response:  # noqa: ANN401 - the SDK's
        url = f"{self.endpoint}{request.uri}"
        options = {"data": request.data, "headers": request.header}
        try:
            reply = self.session.request(request.method, url, **options)
        except requests.RequestException as error:
            raise AmbiguousResponse(f"{type(error).__name__}: {str(error)[:300]}") from None
        if reply.status_code != requests.codes.ok:
            raise AmbiguousResponse(f"{request.host}: HTTP status {reply.status_code}")
        # The SDK looks for errors in two Content-Types only, and stumbles over some of those it
        # finds. It finds none under this one; `Api` looks into every reply.
        reply.headers["Content-Type"] = "application/octet-stream"
        return reply
