"""`scf-deploy check` of Image Steward in the emulated cloud: all well, then each thing broken."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from urllib.error import URLError
from urllib.parse import quote

import pytest

import bundle
import deploying
from conftest import ROOT
from cos_client import client_of
from deploying import BUCKET, NAME, REGION, Project, Rule, Seen, altered, answer, refusal
from roles import allow, keys_for
from scf_client import RUNTIME, ScfClient
from scf_deploy import serverless_file
from scf_deploy.live import Live, Run
from scf_local import cloud_client
from scf_local.cloud import seed
from scf_local.cloud.wire import Reply
from sdk_client import SdkClient

IMAGE = "img-6pb6lrmy"
IMAGES = {"ap-guangzhou": [{"ImageId": IMAGE, "ImageName": "web"}], "ap-shanghai": []}
OF_THE_FUNCTION = {
    *("InvokeFunction", "PutObject", "DeleteObject"),
    *("ModifyImageAttribute", "TagResources", "UnTagResources"),
}  # fmt: skip
"""What a check changes, with its options: it leaves nothing but results in the journal."""
NAMED = {"FunctionName": NAME}
DAY = 24 * 3600
POLICY = json.loads((ROOT / "deploy/policy.json").read_text(encoding="utf-8"))
DEPLOYER = json.loads((ROOT / "deploy/deployer.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def steward(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Image Steward, deployed to an account with an image."""
    folder = tmp_path_factory.mktemp("steward")
    code = bundle.assemble(bundle.own_packages(), sys.executable, folder / "function.zip").path
    with deploying.cloud(IMAGES) as cloud:
        project = Project(folder / "project", cloud)
        code.rename(project.folder / "steward.zip")
        project.edit("src: code", "src: steward.zip")
        project.apply()
        body = json.dumps({"Normalise": {"ImageName": "{ImageName}"}, "DryRun": True}).encode()
        client_of(cloud).put_object(Bucket=BUCKET, Key="policies/nightly.json", Body=body)
        yield project


@pytest.fixture
def deployed(steward: Project) -> Project:
    """Image Steward as it is in the file, whatever another test has changed in the account."""
    steward.cloud.rules, steward.keys = [], None
    steward.cloud.state.images = seed.complete(IMAGES)
    if not {*steward.writes()} <= OF_THE_FUNCTION:
        steward.apply()
    return steward


def check(project: Project, *options: str) -> dict[str, dict[str, str]]:
    """Return the checks by what they are about, and whether any has failed, by the status."""
    done = project("check", "--json", *options)
    found = {each["What"]: each for each in json.loads(done.out)}
    assert done.status == any(each["State"] == "FAIL" for each in found.values())
    return found


def failed(project: Project, *options: str) -> dict[str, str]:
    """Return what has failed: what was seen, and what to do."""
    found = check(project, *options).items()
    bad = {what: each for what, each in found if each["State"] == "FAIL"}
    return {what: f"{each['Seen']} → {each.get('Advice')}" for what, each in bad.items()}


def instead(action: str, reply: Callable[[Callable[[], Reply]], Reply]) -> Rule:
    """Return a rule for the replies of one action."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        return reply(send) if seen.action == action else send()

    return rule


def changed(action: str, change: Callable[[dict[str, Any]], object]) -> Rule:
    """Return a rule that changes the replies of one action."""
    return instead(action, lambda send: altered(send(), change))


# --- All well ---


def test_all_well(deployed: Project) -> None:
    """Everything is found to be well; what was not tried says how to try it."""
    found = check(deployed)
    not_tried = {what for what, each in found.items() if each["State"] == "-"}
    assert not_tried - {"timer nightly"} == {f"upload to {BUCKET}", "changes"}
    assert all(each["State"] == "ok" or each["Advice"] for each in found.values())
    assert found["dry run of policies"]["Seen"] == "images read: 1"
    assert "4 results" in found["journal"]["Seen"]


def test_page(deployed: Project) -> None:
    """The page shows such a table; only numbers, and what the timer did before, may be others.

    `UPDATE_GOLDEN=1` renews it.
    """
    path, pattern = ROOT / "docs/deploy.md", r"(### Check[\s\S]*?```text\n)([\s\S]*?)(```)"
    page, printed = path.read_text(encoding="utf-8"), deployed("check").out
    printed = re.sub("Not in Tencent's cloud.*\n", "", printed.replace(RUNTIME, "Python3.13"))
    if "UPDATE_GOLDEN" in os.environ:
        path.write_text(re.sub(pattern, lambda m: m[1] + printed + m[3], page), encoding="utf-8")
    else:
        shown = re.findall(pattern, page)[0][1]
        texts = (re.sub(r"(?m)^\S+ +timer[\s\S]*?^(?=\S)", "", text) for text in (printed, shown))
        one, other = (re.sub(r"[\d:T]+|\(cold\)|\s+", "", text) for text in texts)
        assert one == other


def test_nothing_is_changed(deployed: Project) -> None:
    """Without --write and --image, only the results of dry runs are written, to the journal."""
    before = deployed.state()
    check(deployed)
    after = deployed.state()
    for state in (before, after):
        state["Objects"][BUCKET] = [k for k in state["Objects"][BUCKET] if "journal/" not in k]
        state.pop("Moved", None)
    assert after == before


def test_changes(deployed: Project) -> None:
    """With both options, all is tried; then the image is as before, and the objects are gone."""
    before = deployed.state()
    found = check(deployed, "--write", "--image", IMAGE)
    assert {each["State"] for each in found.values()} - {"-"} == {"ok"}
    assert found["upload of requests"]["Seen"].startswith("one run, in the log after")
    assert found["upload of requests"]["Seen"].endswith("the event has the key as it is")
    assert found["upload of manifests"]["State"] == "ok"
    assert "60 characters, 128 bytes" in found[f"renaming {IMAGE}"]["Seen"]
    after = deployed.state()
    assert after["Images"] == before["Images"]
    assert [key for key in after["Objects"][BUCKET] if "requests/" in key] == []


def test_keys_of_events_are_encoded(deployed: Project) -> None:
    """If events have keys URL-encoded, that is said."""
    deployed.cloud.rules = [changed("SearchLog", in_log(" +%41镜", quote(" +%41镜")))]
    assert "URL-encoded" in check(deployed, "--write")["upload of requests"]["Seen"]


def test_timer_whose_run_fails(deployed: Project) -> None:
    """A timer whose last run failed is not well, and the check says why."""
    client = client_of(deployed.cloud)
    policy = client.get_object(Bucket=BUCKET, Key="policies/nightly.json")["Body"].read()
    client.delete_object(Bucket=BUCKET, Key="policies/nightly.json")
    deployed.cloud.move_clock(DAY)
    client.put_object(Bucket=BUCKET, Key="policies/nightly.json", Body=policy)
    found = failed(deployed)["timer nightly"]
    assert "fired in Beijing time; ObjectNotFound: cos://" in found
    assert "nightly.json does not exist (NoSuchKey) → upload the document that it names" in found
    deployed.cloud.move_clock(DAY)


@pytest.mark.parametrize(("hours", "zone"), [(0, "Beijing time"), (8, "UTC")])
def test_timer(deployed: Project, hours: int, zone: str) -> None:
    """A timer that fired within the last day is found in the log, and the zone of its time."""
    deployed.edit("0 17 3 * * * *", f"0 17 {3 + hours} * * * *")
    deployed.apply()
    deployed.cloud.move_clock(DAY)
    deployed.edit(f"0 17 {3 + hours} * * * *", "0 17 3 * * * *")
    deployed.apply()
    assert check(deployed)["timer nightly"] == {
        "State": "ok", "What": "timer nightly", "Seen": f"fired in {zone}",
    }  # fmt: skip


# --- Something is broken ---


RIGHTS = {
    "cvm:DescribeImages": ("dry run of requests", "dry run of policies"),
    "cos:GetObject": (f"reading {BUCKET}/requests/", f"reading {BUCKET}/policies/"),
    "cos:PutObject": ("journal",),
    "cvm:ModifyImageAttribute": (f"renaming {IMAGE}",),
    "tag:TagResources": (f"tagging {IMAGE}",),
    "tag:UnTagResources": (f"tagging {IMAGE}",),
}
"""What fails without each right of the run role, besides what stands in the plan."""


def test_every_right_is_tried() -> None:
    """No right of the role's policy is left out below."""
    actions = [action for each in POLICY["statement"] for action in each["action"]]
    assert {f"name/{action}" for action in RIGHTS} == {*actions}


@pytest.mark.parametrize("right", RIGHTS)
def test_right_of_the_role(deployed: Project, right: str) -> None:
    """What fails without a right of the run role is named, and that the role lacks it."""
    cam = SdkClient(deployed.cloud, "cam")
    statements = [
        {**each, "action": [action for action in each["action"] if action != f"name/{right}"]}
        for each in POLICY["statement"]
    ]
    text = json.dumps({**POLICY, "statement": [each for each in statements if each["action"]]})
    cam("UpdatePolicy", PolicyName=NAME, PolicyDocument=text)
    found = failed(deployed, "--image", IMAGE)
    assert found.pop("as in the file").startswith(f"to do: change policy {NAME} → ")
    assert {*found} >= {*RIGHTS[right]}
    for what in RIGHTS[right]:
        assert re.search("Unauthorized|AccessDenied|PutObject", found[what])
        assert re.search("role lacks this right|gives the role the right", found[what])
    (image,) = deployed.cloud.state.images["ap-guangzhou"]
    assert image["ImageName"] == "web"
    is_left = right == "tag:UnTagResources"
    assert bool(image["Tags"]) == (f"tagging {IMAGE} back" in found) == is_left
    if is_left:  # the next test removes it, which a warm instance would take for a late read
        variables(deployed, STEWARD_MAX_CHANGES="7")


def broken_account(project: Project) -> dict[str, Callable[[], object]]:
    """Return what breaks something in the account, by what `check` says of it."""
    scf, state = ScfClient(project.cloud), project.cloud.state

    trigger = project.trigger() | {"TriggerDesc": '{"event":"cos:ObjectCreated:*"}'}
    named = {each: trigger[each] for each in ("TriggerName", "Type", "Qualifier", "TriggerDesc")}
    return {
        "triggers: off: trigger cos": lambda: scf(
            "UpdateTriggerStatus", **NAMED, **named, Enable="CLOSE"
        ),
        "concurrency: 0 MB": lambda: scf(
            "PutReservedConcurrencyConfig", **NAMED, ReservedConcurrencyMem=0
        ),
        "settings: STEWARD_MAX_CHANGES": lambda: variables(project, STEWARD_MAX_CHANGES="many"),
        f"bucket {BUCKET}: ap-guangzhou has none": lambda: setattr(
            state.buckets[BUCKET], "region", "ap-shanghai"
        ),
        "as in the file: to do: change code": lambda: project.edit("steward.zip", "code"),
    }


BROKEN = {
    "triggers: off: trigger cos": "scf-deploy apply",
    "concurrency: 0 MB": "scf-deploy apply starts it",
    "settings: STEWARD_MAX_CHANGES": "correct the environment in the file, or apply it",
    f"bucket {BUCKET}: ap-guangzhou has none": "name that region in the file, or another bucket",
    "as in the file: to do: change code": "scf-deploy apply makes it as the file says",
}
"""What `check` says of broken things, and what to do."""


@pytest.mark.parametrize("seen", BROKEN)
def test_broken_account(deployed: Project, seen: str) -> None:
    """What is broken in the account is named, with what to do; `apply` mends it."""
    broken_account(deployed)[seen]()
    what, _, rest = seen.partition(": ")
    found = failed(deployed)[what]
    assert rest in found
    assert BROKEN[seen] in found
    if rest.endswith("code"):
        deployed.edit("src: code", "src: steward.zip")
    deployed.cloud.state.buckets[BUCKET].region = REGION
    deployed.apply()
    assert failed(deployed) == {}


def late(reply: dict[str, Any]) -> None:
    """Alter the times in the log of a run, as if the function's clock was an hour behind."""
    log = reply["Result"]["Log"]
    hour = "T(\\d\\d)(?=:)"
    reply["Result"]["Log"] = re.sub(hour, lambda m: f"T{(int(m[1]) - 1) % 24:02}", log)


def in_log(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    """Return what replaces a text in records of the log."""

    def replaced(reply: dict[str, Any]) -> None:
        for each in reply["Results"]:
            each["LogJson"] = each["LogJson"].replace(old, new)

    return replaced


NOTHING = '{"Errors": [], "Images": [], "Summary": {}}'
"""A result without what the dry runs ask for."""
RULES = {
    "triggers": (
        changed("ListTriggers", lambda r: [t.update(BindStatus="off") for t in r["Triggers"]]),
        f"not bound: {BUCKET}.cos",
        "delete it in the console, then scf-deploy apply",
    ),
    "log topic": (
        changed("GetFunction", lambda r: r.update(ClsTopicId="")),
        "none: what it logs is lost",
        "turn on log delivery in the console",
    ),
    "log": (
        changed("SearchLog", lambda r: r.update(Results=[], ListOver=True)),
        "0 lines of a run, after",
        "log delivery is off, or late",
    ),
    "clock": (
        changed("InvokeFunction", late),
        "the function's is -3",
        "set this machine's clock",
    ),
    "function": (
        changed("GetFunction", lambda r: r.update(Status="UpdateFailed", StatusDesc="no disk")),
        "UpdateFailed",
        "no disk",
    ),
    "dry runs": (
        instead("InvokeFunction", lambda _: refusal("UnauthorizedOperation")),
        "InvokeFunction: UnauthorizedOperation",
        "your keys lack this right",
    ),
    "timers": (
        instead("SearchLog", lambda _: refusal("UnauthorizedOperation")),
        "SearchLog: UnauthorizedOperation",
        "your keys lack this right",
    ),
    "dry run of requests": (
        changed("InvokeFunction", lambda r: r["Result"].update(RetMsg=NOTHING)),
        "Unexpected: it does not say InvalidImageId.NotFound",
        "read its log: scf-local logs",
    ),
    "uploads": (
        instead("PutObject", lambda _: Reply(403, {}, b"")),
        "PutObject: HTTP403",
        "your keys lack this right",
    ),
    "upload of requests": (
        changed("SearchLog", in_log("InvalidImageId.NotFound", "ObjectNotFound")),
        "ObjectNotFound: ap-guangzhou has no image",
        "name a bucket of the function's region",
    ),
    "upload of manifests": (
        changed("SearchLog", in_log("run.finished", "run.on")),
        "NotFinished: it is not over",
        "takes longer, or was stopped",
    ),
}


@pytest.mark.parametrize("what", RULES)
def test_broken(deployed: Project, what: str) -> None:
    """What is broken is named, with what to do; all else is still checked."""
    rule, seen, advice = RULES[what]
    deployed.cloud.rules = [rule]
    found = check(deployed, *["--write"] * what.startswith("upload"))
    assert found[what]["State"] == "FAIL"
    assert seen in found[what]["Seen"]
    assert advice in found[what]["Advice" if "Advice" in found[what] else "Seen"]
    assert "changes" in found or what == "function"


@pytest.mark.parametrize("action", ["PutObject", "DeleteObject"])
def test_lost_reply_to_an_upload(deployed: Project, action: str) -> None:
    """No object is left behind if a reply of COS is lost."""
    left = ["one"]

    def lose(send: Callable[[], Reply]) -> Reply:
        return replace(send(), cut="before") if left and left.pop() else send()

    variables(deployed, STEWARD_JOURNAL="")  # whose uploads would come first
    deployed.cloud.rules = [instead(action, lose)]
    found = check(deployed, "--write")
    assert ("uploads" in found) == (action == "PutObject")
    assert not left
    assert not any("requests/" in key for key in deployed.state()["Objects"][BUCKET])


def test_function_that_does_not_start(deployed: Project) -> None:
    """If the function cannot run, that is said once, with its error."""
    deployed.cloud.rules = [
        changed("InvokeFunction", lambda r: r["Result"].update(ErrMsg="no module", RetMsg=""))
    ]
    found = failed(deployed)
    assert {*found} == {"dry run of requests"}
    assert found["dry run of requests"].startswith("Raised: no module → read its log: scf-local")


def test_host_that_is_no_emulated_cloud(deployed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that does not tell the time, as an emulated cloud does, ends no check."""

    def now(_endpoint: str) -> float:
        raise URLError("refused")

    monkeypatch.setattr(cloud_client, "now", now)
    found = failed(deployed)
    assert "refused" in found["dry runs"]
    assert "refused" in found["timers"]


def test_what_cannot_be_changed(deployed: Project) -> None:
    """If the runtime is another than in the file, the check says so, and checks all else."""
    deployed.cloud.rules = [changed("GetFunction", lambda r: r.update(Runtime="Python3.7"))]
    found = failed(deployed)
    assert {*found} == {"as in the file"}
    assert "Give the function another name in the file" in found["as in the file"]


def test_throttled(deployed: Project) -> None:
    """If reads are throttled, something else uses up the account's rate."""
    left = [refusal("RequestLimitExceeded")]
    deployed.cloud.rules = [
        instead("DescribeImages", lambda send: left.pop() if left else send()),
    ]
    found = failed(deployed)
    assert {*found} == {"pace"}
    assert "1 throttled → something else uses up" in found["pace"]


REPLIES: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "ok": (
        [{"ErrMsg": '{"errorCode":432,"errorMessage":"The reserved concurrency"}', "RetMsg": ""}],
        "dry run of requests",
        "it may read; what it asked for does not exist",
    ),
    "-": ([{"Log": None}] * 4, "journal", "not set, or not in the log"),
}
"""What the first replies to calls have instead, by the state of what they are about."""


@pytest.mark.parametrize("state", REPLIES)
def test_replies(deployed: Project, state: str) -> None:
    """A call waits until its run has room; that replies have no log is not taken for a fault."""
    others, what, seen = REPLIES[state]
    left = [*others]
    rule = changed("InvokeFunction", lambda r: left and r["Result"].update(left.pop()))
    deployed.cloud.rules = [rule]
    found = check(deployed)
    assert not [each for each in found.values() if each["State"] == "FAIL"]
    assert found[what]["State"] == state
    assert seen in found[what]["Seen"]
    assert ("pace" in found) == (state == "ok")


def test_own_clock(deployed: Project) -> None:
    """If this machine's clock is wrong, so that nothing can be signed, that is said."""
    refused = refusal("AuthFailure.SignatureExpire")
    deployed.cloud.rules = [instead("GetUserAppId", lambda _: refused)]
    done = deployed("check")
    assert done.status == 1
    assert "Advice: set this machine's clock" in done.err


@pytest.mark.parametrize("number", [2, 3])
def test_lost_reply(deployed: Project, number: int) -> None:
    """If the reply to a rename is lost, it is taken back all the same; also if that one's is."""
    count = 0

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        nonlocal count
        is_it = seen.action == "InvokeFunction" and "镜" in seen.params["Event"]
        count += is_it
        reply = send()
        if not is_it or count != number:  # the first one is a dry run
            return reply
        later = reply.later
        return replace(reply, later=lambda: replace(later(), cut="before") if later else reply)

    deployed.cloud.rules = [rule]
    found = failed(deployed, "--image", IMAGE)
    assert ("InvokeFunction: ClientNetworkError" in str(found)) == (number == 2)
    assert deployed.cloud.state.images["ap-guangzhou"][0]["ImageName"] == "web"


def test_stopped_by_the_user(deployed: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the user presses Ctrl-C after the rename, it is taken back before the command ends."""
    real = Live.call

    def call(live: Live, event: Any, says: str) -> Run:  # noqa: ANN401 - any event
        run = real(live, event, says)
        if says.startswith("is renaming"):
            raise KeyboardInterrupt
        return run

    monkeypatch.setattr(Live, "call", call)
    assert deployed("check", "--image", IMAGE).status == 1
    assert deployed.cloud.state.images["ap-guangzhou"][0]["ImageName"] == "web"


UNCHANGED: dict[str, tuple[dict[str, Any], str]] = {
    "opted out": ({"Tags": [{"Key": "image-steward", "Value": "ignore"}]}, "has the tag image-st"),
    "absent": ({"ImageId": "img-other123"}, "InvalidImageId.NotFound: ap-guangzhou has no image"),
    "not ready": ({"ImageState": "CREATING"}, "not tried: it is not ready"),
    "control characters": ({"ImageName": "we\x07b"}, "one that no document may set"),
    "half a pair": ({"ImageName": "we\ud83d"}, "one that no document may set"),
    "too long": ({"ImageName": 70 * "a"}, "one that no document may set"),
    "no name": ({"ImageName": ""}, "one that no document may set"),
    "of another check": ({"ImageName": "scf-deploy-check-1-镜"}, "has the value of another check"),
}
"""Images that are not changed, or whose names could not come back, and what is seen."""


@pytest.mark.parametrize("kind", UNCHANGED)
def test_image_that_does_not_change(deployed: Project, kind: str) -> None:
    """An image that could not get its name back is not renamed; it is said why."""
    image, seen = UNCHANGED[kind]
    deployed.cloud.state.images["ap-guangzhou"][0].update(image)
    before = deployed.state()["Images"]
    found = check(deployed, "--image", IMAGE)[f"renaming {IMAGE}"]
    assert seen in found["Seen"]
    assert found["State"] == ("FAIL" if kind == "absent" else "-")
    assert deployed.state()["Images"] == before


def test_tag_that_is_there(deployed: Project) -> None:
    """A tag of the same key stays."""
    tags = [{"Key": "scf-deploy-check", "Value": "mine"}]
    (image,) = deployed.cloud.state.images["ap-guangzhou"]
    image["Tags"] = tags
    assert check(deployed, "--image", IMAGE)[f"tagging {IMAGE}"]["State"] == "-"
    assert image["Tags"] == tags


def variables(project: Project, **values: str) -> None:
    """Set variables of the deployed function."""
    scf = ScfClient(project.cloud)
    named = {each["Key"]: each["Value"] for each in project.function()["Environment"]["Variables"]}
    pairs = [{"Key": key, "Value": value} for key, value in {**named, **values}.items() if value]
    scf("UpdateFunctionConfiguration", **NAMED, Environment={"Variables": pairs})
    scf.move(10)


def test_dry_run_for_all(deployed: Project) -> None:
    """If the function only makes dry runs, it is not said that an image was changed."""
    variables(deployed, STEWARD_DRY_RUN="1")
    found = check(deployed, "--image", IMAGE)[f"changing {IMAGE}"]
    assert (found["State"], "STEWARD_DRY_RUN" in found["Seen"]) == ("-", True)


def test_calls_that_are_not_allowed(deployed: Project) -> None:
    """Documents that no call may hold are not tried; a timer's may be tried by a timer's event."""
    variables(deployed, STEWARD_SOURCES=f"{BUCKET}/requests/,timer=requests")
    found = check(deployed, "--image", IMAGE)
    assert {found[what]["State"] for what in ("dry run of requests", f"renaming {IMAGE}")} == {"ok"}
    assert "lets only uploads have policies" in found["dry run of policies"]["Seen"]
    variables(deployed, STEWARD_SOURCES=f"{BUCKET}/requests/")
    found = check(deployed, "--write", "--image", IMAGE)
    assert found[f"changing {IMAGE}"]["State"] == "-"
    assert found["upload of requests"]["State"] == "ok"
    assert "journal" not in found


def test_regions_without_the_own_one(deployed: Project) -> None:
    """Dry runs and uploads ask for images of a region that the function may touch."""
    variables(deployed, STEWARD_REGIONS="ap-shanghai", STEWARD_PROTECTED_TAGS="scf-*")
    found = check(deployed, "--write", "--image", IMAGE)
    assert found["upload of manifests"]["State"] == "ok"
    assert found["dry run of requests"]["State"] == "ok"
    assert "ap-shanghai has no image" in found[f"renaming {IMAGE}"]["Seen"]


PLACES = {
    "": {"requests/": "ok", "policies/": "ok"},
    f"{BUCKET},timer=policies": {"requests/": "ok", "policies/": "ok"},
    f"{BUCKET}/policies/,direct=requests": {"requests/": "FAIL", "policies/": "ok"},
}
"""What is said of reading below prefixes, by STEWARD_SOURCES."""


@pytest.mark.parametrize("sources", PLACES)
def test_places(deployed: Project, sources: str) -> None:
    """Reading is tried where triggers and timers have documents, not where no right is needed.

    An object that has the name of those that do not exist is not carried out.
    """
    variables(deployed, STEWARD_SOURCES=sources)
    text = json.dumps({"ImageId": IMAGE, "ImageName": "evil"}).encode()
    put = {"Bucket": BUCKET, "Key": "policies/scf-deploy-check.json", "Body": text}
    client_of(deployed.cloud).put_object(**put)
    found = check(deployed)
    states = {what: each["State"] for what, each in found.items() if what.startswith("reading")}
    assert states == {f"reading {BUCKET}/{k}": each for k, each in PLACES[sources].items()}
    assert deployed.cloud.state.images["ap-guangzhou"][0]["ImageName"] == "web"


def test_variable_without_value(deployed: Project) -> None:
    """A variable that a reply gives no value is one that is not set."""

    def change(reply: dict[str, Any]) -> None:
        reply["Environment"]["Variables"][0]["Value"] = None
        del reply["Environment"]["Variables"][-1]["Value"]

    deployed.cloud.rules = [changed("GetFunction", change)]
    assert {*failed(deployed)} == {"as in the file"}


def test_quiet_log(deployed: Project) -> None:
    """At a level at which the log does not tell of runs, less is checked, and that is said."""
    variables(deployed, STEWARD_LOG_LEVEL="ERROR")
    found = check(deployed, "--write")
    states = {
        what: found[what]["State"] for what in ("log level", "journal", f"upload to {BUCKET}")
    }
    assert {*states.values()} == {"-"}


@pytest.mark.parametrize(
    ("cron", "seen"),
    [("0 17 3 1 1 * *", "its log has no run of the last day"), ("0 0 * * * * *", "fired")],
)
def test_other_timers(deployed: Project, cron: str, seen: str) -> None:
    """A timer that was not due in the last day is not searched for; an hourly one tells no zone."""
    deployed.edit("0 17 3 * * * *", cron)
    deployed.apply()
    deployed.cloud.move_clock(2 * 3600)
    found = check(deployed)["timer nightly"]
    deployed.edit(cron, "0 17 3 * * * *")
    deployed.apply()
    assert (found["State"], found["Seen"]) == ("ok" if seen == "fired" else "-", seen)


def test_ids_in_the_table(deployed: Project) -> None:
    """Ids are hidden in the table, too, where it breaks words."""
    refused = answer({"Error": {"Code": "Some.Code", "Message": "uin/100000000002," * 20}})
    deployed.cloud.rules = [
        instead("InvokeFunction", lambda _: refused),
        changed("GetUserAppId", lambda r: r.update(Uin="100000000002")),
    ]
    out = deployed("check").out
    assert "uin/100000000001" in out
    assert "100000000002" not in re.sub(r"\s", "", out)


def test_ids_are_hidden() -> None:
    """The table has placeholders in the place of the account's ids, and no other number changes."""
    account = serverless_file.Account("100000000002", "1250000001", "100000000007")
    text = (
        "qcs::cvm::uin/100000000002:image/* uin/100000000007 b-1250000001 11250000001 12500000010"
    )
    assert account.hidden(text) == (
        "qcs::cvm::uin/100000000001:image/* uin/100000000001 b-1250000000 11250000001 12500000010"
    )


def test_keys_of_the_deployer(deployed: Project) -> None:
    """The rights in deploy/deployer.json are enough for all but --write."""
    statements = DEPLOYER["statement"]
    deployed.keys = keys_for(deployed.cloud.state, *statements)
    assert failed(deployed) == {}
    for right in ("scf:InvokeFunction", "cls:SearchLog"):
        deployed.keys = keys_for(deployed.cloud.state, *statements, allow(right, effect="deny"))
        assert right.partition(":")[2] in str(failed(deployed))
