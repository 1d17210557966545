"""CAM in the emulated cloud, called with the typed official SDK, and what its policies allow."""

from __future__ import annotations

import json
import time
from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cam.v20190116 import errorcodes

from roles import allow, keys_for
from scf_client import ScfClient
from scf_local.cloud.cam.model import Caller, Policy, Role
from scf_local.cloud.cam.service import SERVICE
from scf_local.cloud.scf.model import local_time
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State, is_write
from scf_local.cloud.wire import ErrorReply
from sdk_client import ALL, SCF_TRUST, TRUST, SdkClient, add_role, policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

INVALID = "InvalidParameter"
OWN_TRUST = policy({**TRUST, "principal": {"qcs": ["qcs::cam::uin/100000000001:root"]}})
READ = policy({"effect": "allow", "action": ["name/cvm:Describe*"], "resource": "*"})
TAGS = [{"Key": "team", "Value": "web"}, {"Key": "env", "Value": "test"}]
NO_ID = {"RequestId": None}


def standing() -> Callable[[], float]:
    """A clock that stands still."""
    now = time.time()
    return lambda: now


@pytest.fixture
def cam() -> Iterator[SdkClient]:
    """A client of a cloud whose time stands still."""
    with EmulatedCloud(State(), limits=False, clock=standing()) as cloud:
        yield SdkClient(cloud, "cam")


@pytest.fixture(scope="module")
def shared() -> Iterator[SdkClient]:
    """The same with the role and the policy `a`, for calls that change nothing."""
    with EmulatedCloud(State(), limits=False) as cloud:
        add_role(cloud, "a")
        yield SdkClient(cloud, "cam")


def test_role(cam: SdkClient) -> None:
    """A role is read back as it was created and updated, with every member of the SDK's model."""
    about = {"Description": "runs", "SessionDuration": 900, "Tags": TAGS}
    role_id = cam("CreateRole", RoleName="a", PolicyDocument=SCF_TRUST, **about)["RoleId"]
    start = cam.cloud.clock()
    now = local_time(start)
    role = {
        "RoleId": role_id,
        "RoleName": "a",
        "PolicyDocument": SCF_TRUST,
        **about,
        "RoleArn": "qcs::cam::uin/100000000001:roleName/a",
        "AddTime": now,
        "UpdateTime": now,
        "ConsoleLogin": 0,
        "RoleType": "user",
        "DeletionTaskId": None,  # only of roles that belong to a service
    }
    assert cam("GetRole", RoleName="a")["RoleInfo"] == role
    cam.cloud.move_clock(60)
    cam("UpdateAssumeRolePolicy", RoleId=role_id, PolicyDocument=OWN_TRUST)
    cam("UpdateRoleDescription", RoleName="a", Description="")
    role |= {"PolicyDocument": OWN_TRUST, "Description": "", "UpdateTime": local_time(start + 60)}
    assert cam("GetRole", RoleId=role_id)["RoleInfo"] == role
    listed = cam("DescribeRoleList", Page=1, Rp=200)
    assert listed | NO_ID == {"List": [role], "TotalNum": 1, **NO_ID}
    cam("DeleteRole", RoleName="a")
    assert cam.error("GetRole", RoleName="a") == "InvalidParameter.RoleNotExist"


def test_roles_by_tag(cam: SdkClient) -> None:
    """Roles are found by all of the given tags."""
    for name, tags in (("a", TAGS), ("b", TAGS[:1]), ("c", [])):
        cam("CreateRole", RoleName=name, PolicyDocument=SCF_TRUST, Tags=tags)
    for tags, found in ((TAGS, ["a"]), (TAGS[:1], ["a", "b"]), ([], ["a", "b", "c"])):
        reply = cam("DescribeRoleList", Page=1, Rp=10, Tags=tags)
        assert [role["RoleName"] for role in reply["List"]] == found


def test_policy(cam: SdkClient) -> None:
    """A policy is read back as it was created and updated, with every member of the SDK's model."""
    about = {"Description": "reads", "Tags": TAGS}
    policy_id = cam("CreatePolicy", PolicyName="a", PolicyDocument=READ, **about)["PolicyId"]
    assert type(policy_id) is int
    add_role(cam.cloud, "b")
    cam("AttachRolePolicy", PolicyId=policy_id, AttachRoleName="b")
    start = cam.cloud.clock()
    now = local_time(start)
    whole = {
        "PolicyName": "a",
        "PolicyDocument": READ,
        **about,
        "Type": 1,
        "PresetAlias": "",
        "AddTime": now,
        "UpdateTime": now,
        "IsServiceLinkedRolePolicy": 0,
    }
    assert cam("GetPolicy", PolicyId=policy_id) | NO_ID == whole | NO_ID
    (listed,) = cam("ListPolicies", Scope="Local", Keyword="a")["List"]
    assert listed == {
        "PolicyId": policy_id,
        "PolicyName": "a",
        **about,
        "Type": 1,
        "CreateMode": 2,
        "AddTime": now,
        "UpdateTime": now,
        "Attachments": 1,
        "AttachEntityCount": 1,
        "AttachEntityBoundaryCount": 0,
        "IsServiceLinkedPolicy": 0,
        "ServiceType": "",
        "Deactived": 0,
        "DeactivedDetail": [],
        "IsAttached": None,
        "PermissionLevel": None,
    }
    assert cam("ListPolicies", Scope="QCS") | NO_ID == {
        "TotalNum": 0,
        "List": [],
        "ServiceTypeList": [],
        **NO_ID,
    }
    cam.cloud.move_clock(60)
    assert cam("UpdatePolicy", PolicyId=policy_id, PolicyDocument=ALL)["PolicyId"] is None
    assert cam("UpdatePolicy", PolicyName="a", Description="")["PolicyId"] == policy_id
    changes = {"PolicyDocument": ALL, "Description": "", "UpdateTime": local_time(start + 60)}
    assert cam("GetPolicy", PolicyId=policy_id) | NO_ID == whole | changes | NO_ID


def test_account(cam: SdkClient) -> None:
    """The account's ids are those of the caller, also of a role's session with the right."""
    account = {"Uin": "100000000001", "OwnerUin": "100000000001", "AppId": 1250000000}
    assert cam("GetUserAppId") | NO_ID == account | NO_ID
    state = cam.cloud.state
    for action, code in (("GetUserAppId", ""), ("GetRole", "UnauthorizedOperation")):
        keys = keys_for(state, allow(f"cam:{action}"))
        assert replace(cam, keys=keys).error("GetUserAppId") == code
    reply = replace(cam, keys=keys_for(state, allow("cam:*")))("GetUserAppId")
    assert reply | NO_ID == account | NO_ID


def test_tags_of_roles(cam: SdkClient) -> None:
    """The Tag API lists roles' tags by id, without a region, as Terraform asks for them."""
    given = {"RoleName": "a", "PolicyDocument": SCF_TRUST, "Tags": TAGS}
    role_id = cam("CreateRole", **given)["RoleId"]
    asked: dict[str, Any] = {"ServiceType": "cam", "ResourcePrefix": "role", "ResourceRegion": ""}
    asked |= {"ResourceIds": [role_id, "no"], "Offset": 0, "Limit": 20}
    tag = SdkClient(cam.cloud, "tag")
    found = tag("DescribeResourceTagsByResourceIds", **asked)["Tags"]
    assert [{"Key": each["TagKey"], "Value": each["TagValue"]} for each in found] == TAGS
    assert {(each["ResourceId"], each["ServiceType"]) for each in found} == {(role_id, "cam")}
    for other in ({"ResourcePrefix": "image"}, {"Category": "System"}):
        assert tag("DescribeResourceTagsByResourceIds", **(asked | other))["TotalCount"] == 0


def test_attachments(cam: SdkClient) -> None:
    """A role has the policies that were attached by name or id, until they are detached."""
    role_id = add_role(cam.cloud, "a")
    policy_id = cam("CreatePolicy", PolicyName="b", PolicyDocument=READ)["PolicyId"]
    for _ in range(2):
        cam("AttachRolePolicy", AttachRoleId=role_id, PolicyId=policy_id)
    listed = cam("ListAttachedRolePolicies", RoleName="a", Page=2, Rp=1)
    assert (listed["TotalNum"], listed["List"]) == (
        2,
        [
            {
                "PolicyId": policy_id,
                "PolicyName": "b",
                "Description": "",
                "AddTime": local_time(cam.cloud.clock()),
                "PolicyType": "User",
                "CreateMode": 2,
                "Deactived": 0,
                "DeactivedDetail": [],
            }
        ],
    )
    query: dict[str, Any] = {"RoleId": role_id, "Page": 1, "Rp": 10}
    for words, count in (({"Keyword": "b"}, 1), ({"PolicyType": "QCS"}, 0), ({}, 2)):
        assert cam("ListAttachedRolePolicies", **query, **words)["TotalNum"] == count
    assert cam.cloud.state.snapshot()["Roles"] == {"a": ["a", "b"]}
    for _ in range(2):
        cam("DetachRolePolicy", DetachRoleName="a", PolicyName="a")
    cam("DeletePolicy", PolicyId=[policy_id, policy_id])
    assert cam.cloud.state.snapshot()["Roles"] == {"a": []}


@pytest.mark.parametrize("action", ["DescribeRoleList", "ListPolicies", "ListAttachedRolePolicies"])
def test_pages(cam: SdkClient, action: str) -> None:
    """A list has its pages in order, and none after the last; the total is that of all pages."""
    for name in "abc":
        add_role(cam.cloud, name)
        cam("AttachRolePolicy", AttachRoleName="a", PolicyName=name)
    role = {"RoleName": "a"} if action == "ListAttachedRolePolicies" else {}
    pages = [cam(action, Page=page, Rp=2, **role) for page in (1, 2, 3)]
    name = "RoleName" if action == "DescribeRoleList" else "PolicyName"
    assert [[each[name] for each in page["List"]] for page in pages] == [["a", "b"], ["c"], []]
    assert {page["TotalNum"] for page in pages} == {3}
    for wrong in ({"Page": 0, "Rp": 1}, {"Page": 1, "Rp": 0}, {"Page": 1, "Rp": 201}):
        assert cam.error(action, **wrong, **role) == f"{INVALID}.ParamError"


def statement(**changes: object) -> dict[str, str]:
    """Return a `PolicyDocument` with one statement."""
    whole = {"effect": "allow", "action": "*", "resource": "*", **changes}
    given = {name: value for name, value in whole.items() if value is not None}
    return {"PolicyDocument": policy(given)}


ROLE: dict[str, Any] = {"RoleName": "b", "PolicyDocument": SCF_TRUST}
POLICY: dict[str, Any] = {"PolicyName": "b", "PolicyDocument": ALL}
ERRORS: list[tuple[str, dict[str, Any], str]] = [
    ("CreateRole", {**ROLE, "RoleName": "a"}, f"{INVALID}.RoleNameInUse"),
    ("CreateRole", {**ROLE, "RoleName": "a b"}, f"{INVALID}.RoleNameError"),
    ("CreateRole", {**ROLE, "RoleName": "b" * 129}, f"{INVALID}.RoleNameError"),
    ("CreateRole", {**ROLE, "RoleName": "名"}, f"{INVALID}.RoleNameError"),
    ("CreateRole", {**ROLE, "SessionDuration": 43201}, f"{INVALID}.ParamError"),
    ("CreateRole", {**ROLE, "SessionDuration": -1}, f"{INVALID}.ParamError"),
    ("CreateRole", {**ROLE, "Description": "d" * 301}, f"{INVALID}.DescriptionLengthOverlimit"),
    ("CreateRole", {**ROLE, **statement(resource=None)}, f"{INVALID}.PrincipalError"),
    ("CreateRole", {**ROLE, "PolicyDocument": "{"}, f"{INVALID}.PolicyDocumentError"),
    ("CreateRole", {"RoleName": "b"}, "MissingParameter"),
    ("CreateRole", {**ROLE, "ConsoleLogin": 1}, "UnsupportedOperation"),
    ("GetRole", {"RoleName": "no"}, f"{INVALID}.RoleNotExist"),
    ("GetRole", {"RoleId": "no"}, f"{INVALID}.RoleNotExist"),
    ("GetRole", {"RoleId": "no", "RoleName": "a"}, f"{INVALID}.RoleNotExist"),
    ("GetRole", {}, f"{INVALID}.ParamError"),
    ("UpdateAssumeRolePolicy", {**ROLE, "RoleName": "no"}, f"{INVALID}.RoleNotExist"),
    ("UpdateAssumeRolePolicy", {"RoleName": "a", **statement()}, f"{INVALID}.StatementError"),
    (
        "UpdateRoleDescription",
        {"RoleName": "a", "Description": "名" * 101},
        f"{INVALID}.DescriptionLengthOverlimit",
    ),
    ("DeleteRole", {"RoleName": "no"}, f"{INVALID}.RoleNotExist"),
    ("CreatePolicy", {**POLICY, "PolicyName": "a"}, "FailedOperation.PolicyNameInUse"),
    ("CreatePolicy", {**POLICY, "PolicyName": "a/b"}, f"{INVALID}.PolicyNameError"),
    ("CreatePolicy", {**POLICY, "Description": "d" * 301}, f"{INVALID}.DescriptionLengthOverlimit"),
    ("CreatePolicy", {**POLICY, **statement(principal={})}, f"{INVALID}.PrincipalError"),
    ("CreatePolicy", {**POLICY, **statement(condition={})}, "UnsupportedOperation"),
    ("CreatePolicy", {**POLICY, **statement(else_={})}, f"{INVALID}.StatementError"),
    ("CreatePolicy", {**POLICY, **statement(effect="may")}, f"{INVALID}.EffectError"),
    ("CreatePolicy", {**POLICY, **statement(action=[])}, f"{INVALID}.ActionError"),
    ("CreatePolicy", {**POLICY, **statement(resource=None)}, f"{INVALID}.ResourceError"),
    ("CreatePolicy", {**POLICY, "PolicyDocument": "[]"}, f"{INVALID}.PolicyDocumentError"),
    ("CreatePolicy", {**POLICY, "PolicyDocument": "{}"}, f"{INVALID}.VersionError"),
    (
        "CreatePolicy",
        {**POLICY, **statement(action="a" * 6144)},
        f"{INVALID}.PolicyDocumentLengthOverLimit",
    ),
    ("GetPolicy", {"PolicyId": 0}, "ResourceNotFound.PolicyIdNotFound"),
    ("UpdatePolicy", {"PolicyId": 0}, "ResourceNotFound.PolicyIdNotFound"),
    ("UpdatePolicy", {"Description": ""}, f"{INVALID}.ParamError"),
    ("UpdatePolicy", {"PolicyName": "a", "PolicyDocument": "{}"}, f"{INVALID}.VersionError"),
    ("UpdatePolicy", {"PolicyName": "a", "Alias": "b"}, "UnsupportedOperation"),
    ("DeletePolicy", {"PolicyId": [2, 0]}, "ResourceNotFound.PolicyIdNotFound"),
    ("ListPolicies", {"Scope": "Own"}, f"{INVALID}.ScopeError"),
    ("AttachRolePolicy", {"AttachRoleName": "a", "PolicyId": 0}, f"{INVALID}.PolicyIdNotExist"),
    ("AttachRolePolicy", {"AttachRoleName": "no", "PolicyName": "a"}, f"{INVALID}.RoleNotExist"),
    ("AttachRolePolicy", {"AttachRoleName": "a"}, f"{INVALID}.ParamError"),
    ("DetachRolePolicy", {"DetachRoleName": "a", "PolicyName": "b"}, f"{INVALID}.PolicyIdNotExist"),
    ("DetachRolePolicy", {"DetachRoleId": "no", "PolicyName": "a"}, f"{INVALID}.RoleNotExist"),
    ("ListAttachedRolePolicies", {"RoleName": "no", "Page": 1, "Rp": 1}, f"{INVALID}.RoleNotExist"),
    (
        "ListAttachedRolePolicies",
        {"RoleName": "a", "PolicyType": "Own", "Page": 1, "Rp": 1},
        f"{INVALID}.ParamError",
    ),
    ("ListAttachedRolePolicies", {"RoleName": "a"}, "MissingParameter"),
]
COMMON = ("MissingParameter", "UnsupportedOperation")


@pytest.mark.parametrize(("action", "params", "code"), ERRORS)
def test_errors(shared: SdkClient, action: str, params: dict[str, Any], code: str) -> None:
    """What is not allowed has a code that the SDK knows of CAM, and changes nothing."""
    access = shared.cloud.state.access
    before = repr((access.roles, access.policies))
    assert shared.error(action, **params) == code
    assert code in [*vars(errorcodes).values(), *COMMON]
    assert repr((access.roles, access.policies)) == before


def test_rates() -> None:
    """Calls over the documented rates are throttled."""
    with EmulatedCloud(State(), clock=standing()) as cloud:
        cam = SdkClient(cloud, "cam")
        for action, rate in (("CreateRole", 2), ("UpdateAssumeRolePolicy", 3)):
            given = {"RoleName": "a", "PolicyDocument": SCF_TRUST}
            codes = [cam.error(action, **given) for _ in range(rate + 1)]
            assert codes.index("RequestLimitExceeded") == rate


def test_writes() -> None:
    """All actions that change something are known as such."""
    reads = {
        *("GetRole", "DescribeRoleList", "ListAttachedRolePolicies"),
        *("GetPolicy", "ListPolicies", "GetUserAppId"),
    }
    assert SERVICE.actions.keys() - reads == set(filter(is_write, SERVICE.actions))


# What a function does with the keys of its role: it signs with nothing but the standard library.
CALLS = """
import base64, hmac, json, os, time, urllib.parse, urllib.request
def call(service, version, action, **params):
    host, env = f"{service}.tencentcloudapi.com", os.environ
    params |= {"Action": action, "Version": version, "Region": "ap-guangzhou", "Nonce": 1}
    params |= {"Timestamp": int(time.time()), "SecretId": env["TENCENTCLOUD_SECRETID"]}
    params |= {"Token": env["TENCENTCLOUD_SESSIONTOKEN"]}
    text = "&".join(f"{name}={params[name]}" for name in sorted(params))
    key = env["TENCENTCLOUD_SECRETKEY"].encode()
    signature = hmac.digest(key, f"GET{host}/?{text}".encode(), "sha1")
    params["Signature"] = base64.b64encode(signature).decode()
    url = f"https://{host}/?{urllib.parse.urlencode(params)}"
    with urllib.request.urlopen(url) as reply:
        reply = json.load(reply)["Response"]
    return reply.get("Error", {}).get("Code") or reply
def main_handler(event, context):
    return call(*event)
"""
IMAGES = ["cvm", "2017-03-12", "DescribeImages"]
POLICIES = ["cam", "2019-01-16", "ListPolicies"]
SELF = ["sts", "2018-08-13", "GetCallerIdentity"]


def test_keys_of_a_deployed_function() -> None:
    """A function may do what its role's policies allow at that moment, and nothing else."""
    allowed = policy(
        {"effect": "allow", "action": ["cvm:DescribeImages", "sts:*"], "resource": "*"}
    )
    with EmulatedCloud(State()) as cloud:
        scf, cam = ScfClient(cloud), SdkClient(cloud, "cam")
        role_id = add_role(cloud, "reader", allowed)
        scf.create("fn", CALLS, Role="reader")

        def reply(*call: str) -> Any:  # noqa: ANN401 - any JSON
            return json.loads(scf.invoke("fn", call)["RetMsg"])

        assert reply(*IMAGES)["TotalCount"] == 0
        assert reply(*SELF)["UserId"] == f"{role_id}:scf"
        assert reply(*POLICIES) == "UnauthorizedOperation"
        cam("UpdatePolicy", PolicyName="reader", PolicyDocument=ALL)
        assert reply(*POLICIES)["TotalNum"] == 1
        cam("DetachRolePolicy", DetachRoleName="reader", PolicyName="reader")
        assert reply(*IMAGES) == "UnauthorizedOperation"
        cam("AttachRolePolicy", AttachRoleName="reader", PolicyName="reader")
        assert reply(*IMAGES)["TotalCount"] == 0
        (policy_id,) = cloud.state.access.policies
        cam("DeletePolicy", PolicyId=[policy_id])
        assert reply(*IMAGES) == "UnauthorizedOperation"


@pytest.mark.parametrize("is_deleted", [False, True])
def test_function_without_its_role(*, is_deleted: bool) -> None:
    """A function whose role is gone, or is not for SCF any more, starts without keys."""
    code = "import os\ndef main_handler(*_): return 'TENCENTCLOUD_SECRETID' in os.environ"
    with EmulatedCloud(State()) as cloud:
        scf, cam = ScfClient(cloud), SdkClient(cloud, "cam")
        scf.create("fn", code)
        scf.create("warm", CALLS)
        assert scf.invoke("warm", IMAGES)["RetMsg"] != '"UnauthorizedOperation"'
        if is_deleted:
            cam("DeleteRole", RoleName="worker")
        else:
            cam("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=OWN_TRUST)
        assert scf.invoke("fn")["RetMsg"] == "false"
        is_denied = scf.invoke("warm", IMAGES)["RetMsg"] == '"UnauthorizedOperation"'
        assert is_denied == is_deleted


def test_function_of_a_new_role() -> None:
    """A function has keys again once its role is there again, or is for SCF again."""
    with EmulatedCloud(State()) as cloud:
        scf, cam = ScfClient(cloud), SdkClient(cloud, "cam")
        scf.create("fn", CALLS)
        worker = {"RoleName": "worker", "PolicyDocument": SCF_TRUST}

        def who() -> Any:  # noqa: ANN401 - any JSON
            return json.loads(scf.invoke("fn", SELF)["RetMsg"] or '"no keys"')

        assert who()["Type"] == "CAMRole"
        cam("DeleteRole", RoleName="worker")
        assert who() == "UnauthorizedOperation"
        user = f"{cam('CreateRole', **worker)['RoleId']}:scf"
        cam("AttachRolePolicy", AttachRoleName="worker", PolicyName="worker")
        assert who()["UserId"] == user
        cam("UpdateAssumeRolePolicy", RoleName="worker", PolicyDocument=OWN_TRUST)
        assert who()["UserId"] == user
        scf("UpdateFunctionConfiguration", FunctionName="fn", MemorySize=256)
        assert who() == "no keys"
        cam("UpdateAssumeRolePolicy", **worker)
        assert who()["UserId"] == user


# --- Evaluation, against one that is as simple as possible ---

NAMES = ("cvm:DescribeImages", "cvm:ModifyImageAttribute", "cos:GetObject", "tag:TagResources")
ACTIONS = (*NAMES, "name/cvm:*", "cvm:Describe*", "*", "cvm:*e*", "name/cos:*Object")
ID = "qcs::cvm:ap-guangzhou:uin/100000000001:image/img-1"
RESOURCES = (
    *(ID, "qcs::cvm::uin/100000000001:image/*", "qcs::cvm:::image/img-1", "qcs::*:*:*:*", "*"),
    *(
        "qcs::cvm:ap-*:uin/1*:*/*-1",
        "qcs::cos::uid/1250000000:b/a:*",
        "qcs::cvm:ap-beijing::image/*",
    ),
)
ASKED = (ID, "qcs::cos:ap-guangzhou:uid/1250000000:b/a:b/c", "*")


def is_like(pattern: str, text: str) -> bool:
    """Whether a text is like a pattern, in which * is any text."""
    if pattern.startswith("*"):
        return any(is_like(pattern[1:], text[start:]) for start in range(len(text) + 1))
    return pattern == text or (
        pattern != "" and pattern[:1] == text[:1] and is_like(pattern[1:], text[1:])
    )


def is_about(resource: str, asked: str) -> bool:
    """Whether a statement's resource covers another, segment by segment; an empty one is any."""
    if resource == "*" or asked == "*":
        return resource == "*"
    pairs = zip(resource.split(":", 5), asked.split(":", 5), strict=True)
    return all(want == "" or is_like(want, part) for want, part in pairs)


STATEMENT = st.fixed_dictionaries({
    "effect": st.sampled_from(["allow", "allow", "deny"]),
    "action": st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=2),
    "resource": st.lists(st.sampled_from(RESOURCES), min_size=1, max_size=2),
})  # fmt: skip
POLICIES_OF_A_ROLE = st.lists(st.lists(STATEMENT, min_size=1, max_size=2), max_size=3)


@given(attached=POLICIES_OF_A_ROLE, own=st.none() | st.lists(STATEMENT, min_size=1, max_size=2))
def test_what_is_allowed(
    attached: list[list[dict[str, Any]]], own: list[dict[str, Any]] | None
) -> None:
    """Something is allowed by a statement, and denied by none; a session's policy limits that."""

    def policy_of(statements: list[dict[str, Any]]) -> Policy:
        return Policy(1, "", policy(*statements), "", 0, 0)

    role = Role("1", "a", SCF_TRUST, "", 0, 0, attached={policy_of(p): 0 for p in attached})
    caller = Caller(role=role, limits=None if own is None else policy_of(own).statements)
    for action in NAMES:
        for asked in ASKED:
            is_allowed = True
            for statements in ([s for each in attached for s in each], own):
                effects = [
                    each["effect"]
                    for each in statements or []
                    if any(is_like(a.removeprefix("name/"), action) for a in each["action"])
                    and any(is_about(resource, asked) for resource in each["resource"])
                ]
                is_met = "allow" in effects and "deny" not in effects
                is_allowed &= statements is None or is_met
            refused = pytest.raises(ErrorReply, match="not authorized")
            with nullcontext() if is_allowed else refused:
                caller.require(action, asked)
