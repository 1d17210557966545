"""Invocations of a function in its own process, with SCF's limits and log lines."""

from __future__ import annotations

import json
import math
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from scf_local.console import InterruptFlag
from scf_local.environment import FunctionConfig, context_of, trigger_of
from scf_local.json_files import MAX_EVENT_DEPTH, compact, is_deep
from scf_local.process import Exchange, Process

INIT_TIMEOUT_S = 65.0
"""Time limit for loading the code; SCF's API default (document/product/583/18586)."""

MAX_EVENT_BYTES = {"direct": 6 << 20, "cos": 128 << 10, "timer": 128 << 10}
"""By trigger: asynchronous ones carry less (document/product/583/11637)."""

MAX_LINE_BYTES = 8192
"""What SCF keeps of a line in the log (document/product/583/36143)."""
MAX_OUTPUT_BYTES = 1 << 20
"""What it keeps of what a run prints (the same page); its own lines are kept, too (assumed)."""
TOO_LARGE = 406
"""The status if the event is too large, so that the function is not called."""
_TICK_S = 0.01
_OK, _UNUSABLE, _TIME, _MEMORY, _EXITED, _USER_CODE, _INIT_TIME = 200, 430, 433, 434, 439, 443, 450
_OUTCOMES = {_TIME: "timeout", _INIT_TIME: "timeout", _MEMORY: "memory", _EXITED: "exited"}
_TOO_DEEP = f"The result is nested deeper than {MAX_EVENT_DEPTH} levels"
_FORGED = "The code wrote to the file descriptor that is reserved for the runtime's replies"
_EXIT_STATUS = {_TIME: 3, _INIT_TIME: 3, _MEMORY: 4}
FAILURES = {"rejected", "partial", "unfinished"}
"""Outcomes of a result that count as errors."""


class Interrupted(Exception):
    """A signal stopped the invocation."""


@dataclass(frozen=True)
class InvocationResult:
    """SCF's status code, with the `result` for 200 and an `error` for all others."""

    request_id: str
    status: int
    duration_ms: float
    memory_mb: float
    result: Any = None
    error: dict[str, Any] | None = None

    @property
    def outcome(self) -> str:
        """The result's `Outcome`, else `returned`; `raised`, `timeout` etc. for an error."""
        if self.status != _OK:
            return _OUTCOMES.get(self.status, "raised")
        outcome = self.result.get("Outcome") if isinstance(self.result, dict) else None
        return outcome if isinstance(outcome, str) else "returned"

    @property
    def exit_status(self) -> int:
        """0 success, 1 function error, 3 time limit, 4 memory limit."""
        if self.status != _OK:
            return _EXIT_STATUS.get(self.status, 1)
        return int(self.outcome in FAILURES)


@dataclass
class WarmInstance(AbstractContextManager["WarmInstance"]):
    """A warm instance: one process that handles one event after another.

    The process starts with the first event, and again after a limit or an exit has ended it (SCF
    recycles instances after 433, 434 and 439: document/product/583/35311). `write` receives the
    log, the function's output and SCF's own lines, as bytes. Once `interrupt` is set, an invocation
    raises `Interrupted`. With `terminal`, a descriptor, the function is debugged there, without
    time limits. With `is_deployed`, the log is cut as SCF's, and has its line `Response`, too.
    """

    config: FunctionConfig
    write: Callable[[bytes], object]
    init_timeout_s: float = INIT_TIMEOUT_S
    clock: Callable[[], float] = time.monotonic
    interrupt: InterruptFlag | None = None
    terminal: int | None = None
    is_deployed: bool = False
    _process: Process | None = field(default=None, init=False)
    _peak_mb: float = field(default=0.0, init=False)
    _in_line: bool = field(default=False, init=False)
    _room: int = field(default=0, init=False)

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process is not None:
            self._process.end()
            self._process = None

    def invoke(self, event: object, request_id: str = "") -> InvocationResult:
        """Call the function with `event` (JSON values); returns when it has answered or ended.

        `request_id` is that of an earlier delivery of the event; without it, there is none.
        """
        request_id = request_id or str(uuid.uuid4())
        text = compact(event)
        message, trigger = text.encode("utf-8", "surrogatepass"), trigger_of(event)
        if len(message) > MAX_EVENT_BYTES[trigger]:
            reply = {"Status": TOO_LARGE, "Message": "RequestTooLarge"}
            result = result_of(reply, request_id, 0.0, 0.0)
            self._log_error(result)  # no START, END or Report: no instance runs
            return result
        self._room = MAX_OUTPUT_BYTES if self.is_deployed else sys.maxsize
        self._log(f"START RequestId:{request_id}")
        started = self.clock()
        process, reply = self._warm_process(request_id)
        if process is not None:
            context = context_of(self.config, request_id, trigger)
            message = b'{"event":%b,"context":%b}\n' % (message, json.dumps(context).encode())
            started = self.clock()
            reply = self._exchange(process, self.config.timeout_s, _TIME, message)
        result = result_of(reply, request_id, (self.clock() - started) * 1000, self._peak_mb)
        self._log_end(result)
        return result

    def _warm_process(self, request_id: str) -> tuple[Process | None, dict[str, Any]]:
        """The process with the function loaded, or None and an error reply."""
        if self._process is not None:
            return self._process, {}
        started = self.clock()
        self._peak_mb = 0.0
        self._process = Process(self.config, self.terminal)
        reply = self._exchange(self._process, self.init_timeout_s, _INIT_TIME)
        if reply["Status"] != _OK:
            self.close()
            return None, reply
        self._log(
            f"Init Report RequestId:{request_id} Coldstart:{(self.clock() - started) * 1000:.0f}ms "
            f"Memory:{self.config.memory_mb}MB MemUsage:{self._peak_mb:.6f}MB"
        )
        return self._process, reply

    def _exchange(
        self, process: Process, seconds: float, timeout_status: int, message: bytes = b""
    ) -> dict[str, Any]:
        """The reply to `message`, or an error reply if a limit or an exit came first."""
        deadline = math.inf if self.terminal is not None else self.clock() + seconds
        exchange = Exchange(process, message)
        while True:
            if self.interrupt:
                raise Interrupted
            left = deadline - self.clock()
            code = process.exit_code()  # before reading, so that no output is lost
            output = exchange.step(max(0.0, min(left, _TICK_S)) if code is None else 0)
            self._write(kept := (output or b"")[: self._room])
            self._room -= len(kept)
            if exchange.reply.endswith(b"\n"):
                break  # it has the peak of memory
            if self._exceeds_memory(process.peak_mb()):
                return self._end(_MEMORY)
            if code is not None and output is None:
                return self._end(_EXITED, code)
            if left <= 0:
                return self._end(timeout_status)
        reply = _parsed(exchange.reply)
        if reply is None or exchange.unsent:
            return self._end(_EXITED, message=_FORGED)
        return self._end(_MEMORY) if self._exceeds_memory(reply["MemoryMB"]) else reply

    def _exceeds_memory(self, peak_mb: float) -> bool:
        self._peak_mb = max(self._peak_mb, peak_mb)
        return self._peak_mb > self.config.memory_mb

    def _end(self, status: int, code: int = 0, message: str = "") -> dict[str, Any]:
        self.close()
        messages = {
            _TIME: f"Invoking task timed out after {self.config.timeout_s:g} seconds",
            _INIT_TIME: f"Initialization timed out after {self.init_timeout_s:g} seconds",
            _MEMORY: f"Task memory exceeded {self.config.memory_mb} MB",
            _EXITED: f"User process exit when running, code {code}",
        }
        return {"Status": status, "Message": message or messages[status]}

    def _log_end(self, result: InvocationResult) -> None:
        if result.error is not None:
            self._log_error(result)
        elif self.is_deployed:
            self._log(response_line(result))
        self._log(f"END RequestId:{result.request_id}")
        self._log(
            f"Report RequestId:{result.request_id} Duration:{result.duration_ms:.0f}ms "
            f"Memory:{self.config.memory_mb}MB MemUsage:{result.memory_mb:.6f}MB"
        )

    def _log_error(self, result: InvocationResult) -> None:
        error = json.dumps(result.error, separators=(",", ":"))
        self._log(f"ERROR RequestId:{result.request_id} Result:{error}")

    def _log(self, line: str) -> None:
        self._write((b"\n" if self._in_line else b"") + line.encode() + b"\n")

    def _write(self, data: bytes) -> None:
        if data:
            self._in_line = not data.endswith(b"\n")
            self.write(data)


def response_line(result: InvocationResult) -> str:
    """SCF's line with the returned value, of at most `MAX_LINE_BYTES`."""
    line = f"Response RequestId:{result.request_id} RetMsg:{compact(result.result)}"
    # A lone surrogate has no UTF-8 form, but an escape in JSON.
    return line.encode("utf-8", "backslashreplace")[:MAX_LINE_BYTES].decode("utf-8", "ignore")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The reply in a line, or None if it is not one of the runtime's."""
    try:
        reply: dict[str, Any] = json.loads(line)
        if reply["Status"] != _OK:
            reply["Message"] += ""
        text = reply.get("Response", "null")
        if type(reply["Status"]) is not int or not math.isfinite(reply["MemoryMB"]):
            return None
        try:
            reply["Result"] = json.loads(text)
            too_deep = is_deep(reply["Result"], text, MAX_EVENT_DEPTH)
        except RecursionError:
            too_deep = True
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None
    return {**reply, "Status": _UNUSABLE, "Message": _TOO_DEEP} if too_deep else reply


def result_of(
    reply: Mapping[str, Any], request_id: str, duration_ms: float = 0.0, memory_mb: float = 0.0
) -> InvocationResult:
    """The result of a reply: `Status` with `Result`, or with `Message` and maybe `StackTrace`."""
    status = reply["Status"]
    if status == _OK:
        return InvocationResult(request_id, status, duration_ms, memory_mb, result=reply["Result"])
    error = {
        "errorCode": 1 if status == _USER_CODE else -1,  # as in SCF's replies
        "errorMessage": reply["Message"],
        "requestId": request_id,
        **({"stackTrace": reply["StackTrace"]} if "StackTrace" in reply else {}),
        "statusCode": status,
    }
    return InvocationResult(request_id, status, duration_ms, memory_mb, error=error)
