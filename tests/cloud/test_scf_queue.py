"""The rules of the queue, without a cloud."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scf_local.cloud.scf import model, queue
from scf_local.cloud.scf.model import Code, Delivery, Function, Functions, Run, Trigger
from scf_local.invocation import result_of

REGION, NAME, START = "ap-guangzhou", "fn", 1764000000.0
TIMER = {"Type": "Timer"}
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


@given(st.lists(st.floats(START - 99, START + 99), max_size=9), st.integers(0, 9))
def test_what_is_due_is_taken_once(times: list[float], running: int) -> None:
    """Events that are due are taken in the order of the queue, as many as there is room for."""
    deliveries = [delivery_of(due) for due in times]
    functions = Functions(queue=[*deliveries], running=[delivery_of() for _ in range(running)])
    room = max(queue.MAX_EVENTS - running, 0)
    due = [each for each in deliveries if each.due <= START]
    assert queue.take_due(functions, START) == due[:room]
    assert functions.queue == [each for each in deliveries if each not in due[:room]]


def test_calls_are_taken_without_room() -> None:
    """What somebody waits for is taken, and takes no room from events."""
    call = replace(delivery_of(), result=Future())
    running = [replace(delivery_of(), result=Future()) for _ in range(queue.MAX_EVENTS)]
    functions = Functions(queue=[call, event := delivery_of()], running=running)
    assert queue.take_due(functions, START) == [call, event]
    functions.queue, functions.running = [call, event], [event] * queue.MAX_EVENTS
    assert queue.take_due(functions, START) == [call]


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
    has_room = memory * (running + 1) <= reserved
    assert queue.refusal(functions, function)[0] == (0 if has_room else 432)
    assert queue.refusal(functions, replace(function, reserved_mb=None)) == (0, "")


def test_instances_are_bounded() -> None:
    """No more than a number of instances run, so that functions that call themselves end."""
    functions = Functions(running=[delivery_of()] * queue.MAX_RUNNING)
    assert queue.refusal(functions, function_of())[0] == 429


@pytest.mark.parametrize(
    ("event", "due", "is_pending"),
    [
        ({}, START, True),
        ({}, START + 5, True),
        (TIMER, START, True),
        (TIMER, START + 5, False),
    ],
)
def test_what_a_move_waits_for(event: dict[str, str], due: float, *, is_pending: bool) -> None:
    """The clock waits for events that are due, but not for those of timers after its target."""
    delivery = Delivery(REGION, NAME, event, "r-1", due, due)
    now = START + 9
    assert queue.has_pending(Functions(running=[delivery]), now, START) is is_pending
    assert queue.has_pending(Functions(queue=[delivery]), now, START) is is_pending
    assert not queue.has_pending(Functions(queue=[delivery]), due - 1, START)
    call = replace(delivery, result=Future())
    assert not queue.has_pending(Functions(running=[call]), now, START)


def test_kept_runs_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest runs are dropped if there are too many, or if they take too much memory."""
    monkeypatch.setattr(model, "MAX_RUNS", 3)
    functions = Functions()
    result = result_of({"Status": OK, "Result": None}, "r-1")
    runs = [Run(delivery_of(), START, result, b"x" * number) for number in range(5)]
    for run in runs:
        functions.keep(run)
    assert [*functions.runs] == runs[2:]
    monkeypatch.setattr(model, "MAX_RUNS_BYTES", 1000)
    functions.keep(last := Run(delivery_of(), START, result, b"x" * 980))
    assert [*functions.runs] == [last]
