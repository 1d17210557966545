"""Dispatches requests: finds the service, verifies the signature, throttles, injects faults."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any

from scf_local.cloud import api_requests, cos, cvm, hosts, sts, tags
from scf_local.cloud.actions import ApiCall, EmulatedAction, Later, Service
from scf_local.cloud.api_requests import Tc3Request, V1Request
from scf_local.cloud.cam import service as cam_service
from scf_local.cloud.cam.model import Caller, Denied
from scf_local.cloud.cls import service as cls_service
from scf_local.cloud.cos_calls import BODY_LIMITS, CosCall
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.rate_limits import RateLimits
from scf_local.cloud.scf import service as scf_service
from scf_local.cloud.signatures import cos_key, verify_cos
from scf_local.cloud.state import State
from scf_local.cloud.wire import Call, ErrorReply, Reply, Request, require
from scf_local.credentials import AccountCredentials

SERVICES: dict[str, Service] = {
    "cvm": cvm.SERVICE,
    "tag": tags.SERVICE,
    "scf": scf_service.SERVICE,
    "cam": cam_service.SERVICE,
    "sts": sts.SERVICE,
    "cls": cls_service.SERVICE,
}

_MAX_REFUSED = 20
_NOT_EMULATED = ("InvalidAction", "NoSuchProduct", "NotImplemented", "UnsupportedOperation")
_MAX_SECONDS = 10 * 366 * 86400
_HELP = """\
This is the emulated cloud. It serves
  GET /_state                 its images, objects, functions and calls, as JSON
  GET /_clock                 its time, as JSON
  POST /_clock                {"Seconds": 60} as JSON moves its clock on
  GET, POST /, signed         the CVM, Tag, SCF, CAM, STS and CLS APIs
  GET, PUT ... /<key>         COS objects, with Host: <bucket-appid>.cos.<region>.myqcloud.com
"""


@dataclass
class Dispatcher:
    """Handles requests, one at a time.

    Attributes:
        state: images, objects and calls; hold `state.lock` to read or change it.
        limits: whether calls over the limit per second are throttled.
        clock: returns epoch seconds; signatures and rates follow it. `POST /_clock` moves the
            rest on from there.
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
    refused: list[str] = field(init=False, default_factory=list)
    """What is not emulated or allowed, but was asked for, the first of it: few clients show it."""
    _rates: RateLimits = field(init=False, default_factory=RateLimits)

    def __post_init__(self) -> None:
        self._started = self.now()

    def refuse(self, message: str) -> str:
        """Remember, and return, why something was refused."""
        if message not in self.refused and len(self.refused) < _MAX_REFUSED:
            self.refused.append(message)
        return message

    def dispatch(self, http: Request) -> Reply:
        """Return the reply to a request, whatever it is for."""
        with self.state.lock:
            self.state.finish_images(self.now() - self._started)
            host = http.headers.get("host", "")
            bucket = hosts.bucket_of(host)
            if bucket:
                return self._cos(http, *bucket)
            if hosts.name_of(host).endswith(hosts.COS_DOMAINS):
                message = f"{host} is not the host of a bucket: NAME-APPID.cos.REGION.myqcloud.com"
                error = ErrorReply("NotImplemented", self.refuse(message))
                return cos.error_reply(error, host, self.request_id())
            request = api_requests.parse(http)
            if request:
                return self._api(request)
            if (http.method, http.path) == ("GET", "/_state"):
                return _json(self.state.snapshot(self.now()))
            if http.method in {"GET", "POST"} and http.path == "/_clock":
                is_read = http.method == "GET"
                return _json({"Time": self.now()}) if is_read else self._move_clock(http)
            return Reply(HTTPStatus.NOT_FOUND, {"Content-Type": "text/plain"}, _HELP.encode())

    def now(self) -> float:
        """Return the emulated cloud's time."""
        return self.clock() + self.state.moved

    def move_clock(self, seconds: float) -> float:
        """Move the time on, and return the new one."""
        with self.state.lock:
            self.state.moved += seconds
            self.state.finish_images(self.now() - self._started)
            return self.now()

    def _move_clock(self, http: Request) -> Reply:
        problem = "the Content-Type must be application/json"
        # Not of a web page, which can send this type only to where it comes from.
        if http.headers.get("content-type", "") == "application/json":
            problem = f'the body must be {{"Seconds": NUMBER}}, with 0 to {_MAX_SECONDS}'
            with suppress(ValueError, LookupError, TypeError, RecursionError):
                seconds = json.loads(http.body)["Seconds"]
                if seconds is not True and 0 <= seconds <= _MAX_SECONDS:
                    later = lambda: _json({"Time": self.move_clock(seconds)})  # noqa: E731 - short
                    return replace(_json(None), later=later)
        text = f"The clock was not moved: {problem}\n"
        return Reply(HTTPStatus.BAD_REQUEST, {"Content-Type": "text/plain"}, text.encode())

    def body_limit(self, http: Request) -> int:
        """Return how many bytes the body may have; 0 if a request is answered without its body."""
        if not hosts.bucket_of(http.headers.get("host", "")):
            kind = api_requests.parse(http) or api_requests.V1Request
            is_unsigned = isinstance(kind, Tc3Request) and not self._is_known(kind.key)
            limit = 64 << 10 if is_unsigned else kind.max_bytes
            return limit * (http.path in {"/", "/_clock"})
        try:
            caller = self._caller(cos_key(http), self.clock())
            verify_cos(http, caller.credentials, self.clock())  # does not cover the body
        except ErrorReply:
            return 0
        return BODY_LIMITS.get(http.method, 0)

    def _api(self, request: Tc3Request | V1Request) -> Reply:
        # Cut, because unsigned requests are recorded, too.
        name, region = (request.common(part)[:100] for part in ("Action", "Region"))
        params: dict[str, Any] = {}

        def reply_of(members: dict[str, Any]) -> Reply:
            return _json({"Response": {**members, "RequestId": self.request_id()}})

        def perform(now: float, caller: Caller, time: float) -> Reply:
            _check_http(request.http, request.max_bytes)
            service, action = _action(request.verify(caller.credentials, time), request)
            self._admit(name, region, action, request.http.headers.get("host", ""), time)
            given = request.params(action.shape)  # any JSON; the action checks it
            params.update(given if isinstance(given, dict) else {})
            full = f"{service}:{name}"
            call = ApiCall(self.state, region, given, now, full, time, caller, self.credentials)
            members = action(call)
            if isinstance(members, Later):

                def later() -> Reply:
                    try:
                        return reply_of(members.members())
                    except CancelledError:
                        message = "The function was deleted, or the emulated cloud stops."
                        return error_reply(ErrorReply("InternalError", message))

                return replace(_json(None), later=later)
            return reply_of(members)

        def error_reply(error: ErrorReply) -> Reply:
            return reply_of({"Error": {"Code": error.code, "Message": error.message}})

        return self._answer(Call(name, region, params, 0), request.key, perform, error_reply)

    def _admit(self, name: str, region: str, action: EmulatedAction, host: str, now: float) -> None:
        # The API counts calls by the region of the endpoint, not by the region that they are
        # for. A local address replaces all endpoints, so there the call's own region counts.
        api = hosts.api_of(hosts.name_of(host))
        endpoint = api[1] if api else region
        most = action.per_second
        is_free = not self.limits or self._rates.try_acquire((name, endpoint), most, now)
        message = f"Your current request times equals to `{most + 1}` in a second, "
        message += f"which exceeds the frequency limit `{most}` for `{name}`."
        require(is_free, "RequestLimitExceeded", message)

    def _cos(self, http: Request, bucket: str, region: str) -> Reply:
        request_id = self.request_id()
        params = {"Bucket": bucket, "Key": http.path.removeprefix("/")}

        def perform(now: float, caller: Caller, time: float) -> Reply:
            verify_cos(http, caller.credentials, time)
            reply = cos.handle(CosCall(self.state, bucket, region, http, now, caller))
            return replace(reply, headers={**reply.headers, cos.REQUEST_ID: request_id})

        def error_reply(error: ErrorReply) -> Reply:
            return cos.error_reply(error, f"{http.headers['host']}{http.path}", request_id)

        call = Call(cos.action_of(http), region, params, 0)
        return self._answer(call, cos_key(http), perform, error_reply)

    def _answer(
        self,
        call: Call,
        key: str,
        perform: Callable[[float, Caller, float], Reply],
        error_reply: Callable[[ErrorReply], Reply],
    ) -> Reply:
        """Perform a call as its fault allows, record it, and return the reply.

        `key` is the SecretId of the caller. `perform` gets the time, and what to verify a signature
        against: the caller and the time.
        """
        time = self.clock()
        now = time + self.state.moved
        rule = self.faults.rule_for(call.action, self.state.count(call.action) + 1)
        outcome = "ok"
        try:
            reply = perform(now, *self._verified_by(rule, self._caller(key, time), time))
        except ErrorReply as error:
            reply, outcome = error_reply(error), error.code
            if outcome in _NOT_EMULATED or isinstance(error, Denied):
                self.refuse(" ".join(error.message.split()))
        record = {"Time": now, "Action": call.action, "Region": call.region, "Outcome": outcome}
        if rule:
            record["Fault"] = rule.fault
        numbered = replace(call, number=self.state.record(record))

        def finished(reply: Reply) -> Reply:
            if rule and rule.fault == "error-applied":
                reply = error_reply(_injected(rule))
            return self.on_reply(numbered, rule.inject(reply) if rule else reply)

        later = reply.later
        return replace(reply, later=lambda: finished(later())) if later else finished(reply)

    def _is_known(self, key: str) -> bool:
        return key == self.credentials.secret_id or key in self.state.access.sessions

    def _caller(self, key: str, time: float) -> Caller:
        """Return who has a SecretId; for an unknown one the account, as which nobody can sign."""
        caller = self.state.access.sessions.get(key) or Caller(self.credentials)
        return caller if time < caller.expires else _without_token(caller)

    def _verified_by(self, rule: Rule | None, caller: Caller, time: float) -> tuple[Caller, float]:
        """Return what to verify a signature against, or raise the error of a rule that skips it."""
        if rule and rule.skips_action:
            raise _injected(rule)
        if rule and rule.fault == "skew":
            return caller, time + rule.seconds
        if rule and rule.fault == "expired-token":
            return _without_token(caller), time
        return caller, time


def _without_token(caller: Caller) -> Caller:
    """Return a caller whose token is not valid any more."""
    token = AccountCredentials.random().token
    return replace(caller, credentials=replace(caller.credentials, token=token))


def _check_http(http: Request, limit: int) -> None:
    message = f"{http.method} is not allowed; use GET or POST."
    require(http.method in {"GET", "POST"}, "UnsupportedProtocol", message)
    size = len(http.body)
    if http.method == "GET":
        size, limit = len(http.query), api_requests.MAX_GET_BYTES
    message = f"{size} bytes; at most {limit} are allowed."
    require(size <= limit, "RequestSizeLimitExceeded", message)


def _action(signed_for: str, request: Tc3Request | V1Request) -> tuple[str, EmulatedAction]:
    """Return the service and the action that a request is for."""
    name, version = _required(request, "Action"), _required(request, "Version")
    service = _service(signed_for, version, name, request.http.headers.get("host", ""))
    message = f"{service!r} is not emulated; emulated are {', '.join(SERVICES)}."
    require(service in SERVICES, "NoSuchProduct", message)
    emulated = SERVICES[service]
    if emulated.is_regional:
        _required(request, "Region")
    message = f"{version!r} is not {emulated.version}."
    require(version == emulated.version, "NoSuchVersion", message)
    message = f"{name!r} of {service} is not emulated; emulated are {', '.join(emulated.actions)}."
    require(name in emulated.actions, "InvalidAction", message)
    return service, emulated.actions[name]


def _required(request: Tc3Request | V1Request, name: str) -> str:
    value, label = request.common(name), request.label.format(name)
    require(value, "MissingParameter", f"The request {label} is missing.")
    return value


def _service(signed_for: str, version: str, action: str, host: str) -> str:
    name = hosts.name_of(host)
    api = hosts.api_of(name)
    if api and api[0] != signed_for:
        message = f"It is for {signed_for!r}, but the host is that of {api[0]!r}."
        raise ErrorReply("AuthFailure.SignatureFailure", message)
    if api or signed_for != name.partition(".")[0]:
        return signed_for
    # A local address does not name the service (the Node.js SDK signs for the first label of any
    # host), so there the version decides; Tag and STS have the same, so the action does, too.
    named = [name for name, service in SERVICES.items() if service.version == version]
    if named:
        return next((each for each in named if action in SERVICES[each].actions), named[0])
    versions = ", ".join(f"{name} {service.version}" for name, service in SERVICES.items())
    raise ErrorReply("NoSuchVersion", f"{version!r} is not one of {versions}.")


def _injected(rule: Rule) -> ErrorReply:
    return ErrorReply(rule.outcome, rule.message, rule.status or HTTPStatus.FORBIDDEN)


def _json(value: object) -> Reply:
    # With any other Content-Type, even with a charset, the SDKs take an error for a success.
    return Reply(
        HTTPStatus.OK,
        {"Content-Type": "application/json"},
        # Echoed parameters may not be UTF-8; the replacement is what JSON would write for them.
        json.dumps(value, ensure_ascii=False).encode("utf-8", "backslashreplace"),
    )
