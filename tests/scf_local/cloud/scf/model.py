"""The functions of the emulated SCF with their triggers, the queue of events, and past runs.

Only data: the actions of the API change it, and `runner` carries out what is due.
"""

from __future__ import annotations

import json
import math
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from scf_local.invocation import InvocationResult

QUALIFIERS = ("$LATEST", "$DEFAULT")
"""Those that are emulated; both mean the only version."""
FAILED = {"Creating": "CreateFailed", "Updating": "UpdateFailed"}
"""The status after each, if the deployment has failed."""
BEIJING = timezone(timedelta(hours=8))
"""The time of SCF's cron expressions: undocumented, but what users have found."""
RETRIES, MAX_AGE_S = 2, 6 * 3600
"""Of an event, unless the function has others (document/product/583/41138)."""
MAX_RUNS, MAX_RUNS_BYTES = 1000, 64 << 20
"""Past runs that are kept, and the bytes that their logs, events and results may take."""


def local_time(seconds: float) -> str:
    """Return a time as SCF writes it; assumed: of Beijing."""
    return datetime.fromtimestamp(seconds, BEIJING).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class Code:
    """A function's code: a zip file, and the SHA-256 of it in hex."""

    zip: bytes = field(repr=False)
    sha256: str


@dataclass
class Trigger:
    """A trigger: `kind` is `cos` or `timer`; times are epoch seconds.

    Attributes:
        description: `TriggerDesc` as it is read back, JSON.
        cron: of a timer.
        due: when a timer fires next; infinity for others, or if it is not enabled.
    """

    name: str
    kind: str
    description: str
    qualifier: str
    is_enabled: bool
    added: float
    modified: float
    argument: str = ""
    comment: str = ""
    cron: str = ""
    due: float = math.inf


@dataclass(eq=False)
class Function:
    """A function; `settings` are the members of CreateFunction that GetFunction returns, too.

    Attributes:
        id: `FunctionId`.
        pending: the status until `ready` (epoch seconds), then `Active`, or `FAILED` of it.
        failure: why the last deployment fails; empty if it succeeds.
        revision: counts the changes of code and settings, after which new instances are needed.
        reserved_mb: reserved concurrency; None if there is none.
        retries: how often an event is delivered again that the function failed on.
        max_age_s: after how long an event is given up that could not be delivered.
    """

    name: str
    region: str
    id: str
    settings: dict[str, Any]
    code: Code
    added: float
    modified: float
    ready: float
    pending: str = "Creating"
    failure: str = ""
    revision: int = 0
    triggers: list[Trigger] = field(default_factory=list)
    reserved_mb: int | None = None
    retries: int = RETRIES
    max_age_s: int = MAX_AGE_S

    def status(self, now: float) -> str:
        """Return the status, such as `Active`."""
        if now < self.ready:
            return self.pending
        return FAILED[self.pending] if self.failure else "Active"


@dataclass(frozen=True, eq=False)
class Delivery:
    """An event on its way to a function; times are epoch seconds.

    Attributes:
        queued: when it was accepted; `due`: when it is delivered (again).
        retry: how often the function has failed on it.
        result: gets the run, if somebody waits for it.
    """

    region: str
    function: str
    event: Any
    request_id: str
    queued: float
    due: float
    retry: int = 0
    result: Future[Run] | None = None

    def described(self) -> dict[str, Any]:
        """Return what `GET /_state` has of it."""
        names = {"Region": self.region, "Function": self.function, "RequestId": self.request_id}
        return {**names, "RetryNum": self.retry, "Due": self.due}


@dataclass(frozen=True)
class Run:
    """What became of a delivery at `started`; `log` is what it printed, with SCF's own lines.

    Where no instance ran, the result's status says why, such as 432.
    """

    delivery: Delivery
    started: float
    result: InvocationResult
    log: bytes = b""

    @cached_property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.log) + len(json.dumps([self.delivery.event, self.result.result]))


@dataclass
class Functions:
    """All functions by region and name, the queue, and the last runs, newest last."""

    by_name: dict[tuple[str, str], Function] = field(default_factory=dict)
    queue: list[Delivery] = field(default_factory=list)
    running: list[Delivery] = field(default_factory=list)
    runs: deque[Run] = field(default_factory=deque)

    def keep(self, run: Run) -> None:
        """Add a run, and drop the oldest ones if there are too many."""
        self.runs.append(run)
        while len(self.runs) > MAX_RUNS or sum(each.size for each in self.runs) > MAX_RUNS_BYTES:
            self.runs.popleft()

    def remove(self, function: Function) -> None:
        """Delete a function, with the events that wait for it."""
        key = (function.region, function.name)
        del self.by_name[key]
        function.revision += 1  # its instances are of no use any more
        for delivery in self.queue:
            if delivery.result and (delivery.region, delivery.function) == key:
                delivery.result.cancel()
        self.queue = [each for each in self.queue if (each.region, each.function) != key]

    def in_region(self, region: str) -> list[Function]:
        """Return the functions of a region."""
        return [function for function in self.by_name.values() if function.region == region]
