"""The whole function in one process, with the official SDKs and HTTP, on the emulated cloud."""

from __future__ import annotations

import gzip
import json
import socketserver
from threading import Thread
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from clocks import FakeClock
from conftest import Function, cos_event
from image_steward.clock import Clock, Deadline
from image_steward.cloud.credentials import Credentials, RunCredentials
from image_steward.cloud.objects import Objects
from image_steward.cloud.transport import Connections, Session
from image_steward.errors import Unfinished
from image_steward.settings import Settings
from scf_local.cloud.certificates import Authority
from scf_local.cloud.wire import Call, Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from ssl import SSLContext

    from scf_local.cloud.server import EmulatedCloud

RENAME = {"ImageId": "img-6pb6lrmy", "ImageName": "sample"}


def codes(result: dict[str, Any]) -> set[str]:
    """Return the codes in a result, of its errors and its images."""
    return {e["Code"] for e in [*result["Errors"], *result["Images"]] if "Code" in e}


def replace_reply(
    cloud: EmulatedCloud, action: str, change: Callable[[Reply], Reply], first: int = 99
) -> None:
    """Change the emulated cloud's replies to the first calls of an action."""
    cloud.on_reply = lambda call, reply: (
        change(reply) if call.action == action and call.number <= first else reply
    )


def test_upload_renames_the_image(function: Function) -> None:
    """An uploaded change request renames an image, and the result says so."""
    result = function(function.uploaded(RENAME))
    assert function.image("img-6pb6lrmy")["ImageName"] == "sample"
    (image,) = result["Images"]
    assert len(image.pop("RequestIds")) == 1
    assert result == {
        "RequestId": "r-1",
        "Trigger": "cos",
        "Outcome": "applied",
        "DryRun": False,
        "Summary": {
            "Changed": 1, "Unchanged": 0, "Planned": 0, "Skipped": 0, "Failed": 0, "Pending": 0,
        },
        "Images": [
            {
                "Source": "cos://manifests-1250000000/requests/x.json",
                "Region": "ap-guangzhou",
                "ImageId": "img-6pb6lrmy",
                "Status": "changed",
                "Before": {"ImageName": "web-build-0142"},
                "After": {"ImageName": "sample"},
            }
        ],
        "Errors": [],
        "Undo": {
            "Images": [
                {
                    "Region": "ap-guangzhou",
                    "ImageId": "img-6pb6lrmy",
                    "ImageName": "web-build-0142",
                    "Expect": {"ImageName": "sample"},
                }
            ]
        },
    }  # fmt: skip


def test_second_delivery_writes_nothing(function: Function) -> None:
    """A second delivery takes one read and no write."""
    event = function.uploaded(RENAME)
    function(event)
    before = function.writes
    result = function(event)
    assert result["Outcome"] == "applied"
    assert result["Summary"]["Unchanged"] == 1
    assert result["Images"] == []
    assert function.writes == before == 1


def test_log_lines(function: Function) -> None:
    """A change is one log line with all that is needed to trace it, and the run is another."""
    function(function.uploaded(RENAME))
    former, changed, finished = function.lines
    assert former["Event"] == "image.before"
    assert former["Undo"] == {
        "Region": "ap-guangzhou", "ImageId": "img-6pb6lrmy", "ImageName": "web-build-0142",
        "Expect": {"ImageName": "sample"},
    }  # fmt: skip
    assert changed["Event"] == "image.changed"
    assert changed["Before"] == {"ImageName": "web-build-0142"}
    assert changed["After"] == {"ImageName": "sample"}
    assert changed["Attempts"] == 1
    assert len(changed["ApiRequestId"]) == 1
    assert changed["DurationMs"] >= 0
    assert finished["Event"] == "run.finished"
    assert finished["Outcome"] == "applied"
    assert finished["ApiCalls"] == 3  # the image, holders of the name, the change
    assert finished["Throttles"] == 0
    assert finished["Summary"]["Changed"] == 1


FULL = {
    "ImageId": "img-qlzp4oea",
    "ImageName": "api-77",
    "ImageDescription": "描述 \U0001f600",
    "ImageFamily": "api",
    "ImageDeprecated": True,
    "Tags": [{"Key": "team", "Value": "web"}, {"Key": "os", "Value": "linux"}],
}


def test_all_attributes_and_their_undo(function: Function) -> None:
    """All attributes are set by one call, tags by another, and the undo restores everything."""
    former = function.image("img-qlzp4oea")
    result = function({"Images": [FULL]})
    assert len(function.calls("ModifyImageAttribute")) == 1
    assert len(function.calls("TagResources")) == 1
    image = function.image("img-qlzp4oea")
    assert {k: image[k] for k in FULL if k != "Tags"} == {k: FULL[k] for k in FULL if k != "Tags"}
    assert {t["Key"]: t["Value"] for t in image["Tags"]} == {"team": "web", "os": "linux"}
    undone = function(function.uploaded(result["Undo"]))
    assert undone["Outcome"] == "applied"
    assert function.image("img-qlzp4oea") == former


def test_undo_of_deleted_tags(function: Function) -> None:
    """Deleted tags are restored by the undo, with their values."""
    former = function.image("img-qlzp4oea")
    result = function({"ImageId": "img-qlzp4oea", "DeleteTags": ["team", "never-there"]})
    assert function.image("img-qlzp4oea")["Tags"] == []
    assert result["Images"][0]["Before"] == {"Tags": [{"Key": "team", "Value": "infra"}]}
    assert result["Images"][0]["After"] == {"Tags": []}
    function(result["Undo"])
    assert function.image("img-qlzp4oea") == former


def test_tag_calls_are_batched(function: Function) -> None:
    """Equal tag changes are batched, at most nine images and ten tags in a call."""
    model = function.image("img-6pb6lrmy")
    ids = [f"img-batch{i:03}" for i in range(20)]
    with function.cloud.state.lock:
        function.cloud.state.images["ap-guangzhou"] += [
            {**model, "ImageId": i, "ImageName": i, "Tags": []} for i in ids
        ]
    tags = [{"Key": f"k{i}", "Value": "v"} for i in range(12)]
    result = function({"Images": [{"ImageId": i, "Tags": tags} for i in ids]})
    assert result["Summary"]["Changed"] == 20
    assert len(function.calls("TagResources")) == 6  # three batches, twice
    assert all(len(function.image(i)["Tags"]) == 12 for i in ids)


def test_reads_hundred_images_a_call(function: Function) -> None:
    """250 images are read by three calls; those that do not exist fail without a write."""
    ids = [f"img-gone{i:04}" for i in range(250)]
    result = function({"Images": [{"ImageId": i, "ImageName": "x"} for i in ids]})
    assert len(function.calls("DescribeImages")) == 3
    assert function.writes == 0
    assert result["Outcome"] == "partial"
    assert result["Summary"]["Failed"] == 250
    assert codes(result) == {"InvalidImageId.NotFound"}
    assert result["Undo"] == {"Images": []}


def test_regions(function: Function) -> None:
    """Images in several regions, Finance too, are changed in their own regions."""
    result = function(
        {
            "Region": "ap-shanghai",
            "Images": [
                {"ImageId": "img-g7h8j9k2", "ImageName": "a"},
                {"ImageId": "img-j9k2m3n4", "ImageName": "a", "Region": "ap-shanghai-fsi"},
            ],
        }
    )
    assert result["Summary"]["Changed"] == 2
    assert function.image("img-g7h8j9k2", "ap-shanghai")["ImageName"] == "a"
    assert function.image("img-j9k2m3n4", "ap-shanghai-fsi")["ImageName"] == "a"


@pytest.mark.parametrize("how", ["document", "setting"])
def test_dry_run(function: Function, how: str) -> None:
    """A dry run reports the changes and writes nothing."""
    event = {**RENAME, "DryRun": True} if how == "document" else RENAME
    result = function(event, STEWARD_DRY_RUN="1" if how == "setting" else "0")
    assert result["Outcome"] == "planned"
    assert result["DryRun"] is True
    assert result["Summary"]["Planned"] == 1
    assert result["Images"][0]["Status"] == "planned"
    assert result["Images"][0]["After"] == {"ImageName": "sample"}
    assert result["Undo"] == {"Images": []}
    assert function.writes == 0


def test_timer(function: Function) -> None:
    """The Message of a timer is a document, or a pointer to one."""
    function.put("requests/x.json", RENAME)
    message = json.dumps({"Document": "cos://manifests-1250000000/requests/x.json"})
    result = function({"Type": "Timer", "TriggerName": "t", "Time": "", "Message": message})
    assert result["Trigger"] == "timer"
    assert result["Images"][0]["Source"] == "cos://manifests-1250000000/requests/x.json"
    assert function.image("img-6pb6lrmy")["ImageName"] == "sample"


@pytest.mark.parametrize(
    ("stored", "sent"),
    [
        ("requests/镜像 改名+1.json", "requests/镜像 改名+1.json"),
        ("requests/镜像.json", "requests/%E9%95%9C%E5%83%8F.json"),
        ("requests/100%41.json", "requests/100%41.json"),
        ("requests/a b&c=d?e#f.json", "requests/a b&c=d?e#f.json"),
    ],
)
def test_object_names(function: Function, stored: str, sent: str) -> None:
    """Object keys are used unchanged, and decoded once only if there is no such object."""
    function.put(stored, RENAME)
    assert function(cos_event(sent))["Outcome"] == "applied"


def test_several_records(function: Function) -> None:
    """A bad record does not affect the others, and the outcome is partial."""
    good = function.uploaded(RENAME)["Records"]
    event = {"Records": [5, *good, *cos_event("requests/gone.json")["Records"]]}
    result = function(event)
    assert result["Outcome"] == "partial"
    assert result["Summary"]["Changed"] == 1
    assert [e["Code"] for e in result["Errors"]] == ["InvalidEvent", "ObjectNotFound"]


def test_removal_is_ignored(function: Function) -> None:
    """For a removed object, nothing is fetched."""
    result = function(cos_event("requests/x.json", event_name="cos:ObjectRemove:Delete"))
    assert result["Outcome"] == "ignored"
    assert function.calls() == []


DEEP = b'{"a":' * 100_000 + b"1" + b"}" * 100_000


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        (b'{"ImageId": "img-1", "ImageId": "img-2"}', "InvalidJSON", "appears 2 times"),
        (b'{"ImageId": NaN}', "InvalidJSON", "NaN"),
        ('{"ImageId": "img-1"}'.encode("utf-16"), "InvalidJSON", "UTF-8"),
        (DEEP, "InvalidJSON", "deeper than 64"),
        ({**RENAME, "ImageName": "x" * 61}, "InvalidDocument", "61 characters; at most 60"),
        ({**RENAME, "ImageNmae": "x"}, "InvalidDocument", "did you mean ImageName?"),
        (
            {"Images": [{**RENAME, "ImageId": f"img-{i}"} for i in range(1001)]},
            "InvalidDocument",
            "1001 entries; at most 1000",
        ),
        (b" " * (1024 * 1024 + 1), "DocumentTooLarge", "STEWARD_MAX_DOCUMENT_BYTES is 1048576"),
        ({"Document": "cos://b-1/x"}, "ObjectNotFound", "does not exist"),
        ({"Document": "file:///etc/passwd"}, "InvalidDocument", "cos://"),
        (
            {"Document": "cos://manifests-1250000000/requests/x.json"},
            "InvalidDocument",
            "Document names another pointer",
        ),
    ],
    ids=["duplicate", "NaN", "UTF-16", "depth", "long name", "unknown member", "1001 images",
         "1 MiB + 1", "missing object", "scheme", "two hops"],
)  # fmt: skip
def test_bad_document(function: Function, content: object, code: str, message: str) -> None:
    """A bad document is rejected with its code and message, and nothing is written."""
    function.use_account()
    result = function(function.uploaded(content))
    assert result["Outcome"] == "rejected"
    (error,) = result["Errors"]
    assert error["Code"] == code
    assert message in error["Message"]
    assert error["Source"].startswith("cos://")
    assert function.writes == 0
    assert function.lines[0]["Level"] == "ERROR"


@pytest.mark.parametrize("event", [None, [], {"Records": 5}, {"Records": []}, "x"])
def test_bad_event(function: Function, event: object) -> None:
    """Anything but an event is rejected, without any call."""
    result = function(event)
    assert result["Outcome"] == "rejected"
    assert [e["Code"] for e in result["Errors"]] == ["InvalidEvent"]
    assert function.calls() == []


def test_bad_setting(function: Function) -> None:
    """A wrong setting is rejected by name, before anything else happens."""
    result = function(RENAME, STEWARD_DRY_RUN="maybe")
    assert result["Outcome"] == "rejected"
    assert result["Errors"][0]["Code"] == "InvalidSetting"
    assert "STEWARD_DRY_RUN" in result["Errors"][0]["Message"]
    assert function.calls() == []


def test_no_role(function: Function) -> None:
    """Without credentials, the message says that a run role is required."""
    result = function(RENAME, TENCENTCLOUD_SECRETKEY="")
    assert codes(result) == {"InvalidSetting"}
    assert "run role" in result["Errors"][0]["Message"]


@pytest.mark.parametrize(
    "key",
    ["requests-x/a.json", "requests/../secret/a.json", "other.json", "requests/%2e%2e/a.json"],
)
def test_forbidden_source(function: Function, key: str) -> None:
    """An object outside STEWARD_SOURCES is not fetched."""
    event = function.uploaded(RENAME, key)
    result = function(event, STEWARD_SOURCES="manifests-1250000000/requests/")
    assert codes(result) == {"SourceNotAllowed"}
    assert function.calls() == []


def test_document_too_large_inline(function: Function) -> None:
    """The size limit applies to documents inside the event, and can be set."""
    result = function(RENAME, STEWARD_MAX_DOCUMENT_BYTES="10")
    assert codes(result) == {"DocumentTooLarge"}


def test_wrong_token(function: Function) -> None:
    """A wrong session token is an error of COS or of the API, without a write."""
    function.put("requests/x.json", RENAME)
    result = function(cos_event("requests/x.json"), TENCENTCLOUD_SESSIONTOKEN="wrong")
    assert codes(result) == {"AccessDenied"}
    result = function(RENAME, TENCENTCLOUD_SESSIONTOKEN="wrong")
    assert codes(result) == {"AuthFailure.TokenFailure"}
    assert function.writes == 0
    assert len(function.calls("DescribeImages")) == 2  # once more with the credentials read again


@pytest.mark.parametrize("name", ["SECRETID", "SECRETKEY", "SESSIONTOKEN"])
def test_credentials_with_a_line_break(function: Function, name: str) -> None:
    """Credentials with a line break are rejected before HTTP would repeat them in an error."""
    result = function(RENAME, **{f"TENCENTCLOUD_{name}": "abc\nOF-A-KEY"})  # type: ignore[arg-type]  # all are environment variables
    assert codes(result) == {"InvalidSetting"}
    assert "OF-A-KEY" not in json.dumps([result, function.lines])


def test_no_token(function: Function) -> None:
    """Without a token in the environment, none is sent: permanent credentials have none."""
    result = function(RENAME, TENCENTCLOUD_SESSIONTOKEN="")
    assert codes(result) == {"AuthFailure.TokenFailure"}


def test_taken_name(function: Function) -> None:
    """A name that is taken fails one image; the others are changed."""
    result = function(
        {"Images": [{**RENAME, "ImageName": "golden-2026-11"},
                    {"ImageId": "img-qlzp4oea", "ImageName": "free"}]}
    )  # fmt: skip
    assert result["Outcome"] == "partial"
    failed, changed = result["Images"]
    assert failed["Code"] == "InvalidImageName.Duplicate"
    assert failed["Before"] == failed["After"] == {}
    assert changed["Status"] == "changed"
    assert [entry["ImageId"] for entry in result["Undo"]["Images"]] == ["img-qlzp4oea"]


def test_some_tags_fail(function: Function) -> None:
    """A tag call that fails for one image of a batch fails only that image."""
    tags = [{"Key": "a", "Value": "b"}]
    ids = ("img-6pb6lrmy", "img-qlzp4oea")
    failed = {
        "Resource": "qcs::cvm:ap-guangzhou:uin/1:image/img-6pb6lrmy",
        "Code": "InvalidParameterValue.ResourceDescriptionError",
        "Message": "m",
    }
    reply = json.dumps({"Response": {"FailedResources": [failed], "RequestId": "q"}}).encode()
    replace_reply(function.cloud, "TagResources", body(reply))
    result = function({"Images": [{"ImageId": i, "Tags": tags} for i in ids]})
    assert [image["Status"] for image in result["Images"]] == ["failed", "changed"]
    assert codes(result) == {"InvalidParameterValue.ResourceDescriptionError"}


def test_tags_fail_after_the_name(function: Function) -> None:
    """An image that failed half way shows, and can undo, the half that was done."""
    result = function({**RENAME, "Tags": [{"Key": "qcs:x", "Value": "v"}]})
    (image,) = result["Images"]
    assert image["Status"] == "failed"
    assert image["After"] == {"ImageName": "sample"}
    assert result["Undo"]["Images"][0]["ImageName"] == "web-build-0142"


def test_busy_image_raises(function: Function) -> None:
    """An image that is being created is pending: the function raises after all other work."""
    event = {"Images": [{"ImageId": "img-c3d4e5f6", "ImageName": "x"},
                        {"ImageId": "img-qlzp4oea", "ImageName": "y"}]}  # fmt: skip
    with pytest.raises(Unfinished, match=r"1 of 2 .*InvalidImageId\.IncorrectState"):
        function(event)
    assert function.image("img-qlzp4oea")["ImageName"] == "y"
    pending, changed, finished = function.lines[2:]
    assert pending["Event"] == "image.pending"
    assert pending["Level"] == "WARNING"
    assert pending["Attempts"] == 8
    assert changed["Event"] == "image.changed"
    assert finished["Summary"]["Pending"] == 1


def test_image_whose_creation_failed(function: Function) -> None:
    """An image whose creation failed is not retried."""
    function.hold(
        {"ImageId": "img-c3d4e5f6", "ImageName": "x", "ImageState": "CREATEFAILED"},
        {"ImageId": "img-qlzp4oea", "ImageName": "y"},
    )
    event = {"Images": [{"ImageId": "img-c3d4e5f6", "ImageName": "z"},
                        {"ImageId": "img-qlzp4oea", "ImageName": "x"}]}  # fmt: skip
    result = function(event)
    assert result["Outcome"] == "partial"
    assert [image["Code"] for image in result["Images"]] == [
        "InvalidImageId.IncorrectState",
        "InvalidImageName.Duplicate",
    ]
    assert function.writes == 0


def body(
    text: bytes, status: int = 200, headers: Mapping[str, str] | None = None
) -> Callable[[Reply], Reply]:
    """Return a function that replaces the whole reply."""
    return lambda _: Reply(status, {"Content-Type": "application/json", **(headers or {})}, text)


@pytest.mark.parametrize("action", ["DescribeImages", "ModifyImageAttribute"])
def test_error_with_unknown_content_type(function: Function, action: str) -> None:
    """An error is reported as such, even with an unknown Content-Type."""
    error = {"Error": {"Code": "InvalidParameter", "Message": "m"}, "RequestId": "q"}
    content = json.dumps({"Response": error}).encode()
    replace_reply(function.cloud, action, body(content, headers={"Content-Type": "x/y"}))
    result = function(RENAME)
    assert result["Outcome"] == "partial"
    assert codes(result) == {"InvalidParameter"}


@pytest.mark.parametrize(
    "change",
    [
        body(b'{"Response": []}'),
        body(b'{"Response": {"Error": {}}}'),
        body(b'{"Response": {"RequestId": null}}'),
        body(b"[" * 100_000),
        body(b"no", status=503),
        body(b"", status=302, headers={"Location": "http://127.0.0.1:1/"}),
    ],
    ids=["Response list", "bare Error", "null RequestId", "deep", "503", "redirect"],
)  # fmt: skip
def test_unreadable_response_is_read_back(
    function: Function, change: Callable[[Reply], Reply]
) -> None:
    """After a response that is neither success nor error, the image is read back."""
    replace_reply(function.cloud, "ModifyImageAttribute", change)
    result = function(RENAME)
    assert result["Summary"]["Changed"] == 1
    assert function.writes == 1
    replace_reply(function.cloud, "DescribeImages", change)
    with pytest.raises(Unfinished, match="AmbiguousResponse"):
        function(RENAME)


@pytest.mark.parametrize(
    "images",
    [b"null", b"5", b"[5]", b"[{}]", b'[{"ImageId": 5}]', b'[{"ImageId": "img-1", "Tags": [{}]}]',
     b'[{"ImageId": "img-1", "Tags": [null]}]', b'[{"ImageId": "img-1", "ImageName": 5}]'],
)  # fmt: skip
def test_malformed_images(function: Function, images: bytes) -> None:
    """Images that differ from the API's documentation are no response, and nothing is written."""
    reply = b'{"Response": {"RequestId": "q", "ImageSet": ' + images + b"}}"
    replace_reply(function.cloud, "DescribeImages", body(reply))
    with pytest.raises(Unfinished, match="no readable response"):
        function(RENAME)
    assert function.writes == 0


@pytest.mark.parametrize(
    "failed",
    [{}, 5, {"Resource": "x/img-6pb6lrmy", "Code": 5},
     {"Resource": "x/IMG", "Code": "C", "Message": "m"}],
)  # fmt: skip
def test_malformed_failed_resources(function: Function, failed: object) -> None:
    """After a tag call whose response is malformed, the images are read back."""
    reply = json.dumps({"Response": {"RequestId": "q", "FailedResources": [failed]}}).encode()
    replace_reply(function.cloud, "TagResources", body(reply))
    result = function({"ImageId": "img-6pb6lrmy", "Tags": [{"Key": "a", "Value": "b"}]})
    assert result["Summary"]["Changed"] == 1
    assert len(function.calls("DescribeImages")) > 1


@pytest.mark.parametrize(
    ("code", "end"),
    [("InternalError", "InternalError"), ("UnauthorizedOperation", "AmbiguousResponse")],
)
def test_unknown_outcome_is_pending(function: Function, code: str, end: str) -> None:
    """A write that may have worked is pending as long as it cannot be read back."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action == "ModifyImageAttribute":
            return body(b"<html>")(reply)
        if call.action == "DescribeImages" and call.number > 2:
            error = {"Error": {"Code": code, "Message": "m"}, "RequestId": "q"}
            return body(json.dumps({"Response": error}).encode())(reply)
        return reply

    function.cloud.on_reply = on_reply
    with pytest.raises(Unfinished, match=end):
        function(RENAME)
    function.cloud.on_reply = lambda _call, reply: reply
    assert function(RENAME)["Summary"]["Unchanged"] == 1


def test_undo_of_two_changes(function: Function) -> None:
    """An image changed twice in one event is restored to its first state at once."""
    former = {i: function.image(i) for i in ("img-6pb6lrmy", "img-qlzp4oea")}
    first = [{"ImageId": "img-6pb6lrmy", "ImageName": "one"},
             {"ImageId": "img-qlzp4oea", "ImageName": "kept"}]  # fmt: skip
    second = [{"ImageId": "img-6pb6lrmy", "ImageName": "two"},
              {"ImageId": "img-qlzp4oea", "ImageName": "api-build-0077"}]  # fmt: skip
    events = [
        function.uploaded({"Images": images}, f"requests/{i}.json")
        for i, images in enumerate((first, second))
    ]
    result = function({"Records": [r for event in events for r in event["Records"]]})
    assert [entry["ImageId"] for entry in result["Undo"]["Images"]] == ["img-6pb6lrmy"]
    function(result["Undo"])
    assert {i: function.image(i) for i in former} == former


def test_undo_in_reverse(function: Function) -> None:
    """A name passed from one image to the next is passed back in reverse order."""
    former = {i: function.image(i) for i in ("img-6pb6lrmy", "img-qlzp4oea")}
    function.uploaded({"ImageId": "img-6pb6lrmy", "ImageName": "free"}, "requests/1.json")
    function.uploaded({"ImageId": "img-qlzp4oea", "ImageName": "web-build-0142"}, "requests/2.json")
    records = [r for i in (1, 2) for r in cos_event(f"requests/{i}.json")["Records"]]
    result = function({"Records": records})
    assert result["Summary"]["Changed"] == 2
    assert [e["ImageId"] for e in result["Undo"]["Images"]] == ["img-qlzp4oea", "img-6pb6lrmy"]
    for entry in result["Undo"]["Images"]:
        function(entry)
    assert {i: function.image(i) for i in former} == former


def test_delays_count(function: Function) -> None:
    """DurationMs includes the delays between attempts."""
    function.clock = clock = FakeClock()
    error = b'{"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "m"}}}'
    replace_reply(function.cloud, "ModifyImageAttribute", body(error), first=3)
    function(RENAME)
    assert function.lines[1]["Attempts"] == 4
    assert function.lines[1]["DurationMs"] == pytest.approx(sum(clock.sleeps) * 1000, abs=60)


def test_throttled_once(function: Function) -> None:
    """A throttled call is retried, and counted."""
    error = b'{"Response": {"Error": {"Code": "RequestLimitExceeded", "Message": "m"}}}'
    replace_reply(function.cloud, "DescribeImages", body(error), first=1)
    assert function(RENAME)["Outcome"] == "applied"
    assert function.lines[-1]["Throttles"] == 1
    assert function.lines[-1]["ApiCalls"] == 4


def test_tag_that_is_being_processed(function: Function) -> None:
    """A tag that is being processed is retried, only for the images on which it failed."""
    failed = {
        "Resource": "qcs::cvm:ap-guangzhou:uin/100000000001:image/img-6pb6lrmy",
        "Code": "FailedOperation.ResourceTagProcessing",
        "Message": "later",
    }
    reply = json.dumps({"Response": {"FailedResources": [failed], "RequestId": "q"}}).encode()
    seen: list[Call] = []

    def on_reply(call: Call, answer: Reply) -> Reply:
        if call.action == "TagResources":
            seen.append(call)
            if len(seen) == 1:  # it has not worked for this image
                image = function.cloud.state.find("ap-guangzhou", "img-6pb6lrmy")
                assert image
                image["Tags"] = []
        return body(reply)(answer) if len(seen) == 1 and call.action == "TagResources" else answer

    function.cloud.on_reply = on_reply
    tags = [{"Key": "a", "Value": "b"}]
    result = function(
        {"Images": [{"ImageId": i, "Tags": tags} for i in ("img-6pb6lrmy", "img-qlzp4oea")]}
    )
    assert result["Summary"]["Changed"] == 2
    assert [len(call.params["ResourceList"]) for call in seen] == [2, 1]


def test_no_connection(function: Function) -> None:
    """If the cloud cannot be reached, the function raises."""
    nowhere = "http://127.0.0.1:9"
    with pytest.raises(Unfinished, match="AmbiguousResponse"):
        function(RENAME, STEWARD_API_ENDPOINT=nowhere)
    with pytest.raises(Unfinished, match="AmbiguousResponse"):
        function(cos_event("requests/x.json"), STEWARD_COS_ENDPOINT=nowhere)
    assert function.lines[0]["Level"] == "WARNING"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (body(b"", status=400), "HTTP400"),
        (body(b"<Error><Code>InvalidX</Code><Message>m</Message><Resource>r</Resource>"
              b"<RequestId>q</RequestId></Error>", status=400), "InvalidX"),
    ],
)  # fmt: skip
def test_unknown_cos_error(function: Function, change: Callable[[Reply], Reply], code: str) -> None:
    """An unknown error of COS is permanent and keeps its code."""
    event = function.uploaded(RENAME)
    replace_reply(function.cloud, "GetObject", change)
    assert codes(function(event)) == {code}


def test_cos_error_in_json(function: Function) -> None:
    """An error of COS in JSON, which the SDK cannot read, has the code of its status."""
    event = function.uploaded(RENAME)
    replace_reply(function.cloud, "GetObject", body(b'{"x": 1}', status=400))
    assert codes(function(event)) == {"HTTP400"}


@pytest.mark.parametrize("status", [204, 206, 304])
def test_no_whole_object(function: Function, status: int) -> None:
    """A status that means a part of an object, or none, is not taken for a document."""
    event = function.uploaded(RENAME)
    replace_reply(function.cloud, "GetObject", body(b"", status=status))
    with pytest.raises(Unfinished, match=f"HTTP status {status}"):
        function(event)


def test_cos_is_busy(function: Function) -> None:
    """COS being busy is retried, also if the response has no body."""
    event = function.uploaded(RENAME)
    replace_reply(function.cloud, "GetObject", body(b"", status=429), first=2)
    assert function(event)["Outcome"] == "applied"
    assert len(function.calls("GetObject")) == 3


def test_cos_redirects(function: Function) -> None:
    """A redirect is not followed, because the signed request would go to another host."""
    event = function.uploaded(RENAME)
    redirect = body(b"{}", status=302, headers={"Location": f"{function.cloud.url}/x"})
    replace_reply(function.cloud, "GetObject", redirect)
    with pytest.raises(Unfinished, match="HTTP status 302"):
        function(event)


def test_time_is_over(function: Function) -> None:
    """If there is no time left, nothing is started, and the next delivery does it."""
    with pytest.raises(Unfinished, match=r"1 of 1"):
        function(RENAME, seconds=1e-9)
    assert function.writes == 0


def test_malformed_id_alone(function: Function) -> None:
    """An id that only the API finds malformed fails alone."""
    images = [{"ImageId": f"img-gone{i:04}", "ImageName": "x"} for i in range(5)]
    result = function({"Images": [*images, {"ImageId": "img-1", "ImageName": "x"}, RENAME]})
    assert result["Summary"]["Changed"] == 1
    failed = {image["ImageId"]: image.get("Code") for image in result["Images"]}
    assert failed["img-1"] == "InvalidImageId.Malformed"
    assert failed["img-gone0001"] == "InvalidImageId.NotFound"


def test_compressed_object(function: Function) -> None:
    """The size limit applies to the decompressed object."""
    event = function.uploaded(RENAME)
    packed = gzip.compress(b" " * (64 << 20))
    change = body(packed, headers={"Content-Encoding": "gzip"})
    replace_reply(function.cloud, "GetObject", change)
    assert codes(function(event)) == {"DocumentTooLarge"}


@pytest.mark.parametrize(("more", "error"), [(9, "IncompleteRead"), (10**26, "OverflowError")])
def test_cut_object(function: Function, more: int, error: str) -> None:
    """An object whose transfer breaks off is not read, even if it is valid JSON.

    Neither is one with an invalid size.
    """
    text = json.dumps(RENAME).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(text) + more}\r\n\r\n".encode()

    class Cut(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.recv(65536)
            self.request.sendall(head + text)

    with socketserver.TCPServer(("127.0.0.1", 0), Cut) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{server.server_address[1]}"
        with pytest.raises(Unfinished, match=error):
            function(cos_event("requests/x.json"), STEWARD_COS_ENDPOINT=endpoint)
        server.shutdown()
    assert function.writes == 0


def test_public_cos_host() -> None:
    """Without STEWARD_COS_ENDPOINT, the host is made of the bucket and the region."""
    session = Session(Connections(), Deadline.after(1, Clock()))
    credentials = Credentials("id", "key", None)
    objects = Objects(Settings(), session, RunCredentials(lambda: credentials))
    client = objects._client(credentials, "ap-shanghai")
    assert client._conf.get_host(Bucket="b-1") == "b-1.cos.ap-shanghai.myqcloud.com"


def test_hosts_of_all_regions(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run reaches the bucket, and the APIs of each region, by hosts of their own, over TLS."""
    secured: list[str] = []
    context = Authority.context

    def recorded(authority: Authority, host: str) -> SSLContext:
        secured.append(host)
        return context(authority, host)

    monkeypatch.setattr(Authority, "context", recorded)
    tags = [{"Key": "owner", "Value": "infra"}]
    images = [
        {"Region": "ap-guangzhou", "ImageId": "img-6pb6lrmy", "ImageName": "a"},
        {"Region": "ap-shanghai", "ImageId": "img-g7h8j9k2", "Tags": tags},
    ]
    result = function(function.uploaded({"Images": images}))
    assert result["Summary"]["Changed"] == 2
    assert sorted(set(secured)) == [
        "cvm.ap-guangzhou.tencentcloudapi.com",
        "cvm.ap-shanghai.tencentcloudapi.com",
        "manifests-1250000000.cos.ap-guangzhou.myqcloud.com",
        "tag.ap-shanghai.tencentcloudapi.com",
    ]


def test_certificates_are_checked(function: Function, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cloud whose certificate no trusted authority has signed is not spoken to."""
    network = {**function.cloud.network(), "REQUESTS_CA_BUNDLE": certifi.where()}
    monkeypatch.setattr(function.cloud, "network", lambda: network)
    with pytest.raises(Unfinished, match="CERTIFICATE_VERIFY_FAILED"):
        function(RENAME)
    assert function.calls() == []


def test_result_is_cut(function: Function) -> None:
    """A result of many megabytes is cut below 1 MiB, and says so; the summary stays correct."""
    keys = [f"requests/{i}-{'x' * 700}.json" for i in range(2)]
    for number, key in enumerate(keys):
        ids = [f"img-gone{number}{i:03}" for i in range(1000)]
        function.put(key, {"Images": [{"ImageId": i, "ImageName": "x"} for i in ids]})
    records = [record for key in keys for record in cos_event(key)["Records"]]
    result = function({"Records": records})
    assert len(json.dumps(result)) < 1 << 20
    assert result["Truncated"] is True
    assert result["Summary"]["Failed"] == 2000
