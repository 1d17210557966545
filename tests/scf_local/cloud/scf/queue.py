"""The queue of events: when each is delivered, and again after a failure; pure functions."""

from __future__ import annotations

import math
from dataclasses import replace

from scf_local.cloud.scf.model import Delivery, Function, Functions, Run

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


def take_due(functions: Functions, now: float, most: int) -> list[Delivery]:
    """Remove deliveries that are due from the queue, in its order.

    Those that somebody waits for are all removed: they may come from functions that are running,
    which would wait for each other. Of the others, up to `most` are.
    """
    due = [delivery for delivery in functions.queue if delivery.due <= now]
    awaited = [delivery for delivery in due if delivery.result]
    taken = awaited + [delivery for delivery in due if not delivery.result][: max(most, 0)]
    functions.queue = [delivery for delivery in functions.queue if delivery not in taken]
    return taken


def has_room(functions: Functions, function: Function) -> bool:
    """Whether the reserved concurrency of a function allows one more instance."""
    if function.reserved_mb is None:
        return True
    key = (function.region, function.name)
    running = sum((each.region, each.function) == key for each in functions.running)
    memory: int = function.settings["MemorySize"]
    return (running + 1) * memory <= function.reserved_mb


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
