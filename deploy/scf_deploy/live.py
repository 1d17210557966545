"""The live function: calls it, and reads its log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scf_deploy.call import Api, Call
from scf_local.logs import Source

LONGEST_WAIT = 90
"""Seconds to wait for records of a log."""
_DELAYS = (1, 2, 4, 8, 15, 30, 30)
_NO_ROOM = re.compile(r'"errorCode": ?4(29|32)\b')
"""In an error: it has not run, since its reserved concurrency, or the account's, is used up."""
_APART = 300
"""Seconds by which clocks may differ."""


@dataclass(frozen=True)
class Run:
    """A run that was called for.

    Attributes:
        result: its result document; empty if it has raised, with the reason in `error`.
        lines: those of its log that are JSON objects, from the last 4 KB.
        ahead: by how many seconds the function's clock is ahead of this machine's, at least.
    """

    request_id: str
    result: Mapping[str, Any]
    error: str
    lines: tuple[dict[str, Any], ...]
    ahead: float

    def line(self, event: str) -> dict[str, Any]:
        """Return the last line of an event; empty without one."""
        return next((each for each in reversed(self.lines) if each.get("Event") == event), {})


@dataclass(frozen=True)
class Live:
    """A function in the cloud.

    Attributes:
        topic: the id of its log topic, or nothing.
        clock: this machine's time, in seconds since the epoch.
        now: the cloud's, as records of its logs have it; an emulated cloud's clock can be moved.
    """

    api: Api
    named: Mapping[str, str]
    region: str
    topic: str
    sleep: Callable[[float], object]
    clock: Callable[[], float]
    now: Callable[[], float]

    def call(self, event: Mapping[str, Any], says: str) -> Run:
        """Call the function, once it has room: `says` what that does, or nothing.

        With nothing, it is called again if the reply is lost.

        Raises:
            CloudError: it was not called, or there is no reply.
        """
        text = json.dumps(event, ensure_ascii=False)
        params = {**self.named, "Event": text, "LogType": "Tail"}
        for delay in (*_DELAYS[:5], 0):
            began = self.clock()
            reply = self.api(Call("scf", "InvokeFunction", params, says))["Result"]
            ended, error = self.clock(), str(reply.get("ErrMsg") or "")
            if not _NO_ROOM.search(error):
                break
            self.sleep(delay)
        lines = tuple(_objects((reply.get("Log") or "").splitlines()))
        times = [_seconds(line["Time"]) for line in lines if "Time" in line] or [began]
        ahead = max(0, times[-1] - ended) or min(0, times[0] - began)
        result = {} if error else next(_objects([reply.get("RetMsg") or ""]), {})
        return Run(reply["FunctionRequestId"], result, error, lines, ahead)

    def lines(self, start: float, end: float, request_id: str = "") -> list[dict[str, Any]]:
        """Return the JSON objects that it has logged from `start` to `end`, perhaps of one run.

        Raises:
            CloudError, ValueError: CLS does not return them.
        """

        def call(service: str, action: str, params: dict[str, Any]) -> dict[str, Any]:
            return self.api(Call(service, action, params))

        name, space = self.named["FunctionName"], self.named["Namespace"]
        source = Source(call, self.sleep, self.region, name, request_id, space)
        pages = source.pages(self.topic, int(start * 1000), int(end * 1000))
        return [*_objects(each.get("SCF_Message", "") for page in pages for each in page)]

    def awaited(
        self, start: float, request_id: str, find: Callable[[list[dict[str, Any]]], bool]
    ) -> tuple[list[dict[str, Any]], float]:
        """Return its lines since `start` once `find` finds what it looks for, and the seconds.

        After `LONGEST_WAIT`, the lines are what there is. Raises as `lines`.
        """
        for delay in (*_DELAYS, 0):
            found = self.lines(start - _APART, self.now() + _APART, request_id)
            if find(found):
                break
            self.sleep(delay)
        return found, self.now() - start


def _objects(texts: Iterable[object]) -> Iterator[dict[str, Any]]:
    for text in texts:
        with suppress(ValueError, RecursionError):
            found = json.loads(str(text))
            if isinstance(found, dict):
                yield found


def _seconds(time: str) -> float:
    return datetime.fromisoformat(time.replace("Z", "+00:00")).timestamp()
