"""Carries out what is due in the emulated SCF: gives events to functions, in threads."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from queue import SimpleQueue
from threading import TIMEOUT_MAX, Condition, Lock, Thread, current_thread

from scf_local.cloud.cls import delivery as logs
from scf_local.cloud.scf import queue, triggers
from scf_local.cloud.scf.instances import Instances
from scf_local.cloud.scf.model import Delivery, Function, Run, local_time
from scf_local.cloud.state import State
from scf_local.console import InterruptFlag
from scf_local.invocation import Interrupted, result_of

_LOG = logging.getLogger(__name__)
_WRITE_SECONDS = 2.0


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
    _texts: SimpleQueue[bytes | None] = field(init=False, default_factory=SimpleQueue)
    _moving: Lock = field(init=False, default_factory=Lock)

    def __post_init__(self) -> None:
        self._changed = Condition(self.state.lock)
        self._instances = Instances(self.variables, self._stopping)

    def start(self) -> None:
        """Begin to deliver."""
        self._start(self._serve)
        self._writer = Thread(target=self._write, daemon=True)
        self._writer.start()

    def stop(self) -> None:
        """End all runs; who waits for one gets `CancelledError`."""
        with self._changed:
            self._stopping.exit_status = 1
            self.wake()
            threads = [*self._threads]
        for thread in threads:
            thread.join()
        self._instances.close()
        self._texts.put(None)
        self._writer.join(_WRITE_SECONDS)  # not for ever: nobody may read what is written

    def wake(self) -> None:
        """Look at the queue again, since it may have changed; hold `state.lock`."""
        for delivery in self.state.functions.queue if self._stopping else ():
            if delivery.result:
                delivery.result.cancel()
        self._changed.notify_all()

    def move(self, seconds: float) -> float:
        """Move the time on, from one event that is due to the next; returns the new time.

        Returns when all that is due by then has been carried out, with what that has fired.
        """
        with self._moving, self._changed:
            target = self.now() + seconds
            while not self._stopping:
                self._deliver()
                functions = self.state.functions
                if queue.has_pending(functions, self.now(), target):
                    self._changed.wait()
                elif (due := queue.next_due(functions)) > target:
                    break
                else:
                    self.state.moved += max(due - self.now(), 0.0)
            self.state.moved += max(target - self.now(), 0.0)
            self._changed.notify_all()
            return self.now()

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = Thread(target=target, args=args, daemon=True)
        self._threads.add(thread)
        thread.start()

    def _serve(self) -> None:
        with self._changed:
            while not self._stopping:
                self._deliver()
                seconds = queue.next_due(self.state.functions) - self.now()
                # With no room, a run that ends wakes this thread.
                has_room = queue.room(self.state.functions) > 0
                self._changed.wait(min(max(seconds, 0.0), TIMEOUT_MAX) if has_room else None)

    def _deliver(self) -> None:
        """Start what is due and has room."""
        functions = self.state.functions
        triggers.fire_timers(functions, self.now())
        while deliveries := queue.take_due(functions, self.now()):
            for delivery in deliveries:
                function = functions.by_name.get((delivery.region, delivery.function))
                if function is None:
                    continue
                status, message = self.refusal(), "A fault of the platform was injected"
                if not status:
                    status, message = queue.refusal(functions, function)
                if status:
                    reply = {"Status": status, "Message": message}
                    run = Run(delivery, self.now(), result_of(reply, delivery.request_id))
                    self._finish(run, function)
                else:
                    functions.running.append(delivery)
                    self._start(self._run, delivery, function, function.revision)
            self._changed.notify_all()

    def _run(self, delivery: Delivery, function: Function, revision: int) -> None:
        started, log = self.now(), io.BytesIO()
        times: list[tuple[int, float]] = []

        def write(data: bytes) -> None:
            times.append((log.tell(), self.now()))
            log.write(data)

        result = instance = None
        try:
            instance = self._instances.take(function, write)
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
                self._finish(Run(delivery, started, result, log.getvalue()), function, times)
            elif delivery.result:
                delivery.result.cancel()
            self._changed.notify_all()

    def _finish(
        self, run: Run, function: Function, times: Sequence[tuple[int, float]] = ()
    ) -> None:
        """Keep a run, deliver its log, and queue its event again if need be.

        `times` has where in the log something was written, and when.
        """
        functions, topics = self.state.functions, self.state.topics
        functions.keep(run)
        if run.log and (topic := function.settings["ClsTopicId"]):
            package = f"{next(topics.packages):016X}"
            topics.add((function.region, topic), logs.records(run, times, package))
        if run.delivery.result:
            run.delivery.result.set_result(run)
        again = queue.after(run, function, self.now())
        if again and functions.by_name.get((function.region, function.name)) is function:
            functions.queue.append(again)
        is_given_up = run.result.error and not again and not run.delivery.result
        then = f"; again at {local_time(again.due)}" if again else "; given up" * bool(is_given_up)
        title = f"{local_time(run.started)} {function.name} {run.result.request_id}"
        line = f"scf-local: {title}: {run.result.outcome} ({run.result.status}){then}\n"
        # As text: a character that is cut off at the end would damage what follows.
        self._texts.put(line.encode() + run.log.decode("utf-8", "backslashreplace").encode())

    def _write(self) -> None:
        """Write logs; in a thread of its own, since this may block, or fail."""
        while (text := self._texts.get()) is not None:
            with suppress(OSError, ValueError):
                self.write(text)
