"""Carries out what is due in the emulated SCF: gives events to functions, in threads."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import TIMEOUT_MAX, Condition, Thread, current_thread

from scf_local.cloud.scf import queue, triggers
from scf_local.cloud.scf.instances import Instances
from scf_local.cloud.scf.model import Delivery, Function, Run, local_time
from scf_local.cloud.state import State
from scf_local.console import InterruptFlag
from scf_local.invocation import Interrupted, result_of

_LOG = logging.getLogger(__name__)
MAX_EVENTS = 4
"""Delivered at the same time. SCF has more room; a local machine runs them no faster."""


@dataclass
class Runner:
    """Delivers events in threads, between `start` and `stop`.

    Attributes:
        now: returns the emulated cloud's time; `state.moved` moves it on.
        variables: returns the variables with which a function reaches its cloud.
        write: receives the log of each run, as bytes.
        refusal: returns the status with which the platform refuses the next delivery, or 0.
    """

    state: State
    now: Callable[[], float]
    variables: Callable[[Function], Mapping[str, str]]
    write: Callable[[bytes], object]
    refusal: Callable[[], int]
    _changed: Condition = field(init=False)
    _stopping: InterruptFlag = field(init=False, default_factory=InterruptFlag)
    _threads: set[Thread] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self._changed = Condition(self.state.lock)
        self._instances = Instances(self.variables, self._stopping)

    def start(self) -> None:
        """Begin to deliver."""
        self._start(self._serve)

    def stop(self) -> None:
        """End all runs; who waits for one gets `CancelledError`."""
        with self._changed:
            self._stopping.exit_status = 1
            self._changed.notify_all()
            threads = [*self._threads]
            for delivery in self.state.functions.queue:
                if delivery.result:
                    delivery.result.cancel()
        for thread in threads:
            thread.join()
        self._instances.close()

    def wake(self) -> None:
        """Look at the queue again, since it may have changed; hold `state.lock`."""
        self._changed.notify_all()

    def move(self, seconds: float) -> float:
        """Move the time on, from one event that is due to the next; returns the new time.

        Returns when all that is due by then has been carried out.
        """
        functions = self.state.functions
        with self._changed:
            target = self.now() + seconds
            while not self._stopping:
                self._deliver()
                self._changed.wait_for(lambda: self._is_done() or self._stopping)
                due = queue.next_due(functions)
                if due > target:
                    break
                self.state.moved += max(due - self.now(), 0.0)
            self.state.moved += max(target - self.now(), 0.0)
            return self.now()

    def _is_done(self) -> bool:
        functions = self.state.functions
        return not functions.running and queue.next_due(functions) > self.now()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = Thread(target=target, args=args, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve(self) -> None:
        with self._changed:
            while not self._stopping:
                self._deliver()
                seconds = queue.next_due(self.state.functions) - self.now()
                # If something is due now, all threads are busy, and one that ends wakes this one.
                self._changed.wait(seconds if 0 < seconds < TIMEOUT_MAX else None)

    def _deliver(self) -> None:
        """Start what is due and has room."""
        functions, now = self.state.functions, self.now()
        triggers.fire_timers(functions, now)
        events = sum(each.result is None for each in functions.running)
        for delivery in queue.take_due(functions, now, MAX_EVENTS - events):
            function = functions.by_name.get((delivery.region, delivery.function))
            if function is None:  # it was deleted
                continue
            status, message = self.refusal(), "A fault of the platform was injected"
            if not status and not queue.has_room(functions, function):
                reserved = f"The reserved concurrency is {function.reserved_mb} MB"
                status, message = queue.NO_ROOM, f"{reserved}, with no room for one more instance"
            if status:
                reply = {"Status": status, "Message": message}
                self._finish(Run(delivery, now, result_of(reply, delivery.request_id)), function)
            else:
                functions.running.append(delivery)
                self._start(self._run, delivery, function, function.revision)

    def _run(self, delivery: Delivery, function: Function, revision: int) -> None:
        started, log = self.now(), io.BytesIO()
        result = instance = None
        try:
            instance = self._instances.take(function, log.write)
            result = instance.invoke(delivery.event, delivery.request_id)
        except Exception as error:  # noqa: BLE001 - or who waits for it would do so for ever
            if instance:
                instance.close()
            if not isinstance(error, Interrupted):
                _LOG.exception("A run of %s has failed", function.name)
                reply = {"Status": queue.PLATFORM_FAULT, "Message": f"InternalError: {error!r}"}
                result = result_of(reply, delivery.request_id)
        else:
            self._instances.give_back(function, revision, instance)
        with self._changed:
            self.state.functions.running.remove(delivery)
            self._threads.discard(current_thread())
            if result:
                self._finish(Run(delivery, started, result, log.getvalue()), function)
            elif delivery.result:
                delivery.result.cancel()
            self._changed.notify_all()

    def _finish(self, run: Run, function: Function) -> None:
        """Keep a run, and queue its event again if need be."""
        functions = self.state.functions
        functions.runs.append(run)
        if run.delivery.result:
            run.delivery.result.set_result(run)
        again = queue.after(run, function, self.now())
        if again and functions.by_name.get((function.region, function.name)) is function:
            functions.queue.append(again)
        is_given_up = run.result.error and not again and not run.delivery.result
        then = f"; again at {local_time(again.due)}" if again else "; given up" * bool(is_given_up)
        title = f"{local_time(run.started)} {function.name} {run.result.request_id}"
        line = f"scf-local: {title}: {run.result.outcome} ({run.result.status}){then}\n"
        self.write(line.encode() + run.log)
