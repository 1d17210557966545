"""SCF: the actions that call a function (document/product/583/17243, 583/58400, 583/65348)."""

from __future__ import annotations

import json
import math
import uuid
from concurrent.futures import Future
from datetime import datetime
from typing import Any

from scf_local.cloud.actions import ApiCall, EmulatedAction, Later
from scf_local.cloud.scf.functions import check, find, find_active
from scf_local.cloud.scf.model import Delivery, Run, local_time
from scf_local.cloud.wire import ErrorReply, require
from scf_local.invocation import MAX_EVENT_BYTES
from scf_local.json_files import compact

TAIL_BYTES = 4096
"""Of the log in a reply."""
_RECENT_S = 15 * 60


def invoke(call: ApiCall) -> dict[str, Any] | Later:
    """Call a function with `ClientContext`, and wait for its result unless the type is `Event`."""
    is_awaited = call.params.get("InvocationType") != "Event"
    return _invoke(call, "ClientContext", is_awaited=is_awaited)


def invoke_function(call: ApiCall) -> dict[str, Any] | Later:
    """Call a function with `Event`, and wait for its result."""
    return _invoke(call, "Event", is_awaited=True)


def _invoke(call: ApiCall, member: str, *, is_awaited: bool) -> dict[str, Any] | Later:
    check(call.params)
    function = find_active(call, "FunctionStatusError", "Updating")
    text = call.params.get(member, "{}")
    limit = MAX_EVENT_BYTES["direct" if is_awaited else "cos"]
    is_small = len(text.encode("utf-8", "surrogatepass")) <= limit
    message = f"{member} has more than {limit} bytes."
    require(is_small, "InvalidParameter.RequestTooLarge", message)
    try:
        event = json.loads(text)
    except (ValueError, RecursionError) as error:
        message = f"{member} is not JSON: {error}."
        raise ErrorReply("InvalidParameterValue.Param", message) from None
    result: Future[Run] | None = Future() if is_awaited else None
    request_id = str(uuid.uuid4())
    where = (function.region, function.name)
    delivery = Delivery(*where, event, request_id, call.now, call.now, result=result)
    call.state.functions.queue.append(delivery)
    if result is None:
        return {"Result": {"FunctionRequestId": request_id}}
    has_log = call.params.get("LogType") == "Tail"
    return Later(lambda: {"Result": _result(result.result(), has_log=has_log)})


def _result(run: Run, *, has_log: bool) -> dict[str, Any]:
    result = run.result
    return {
        "FunctionRequestId": result.request_id,
        # assumed: the error's code, and its JSON as the message
        "InvokeResult": result.error["errorCode"] if result.error else 0,
        "RetMsg": "" if result.error else compact(result.result),
        "ErrMsg": compact(result.error) if result.error else "",
        "Log": run.log[-TAIL_BYTES:].decode("utf-8", "replace") if has_log else "",
        "Duration": round(result.duration_ms, 3),
        "BillDuration": math.ceil(result.duration_ms),
        "MemUsage": round(result.memory_mb * (1 << 20)),
    }


def get_request_status(call: ApiCall) -> dict[str, Any]:
    """Return the runs of a request id, also one in progress; of the last 15 minutes by default."""
    function, params = find(call), call.params
    times = {"StartTime": call.now - _RECENT_S, "EndTime": call.now}
    for name in times.keys() & params.keys():
        times[name] = _seconds(name, params[name])
    is_period = "EndTime" in params and times["StartTime"] < times["EndTime"]
    message = "StartTime needs an EndTime, which must be later."
    is_valid = is_period or "StartTime" not in params
    require(is_valid, "InvalidParameterValue.StartTimeOrEndTime", message)
    functions = call.state.functions
    deliveries: list[tuple[Delivery, float, Run | None]]
    deliveries = [(each, call.now, None) for each in functions.running]
    deliveries += [(run.delivery, run.started, run) for run in functions.runs]
    data = [
        _status(delivery, started, run)
        for delivery, started, run in deliveries
        if (delivery.region, delivery.function) == (function.region, function.name)
        and delivery.request_id == params["FunctionRequestId"]
        and max(times["StartTime"], function.added) <= started <= times["EndTime"]
    ]
    return {"TotalCount": len(data), "Data": data}


def _status(delivery: Delivery, started: float, run: Run | None) -> dict[str, Any]:
    result = run and run.result
    failed = result and result.error
    return {
        "FunctionName": delivery.function,
        "RequestId": delivery.request_id,
        "StartTime": local_time(started),
        "RetryNum": delivery.retry,
        "RetCode": -1 if failed else 0 if result else 1,  # 1: it is running
        "RetMsg": compact(failed or result.result) if result else "",
        "Duration": round(result.duration_ms, 3) if result else 0,
        "MemUsage": round(result.memory_mb, 6) if result else 0,
    }


def _seconds(name: str, text: str) -> float:
    try:
        return datetime.strptime(f"{text}+0800", "%Y-%m-%d %H:%M:%S%z").timestamp()
    except ValueError:
        message = f"{name} is {text!r}; it must be a time such as 2026-11-01 08:00:00."
        raise ErrorReply("InvalidParameterValue.StartTimeOrEndTime", message) from None


_CALLED = {"FunctionName": str, "Qualifier": str, "LogType": str, "Namespace": str}
_CALLED |= {"RoutingKey": str}
_INVOKE = {**_CALLED, "InvocationType": str, "ClientContext": str}
_PERIOD = {"StartTime": str, "EndTime": str}
_STATUS = {"FunctionName": str, "FunctionRequestId": str, "Namespace": str, **_PERIOD}
_NAMED = ("FunctionName",)
ACTIONS = {
    "Invoke": EmulatedAction(invoke, 10_000, _INVOKE, _NAMED),
    "InvokeFunction": EmulatedAction(invoke_function, 10_000, {**_CALLED, "Event": str}, _NAMED),
    "GetRequestStatus": EmulatedAction(
        get_request_status, 20, _STATUS, ("FunctionName", "FunctionRequestId")
    ),
}
