"""From a request to its reply: who is asked, may they, how often, and the envelope around it."""

from __future__ import annotations

import json
import re
import time
import uuid
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from scf_local.cloud import cos, cvm, tags
from scf_local.cloud.faults import Faults
from scf_local.cloud.forms import MAX_GET_BYTES, form_of
from scf_local.cloud.limits import RateLimits
from scf_local.cloud.signatures import verify_cos
from scf_local.cloud.state import State
from scf_local.cloud.wire import ApiError, Call, CosError, Reply
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from scf_local.cloud.actions import Action, Service
    from scf_local.cloud.faults import Rule
    from scf_local.cloud.forms import Tc3Form, V1Form
    from scf_local.cloud.wire import Request

SERVICES: dict[str, Service] = {"cvm": cvm.SERVICE, "tag": tags.SERVICE}

_DOMAIN = "tencentcloudapi.com"
_REGIONAL_HOST = re.compile(r"\w+\.([a-z0-9-]+)\.tencentcloudapi\.com")
_HELP = """\
This is the emulated cloud. It answers
  GET /_state                 its images, objects and calls, as JSON
  GET, POST /, signed         the CVM and the Tag API
  GET, HEAD, PUT /<key>       COS objects, with Host: <bucket-appid>.cos.<region>.myqcloud.com
"""


@dataclass
class Gateway:
    """Answers requests one at a time.

    Attributes:
        state: what it knows; read and change it while holding `state.lock`.
        limits: whether the limits per second hold.
        clock: epoch seconds; signatures and limits follow it.
        request_id: makes the RequestIds.
        on_reply: sees every API and COS reply, and gives the one to be sent instead.
        faults: which replies go wrong; `on_reply` sees them so.
    """

    state: State = field(default_factory=State)
    limits: bool = True
    clock: Callable[[], float] = time.time
    credentials: AccountCredentials = field(default_factory=AccountCredentials)
    request_id: Callable[[], str] = lambda: str(uuid.uuid4())
    on_reply: Callable[[Call, Reply], Reply] = lambda _call, reply: reply
    faults: Faults = field(default_factory=Faults)
    _rates: RateLimits = field(init=False, default_factory=RateLimits)

    def answer(self, request: Request) -> Reply:
        """The reply to any request."""
        with self.state.lock:
            bucket = cos.addressed(request.headers.get("host", ""))
            if bucket:
                return self._cos(request, *bucket)
            form = form_of(request)
            if form:
                return self._api(form)
            if (request.method, request.path) == ("GET", "/_state"):
                return _json(self.state.snapshot())
            return Reply(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, _HELP.encode())

    def _api(self, form: Tc3Form | V1Form) -> Reply:
        now = self.clock()
        name, region = form.common("Action"), form.common("Region")
        params: Any = {}
        rule = self.faults.rule_for(name, self.state.count(name) + 1)
        try:
            _check_http(form.request, form.max_bytes)
            service = form.verify(*self._judged_by(rule, now, _api_error))
            action = _action(service, form)
            self._admit(name, region, action, form.request.headers.get("host", ""), now)
            params = form.params(action.shape)
            response = action(self.state, region, params)
            outcome = "ok"
        except ApiError as error:
            response = _refusal(error)
            outcome = error.code
        if rule and rule.fault == "error-applied":
            response = _refusal(_api_error(rule))
        told = {"Time": now, "Action": name, "Region": region, "Outcome": outcome}
        reply = _json({"Response": {**response, "RequestId": self.request_id()}})
        return self._finished(told, params, rule, reply)

    def _admit(self, name: str, region: str, action: Action, host: str, now: float) -> None:
        # The API counts where a request arrives, not the region it is about. A local address
        # stands for all regional endpoints, so there the region says which one is meant.
        regional = _REGIONAL_HOST.fullmatch(host)
        arrival = (regional[1] if regional else "") if host.endswith(_DOMAIN) else region
        if self.limits and not self._rates.admits((name, arrival), action.per_second, now):
            raise ApiError(
                "RequestLimitExceeded",
                f"Your current request times equals to `{action.per_second + 1}` in a second, "
                f"which exceeds the frequency limit `{action.per_second}` for `{name}`.",
            )

    def _cos(self, request: Request, bucket: str, region: str) -> Reply:
        now = self.clock()
        name = cos.ACTIONS.get(request.method, request.method)
        rule = self.faults.rule_for(name, self.state.count(name) + 1)

        def refused(error: CosError) -> Reply:
            return cos.refusal(error, f"{request.headers['host']}{request.path}", request_id)

        request_id = self.request_id()
        try:
            verify_cos(request, *self._judged_by(rule, now, _cos_error))
            reply = cos.answer(self.state, bucket, request, now)
            outcome = "ok"
        except CosError as error:
            reply = refused(error)
            outcome = error.code
        if rule and rule.fault == "error-applied":
            reply = refused(_cos_error(rule))
        reply = replace(reply, headers={**reply.headers, cos.REQUEST_ID: request_id})
        told = {"Time": now, "Action": name, "Region": region, "Outcome": outcome}
        params = {"Bucket": bucket, "Key": request.path.removeprefix("/")}
        return self._finished(told, params, rule, reply)

    def _judged_by(
        self, rule: Rule | None, now: float, refusal: Callable[[Rule], Exception]
    ) -> tuple[AccountCredentials, float]:
        """The keys and the time that a signature is checked against, if it comes to that."""
        if rule and rule.before:
            raise refusal(rule)
        if rule and rule.fault == "skew":
            return self.credentials, now + rule.seconds
        if rule and rule.fault == "expired-token":
            return replace(self.credentials, token=f"not {self.credentials.token}"), now
        return self.credentials, now

    def _finished(
        self,
        told: dict[str, Any],
        params: Any,  # noqa: ANN401 - what was sent
        rule: Rule | None,
        reply: Reply,
    ) -> Reply:
        if rule:
            told["Fault"] = rule.fault
            reply = rule.distort(reply)
        number = self.state.record(told)
        return self.on_reply(Call(told["Action"], told["Region"], params, number), reply)


def _check_http(request: Request, most: int) -> None:
    if request.method not in {"GET", "POST"}:
        raise ApiError("UnsupportedProtocol", f"{request.method}; GET and POST are allowed.")
    sent = len(request.body)
    if request.method == "GET":
        sent, most = len(request.query), MAX_GET_BYTES
    if sent > most:
        raise ApiError("RequestSizeLimitExceeded", f"{sent} bytes; {most} are allowed.")


def _action(signed_for: str, form: Tc3Form | V1Form) -> Action:
    name, version = _required(form, "Action"), _required(form, "Version")
    service = _service(signed_for, version, form.request.headers.get("host", ""))
    if service != "tag":
        _required(form, "Region")
    if service not in SERVICES:
        raise ApiError("NoSuchProduct", f"{service!r}; emulated are {', '.join(SERVICES)}.")
    if version != SERVICES[service].version:
        raise ApiError("NoSuchVersion", f"{version!r}; it is {SERVICES[service].version}.")
    actions = SERVICES[service].actions
    if name not in actions:
        raise ApiError("InvalidAction", f"{name!r}; emulated are {', '.join(actions)}.")
    return actions[name]


def _required(form: Tc3Form | V1Form, name: str) -> str:
    value = form.common(name)
    if not value:
        raise ApiError("MissingParameter", f"The request {form.place.format(name)} is missing.")
    return value


def _service(signed_for: str, version: str, host: str) -> str:
    if signed_for != host.partition(".")[0] or host.endswith(_DOMAIN):
        return signed_for
    # A local address names no service (the Node.js SDK takes the host's first label for one,
    # whatever it is), so there the version has to.
    for name, service in SERVICES.items():
        if service.version == version:
            return name
    told = ", ".join(f"{name} {service.version}" for name, service in SERVICES.items())
    raise ApiError("NoSuchVersion", f"{version!r}; emulated are {told}.")


def _refusal(error: ApiError) -> dict[str, Any]:
    return {"Error": {"Code": error.code, "Message": error.message}}


def _api_error(rule: Rule) -> ApiError:
    return ApiError(rule.outcome, rule.message)


def _cos_error(rule: Rule) -> CosError:
    return CosError(rule.status or HTTPStatus.FORBIDDEN, rule.outcome, rule.message)


def _json(value: object) -> Reply:
    # The SDKs take an error for a success when the Content-Type is any other, charset included.
    return Reply(
        HTTPStatus.OK,
        {"Content-Type": "application/json"},
        # What is echoed may be no UTF-8; the replacement is the very escape that JSON writes.
        json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"),
    )
