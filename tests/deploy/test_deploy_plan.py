"""The plan of a deployment: a line and the calls for each thing that differs, and no others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scf_deploy import planning, text
from scf_deploy.call import Call
from scf_deploy.code import Code
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import CannotChange
from scf_deploy.plan import CHANGE, CREATE, DELETE, REPLACE, SAME, Line, Plan
from scf_deploy.trigger import Trigger, cos_rule

NAME, ROLE, BUCKET = "app", "app-role", "box-1250000000"
HOST = f"{BUCKET}.cos.ap-guangzhou.myqcloud.com"
SECRET = "hunter2-hunter2"
EVENT = "cos:ObjectCreated:*"
COS = Trigger("cos", HOST, cos_rule(EVENT, "in/", ".json"), is_enabled=True)
OTHER_COS = Trigger("cos", HOST, cos_rule(EVENT, "more/", ""), is_enabled=True)
TIMER = Trigger("timer", "nightly", "0 17 3 * * * *", is_enabled=True, argument="now")
TRUST = {
    "version": "2.0",
    "statement": [
        {"effect": "allow", "action": ["name/sts:AssumeRole"],
         "principal": {"service": ["scf.qcloud.com"]}},
    ],
}  # fmt: skip
POLICY: dict[str, Any] = {
    "version": "2.0",
    "statement": [
        {"effect": "allow", "action": ["name/cos:GetObject"], "resource": ["in/*", "more/*"]},
        {"effect": "allow", "action": ["name/cvm:DescribeImages"], "resource": ["*"]},
    ],
}
VARIABLES = {"MODE": "fast", "API_TOKEN": SECRET}
SETTINGS = {
    "Type": "Event", "Runtime": "Python3.13", "Handler": "index.main", "Role": ROLE,
    "Description": "does it", "MemorySize": 128, "Timeout": 900, "InitTimeout": 10,
    "PublicNetConfig": {"PublicNetStatus": "ENABLE"},
    "Environment": {"Variables": [{"Key": k, "Value": v} for k, v in VARIABLES.items()]},
}  # fmt: skip
WANTED = Deployment(
    region="ap-guangzhou", name=NAME, namespace="default", settings=SETTINGS, code=Code(b"new"),
    triggers=(COS, OTHER_COS, TIMER), trust=TRUST, policy=POLICY,
    delivery={"RetryConfig": [{"RetryNum": 2}], "MsgTTL": 21600}, reserved_mb=256,
)  # fmt: skip


# --- An account that carries out calls, as scf-api.md describes it ---


def described(trigger: Trigger) -> dict[str, Any]:
    """Return a trigger as ListTriggers has it: a timer's cron in JSON, and Enable as a number."""
    rule = json.dumps({"cron": trigger.rule}) if trigger.kind == "timer" else trigger.rule
    return {
        "TriggerName": trigger.name, "Type": trigger.kind, "TriggerDesc": rule,
        "Enable": int(trigger.is_enabled), "Qualifier": trigger.qualifier,
        "CustomArgument": trigger.argument or None, "BindStatus": "on",
    }  # fmt: skip


def reply(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return GetFunction's reply for a function with these settings; variables in another order."""
    variables = params.get("Environment", {}).get("Variables", [])
    network = {"PublicNetStatus": "ENABLE", **params.get("PublicNetConfig", {}), "EipConfig": {}}
    return {
        "Description": "", "MemorySize": 128, "Timeout": 3, "InitTimeout": 65, "Role": None,
        "ClsLogsetId": "logset-1", "ClsTopicId": "topic-1", "Status": "Active", **params,
        "Environment": {"Variables": [each for each in reversed(variables) if each["Key"]]},
        "PublicNetConfig": network, "Triggers": [], "VpcConfig": {"VpcId": "", "SubnetId": ""},
    }  # fmt: skip


def after(current: Current, call: Call) -> Current:  # noqa: C901, PLR0911, PLR0912 - a table
    """Return what an account has after a call."""
    params: dict[str, Any] = json.loads(json.dumps(dict(call.params)))
    function = dict(current.function or {})
    if call.service == "scf":
        assert {"FunctionName": NAME, "Namespace": "default"}.items() <= params.items()
    match call.action:
        case "CreateRole" | "UpdateAssumeRolePolicy":
            assert (current.trust is None) == (call.action == "CreateRole")
            return replace(current, trust=json.loads(params["PolicyDocument"]))
        case "CreatePolicy" | "UpdatePolicy":
            assert (current.policy is None) == (call.action == "CreatePolicy")
            return replace(current, policy=json.loads(params["PolicyDocument"]), policy_id=7)
        case "AttachRolePolicy":
            assert current.trust
            assert current.policy
            return replace(current, attached=(*current.attached, params["PolicyName"]))
        case "DetachRolePolicy":
            return replace(current, attached=(), uses=0)
        case "DeleteRole":
            assert not current.attached
            return replace(current, trust=None)
        case "DeletePolicy":
            assert params["PolicyId"] == [current.policy_id]
            return replace(current, policy=None)
        case "PutBucket":
            assert params["ACL"] == "private"
            return replace(current, buckets={**current.buckets, params["Bucket"]: (True, False)})
        case "PutBucketACL":
            _, versions = current.buckets[params["Bucket"]]
            return replace(current, buckets={**current.buckets, params["Bucket"]: (True, versions)})
        case "PutBucketVersioning":
            is_private, _ = current.buckets[params["Bucket"]]
            buckets = {**current.buckets, params["Bucket"]: (is_private, True)}
            return replace(current, buckets=buckets)
        case "CreateFunction":
            assert not function
            assert current.trust  # else SCF refuses the run role
            delivery = {"MsgTTL": 21600, "RetryConfig": [{"RetryNum": 2}, {"RetryNum": -1}]}
            return replace(current, function=reply(params), code=None, delivery=delivery)
        case "DeleteFunction":
            return replace(current, function=None, triggers=(), delivery={}, reserved_mb=None)
    assert function.get("Status") == "Active"
    match call.action:
        case "UpdateFunctionCode":
            assert params["ZipFile"] == "bmV3"
            return replace(current, code=None, function={**function, "Handler": params["Handler"]})
        case "UpdateFunctionConfiguration":
            assert not {"Type", "Runtime", "Handler", "AutoCreateClsTopic"} & params.keys()
            kept = {"ClsTopicId": None, "ClsLogsetId": None}
            return replace(current, function=reply({**function, **kept, **params}))
        case "UpdateFunctionEventInvokeConfig":
            return replace(current, delivery=params["AsyncTriggerConfig"])
        case "PutReservedConcurrencyConfig":
            return replace(current, reserved_mb=params["ReservedConcurrencyMem"])
    return replace(current, triggers=(*triggers_after(current, call.action, params),))


def triggers_after(current: Current, action: str, params: Mapping[str, Any]) -> list[Trigger]:
    """Return the triggers after a call for one; a COS trigger needs its whole rule to be found."""
    switch = 1 if params.get("Enable") == "OPEN" else 0
    one = Trigger.from_reply({**params, "Enable": switch})
    key = (one.kind, one.name, one.rule if one.kind == "cos" else "")
    others = [
        each
        for each in current.triggers
        if key != (each.kind, each.name, each.rule if each.kind == "cos" else "")
    ]
    found = len(others) < len(current.triggers)
    if action == "DeleteTrigger":
        assert found
        return others
    if action == "CreateTrigger":
        assert not found
    else:
        (old,) = {*current.triggers} - {*others}
        assert old.qualifier == one.qualifier
        assert action == ("UpdateTrigger" if one.kind == "timer" else "UpdateTriggerStatus")
    return [*others, one]


def carried_out(current: Current, calls: Iterable[Call]) -> Current:
    """Return what an account has after calls."""
    for call in calls:
        current = after(current, call)
    return current


HAS = Current(
    trust=TRUST,
    attached=(ROLE,),
    policy=POLICY,
    policy_id=7,
    uses=1,
    buckets={BUCKET: (True, True)},
    function=reply({"FunctionName": NAME, **SETTINGS}),
    triggers=tuple(Trigger.from_reply(described(each)) for each in reversed(WANTED.triggers)),
    delivery={"MsgTTL": 21600, "RetryConfig": [{"RetryNum": 2}, {"RetryNum": -1}]},
    reserved_mb=256,
)
"""What an account has to which WANTED is deployed."""


def actions(plan: Plan) -> list[str]:
    """Return the calls of a plan by their names; of those for a limit, with the limit."""
    return [
        f"Reserve {call.params['ReservedConcurrencyMem']}"
        if call.action == "PutReservedConcurrencyConfig"
        else call.action
        for call in plan.calls
    ]


# --- Each difference ---


@dataclass(frozen=True)
class Difference:
    """What an account has instead, and what the plan must say and do."""

    has: Callable[[Current], Current]
    lines: tuple[Line, ...]
    calls: tuple[str, ...]


def function(**members: object) -> Callable[[Current], Current]:
    """Return how an account is whose function has other settings."""
    return lambda current: replace(current, function={**(current.function or {}), **members})


def with_variables(**variables: str) -> Callable[[Current], Current]:
    """Return how an account is whose function has other variables."""
    pairs = [{"Key": key, "Value": each} for key, each in variables.items()]
    return function(Environment={"Variables": pairs})


def account(**fields: Any) -> Callable[[Current], Current]:  # noqa: ANN401 - the fields of Current
    """Return how an account is in which something else differs."""
    return lambda current: replace(current, **fields)


def trigger(old: Trigger, *new: Trigger) -> Callable[[Current], Current]:
    """Return how an account is that has other triggers in the place of one."""
    return lambda current: replace(
        current, triggers=(*(each for each in current.triggers if each != old), *new)
    )


COS_IS, MORE_IS, TIMER_IS = (
    f"trigger {name}" for name in (f"cos {BUCKET}",) * 2 + ("timer nightly",)
)
SETS, CODE = ("UpdateFunctionConfiguration",), ("UpdateFunctionCode",)
DELIVERS, AGAIN = ("UpdateFunctionEventInvokeConfig",), ("DeleteTrigger", "CreateTrigger")
LOST = "what happens in between starts nothing"
LESS = {**POLICY, "statement": POLICY["statement"][:1]}

DIFFERENCES: dict[str, Difference] = {
    "memory": Difference(function(MemorySize=256),
        (Line(CHANGE, "memory", "256 MB", "128 MB"),), SETS),
    "time limit": Difference(function(Timeout=3),
        (Line(CHANGE, "time limit", "3 s", "900 s"),), SETS),
    "init time limit": Difference(function(InitTimeout=65),
        (Line(CHANGE, "init time limit", "65 s", "10 s"),), SETS),
    "description": Difference(function(Description=None),
        (Line(CHANGE, "description", "none", "does it"),), SETS),
    "run role": Difference(function(Role=""),
        (Line(CHANGE, "run role", "none", ROLE),), SETS),
    "network": Difference(function(PublicNetConfig={"PublicNetStatus": "DISABLE"}),
        (Line(CHANGE, "public network", "DISABLE", "ENABLE"),), SETS),
    "variable": Difference(with_variables(**{**VARIABLES, "MODE": "slow"}),
        (Line(CHANGE, "environment MODE", "slow", "fast"),), SETS),
    "new variable": Difference(with_variables(API_TOKEN=SECRET),
        (Line(CREATE, "environment MODE", "", "fast"),), SETS),
    "old variable": Difference(with_variables(**VARIABLES, OLD="x"),
        (Line(DELETE, "environment OLD", "x", ""),), SETS),
    "secret variable": Difference(with_variables(**{**VARIABLES, "API_TOKEN": "other"}),
        (Line(CHANGE, "environment API_TOKEN", "(hidden)", "(hidden)"),), SETS),
    "handler": Difference(function(Handler="main.index"),
        (Line(CHANGE, "handler", "main.index", "index.main"),), CODE),
    "retries": Difference(account(delivery={"MsgTTL": 21600, "RetryConfig": [{"RetryNum": 0}]}),
        (Line(CHANGE, "retries", "0", "2"),), DELIVERS),
    "event age": Difference(account(delivery={"MsgTTL": 60, "RetryConfig": [{"RetryNum": 2}]}),
        (Line(CHANGE, "event age", "60 s", "21600 s"),), DELIVERS),
    "limit": Difference(account(reserved_mb=512),
        (Line(CHANGE, "concurrency", "512 MB", "256 MB"),), ("Reserve 256",)),
    "no limit": Difference(account(reserved_mb=None),
        (Line(CREATE, "concurrency", "", "256 MB"),), ("Reserve 256",)),
    "stopped": Difference(account(reserved_mb=0),
        (Line(CHANGE, "concurrency", "0 MB: it does not run", "256 MB", "starts it again"),),
        ("Reserve 256",)),
    "trust": Difference(account(trust={**TRUST, "statement": []}),
        (Line(CHANGE, "trust policy", "", "scf.qcloud.com"),), ("UpdateAssumeRolePolicy",)),
    "policy": Difference(account(policy=LESS),
        (Line(CHANGE, f"policy {ROLE}", "", "cvm:DescribeImages on *"),),
        ("UpdatePolicy",)),
    "no policy": Difference(account(policy=None, attached=()),
        (Line(CREATE, f"policy {ROLE}", "", "cos:GetObject, cvm:DescribeImages"),
         Line(CREATE, "attachment", "", f"of the policy {ROLE} to the role {ROLE}")),
        ("CreatePolicy", "AttachRolePolicy")),
    "attachment": Difference(account(attached=()),
        (Line(CREATE, "attachment", "", f"of the policy {ROLE} to the role {ROLE}"),),
        ("AttachRolePolicy",)),
    "public bucket": Difference(account(buckets={BUCKET: (False, True)}),
        (Line(CHANGE, f"bucket {BUCKET}", "open to others, versions on", "private, versions on"),),
        ("PutBucketACL",)),
    "versions": Difference(account(buckets={BUCKET: (True, False)}),
        (Line(CHANGE, f"bucket {BUCKET}", "private, versions off", "private, versions on"),),
        ("PutBucketVersioning",)),
    "no bucket": Difference(account(buckets={}),
        (Line(CREATE, f"bucket {BUCKET}", "", "private, versions on"),),
        ("PutBucket", "PutBucketVersioning")),
    "COS rule": Difference(trigger(COS, replace(COS, rule=cos_rule(EVENT, "old/", ".json"))),
        (Line(REPLACE, COS_IS, "prefix old/", "prefix in/", LOST),), AGAIN),
    "COS switch": Difference(trigger(COS, replace(COS, is_enabled=False)),
        (Line(CHANGE, COS_IS, "off", "on"),), ("UpdateTriggerStatus",)),
    "COS qualifier": Difference(trigger(COS, replace(COS, qualifier="$LATEST")),
        (Line(REPLACE, COS_IS, "qualifier $LATEST", "qualifier $DEFAULT", LOST),), AGAIN),
    "no COS trigger": Difference(trigger(COS),
        (Line(CREATE, COS_IS, "", f"event {EVENT}, prefix in/, suffix .json, "
              "qualifier $DEFAULT, on"),), ("CreateTrigger",)),
    "old COS trigger": Difference(
        trigger(COS, COS, replace(COS, rule=cos_rule(EVENT, "old/", ""))),
        (Line(DELETE, COS_IS, f"event {EVENT}, prefix old/, suffix none, "
              "qualifier $DEFAULT, on", ""),), ("DeleteTrigger",)),
    "cron": Difference(trigger(TIMER, replace(TIMER, rule="0 0 4 * * * *")),
        (Line(CHANGE, TIMER_IS, "cron 0 0 4 * * * *", "cron 0 17 3 * * * *"),),
        ("UpdateTrigger",)),
    "argument": Difference(trigger(TIMER, replace(TIMER, argument="")),
        (Line(CHANGE, TIMER_IS, "argument none", "argument now"),), ("UpdateTrigger",)),
    "timer switch": Difference(trigger(TIMER, replace(TIMER, is_enabled=False)),
        (Line(CHANGE, TIMER_IS, "off", "on"),), ("UpdateTrigger",)),
    "timer qualifier": Difference(trigger(TIMER, replace(TIMER, qualifier="$LATEST")),
        (Line(REPLACE, TIMER_IS, "qualifier $LATEST", "qualifier $DEFAULT", LOST),), AGAIN),
    "no timer": Difference(trigger(TIMER),
        (Line(CREATE, TIMER_IS, "", "cron 0 17 3 * * * *, argument now, qualifier $DEFAULT, on"),),
        ("CreateTrigger",)),
    "old timer": Difference(trigger(TIMER, TIMER, replace(TIMER, name="old", argument="")),
        (Line(DELETE, "trigger timer old",
              "cron 0 17 3 * * * *, argument none, qualifier $DEFAULT, on", ""),),
        ("DeleteTrigger",)),
}  # fmt: skip
"""By name: what differs, its lines, and its calls."""

SLOTS = {
    **dict.fromkeys(("variable", "new variable", "old variable", "secret variable"), "variables"),
    **dict.fromkeys(("retries", "event age"), "delivery"),
    **dict.fromkeys(("limit", "no limit", "stopped"), "limit"),
    **dict.fromkeys(("policy", "no policy", "attachment"), "policy"),
    **dict.fromkeys(("public bucket", "versions", "no bucket"), "bucket"),
    **dict.fromkeys((name for name in DIFFERENCES if "COS" in name), "COS"),
    **dict.fromkeys((name for name in DIFFERENCES if "timer" in name), "timer"),
    **dict.fromkeys(("cron", "argument"), "timer"),
}
"""Differences of a slot cannot be had at once."""


def test_as_wanted() -> None:
    """What is deployed as wanted needs no call, however the API writes it."""
    plan = planning.changes(WANTED, HAS)
    assert (plan.calls, plan.changes) == ((), [])
    assert Line(SAME, "log topic", new="topic-1") in plan.lines


@pytest.mark.parametrize("name", DIFFERENCES)
def test_difference(name: str) -> None:
    """A single difference is exactly its line and its calls."""
    different = DIFFERENCES[name]
    plan = planning.changes(WANTED, different.has(HAS))
    assert tuple(plan.changes) == different.lines
    assert tuple(actions(plan)) == different.calls


def test_code() -> None:
    """Other code is one call; the line has both hashes, and says how much differs."""
    old = Code(b"old")
    with pytest.MonkeyPatch.context() as patch:
        for files, note in ((["a.py"], "a.py differs"), (["a.py", "b.py"], "2 files differ")):
            patch.setattr(Code, "changed_files", lambda *_, files=files: files)
            plan = planning.changes(WANTED, replace(HAS, code=old))
            hashes = (old.sha256[:12], WANTED.code.sha256[:12])
            assert plan.changes == [Line(CHANGE, "code", *hashes, note)]
            assert actions(plan) == ["UpdateFunctionCode"]


ORDER = (
    "Reserve 0", "CreateRole", "UpdateAssumeRolePolicy", "CreatePolicy", "UpdatePolicy",
    "AttachRolePolicy", "PutBucket", "PutBucketACL", "PutBucketVersioning", "DeleteTrigger",
    "CreateFunction", "UpdateFunctionCode", "UpdateFunctionConfiguration",
    "UpdateFunctionEventInvokeConfig", "CreateTrigger", "Reserve 256",
)  # fmt: skip
"""The order of the calls if all of them are needed."""
SOME = st.lists(st.sampled_from(sorted(DIFFERENCES)), unique_by=lambda name: SLOTS.get(name, name))


def drifted(names: Iterable[str]) -> Current:
    """Return an account with several differences."""
    current = HAS
    for name in names:
        current = DIFFERENCES[name].has(current)
    return current


@given(SOME)
def test_differences(names: list[str]) -> None:
    """Several differences give the union of their lines and calls, and at most a stop besides."""
    plan = planning.changes(WANTED, drifted(names))
    assert {*plan.changes} == {line for name in names for line in DIFFERENCES[name].lines}
    calls = {call for name in names for call in DIFFERENCES[name].calls}
    assert {*actions(plan)} - {"Reserve 0", "Reserve 256"} == calls - {"Reserve 256"}
    limits = [each for each in actions(plan) if each.startswith("Reserve")]
    assert limits in ([], ["Reserve 0", "Reserve 256"], ["Reserve 256"])
    assert limits or "Reserve 256" not in calls


@given(SOME)
def test_order(names: list[str]) -> None:
    """Triggers go before anything changes; they come after rights, function and retries."""
    made = actions(planning.changes(WANTED, drifted(names)))
    ranks = [
        ORDER.index(each)
        for each in made
        if each in ORDER and not (each == "DeleteTrigger" and "CreateTrigger" in made)
    ]
    if "Reserve 0" not in made and "Reserve 256" in made:  # before a trigger, not after it
        ranks.remove(ORDER.index("Reserve 256"))
    assert ranks == sorted(ranks)


@given(SOME | st.none(), st.integers(0, 30))
def test_any_account_becomes_as_wanted(names: list[str] | None, interrupted: int) -> None:
    """From an empty or drifted account, and interrupted after any call, the end is the same.

    Where triggers come, the limit is set, or events wait, and the retries are set.
    """
    current = Current() if names is None else drifted(names)
    for call in planning.changes(WANTED, current).calls[:interrupted]:
        current = after(current, call)
    for call in planning.changes(WANTED, current).calls:
        if call.action == "CreateTrigger":
            assert current.reserved_mb in {0, 256}
            assert not planning.changes(replace(WANTED, triggers=(), reserved_mb=None),
                                        replace(current, triggers=())).calls  # fmt: skip
        current = after(current, call)
    left = planning.changes(WANTED, current)
    assert (left.calls, left.changes) == ((), [])
    assert current.reserved_mb == 256


# --- Several changes at once ---

TOGETHER: list[tuple[str, tuple[str, ...], list[str]]] = [
    ("two settings are one call, so that nothing has to wait", ("memory", "time limit"),
     ["UpdateFunctionConfiguration"]),
    ("code and settings change, so events wait", ("handler", "memory"),
     ["Reserve 0", "UpdateFunctionCode", "UpdateFunctionConfiguration", "Reserve 256"]),
    ("rights and code change, so events wait", ("policy", "handler"),
     ["Reserve 0", "UpdatePolicy", "UpdateFunctionCode", "Reserve 256"]),
    ("a trigger and code change, so events wait", ("handler", "COS rule"),
     ["Reserve 0", "UpdateFunctionCode", "DeleteTrigger", "CreateTrigger", "Reserve 256"]),
    ("they wait already, so only the end starts them", ("handler", "memory", "stopped"),
     ["UpdateFunctionCode", "UpdateFunctionConfiguration", "Reserve 256"]),
    ("the wrong limit is lifted only by the stop", ("handler", "memory", "limit"),
     ["Reserve 0", "UpdateFunctionCode", "UpdateFunctionConfiguration", "Reserve 256"]),
    ("a trigger that goes is deleted before the code changes", ("handler", "old timer"),
     ["Reserve 0", "DeleteTrigger", "UpdateFunctionCode", "Reserve 256"]),
    ("the limit stands before a trigger comes", ("no limit", "no timer"),
     ["Reserve 256", "CreateTrigger"]),
    ("retries stand before a trigger comes", ("retries", "no timer"),
     ["UpdateFunctionEventInvokeConfig", "CreateTrigger"]),
]  # fmt: skip


@pytest.mark.parametrize(("says", "names", "expected"), TOGETHER)
def test_together(says: str, names: tuple[str, ...], expected: list[str]) -> None:
    """What changes together is done in an order in which no event meets a half-made function."""
    assert actions(planning.changes(WANTED, drifted(names))) == expected, says


def test_nothing_waits_without_a_limit() -> None:
    """A function whose file has no limit, or 0, is never stopped: nothing would start it again."""
    for limit in (None, 0):
        wanted = replace(WANTED, reserved_mb=limit)
        current = replace(drifted(("handler", "memory")), reserved_mb=limit)
        expected = ["UpdateFunctionCode", "UpdateFunctionConfiguration"]
        assert actions(planning.changes(wanted, current)) == expected


def test_untouched_account() -> None:
    """All is created, in the documented order: rights, bucket, function, limits, triggers."""
    plan = planning.changes(WANTED, Current())
    assert {line.verb for line in plan.lines} == {CREATE}
    assert actions(plan) == [
        "CreateRole", "CreatePolicy", "AttachRolePolicy", "PutBucket", "PutBucketVersioning",
        "CreateFunction", "UpdateFunctionEventInvokeConfig", "Reserve 256",
        "CreateTrigger", "CreateTrigger", "CreateTrigger",
    ]  # fmt: skip
    assert Line(CREATE, "log topic", new="one that SCF makes") in plan.lines


def test_what_the_file_does_not_name() -> None:
    """What a file says nothing about is left as it is, whatever the account has."""
    settings = {name: SETTINGS[name] for name in ("Type", "Runtime", "Handler")}
    least = replace(WANTED, settings=settings, policy=None, delivery=None, reserved_mb=None)
    names = ("memory", "description", "variable", "run role", "retries", "limit", "policy")
    assert planning.changes(least, drifted(names)).calls == ()


def test_no_variables() -> None:
    """An empty environment removes all variables, as Terraform does it; then nothing is left."""
    wanted = replace(WANTED, settings={**SETTINGS, "Environment": {"Variables": []}})
    plan = planning.changes(wanted, HAS)
    assert [line.verb for line in plan.changes] == [DELETE, DELETE]
    (call,) = plan.calls
    assert call.params["Environment"] == {"Variables": [{"Key": "", "Value": ""}]}
    assert planning.changes(wanted, carried_out(HAS, plan.calls)).calls == ()


def test_log_topic() -> None:
    """The topic that SCF made is kept by updates; one that the file names takes its place."""
    (call,) = planning.changes(WANTED, drifted(["memory"])).calls
    assert (call.params["ClsLogsetId"], call.params["ClsTopicId"]) == ("logset-1", "topic-1")
    named = {"ClsLogsetId": "logset-2", "ClsTopicId": "topic-2"}
    plan = planning.changes(replace(WANTED, settings={**SETTINGS, **named}), HAS)
    assert plan.changes == [
        Line(CHANGE, "logset", "logset-1", "logset-2"),
        Line(CHANGE, "log topic", "topic-1", "topic-2"),
    ]
    (call,) = plan.calls
    assert named.items() <= call.params.items()
    lines = planning.changes(WANTED, function(ClsTopicId="")(HAS)).lines
    note = "no log is stored; SCF makes a topic only with a new function"
    assert Line(SAME, "log topic", new="none", note=note) in lines


# --- Policies ---

EQUAL: list[tuple[str, object]] = [
    ("order of statements", {**POLICY, "statement": POLICY["statement"][::-1]}),
    ("order of resources", {**POLICY, "statement": [
        {**POLICY["statement"][0], "resource": ["more/*", "in/*"]}, POLICY["statement"][1]]}),
    ("one instead of a list of one", {**POLICY, "statement": [
        {**each, "action": each["action"][0]} for each in POLICY["statement"]]}),
    ("order of members", {"statement": [
        dict(reversed(each.items())) for each in POLICY["statement"]], "version": "2.0"}),
    ("order of members of one", {**POLICY, "statement": [
        dict(reversed(POLICY["statement"][0].items())), POLICY["statement"][1]]}),
]  # fmt: skip


@pytest.mark.parametrize(("says", "policy"), EQUAL)
def test_policy_that_means_the_same(says: str, policy: object) -> None:
    """A policy that means the same is the same, so that a second deployment finds nothing to do."""
    assert planning.changes(WANTED, replace(HAS, policy=policy)).calls == (), says


def test_policy_that_is_no_json() -> None:
    """A policy that nobody can read is replaced."""
    plan = planning.changes(WANTED, replace(HAS, policy="?", trust="?"))
    assert actions(plan) == ["UpdateAssumeRolePolicy", "UpdatePolicy"]


@pytest.mark.parametrize(
    "policy", [{"version": "2.0"}, {"statement": [{}, "?"]}, {"statement": {}}]
)
def test_policy_of_another_form(policy: object) -> None:
    """A policy without what a statement must have is replaced, like any other."""
    plan = planning.changes(WANTED, replace(HAS, policy=policy, trust=policy))
    assert actions(plan) == ["UpdateAssumeRolePolicy", "UpdatePolicy"]
    assert planning.removal(WANTED, replace(HAS, policy=policy)).calls


def test_policies_are_compared_by_type() -> None:
    """True and 1 are not the same, although Python says so."""
    statement = POLICY["statement"][0]
    true, one = (
        {**POLICY, "statement": [{**statement, "condition": {"x": {"y": each}}}]}
        for each in (True, 1)
    )
    assert actions(planning.changes(replace(WANTED, policy=true), replace(HAS, policy=one)))


def test_who_may_assume_the_role() -> None:
    """The line of a trust policy names all that may assume the role."""
    uins = ["qcs::cam::uin/1:root", "qcs::cam::uin/2:root"]
    other = {"effect": "allow", "action": "name/sts:AssumeRole", "principal": {"qcs": uins}}
    trust = {"version": "2.0", "statement": [*TRUST["statement"], other]}
    (line,) = planning.changes(WANTED, replace(HAS, trust=trust)).changes
    assert line.old == "scf.qcloud.com, qcs::cam::uin/1:root, qcs::cam::uin/2:root"


def test_what_stops_meanwhile() -> None:
    """If the function is stopped while several things change, its line says so."""
    plan = planning.changes(WANTED, drifted(["memory", "handler"]))
    assert actions(plan)[0] == "Reserve 0"
    (line,) = (each for each in plan.lines if each.what == f"function {NAME}")
    assert line.note == "0 MB meanwhile: it does not run"
    assert not any("meanwhile" in each.note for each in planning.changes(WANTED, HAS).lines)


@pytest.mark.parametrize("limit", [None, 0])
def test_stopped_function(limit: int | None) -> None:
    """A plan that leaves a stopped function stopped says so, also if the file has no limit."""
    plan = planning.changes(replace(WANTED, reserved_mb=limit), replace(HAS, reserved_mb=0))
    (line,) = (each for each in plan.lines if each.what == f"function {NAME}")
    assert (line.verb, line.note, plan.calls) == (SAME, "stopped: it has 0 MB", ())


def test_delivery_that_the_file_does_not_name() -> None:
    """Of retries and age, what the file does not name is sent as it is."""
    (call,) = planning.changes(
        replace(WANTED, delivery={"RetryConfig": [{"RetryNum": 0}]}), HAS
    ).calls
    assert call.params["AsyncTriggerConfig"] == {"MsgTTL": 21600, "RetryConfig": [{"RetryNum": 0}]}
    (call,) = planning.changes(replace(WANTED, delivery={"MsgTTL": 60}), HAS).calls
    assert call.params["AsyncTriggerConfig"] == {"MsgTTL": 60, "RetryConfig": [{"RetryNum": 2}]}


RIGHTS: list[tuple[list[dict[str, Any]], str, str]] = [
    ([{"effect": "deny", "action": "name/cos:*", "resource": "*"}],
     "deny cos:* on *", "cvm:DescribeImages on *"),
    ([{**POLICY["statement"][1], "condition": {"ip_equal": {"qcs:ip": "10.0.0.0/8"}}}],
     'cvm:DescribeImages on * if {"ip_equal": {"qcs:ip": "10.0.0.0/8"}}',
     "cvm:DescribeImages on *"),
    ([*POLICY["statement"]], "cos:GetObject, cvm:DescribeImages",
     "cos:GetObject, cvm:DescribeImages"),
]  # fmt: skip
"""More statements of a policy, and the texts before and after."""


@pytest.mark.parametrize(("more", "old", "new"), RIGHTS)
def test_rights_that_come_and_go(more: list[dict[str, Any]], old: str, new: str) -> None:
    """Of a policy that changes, the line has what is allowed no more, and what is new."""
    policy = {**POLICY, "statement": [POLICY["statement"][0], *more]}
    (line,) = planning.changes(WANTED, replace(HAS, policy=policy)).changes
    assert (line.old, line.new) == (old, new)


def test_role_of_others() -> None:
    """A role whose policy the file does not have stays as it is; without one, nothing is done."""
    other = replace(WANTED, policy=None)
    assert planning.changes(other, replace(HAS, policy=None, attached=("x",))).calls == ()
    with pytest.raises(CannotChange, match=f"there is no role {ROLE}: create it, or put"):
        planning.changes(other, Current())


def test_role_with_other_policies() -> None:
    """A plan names the other policies of a role."""
    plan = planning.changes(WANTED, replace(HAS, attached=("admin", ROLE)))
    (line,) = (line for line in plan.lines if line.what == f"role {ROLE}")
    assert (line.verb, line.note, plan.calls) == (SAME, "also has admin", ())


# --- Triggers ---


def test_rules_change_places() -> None:
    """All rules that go are deleted before one comes, since it may overlap one of those."""
    old = [replace(COS, rule=cos_rule(EVENT, each, "")) for each in ("in/", "in")]
    current = replace(HAS, triggers=(*old, TIMER))
    made = actions(planning.changes(WANTED, current))
    assert made == ["DeleteTrigger", "DeleteTrigger", "CreateTrigger", "CreateTrigger"]


def test_disabled_trigger() -> None:
    """A trigger that the file has off is created off, and one that is on is turned off."""
    off = replace(WANTED, triggers=(replace(COS, is_enabled=False),))
    (call,) = planning.changes(off, replace(HAS, triggers=())).calls
    assert (call.action, call.params["Enable"]) == ("CreateTrigger", "CLOSE")
    (call,) = planning.changes(off, replace(HAS, triggers=(COS,))).calls
    assert (call.action, call.params["Enable"]) == ("UpdateTriggerStatus", "CLOSE")
    assert call.params["TriggerDesc"] == COS.rule


REPLIES: list[tuple[Trigger, dict[str, Any]]] = [
    (TIMER, {"TriggerDesc": '{"cron": "0 17 3 * * * *"}'}),
    (TIMER, {"TriggerDesc": "0 17 3 * * * *"}),
    (TIMER, {"Enable": "1"}),
    (TIMER, {"Enable": "OPEN", "Description": "ours", "AvailableStatus": "Available"}),
    (replace(TIMER, is_enabled=False), {"Enable": 0}),
    (replace(TIMER, is_enabled=False), {"Enable": "CLOSE"}),
    (replace(TIMER, argument=""), {"CustomArgument": None}),
    (replace(TIMER, argument=""), {"CustomArgument": ""}),
    (replace(TIMER, qualifier="$LATEST"), {"Qualifier": None}),
    (COS, {"CustomArgument": "x"}),
    (COS, {"TriggerDesc": json.dumps({"filter": {"Suffix": ".json", "Prefix": "in/"},
                                      "event": EVENT})}),
    (replace(COS, rule=cos_rule(EVENT, "", "")), {"TriggerDesc": json.dumps({"event": EVENT})}),
    (replace(COS, rule=cos_rule(EVENT, "", "")),
     {"TriggerDesc": json.dumps({"event": EVENT, "filter": {"Prefix": ""}})}),
]  # fmt: skip
"""Triggers, and how ListTriggers may write some of their members."""


@pytest.mark.parametrize(("expected", "given"), REPLIES)
def test_trigger_as_read(expected: Trigger, given: dict[str, Any]) -> None:
    """A trigger is the same however the API writes its rule, its switch and what it has not."""
    assert Trigger.from_reply({**described(expected), **given}) == expected


def test_triggers_of_other_kinds() -> None:
    """A trigger of a kind that is not managed stays, and the plan names it."""
    plan = planning.changes(WANTED, replace(HAS, others=("ckafka orders",)))
    assert Line(SAME, "trigger ckafka orders", note="not managed") in plan.lines
    assert plan.calls == ()


# --- What cannot be changed ---

FIXED: list[tuple[Callable[[Current], Current], str]] = [
    (function(Runtime="Python3.10"), "app has Runtime Python3.10, which SCF cannot change"),
    (function(Type="HTTP"), "app has Type HTTP, which SCF cannot change"),
    (function(Type="HTTP", Runtime="Go1"), "app has Type HTTP and Runtime Go1, which"),
    (account(function=None, namespace="prod"), "app has Namespace prod, which SCF cannot change"),
]


@pytest.mark.parametrize(("has", "message"), FIXED)
def test_what_cannot_change(has: Callable[[Current], Current], message: str) -> None:
    """Runtime, type and namespace are refused before any call, with the two ways there are."""
    with pytest.raises(CannotChange) as caught:
        planning.changes(WANTED, has(HAS))
    assert str(caught.value).startswith(message)
    for way in ("another name in the file", "`scf-deploy destroy`, and deploy again"):
        assert way in str(caught.value)


def test_type_that_is_not_named() -> None:
    """A function that has no type, as old ones, is an event function."""
    for kind in ("", None):
        assert planning.changes(WANTED, function(Type=kind)(HAS)).calls == ()


def test_function_that_failed() -> None:
    """A function that could not be created is deleted and created, even with another runtime."""
    reasons = [{"ErrorCode": "InvalidParameterValue.Runtime", "ErrorMessage": "unknown"}]
    failed = function(Status="CreateFailed", Runtime="Python3.12", StatusReasons=reasons)(HAS)
    failed = replace(failed, triggers=(), reserved_mb=None)
    plan = planning.changes(WANTED, failed)
    (line,) = (line for line in plan.lines if line.what == f"function {NAME}")
    note = "InvalidParameterValue.Runtime: unknown"
    assert line == Line(REPLACE, f"function {NAME}", "", "Event, Python3.13", note)
    assert actions(plan)[:2] == ["DeleteFunction", "CreateFunction"]
    assert planning.changes(WANTED, carried_out(failed, plan.calls)).calls == ()


def test_update_that_failed() -> None:
    """A function whose update has failed gets its code again, though it reads back as wanted."""
    reasons = [{"ErrorCode": "InternalError", "ErrorMessage": "no disk"}]
    plan = planning.changes(WANTED, function(Status="UpdateFailed", StatusReasons=reasons)(HAS))
    (line,) = plan.changes
    assert (line.verb, line.what) == (CHANGE, "code")
    assert line.note == "UpdateFailed: InternalError: no disk"
    assert actions(plan) == ["UpdateFunctionCode"]


# --- Removal ---


def removed(current: Current, wanted: Deployment = WANTED) -> tuple[list[str], list[str]]:
    """Return what goes, by its calls, and what stays."""
    plan = planning.removal(wanted, current)
    assert {line.verb for line in plan.lines} <= {SAME, DELETE}
    return actions(plan), [f"{line.what}: {line.note}" for line in plan.lines if line.verb == SAME]


def test_removal() -> None:
    """Triggers go first, then the function, then its rights; the bucket stays, with its objects."""
    rights = ["DetachRolePolicy", "DeleteRole", "DeletePolicy"]
    made, kept = removed(HAS)
    assert made == [*["DeleteTrigger"] * 3, "DeleteFunction", *rights]
    assert kept == [f"bucket {BUCKET}: with its objects"]
    gone = carried_out(HAS, planning.removal(WANTED, HAS).calls)
    assert gone == replace(Current(), buckets=HAS.buckets, policy_id=7)
    assert removed(gone) == ([], kept)


@pytest.mark.parametrize("count", range(8))
def test_removal_goes_on(count: int) -> None:
    """Interrupted after any call, a removal goes on from there."""
    calls = planning.removal(WANTED, HAS).calls
    rest = planning.removal(WANTED, carried_out(HAS, calls[:count])).calls
    assert [call.action for call in rest] == [call.action for call in calls[count:]]


@pytest.mark.parametrize(
    ("has", "wanted"),
    [(account(attached=(ROLE, "admin")), WANTED), (account(uses=2), WANTED),
     (account(), replace(WANTED, policy=None))],
)  # fmt: skip
def test_removal_keeps_what_is_shared(
    has: Callable[[Current], Current], wanted: Deployment
) -> None:
    """A role or policy with other uses stays, and so does one that the file does not describe."""
    made, kept = removed(has(HAS), wanted)
    assert made == [*["DeleteTrigger"] * 3, "DeleteFunction"]
    rights = [f"{each}: it may have other uses" for each in
              ("attachment", f"role {ROLE}", f"policy {ROLE}")]  # fmt: skip
    assert kept == [*rights, f"bucket {BUCKET}: with its objects"]


@pytest.mark.parametrize(
    "has",
    [account(attached=(), uses=1), account(attached=(), uses=0, policy=LESS),
     account(attached=(), uses=0, trust={**TRUST, "statement": []})],
)  # fmt: skip
def test_removal_keeps_what_it_did_not_make(has: Callable[[Current], Current]) -> None:
    """What has the role's name stays if the role does not have it and it is used, or another's."""
    made, kept = removed(has(HAS))
    assert made == [*["DeleteTrigger"] * 3, "DeleteFunction"]
    assert kept[:-1] == [
        f"{each}: it may have other uses" for each in (f"role {ROLE}", f"policy {ROLE}")
    ]


def test_removal_of_what_is_not_managed() -> None:
    """Triggers of other kinds go with the function, and that is said."""
    plan = planning.removal(WANTED, replace(HAS, others=("ckafka orders",)))
    assert Line(DELETE, "trigger ckafka orders", note="with the function") in plan.lines
    (line,) = (each for each in plan.lines if each.what == f"role {ROLE}")
    assert line.note == "other functions that have it will fail"


# --- Secrets ---

SECRETS: list[tuple[str, str]] = [
    ("API_TOKEN", SECRET), ("DB_PASSWORD", SECRET), ("DB_PASS", SECRET), ("SECRET", SECRET),
    ("ACCESSKEY", SECRET), ("access_key_id", SECRET), ("WEBHOOK", SECRET), ("AUTH", SECRET),
    ("ID", f"AKID{SECRET.replace('-', '')}"), ("URL", f"https://u:{SECRET}@host/"),
    ("URL", f"https://host/?a=1&access_token={SECRET}"), ("URL", f"https://host/?sign={SECRET}"),
    ("PEM", f"-----BEGIN PRIVATE KEY-----\n{SECRET}"), ("JWT", f"eyJhbGciOiJI{SECRET}"),
    ("JSON", json.dumps({"password": SECRET})), ("URL", f"redis://:{SECRET}@host"),
    ("URL", f"https://{SECRET}@host/"), ("URL", f"https://host/?q-signature={SECRET}"),
    ("URL", f"mysql://u:a/{SECRET}@host"), ("API_KEY2", SECRET), ("MYPWD", SECRET),
    ("AUTHORIZATION", SECRET), ("SESSION_COOKIE", SECRET), ("PASSCODE", SECRET),
]  # fmt: skip
PLAIN = [("MODE", "fast"), ("URL", "https://host/path?a=1"), ("PREFIX", "requests/in/"),
         ("STEWARD_JOURNAL", "manifests-1250000000/journal/")]  # fmt: skip


@pytest.mark.parametrize(("key", "value"), SECRETS)
def test_secrets(key: str, value: str) -> None:
    """What looks like a secret is in no line, old or new, of a variable, an argument or a text."""
    argument = value if key in {"ID", "URL", "PEM", "JWT", "JSON"} else f'{{"{key}": "{value}"}}'
    hidden = {"Variables": [{"Key": key, "Value": value}]}
    settings = {**SETTINGS, "Environment": hidden, "Description": argument}
    timer = replace(TIMER, argument=argument)
    secret = replace(WANTED, settings=settings, triggers=(timer,))
    had = replace(HAS, function=reply({**settings, "FunctionName": NAME}), triggers=(timer,))
    for wanted, current in ((secret, Current()), (secret, HAS), (WANTED, had), (secret, had)):
        plan = planning.changes(wanted, current)
        assert SECRET.replace("-", "") not in repr(plan).replace("-", "")
        assert SECRET.replace("-", "") not in json.dumps(text.as_json(plan)).replace("-", "")
    assert (
        Line(CREATE, f"environment {key}", "", "(hidden)")
        in planning.changes(secret, Current()).lines
    )


@pytest.mark.parametrize(("key", "value"), PLAIN)
def test_what_is_no_secret(key: str, value: str) -> None:
    """What does not look like a secret can be read in the plan."""
    settings = {**SETTINGS, "Environment": {"Variables": [{"Key": key, "Value": value}]}}
    lines = planning.changes(replace(WANTED, settings=settings), Current()).lines
    assert Line(CREATE, f"environment {key}", "", value) in lines
