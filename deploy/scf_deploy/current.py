"""Reads what an account has of a deployment."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import unquote

from scf_deploy.call import Api, Call
from scf_deploy.code import NOT_ZIP, Code
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import CloudError
from scf_deploy.trigger import KINDS, Trigger

_NO_FUNCTION = {
    "ResourceNotFound.Function", "ResourceNotFound.FunctionName",
    "InvalidParameterValue.FunctionName", "ResourceNotFound.Namespace",
}  # fmt: skip
_NO_ROLE = {"InvalidParameter.RoleNotExist"}
_NO_BUCKET = {"NoSuchBucket", "NoSuchResource"}
"""The latter is the COS SDK's own, since HEAD has no body."""
_PAGE = 20
_LATEST = {"Qualifier": "$LATEST"}


def read(api: Api, wanted: Deployment) -> Current:
    """Read what the account has.

    Raises:
        CloudError: a call fails, or a reply lacks what it must have.
    """
    try:
        return _current(api, wanted)
    except (LookupError, TypeError, AttributeError, ValueError, *NOT_ZIP) as error:
        name, reason = type(error).__name__, f"a reply is not as documented: {error}"
        raise CloudError("reading the account", name, reason) from None


def _current(api: Api, wanted: Deployment) -> Current:
    found: dict[str, Any] = {}
    if role := wanted.role:
        found |= _role(api, role)
    buckets = {name: _bucket(api, name) for name in wanted.buckets}
    found["buckets"] = {name: each for name, each in buckets.items() if each}
    found["function"] = reply = function(api, wanted.named)
    if reply:
        if not {"Status", "Runtime", "Handler"} <= reply.keys():
            raise LookupError("GetFunction")
        return Current(**found, **_rest(api, wanted))
    elsewhere = {**wanted.named, "Namespace": "default"}
    is_elsewhere = wanted.named != elsewhere and function(api, elsewhere)
    return Current(**found, namespace="default" if is_elsewhere else "")


def function(api: Api, named: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the reply of GetFunction, or None if there is no function."""
    return _optional(api, Call("scf", "GetFunction", {**named, **_LATEST}), _NO_FUNCTION)


def reasons(reply: Mapping[str, Any]) -> str:
    """Return why a function could not be deployed."""
    given = reply.get("StatusReasons") or ()
    texts = [f"{each.get('ErrorCode')}: {each.get('ErrorMessage')}" for each in given]
    return "; ".join(texts) or reply.get("StatusDesc") or "SCF gives no reason"


def objects(api: Api, trigger: Trigger) -> dict[str, str]:
    """Return when each object that a COS trigger is for was modified, as COS writes it, by key."""
    found: dict[str, str] = {}
    prefix, suffix = trigger.keys
    params = {"Bucket": trigger.bucket, "Prefix": prefix, "EncodingType": "url", "Marker": ""}
    while True:
        page = api(Call("cos", "GetBucket", params))
        for each in page.get("Contents") or ():
            if (key := unquote(each["Key"])).endswith(suffix):
                found[key] = each["LastModified"]
        params["Marker"] = unquote(page.get("NextMarker") or "")
        if not params["Marker"]:
            return found


def _optional(api: Api, call: Call, absent: set[str]) -> dict[str, Any] | None:
    try:
        return api(call)
    except CloudError as error:
        if error.code in absent:
            return None
        raise


def _role(api: Api, name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if reply := _optional(api, Call("cam", "GetRole", {"RoleName": name}), _NO_ROLE):
        attached = _listed(api, Call("cam", "ListAttachedRolePolicies", {"RoleName": name}))
        found["trust"] = _document(reply["RoleInfo"])
        found["attached"] = tuple(each["PolicyName"] for each in attached)
    policies = _listed(api, Call("cam", "ListPolicies", {"Keyword": name, "Scope": "Local"}))
    for each in (each for each in policies if each["PolicyName"] == name):
        reply = api(Call("cam", "GetPolicy", {"PolicyId": each["PolicyId"]}))
        found["policy"] = _document(reply)
        # The SDK's model says that the first counts users, and the second all.
        uses = [each.get(count) or 0 for count in ("Attachments", "AttachEntityCount")]
        found |= {"policy_id": each["PolicyId"], "uses": max(uses)}
    return found


def _document(reply: Mapping[str, Any]) -> object:
    """Return a policy's document, which some replies have URL-encoded."""
    text = reply["PolicyDocument"]
    return json.loads(text if text.lstrip().startswith("{") else unquote(text))


def _listed(api: Api, call: Call) -> list[Any]:
    """Return the entries of all pages: CAM's have numbers, SCF's begin at an offset."""
    found: list[Any] = []
    while True:
        where = {"Offset": len(found), "Limit": _PAGE}
        if call.service == "cam":
            where = {"Page": len(found) // _PAGE + 1, "Rp": _PAGE}
        reply = api(replace(call, params={**call.params, **where}))
        entries = reply.get("List") or reply.get("Triggers") or []
        found += entries
        if not entries or len(found) >= (reply.get("TotalNum") or reply.get("TotalCount") or 0):
            return found


def _bucket(api: Api, name: str) -> tuple[bool, bool] | None:
    params = {"Bucket": name}
    if _optional(api, Call("cos", "HeadBucket", params), _NO_BUCKET) is None:
        return None
    access = api(Call("cos", "GetBucketACL", params))
    grantees = [each["Grantee"] for each in access["AccessControlList"]["Grant"]]
    versions = api(Call("cos", "GetBucketVersioning", params)).get("Status")
    accounts = {each.get("ID", "").rpartition(":")[0] for each in (*grantees, access["Owner"])}
    return len(accounts) == 1, versions == "Enabled"


def _rest(api: Api, wanted: Deployment) -> dict[str, Any]:
    """Read what GetFunction does not return."""
    named = wanted.named
    address = api(Call("scf", "GetFunctionAddress", {**named, **_LATEST}))
    code = wanted.code
    if not code.has_hash(address.get("CodeSha256") or ""):
        code = Code(api(Call("url", "GetObject", {"Url": address["Url"]}))["Body"])
    delivery = api(Call("scf", "GetFunctionEventInvokeConfig", {**named, **_LATEST}))
    reserved = api(Call("scf", "GetReservedConcurrencyConfig", named))
    entries = _listed(api, Call("scf", "ListTriggers", named))
    managed = [each for each in entries if each["Type"] in KINDS]
    return {
        "code": code if code.changed_files(wanted.code) else None,
        "delivery": delivery.get("AsyncTriggerConfig") or {},
        "reserved_mb": reserved.get("ReservedMem"),
        "triggers": tuple(map(Trigger.from_reply, managed)),
        "others": tuple(f"{x['Type']} {x['TriggerName']}" for x in entries if x not in managed),
        "unbound": tuple(each["TriggerName"] for each in managed if not _is_bound(each)),
    }


def _is_bound(trigger: Mapping[str, Any]) -> bool:
    states = {trigger.get("BindStatus"), trigger.get("AvailableStatus")}
    return states <= {"on", "Available", "", None}
