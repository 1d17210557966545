"""Plans a deployment, and its removal: pure, from what is wanted and what there is."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from scf_deploy import trigger_plan as triggers
from scf_deploy.call import Call
from scf_deploy.current import reasons
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import CannotChange
from scf_deploy.parts import Parts, current_parts, normal, wanted_parts
from scf_deploy.plan import CHANGE, CREATE, DELETE, REPLACE, SAME, Line, Plan
from scf_deploy.trigger import Trigger
from scf_local.cloud.cam import policies
from scf_local.cloud.wire import ErrorReply

_FIXED = ("Type", "Runtime")
_LOGS = ("ClsLogsetId", "ClsTopicId")


def changes(wanted: Deployment, current: Current) -> Plan:
    """Return what makes the account as wanted.

    The order is such that no event meets a half-made function: rights; triggers that go; the
    function, its retries and limit; triggers that come. If several of these change, events wait.

    Raises:
        CannotChange: SCF cannot, or there is neither a role nor a policy to make it with.
    """
    verbs, notes = {}, _notes(wanted, current)
    if current.function and current.function["Status"] == "CreateFailed":
        what = f"function {wanted.name}"
        verbs[what], notes[what] = REPLACE, reasons(current.function)
        current = replace(current, function=None, triggers=(), reserved_mb=None)
    _check(wanted, current)
    new, old = wanted_parts(wanted), current_parts(current, wanted)
    lines = [*_compared(old, new, has_variables="Environment" in wanted.settings)]
    changed = {(new.get(each.what) or old[each.what]).group for each in lines if each.verb != SAME}
    failed = current.function if (current.function or {}).get("Status") == "UpdateFailed" else None
    if failed and not changed & {"code", "settings"}:  # although it reads back as wanted
        verbs["code"], notes["code"] = CHANGE, f"UpdateFailed: {reasons(failed)}"
        changed.add("code")
    pairs = [*triggers.paired(wanted.triggers, current.triggers)]
    lines += [*_log_topic(wanted, current), *(triggers.line(*pair) for pair in pairs)]
    lines += [Line(SAME, f"trigger {each}", note="not managed") for each in current.others]
    rights, function = [*_rights(wanted, current, changed)], [*_function(wanted, current, changed)]
    gone = [triggers.delete(wanted, before) for before, after in pairs if before and not after]
    if REPLACE in verbs.values():  # it can only be deleted, and has no triggers
        gone.append(_deletion(wanted))
    come = [*triggers.calls(wanted, pairs)]
    waits = bool(rights) + len(function) + bool(gone or come) > 1
    before, between, after = _limits(wanted, current, waits=waits)
    calls = [*before, *rights, *_buckets(wanted, current), *gone, *function]
    if "delivery" in changed:
        kept = {k: v[:1] if isinstance(v, list) else v for k, v in current.delivery.items()}
        params = {**wanted.named, "AsyncTriggerConfig": {**kept, **(wanted.delivery or {})}}
        calls.append(Call("scf", "UpdateFunctionEventInvokeConfig", params, "sets the retries"))
    notes |= {f"function {wanted.name}": "0 MB meanwhile: it does not run"} if before else {}
    lines = [
        replace(
            each,
            verb=verbs.get(each.what, each.verb),
            note="; ".join(filter(None, (each.note, notes.get(each.what)))),
        )
        for each in lines
    ]
    return Plan(tuple(lines), (*calls, *between, *come, *after))


def updates(wanted: Deployment) -> list[Call]:
    """Return the calls that update the code and the settings of a function without a log topic."""
    return [*_function(wanted, Current(function={}), {"code", "settings"})]


def removal(wanted: Deployment, current: Current) -> Plan:
    """Return what removes a deployment; buckets stay with all objects, the journal among them.

    So do a role and a policy that have other uses, or that the file did not make: those that are
    neither attached to each other nor as in the file.
    """
    role = wanted.role
    own = [(str(each), triggers.delete(wanted, each)) for each in current.triggers]
    own += [(f"function {wanted.name}", _deletion(wanted))] * bool(current.function)
    named = {"DetachRoleName": role, "PolicyName": role}
    steps = (
        (role in current.attached, "attachment", "DetachRolePolicy", named),
        (current.trust, f"role {role}", "DeleteRole", {"RoleName": role}),
        (current.policy, f"policy {role}", "DeletePolicy", {"PolicyId": [current.policy_id]}),
    )
    rights = [
        (what, Call("cam", action, params, f"deletes the {what}"))
        for is_there, what, action, params in steps
        if is_there
    ]
    is_attached = role in current.attached  # not after an interruption, nor if others made them
    documents = ((current.trust, wanted.trust), (current.policy, wanted.policy))
    is_own = is_attached or all(normal(has or wants) == normal(wants) for has, wants in documents)
    is_alone = {*current.attached} <= {role} and current.uses <= is_attached
    goes = wanted.policy and is_own and is_alone
    own += rights if goes else []
    notes = {f"role {role}": "other functions that have it will fail"}
    lines = [Line(DELETE, what, note=notes.get(what, "")) for what, _ in own]
    lines += [Line(SAME, what, note="it may have other uses") for what, _ in rights if not goes]
    lines += [Line(DELETE, f"trigger {each}", note="with the function") for each in current.others]
    lines += [Line(SAME, f"bucket {name}", note="with its objects") for name in current.buckets]
    return Plan(tuple(lines), tuple(call for _, call in own))


def _check(wanted: Deployment, current: Current) -> None:
    if wanted.role and not wanted.policy and not current.trust:
        raise CannotChange(
            f"there is no role {wanted.role}: create it, or put its policy into deploy/policy.json "
            "beside the file; then it is created"
        )
    has, wants = current.function or {}, wanted.settings
    fixed = [f"{x} {has[x]}" for x in _FIXED if has.get(x) not in {wants[x], "", None}]
    fixed += [f"Namespace {current.namespace}"] if current.namespace else []
    if fixed:
        raise CannotChange(
            f"{wanted.name} has {' and '.join(fixed)}, which SCF cannot change. There are two "
            "ways. Give the function another name in the file, and deploy a second one; first "
            "remove the COS trigger of the old one, since rules of a bucket may not overlap. Or "
            "remove the old one with `scf-deploy destroy`, and deploy again; events that wait are "
            "lost. Either way, uploads between the two triggers start nothing"
        )


def _compared(old: Parts, new: Parts, *, has_variables: bool) -> Iterator[Line]:
    """Yield a line for each part, and for variables that the file does not have any more."""
    gone = [what for what in old if what.startswith("environment ") and what not in new]
    for what in (*new, *(gone if has_variables else ())):
        before, after = old.get(what), new.get(what)
        texts = [part.text if part else "" for part in (before, after)]
        verb = CREATE if not before else DELETE if not after else CHANGE
        if before and after and before.value == after.value:
            verb = SAME
        elif before and after and before.items:
            apart = [part.apart_from(other) for part, other in ((before, after), (after, before))]
            texts = apart if any(apart) else texts
        yield Line(verb, what, *texts)


def _log_topic(wanted: Deployment, current: Current) -> Iterator[Line]:
    """Yield the line of a topic that the file does not name."""
    topic = (current.function or {}).get("ClsTopicId")
    if not current.function:
        line = Line(CREATE, "log topic", new="one that SCF makes")
    elif topic:
        line = Line(SAME, "log topic", new=topic)
    else:
        note = "no log is stored; SCF makes a topic only with a new function"
        line = Line(SAME, "log topic", new="none", note=note)
    if "ClsTopicId" not in wanted.settings:
        yield line


def _notes(wanted: Deployment, current: Current) -> dict[str, str]:
    """Return what one should know besides, by the part."""
    notes = {}
    if others := ", ".join(each for each in current.attached if each != wanted.role):
        notes[f"role {wanted.role}"] = f"also has {others}"
    if current.code:
        files = current.code.changed_files(wanted.code)
        notes["code"] = f"{len(files):,} files differ" if len(files) > 1 else f"{files[0]} differs"
    if current.reserved_mb == 0:
        stopped = {f"function {wanted.name}": "stopped: it has 0 MB"}
        notes |= {"concurrency": "starts it again"} if wanted.reserved_mb else stopped
    for each in wanted.triggers:
        if each.kind == "cos" and wanted.policy and not _may_read(wanted, each):
            notes[str(each)] = "deploy/policy.json does not let the function read these objects"
    return notes


def _may_read(wanted: Deployment, trigger: Trigger) -> bool:
    """Whether the role may read what fires a trigger; true for a policy that has conditions."""
    path, appid = "x".join(trigger.keys), trigger.bucket.rpartition("-")[2]
    resource = f"qcs::cos:{wanted.region}:uid/{appid}:{trigger.bucket}/{path}"
    try:
        statements = policies.parse(json.dumps(wanted.policy))
    except ErrorReply:
        return True
    return policies.is_allowed(statements, "cos:GetObject", resource)


def _rights(wanted: Deployment, current: Current, changed: Collection[str]) -> Iterator[Call]:
    role, policy = wanted.role, {"PolicyName": wanted.role}
    trust, rights = (
        {"PolicyDocument": json.dumps(each, ensure_ascii=False)}
        for each in (wanted.trust, wanted.policy)
    )
    if "role" in changed:
        yield Call("cam", "CreateRole", {"RoleName": role, **trust}, f"creates the role {role}")
    elif "trust" in changed:
        params = {"RoleName": role, **trust}
        yield Call("cam", "UpdateAssumeRolePolicy", params, "updates the trust policy")
    if "policy" in changed:
        action = "UpdatePolicy" if current.policy else "CreatePolicy"
        yield Call("cam", action, {**policy, **rights}, f"writes the policy {role}")
    if "attachment" in changed:
        params = {**policy, "AttachRoleName": role}
        yield Call("cam", "AttachRolePolicy", params, f"attaches the policy {role}")


def _buckets(wanted: Deployment, current: Current) -> Iterator[Call]:
    for name in wanted.buckets:
        is_private, has_versions = current.buckets.get(name, (None, False))
        private = {"Bucket": name, "ACL": "private"}
        if is_private is None:
            yield Call("cos", "PutBucket", private, f"creates the bucket {name}")
        elif not is_private:
            yield Call("cos", "PutBucketACL", private, f"makes {name} private")
        if not has_versions:
            params = {"Bucket": name, "Status": "Enabled"}
            yield Call("cos", "PutBucketVersioning", params, f"turns on the versions of {name}")


def _function(wanted: Deployment, current: Current, changed: Collection[str]) -> Iterator[Call]:
    """Yield the calls that create the function, or update its code and its settings.

    The documents do not say that settings which are left out stay, so all are sent, and the log
    topic. To remove all variables, Terraform sends one without a name.
    """
    settings = dict(wanted.settings)
    zipped = {"ZipFile": base64.b64encode(wanted.code.content).decode()}
    if current.function is None:
        if "ClsTopicId" not in settings:
            settings |= dict.fromkeys(("AutoCreateClsTopic", "AutoDeployClsTopicIndex"), "TRUE")
        params: dict[str, Any] = {**wanted.named, **settings, "Code": zipped}
        yield Call("scf", "CreateFunction", params, f"creates the function {wanted.name}")
        return
    if "code" in changed:
        params = {**wanted.named, "Handler": settings["Handler"], **zipped}
        yield Call("scf", "UpdateFunctionCode", params, "updates the code")
    if "settings" in changed:
        kept = {name: topic for name in _LOGS if (topic := current.function.get(name))}
        if settings.get("Environment") == {"Variables": []}:
            settings["Environment"] = {"Variables": [{"Key": "", "Value": ""}]}
        sent = {name: each for name, each in settings.items() if name not in (*_FIXED, "Handler")}
        params = {**wanted.named, **kept, **sent}
        yield Call("scf", "UpdateFunctionConfiguration", params, "updates the settings")


def _limits(wanted: Deployment, current: Current, *, waits: bool) -> tuple[list[Call], ...]:
    """Return calls to stop the function before it changes, to limit it, and to start it at last.

    It is only stopped if the file has its limit: then an interrupted deployment starts it again.
    """
    if wanted.reserved_mb is None:
        return [], [], []
    stop, limit = (
        Call("scf", "PutReservedConcurrencyConfig",
             {**wanted.named, "ReservedConcurrencyMem": megabytes}, says)
        for megabytes, says in ((0, "stops the function, so that events wait"),
                                (wanted.reserved_mb, f"reserves {wanted.reserved_mb} MB"))
    )  # fmt: skip
    is_stopped = current.reserved_mb == 0
    if current.function and waits and wanted.reserved_mb:
        return [stop] * (not is_stopped), [], [limit]
    calls = [limit] if current.reserved_mb != wanted.reserved_mb else []
    return ([], [], calls) if is_stopped else ([], calls, [])


def _deletion(wanted: Deployment) -> Call:
    return Call("scf", "DeleteFunction", wanted.named, f"deletes the function {wanted.name}")
