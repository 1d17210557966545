"""CVM and Tag calls through the official API SDK, with fixes for its flaws.

Uses `CommonClient` instead of the typed clients: it has the same transport and signature, takes a
third of the time to import, and keeps response members that the typed models do not know.
The fixes: an error is found whatever the Content-Type of the response, and an unreadable response
is not taken for a success.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from image_steward import errors
from image_steward.clock import Deadline
from image_steward.cloud.credentials import Credentials, RunCredentials
from image_steward.cloud.image_api import Action, parsing
from image_steward.cloud.rate_limit import RateLimiter
from image_steward.cloud.transport import MAX_REPLY_BYTES, Session, decoded
from image_steward.settings import Settings
from image_steward.strict_json import MAX_CONTAINERS


@dataclass(eq=False, repr=False)
class Api:
    """Rate-limited calls for one run. Thread-safe."""

    settings: Settings
    session: Session
    rate_limiters: dict[tuple[str, str], RateLimiter]
    """By action and endpoint."""
    credentials: RunCredentials
    start_by: Deadline
    calls: list[str]
    """Gets an entry `ApiCalls` for each call, and `Throttles` for each that was throttled."""
    _account_error: errors.AccountError | None = None

    def __call__(self, action: Action, region: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Make a call, and return the members of `Response`, which always include `RequestId`.

        Raises:
            ApiError: the API returned an error.
            AmbiguousResponse: no response, or one with neither an error nor a `RequestId`.
            TimeRanOut: the rate limit would delay the call past `start_by`.
            Stopped: an earlier call failed with an error that concerns the whole account.
        """
        try:
            return self.credentials.use(partial(self._call, action, region, params))
        except errors.AccountError as error:
            self._account_error = error
            raise

    def _call(
        self, action: Action, region: str, params: Mapping[str, Any], credentials: Credentials
    ) -> dict[str, Any]:
        endpoint = self.settings.api_endpoint_of(action.service, region)
        new = RateLimiter(self.start_by.clock, action.limit)
        rate_limiter = self.rate_limiters.setdefault((action.name, endpoint), new)  # atomic
        self._check_account()
        moment = rate_limiter.wait(self.start_by)
        self._check_account()
        # A client for each call: creating it costs 5 % of the call, reusing it would add state.
        http = HttpProfile(endpoint=urlsplit(endpoint).netloc)
        profile = ClientProfile(httpProfile=http, language="en-US")
        client = CommonClient(action.service, action.version, credentials, region, profile)
        client.request.send_request = partial(self._send, endpoint)
        self.calls.append("ApiCalls")
        try:
            response = _response(client, action, params)
        except errors.Throttled:
            rate_limiter.on_throttled(moment)
            self.calls.append("Throttles")
            raise
        rate_limiter.on_success()
        return response

    def _check_account(self) -> None:
        if error := self._account_error:
            raise errors.Stopped(f"the run stopped after {error.code}: {error.message}")

    def _send(self, endpoint: str, request: Any) -> requests.Response:  # noqa: ANN401 - the SDK's
        """Replaces the SDK's own HTTP layer, of which `CommonClient` uses one method."""
        options = {"data": request.data, "headers": request.header}
        response = self.session.request(request.method, f"{endpoint}{request.uri}", **options)
        if response.status_code != requests.codes.ok:
            raise requests.HTTPError(f"{request.host}: HTTP status {response.status_code}")
        # The SDK looks for errors in two Content-Types only, and fails on some of those it finds.
        # With this Content-Type it finds none; `_response` checks every response.
        response.headers["Content-Type"] = "application/octet-stream"
        return response


def _response(client: CommonClient, action: Action, params: Mapping[str, Any]) -> dict[str, Any]:
    with parsing(action):
        text = decoded(client.call(action.name, dict(params)), MAX_REPLY_BYTES).decode("utf-8")
        if text.count("[") + text.count("{") > MAX_CONTAINERS:
            raise ValueError("too many lists and objects")
        response: dict[str, Any] = json.loads(text)["Response"]
        if "Error" not in response:
            request_id = response["RequestId"]
            if not (request_id and isinstance(request_id, str)):
                raise ValueError("no RequestId")
            return response
        code, message = (str(response["Error"][name]) for name in ("Code", "Message"))
        request_id = str(response.get("RequestId", ""))
    raise errors.error_of(code, message, request_id)
