"""Bounds of what a document may do, by its source, and what logs and results show of it."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from conftest import ROOT, Function, cos_event
from image_steward.errors import Unfinished
from image_steward.reporting.log import Secrets
from packer import build, manifest
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.seed import Object
from scf_local.cloud.wire import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping

BUCKET = "manifests-1250000000"
IMAGE = "img-6pb6lrmy"
RENAME = {"ImageId": IMAGE, "ImageName": "sample"}
SHIPPED: dict[str, str] = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))[
    "inputs"
]["environment"]["variables"]
KEY_ID = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE"


def timer(document: object) -> dict[str, str]:
    """Return the event of a timer with a document."""
    return {"Type": "Timer", "TriggerName": "nightly", "Time": "", "Message": json.dumps(document)}


def codes(result: Mapping[str, Any]) -> set[str]:
    """Return the codes in a result, of its errors and its images."""
    return {e["Code"] for e in [*result["Errors"], *result["Images"]] if "Code" in e}


def event_of(function: Function, trigger: str, document: object) -> object:
    """Return an event that brings a document by a timer, a direct call, or a prefix of COS."""
    if trigger == "timer":
        return timer(document)
    return document if trigger == "direct" else function.uploaded(document, f"{trigger}/x.json")


# An image that has opted out

OPTED_OUT = {
    "ImageId": "img-out00000", "ImageName": "mine", "ImageFamily": "web",
    "CreatedTime": "2024-01-01T00:00:00Z",
    "Tags": [{"Key": "image-steward", "Value": "ignore"}, {"Key": "a", "Value": "1"}],
}  # fmt: skip
OTHERS = tuple(
    {"ImageId": f"img-0000000{i}", "ImageName": f"n{i}", "ImageFamily": "web",
     "CreatedTime": f"2025-0{i}-01T00:00:00Z"}
    for i in (1, 2)
)  # fmt: skip
NAMED: dict[str, Any] = {
    "name": {"ImageId": "img-out00000", "ImageName": "theirs"},
    "description": {"Images": [{"ImageId": "img-out00000", "ImageDescription": "theirs"}]},
    "retirement": {"ImageId": "img-out00000", "ImageDeprecated": True},
    "tags": {"Images": [{"ImageId": "img-out00000", "Tags": [{"Key": "b", "Value": "2"}]}]},
    "deleted tags": {"ImageId": "img-out00000", "DeleteTags": ["a"]},
    "what it is": {"ImageId": "img-out00000", "ImageName": "mine"},
    "expected": {"ImageId": "img-out00000", "ImageName": "x", "Expect": {"ImageName": "other"}},
    "manifest": manifest(build({"ImageName": "theirs"}, artifact_id="ap-guangzhou:img-out00000")),
    "manifest's field": manifest(
        build({"Tag.b": "{Tag.none}"}, artifact_id="ap-guangzhou:img-out00000")
    ),
}


@pytest.mark.parametrize("kind", NAMED)
@pytest.mark.parametrize("dry_run", ["0", "1"])
def test_image_that_opted_out_is_named(function: Function, kind: str, dry_run: str) -> None:
    """A document that names an image with the tag image-steward = ignore gets NotAllowed for it."""
    function.hold(OPTED_OUT)
    former = function.images
    result = function(NAMED[kind], STEWARD_DRY_RUN=dry_run)
    (image,) = result["Images"]
    assert (image["Status"], image["Code"]) == ("failed", "NotAllowed")
    assert result["Undo"] == {"Images": []}
    assert (function.images, function.writes) == (former, 0)


@pytest.mark.parametrize(
    "document",
    [
        {"Normalise": {"ImageName": "x", "Tags": [{"Key": "b", "Value": "2"}], "KeepLatest": 1}},
        manifest(
            build(
                {"ImageFamily": "web", "KeepLatest": "1"}, artifact_id="ap-guangzhou:img-00000002"
            )
        ),
    ],
    ids=["policy", "manifest"],
)
def test_image_that_opted_out_is_found(function: Function, document: object) -> None:
    """A policy, and a manifest's KeepLatest, leave an image that has opted out as it is."""
    function.hold(OPTED_OUT, *OTHERS)
    former = function.image("img-out00000")
    result = function(document)
    assert function.image("img-out00000") == former
    assert function.image("img-00000001")["ImageDeprecated"]
    statuses = [i["Status"] for i in result["Images"] if i["ImageId"] == "img-out00000"]
    assert statuses in ([], ["skipped"])


@pytest.mark.parametrize(
    "document",
    [
        {"ImageId": "img-00000001", "ImageName": "x"},
        {"ImageId": "img-00000001", "Tags": [{"Key": "b", "Value": "2"}]},
        {"Normalise": {"ImageDescription": "x"}},
    ],
)
def test_image_opts_out_during_the_run(function: Function, document: object) -> None:
    """An image that has opted out when it is read back is not written again."""
    function.hold(OTHERS[0])
    former = function.image("img-00000001")
    writes: list[str] = []

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action not in {"ModifyImageAttribute", "TagResources"}:
            return reply
        writes.append(call.action)
        opted_out = {**former, "Tags": [{"Key": "image-steward", "Value": "ignore"}]}
        function.hold(opted_out)  # the write is lost
        return Reply(500, reply.headers, b"")

    function.cloud.on_reply = on_reply
    (image,) = function(document)["Images"]
    assert (image["Code"], image["Status"]) == ("NotAllowed", "failed")
    assert len(writes) == 1


# Tags that no document may set or delete

PROTECTED: dict[str, tuple[Any, str]] = {
    "request": ({"Images": [{**RENAME, "Tags": [{"Key": "KEY", "Value": "x"}]}]}, "/Images/0/Tags"),
    "deletion": ({"Images": [{**RENAME, "DeleteTags": ["KEY"]}]}, "/Images/0/DeleteTags"),
    "API body": ({**RENAME, "Tags": [{"Key": "KEY", "Value": "ignore"}]}, "/Tags"),
    "API body, deletion": ({**RENAME, "DeleteTags": ["KEY"]}, "/DeleteTags"),
    "policy": ({"Normalise": {"Tags": [{"Key": "KEY", "Value": "x"}]}}, "/Normalise/Tags"),
    "manifest": (manifest(build({"Tag.KEY": "x"})), "/builds/0/custom_data/Tag.KEY"),
}


@pytest.mark.parametrize("kind", PROTECTED)
@pytest.mark.parametrize("key", ["image-steward", "owner", "cost-center", " image-steward "])
def test_protected_tag(function: Function, kind: str, key: str) -> None:
    """A document that sets or deletes a protected tag is rejected whole, at the tag's path.

    A key with blanks at its ends is invalid in policies and manifests, whatever is protected.
    """
    document, path = PROTECTED[kind]
    code = "NotAllowed"
    if key != key.strip() and kind in {"policy", "manifest"}:
        code = "InvalidDocument"
        path = path.replace("Tags", "Tags/0/Key")
    document = json.loads(json.dumps(document).replace("KEY", key))
    result = function(document, STEWARD_PROTECTED_TAGS="cost-*,owner")
    (error,) = result["Errors"]
    assert (result["Outcome"], error["Code"]) == ("rejected", code)
    assert error["Path"] == path.replace("KEY", key)
    assert f'"{key}"' in error["Message"]
    assert function.calls() == []


def test_other_tags_are_not_protected(function: Function) -> None:
    """Tags that match no glob are set, and any tag may be expected."""
    request = {"ImageId": IMAGE, "Tags": [{"Key": "cost", "Value": "1"}],
               "Expect": {"DeleteTags": ["image-steward", "owner"]}}  # fmt: skip
    assert function(request, STEWARD_PROTECTED_TAGS="cost-*,owner")["Outcome"] == "applied"


def test_everything_forbidden_is_listed(function: Function) -> None:
    """Forbidden regions and tags are reported together."""
    image = {**RENAME, "Region": "ap-beijing", "DeleteTags": ["owner", "image-steward"]}
    result = function(
        {"Images": [image]}, STEWARD_PROTECTED_TAGS="own*", STEWARD_REGIONS="ap-guangzhou"
    )
    assert [e["Path"] for e in result["Errors"]] == [
        "/Images/0/Region", "/Images/0/DeleteTags", "/Images/0/DeleteTags",
    ]  # fmt: skip


# Kinds of documents by source

KINDS: dict[str, Any] = {
    "requests": RENAME,
    "requests, in a list": {"Images": [RENAME]},
    "manifests": manifest(build({"ImageName": "sample"})),
    "policies": {"Normalise": {"ImageName": "sample"}, "DryRun": True},
}
ALLOWED = {
    "requests": {"requests", "manifests"},
    "policies": {"policies"},
    "timer": {"policies"},
    "direct": {"requests"},
    "other": set[str](),
}
"""By source: the kinds that serverless.yml allows there."""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("trigger", ALLOWED)
@pytest.mark.parametrize("target", [None, *list(ALLOWED)])
def test_kinds_by_source(function: Function, trigger: str, kind: str, target: str | None) -> None:
    """Under the shipped settings each source brings its own kinds, and pointers only both's."""
    document = KINDS[kind]
    allowed = ALLOWED[trigger]
    if target:
        if target in {"timer", "direct"}:
            return  # not an object
        function.put(f"{target}/target.json", document)
        document = {"Document": f"cos://{BUCKET}/{target}/target.json"}
        allowed = allowed & ALLOWED[target]
    function.environ |= SHIPPED
    result = function(event_of(function, trigger, document))
    if kind.partition(",")[0] in allowed:
        assert result["Outcome"] in {"applied", "planned"}
    else:
        assert codes(result) == {"SourceNotAllowed"}
        assert (result["Outcome"], function.writes) == ("rejected", 0)


def test_kind_is_judged_before_the_rest(function: Function) -> None:
    """A document that its source may not bring is not validated, and its images are not read."""
    event = function.uploaded({"Normalise": {"Wrong": 1}}, "requests/x.json")
    function.environ |= SHIPPED
    result = function(event)
    (error,) = result["Errors"]
    assert error["Code"] == "SourceNotAllowed"
    assert error["Message"] == "STEWARD_SOURCES allows requests, manifests from here, not policies"
    assert function.calls("DescribeImages") == []


@pytest.mark.parametrize("event", [RENAME, timer(RENAME)], ids=["direct", "timer"])
def test_trigger_that_is_not_listed(function: Function, event: object) -> None:
    """If STEWARD_SOURCES is set, timers and direct calls that it does not list are rejected."""
    (error,) = function(event, STEWARD_SOURCES="a-1/x/,eventbridge")["Errors"]
    assert error["Code"] == "SourceNotAllowed"
    assert error["Message"].endswith(
        "is not an allowed source; STEWARD_SOURCES has a-1/x, eventbridge"
    )
    assert function.calls() == []


def test_pointer_probes_nothing(function: Function) -> None:
    """What a pointer names outside of STEWARD_SOURCES is not even read."""
    function.environ |= SHIPPED
    result = function({"Document": f"cos://{BUCKET}/secret/x.json"})
    assert codes(result) == {"SourceNotAllowed"}
    assert function.calls("GetObject") == []


# The ceiling of changes


def images(count: int) -> list[dict[str, Any]]:
    """Return that many images."""
    return [{"ImageId": f"img-0000000{i}", "ImageName": f"n{i}"} for i in range(count)]


LARGE: dict[str, Any] = {
    "requests": {
        "Images": [{"ImageId": f"img-0000000{i}", "ImageName": f"m{i}"} for i in range(5)]
    },
    "manifests": manifest(
        *(build({"Tag.a": "b"}, artifact_id=f"ap-guangzhou:img-0000000{i}") for i in range(5))
    ),
    "policies": {"Normalise": {"ImageDescription": "d", "MaxChanges": 1000}},
}


@pytest.mark.parametrize("kind", LARGE)
def test_ceiling(function: Function, kind: str) -> None:
    """A plan that changes more images than STEWARD_MAX_CHANGES is rejected whole; none is lost."""
    function.hold(*images(5))
    result = function(LARGE[kind], STEWARD_MAX_CHANGES="4")
    (error,) = result["Errors"]
    assert (result["Outcome"], error["Code"]) == ("rejected", "TooManyChanges")
    assert error["Message"] == "5 images would be changed; STEWARD_MAX_CHANGES allows 4"
    assert function.writes == 0
    assert function(LARGE[kind], STEWARD_MAX_CHANGES="5")["Summary"]["Changed"] == 5


@pytest.mark.parametrize("kind", LARGE)
def test_ceiling_in_a_dry_run(function: Function, kind: str) -> None:
    """A dry run shows the plan, warns that it would be rejected, and offers no Apply."""
    function.hold(*images(5))
    result = function(LARGE[kind], STEWARD_MAX_CHANGES="4", STEWARD_DRY_RUN="1")
    assert result["Summary"]["Planned"] == 5
    (warning,) = result["Warnings"]
    assert warning["Code"] == "TooManyChanges"
    assert "Apply" not in result


def test_policy_goes_only_below_the_ceiling(function: Function) -> None:
    """Of MaxChanges and STEWARD_MAX_CHANGES the smaller counts, and is the one that is named."""
    function.hold(*images(5))
    body = {"ImageDescription": "d", "MaxChanges": 3}
    (error,) = function({"Normalise": body}, STEWARD_MAX_CHANGES="4")["Errors"]
    assert (error["Path"], error["Message"]) == (
        "/Normalise/MaxChanges", "5 images would be changed; MaxChanges allows 3",
    )  # fmt: skip


def test_region_that_was_not_read_counts(function: Function) -> None:
    """Images that a later delivery may change count, so that deliveries together keep to it."""
    function.hold(*images(3))
    function.hold(*images(3), region="ap-shanghai")
    request = {
        "Images": [
            {"ImageId": f"img-0000000{i}", "Region": region, "ImageDescription": "d"}
            for i in range(3)
            for region in ("ap-guangzhou", "ap-shanghai")
        ]
    }
    function.cloud.on_reply = lambda call, reply: (
        Reply(500, reply.headers, b"") if call.region == "ap-shanghai" else reply
    )
    assert codes(function(request, STEWARD_MAX_CHANGES="4")) == {"TooManyChanges"}
    assert function.writes == 0


def test_image_that_is_not_there_counts(function: Function) -> None:
    """Images that a later delivery may find, or be able to rename, count."""
    function.hold(*images(1), {"ImageId": "img-holder00", "ImageName": "m1"})
    entries = [{"ImageId": f"img-0000000{i}", "ImageName": f"m{i}"} for i in (0, 5, 6)]
    result = function({"Images": entries}, STEWARD_MAX_CHANGES="2")
    assert codes(result) == {"TooManyChanges"}
    taken = {"ImageId": "img-00000000", "ImageName": "m1"}
    assert codes(function({"Images": [taken, entries[1]]}, STEWARD_MAX_CHANGES="1")) == {
        "TooManyChanges"
    }


def test_image_that_is_never_changed_does_not_count(function: Function) -> None:
    """An image that no delivery would change takes no room of others."""
    shared = {"ImageId": "img-shared00", "ImageName": "s", "ImageType": "SHARED_IMAGE"}
    failed = {"ImageId": "img-failed00", "ImageName": "f", "ImageState": "CREATEFAILED"}
    function.hold(OPTED_OUT, shared, failed, *images(2))
    ids = ["img-out00000", "img-shared00", "img-failed00", "img-00000000"]
    entries: list[dict[str, Any]] = [{"ImageId": i, "ImageDescription": "d"} for i in ids]
    entries.append({"ImageId": "img-00000001", "ImageDescription": "d",
                    "Expect": {"ImageName": "another"}})  # fmt: skip
    result = function({"Images": entries}, STEWARD_MAX_CHANGES="1")
    assert (result["Summary"]["Changed"], result["Summary"]["Failed"]) == (1, 4)


@pytest.mark.parametrize(("most", "changed"), [(3, 3), (4, 4), (10, 5)])
def test_retired_images_count(function: Function, most: int, changed: int) -> None:
    """The images of a manifest and those that it retires count together; the oldest come first."""
    old = [
        {"ImageId": f"img-0000000{i}", "ImageName": f"n{i}", "ImageFamily": "web",
         "CreatedTime": f"2025-01-0{i + 1}T00:00:00Z"}
        for i in range(4)
    ]  # fmt: skip
    new = {"ImageId": "img-new00000", "ImageName": "new", "CreatedTime": "2026-01-01T00:00:00Z"}
    function.hold(*old, new)
    data = {"ImageFamily": "web", "KeepLatest": "1"}
    event = function.uploaded(manifest(build(data, artifact_id="ap-guangzhou:img-new00000")))
    result = function(event, STEWARD_MAX_CHANGES=str(most))
    assert result["Summary"]["Changed"] == changed
    assert bool(result.get("Warnings")) == (changed < 5)
    retired = [i["ImageId"] for i in function.images["ap-guangzhou"] if i["ImageDeprecated"]]
    assert retired == [f"img-0000000{i}" for i in range(changed - 1)]


# Keys that would reach another object


@pytest.mark.parametrize(
    "key",
    [
        "//journal/x.json", "///journal/x.json", "%2Fjournal/x.json", "%2F%2Fjournal/x.json",
        "./journal/x.json", "requests/../journal/x.json", "requests/%2E%2E/journal/x.json",
        "requests/%2e./journal/x.json", "requests//x.json", "requests/%2F/x.json",
        "%2e/journal/x.json", "requests/..", "requests/%2e%2E",
    ],
)  # fmt: skip
@pytest.mark.parametrize("has_prefix", [True, False])
def test_key_that_reaches_another_object(function: Function, key: str, *, has_prefix: bool) -> None:
    """A key with an empty, `.` or `..` segment, raw or encoded, is rejected before any request."""
    function.put("journal/x.json", RENAME)
    event = cos_event(key)
    if not has_prefix:
        event["Records"][0]["cos"]["cosObject"]["key"] = f"/{key}"
    result = function(event, STEWARD_JOURNAL=f"{BUCKET}/journal/")
    assert codes(result) == {"SourceNotAllowed"}
    assert function.calls("GetObject", "DescribeImages") == []


def test_very_long_key(function: Function) -> None:
    """A key, of an event or a pointer, that COS would not allow is rejected with a reason."""
    assert codes(function(cos_event("x" * 3000))) == {"InvalidEvent"}
    result = function({"Document": f"cos://{BUCKET}/{'x' * 1_000_000}"})
    assert codes(result) == {"InvalidDocument"}
    assert "Truncated" not in result


@pytest.mark.parametrize("key", ["%2Fjournal/x.json", "a//x.json", "a/../journal/x.json"])
def test_pointer_that_reaches_another_object(function: Function, key: str) -> None:
    """The same holds for the key in a pointer."""
    result = function({"Document": f"cos://{BUCKET}/{key}"})
    assert codes(result) == {"SourceNotAllowed"}
    assert function.calls("GetObject") == []


def test_key_that_is_not_utf8_is_not_decoded(function: Function) -> None:
    """A key whose decoded form is not UTF-8 names no other object."""
    function.put("requests/\ufffd.json", RENAME)
    assert codes(function(cos_event("requests/%FF.json"))) == {"ObjectNotFound"}


# Who uploaded it, and which content


def uploaded_by(event: dict[str, Any], ip: object, authorization: object) -> dict[str, Any]:
    """Return the event with another uploader."""
    event["Records"][0]["event"]["requestParameters"] = {
        "requestSourceIP": ip, "requestHeaders": {"Authorization": authorization},
    }  # fmt: skip
    return event


SIGNATURE = f"q-sign-algorithm=sha1&q-ak={KEY_ID}&q-sign-time=1;2&q-signature=0123abcd"


def test_uploader_is_logged(function: Function) -> None:
    """`run.started` names the source, the kind, the uploader's address and both ends of the key."""
    function(uploaded_by(function.uploaded(RENAME), "192.0.2.1", SIGNATURE))
    (line,) = function.started
    assert {name: line[name] for name in line if name not in {"Time", "RequestId"}} == {
        "Level": "INFO", "Event": "run.started", "Source": f"cos://{BUCKET}/requests/x.json",
        "Kind": "requests", "UploaderIp": "192.0.2.1", "UploaderKeyId": "AKIDz8kr…MPLE",
    }  # fmt: skip


def test_uploader_of_a_rejected_document(function: Function) -> None:
    """Who uploaded a document that is rejected is logged, too."""
    function(uploaded_by(function.uploaded({"Images": 1}), "2001:db8::1", SIGNATURE))
    (line,) = function.started
    assert (line["UploaderIp"], line["UploaderKeyId"]) == ("2001:db8::1", "AKIDz8kr…MPLE")
    assert "Kind" not in line


def test_uploader_of_a_pointer(function: Function) -> None:
    """For a pointer, the line names the document, and where the pointer itself came from."""
    function.put("requests/target.json", RENAME)
    pointer = {"Document": f"cos://{BUCKET}/requests/target.json"}
    function(uploaded_by(function.uploaded(pointer), "192.0.2.1", SIGNATURE))
    (line,) = function.started
    assert line["Source"] == f"cos://{BUCKET}/requests/target.json"
    assert line["Pointer"] == f"cos://{BUCKET}/requests/x.json"
    assert line["UploaderIp"] == "192.0.2.1"


@given(ip=st.text() | st.none() | st.integers(), text=st.text(), wrap=st.booleans())
def test_nothing_else_of_the_uploader_is_kept(ip: object, text: str, *, wrap: bool) -> None:
    """Whatever the event says, only a short address and twelve characters of a key id are kept."""
    from image_steward.events.parse import parse  # noqa: PLC0415 - only here

    event = uploaded_by(cos_event("x"), ip, f"q-ak={text}" if wrap else {"q-ak": text})
    _, (part,) = parse(event, region="ap-guangzhou")
    assert isinstance(part.content, list)
    kept = part.content[0].uploader
    assert kept.get("UploaderIp", "").isascii()
    assert kept.get("UploaderIp", "").isprintable()
    assert len(kept.get("UploaderKeyId", "AKIDz8kr…MPLE")) == 13
    assert len(kept.get("UploaderIp", "")) <= 45


def with_etag(event: dict[str, Any], content: object, version: str = "") -> dict[str, Any]:
    """Return the event with the ETag of its content, in quotes as in real events."""
    digest = hashlib.md5(json.dumps(content).encode()).hexdigest()  # noqa: S324 - COS's
    cos_object = event["Records"][0]["cos"]["cosObject"]
    cos_object |= {"meta": {"ETag": f'"{digest}"'}, "vid": version}
    return event


def test_replaced_object_is_superseded(function: Function) -> None:
    """Of two quick uploads to one key, the first event is ignored: the second has its own."""
    first = with_etag(function.uploaded(RENAME), RENAME)
    later = {**RENAME, "ImageName": "later"}
    second = with_etag(function.uploaded(later), later)
    result = function(uploaded_by(first, "192.0.2.1", SIGNATURE))
    assert (result["Outcome"], function.writes) == ("ignored", 0)
    (line, _) = function.lines
    assert (line["Level"], line["Event"]) == ("WARNING", "event.ignored")
    assert line["UploaderIp"] == "192.0.2.1"
    assert "replaced" in line["Reason"]
    assert function(second)["Outcome"] == "applied"
    assert function.names()[IMAGE] == "later"


@pytest.mark.parametrize("content", [RENAME, {**RENAME, "ImageName": "replaced"}])
def test_etag_tells_which_key_is_meant(function: Function, content: object) -> None:
    """Of an object by the raw key and one by the decoded key, the one that was uploaded counts."""
    function.put("requests/a%20b.json", {**RENAME, "ImageName": "another"})
    function.put("requests/a b.json", content)
    event = with_etag(cos_event("requests/a%20b.json"), RENAME)
    result = function(event)
    assert result["Outcome"] == ("applied" if content is RENAME else "ignored")
    assert function.names()[IMAGE] == ("sample" if content is RENAME else "web-build-0142")


def test_object_by_the_raw_key_was_replaced(function: Function) -> None:
    """If there is no object by the decoded key, the event is superseded, not without an object."""
    function.put("requests/a%20b.json", {**RENAME, "ImageName": "another"})
    result = function(with_etag(cos_event("requests/a%20b.json"), RENAME))
    assert result["Outcome"] == "ignored"


def test_object_is_read_by_its_version(function: Function) -> None:
    """An event that names a version carries out that version, although it has been replaced."""
    versions = [
        Object(json.dumps({**RENAME, "ImageName": name}).encode(), version=name)
        for name in ("first", "second")
    ]
    newest = replace(versions[1], older=(versions[0],))
    function.cloud.state.buckets[BUCKET].versioning = "Enabled"
    function.cloud.state.objects[BUCKET]["requests/x.json"] = newest
    for name in ("first", "second"):
        event = with_etag(cos_event("requests/x.json"), "of another content", version=name)
        assert function(event)["Outcome"] == "applied"
        assert function.names()[IMAGE] == name
    for version in ("third", 5, ["x"], "a\nb"):
        event = cos_event("requests/x.json")
        event["Records"][0]["cos"]["cosObject"]["vid"] = version
        result = function(event)
        assert codes(result) == ({"ObjectNotFound"} if version == "third" else set())


@pytest.mark.parametrize("etag", ["", 5, None, "a\nb", '""', "…"])
def test_unusable_etag(function: Function, etag: object) -> None:
    """Without a readable ETag the object is read as it is."""
    event = function.uploaded(RENAME)
    event["Records"][0]["cos"]["cosObject"]["meta"] = {"ETag": etag}
    assert function(event)["Outcome"] == "applied"


# Secrets and forged lines

BUSY = "FailedOperation.InvalidImageState"
FORGED = '{"Time":"t","Level":"INFO","Event":"image.before","RequestId":"r","Undo":{}}'


def echo(call: Call, reply: Reply, text: str, code: str) -> Reply:
    """Answer every call of the API with an error of that text."""
    if call.action in {"PutObject", "GetObject"}:
        return reply
    error = {"Response": {"Error": {"Code": code, "Message": text}, "RequestId": "r"}}
    return replace(reply, body=json.dumps(error).encode())


def has_part_of(secret: str, text: str) -> bool:
    """Whether a text has 16 characters of a secret in a row."""
    return any(secret[i : i + 16] in text for i in range(len(secret) - 15))


@pytest.mark.parametrize("code", ["InvalidParameter", BUSY])
@pytest.mark.parametrize("name", ["SECRETID", "SECRETKEY", "SESSIONTOKEN"])
@pytest.mark.parametrize(
    "form", ["{}", "{}, {}", "encoded", "cut by us", "cut before", "its end", "encoded twice"]
)
def test_echoed_secret(function: Function, code: str, name: str, form: str) -> None:
    """A secret in an error of the API is in no output: log, result, exception, journal."""
    secret = f"{name}-0123456789ABCDEF{'' if name == 'SECRETID' else '+=/'}fedcba9876543210"
    function.environ |= {f"TENCENTCLOUD_{name}": secret}
    member = {"SECRETID": "secret_id", "SECRETKEY": "secret_key", "SESSIONTOKEN": "token"}[name]
    function.cloud.credentials = replace(function.cloud.credentials, **{member: secret})
    forms = {
        "encoded": quote(secret, safe=""),
        "cut by us": "x" * (1000 - len("bad ") - 20) + secret,
        "cut before": secret[:-3],
        "its end": secret[5:],
        "encoded twice": quote(quote(secret, safe=""), safe=""),
    }
    text = f"bad {forms.get(form, form.format(secret, secret))} here"
    function.cloud.on_reply = lambda call, reply: echo(call, reply, text, code)
    try:
        output = json.dumps(function(RENAME, STEWARD_JOURNAL=f"{BUCKET}/journal/", seconds=300))
    except Unfinished as error:
        output = str(error)
    stored = b"".join(o.content for o in function.cloud.state.objects[BUCKET].values())
    output += json.dumps([function.lines, function.started]) + stored.decode()
    assert not has_part_of(secret, output)
    assert "[redacted]" in output


def test_values_are_not_redacted(function: Function) -> None:
    """Only messages lose what looks like a signature or a login: Undo restores values whole."""
    texts = ["built from https://git.example.com:8443/web@v2", "signature=none", "a//b:c@d"]
    function.hold({"ImageId": IMAGE, "ImageName": "n", "ImageDescription": texts[0],
                   "Tags": [{"Key": "src", "Value": texts[1]}]})  # fmt: skip
    former = function.images
    request = {"ImageId": IMAGE, "ImageDescription": texts[2], "DeleteTags": ["src"]}
    result = function(request)
    assert function(result["Undo"])["Outcome"] == "applied"
    assert function.images == former
    assert (
        function({**request, "DryRun": True})["Apply"]["Images"][0]["ImageDescription"] == texts[2]
    )


@pytest.mark.parametrize("text", ["a//" + ":" * 200_000 + "=", "//a:" * 50_000, "x1" * 500_000])
def test_time_and_memory_of_a_hostile_text(text: str) -> None:
    """Looking for secrets takes time in proportion to a text, and memory that does not matter."""
    secrets = Secrets({"TENCENTCLOUD_SECRETKEY": "0123456789abcdefghij"})
    tracemalloc.start()
    try:
        assert secrets.redacted({"Message": text}) == {"Message": text}
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 8 * len(text) + 1_000_000


def test_credentials_read_again_are_redacted() -> None:
    """Credentials that were replaced during the run stay secret, as do the new ones."""
    environ = {"TENCENTCLOUD_SESSIONTOKEN": "the-first-token-of-all"}
    secrets = Secrets(environ)
    assert secrets.redacted("the-first-token-of-all") == "[redacted]"
    environ["TENCENTCLOUD_SESSIONTOKEN"] = "another-token-for-now"
    both = [
        "the-first-token-of-all",
        ("x another-token-for-now",),
        {"a": None, "b": 1.5, "c": True},
        ValueError("x the-first-token-of-all"),  # no JSON
    ]
    assert secrets.redacted(both) == [
        "[redacted]", ["x [redacted]"], {"a": None, "b": 1.5, "c": True}, "x [redacted]",
    ]  # fmt: skip


def test_credentials_of_earlier_runs_are_redacted(function: Function) -> None:
    """A warm instance logs no credentials of an earlier run, which may still be valid."""
    first, second = "the-token-of-the-first-run", "the-token-of-the-second-run"
    for token in (first, second):
        function.environ["TENCENTCLOUD_SESSIONTOKEN"] = token
        function({"Records": [{"event": {"eventName": first}}]})
        assert [line["Reason"] for line in function.lines if "Reason" in line] == [
            "event [redacted] does not create an object"
        ]


@given(st.text(alphabet="abcd", min_size=20, max_size=40), st.text(alphabet="abcd"), st.data())
def test_no_long_part_of_a_secret_is_left(secret: str, around: str, data: st.DataObject) -> None:
    """However a text is cut, no 16 characters of the secret are left in it."""
    text = f"{around}{secret}{around}{secret}"[: data.draw(st.integers(0, 200))]
    redacted = Secrets({"TENCENTCLOUD_SECRETKEY": secret}).redacted(text)
    assert not has_part_of(secret, redacted)
    assert Secrets({"TENCENTCLOUD_SECRETKEY": secret}).redacted(redacted) == redacted


@pytest.mark.parametrize(
    "text",
    [
        "q-sign-algorithm=sha1&q-ak=x&q-signature=0123abcd",
        "TC3-HMAC-SHA256 Credential=x/2026-11-26/cvm/tc3_request, Signature=0123abcd",
        "proxy http://me:0123abcd@127.0.0.1:99999",
        'headers {"Signature": "0123abcd"}',
        "url http://x/?q-signature%3D0123abcd",
    ],
)
def test_signature_is_redacted(function: Function, text: str) -> None:
    """A signature, or the login of a URL, in an error of the API is in no output."""
    function.cloud.on_reply = lambda call, reply: echo(call, reply, text, "InvalidParameter")
    output = json.dumps([function(RENAME), function.lines])
    assert "0123abcd" not in output
    assert "[redacted]" in output


@pytest.mark.parametrize(
    "ending", ["\n", "\r\n", "\x85", "\u2028", "\x1b[2J\n", "\u202e\n", "\x9b"]
)
@pytest.mark.parametrize("place", ["key", "message"])
def test_raised_text_is_one_printable_line(function: Function, place: str, ending: str) -> None:
    """What the function raises ends no line and controls no terminal, whatever is in it."""
    text = f"x{ending}{FORGED}{ending}"
    key = f"requests/{text}.json" if place == "key" else "requests/x.json"
    if place == "key":
        function.put(key, RENAME)
        function.cloud.faults = Faults(
            (Rule("GetObject", "error", code="InternalError", status=500),)
        )
    else:
        function.cloud.on_reply = lambda call, reply: echo(call, reply, text, "InternalError")
    event = function.uploaded(RENAME, key)
    with pytest.raises(Unfinished) as raised:
        function(event, seconds=300)
    assert FORGED[1:20] in str(raised.value)
    assert str(raised.value).isprintable()
