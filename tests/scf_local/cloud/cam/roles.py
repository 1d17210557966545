"""CAM: the actions of roles and of the policies that they have (document/product/598/33155).

Behaviour that the documents leave open is marked "assumed".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scf_local.cloud.actions import EmulatedAction
from scf_local.cloud.cam import lookup, policies
from scf_local.cloud.cam.model import MAX_SESSION_S, SCF, Role, role_arn
from scf_local.cloud.scf.model import local_time
from scf_local.cloud.wire import require

if TYPE_CHECKING:
    from scf_local.cloud.actions import ApiCall, Params

_NO_POLICY = "InvalidParameter.PolicyIdNotExist"


def create_role(call: ApiCall) -> dict[str, Any]:
    """Create a role, and return its `RoleId`.

    Raises:
        ErrorReply: InvalidParameter.RoleNameError, .RoleNameInUse, .DescriptionLengthOverlimit,
            .ParamError, and those of the trust policy (`policies.parse`).
    """
    roles, given, name = call.state.access.roles, call.params, call.params["RoleName"]
    lookup.check_name(name, "InvalidParameter.RoleNameError")
    require(name not in roles, "InvalidParameter.RoleNameInUse", f"There is a role {name!r}.")
    seconds = given.get("SessionDuration", 0)
    message = f"SessionDuration is {seconds}; 0 to {MAX_SESSION_S} are allowed."
    require(0 <= seconds <= MAX_SESSION_S, lookup.PARAM, message)
    policies.parse(given["PolicyDocument"], is_trust=True)
    about, role_id = lookup.about(given), f"46116860{next(call.state.access.counter):011}"
    role = Role(role_id, name, given["PolicyDocument"], about, call.now, call.now)
    role.session_s = seconds or role.session_s  # assumed: 0 means the default
    role.tags = lookup.tags(given)
    roles[name] = role
    _renew(call, role)
    return {"RoleId": role.id}


def get_role(call: ApiCall) -> dict[str, Any]:
    """Return a role as `RoleInfo`, or raise InvalidParameter.RoleNotExist."""
    return {"RoleInfo": _described(lookup.role(call))}


def describe_role_list(call: ApiCall) -> dict[str, Any]:
    """Return a page of the roles that have all `Tags`: `List` of `RoleInfo`, and `TotalNum`."""
    roles, wanted = call.state.access.roles.values(), lookup.tags(call.params)
    return lookup.page(call, [_described(r) for r in roles if all(tag in r.tags for tag in wanted)])


def update_trust(call: ApiCall) -> dict[str, Any]:
    """Replace a role's trust policy; instances of functions that run keep their keys (assumed)."""
    policies.parse(call.params["PolicyDocument"], is_trust=True)
    role = lookup.role(call)
    role.trust, role.modified = call.params["PolicyDocument"], call.now
    _renew(call, role)
    return {}


def _renew(call: ApiCall, role: Role) -> None:
    """Let the functions that have a role start anew, with its keys, if it is for functions."""
    for function in call.state.functions.by_name.values():
        function.revision += function.settings.get("Role") == role.name and role.trusts(SCF)


def update_about(call: ApiCall) -> dict[str, Any]:
    """Replace a role's description."""
    role = lookup.role(call)
    role.description, role.modified = lookup.about(call.params), call.now
    return {}


def delete_role(call: ApiCall) -> dict[str, Any]:
    """Delete a role and its attachments; its sessions may do nothing from then on (assumed)."""
    role = call.state.access.roles.pop(lookup.role(call).name)
    role.attached.clear()
    return {}


def _described(role: Role) -> dict[str, Any]:
    return {
        "RoleId": role.id, "RoleName": role.name, "RoleArn": role_arn(role.name),
        "PolicyDocument": role.trust, "Description": role.description, "Tags": role.tags,
        "AddTime": local_time(role.added), "UpdateTime": local_time(role.modified),
        "SessionDuration": role.session_s, "ConsoleLogin": 0, "RoleType": "user",
    }  # fmt: skip


# --- Attachments ---


def attach(call: ApiCall) -> dict[str, Any]:
    """Let a role have a policy, at once; assumed: also if it has it.

    Raises:
        ErrorReply: InvalidParameter.RoleNotExist, .PolicyIdNotExist, .ParamError.
    """
    lookup.role(call, "Attach").attached.setdefault(lookup.policy(call, _NO_POLICY), call.now)
    return {}


def detach(call: ApiCall) -> dict[str, Any]:
    """Let a role not have a policy any more, at once; assumed: also if it does not have it."""
    lookup.role(call, "Detach").attached.pop(lookup.policy(call, _NO_POLICY), None)
    return {}


def list_attached(call: ApiCall) -> dict[str, Any]:
    """Return a page of a role's policies: `List`, and `TotalNum`; the code is assumed."""
    kind, word = call.params.get("PolicyType", "User"), call.params.get("Keyword", "")
    require(kind in {"User", "QCS"}, lookup.PARAM, f"PolicyType is {kind!r:.80}, not User or QCS.")
    found = [
        {"PolicyId": policy.id, "PolicyName": policy.name, "Description": policy.description,
         "AddTime": local_time(time), "PolicyType": "User", **lookup.ACTIVE}
        for policy, time in lookup.role(call).attached.items()
        if kind == "User" and word in policy.name
    ]  # fmt: skip
    return lookup.page(call, found)


_ROLE = {"RoleId": str, "RoleName": str}
_TRUST = {"PolicyDocument": str}
_ABOUT = {"Description": str}
_NEW: Params = {"RoleName": str, **_TRUST, **_ABOUT, **lookup.TAGS, "ConsoleLogin": None}
_NEW |= {"SessionDuration": int}
_ROLES = {**lookup.PAGE, **lookup.TAGS}
_ATTACHED = {**_ROLE, **lookup.PAGE, "PolicyType": str, "Keyword": str}
_ATTACH = {**lookup.POLICY, "AttachRoleId": str, "AttachRoleName": str}
_DETACH = {**lookup.POLICY, "DetachRoleId": str, "DetachRoleName": str}
_PAGED = tuple(lookup.PAGE)

ACTIONS = {
    "CreateRole": EmulatedAction(create_role, 2, _NEW, ("RoleName", *_TRUST)),
    "GetRole": EmulatedAction(get_role, 20, _ROLE),
    "DescribeRoleList": EmulatedAction(describe_role_list, 10, _ROLES, _PAGED),
    "UpdateAssumeRolePolicy": EmulatedAction(update_trust, 3, {**_ROLE, **_TRUST}, (*_TRUST,)),
    "UpdateRoleDescription": EmulatedAction(update_about, 20, {**_ROLE, **_ABOUT}, (*_ABOUT,)),
    "DeleteRole": EmulatedAction(delete_role, 3, _ROLE),
    "AttachRolePolicy": EmulatedAction(attach, 3, _ATTACH),
    "DetachRolePolicy": EmulatedAction(detach, 3, _DETACH),
    "ListAttachedRolePolicies": EmulatedAction(list_attached, 10, _ATTACHED, _PAGED),
}
"""By name, for the service's table."""
