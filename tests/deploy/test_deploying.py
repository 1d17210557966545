"""`scf-deploy` deploys the project's serverless.yml to an emulated account."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

import deploying
from cos_client import client_of
from deploying import BUCKET, CODE, FIRST, NAME, Project, Rule, Seen, altered, answer, refusal
from roles import allow, document, keys_for
from scf_client import RUNTIME, ScfClient
from scf_deploy.call import Call
from scf_deploy.cloud import Cloud
from scf_deploy.errors import CloudError
from scf_local.cloud.state import Bucket
from scf_local.cloud.wire import Reply
from scf_local.credentials import AccountCredentials
from sdk_client import SCF_TRUST, SdkClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The project, and an account that nothing was deployed to."""
    with deploying.cloud() as cloud:
        yield Project(tmp_path / "project", cloud)


@pytest.fixture
def deployed(project: Project) -> Project:
    """The project once it is deployed."""
    assert project.apply() == FIRST
    return project


def test_untouched_account(project: Project) -> None:
    """`plan` says what there is to do, `apply` does it, and then there is nothing to do."""
    assert project("plan").status == 3
    assert project.writes() == []
    assert project.apply() == FIRST
    again = project("plan")
    assert (again.status, again.out.splitlines()[-1]) == (0, "Nothing to change")
    assert project.apply() == []
    assert project("check").status == 0


# --- Interrupted ---


def deploy(folder: Path) -> dict[str, Any]:
    """Return the state of an account after a deployment without any trouble."""
    with deploying.cloud() as cloud:
        project = Project(folder, cloud)
        assert project.apply() == FIRST
        return project.state()


@pytest.fixture(scope="module")
def wanted_state(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The state of an account after a deployment without any trouble."""
    return deploy(tmp_path_factory.mktemp("wanted") / "project")


def cut_at(number: int, *, is_done: bool) -> Rule:
    """Return a rule: the reply to a write is lost, after it was carried out or not."""
    writes = 0

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        nonlocal writes
        writes += seen.is_write
        if not (seen.is_write and writes == number + 1):
            return send()
        return replace(send() if is_done else Reply(200, {}, b""), cut="before")

    return rule


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("number", range(len(FIRST)))
def test_lost_reply(
    project: Project, wanted_state: dict[str, Any], number: int, *, is_done: bool
) -> None:
    """After any reply that is lost, the deployment goes on by itself, and does nothing twice."""
    project.cloud.rules = [cut_at(number, is_done=is_done)]
    assert project.apply() == FIRST
    assert project.state() == wanted_state
    assert project("plan").status == 0


def test_all_replies_lost(project: Project, wanted_state: dict[str, Any]) -> None:
    """Even if no write has a reply, the deployment goes on as long as less and less is left."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        return replace(send(), cut="before") if seen.is_write else send()

    project.cloud.rules = [rule]
    assert project.apply() == FIRST
    assert project.state() == wanted_state


RACES = {
    "CreateRole": "InvalidParameter.RoleNameInUse",
    "CreatePolicy": "FailedOperation.PolicyNameInUse",
    "AttachRolePolicy": "InvalidParameter.RoleNotExist",
    "CreateFunction": "ResourceInUse.Function",
    "UpdateFunctionEventInvokeConfig": "ResourceNotFound.Function",
    "CreateTrigger": "ResourceInUse.Cos",
}


@pytest.mark.parametrize("action", RACES)
def test_race(project: Project, wanted_state: dict[str, Any], action: str) -> None:
    """If something is there already, or not there yet, the account is read again."""
    refusals = [refusal(RACES[action])]

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        if seen.action != action or not refusals:
            return send()
        if "InUse" in RACES[action]:
            send()
        return refusals.pop()

    project.cloud.rules = [rule]
    assert project.apply() == FIRST
    assert project.state() == wanted_state


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("number", range(len(FIRST)))
def test_interrupted(
    project: Project,
    wanted_state: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    *,
    is_done: bool,
) -> None:
    """After Ctrl-C at any call, what is done is said, and the next start goes on from there."""
    left = number

    def interrupted(cloud: Cloud, call: Call) -> dict[str, Any]:
        nonlocal left
        left -= bool(call.says)
        reply = Cloud.__call__(cloud, call) if is_done or left >= 0 else {}
        if left < 0:
            raise KeyboardInterrupt
        return reply

    with monkeypatch.context() as patched:
        patched.setattr("scf_deploy.cli.Cloud", type("Cut", (Cloud,), {"__call__": interrupted}))
        stopped = project("apply")
    assert stopped.status == 1
    assert ("creates the role" in stopped.err) == (number > 0)
    first = project.writes()
    assert first == FIRST[: number + is_done]
    assert first + project.apply() == FIRST
    assert project.state() == wanted_state


# --- Changes ---

ENVIRONMENT, CONFIGURATION = "STEWARD_MAX_CHANGES: '200'", "UpdateFunctionConfiguration"
RESERVE = "PutReservedConcurrencyConfig"
TIMER = """    - timer:
        parameters:
          name: hourly
          cronExpression: '0 0 * * * * *'
          enable: true
"""
ENABLED = "enable: true\n          # a document"
"""Of the timer."""
CHANGES = {
    "prefix": ("prefix: requests/", "prefix: in/", ["DeleteTrigger", "CreateTrigger"]),
    "event": ("ObjectCreated:*", "ObjectCreated:Put", ["DeleteTrigger", "CreateTrigger"]),
    "COS trigger off": (
        "enable: true\n    - timer", "enable: false\n    - timer", ["UpdateTriggerStatus"]),
    "variable": (ENVIRONMENT, "STEWARD_MAX_CHANGES: '7'", [CONFIGURATION]),
    "variable removed": (f"      {ENVIRONMENT}\n", "", [CONFIGURATION]),
    "variable added": (ENVIRONMENT, f"{ENVIRONMENT}\n      ANOTHER: '1'", [CONFIGURATION]),
    "description": ("  type: event\n", "  description: Names images.\n", [CONFIGURATION]),
    "memory": ("memorySize: 128", "memorySize: 256", [CONFIGURATION]),
    "cron": ("0 17 3 * * * *", "0 18 3 * * * *", ["UpdateTrigger"]),
    "argument": ('policies/nightly.json"}', 'policies/other.json"}', ["UpdateTrigger"]),
    "timer off": (ENABLED, ENABLED.replace("true", "false"), ["UpdateTrigger"]),
    "timer added": ("  events:\n", f"  events:\n{TIMER}", ["CreateTrigger"]),
    "timer renamed": ("name: nightly", "name: daily", ["DeleteTrigger", "CreateTrigger"]),
    "retries": ("retryNum: 1", "retryNum: 0", ["UpdateFunctionEventInvokeConfig"]),
    "age": ("msgTTL: 21600", "msgTTL: 600", ["UpdateFunctionEventInvokeConfig"]),
    "reserved": ("reservedConcurrencyMem: 256", "reservedConcurrencyMem: 512", [RESERVE]),
    "stopped": ("reservedConcurrencyMem: 256", "reservedConcurrencyMem: 0", [RESERVE]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_change(deployed: Project, change: str) -> None:
    """A change of the file is a line of the plan, and makes exactly the calls that it needs."""
    old, new, calls = CHANGES[change]
    deployed.edit(old, new)
    assert len(deployed.changes()) == (2 if change == "timer renamed" else 1)
    assert deployed.apply() == calls
    assert deployed("plan").status == 0


def test_trigger_removed(deployed: Project) -> None:
    """A trigger that the file does not have any more is deleted."""
    text = deployed.file.read_text(encoding="utf-8")
    deployed.edit(text[text.index("    - timer:") :], "")
    assert deployed.apply() == ["DeleteTrigger"]
    assert [each["Type"] for each in deployed.function()["Triggers"]] == ["cos"]


def test_changed_code(deployed: Project) -> None:
    """Other code is one call; with other settings, events wait until both are there."""
    deployed.write("def main_handler(event, context): return 1\n")
    assert deployed.apply() == ["UpdateFunctionCode"]
    deployed.write(CODE)
    deployed.edit(ENVIRONMENT, "STEWARD_MAX_CHANGES: '7'")
    assert deployed.apply() == [RESERVE, "UpdateFunctionCode", CONFIGURATION, RESERVE]
    assert deployed.function()["ReservedMem"] == 256
    assert deployed("plan").status == 0


@pytest.mark.parametrize(
    ("name", "old", "new", "call"),
    [
        ("policy.json", "name/cos:PutObject", "name/cos:PostObject", "UpdatePolicy"),
        ("trust.json", "scf.qcloud.com", "scf.*.qcloud.com", "UpdateAssumeRolePolicy"),
    ],
)
def test_changed_document(deployed: Project, name: str, old: str, new: str, call: str) -> None:
    """Another policy or trust policy is one call."""
    path = deployed.folder / "deploy" / name
    text = path.read_text(encoding="utf-8")
    more = text.replace(f'"{old}"', f'"{old}", "{new}"')
    assert more != text
    path.write_text(more, encoding="utf-8")
    assert deployed.apply() == [call]
    assert deployed("plan").status == 0


def test_unchangeable(deployed: Project) -> None:
    """Another runtime is refused before anything is changed, with the two ways there are."""
    deployed.edit(RUNTIME, "Python3.12" if RUNTIME != "Python3.12" else "Python3.13")
    refused = deployed("apply")
    assert refused.status == 1
    assert f"{NAME} has Runtime {RUNTIME}, which SCF cannot change" in refused.err
    assert deployed.writes() == []


# --- An account that others have changed ---


def test_drift(deployed: Project, wanted_state: dict[str, Any]) -> None:
    """What was changed by hand is shown, and mended; then the account is as before."""
    cos, scf, cam = (
        client_of(deployed.cloud),
        ScfClient(deployed.cloud),
        SdkClient(deployed.cloud, "cam"),
    )
    cos.put_bucket_acl(Bucket=BUCKET, ACL="public-read")
    cos.put_bucket_versioning(Bucket=BUCKET, Status="Suspended")
    named = {"FunctionName": NAME}
    scf("PutReservedConcurrencyConfig", **named, ReservedConcurrencyMem=0)
    timer = {"TriggerName": "extra", "Type": "timer", "TriggerDesc": "0 0 * * * * *"}
    scf("CreateTrigger", **named, **timer, Qualifier="$DEFAULT")
    scf("UpdateFunctionConfiguration", **named, Timeout=60)
    scf.move(10)
    cam("UpdatePolicy", PolicyName=NAME, PolicyDocument=document(allow("cos:*")))
    cam("DetachRolePolicy", DetachRoleName=NAME, PolicyName=NAME)
    deployed.writes()
    assert deployed("plan").status == 3
    assert [(line["Verb"], line["What"], line.get("Old")) for line in deployed.changes()] == [
        ("change", f"policy {NAME}", "cos:* on *"),
        ("create", "attachment", None),
        ("change", f"bucket {BUCKET}", "open to others, versions off"),
        ("change", "time limit", "60 s"),
        ("change", "concurrency", "0 MB: it does not run"),
        (
            "delete",
            "trigger timer extra",
            "cron 0 0 * * * * *, argument none, qualifier $DEFAULT, on",
        ),
    ]
    assert deployed("check").status == 1
    assert sorted(deployed.apply()) == sorted([
        *("UpdatePolicy", "AttachRolePolicy", "PutBucketACL", "PutBucketVersioning"),
        *("DeleteTrigger", CONFIGURATION, RESERVE),
    ])  # fmt: skip
    assert deployed.state() == wanted_state


def test_somebody_else(deployed: Project) -> None:
    """If somebody changes something else meanwhile, that is not undone, but said."""
    deployed.edit(ENVIRONMENT, "STEWARD_MAX_CHANGES: '7'")
    scf = ScfClient(deployed.cloud)

    def meddling(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        if seen.action == CONFIGURATION:
            deployed.cloud.rules = []
            function = scf.cloud.state.functions.by_name[deploying.REGION, NAME]
            function.retries = 0
        return reply

    deployed.cloud.rules = [meddling]
    stopped = deployed("apply")
    assert stopped.status == 1
    assert "somebody else changes the same things: retries; run it again" in stopped.err
    assert deployed.writes() == [CONFIGURATION]


def test_trigger_of_somebody_else(deployed: Project) -> None:
    """A trigger that somebody makes meanwhile is not deleted, though the bucket has another."""
    deployed.edit("enable: true\n    - timer", "enable: false\n    - timer")
    rule = '{"event": "cos:ObjectCreated:*", "filter": {"Prefix": "theirs/"}}'

    def meddling(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        if seen.action == "UpdateTriggerStatus":
            triggers = deployed.cloud.state.functions.by_name[deploying.REGION, NAME].triggers
            (ours,) = (each for each in triggers if each.kind == "cos")
            triggers.append(replace(ours, description=rule))
        return reply

    deployed.cloud.rules = [meddling]
    stopped = deployed("apply")
    assert stopped.status == 1
    assert f"somebody else changes the same things: trigger cos {BUCKET}" in stopped.err
    assert "theirs/" in str(deployed.function()["Triggers"])


ACL = """<AccessControlPolicy><Owner><ID>qcs::cam::uin/1:uin/1</ID></Owner><AccessControlList>{}
</AccessControlList></AccessControlPolicy>"""
GRANT = "<Grant><Grantee><ID>{}</ID></Grantee><Permission>WRITE</Permission></Grant>"


@pytest.mark.parametrize(
    ("grants", "is_private"),
    [
        (["qcs::cam::uin/1:uin/1"], True),
        (["qcs::cam::uin/1:uin/1", "qcs::cam::uin/1:uin/7"], True),
        (["qcs::cam::uin/1:uin/1", "qcs::cam::uin/2:uin/2"], False),
        (["qcs::cam::anyone:anyone"], False),
    ],
)
def test_grants(deployed: Project, grants: list[str], *, is_private: bool) -> None:
    """A bucket is private only if no other account has a right by its access list."""
    body = ACL.format("".join(map(GRANT.format, grants))).encode()
    deployed.cloud.rules = [
        lambda seen, send: Reply(200, {}, body) if seen.action == "GetBucketACL" else send()
    ]
    assert deployed("plan").status == (0 if is_private else 3)


@pytest.mark.parametrize("limit", ["256", "0"])
def test_check_of_a_stopped_function(deployed: Project, limit: str) -> None:
    """It is not said that apply starts a stopped function if the file stops it, too."""
    deployed.edit("reservedConcurrencyMem: 256", f"reservedConcurrencyMem: {limit}")
    scf = ScfClient(deployed.cloud)
    scf("PutReservedConcurrencyConfig", FunctionName=NAME, ReservedConcurrencyMem=0)
    checked = deployed("check")
    assert checked.status == 1
    assert "it does not run, and events wait; scf-deploy apply starts it if" in checked.out


def test_names_that_a_terminal_obeys(deployed: Project) -> None:
    """Names from the account are made harmless in what `check` prints, too."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        if seen.action != "ListTriggers":
            return send()
        name = "\x1b[2J\nok    function    Active"
        return altered(send(), lambda r: [each.update(TriggerName=name, Enable=0) for each in
                                          r["Triggers"] if each["Type"] == "timer"])  # fmt: skip

    deployed.cloud.rules = [rule]
    checked = deployed("check")
    assert "\x1b" not in checked.out + checked.err
    assert checked.out.count("\nok    function") == 1


# --- Destroy ---


def test_destroy(deployed: Project) -> None:
    """What the deployment has made is removed; the bucket stays, with the journal."""
    client_of(deployed.cloud).put_object(Bucket=BUCKET, Key="journal/1.json", Body=b"{}")
    deployed.writes()
    assert deployed("destroy").status == 0
    assert deployed.writes() == [
        *("DeleteTrigger", "DeleteTrigger", "DeleteFunction"),
        *("DetachRolePolicy", "DeleteRole", "DeletePolicy"),
    ]
    state = deployed.state()
    assert state["Objects"] == {BUCKET: ["journal/1.json"]}
    assert [state[name] for name in ("Functions", "Roles", "Policies")] == [{}, {}, {}]
    assert (deployed("destroy").status, deployed.writes()) == (0, [])
    assert deployed("check").status == 1


@pytest.mark.parametrize("number", range(6))
def test_destroy_interrupted(deployed: Project, number: int) -> None:
    """After any reply that is lost, the rest is removed."""
    deployed.cloud.rules = [cut_at(number, is_done=True)]
    assert deployed("destroy").status == 0
    assert len(deployed.writes()) == 6
    assert (deployed.state()["Functions"], deployed.state()["Policies"]) == ({}, {})


@pytest.mark.parametrize("other", ["another policy", "another role"])
def test_destroy_shared(deployed: Project, other: str) -> None:
    """A role with another policy, or a policy of another role, stays with all it has."""
    cam = SdkClient(deployed.cloud, "cam")
    if other == "another policy":
        cam("CreatePolicy", PolicyName=other[:7], PolicyDocument=document(allow("cos:*")))
        cam("AttachRolePolicy", AttachRoleName=NAME, PolicyName=other[:7])
    else:
        cam("CreateRole", RoleName=other[:7], PolicyDocument=SCF_TRUST)
        cam("AttachRolePolicy", AttachRoleName=other[:7], PolicyName=NAME)
    before = deployed.state()
    deployed.writes()
    gone = deployed("destroy")
    assert gone.out.count("it may have other uses") == 3
    assert deployed.writes() == ["DeleteTrigger", "DeleteTrigger", "DeleteFunction"]
    after = deployed.state()
    assert all(after[name] == before[name] for name in ("Roles", "Policies", "Trust"))


# --- Failures ---


def test_create_failed(project: Project, wanted_state: dict[str, Any]) -> None:
    """SCF's reasons are shown; once the cause is gone, the function is made anew."""
    project.write("import json\n")

    def failing(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        if seen.action == "CreateFunction":
            project.cloud.state.functions.by_name[deploying.REGION, NAME].failure = "no disk"
        return reply

    project.cloud.rules = [failing]
    failed = project("apply")
    assert failed.status == 1
    assert "the function is CreateFailed: InvalidParameterValue.Handler: no disk" in failed.err
    assert "Done so far: creates the role" in failed.err
    assert project.writes() == FIRST[:6]
    project.cloud.rules = []
    project.write(CODE)
    assert project.apply() == ["DeleteFunction", *FIRST[5:]]
    assert project.state() == wanted_state


def test_update_failed(deployed: Project) -> None:
    """If the last call is a change that SCF cannot deploy, its reasons are shown."""
    deployed.edit(ENVIRONMENT, "STEWARD_MAX_CHANGES: '7'")

    def failing(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        if seen.action == CONFIGURATION:
            function = deployed.cloud.state.functions.by_name[deploying.REGION, NAME]
            function.failure = "no disk"
        return reply

    deployed.cloud.rules = [failing]
    failed = deployed("apply")
    assert failed.status == 1
    assert "the function is UpdateFailed: InvalidParameterValue.Handler: no disk" in failed.err
    assert deployed("check").status == 1
    deployed.cloud.rules = []
    deployed.edit("STEWARD_MAX_CHANGES: '7'", "STEWARD_MAX_CHANGES: '8'")
    assert deployed.writes() + deployed.apply() == [CONFIGURATION, CONFIGURATION]
    assert (deployed("plan").status, deployed("check").status) == (0, 0)


def test_never_active(project: Project) -> None:
    """A function that stays Creating is waited for until a limit, and not more."""

    def creating(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        status = {"Status": "Creating"}
        return altered(reply, lambda r: r.update(status)) if seen.action == "GetFunction" else reply

    project.cloud.rules = [creating]
    before = project.cloud.state.moved
    stopped = project("apply")
    assert stopped.status == 1
    assert "the function is still Creating after 120 s; run it again" in stopped.err
    assert project.cloud.state.moved - before < 130
    project.cloud.rules = []
    assert project.writes() + project.apply() == FIRST


def test_not_kept(deployed: Project) -> None:
    """If a change is accepted but not kept, that is said after another try."""
    deployed.edit("retryNum: 1", "retryNum: 0")

    def forgetful(seen: Seen, send: Callable[[], Reply]) -> Reply:
        is_it = seen.action == "UpdateFunctionEventInvokeConfig"
        return answer({}) if is_it else send()

    deployed.cloud.rules = [forgetful]
    stopped = deployed("apply")
    assert stopped.status == 1
    assert "the cloud does not keep what it gets: retries" in stopped.err


@pytest.mark.parametrize(
    "right", ["scf:CreateTrigger", "cam:CreateRole", "cos:PutBucketVersioning"]
)
def test_missing_right(project: Project, wanted_state: dict[str, Any], right: str) -> None:
    """Without a right, it stops there with the API's code and request, and later goes on."""
    statements = allow("*"), allow(right, effect="deny")
    project.keys = keys_for(project.cloud.state, *statements)
    stopped = project("apply")
    assert stopped.status == 1
    assert re.search(r"(UnauthorizedOperation|AccessDenied).*\(request [\w-]+\)", stopped.err)
    assert "your keys lack this right" in stopped.err
    done = project.writes()
    assert done == FIRST[: FIRST.index(right.partition(":")[2])]
    project.keys = None
    assert done + project.apply() == FIRST
    assert project.state() == wanted_state


def test_wrong_keys(project: Project) -> None:
    """Wrong keys stop it at the first call, with the API's own words."""
    project.keys = AccountCredentials("AKIDWRONG", "wrong", "")
    for command in ("plan", "apply", "check", "destroy"):
        stopped = project(command)
        assert stopped.status == 1
        assert "GetUserAppId: AuthFailure." in stopped.err
        assert "check your keys, and the clock" in stopped.err
    assert project.writes() == []


def test_usage_errors(project: Project, tmp_path: Path) -> None:
    """Missing keys, and a file that is not there or wrong, end with 2."""
    project.keys = AccountCredentials("", "", "")
    assert project("plan", HOME=str(tmp_path)).status == 2
    project.keys = None
    project.edit("component: scf", "component: other")
    assert project("plan").status == 2
    project.file.unlink()
    assert project("apply").status == 2


def test_secrets(deployed: Project) -> None:
    """The values of variables that look like secrets are never printed, before or after."""
    for value in ("hush-1", "hush-2"):
        text = deployed.file.read_text(encoding="utf-8")
        line = next(
            x for x in text.splitlines() if x.strip().startswith(("API_TOKEN", "STEWARD_DRY"))
        )
        deployed.edit(line, f"      API_TOKEN: {value}")
        for command in ("plan", "apply", "check"):
            done = deployed(command)
            assert "hush" not in done.out + done.err
        as_json = deployed("plan", "--json")
        assert "hush" not in as_json.out
        variables = deployed.function()["Environment"]["Variables"]
        assert {"Key": "API_TOKEN", "Value": value} in variables


def test_secret_in_a_refusal(deployed: Project) -> None:
    """A refusal that quotes a secret of the call is shown without it."""
    deployed.edit(ENVIRONMENT, "API_TOKEN: hunter2")
    deployed.edit('{"Document": "cos:', '{"password": "hunter3", "Document": "cos:')
    argument = deployed.trigger("timer")["CustomArgument"].replace("{", '{"password": "hunter3", ')
    reasons = {CONFIGURATION: "hunter2 is too long", "UpdateTrigger": f"{argument} is wrong"}

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        error = {"Code": "InvalidParameter", "Message": f"7 errors: {reasons.get(seen.action)}"}
        return answer({"Error": error}) if seen.action in reasons else send()

    deployed.cloud.rules = [rule]
    for _ in range(2):  # first the settings, then the timer
        stopped = deployed("apply")
        assert "InvalidParameter: 7 errors: " in stopped.err
        assert "hunter" not in stopped.err
        reasons.pop(CONFIGURATION, None)


def test_objects_of_a_trigger_that_stays(deployed: Project) -> None:
    """Only objects are named that a new trigger was too late for, not those of others."""
    cos = client_of(deployed.cloud)
    for key in ("requests/1.json", "more/2", "gone/3"):
        cos.put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    text = deployed.file.read_text(encoding="utf-8")
    one = text[text.index("    - cos:") : text.index("    - timer:")]
    more = one.replace("requests/", "more/").replace("suffix: .json", "suffix: ''")
    gone = more.replace("more/", "gone/").replace("ObjectCreated:*", "ObjectRemove:*")
    deployed.edit(one, one + more + gone)
    done = deployed("apply")
    assert "more/2" in done.err
    assert "requests/1.json" not in done.err
    assert "gone/3" not in done.err


# --- Replies that tell nothing, or the wrong thing ---


@pytest.mark.parametrize(
    ("action", "change"),
    [
        ("GetUserAppId", lambda r: r.pop("AppId")),
        ("GetUserAppId", lambda r: r.update(AppId=None)),
        ("GetUserAppId", lambda r: r.update(OwnerUin='"')),
        ("GetFunction", lambda r: r.pop("Handler")),
        ("GetFunctionAddress", lambda r: (r.pop("Url"), r.pop("CodeSha256"))),
        ("ListTriggers", lambda r: r["Triggers"][0].pop("Type")),
        ("ListTriggers", lambda r: r["Triggers"][0].update(TriggerDesc="{")),
        ("GetRole", lambda r: r.update(RoleInfo=None)),
        ("GetPolicy", lambda r: r.update(PolicyDocument="{")),
    ],
)
def test_half_a_reply(
    deployed: Project, action: str, change: Callable[[dict[str, Any]], object]
) -> None:
    """A reply without what it must have ends with an error, and nothing is changed."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        return altered(send(), change) if seen.action == action else send()

    deployed.cloud.rules = [rule]
    for command in ("plan", "apply"):
        stopped = deployed(command)
        assert stopped.status == 1
        assert "a reply is not as documented" in stopped.err
    assert deployed.writes() == []


def test_code_is_no_zip_file(deployed: Project) -> None:
    """If what SCF says is the code cannot be read, the code counts neither as same nor as other."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        if seen.action == "GetFunctionAddress":
            return altered(send(), lambda r: r.update(CodeSha256=""))
        return Reply(200, {}, b"<html>") if seen.action == "GetObject" else send()

    deployed.cloud.rules = [rule]
    stopped = deployed("plan")
    assert stopped.status == 1
    assert "BadZipFile: a reply is not as documented" in stopped.err


XML = """<Error><Code>{}</Code><Message>Not yours.</Message><Resource>/</Resource>
<RequestId>NjQ=</RequestId><TraceId>OGE=</TraceId></Error>"""


@pytest.mark.parametrize(
    ("action", "status", "body", "told"),
    [
        ("HeadBucket", 403, "", "HeadBucket: HTTP403: the reply has no reason. Advice: your keys"),
        ("HeadBucket", 503, "", "HeadBucket: HTTP503: the reply has no reason"),
        ("PutBucket", 409, XML.format("BucketAlreadyExists"),
         "PutBucket: BucketAlreadyExists: Not yours. (request NjQ=). Advice: the bucket is in an"),
        ("PutBucket", 503, XML.format("SlowDown"), "PutBucket: SlowDown: Not yours. (request"),
        ("PutBucket", 502, "<html>", "PutBucket: HTTP502: the reply has no reason"),
        ("GetUserAppId", 502, "<html>\x1b[1m", "GetUserAppId: ServerNetworkError: <html>�[1m\n"),
        ("CreateFunction", 200, "[]", "CreateFunction: ServerNetworkError: the reply is not the"),
        ("CreateFunction", 200, '{"Response": {}}', "CreateFunction: ServerNetworkError: the"),
    ],
)  # fmt: skip
def test_refused_for_ever(project: Project, action: str, status: int, body: str, told: str) -> None:
    """What does not get better ends within two minutes, with what the reply says and no more."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        return Reply(status, {}, body.encode()) if seen.action == action else send()

    project.cloud.rules = [rule]
    before = project.cloud.state.moved
    stopped = project("apply")
    assert stopped.status == 1
    assert told in stopped.err
    assert action not in project.writes()
    assert project.cloud.state.moved - before < 120


def test_nobody_there(project: Project) -> None:
    """Without a connection, it says which call has failed."""
    stopped = project("plan", "--endpoint", "http://127.0.0.1:9")
    assert stopped.status == 1
    assert "\nWaiting 16 s: GetUserAppId: ClientNetworkError: " in stopped.err
    assert "scf-deploy: GetUserAppId: ClientNetworkError: " in stopped.err


@pytest.mark.parametrize("option", ["--endpoint", "--cos-endpoint"])
@pytest.mark.parametrize("value", ["localhost:8080", "127.0.0.1", "ftp://127.0.0.1", "http://"])
def test_endpoint_is_no_url(project: Project, option: str, value: str) -> None:
    """What is not a URL is refused: the SDKs would go to the real cloud instead."""
    refused = project("apply", option, value)
    assert refused.status == 2
    assert f"{value} is not a URL" in refused.err


@pytest.mark.parametrize("value", ["http://me:hunter2@127.0.0.1", "http://127.0.0.1/path"])
def test_endpoint_with_more(project: Project, value: str) -> None:
    """A password would take the signature's place, and a path would be lost: both are refused."""
    for option in ("--endpoint", "--cos-endpoint"):
        refused = project("plan", option, value)
        assert refused.status == 2
        assert "hunter2" not in refused.err
    assert project("plan", "--endpoint", f"{project.cloud.url}/").status == 3


def test_signed_url(project: Project) -> None:
    """The signature of a URL from which the code could not be loaded is not printed."""
    call = Call("url", "GetObject", {"Url": "http://127.0.0.1:9/code.zip?sign=hunter2"})
    with pytest.raises(CloudError) as caught:
        Cloud(project.cloud.credentials, deploying.REGION)(call)
    assert "/code.zip?…" in str(caught.value)


def test_hosts(project: Project) -> None:
    """In an endpoint, service and region are filled in; CAM has no regions, buckets their own."""
    hosts = set()

    def noted(seen: Seen, send: Callable[[], Reply]) -> Reply:
        hosts.add(seen.host)
        return send()

    project.cloud.rules = [noted]
    endpoint = "http://{service}.{region}.tencentcloudapi.com"
    proxy = {"HTTP_PROXY": project.cloud.url, "NO_PROXY": "127.0.0.1"}
    assert project("plan", "--endpoint", endpoint, **proxy).status == 3
    assert hosts == {
        "cam.tencentcloudapi.com",
        f"scf.{deploying.REGION}.tencentcloudapi.com",
        f"{BUCKET}.cos.{deploying.REGION}.myqcloud.com",
    }


REASONS = {
    "FailedOperation.QcsRoleNotFound": "open SCF's console once, and create its role SCF_QcsRole",
    "ResourceNotFound.Role": "the run role must exist, and trust scf.qcloud.com",
    "InvalidParameter.RoleCheck": "the run role must exist, and trust scf.qcloud.com",
    "InvalidParameterValue.Runtime": "the region lacks this runtime",
    "InvalidParameterValue.Cls": "open the console of CLS once",
    "InvalidParameterValue.CosNotifyRuleConflict": "another rule of the bucket has these objects",
    "ResourceInUse.Cos": "another rule of the bucket has these objects",
    "UnauthorizedOperation.CAM": "your keys lack this right",
    "AuthFailure.UnauthorizedOperation": "your keys lack this right",
    "AuthFailure.SignatureExpire": "set this machine's clock",
    "ResourceUnavailable.InsufficientBalance": "the account is in arrears",
    "LimitExceeded.Function": "it is a quota of the account",
    "OperationDenied.Unheard": "",
}


@pytest.mark.parametrize("code", REASONS)
def test_reasons(project: Project, code: str) -> None:
    """A refusal is shown in the API's own words, with advice, after what is done so far."""
    action = "CreateFunction"
    project.cloud.rules = [lambda seen, send: refusal(code) if seen.action == action else send()]
    stopped = project("apply")
    assert stopped.status == 1
    advice = REASONS[code] and f". Advice: {REASONS[code]}"
    told = f"scf-deploy: {action}: {code}: Refused by a rule. (request 00000000-relayed){advice}"
    assert told in stopped.err
    assert stopped.err.endswith("\n" if advice else f"{told}\n")
    done = "creates the role image-steward; writes the policy image-steward; attaches the policy"
    assert f"Done so far: {done}" in stopped.err
    assert project.writes() == FIRST[:5]


def test_bucket_elsewhere(project: Project) -> None:
    """A bucket of the same name in another region stops the deployment with that advice."""
    state = project.cloud.state
    state.objects[BUCKET], state.buckets[BUCKET] = {}, Bucket("ap-shanghai")
    stopped = project("apply")
    assert stopped.status == 1
    assert re.search(
        r"PutBucket: BucketAlready.*Advice: the bucket is in another region", stopped.err
    )
