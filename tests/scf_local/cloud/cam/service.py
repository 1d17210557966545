"""CAM 2019-01-16: the actions of policies, and the table of all (document/product/598/33155).

Parameters and members of replies are those of tencentcloud-sdk-python-cam; None marks what is not
emulated. Behaviour that the documents leave open is marked "assumed". There are no preset policies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scf_local.cloud.actions import EmulatedAction, Service
from scf_local.cloud.cam import lookup, policies, roles
from scf_local.cloud.cam.model import Policy
from scf_local.cloud.scf.model import local_time
from scf_local.cloud.wire import require
from scf_local.environment import APPID, UIN

if TYPE_CHECKING:
    from scf_local.cloud.actions import ApiCall

_COUNTS = ("Attachments", "AttachEntityCount")
"""Members that count what has a policy; assumed: the former counts roles, too."""
_NONE = {"AttachEntityBoundaryCount": 0, "IsServiceLinkedPolicy": 0, "ServiceType": ""}


def create(call: ApiCall) -> dict[str, Any]:
    """Create a policy, and return its `PolicyId`.

    Raises:
        ErrorReply: InvalidParameter.PolicyNameError, FailedOperation.PolicyNameInUse,
            InvalidParameter.DescriptionLengthOverlimit, and those of `policies.parse`.
    """
    access, given, name = call.state.access, call.params, call.params["PolicyName"]
    lookup.check_name(name, "InvalidParameter.PolicyNameError")
    is_new = all(policy.name != name for policy in access.policies.values())
    require(is_new, "FailedOperation.PolicyNameInUse", f"There is a policy {name!r}.")
    about, document = lookup.about(given), given["PolicyDocument"]
    policy = Policy(next(access.counter), name, document, about, call.now, call.now)
    policy.tags = lookup.tags(given)
    access.policies[policy.id] = policy
    return {"PolicyId": policy.id}


def get(call: ApiCall) -> dict[str, Any]:
    """Return a policy, or raise ResourceNotFound.PolicyIdNotFound."""
    policy = lookup.policy(call)
    document = {"PolicyDocument": policy.document, "PresetAlias": "", "Tags": policy.tags}
    return {**_summary(policy), **document, "IsServiceLinkedRolePolicy": 0}


def update(call: ApiCall) -> dict[str, Any]:
    """Replace a policy's document or description, at once for all roles that have it.

    Assumed: a policy that is not there has GetPolicy's code. `PolicyId` is returned to callers that
    name the policy, as documented.
    """
    policy = lookup.policy(call)
    given = {"PolicyDocument": policy.document, "Description": policy.description, **call.params}
    description, statements = lookup.about(given), policies.parse(given["PolicyDocument"])
    policy.description, policy.document = description, given["PolicyDocument"]
    policy.statements, policy.modified = statements, call.now
    return {"PolicyId": policy.id} if "PolicyName" in call.params else {}


def delete(call: ApiCall) -> dict[str, Any]:
    """Delete policies, or none if one is not there, and detach them from roles (assumed)."""
    among, roles = call.state.access.policies, call.state.access.roles.values()
    for policy_id in call.params["PolicyId"]:
        require(policy_id in among, lookup.NO_POLICY, f"There is no policy {policy_id}.")
    deleted = {among.pop(policy_id) for policy_id in {*call.params["PolicyId"]}}
    for role in roles:
        role.attached = {each: at for each, at in role.attached.items() if each not in deleted}
    return {}


def list_policies(call: ApiCall) -> dict[str, Any]:
    """Return a page of the policies, without their documents: `List`, and `TotalNum`."""
    given, roles = call.params, call.state.access.roles.values()
    scope = given.get("Scope", "All")
    require(scope in {"All", "QCS", "Local"}, "InvalidParameter.ScopeError", f"Scope is {scope!r}.")
    found = [
        {"PolicyId": policy.id, "Tags": policy.tags, **_summary(policy), **lookup.ACTIVE, **_NONE,
         **dict.fromkeys(_COUNTS, sum(policy in role.attached for role in roles))}
        for policy in call.state.access.policies.values()
        if scope != "QCS" and given.get("Keyword", "") in policy.name
    ]  # fmt: skip
    return {**lookup.page(call, found), "ServiceTypeList": []}


def _summary(policy: Policy) -> dict[str, Any]:
    times = {"AddTime": local_time(policy.added), "UpdateTime": local_time(policy.modified)}
    return {"PolicyName": policy.name, "Description": policy.description, "Type": 1, **times}


def get_app_id(_: ApiCall) -> dict[str, Any]:
    """Return the account of the caller; assumed: that of a role for its sessions."""
    return {"Uin": UIN, "OwnerUin": UIN, "AppId": int(APPID)}


_CONTENT = {"PolicyDocument": str, "Description": str}
_NEW = {"PolicyName": str, **_CONTENT, **lookup.TAGS}
_LIST = {**lookup.PAGE, "Scope": str, "Keyword": str}

# The rates are documented on the actions' pages; that of GetPolicy, GetRole and
# UpdateRoleDescription is assumed.
SERVICE = Service(
    "2019-01-16",
    {
        **roles.ACTIONS,
        "CreatePolicy": EmulatedAction(create, 10, _NEW, ("PolicyName", "PolicyDocument")),
        "GetPolicy": EmulatedAction(get, 20, {"PolicyId": int}, ("PolicyId",)),
        "UpdatePolicy": EmulatedAction(update, 10, {**lookup.POLICY, **_CONTENT, "Alias": None}),
        "DeletePolicy": EmulatedAction(delete, 10, {"PolicyId": [int]}, ("PolicyId",)),
        "ListPolicies": EmulatedAction(list_policies, 20, _LIST),
        "GetUserAppId": EmulatedAction(get_app_id, 20, {}),
    },
    is_regional=False,
)
