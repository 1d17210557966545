"""Dispatches requests: finds the service, verifies the signature, throttles, injects faults."""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from scf_local.cloud import api_requests, cos, cvm, tags
from scf_local.cloud.api_requests import Tc3Request
from scf_local.cloud.faults import Faults
from scf_local.cloud.rate_limits import RateLimits
from scf_local.cloud.signatures import names_key, verify_cos
from scf_local.cloud.state import State
from scf_local.cloud.wire import Call, CosError, ErrorReply, Reply
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.actions import EmulatedAction, Service
    from scf_local.cloud.api_requests import V1Request
    from scf_local.cloud.faults import Rule
    from scf_local.cloud.wire import Request

SERVICES: dict[str, Service] = {"cvm": cvm.SERVICE, "tag": tags.SERVICE}

_DOMAIN = "tencentcloudapi.com"
OWN_HOST = re.compile(
    r"(127\.0\.0\.1|([\w-]+\.)*localhost|\[::1\]|([\w-]+\.)+tencentcloudapi\.com)(:\d+)?"
)
"""The cloud's names, besides those of buckets; by DNS rebinding, web pages send others."""
_REGIONAL_HOST = re.compile(r"\w+\.([a-z0-9-]+)\.tencentcloudapi\.com")
_HELP = """\
This is the emulated cloud. It serves
  GET /_state                 its images, objects and calls, as JSON
  GET, POST /, signed         the CVM and Tag APIs
  GET, PUT ... /<key>         COS objects, with Host: <bucket-appid>.cos.<region>.myqcloud.com
"""


@dataclass
class Dispatcher:
    """Handles requests, one at a time.

    Attributes:
        state: images, objects and calls; hold `state.lock` to read or change it.
        limits: whether calls over the limit per second are throttled.
        clock: returns epoch seconds, for signatures and rate limits.
        request_id: returns a new RequestId.
        on_reply: called with every API and COS reply, returns the reply to send.
        faults: the faults to inject, which happens before `on_reply`.
    """

    state: State = field(default_factory=State)
    limits: bool = True
    clock: Callable[[], float] = time.time
    credentials: AccountCredentials = field(default_factory=AccountCredentials)
    request_id: Callable[[], str] = lambda: str(uuid.uuid4())
    on_reply: Callable[[Call, Reply], Reply] = lambda _call, reply: reply
    faults: Faults = field(default_factory=Faults)
    _rates: RateLimits = field(init=False, default_factory=RateLimits)

    def dispatch(self, http: Request) -> Reply:
        """Return the reply to a request, whatever it is for."""
        with self.state.lock:
            bucket = cos.bucket_of(http.headers.get("host", ""))
            if bucket:
                return self._cos(http, *bucket)
            request = api_requests.parse(http)
            if request:
                return self._api(request)
            if (http.method, http.path) == ("GET", "/_state"):
                return _json(self.state.snapshot())
            return Reply(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, _HELP.encode())

    def body_limit(self, http: Request) -> int:
        """Return how many bytes the body may have; 0 if a request is answered without its body."""
        if not cos.bucket_of(http.headers.get("host", "")):
            kind = api_requests.parse(http) or api_requests.V1Request
            is_unsigned = isinstance(kind, Tc3Request) and not names_key(http, self.credentials)
            limit = 64 << 10 if is_unsigned else kind.max_bytes
            return limit * (http.path == "/")
        try:
            verify_cos(http, self.credentials, self.clock())  # does not cover the body
        except CosError:
            return 0
        return cos.BODY_LIMITS.get(http.method, 0)

    def _api(self, request: Tc3Request | V1Request) -> Reply:
        now = self.clock()
        # Cut, because unsigned requests are recorded, too.
        name, region = (request.common(part)[:100] for part in ("Action", "Region"))
        params: Any = {}
        rule = self.faults.rule_for(name, self.state.count(name) + 1)
        try:
            _check_http(request.http, request.max_bytes)
            service = request.verify(*self._credentials_and_time(rule, now, _api_error))
            action = _action(service, request)
            self._admit(name, region, action, request.http.headers.get("host", ""), now)
            params = request.params(action.shape)
            response = action(self.state, region, params)
            outcome = "ok"
        except ErrorReply as error:
            response = _error_response(error)
            outcome = error.code
        if rule and rule.fault == "error-applied":
            response = _error_response(_api_error(rule))
        call = {"Time": now, "Action": name, "Region": region, "Outcome": outcome}
        reply = _json({"Response": {**response, "RequestId": self.request_id()}})
        return self._finish(call, params, rule, reply)

    def _admit(self, name: str, region: str, action: EmulatedAction, host: str, now: float) -> None:
        # The API counts calls by the region of the endpoint, not by the region that they are
        # for. A local address replaces all endpoints, so there the call's own region counts.
        regional = _REGIONAL_HOST.fullmatch(host)
        endpoint = (regional[1] if regional else "") if host.endswith(_DOMAIN) else region
        if self.limits and not self._rates.try_acquire((name, endpoint), action.per_second, now):
            raise ErrorReply(
                "RequestLimitExceeded",
                f"Your current request times equals to `{action.per_second + 1}` in a second, "
                f"which exceeds the frequency limit `{action.per_second}` for `{name}`.",
            )

    def _cos(self, http: Request, bucket: str, region: str) -> Reply:
        now = self.clock()
        name = cos.action_of(http)
        rule = self.faults.rule_for(name, self.state.count(name) + 1)

        def error_reply(error: CosError) -> Reply:
            return cos.error_reply(error, f"{http.headers['host']}{http.path}", request_id)

        request_id = self.request_id()
        try:
            verify_cos(http, *self._credentials_and_time(rule, now, _cos_error))
            reply = cos.handle(self.state, bucket, http, now)
            outcome = "ok"
        except CosError as error:
            reply = error_reply(error)
            outcome = error.code
        if rule and rule.fault == "error-applied":
            reply = error_reply(_cos_error(rule))
        reply = replace(reply, headers={**reply.headers, cos.REQUEST_ID: request_id})
        call = {"Time": now, "Action": name, "Region": region, "Outcome": outcome}
        params = {"Bucket": bucket, "Key": http.path.removeprefix("/")}
        return self._finish(call, params, rule, reply)

    def _credentials_and_time(
        self, rule: Rule | None, now: float, error_of: Callable[[Rule], Exception]
    ) -> tuple[AccountCredentials, float]:
        """Return what to verify a signature against, or raise the error of a rule that skips it."""
        if rule and rule.skips_action:
            raise error_of(rule)
        if rule and rule.fault == "skew":
            return self.credentials, now + rule.seconds
        if rule and rule.fault == "expired-token":
            return replace(self.credentials, token=f"not {self.credentials.token}"), now
        return self.credentials, now

    def _finish(
        self,
        call: dict[str, Any],
        params: Any,  # noqa: ANN401 - any JSON
        rule: Rule | None,
        reply: Reply,
    ) -> Reply:
        if rule:
            call["Fault"] = rule.fault
            reply = rule.inject(reply)
        number = self.state.record(call)
        return self.on_reply(Call(call["Action"], call["Region"], params, number), reply)


def _check_http(http: Request, limit: int) -> None:
    if http.method not in {"GET", "POST"}:
        raise ErrorReply("UnsupportedProtocol", f"{http.method} is not allowed; use GET or POST.")
    size = len(http.body)
    if http.method == "GET":
        size, limit = len(http.query), api_requests.MAX_GET_BYTES
    if size > limit:
        raise ErrorReply("RequestSizeLimitExceeded", f"{size} bytes; at most {limit} are allowed.")


def _action(signed_for: str, request: Tc3Request | V1Request) -> EmulatedAction:
    name, version = _required(request, "Action"), _required(request, "Version")
    service = _service(signed_for, version, request.http.headers.get("host", ""))
    if service != "tag":
        _required(request, "Region")
    if service not in SERVICES:
        raise ErrorReply("NoSuchProduct", f"{service!r} is not one of {', '.join(SERVICES)}.")
    if version != SERVICES[service].version:
        raise ErrorReply("NoSuchVersion", f"{version!r} is not {SERVICES[service].version}.")
    actions = SERVICES[service].actions
    if name not in actions:
        raise ErrorReply("InvalidAction", f"{name!r} is not one of {', '.join(actions)}.")
    return actions[name]


def _required(request: Tc3Request | V1Request, name: str) -> str:
    value = request.common(name)
    if not value:
        raise ErrorReply(
            "MissingParameter", f"The request {request.label.format(name)} is missing."
        )
    return value


def _service(signed_for: str, version: str, host: str) -> str:
    if signed_for != host.partition(".")[0] or host.endswith(_DOMAIN):
        return signed_for
    # A local address does not name the service (the Node.js SDK signs for the first label of any
    # host), so there the version decides.
    for name, service in SERVICES.items():
        if service.version == version:
            return name
    emulated = ", ".join(f"{name} {service.version}" for name, service in SERVICES.items())
    raise ErrorReply("NoSuchVersion", f"{version!r} is not one of {emulated}.")


def _error_response(error: ErrorReply) -> dict[str, Any]:
    return {"Error": {"Code": error.code, "Message": error.message}}


def _api_error(rule: Rule) -> ErrorReply:
    return ErrorReply(rule.outcome, rule.message)


def _cos_error(rule: Rule) -> CosError:
    return CosError(rule.status or HTTPStatus.FORBIDDEN, rule.outcome, rule.message)


def _json(value: object) -> Reply:
    # With any other Content-Type, even with a charset, the SDKs take an error for a success.
    return Reply(
        HTTPStatus.OK,
        {"Content-Type": "application/json"},
        # Echoed parameters may not be UTF-8; the replacement is what JSON would write for them.
        json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"),
    )
