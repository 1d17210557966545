"""SCF: the actions of triggers, and which of them an object or a time fires.

Actions: document/product/583/18589 and its neighbours; COS: 583/9707 and 583/39901; timers:
583/9708. Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

import json
import logging
import math
import uuid
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from image_steward.messages import shown
from scf_local import events
from scf_local.cloud import parameters
from scf_local.cloud.actions import ApiCall, EmulatedAction, Params
from scf_local.cloud.cos_calls import Change
from scf_local.cloud.hosts import bucket_of
from scf_local.cloud.scf import cron
from scf_local.cloud.scf.cos_rules import matches, overlap
from scf_local.cloud.scf.functions import find, find_active
from scf_local.cloud.scf.model import Delivery, Function, Functions, Trigger, local_time
from scf_local.cloud.wire import ErrorReply, require
from scf_local.environment import VERSION as LATEST
from scf_local.json_files import compact

KINDS = ("cos", "timer")
"""Values of `Type`; others are not emulated."""
SWITCH = {"OPEN": True, "CLOSE": False}
"""Values of `Enable`."""
MAX_TRIGGERS = 10
"""Of a kind, for each function (document/product/583/11637)."""
DEFAULT_LIMIT = 20

_INVALID = "InvalidParameterValue"
_FILTERS = {"Qualifier": "qualifier", "TriggerName": "name", "Description": "comment"}
_FILTER = {"Prefix": "", "Suffix": ""}
_CONSTANT = {"AvailableStatus": "Available", "BindStatus": "on"}
_CONSTANT |= {"ResourceId": "", "TriggerAttribute": ""}
_ORDERS = {"add_time": lambda trigger: trigger.added, "mod_time": lambda trigger: trigger.modified}
_LOG = logging.getLogger(__name__)


def described(trigger: Trigger) -> dict[str, Any]:
    """Return a trigger as ListTriggers and GetFunction have it; assumed: times of Beijing."""
    return {
        "TriggerName": trigger.name,
        "Type": trigger.kind,
        "TriggerDesc": trigger.description,
        "Enable": int(trigger.is_enabled),
        "Qualifier": trigger.qualifier,
        "CustomArgument": trigger.argument,
        "Description": trigger.comment,
        **_CONSTANT,
        "AddTime": local_time(trigger.added),
        "ModTime": local_time(trigger.modified),
    }


# --- Actions ---


def create_trigger(call: ApiCall) -> dict[str, Any]:
    """Add a trigger to a function; assumed: it is enabled unless `Enable` is CLOSE."""
    function, params = find_active(call, "CreateTrigger"), call.params
    kind, name, qualifier = _kind(params), params["TriggerName"], _qualifier(params)
    others = [each.name for each in function.triggers if each.kind == kind]
    allowed = f"{function.name} has {len(others)} {kind} triggers; no more are allowed."
    require(len(others) < MAX_TRIGGERS, "LimitExceeded.Trigger", allowed)
    new = Trigger(name, kind, "", qualifier, _is_enabled(params), call.now, call.now)
    if kind == "timer":
        problem = f"{shown(name)}: must be a letter, then up to 59 letters, digits, _ or -."
        require(events.TIMER_NAME.fullmatch(name), f"{_INVALID}.TriggerName", problem)
        require(name not in others, "ResourceInUse.TriggerName", f"The timer {name} exists.")
        new = _timer(call, new)
    else:
        new = _cos_trigger(call, function, new)
    function.triggers.append(new)
    return {"TriggerInfo": described(new)}


def update_trigger(call: ApiCall) -> dict[str, Any]:
    """Change what is given of a timer."""
    function = find_active(call, "UpdateTrigger")
    advice = "A COS trigger cannot be changed; use DeleteTrigger and CreateTrigger."
    require(_kind(call.params) == "timer", "UnsupportedOperation.Trigger", advice)
    old = _find(call, function)
    new = _timer(call, replace(old, is_enabled=_is_enabled(call.params, old)))
    function.triggers[function.triggers.index(old)] = new
    return {}


def update_trigger_status(call: ApiCall) -> dict[str, Any]:
    """Enable or disable a trigger (583/54915)."""
    trigger = _find(call, find_active(call, "UpdateTriggerStatus"))
    is_enabled = _is_enabled(call.params)
    same = f"{trigger.name} is {call.params['Enable']} already."
    require(is_enabled != trigger.is_enabled, "FailedOperation.UpdateTriggerStatus", same)
    trigger.is_enabled, trigger.modified = is_enabled, call.now
    trigger.due = _due(trigger, call.now)
    return {}


def delete_trigger(call: ApiCall) -> dict[str, Any]:
    """Remove a trigger."""
    function = find_active(call, "DeleteTrigger")
    function.triggers.remove(_find(call, function))
    return {}


def list_triggers(call: ApiCall) -> dict[str, Any]:
    """Return a page of a function's triggers, by default the last changed first."""
    triggers, params = find(call).triggers, call.params
    for each in params.get("Filters", []):
        name, values = each.get("Name", ""), each.get("Values", [])
        problem = f"Filters has {shown(name)}; it may have {', '.join(_FILTERS)}."
        require(name in _FILTERS, f"{_INVALID}.Filters", problem)
        triggers = [each for each in triggers if getattr(each, _FILTERS[name]) in values]
    offset, limit = params.get("Offset", 0), params.get("Limit", DEFAULT_LIMIT)
    require(offset >= 0, f"{_INVALID}.Offset", f"Offset is {offset}; it must be 0 or more.")
    require(limit > 0, f"{_INVALID}.Limit", f"Limit is {limit}; it must be 1 or more.")
    order = _ORDERS[_one_of(params, "OrderBy", _ORDERS, "mod_time")]
    is_descending = _one_of(params, "Order", ("ASC", "DESC"), "DESC") == "DESC"
    page = sorted(triggers, key=order, reverse=is_descending)[offset : offset + limit]
    return {"TotalCount": len(triggers), "Triggers": [described(trigger) for trigger in page]}


def _one_of(params: Params, name: str, allowed: Iterable[str], default: str) -> str:
    value: str = params.get(name, default)
    problem = f"{name} is {shown(value)}; it must be one of {', '.join(allowed)}."
    require(value in allowed, f"{_INVALID}.{name}", problem)
    return value


def _kind(params: Params) -> str:
    kind: str = params["Type"]
    problem = f"Triggers of Type {shown(kind)} are not emulated; emulated are {', '.join(KINDS)}."
    require(kind in KINDS, "NotImplemented", problem)
    return kind


def _qualifier(params: Params) -> str:
    return params.get("Qualifier") or LATEST


def _is_enabled(params: Params, old: Trigger | None = None) -> bool:
    default = "CLOSE" if old and not old.is_enabled else "OPEN"
    return SWITCH[_one_of(params, "Enable", SWITCH, default)]


def _find(call: ApiCall, function: Function) -> Trigger:
    """Return the trigger that a call names; of a COS trigger, `TriggerDesc` is a part of that.

    Assumed: that may be without a filter if only one trigger has the event.
    """
    params = call.params
    named = (_kind(params), params["TriggerName"], _qualifier(params))
    found = [each for each in function.triggers if (each.kind, each.name, each.qualifier) == named]
    if named[0] == "cos":
        given = _cos_description(params.get("TriggerDesc", ""))
        found = [each for each in found if given.items() <= json.loads(each.description).items()]
    those = "; ".join(
        f"{each.kind} {each.name} {each.description} of {each.qualifier}"
        for each in found or function.triggers
    )
    missing = f"{function.name} has no such trigger, but: {those or 'none'}."
    require(found, "ResourceNotFound.Trigger", missing)
    require(len(found) == 1, f"{_INVALID}.TriggerDesc", f"It is that of several: {those}.")
    return found[0]


def _timer(call: ApiCall, old: Trigger) -> Trigger:
    """Return a timer with what a call gives of it."""
    params, new = call.params, replace(old, modified=call.now)
    new.argument = params.get("CustomArgument", old.argument)
    new.comment = params.get("Description", old.comment)
    size, most = len(new.argument.encode("utf-8", "surrogatepass")), events.MAX_MESSAGE_BYTES
    require(size <= most, f"{_INVALID}.CustomArgument", f"It takes {size} bytes; allowed: {most}.")
    if not old.cron or "TriggerDesc" in params:
        new.description, new.cron = _cron(params.get("TriggerDesc", ""), call.now)
    new.due = _due(new, call.now)
    return new


def _cron(text: str, now: float) -> tuple[str, str]:
    """Return a timer's `TriggerDesc` as it is read back, and the expression in it."""
    if text.lstrip().startswith("{"):
        text = _members(text, {"cron": str}, "cron")["cron"]
    try:
        expression = cron.parse(text)
    except ValueError as problem:
        raise ErrorReply(f"{_INVALID}.TriggerDesc", f"TriggerDesc {problem}.") from None
    is_ever_due = cron.next_after(expression, now) < math.inf
    require(is_ever_due, f"{_INVALID}.TriggerDesc", f"{shown(text)} is never due, or not any more.")
    return compact({"cron": text}), expression


def _due(trigger: Trigger, now: float) -> float:
    is_timed = trigger.is_enabled and trigger.kind == "timer"
    return cron.next_after(trigger.cron, now) if is_timed else math.inf


def _cos_trigger(call: ApiCall, function: Function, new: Trigger) -> Trigger:
    """Return a COS trigger with what a call gives of it.

    Assumed: rules of triggers that are disabled count, too.
    """
    bucket, _ = bucket_of(new.name) or ("", "")
    host = _host("<bucket-appid>", call.region)
    problem = f"{shown(new.name)} must be {host}, in the function's region."
    require(new.name == _host(bucket, call.region), f"{_INVALID}.TriggerName", problem)
    is_there = call.state.objects_in(call.region, bucket) is not None
    missing = f"{call.region} has no bucket {bucket}. In a seed, it is the folder objects/{bucket}."
    require(is_there, "ResourceNotFound.Cos", missing)
    only = "It is only for timers."
    require("CustomArgument" not in call.params, f"{_INVALID}.CustomArgument", only)
    given = _cos_description(call.params.get("TriggerDesc", ""))
    text = compact({"event": given["event"], "filter": given.get("filter", _FILTER)})
    for owner, each in _of_bucket(call.state.functions, call.region, bucket):
        is_same = owner is function and each.description == text
        code = "ResourceInUse.Cos" if is_same else f"{_INVALID}.CosNotifyRuleConflict"
        rival = f"{text} overlaps {each.description} of {owner.name}, trigger {each.name}."
        require(not overlap(text, each.description), code, rival)
    return replace(new, description=text, comment=call.params.get("Description", ""))


def _cos_description(text: str) -> dict[str, Any]:
    """Return a `TriggerDesc`; if it has a filter, with both of its members.

    Assumed: it may have none, as in a reply of GetFunction that tccli's first documents show.
    """
    given = _members(text, {"event": str, "filter": dict.fromkeys(_FILTER, str)}, "event")
    event, names = given["event"], events.COS_EVENT_NAMES
    problem = f"The event {shown(event)} is not one of {', '.join(names)}."
    require(event in names, f"{_INVALID}.TriggerDesc", problem)
    rule = {**_FILTER, **given.get("filter", {})}
    problem = f"The Suffix {shown(rule['Suffix'])} must begin with a dot."
    require(rule["Suffix"][:1] in {"", "."}, f"{_INVALID}.TriggerDesc", problem)
    return {**given, "filter": rule} if "filter" in given else given


def _members(text: str, shape: Params, required: str) -> dict[str, Any]:
    """Return the members of a `TriggerDesc` in JSON."""
    try:
        given: dict[str, Any] = json.loads(text)
        parameters.check(given, shape, (required,))
    except (ValueError, RecursionError, ErrorReply) as problem:
        message = f"TriggerDesc is {shown(text)}: {getattr(problem, 'message', 'not JSON')}"
        raise ErrorReply(f"{_INVALID}.TriggerDesc", message) from None
    return given


def _host(bucket: str, region: str) -> str:
    return f"{bucket}.cos.{region}.myqcloud.com"


# --- Firing ---


def on_change(
    functions: Functions, region: str, bucket: str, change: Change, now: float
) -> list[Delivery]:
    """Return the deliveries of the COS triggers that a change fires: as no two overlap, one.

    A key that is not UTF-8 fires nothing, as JSON could not name it. Assumed: the event of a
    deletion describes what was deleted.
    """
    version = change.version
    for function, trigger in _of_bucket(functions, region, bucket):
        if trigger.is_enabled and matches(trigger.description, change.event, change.key):
            try:
                event = events.cos_event(
                    bucket,
                    change.key,
                    region=region,
                    event_name=change.event,
                    body=version.content,
                    etag=version.etag or version.md5,
                    vid="" if version.version == "null" else version.version,
                    function_name=function.name,
                    qualifier=trigger.qualifier,
                    clock=lambda: now,
                )
            except ValueError as error:
                _LOG.warning("No event tells of the object %a in %s: %s", change.key, bucket, error)
                continue
            # As stored: `cos_event` allows only ASCII, and names without an underscore.
            event["Records"][0]["cos"]["cosObject"]["meta"] |= version.headers
            return [_delivery(function, event, now)]
    return []


def _of_bucket(functions: Functions, region: str, bucket: str) -> list[tuple[Function, Trigger]]:
    """Return the COS triggers of a bucket with their functions."""
    named = ("cos", _host(bucket, region))
    return [
        (function, trigger)
        for function in functions.in_region(region)
        for trigger in function.triggers
        if (trigger.kind, trigger.name) == named
    ]


def fire_timers(functions: Functions, now: float) -> None:
    """Queue the events of the timers that are due, and set when they are due next.

    Of times that have all passed, as while a computer sleeps, only the first fires (assumed).
    """
    for function in functions.by_name.values():
        for trigger in function.triggers:
            if trigger.due <= now:
                functions.queue.append(_delivery(function, _timer_event(trigger), now))
                trigger.due = cron.next_after(trigger.cron, now)


def _timer_event(trigger: Trigger) -> dict[str, str]:
    return events.timer_event(trigger.argument, name=trigger.name, clock=lambda: trigger.due)


def _delivery(function: Function, event: dict[str, Any], now: float) -> Delivery:
    return Delivery(function.region, function.name, event, str(uuid.uuid4()), now, now)


# --- The table; assumed: the rate of DeleteTrigger ---

_NAMED = dict.fromkeys(("FunctionName", "TriggerName", "Type"), str)
_ONE = {**_NAMED, **dict.fromkeys(("Namespace", "Qualifier", "TriggerDesc"), str)}
_SWITCHED = {**_ONE, "Enable": str}
_WHOLE = {**_SWITCHED, "CustomArgument": str, "Description": str}
_LIST = dict.fromkeys(("FunctionName", "Namespace", "OrderBy", "Order"), str)
_LISTED = {**_LIST, "Offset": int, "Limit": int, "Filters": [{"Name": str, "Values": [str]}]}
_SWITCH = (*_NAMED, "Enable")

ACTIONS = {
    "CreateTrigger": EmulatedAction(create_trigger, 100, _WHOLE, (*_NAMED,)),
    "UpdateTrigger": EmulatedAction(update_trigger, 20, _WHOLE, (*_NAMED,)),
    "UpdateTriggerStatus": EmulatedAction(update_trigger_status, 20, _SWITCHED, _SWITCH),
    "DeleteTrigger": EmulatedAction(delete_trigger, 100, _ONE, (*_NAMED,)),
    "ListTriggers": EmulatedAction(list_triggers, 20, _LISTED, ("FunctionName",)),
}
"""By name, for the service's table."""
