"""Invocations of a function in a process of its own, watched as SCF watches it."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scf_local.environment import context_of, own_environ, trigger_of
from scf_local.json_files import MAX_EVENT_DEPTH, is_deep
from scf_local.process import Exchange, Process

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

    from scf_local.console import Stops
    from scf_local.environment import Function

INIT_TIMEOUT_S = 65.0
"""How long loading the code may take; SCF's API default (document/product/583/18586)."""

MAX_EVENT_BYTES = {"direct": 6 << 20, "cos": 128 << 10, "timer": 128 << 10}
"""By trigger: those that wait for no answer carry less (document/product/583/11637)."""

_TICK_S = 0.01
_TOO_LARGE = 406
_OK, _UNUSABLE, _TIME, _MEMORY, _EXITED, _USER_CODE, _INIT_TIME = 200, 430, 433, 434, 439, 443, 450
_OUTCOMES = {_TIME: "timeout", _INIT_TIME: "timeout", _MEMORY: "memory", _EXITED: "exited"}
_TOO_DEEP = f"The result is nested deeper than {MAX_EVENT_DEPTH} levels"
_FORGED = "The code wrote to the descriptor that its runtime answers on"
_EXIT_STATUS = {_TIME: 3, _INIT_TIME: 3, _MEMORY: 4}
_FAILURES = {"rejected", "partial"}


class Stopped(Exception):
    """Whoever wanted the invocation does not want it any more."""


@dataclass(frozen=True)
class Invocation:
    """One invocation: SCF's status code, and `result` for 200, `error` for all others."""

    request_id: str
    status: int
    duration_ms: float
    memory_mb: float
    result: Any = None
    error: dict[str, Any] | None = None

    @property
    def outcome(self) -> str:
        """`Outcome` of the result (`returned` without one), or `raised`, `timeout` and the like."""
        if self.status != _OK:
            return _OUTCOMES.get(self.status, "raised")
        found = self.result.get("Outcome") if isinstance(self.result, dict) else None
        return found if isinstance(found, str) else "returned"

    @property
    def exit_status(self) -> int:
        """0 fine, 1 function error, 3 time limit, 4 memory limit."""
        if self.status != _OK:
            return _EXIT_STATUS.get(self.status, 1)
        return int(self.outcome in _FAILURES)


@dataclass
class Instance:
    """A warm instance: one process, one event after another.

    It starts with the first event and again after a limit or an exit ended it (SCF recycles
    instances after 433, 434 and 439: document/product/583/35311). `write` takes the log: the
    function's output and SCF's own lines, as bytes. As soon as a signal has come to `stops`, an
    invocation ends with `Stopped`.
    """

    function: Function
    write: Callable[[bytes], object]
    init_timeout_s: float = INIT_TIMEOUT_S
    clock: Callable[[], float] = time.monotonic
    stops: Stops | None = None
    _process: Process | None = field(default=None, init=False)
    _peak_mb: float = field(default=0.0, init=False)
    _in_line: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def invoke(self, event: object) -> Invocation:
        """Hand `event` (JSON values) to the function; returns when it answered or was ended."""
        request_id = str(uuid.uuid4())
        text = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        if len(text.encode("utf-8", "surrogatepass")) > MAX_EVENT_BYTES[trigger_of(event)]:
            reply = {"Status": _TOO_LARGE, "Message": "RequestTooLarge"}
            done = _invocation(reply, request_id, 0.0, 0.0)
            self._say_error(done)  # and no more: no instance has been asked
            return done
        self._say(f"START RequestId:{request_id}")
        begun = self.clock()
        process, reply = self._warm(request_id)
        if process is not None:
            trigger = trigger_of(event)
            context = context_of(self.function, request_id, trigger)
            environ = own_environ(self.function, trigger)
            message = json.dumps({"event": event, "context": context, "environ": environ})
            begun = self.clock()
            reply = self._reply(process, self.function.timeout_s, _TIME, message.encode() + b"\n")
        done = _invocation(reply, request_id, (self.clock() - begun) * 1000, self._peak_mb)
        self._report(done)
        return done

    def _warm(self, request_id: str) -> tuple[Process | None, dict[str, Any]]:
        """The process with the function loaded; or none, and the reply that says why."""
        if self._process is not None:
            return self._process, {}
        begun = self.clock()
        self._peak_mb = 0.0
        self._process = Process(self.function)
        reply = self._reply(self._process, self.init_timeout_s, _INIT_TIME)
        if reply["Status"] != _OK:
            self.close()
            return None, reply
        self._say(
            f"Init Report RequestId:{request_id} Coldstart:{(self.clock() - begun) * 1000:.0f}ms "
            f"Memory:{self.function.memory_mb}MB MemUsage:{self._peak_mb:.6f}MB"
        )
        return self._process, reply

    def _reply(
        self, process: Process, seconds: float, late: int, message: bytes = b""
    ) -> dict[str, Any]:
        """The reply to `message`, or one in its place if a limit or an exit came first."""
        deadline = self.clock() + seconds
        with Exchange(process, message) as exchange:
            while not exchange.reply.endswith(b"\n"):
                if self.stops:
                    raise Stopped
                left = deadline - self.clock()
                code = process.exit_code()  # asked before reading, so that nothing is lost
                seen = exchange.step(max(0.0, min(left, _TICK_S)) if code is None else 0)
                self._write(seen or b"")
                if self._too_big(process.peak_mb()):
                    return self._ended(_MEMORY)
                if code is not None and seen is None:
                    return self._ended(_EXITED, code)
                if left <= 0:
                    return self._ended(late)
            # What was printed before the reply is in the pipe by now.
            self._write(exchange.step(0) or b"")
        reply = _parsed(exchange.reply)
        if reply is None or exchange.unsent:
            return self._ended(_EXITED, message=_FORGED)
        return self._ended(_MEMORY) if self._too_big(reply["MemoryMB"]) else reply

    def _too_big(self, peak_mb: float) -> bool:
        self._peak_mb = max(self._peak_mb, peak_mb)
        return self._peak_mb > self.function.memory_mb

    def _ended(self, status: int, code: int = 0, message: str = "") -> dict[str, Any]:
        self.close()
        messages = {
            _TIME: f"Invoking task timed out after {self.function.timeout_s:g} seconds",
            _INIT_TIME: f"Initialization timed out after {self.init_timeout_s:g} seconds",
            _MEMORY: f"Task memory exceeded {self.function.memory_mb} MB",
            _EXITED: f"User process exit when running, code {code}",
        }
        return {"Status": status, "Message": message or messages[status]}

    def _report(self, done: Invocation) -> None:
        if done.error is not None:
            self._say_error(done)
        self._say(f"END RequestId:{done.request_id}")
        self._say(
            f"Report RequestId:{done.request_id} Duration:{done.duration_ms:.0f}ms "
            f"Memory:{self.function.memory_mb}MB MemUsage:{done.memory_mb:.6f}MB"
        )

    def _say_error(self, done: Invocation) -> None:
        told = json.dumps(done.error, separators=(",", ":"))
        self._say(f"ERROR RequestId:{done.request_id} Result:{told}")

    def _say(self, line: str) -> None:
        self._write((b"\n" if self._in_line else b"") + line.encode() + b"\n")

    def _write(self, data: bytes) -> None:
        if data:
            self._in_line = not data.endswith(b"\n")
            self.write(data)


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The reply in a line, or None if the runtime cannot have written it."""
    try:
        reply: dict[str, Any] = json.loads(line)
        if reply["Status"] != _OK:
            reply["Message"] += ""
        text = reply.get("Response", "null")
        reply["MemoryMB"] += 0.0
        try:
            reply["Result"] = json.loads(text)
            too_deep = is_deep(reply["Result"], text, MAX_EVENT_DEPTH)
        except RecursionError:
            too_deep = True
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return {**reply, "Status": _UNUSABLE, "Message": _TOO_DEEP} if too_deep else reply


def _invocation(
    reply: dict[str, Any], request_id: str, duration_ms: float, memory_mb: float
) -> Invocation:
    status = reply["Status"]
    if status == _OK:
        return Invocation(request_id, status, duration_ms, memory_mb, result=reply["Result"])
    error = {
        "errorCode": 1 if status == _USER_CODE else -1,  # as seen in SCF's replies
        "errorMessage": reply["Message"],
        "requestId": request_id,
        **({"stackTrace": reply["StackTrace"]} if "StackTrace" in reply else {}),
        "statusCode": status,
    }
    return Invocation(request_id, status, duration_ms, memory_mb, error=error)
