"""The run role in the emulated cloud: deploy/policy.json is enough for all that the function does.

Each right in it is needed: without it, exactly what needs it fails.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from qcloud_cos import CosServiceError

from conftest import ROOT, Function, cos_event
from cos_client import client_of
from packer import build, manifest
from roles import document, role_of, session_of
from scf_local.cloud.cam import policies
from scf_local.cloud.cam.model import SCF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scf_local.credentials import AccountCredentials

BUCKET, REGION = "manifests-1250000000", "ap-guangzhou"
SETTINGS: dict[str, str] = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))[
    "inputs"
]["environment"]["variables"]
TRUST = (ROOT / "deploy/trust.json").read_text(encoding="utf-8")
POLICY = json.loads((ROOT / "deploy/policy.json").read_text(encoding="utf-8"))
CODES = {
    "cvm": "UnauthorizedOperation",
    "tag": "AuthFailure.UnauthorizedOperation",
    "cos": "AccessDenied",
}
Statement = dict[str, Any]


def rights_of(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Return a statement for each action and resource, by a short name of it."""
    return {
        f"{action.removeprefix('name/')} {resource.rpartition(':')[2]}": {
            "effect": "allow",
            "action": action,
            "resource": resource,
        }
        for statement in statements
        for action in statement["action"]
        for resource in statement["resource"]
    }


RIGHTS = rights_of(POLICY["statement"])
READ, MODIFY = "cvm:DescribeImages *", "cvm:ModifyImageAttribute image/*"
TAG, UNTAG = "tag:TagResources *", "tag:UnTagResources *"
REQUEST, NIGHTLY, JOURNAL = (
    f"cos:{name} {BUCKET}/{prefix}/*"
    for name, prefix in (
        ("GetObject", "requests"), ("GetObject", "policies"), ("PutObject", "journal"),
    )
)  # fmt: skip


def keys_with(function: Function, *statements: Statement) -> AccountCredentials:
    """Return the keys of a session of the run role with these statements as its policy."""
    role = role_of(document(*statements), trust=TRUST)
    assert role.trusts(SCF)
    return session_of(function.cloud.state, role)


def use(function: Function, *statements: Statement) -> AccountCredentials:
    """Let the function run with the keys of a session that has these statements only."""
    keys = keys_with(function, *statements)
    function.environ = {**function.cloud.network(), **SETTINGS, **keys.scf_variables()}
    return keys


@pytest.fixture
def function(function: Function) -> Function:
    """The function with the run role, the shipped settings, and some images."""
    tags = [{"Key": "team", "Value": "a"}]
    images = [
        {"ImageId": f"img-0000000{i}", "ImageName": f"web-{i}", "ImageFamily": "web",
         "CreatedTime": f"2025-0{i}-01T00:00:00Z", "Tags": tags}
        for i in range(1, 4)
    ]  # fmt: skip
    function.hold(*images)
    function.hold({**images[0], "ImageName": "shanghai"}, region="ap-shanghai")
    use(function, *RIGHTS.values())
    return function


ONE = {"ImageId": "img-00000001"}
RENAME = {**ONE, "ImageName": "new"}


def uploaded(content: object) -> Callable[[Function], object]:
    """Return what uploads a document to `requests/`, and returns the event."""
    return lambda function: function.uploaded(content)


def by_timer(function: Function) -> object:
    """The timer's event, whose policy changes images in both regions."""
    normalise = {"Regions": [REGION, "ap-shanghai"], "ImageName": "{ImageFamily}-{Tag.team}"}
    function.put("policies/nightly.json", {"Normalise": normalise})
    message = json.dumps({"Document": f"cos://{BUCKET}/policies/nightly.json"})
    return {"Type": "Timer", "TriggerName": "nightly", "Time": "", "Message": message}


def older_version(function: Function) -> object:
    """The event of an upload that another one has replaced since."""
    account = client_of(function.cloud)
    account.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    upload = {"Bucket": BUCKET, "Key": "requests/x.json"}
    reply = account.put_object(**upload, Body=json.dumps(RENAME).encode())
    account.put_object(**upload, Body=b"{}")
    event = cos_event("requests/x.json")
    event["Records"][0]["cos"]["cosObject"]["vid"] = reply["x-cos-version-id"]
    return event


def undo(function: Function) -> object:
    """The event of a journal object that was copied to `requests/`."""
    assert function(RENAME)["Outcome"] == "applied"
    objects = function.cloud.state.objects[BUCKET]
    (data,) = [
        each.content
        for key, each in objects.items()
        if key.startswith("journal/") and not key.endswith("-result.json")
    ]
    return function.uploaded(data)


CHANGE = {REQUEST, READ, MODIFY, JOURNAL}
LABELS = {"ImageName": "built", "ImageFamily": "web", "Tag.run": "1", "KeepLatest": "1"}
RUNS: dict[str, tuple[Callable[[Function], object], set[str]]] = {
    "rename": (uploaded(RENAME), CHANGE),
    "family": (uploaded({**ONE, "ImageFamily": "x", "ImageDescription": "y"}), CHANGE),
    "deprecation": (uploaded({**ONE, "ImageDeprecated": True}), CHANGE),
    "expect": (uploaded({**RENAME, "Expect": {"ImageName": "web-1"}}), CHANGE),
    "tag set": (
        uploaded({**ONE, "Tags": [{"Key": "a", "Value": "1"}]}), {REQUEST, READ, TAG, JOURNAL}),
    "tag removed": (uploaded({**ONE, "DeleteTags": ["team"]}), {REQUEST, READ, UNTAG, JOURNAL}),
    "all of it": (
        uploaded({**RENAME, "Tags": [{"Key": "a", "Value": "1"}], "DeleteTags": ["team"]}),
        CHANGE | {TAG, UNTAG}),
    "other region": (uploaded({"Images": [{**RENAME, "Region": "ap-shanghai"}]}), CHANGE),
    "manifest": (
        uploaded(manifest(build(LABELS, artifact_id=f"{REGION}:img-00000003"))), CHANGE | {TAG}),
    "policy": (by_timer, {NIGHTLY, READ, MODIFY, JOURNAL}),
    "version": (older_version, CHANGE),
    "undo": (undo, CHANGE),
    "direct": (lambda _: RENAME, {READ, MODIFY, JOURNAL}),
    "dry run": (uploaded({**RENAME, "DryRun": True}), {REQUEST, READ}),
}  # fmt: skip
"""What the function can do: each run's event, and the rights that it needs."""


def check_result(function: Function, result: dict[str, Any], former: dict[str, Any]) -> None:
    """Check that what a result says was changed was changed, and that its Undo undoes it all."""
    changed = [image for image in result["Images"] if image["Status"] == "changed"]
    assert result["Summary"]["Changed"] == len(changed)
    for image in changed:
        now = function.image(image["ImageId"], image["Region"])
        assert image["After"] != image["Before"]
        assert now.get("ImageName") == image["After"].get("ImageName", now["ImageName"])
    use(function, *RIGHTS.values())
    if result["Undo"]["Images"]:
        assert function(result["Undo"])["Outcome"] == "applied"
    assert function.images == former


def test_rights_have_names() -> None:
    """The names of rights above are those of the policy, all of them."""
    assert RIGHTS.keys() == {READ, MODIFY, TAG, UNTAG, REQUEST, NIGHTLY, JOURNAL}
    assert set.union(*(needed for _, needed in RUNS.values())) == RIGHTS.keys()


@pytest.mark.parametrize("run", RUNS)
@pytest.mark.parametrize("missing", ["nothing", *RIGHTS])
def test_each_right_is_enough_and_needed(function: Function, run: str, missing: str) -> None:
    """With all rights each run succeeds; without one, those fail that need it, and say why."""
    event_of, needed = RUNS[run]
    event = event_of(function)
    former = function.images
    use(function, *(each for name, each in RIGHTS.items() if name != missing))
    function.cloud.state.calls.clear()
    result = function(event)
    denied = {call["Outcome"] for call in function.calls()} - {"ok"}
    failed = any(line["Event"] == "journal.failed" for line in function.lines)
    if missing in needed:
        action = missing.split(maxsplit=1)[0]
        (code,) = denied
        assert code == CODES[action.partition(":")[0]]
        assert result["Outcome"] in {"rejected", "partial"}
        assert result["Summary"]["Changed"] == 0
        entries = [each for each in [*result["Errors"], *result["Images"]] if "Code" in each]
        assert {each["Code"] for each in entries} - {"Stopped"} == {code}
        assert all(action in each["Message"] for each in entries)
        assert failed == (missing == JOURNAL)
    else:
        assert result["Outcome"] == ("planned" if run == "dry run" else "applied")
        assert failed == (missing == JOURNAL)  # a dry run's result cannot be stored
        assert result["Errors"] == []
    check_result(function, result, former)


NARROWER = {
    "other image": (MODIFY, "qcs::cvm::uin/100000000001:image/img-00000002"),
    "other region": (MODIFY, "qcs::cvm:ap-shanghai:uin/100000000001:image/*"),
    "other account": (MODIFY, "qcs::cvm::uin/100000000002:image/*"),
    "one image of a list": (READ, "qcs::cvm::uin/100000000001:image/img-00000001"),
    "tags of images": (TAG, "qcs::cvm::uin/100000000001:image/*"),
    "no tags of images": (UNTAG, "qcs::cvm::uin/100000000001:image/*"),
    "other requests": (REQUEST, f"qcs::cos:{REGION}:uid/1250000000:{BUCKET}/requests/web/*"),
    "requests elsewhere": (REQUEST, f"qcs::cos:ap-shanghai:uid/1250000000:{BUCKET}/requests/*"),
    "uin instead of uid": (REQUEST, f"qcs::cos:{REGION}:uin/1250000000:{BUCKET}/requests/*"),
    "only the folder": (JOURNAL, f"qcs::cos:{REGION}:uid/1250000000:{BUCKET}/journal/"),
    "other journal": (JOURNAL, f"qcs::cos:{REGION}:uid/1250000001:{BUCKET}/journal/*"),
}


@pytest.mark.parametrize("case", NARROWER)
def test_narrower_resources(function: Function, case: str) -> None:
    """A right on something else is none."""
    right, resource = NARROWER[case]
    use(function, *({**RIGHTS, right: {**RIGHTS[right], "resource": resource}}).values())
    former = function.images
    result = function(RUNS["all of it"][0](function))
    assert result["Outcome"] in {"rejected", "partial"}
    check_result(function, result, former)


def test_narrower_resources_that_are_enough(function: Function) -> None:
    """A right on the image itself, in its region, is enough to change it."""
    resource = f"qcs::cvm:{REGION}:uin/100000000001:image/img-00000001"
    use(function, *({**RIGHTS, MODIFY: {**RIGHTS[MODIFY], "resource": resource}}).values())
    assert function(RUNS["all of it"][0](function))["Outcome"] == "applied"


def test_nothing_else_is_allowed(function: Function) -> None:
    """The role may not delete, list, write outside the journal, or read outside the sources."""
    keys = [f"{prefix}x.json" for prefix in ("requests/", "policies/", "journal/", "journal", "")]
    for bucket in (BUCKET, "other-1250000000", "manifests-1250000001"):
        for key in keys:
            function.put(key, b"{}", bucket)
    objects = dict(function.cloud.state.objects[BUCKET])
    client = client_of(function.cloud, use(function, *POLICY["statement"]))
    allowed = set()

    def attempt(name: str, bucket: str, key: str = "", **params: object) -> None:
        given = {"Bucket": bucket, **({"Key": key} if key else {}), **params}
        with suppress(CosServiceError):
            getattr(client, name)(**given)
            allowed.add((name, bucket, key))

    for bucket in (BUCKET, "other-1250000000", "manifests-1250000001", "none-1250000000"):
        for key in keys:
            attempt("get_object", bucket, key)
            attempt("head_object", bucket, key)
            attempt("delete_object", bucket, key)
            attempt("put_object", bucket, key, Body=b"{}")
            attempt("create_multipart_upload", bucket, key)
            source = {"Bucket": BUCKET, "Key": "policies/x.json", "Region": REGION}
            attempt("copy_object", bucket, key, CopySource=source)
        for name in ("list_objects", "head_bucket", "get_bucket_versioning"):
            attempt(name, bucket)
        attempt("put_bucket_versioning", bucket, Status="Enabled")
    assert allowed == {
        ("get_object", BUCKET, "requests/x.json"),
        ("get_object", BUCKET, "policies/x.json"),
        ("put_object", BUCKET, "journal/x.json"),
        ("copy_object", BUCKET, "journal/x.json"),
    }
    with suppress(CosServiceError):
        client.delete_objects(Bucket=BUCKET, Delete={"Object": [{"Key": key} for key in keys]})
    assert function.cloud.state.objects[BUCKET].keys() == objects.keys()


def test_other_actions_of_the_apis() -> None:
    """The policy allows none of the other actions, on any image or object."""
    statements = policies.parse(json.dumps(POLICY))
    image = f"qcs::cvm:{REGION}:uin/100000000001:image/img-00000001"
    instance = f"qcs::cvm:{REGION}:uin/100000000001:instance/ins-1"
    for action in (
        "cvm:DeleteImages", "cvm:CreateImage", "cvm:ModifyImageSharePermission", "cvm:SyncImages",
        "cvm:RunInstances", "cvm:DescribeInstances", "tag:ModifyResourceTags", "tag:DeleteTags",
        "tag:DescribeResourceTagsByResourceIds", "cam:AttachRolePolicy", "cam:PassRole",
        "sts:AssumeRole", "scf:Invoke", "scf:UpdateFunctionCode", "cos:GetService",
        "cls:SearchLog",
    ):  # fmt: skip
        for resource in ("*", image, instance):
            assert not policies.is_allowed(statements, action, resource), action
    assert not policies.is_allowed(statements, "cvm:ModifyImageAttribute", instance)
    assert not policies.is_allowed(statements, "cvm:ModifyImageAttribute", "*")


def test_only_scf_may_assume_the_role() -> None:
    """Neither another service nor a user may assume the run role."""
    role = role_of(trust=TRUST)
    assert role.trusts(SCF)
    for other in ("service:cvm.qcloud.com", "qcs:qcs::cam::uin/100000000001:root", "service:*"):
        assert not role.trusts(other)
