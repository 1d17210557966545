"""A plan: what becomes of each part of a deployment, and the calls that do it. Pure."""

from __future__ import annotations

import base64
import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

from scf_deploy.call import Call
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import CannotChange
from scf_deploy.parts import ACCOUNT, Parts, current_parts, masked, wanted_parts
from scf_deploy.trigger import Trigger

SAME, CREATE, CHANGE, REPLACE, DELETE = "same", "create", "change", "replace", "delete"
_FIXED = ("Type", "Runtime")
_Pair = tuple[Trigger | None, Trigger | None]
"""A trigger before and after."""


@dataclass(frozen=True)
class Line:
    """A part of the deployment, and what becomes of it; texts may be empty."""

    verb: str
    what: str
    old: str = ""
    new: str = ""
    note: str = ""


@dataclass(frozen=True)
class Plan:
    """Lines to read, and calls to make, in order."""

    lines: tuple[Line, ...]
    calls: tuple[Call, ...]

    @property
    def changes(self) -> list[Line]:
        """The lines of what does not stay the same."""
        return [line for line in self.lines if line.verb != SAME]


def deployment(wanted: Deployment, current: Current) -> Plan:
    """Return what makes the account as wanted.

    The order is such that no event meets a half-made function: rights and bucket; triggers that
    go; the function; its retries and limit; triggers that come. If code and settings both change,
    events wait meanwhile.

    Raises:
        CannotChange: SCF cannot, or there is neither a role nor a policy to make it with.
    """
    _check(wanted, current)
    has_failed = (current.function or {}).get("Status") == "CreateFailed"
    new, old = wanted_parts(wanted), current_parts(current, wanted)
    if has_failed:  # then it can only be deleted, and has no triggers
        old = {what: part for what, part in old.items() if part.group in ACCOUNT}
    lines = [*_compared(old, new, has_variables="Environment" in wanted.settings)]
    changed = _Changed(((new.get(line.what) or old[line.what]).group, line.verb) for line in lines)
    pairs = [*_paired(wanted.triggers, () if has_failed else current.triggers)]
    calls = [*_rights_calls(wanted, changed)]
    for name in wanted.buckets:
        calls += _bucket_calls(name, *current.buckets.get(name, (None, False)))
    calls += [_delete(wanted, before) for before, after in pairs if before and not after]
    if has_failed:
        calls.append(Call("scf", "DeleteFunction", wanted.named, "deletes what has failed"))
    calls += [*_function_calls(wanted, current, changed), *_trigger_calls(wanted, pairs)]
    lines += [*_log_topic(wanted, current), *(_trigger_line(*pair) for pair in pairs)]
    lines += [Line(SAME, f"trigger {each}", note="not managed") for each in current.others]
    notes = _notes(wanted, current)
    return Plan(
        tuple(replace(each, note=notes.get(each.what, each.note)) for each in lines), tuple(calls)
    )


def updates(wanted: Deployment, current: Current) -> list[Call]:
    """Return the calls that update the code and the settings, whether they differ or not."""
    changed = _Changed({("code", CHANGE), ("settings", CHANGE)})
    return [*_function_calls(replace(wanted, reserved_mb=None), current, changed)]


def removal(wanted: Deployment, current: Current) -> Plan:
    """Return what removes a deployment; buckets stay with all objects, the journal among them.

    So do a role and a policy that have other uses, or that the file does not describe.
    """
    role, named = wanted.role, {"RoleName": wanted.role}
    attached = {"DetachRoleName": role, "PolicyName": role}
    parts = [(str(each), _delete(wanted, each)) for each in current.triggers]
    if current.function:
        call = Call("scf", "DeleteFunction", wanted.named, f"deletes {wanted.name}")
        parts.append((f"function {wanted.name}", call))
    rights = []
    if role in current.attached:
        call = Call("cam", "DetachRolePolicy", attached, "detaches the policy")
        rights.append(("attachment", call))
    if current.trust:
        rights.append(
            (f"role {role}", Call("cam", "DeleteRole", named, f"deletes the role {role}"))
        )
    if current.policy:
        ids = {"PolicyId": [current.policy_id]}
        call = Call("cam", "DeletePolicy", ids, f"deletes the policy {role}")
        rights.append((f"policy {role}", call))
    is_own = wanted.policy and {*current.attached} <= {role} and current.uses <= 1
    kept = [(what, "kept: it has other uses") for what, _ in rights if not is_own]
    kept += [(f"bucket {name}", "kept, with its objects") for name in current.buckets]
    parts += rights if is_own else []
    lines = [Line(DELETE, what) for what, _ in parts]
    lines += [Line(SAME, what, note=note) for what, note in kept]
    return Plan(tuple(lines), tuple(call for _, call in parts))


def _check(wanted: Deployment, current: Current) -> None:
    if wanted.role and not wanted.policy and not current.trust:
        raise CannotChange(
            f"there is no role {wanted.role}: create it, or put its policy into deploy/policy.json "
            "beside the file; then it is created"
        )
    function = current.function or {"Status": "CreateFailed"}
    changes = [f"Namespace {current.namespace}"] if current.namespace else []
    if function["Status"] != "CreateFailed":
        has = {each: function.get(each) or "Event" for each in _FIXED}
        changes += [f"{each} {has[each]}" for each in _FIXED if has[each] != wanted.settings[each]]
    if changes:
        raise CannotChange(
            f"{wanted.name} has {' and '.join(changes)}, which SCF cannot change. There are two "
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
            texts = [part.apart_from(other) for part, other in ((before, after), (after, before))]
        yield Line(verb, what, *texts)


def _log_topic(wanted: Deployment, current: Current) -> Iterator[Line]:
    if "ClsTopicId" in wanted.settings:
        return
    if not current.function:
        yield Line(CREATE, "log topic", new="one that SCF makes")
        return
    topic = current.function.get("ClsTopicId")
    note = "" if topic else "no log is stored; SCF makes a topic only with a new function"
    yield Line(SAME, "log topic", new=topic or "none", note=note)


def _notes(wanted: Deployment, current: Current) -> dict[str, str]:
    """Return what one should know besides, by the part."""
    notes = {}
    if others := ", ".join(each for each in current.attached if each != wanted.role):
        notes[f"role {wanted.role}"] = f"also has {others}"
    if current.code:
        files = current.code.changed_files(wanted.code)
        notes["code"] = f"{len(files):,} files differ" if len(files) > 1 else f"{files[0]} differs"
    if current.reserved_mb == 0 and wanted.reserved_mb:
        notes["concurrency"] = "events that wait are delivered"
    return notes


class _Changed(set[tuple[str, str]]):
    """The groups of parts that change, each with what becomes of some part in it."""

    def has(self, group: str, *verbs: str) -> bool:
        """Whether parts of a group are to be created, changed or deleted, or one of these."""
        return any((group, verb) in self for verb in verbs or (CREATE, CHANGE, DELETE))


def _rights_calls(wanted: Deployment, changed: _Changed) -> Iterator[Call]:
    role, of_policy = wanted.role, {"PolicyName": wanted.role}
    trust, rights = (json.dumps(each, ensure_ascii=False) for each in (wanted.trust, wanted.policy))
    to_role = {"RoleName": role, "PolicyDocument": trust}
    if changed.has("role"):
        yield Call("cam", "CreateRole", to_role, f"creates the role {role}")
    if changed.has("trust", CHANGE):
        yield Call("cam", "UpdateAssumeRolePolicy", to_role, "updates the trust policy")
    if changed.has("policy"):
        action = "CreatePolicy" if changed.has("policy", CREATE) else "UpdatePolicy"
        params = {**of_policy, "PolicyDocument": rights}
        yield Call("cam", action, params, f"writes the policy {role}")
    if changed.has("attachment"):
        params = {**of_policy, "AttachRoleName": role}
        yield Call("cam", "AttachRolePolicy", params, f"attaches the policy {role}")


def _function_calls(wanted: Deployment, current: Current, changed: _Changed) -> Iterator[Call]:
    is_new = changed.has("function", CREATE)
    code, settings = (not is_new and changed.has(group) for group in ("code", "settings"))
    # So that no event meets the new code with the old settings. The limit is in the file, so that
    # an interrupted deployment sets it again.
    waits = code and settings and wanted.reserved_mb
    if is_new:
        yield _create(wanted)
    if waits and current.reserved_mb != 0:
        yield _reserve(wanted, 0)
    if code:
        handler = {"Handler": wanted.settings["Handler"]}
        params: dict[str, Any] = {**wanted.named, **handler, **_zipped(wanted)}
        yield Call("scf", "UpdateFunctionCode", params, "updates the code")
    if settings:
        yield _update(wanted, current)
    if changed.has("delivery"):
        params = {**wanted.named, "AsyncTriggerConfig": wanted.delivery}
        yield Call("scf", "UpdateFunctionEventInvokeConfig", params, "sets the retries")
    if wanted.reserved_mb is not None and (waits or changed.has("concurrency")):
        yield _reserve(wanted, wanted.reserved_mb)


def _bucket_calls(name: str, is_private: bool | None, has_versions: bool) -> Iterator[Call]:  # noqa: FBT001 - as read
    params = {"Bucket": name}
    private, versions = {**params, "ACL": "private"}, {**params, "Status": "Enabled"}
    if is_private is None:
        yield Call("cos", "PutBucket", private, f"creates the bucket {name}")
    elif not is_private:
        yield Call("cos", "PutBucketACL", private, f"makes {name} private")
    if not has_versions:
        yield Call("cos", "PutBucketVersioning", versions, f"turns on the versions of {name}")


def _zipped(wanted: Deployment) -> dict[str, str]:
    return {"ZipFile": base64.b64encode(wanted.code.content).decode()}


def _create(wanted: Deployment) -> Call:
    params = {**wanted.named, **wanted.settings, "Code": _zipped(wanted)}
    if "ClsTopicId" not in params:
        params |= dict.fromkeys(("AutoCreateClsTopic", "AutoDeployClsTopicIndex"), "TRUE")
    return Call("scf", "CreateFunction", params, f"creates the function {wanted.name}")


def _update(wanted: Deployment, current: Current) -> Call:
    """Return the call that changes settings: all of them, with the log topic.

    The documents do not say that what is left out stays. To remove all variables, Terraform sends
    one without a name.
    """
    has, logs = current.function or {}, ("ClsLogsetId", "ClsTopicId")
    params: dict[str, Any] = {name: has[name] for name in logs if has.get(name)}
    params |= {n: each for n, each in wanted.settings.items() if n not in (*_FIXED, "Handler")}
    if params.get("Environment") == {"Variables": []}:
        params["Environment"] = {"Variables": [{"Key": "", "Value": ""}]}
    return Call(
        "scf", "UpdateFunctionConfiguration", {**wanted.named, **params}, "updates the settings"
    )


def _reserve(wanted: Deployment, megabytes: int) -> Call:
    says = f"reserves {megabytes} MB" if megabytes else "lets events wait"
    params = {**wanted.named, "ReservedConcurrencyMem": megabytes}
    return Call("scf", "PutReservedConcurrencyConfig", params, says)


# --- Triggers ---


def _paired(wanted: Collection[Trigger], current: Collection[Trigger]) -> Iterator[_Pair]:
    """Yield each trigger before and after: those that stay, then those of the same name."""
    yield from ((each, each) for each in wanted if each in current)
    left = [each for each in current if each not in wanted]
    for new in (each for each in wanted if each not in current):
        named = [each for each in left if (each.kind, each.name) == (new.kind, new.name)]
        old = min(named, key=lambda each: each.rule != new.rule, default=None)
        if old:
            left.remove(old)
        yield old, new
    yield from ((each, None) for each in left)


def _can_change(old: Trigger, new: Trigger) -> bool:
    """Whether a call can change it: UpdateTrigger takes timers only, and nothing a qualifier."""
    return old.qualifier == new.qualifier and (old.kind == "timer" or old.rule == new.rule)


def _trigger_calls(wanted: Deployment, pairs: Collection[_Pair]) -> Iterator[Call]:
    creates = []
    for old, new in pairs:
        if not new or old == new:
            continue
        params = {**wanted.named, **new.params()}
        if old and _can_change(old, new):
            action = "UpdateTrigger" if new.kind == "timer" else "UpdateTriggerStatus"
            yield Call("scf", action, params, f"changes the {new}")
            continue
        if old:  # before any is created, since a new rule may overlap the old one of another
            yield _delete(wanted, old)
        creates.append(Call("scf", "CreateTrigger", params, f"creates the {new}"))
    yield from creates


def _delete(wanted: Deployment, trigger: Trigger) -> Call:
    params = {**wanted.named, **trigger.named()}
    return Call("scf", "DeleteTrigger", params, f"deletes the {trigger}")


def _trigger_line(old: Trigger | None, new: Trigger | None) -> Line:
    before, after = (each.described() if each else {} for each in (old, new))
    verb, note = CREATE if not old else DELETE if not new else SAME, ""
    if old and new and old != new:
        before, after = (
            {name: each[name] for name in each if before[name] != after[name]}
            for each in (before, after)
        )
        verb, note = CHANGE, ""
        if not _can_change(old, new):
            verb, note = REPLACE, "what happens in between starts nothing"
    texts = [
        ", ".join(f"{name} {masked('', text) or 'none'}".strip() for name, text in each.items())
        for each in (before, after)
    ]
    return Line(verb, str(new or old), texts[0], texts[1], note)
