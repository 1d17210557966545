"""The rules of the queue, without a cloud."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scf_local.cloud.scf import queue
from scf_local.cloud.scf.model import Code, Delivery, Function, Functions, Run, Trigger
from scf_local.invocation import result_of

REGION, NAME, START = "ap-guangzhou", "fn", 1764000000.0
OK, TOO_LARGE = 200, 406
FAILURES, REFUSALS = (407, 430, 433, 434, 437, 439, 443, 450), (429, 432, 500)


def function_of() -> Function:
    """Return a function."""
    return Function(NAME, REGION, "lam-1", {"MemorySize": 128}, Code(b"", ""), START, START, 0)


def delivery_of(due: float = START) -> Delivery:
    """Return an event that was queued at `START`."""
    return Delivery(REGION, NAME, {}, "r-1", START, due)


@given(
    statuses=st.lists(st.sampled_from((OK, TOO_LARGE, *FAILURES, *REFUSALS)), max_size=60),
    retries=st.integers(0, 2),
    max_age_s=st.integers(60, 3600),
)
def test_deliveries(statuses: list[int], retries: int, max_age_s: int) -> None:
    """An event comes again each minute until it is handled, too old, or has failed too often."""
    function = replace(function_of(), retries=retries, max_age_s=max_age_s)
    delivery: Delivery | None = delivery_of()
    seen: list[int] = []
    for status in statuses:
        if delivery is None:
            break
        assert delivery.due == START + 60 * len(seen)
        assert delivery.retry == sum(each in FAILURES for each in seen)
        seen.append(status)
        result = result_of({"Status": status, "Message": "", "Result": None}, "r-1")
        delivery = queue.after(Run(delivery, delivery.due, result), function, delivery.due)
    has_failed_too_often = sum(each in FAILURES for each in seen) > retries
    is_too_old = 60 * len(seen) > max_age_s
    is_final = bool(seen) and seen[-1] in {OK, TOO_LARGE}
    assert (delivery is None) == (has_failed_too_often or is_too_old or is_final)


@given(st.lists(st.floats(START - 99, START + 99), max_size=9), st.integers(-1, 9))
def test_what_is_due_is_taken_once(times: list[float], most: int) -> None:
    """Deliveries that are due are taken in the order of the queue, as many as may be."""
    deliveries = [delivery_of(due) for due in times]
    functions = Functions(queue=[*deliveries])
    due = [each for each in deliveries if each.due <= START]
    assert queue.take_due(functions, START, most) == due[: max(most, 0)]
    assert functions.queue == [each for each in deliveries if each not in due[: max(most, 0)]]
    assert queue.take_due(functions, START, 99) == due[max(most, 0) :]


@given(st.lists(st.floats(START - 99, START + 99), max_size=4), st.floats(START - 99, START + 99))
def test_next_due_is_the_earliest(times: list[float], timer: float) -> None:
    """The next time is that of the earliest delivery or timer."""
    functions = Functions(queue=[delivery_of(due) for due in times])
    assert queue.next_due(functions) == min(times, default=math.inf)
    function = function_of()
    function.triggers.append(
        Trigger("t", "timer", "", "", is_enabled=True, added=0, modified=0, due=timer)
    )
    functions.by_name[REGION, NAME] = function
    assert queue.next_due(functions) == min(*times, timer, math.inf)


@given(
    memory=st.sampled_from((64, 128, 256)), reserved=st.integers(0, 999), running=st.integers(0, 9)
)
def test_reserved_memory_is_never_exceeded(memory: int, reserved: int, running: int) -> None:
    """An instance may start if, with all that run, it needs no more than what is reserved."""
    function = replace(function_of(), settings={"MemorySize": memory}, reserved_mb=reserved)
    functions = Functions(running=[delivery_of() for _ in range(running)])
    assert queue.has_room(functions, function) == (memory * (running + 1) <= reserved)
    assert queue.has_room(functions, replace(function, reserved_mb=None))
