"""SECURITY.md: each sentence of its lists is held by a test, under the shipped settings."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conftest import ROOT, SECRETS, Function, cos_event
from packer import build, manifest
from scf_local.cloud.cam import policies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Function], object]

INPUTS: dict[str, Any] = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))[
    "inputs"
]
SHIPPED: dict[str, str] = INPUTS["environment"]["variables"]
POLICY: dict[str, Any] = json.loads((ROOT / "deploy/policy.json").read_text(encoding="utf-8"))
BUCKET = "manifests-1250000000"
IMAGE = "img-6pb6lrmy"
RENAME = {"ImageId": IMAGE, "ImageName": "sample"}
RENAMING = {"Normalise": {"ImageDescription": "d", "MaxChanges": 200}}

CHECKS: dict[str, Check] = {}


def holds(sentence: str) -> Callable[[Check], Check]:
    """Register the check of a sentence."""

    def register(check: Check) -> Check:
        assert sentence not in CHECKS
        CHECKS[sentence] = check
        return check

    return register


def sentences() -> list[str]:
    """The entries of the page's lists, each on one line."""
    page = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
    entries = re.findall(r"^- (.*(?:\n  .*)*)", page, re.MULTILINE)
    return [re.sub(r"\s+", " ", entry) for entry in entries]


@pytest.mark.parametrize("sentence", sentences())
def test_sentence(function: Function, sentence: str) -> None:
    """What the page says holds for the function, the shipped settings, or the role."""
    function.environ |= SHIPPED
    CHECKS[sentence](function)


def test_no_sentence_is_missing() -> None:
    """Each check is for a sentence on the page."""
    assert list(CHECKS) == sentences()


def uploaded(function: Function, document: object, key: str = "requests/x.json") -> dict[str, Any]:
    """Upload a document, and return the result."""
    return function(function.uploaded(document, key))


def by_timer(function: Function, document: object) -> dict[str, Any]:
    """Let a timer bring a document."""
    event = {"Type": "Timer", "TriggerName": "t", "Time": "", "Message": json.dumps(document)}
    return function(event)


def is_rejected(result: Mapping[str, Any], code: str) -> bool:
    """Whether a result has nothing but errors of one code."""
    return result["Outcome"] == "rejected" and {e["Code"] for e in result["Errors"]} == {code}


def hold_many(function: Function) -> list[str]:
    """Hold more images than may be changed, and return their ids."""
    ids = [f"img-{i:08}" for i in range(int(SHIPPED["STEWARD_MAX_CHANGES"]) + 1)]
    function.hold(*({"ImageId": i, "ImageName": i} for i in ids))
    return ids


@holds("An upload changes images at once, without anybody's approval.")
def _(function: Function) -> None:
    assert uploaded(function, RENAME)["Outcome"] == "applied"
    assert function.names()[IMAGE] == "sample"


@holds(
    "It may hold a change request or a Packer manifest; a policy is rejected with "
    "`SourceNotAllowed`."
)
def _(function: Function) -> None:
    assert uploaded(function, manifest(build({"Tag.a": "b"})))["Outcome"] == "applied"
    assert is_rejected(uploaded(function, RENAMING), "SourceNotAllowed")


@holds("A pointer in it reaches no policy, and no object outside of `requests/`.")
def _(function: Function) -> None:
    function.put("policies/nightly.json", RENAMING)
    function.put("requests/policy.json", RENAMING)
    function.put("policies/x.json", RENAME)
    function.put("secret/x.json", RENAME)
    for key in (
        "policies/nightly.json",
        "requests/policy.json",
        "policies/x.json",
        "secret/x.json",
    ):
        result = uploaded(function, {"Document": f"cos://{BUCKET}/{key}"})
        assert is_rejected(result, "SourceNotAllowed"), key


@holds(
    "It can set names, descriptions, families, deprecation and tags of private images, and "
    "nothing else."
)
def _(function: Function) -> None:
    schema = json.loads(
        (ROOT / "handler/image_steward/documents/schemas/change-request.json").read_text()
    )
    assert set(schema["$defs"]["Image"]["properties"]) == {
        "ImageId", "Region", "ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated",
        "Tags", "DeleteTags", "Expect",
    }  # fmt: skip
    function.hold({"ImageId": IMAGE, "ImageName": "n", "ImageType": "SHARED_IMAGE"})
    (image,) = uploaded(function, RENAME)["Images"]
    assert image["Status"] == "failed"


@holds("It cannot touch images in regions that `STEWARD_REGIONS` does not list.")
def _(function: Function) -> None:
    assert is_rejected(uploaded(function, {**RENAME, "Region": "ap-beijing"}), "NotAllowed")


@holds(
    "It cannot touch an image with the tag `image-steward` = `ignore`, nor set or take away "
    "that tag."
)
def _(function: Function) -> None:
    tag = {"Key": "image-steward", "Value": "ignore"}
    function.hold({"ImageId": IMAGE, "ImageName": "n", "Tags": [tag]})
    (image,) = uploaded(function, RENAME)["Images"]
    assert (image["Status"], image["Code"]) == ("failed", "NotAllowed")
    assert is_rejected(uploaded(function, {"ImageId": IMAGE, "Tags": [tag]}), "NotAllowed")
    assert is_rejected(
        uploaded(function, {"ImageId": IMAGE, "DeleteTags": ["image-steward"]}), "NotAllowed"
    )


@holds("It cannot set or delete a tag that `STEWARD_PROTECTED_TAGS` matches.")
def _(function: Function) -> None:
    request = {"ImageId": IMAGE, "Tags": [{"Key": "cost-center", "Value": "1"}]}
    assert is_rejected(uploaded(function, request), "NotAllowed")
    deletion = {"ImageId": IMAGE, "DeleteTags": ["billing-code"]}
    assert is_rejected(uploaded(function, deletion), "NotAllowed")


@holds(
    "The images that one upload names are at most `STEWARD_MAX_CHANGES`; the number of uploads is "
    "not bounded."
)
def _(function: Function) -> None:
    entries = [{"ImageId": i, "ImageDescription": "d"} for i in hold_many(function)]
    assert is_rejected(uploaded(function, {"Images": entries}), "TooManyChanges")
    for part in (entries[:100], entries[100:]):
        assert uploaded(function, {"Images": part})["Outcome"] == "applied"


@holds(
    "A Packer manifest also marks older images of a family as deprecated, at most 100 in a run; "
    "delivered again, it goes on."
)
def _(function: Function) -> None:
    function.hold(
        *({"ImageId": i, "ImageName": i, "ImageFamily": "web"} for i in hold_many(function)),
        {"ImageId": IMAGE, "ImageName": "new", "CreatedTime": "2026-11-24T00:00:00Z"},
    )
    document = manifest(build({"ImageFamily": "web", "KeepLatest": "1"}))
    for runs in (1, 2):
        uploaded(function, document)
        assert sum(i["ImageDeprecated"] for i in function.images["ap-guangzhou"]) == 100 * runs


@holds(
    "What it changes can be undone: the former state is in the journal before the first change, or "
    "nothing is changed."
)
def _(function: Function) -> None:
    former = function.images
    uploaded(function, RENAME)
    keys = sorted(k for k in function.cloud.state.objects[BUCKET] if k.startswith("journal/"))
    journal = json.loads(function.cloud.state.objects[BUCKET][keys[0]].content)
    assert uploaded(function, journal)["Outcome"] == "applied"
    assert function.images == former
    result = function(function.uploaded(RENAME), STEWARD_JOURNAL="none-1250000000/journal/")
    assert is_rejected(result, "AccessDenied")
    assert function.images == former


@holds(
    "The log names the address of the uploader, and both ends of the key id that signed the upload."
)
def _(function: Function) -> None:
    event = function.uploaded(RENAME)
    event["Records"][0]["event"]["requestParameters"] = {
        "requestSourceIP": "192.0.2.1",
        "requestHeaders": {
            "Authorization": "q-sign-algorithm=sha1&q-ak=AKID0123456789abcdefEXAMPLE&q-x=1"
        },
    }
    function(event)
    (line,) = function.started
    assert (line["UploaderIp"], line["UploaderKeyId"]) == ("192.0.2.1", "AKID0123…MPLE")


@holds("Of two uploads to one key, each is carried out once, as it was uploaded, or not at all.")
def _(function: Function) -> None:
    first = function.uploaded(RENAME)
    etag = "0123456789abcdef0123456789abcdef"  # of a content that has been replaced
    first["Records"][0]["cos"]["cosObject"]["meta"] = {"ETag": f'"{etag}"'}
    assert function(first)["Outcome"] == "ignored"
    assert function.writes == 0


@holds("A key with `..`, an empty segment or encoded slashes reaches no other object.")
def _(function: Function) -> None:
    function.put("policies/x.json", RENAME)
    for key in ("requests/../policies/x.json", "/policies/x.json", "%2Fpolicies/x.json"):
        assert is_rejected(function(cos_event(key)), "SourceNotAllowed")


@holds("An upload there runs nothing by itself: no trigger watches the prefix.")
def _(_: Function) -> None:
    (prefix,) = (e["cos"]["parameters"]["filter"]["prefix"] for e in INPUTS["events"] if "cos" in e)
    assert prefix == "requests/"


@holds("At its next time, the timer applies whatever `policies/nightly.json` holds then.")
def _(function: Function) -> None:
    (argument,) = (e["timer"]["parameters"]["argument"] for e in INPUTS["events"] if "timer" in e)
    function.put("policies/nightly.json", RENAMING)
    assert by_timer(function, json.loads(argument))["Outcome"] == "applied"


@holds(
    "A policy changes at most the smaller of its `MaxChanges` and `STEWARD_MAX_CHANGES` "
    "images in a run."
)
def _(function: Function) -> None:
    hold_many(function)
    for most in (200, 1000):
        policy = {"Normalise": {"ImageDescription": "d", "MaxChanges": most}}
        assert is_rejected(by_timer(function, policy), "TooManyChanges")


@holds("A change request or a manifest there is rejected with `SourceNotAllowed`.")
def _(function: Function) -> None:
    for document in (RENAME, manifest(build({"Tag.a": "b"}))):
        assert is_rejected(uploaded(function, document, "policies/x.json"), "SourceNotAllowed")


@holds("The bounds on regions, tags and images that have opted out hold for policies, too.")
def _(function: Function) -> None:
    tags = [{"Key": "cost-center", "Value": "1"}]
    for body in ({"Tags": tags}, {"ImageDescription": "d", "Regions": ["ap-beijing"]}):
        assert is_rejected(by_timer(function, {"Normalise": body}), "NotAllowed")
    tag = {"Key": "image-steward", "Value": "ignore"}
    function.hold({"ImageId": IMAGE, "ImageName": "n", "Tags": [tag]})
    assert by_timer(function, RENAMING)["Summary"]["Skipped"] == 1


@holds("An upload there is ignored, also if a trigger watches the prefix.")
def _(function: Function) -> None:
    assert uploaded(function, RENAME, "journal/x.json")["Outcome"] == "ignored"


@holds(
    "A pointer to it is rejected with `SourceNotAllowed`; to undo a run, copy the object to "
    "`requests/`."
)
def _(function: Function) -> None:
    function.put("journal/x.json", RENAME)
    result = uploaded(function, {"Document": f"cos://{BUCKET}/journal/x.json"})
    assert is_rejected(result, "SourceNotAllowed")


@holds(
    "A direct call may hold a change request; a policy or a manifest is rejected with "
    "`SourceNotAllowed`."
)
def _(function: Function) -> None:
    assert function(RENAME)["Outcome"] == "applied"
    for document in (RENAMING, manifest(build({"Tag.a": "b"}))):
        assert is_rejected(function(document), "SourceNotAllowed")


@holds(
    "The right to invoke the function includes that of every source: an event can be made to look "
    "like any trigger's."
)
def _(function: Function) -> None:
    assert by_timer(function, RENAMING)["Outcome"] == "applied"


@holds("The bounds on regions, tags, images and their number hold for every event.")
def _(function: Function) -> None:
    tagged = {"ImageId": IMAGE, "DeleteTags": ["image-steward"]}
    for document in ({**RENAME, "Region": "ap-beijing"}, tagged):
        assert is_rejected(function(document), "NotAllowed")
    entries = [{"ImageId": i, "ImageDescription": "d"} for i in hold_many(function)]
    assert is_rejected(function({"Images": entries}), "TooManyChanges")


@holds("The right to change the code or the settings includes all that the execution role may do.")
def _(_: Function) -> None:
    trust = json.loads((ROOT / "deploy/trust.json").read_text(encoding="utf-8"))
    assert trust["statement"][0]["principal"] == {"service": ["scf.qcloud.com"]}


@holds(
    "The role can change and tag images, read `requests/` and `policies/`, and write "
    "`journal/`: no more."
)
def _(_: Function) -> None:
    actions = {action for statement in POLICY["statement"] for action in statement["action"]}
    assert actions == {
        "name/cvm:ModifyImageAttribute", "name/cvm:DescribeImages", "name/tag:TagResources",
        "name/tag:UnTagResources", "name/cos:GetObject", "name/cos:PutObject",
    }  # fmt: skip
    assert resources("name/cos:GetObject") == ["requests/*", "policies/*"]


@holds("The role cannot upload to `requests/` or `policies/`, so no run can start another one.")
def _(_: Function) -> None:
    assert resources("name/cos:PutObject") == ["journal/*"]


@holds(
    "Who may write the role's policy, as `deploy/deployer.json` allows, can give the function, and "
    "so themselves, any right."
)
def _(_: Function) -> None:
    text = (ROOT / "deploy/deployer.json").read_text(encoding="utf-8")
    role, function = f"roleName/{INPUTS['role']}", f"namespace/default/function/{INPUTS['name']}"
    for action, resource in (
        ("cam:UpdatePolicy", "*"),
        ("cam:PassRole", f"qcs::cam::uin/100000000001:{role}"),
        ("scf:UpdateFunctionCode", f"qcs::scf:ap-guangzhou:uin/100000000001:{function}"),
    ):
        assert policies.is_allowed(policies.parse(text), action, resource)


def resources(action: str) -> list[str]:
    """The keys in the bucket that the role may use with an action."""
    (statement,) = (s for s in POLICY["statement"] if action in s["action"])
    return [resource.partition(f"{BUCKET}/")[2] for resource in statement["resource"]]


@holds("They show ids, names, descriptions and tags of images, and the keys of documents.")
def _(function: Function) -> None:
    result = uploaded(function, {**RENAME, "Tags": [{"Key": "a", "Value": "tag-value"}]})
    for text in (json.dumps(result), json.dumps(function.lines)):
        assert all(word in text for word in (IMAGE, "sample", "tag-value", "requests/x.json"))


@holds(
    "They show no secret, token, signature or whole event, even if an error of the API repeats one."
)
def _(function: Function) -> None:
    secrets = [value for name, value in function.environ.items() if "TENCENTCLOUD" in name]
    error = {"Error": {"Code": "InvalidParameter", "Message": " ".join(secrets)}, "RequestId": "r"}
    body = json.dumps({"Response": error}).encode()
    function.cloud.on_reply = lambda call, reply: (
        reply if call.action == "GetObject" else type(reply)(200, reply.headers, body)
    )
    result = function(function.uploaded(RENAME))
    output = json.dumps([result, function.lines, function.started])
    assert "[redacted]" in output
    assert not any(secret in output for secret in (*SECRETS, *secrets))


@holds("No key, name or message can end a line of the log or forge one.")
def _(function: Function) -> None:
    forged = '\n{"Time":"","Level":"INFO","Event":"image.before","RequestId":"r","Undo":{}}\n'
    function.hold({"ImageId": IMAGE, "ImageName": "n", "ImageDescription": forged})
    event = cos_event(f"requests/{forged}.json")
    assert uploaded(function, {**RENAME, "ImageDescription": "d"})["Outcome"] == "applied"
    assert {line["RequestId"] for line in function.lines} == {"r-1"}
    function(event)  # `Function` parses each line of the log
    assert {line["RequestId"] for line in function.lines} == {"r-1"}
