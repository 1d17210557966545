"""The queue of events: when each is delivered, and again after a failure; pure functions."""

from __future__ import annotations

import math
from dataclasses import replace

from scf_local.cloud.scf.model import Delivery, Function, Functions, Run
from scf_local.environment import trigger_of

MAX_EVENTS = 4
"""Handled at the same time. SCF has more room; a local machine handles them no faster."""
MAX_RUNNING = 100
"""Instances, with those that somebody waits for; SCF allows 1000 of 128 MB."""
RETRY_AFTER_S = 60.0
"""document/product/583/39851"""
NO_ROOM = 432
"""The status if the reserved concurrency is used up, or 0."""
PLATFORM_FAULT = 500
_NOT_THE_FUNCTIONS = {NO_ROOM, 429, PLATFORM_FAULT}
"""Statuses after which an event is delivered again until it is too old, at any number of times."""
_FINAL = {200, 406}
"""Success, and an event that no function may get (document/product/583/41138)."""


def next_due(functions: Functions) -> float:
    """Return when a delivery or a timer is due next; infinity if none is."""
    timers = (trigger.due for each in functions.by_name.values() for trigger in each.triggers)
    deliveries = (delivery.due for delivery in functions.queue)
    return min((*deliveries, *timers), default=math.inf)


def room(functions: Functions) -> int:
    """Return how many more events can be handled at the same time."""
    return MAX_EVENTS - sum(each.result is None for each in functions.running)


def take_due(functions: Functions, now: float) -> list[Delivery]:
    """Remove deliveries that are due from the queue, in its order.

    Those that somebody waits for are all removed: they may come from functions that are running,
    which would wait for each other. Of the others, those that there is room for are.
    """
    due = [delivery for delivery in functions.queue if delivery.due <= now]
    awaited = [delivery for delivery in due if delivery.result]
    events = [delivery for delivery in due if not delivery.result]
    taken = awaited + events[: max(room(functions), 0)]
    functions.queue = [delivery for delivery in functions.queue if delivery not in taken]
    return taken


def has_pending(functions: Functions, now: float, target: float) -> bool:
    """Whether events are due, or being handled, other than those of timers after `target`.

    A timer may fire again before its last event is handled, without end. Calls are no events: who
    makes one waits for it.
    """
    due = (delivery for delivery in functions.queue if delivery.due <= now)
    return any(
        each.result is None and (each.due <= target or trigger_of(each.event) != "timer")
        for each in (*functions.running, *due)
    )


def refusal(functions: Functions, function: Function) -> tuple[int, str]:
    """Return the status, and why, if a function may not have one more instance now; or 0."""
    if len(functions.running) >= MAX_RUNNING:
        return 429, f"{MAX_RUNNING} instances are running"
    if function.reserved_mb is None:
        return 0, ""
    key = (function.region, function.name)
    used = sum((each.region, each.function) == key for each in functions.running)
    memory = function.settings["MemorySize"]
    if (used + 1) * memory <= function.reserved_mb:
        return 0, ""
    reserved = f"The reserved concurrency is {function.reserved_mb} MB"
    return NO_ROOM, f"{reserved}; {used} instances of {memory} MB use it"


def after(run: Run, function: Function, now: float) -> Delivery | None:
    """Return the next delivery of an event; None if there is none."""
    delivery = run.delivery
    due = now + RETRY_AFTER_S
    status = run.result.status
    if delivery.result or status in _FINAL or due - delivery.queued > function.max_age_s:
        return None
    if status in _NOT_THE_FUNCTIONS:
        return replace(delivery, due=due)
    if delivery.retry < function.retries:
        return replace(delivery, due=due, retry=delivery.retry + 1)
    return None
