"""Image Steward in `scf-local cloud`, deployed by `tccli` with the files of `make payloads`."""

from __future__ import annotations

import hashlib
import json
import re
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

import bundle
import payloads
from conformance.conftest import COS, served
from conformance.typed_cli import REGION, Tccli, mistyped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME, BUCKET = "image-steward", "manifests-1250000000"
UPLOADED, CALLED, NIGHTLY = "img-6pb6lrmy", "img-qlzp4oea", "img-b2c3d4e5"
"""An image for each test that changes one."""
IMAGES = {REGION: [{"ImageId": UPLOADED}, {"ImageId": CALLED}]}
IMAGES[REGION].append({"ImageId": NIGHTLY, "ImageName": "Web 18"})
POLICY = {"Regions": [REGION], "ImageName": "{ImageName}", "Style": {"Case": "lower"}}
UPLOAD = f"""{COS}
import sys
for key in sys.argv[2:]:
    client.put_object("{BUCKET}", sys.argv[1].encode(), key)
"""
BEIJING = timezone(timedelta(hours=8))
DEPLOY = (
    *("CreateFunction", "UpdateFunctionEventInvokeConfig", "PutReservedConcurrencyConfig"),
    *("CreateTrigger.1-cos", "CreateTrigger.2-timer"),
)
"""The files, in the order of docs/deploy.md."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of `make payloads`, with a bundle and the runtime of this Python."""
    folder = tmp_path_factory.mktemp("build")
    code, text = folder / "function.zip", (payloads.ROOT / "serverless.yml").read_text("utf-8")
    bundle.assemble(bundle.own_packages(), sys.executable, code)
    text = re.sub("runtime: .*", f"runtime: Python{bundle.HERE}", text)
    text = re.sub("src: .*", "src: function.zip", text)
    (folder / "serverless.yml").write_text(text, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        for name, path in {"ROOT": folder, "TARGET": folder}.items():
            patch.setattr(payloads, name, path)
        assert payloads.main() == 0
    return folder


@pytest.fixture(scope="module")
def tccli(files: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tccli]:
    """`tccli`, connected to a cloud to which it has deployed the function."""
    home = tmp_path_factory.mktemp("home")
    seed = home / "seed"
    policies = seed / "objects" / BUCKET / "policies"
    policies.mkdir(parents=True)
    (seed / "images.json").write_text(json.dumps(IMAGES), "utf-8")
    (policies / "nightly.json").write_text(json.dumps({"Normalise": POLICY}), "utf-8")
    with served("--seed", seed) as cloud:
        tccli = Tccli(cloud, home)
        trust, policy = (
            ("--PolicyDocument", (bundle.ROOT / "deploy" / name).read_text("utf-8"))
            for name in ("trust.json", "policy.json")
        )
        asked(tccli, "CreateRole", "--RoleName", NAME, *trust, service="cam")
        asked(tccli, "CreatePolicy", "--PolicyName", NAME, *policy, service="cam")
        attached = ("--AttachRoleName", NAME, "--PolicyName", NAME)
        asked(tccli, "AttachRolePolicy", *attached, service="cam")
        for name in DEPLOY:
            asked(tccli, name.partition(".")[0], "--cli-input-json", f"file://{files / name}.json")
            move(tccli, 10)  # until it is Active
        yield tccli


def asked(tccli: Tccli, action: str, *options: str, service: str = "scf") -> Any:  # noqa: ANN401 - any JSON
    """Return the reply of an action, of which all members have the types that tccli describes."""
    reply = tccli(service, action, *options)
    assert list(mistyped(reply, f"{action}Response", service)) == []
    return reply


def move(tccli: Tccli, seconds: float = 0) -> datetime:
    """Move the clock on, when all that is due has been done, and return its time."""
    now = tccli.cloud.ask("_clock", {"Seconds": seconds})["Time"]
    return datetime.fromtimestamp(now, BEIJING)


def name_of(tccli: Tccli, image_id: str) -> str:
    """Return the name of an image."""
    return str(tccli.cloud.image(REGION, image_id)["ImageName"])


def rename(image_id: str, name: str) -> str:
    """Return a document that renames an image."""
    return json.dumps({"ImageId": image_id, "ImageName": name})


def test_upload(tccli: Tccli) -> None:
    """An upload with the trigger's prefix and suffix renames an image; others change nothing."""

    def put(name: str, *keys: str) -> str:
        program = (sys.executable, "-c", UPLOAD, rename(UPLOADED, name), *keys)
        done = tccli.cloud.run(*program, home=tccli.home)
        assert (done.returncode, done.stderr) == (0, "")
        move(tccli)
        return name_of(tccli, UPLOADED)

    assert put("uploaded", "requests/rename.json") == "uploaded"
    assert put("other", "requests/rename.txt", "other/rename.json") == "uploaded"


def test_timer(tccli: Tccli) -> None:
    """The timer's policy is applied once when the clock passes 03:17 in Beijing, not before."""
    now = move(tccli)
    due = now.replace(hour=3, minute=17, second=0, microsecond=0)
    due += timedelta(days=due <= now + timedelta(minutes=1))
    move(tccli, (due - now).total_seconds() - 5)
    assert name_of(tccli, NIGHTLY) == "Web 18"
    move(tccli, 3600)
    assert name_of(tccli, NIGHTLY) == "web-18"
    calls = tccli.cloud.ask("_state")["Calls"]
    actions = [call["Action"] for call in calls if call["Time"] >= due.timestamp()]
    assert actions.count("GetObject") == 1  # of the policy, so there was one run


def test_invoke(tccli: Tccli) -> None:
    """Both ways of a call return the function's result, and GetRequestStatus tells of the run."""
    named = ("--FunctionName", NAME)
    for action, member in {"Invoke": "ClientContext", "InvokeFunction": "Event"}.items():
        document = rename(CALLED, action.lower())
        result = asked(tccli, action, *named, f"--{member}", document)["Result"]
        assert (result["InvokeResult"], result["ErrMsg"]) == (0, "")
        assert json.loads(result["RetMsg"])["Outcome"] == "applied"
        assert name_of(tccli, CALLED) == action.lower()
        one = ("--FunctionRequestId", result["FunctionRequestId"])
        (run,) = asked(tccli, "GetRequestStatus", *named, *one)["Data"]
        assert (run["RetCode"], run["RetryNum"], run["RetMsg"]) == (0, 0, result["RetMsg"])


def test_lists(tccli: Tccli, files: Path) -> None:
    """Functions and triggers are read back as the files have them, with a log topic."""
    given = {name: json.loads((files / f"{name}.json").read_text("utf-8")) for name in DEPLOY}
    function = asked(tccli, "GetFunction", "--FunctionName", NAME)
    unread = {"Code", "AutoCreateClsTopic", "AutoDeployClsTopicIndex"}
    members = given["CreateFunction"].keys() - unread
    read = {member: function[member] for member in members}
    assert read == {member: given["CreateFunction"][member] for member in members}
    assert function["Status"] == "Active"
    assert function["ClsTopicId"]
    (listed,) = asked(tccli, "ListFunctions")["Functions"]
    reserved = given["PutReservedConcurrencyConfig"]["ReservedConcurrencyMem"]
    assert (listed["FunctionName"], listed["ReservedConcurrencyMem"]) == (NAME, reserved)
    triggers = asked(tccli, "ListTriggers", "--FunctionName", NAME, "--Order", "ASC")["Triggers"]
    for name, trigger in zip(DEPLOY[3:], triggers, strict=True):
        # A timer's TriggerDesc becomes JSON.
        members = given[name].keys() - {"FunctionName", "Namespace", "TriggerDesc"}
        assert {member: trigger[member] for member in members} == {
            **{member: given[name][member] for member in members},
            "Enable": 1,
        }


def test_role(tccli: Tccli) -> None:
    """The role, its policy and who calls are read back with the members that tccli describes."""
    page = ("--Page", "1", "--Rp", "10")
    (role,) = asked(tccli, "DescribeRoleList", *page, service="cam")["List"]
    assert asked(tccli, "GetRole", "--RoleName", NAME, service="cam")["RoleInfo"] == role
    listed = asked(tccli, "ListAttachedRolePolicies", "--RoleName", NAME, *page, service="cam")
    (policy,) = asked(tccli, "ListPolicies", service="cam")["List"]
    policy_id = policy["PolicyId"]
    assert [each["PolicyId"] for each in listed["List"]] == [policy_id]
    asked(tccli, "GetPolicy", "--PolicyId", str(policy_id), service="cam")
    assert asked(tccli, "GetCallerIdentity", service="sts")["Type"] == "RootAccount"
    assert asked(tccli, "GetUserAppId", service="cam")["AppId"] == 1250000000


def test_code(tccli: Tccli, files: Path) -> None:
    """The Url of the code, fetched through the exported proxy, returns the zip that was sent."""
    reply = asked(tccli, "GetFunctionAddress", "--FunctionName", NAME)
    copy = tccli.home / "copy.zip"
    curl = ("curl", "--silent", "--show-error", "--fail", "--output", copy, reply["Url"])
    done = tccli.cloud.run(*curl, home=tccli.home)
    assert (done.returncode, done.stderr) == (0, "")
    assert copy.read_bytes() == (files / "function.zip").read_bytes()
    assert hashlib.sha256(copy.read_bytes()).hexdigest() == reply["CodeSha256"]
