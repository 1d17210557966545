"""Naming policies, from event to result, on the emulated cloud."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from conftest import cos_event
from image_steward import regions
from image_steward.errors import Unfinished
from image_steward.naming.temporary import TEMPORARY
from scf_local import undo
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Function
    from scf_local.cloud.wire import Call

KEY = "requests/policy.json"
SOURCE = f"cos://manifests-1250000000/{KEY}"
DAY = "2026-11-{:02}T06:00:00Z"


def policy(*, dry_run: bool = False, **members: object) -> dict[str, Any]:
    """Return a naming policy with these members."""
    return {"Normalise": members, "DryRun": dry_run}


def numbered(count: int, **members: object) -> list[dict[str, Any]]:
    """Return some images, `build-0` and so on, each a day older than the one before."""
    return [
        {"ImageId": f"img-build{i:04}", "ImageName": f"build-{i}", **members} for i in range(count)
    ]


def recorded(function: Function, *actions: str) -> list[Call]:
    """Return a list to which the parameters of later calls of some actions are added."""
    seen: list[Call] = []

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action in actions:
            seen.append(call)
        return reply

    function.cloud.on_reply = on_reply
    return seen


def failing_in(
    region: str, code: str, action: str = "DescribeImages"
) -> Callable[[Call, Reply], Reply]:
    """Let an action fail in one region."""
    response = {"Error": {"Code": code, "Message": "m"}, "RequestId": "q"}
    body = json.dumps({"Response": response}).encode()

    def on_reply(call: Call, reply: Reply) -> Reply:
        is_there = (call.action, call.region) == (action, region)
        return Reply(reply.status, reply.headers, body) if is_there else reply

    return on_reply


# --- Runs ---

WEB: list[dict[str, Any]] = [
    {"ImageId": "img-web00001", "ImageName": "build 17", "ImageFamily": "Web",
     "CreatedTime": DAY.format(1), "Tags": [{"Key": "pipeline", "Value": "nightly"}]},
    {"ImageId": "img-web00002", "ImageName": "build 18", "ImageFamily": "Web",
     "CreatedTime": DAY.format(1)},
    {"ImageId": "img-web00003", "ImageName": "web-20261102", "ImageFamily": "Web",
     "CreatedTime": DAY.format(2), "Tags": [{"Key": "source", "Value": "unknown"}]},
    {"ImageId": "img-web00004", "ImageName": "by hand", "CreatedTime": DAY.format(3)},
]  # fmt: skip
WEB_POLICY = policy(
    ImageName="{ImageFamily}-{CreatedTime:%Y%m%d}",
    Style={"Case": "lower"},
    Tags=[{"Key": "source", "Value": "{Tag.pipeline|unknown}"}],
)


@pytest.mark.parametrize("way", ["direct", "timer", "cos", "pointer", "timer to pointer"])
def test_every_trigger(function: Function, way: str) -> None:
    """A policy may arrive by every trigger, directly or by a pointer, with the same result."""
    function.hold(*WEB)
    function.put(KEY, WEB_POLICY)
    pointer = {"Document": SOURCE}
    timer = {"Type": "Timer", "TriggerName": "t", "Time": "2026-11-24T12:00:00Z"}
    event, trigger, source = {
        "direct": (WEB_POLICY, "direct", "direct"),
        "timer": ({**timer, "Message": json.dumps(WEB_POLICY)}, "timer", "timer:t"),
        "cos": (cos_event(KEY), "cos", SOURCE),
        "pointer": (pointer, "direct", SOURCE),
        "timer to pointer": ({**timer, "Message": json.dumps(pointer)}, "timer", SOURCE),
    }[way]
    result = function(event)
    assert function.names() == {
        "img-web00001": "web-20261101",
        "img-web00002": "web-20261101-2",
        "img-web00003": "web-20261102",
        "img-web00004": "by hand",
    }
    assert result["Trigger"] == trigger
    assert {image["Source"] for image in result["Images"]} == {source}
    assert result["Outcome"] == "applied"
    assert result["Summary"] == {
        "Changed": 2, "Unchanged": 1, "Planned": 0, "Skipped": 1, "Failed": 0, "Pending": 0,
    }  # fmt: skip
    images = {image["ImageId"]: image for image in result["Images"]}
    changed, skipped = images["img-web00001"], images["img-web00004"]
    assert changed["Before"] == {"ImageName": "build 17", "Tags": []}
    assert changed["After"] == {
        "ImageName": "web-20261101",
        "Tags": [{"Key": "source", "Value": "nightly"}],
    }
    assert skipped["Status"] == "skipped"
    assert skipped["Reason"] == "ImageFamily has no value and no default"


def test_second_run_writes_nothing(function: Function) -> None:
    """A policy does not change its own outcome: the second run is one read."""
    function.hold(*WEB)
    function(WEB_POLICY)
    before = len(function.calls())
    result = function(WEB_POLICY)
    assert [call["Action"] for call in function.calls()[before:]] == ["DescribeImages"]
    assert result["Summary"]["Unchanged"] == 3


@pytest.mark.parametrize("how", ["document", "setting"])
def test_dry_run_of_a_policy(function: Function, how: str) -> None:
    """A dry run shows each change and its image's name, the rules once, and writes nothing."""
    function.hold(*WEB)
    former = function.images
    document = {**WEB_POLICY, "DryRun": how == "document"}
    result = function(document, STEWARD_DRY_RUN=str(int(how == "setting")))
    assert result["Outcome"] == "planned"
    assert result["Summary"]["Planned"] == 2
    planned = next(i for i in result["Images"] if i["ImageId"] == "img-web00002")
    assert planned["After"]["ImageName"] == "web-20261101-2"
    assert planned["Reason"] == '"web-20261101" is taken by img-web00001'
    assert [image["ImageName"] for image in result["Images"]] == [
        "build 17",
        "build 18",
        "by hand",
    ]
    assert {rule["Key"]: rule["Value"] for rule in result["Rules"]} == WEB_POLICY["Normalise"]
    assert result["Undo"] == {"Images": []}
    assert "Warnings" not in result
    assert function.images == former
    assert function.writes == 0


@pytest.mark.parametrize("how", ["document", "setting"])
def test_rejected_dry_run(function: Function, how: str) -> None:
    """A rejected dry run is reported as a dry run."""
    document = policy(ImageName="x-{ImageName}", dry_run=how == "document")
    result = function(document, STEWARD_DRY_RUN=str(int(how == "setting")))
    assert (result["Outcome"], result["DryRun"]) == ("rejected", True)
    result = function({}, STEWARD_DRY_RUN=str(int(how == "setting")))
    assert (result["Outcome"], result["DryRun"]) == ("rejected", how == "setting")


def test_skipped_conflict(function: Function) -> None:
    """With OnConflict skip, the later of two images keeps its name, with the reason."""
    function.hold(*WEB)
    name = WEB_POLICY["Normalise"]["ImageName"]
    result = function(policy(ImageName=name, Style={"Case": "lower"}, OnConflict="skip"))
    assert function.names()["img-web00001"] == "web-20261101"
    assert function.names()["img-web00002"] == "build 18"
    reasons = {image["ImageId"]: image.get("Reason", "") for image in result["Images"]}
    assert "is taken by another image" in reasons["img-web00002"]


def test_untouchable_images_of_a_policy(function: Function) -> None:
    """Images that opt out, are not the account's own, or are not ready are never written."""
    one, *others = numbered(6)
    others[0]["Tags"] = [{"Key": "image-steward", "Value": "ignore"}]
    for image, (name, value) in zip(
        others[1:],
        [("ImageType", "SHARED_IMAGE"), ("ImageType", "PUBLIC_IMAGE"), ("ImageState", "CREATING"),
         ("ImageState", "SYNCING")],
        strict=True,
    ):  # fmt: skip
        image[name] = value
    function.hold(one, *others)
    former = function.images["ap-guangzhou"][1:]
    seen = recorded(function, "ModifyImageAttribute", "TagResources")
    everything = policy(
        ImageName="all-{ImageId}",
        ImageDescription="d",
        Tags=[{"Key": "k", "Value": "v"}],
        KeepLatest=1,
    )
    result = function(everything)
    assert function.images["ap-guangzhou"][1:] == former
    assert result["Summary"]["Changed"] == 1
    assert result["Summary"]["Skipped"] == 3
    written = json.dumps([dict(call.params) for call in seen])
    assert "img-build0000" in written
    assert not any(image["ImageId"] in written for image in others)
    reasons = [image["Reason"] for image in result["Images"] if image["Status"] == "skipped"]
    assert sorted(reasons) == [
        "ImageState is CREATING, not NORMAL",
        "ImageState is SYNCING, not NORMAL",
        "it has the tag image-steward = ignore",
    ]


def test_keep_latest_of_a_policy(function: Function) -> None:
    """All but the newest N of each family are deprecated, with one call for each image.

    That call sets all attributes of the image.
    """
    ages = {"a": (1, 2, 3, 4, 5), "b": (1, 2), "": (1, 2, 3)}
    images = [
        {"ImageId": f"img-kept{family}{day}00", "ImageName": f"build {family}{day}",
         "ImageFamily": family, "CreatedTime": DAY.format(day),
         # The opposite of the desired state.
         "ImageDeprecated": bool(family) and day > 3}
        for family, days in ages.items() for day in days
    ]  # fmt: skip
    for image in images:
        image["ImageId"] = str(image["ImageId"]).ljust(13, "0")
    function.hold(*images)
    seen = recorded(function, "ModifyImageAttribute")
    function(policy(ImageName="{ImageId}", ImageDescription="kept", KeepLatest=2))
    now = {image["ImageId"]: image for image in function.images["ap-guangzhou"]}
    deprecated = {
        f"{image['ImageFamily']}{image['CreatedTime'][8:10]}"
        for image in now.values()
        if image["ImageDeprecated"]
    }
    assert deprecated == {"a01", "a02", "a03"}
    assert len(seen) == len(images) == len({call.params["ImageId"] for call in seen})
    for call in seen:
        assert {"ImageName", "ImageDescription"} <= call.params.keys()
        was = next(i for i in images if i["ImageId"] == call.params["ImageId"])
        is_changed = was["ImageDeprecated"] != now[was["ImageId"]]["ImageDeprecated"]
        assert ("ImageDeprecated" in call.params) == is_changed


@pytest.mark.parametrize("dry_run", [True, False])
def test_keep_latest_that_changes_its_selection(function: Function, *, dry_run: bool) -> None:
    """KeepLatest with a Select of what is written is done, with a warning if anything changes."""
    function.hold(*numbered(2, ImageFamily="web"))
    document = policy(
        Select={"ImageName": "build-*"}, ImageName="web-{ImageId}", KeepLatest=1, dry_run=dry_run
    )
    result = function(document)
    assert result["Summary"]["Planned" if dry_run else "Changed"] == 2
    (warning,) = result["Warnings"]
    assert (warning["Code"], warning["Path"]) == ("UnstablePolicy", "/Normalise/KeepLatest")
    assert "if this run is interrupted" in warning["Message"]
    if not dry_run:
        assert "Warnings" not in function(document)


def test_failed_resource(function: Function) -> None:
    """Of several images, only that fails which would have more than 50 tags."""
    full = [{"Key": f"k{i}", "Value": "v"} for i in range(50)]
    images = numbered(9)
    images[4]["Tags"] = full
    function.hold(*images)
    result = function(policy(Tags=[{"Key": "owner", "Value": "infra"}]))
    assert len(function.calls("TagResources")) == 1
    failed = [image for image in result["Images"] if image["Status"] != "changed"]
    assert [image["ImageId"] for image in failed] == ["img-build0004"]
    assert failed[0]["Code"] == "LimitExceeded.ResourceAttachedTags"
    assert failed[0]["After"] == {}
    assert result["Summary"]["Changed"] == 8
    assert result["Outcome"] == "partial"
    tagged = [i for i in function.images["ap-guangzhou"] if "owner" in json.dumps(i["Tags"])]
    assert len(tagged) == 8


# --- Rejections ---

PREFIXED = [{"Key": "prefix", "Value": "x"}]
GROWING: dict[str, Any] = {
    "Derive": [{"From": "{Tag.prefix}-{ImageName}", "Parse": ["{grown}"]}],
    "ImageName": "{grown|ImageId}",
    "Tags": [{"Key": "owner", "Value": "infra"}],
}
"""Makes the names of images with a prefix longer in every run."""


def test_unstable_policy(function: Function) -> None:
    """A policy that would grow names is rejected, naming an image and both names."""
    function.hold(*numbered(3))
    former = function.images
    result = function(function.uploaded(policy(ImageName="prod-{ImageName}")))
    assert result["Outcome"] == "rejected"
    assert [error["Code"] for error in result["Errors"]] == ["UnstablePolicy"] * 3
    error = result["Errors"][0]
    assert error["Path"] == "/Normalise/ImageName"
    for text in ("img-build0000", "ap-guangzhou", '"prod-build-0"', '"prod-prod-build-0"'):
        assert text in error["Message"]
    assert function.images == former
    assert function.writes == 0


def test_unstable_for_some_images(function: Function) -> None:
    """The images that a policy would change again fail, and the others are done, in all regions."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        images = numbered(3)
        images[1]["Tags"] = PREFIXED
        function.hold(*images, region=region)
    both = ["ap-guangzhou", "ap-shanghai"]
    document = policy(**GROWING, Regions=both)
    result = function(document)
    assert result["Outcome"] == "partial"
    assert (result["Summary"]["Changed"], result["Summary"]["Failed"]) == (4, 2)
    failed = [image for image in result["Images"] if image["Status"] == "failed"]
    assert {(image["Region"], image["ImageId"], image["Code"]) for image in failed} == {
        (region, "img-build0001", "UnstablePolicy") for region in both
    }
    for image in failed:
        assert (
            '"build-1"; this run would make it "x-build-1" and the next one "x-x-build-1"'
            in (image["Message"])
        )
    assert function.names() == {
        "img-build0000": "img-build0000", "img-build0001": "build-1",
        "img-build0002": "img-build0002",
    }  # fmt: skip
    assert "owner" not in json.dumps(function.image("img-build0001"))
    writes = function.writes
    again = function(document)  # it would change only images that flip
    assert [error["Code"] for error in again["Errors"]] == ["UnstablePolicy"] * 2
    assert function.writes == writes


def test_unstable_in_one_region(function: Function) -> None:
    """If a policy is unstable for all images of one region, the other region is done."""
    function.hold(*numbered(2))
    function.hold(*numbered(2, Tags=PREFIXED), region="ap-shanghai")
    result = function(policy(**GROWING, Regions=["ap-guangzhou", "ap-shanghai"]))
    assert result["Outcome"] == "partial"
    statuses = {(image["Region"], image["Status"]) for image in result["Images"]}
    assert statuses == {("ap-guangzhou", "changed"), ("ap-shanghai", "failed")}
    assert function(policy(**GROWING, Regions=["ap-shanghai"]))["Outcome"] == "rejected"


def test_too_many_changes(function: Function) -> None:
    """A plan of 101 changes is rejected, unless the policy allows as many."""
    function.hold(*numbered(101))
    former = function.images
    tags = [{"Key": "owner", "Value": "infra"}]
    result = function(policy(Tags=tags))
    assert result["Outcome"] == "rejected"
    (error,) = result["Errors"]
    assert (error["Code"], error["Path"]) == ("TooManyChanges", "/Normalise/MaxChanges")
    assert error["Message"] == "101 images would be changed; MaxChanges allows 100"
    assert function.images == former
    assert function.writes == 0

    planned = function(policy(Tags=tags, dry_run=True))
    assert planned["Outcome"] == "planned"
    assert planned["Summary"]["Planned"] == len(planned["Images"]) == 101
    message = f"{error['Message']}, so the document would be rejected"
    assert planned["Warnings"] == [{**error, "Source": "direct", "Message": message}]
    assert planned["Errors"] == []
    assert function.writes == 0

    applied = function(policy(Tags=tags, MaxChanges=101))
    assert applied["Summary"]["Changed"] == 101


def test_size_with_warnings(function: Function) -> None:
    """A result full of planned changes stays below 1 MiB, including all warnings."""
    keys = []
    for region in sorted(regions.KNOWN)[:12]:
        function.hold(*numbered(101), region=region)
        keys.append(f"requests/{region}-{'x' * 800}.json")
        document = policy(Regions=[region], ImageDescription="d", dry_run=True)
        function.put(keys[-1], document)
    result = function({"Records": [r for key in keys for r in cos_event(key)["Records"]]})
    assert len(json.dumps(result)) < 1 << 20
    assert result["Truncated"] is True
    assert len(result["Warnings"]) == 12
    assert result["Summary"]["Planned"] == 12 * 101


def test_max_changes_counts_all_regions(function: Function) -> None:
    """MaxChanges applies to the changes in all regions together."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        function.hold(*numbered(3), region=region)
    both: dict[str, Any] = {"Regions": ["ap-guangzhou", "ap-shanghai"], "ImageDescription": "d"}
    result = function(policy(**both, MaxChanges=5))
    assert [error["Code"] for error in result["Errors"]] == ["TooManyChanges"]
    assert function.writes == 0
    assert function(policy(**both, MaxChanges=6))["Summary"]["Changed"] == 6


# --- Regions ---

BOTH = policy(Regions=["ap-guangzhou", "ap-shanghai"], ImageDescription="in {Region}")


def test_two_regions(function: Function) -> None:
    """A policy of two regions is executed in both, and equal names in them do not conflict."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        function.hold(*numbered(4), region=region)
    result = function(BOTH)
    assert result["Summary"]["Changed"] == 8
    for region in ("ap-guangzhou", "ap-shanghai"):
        found = {image["ImageDescription"] for image in function.images[region]}
        assert found == {f"in {region}"}
    assert "ap-shanghai-fsi" not in {call["Region"] for call in function.calls()}


def test_permanent_error_in_one_region(function: Function) -> None:
    """A region that cannot be read is an error, and the other one is done."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        function.hold(*numbered(4), region=region)
    function.cloud.on_reply = failing_in("ap-shanghai", "InvalidParameter")
    result = function(BOTH)
    assert result["Outcome"] == "partial"
    assert result["Summary"]["Changed"] == 4
    (error,) = result["Errors"]
    assert error["Code"] == "InvalidParameter"
    assert "ap-shanghai" in error["Source"]
    assert {call["Region"] for call in function.calls("ModifyImageAttribute")} == {"ap-guangzhou"}


def test_transient_error_in_one_region(function: Function) -> None:
    """If a region cannot be read now, the function raises and changes nothing in the other one."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        function.hold(*numbered(4), region=region)
    function.cloud.on_reply = failing_in("ap-shanghai", "InternalError")
    with pytest.raises(Unfinished, match=r"1 of 1 .*InternalError"):
        function(BOTH)
    assert function.writes == 0
    rejected = next(line for line in function.lines if line["Event"] == "document.rejected")
    assert "ap-shanghai" in rejected["Source"]
    assert rejected["Level"] == "WARNING"
    function.cloud.on_reply = lambda _call, reply: reply
    assert function(BOTH)["Summary"] == {
        "Changed": 8, "Unchanged": 0, "Planned": 0, "Skipped": 0, "Failed": 0, "Pending": 0,
    }  # fmt: skip


def test_unknown_region(function: Function) -> None:
    """A region that the cloud does not know is named, and the others are done."""
    code = "InvalidRegion.NotFound"
    function.cloud.on_reply = failing_in("ap-0", code)
    function.hold(*numbered(2))
    listed: dict[str, Any] = {"STEWARD_REGIONS": "ap-guangzhou,ap-0"}
    result = function(policy(Regions=["ap-guangzhou", "ap-0"], ImageDescription="d"), **listed)
    (error,) = result["Errors"]
    assert (error["Code"], error["Source"]) == (code, "direct ap-0")
    assert result["Summary"]["Changed"] == 2
    alone = function(policy(Regions=["ap-0"], ImageDescription="d"), **listed)
    assert alone["Outcome"] == "rejected"


def test_empty_region(function: Function) -> None:
    """A region without images is accepted."""
    result = function(policy(Regions=["ap-nanjing"], ImageDescription="d"))
    assert result["Outcome"] == "applied"
    assert result["Images"] == result["Errors"] == []


def test_account_may_not_read(function: Function) -> None:
    """An account that may not read images is one error, and nothing else is attempted."""
    code = "UnauthorizedOperation"
    function.cloud.on_reply = failing_in("ap-guangzhou", code)
    result = function(policy(ImageDescription="d"))
    assert result["Outcome"] == "rejected"
    assert [error["Code"] for error in result["Errors"]] == [code]
    assert len(function.calls()) == 1


# --- Number of calls ---


def test_thousand_images_tagged(function: Function) -> None:
    """A new tag for a thousand images takes ten reads, and a call for every nine."""
    function.hold(*numbered(1000))
    document = policy(Tags=[{"Key": "owner", "Value": "infra"}], MaxChanges=1000)
    result = function(document, seconds=60)
    assert result["Summary"]["Changed"] == 1000
    assert len(function.calls("DescribeImages")) == 10
    assert len(function.calls("TagResources")) == 112
    assert len(function.calls()) == 122


def test_nothing_to_do(function: Function) -> None:
    """730 images without changes take eight reads and no write."""
    function.hold(*numbered(730, ImageDescription="d", Tags=[{"Key": "owner", "Value": "infra"}]))
    tags = [{"Key": "owner", "Value": "infra"}]
    result = function(policy(ImageName="{ImageName}", ImageDescription="d", Tags=tags))
    assert result["Summary"]["Unchanged"] == 730
    assert result["Images"] == []
    assert [call["Action"] for call in function.calls()] == ["DescribeImages"] * 8


# --- Reading images ---


def test_image_deleted_while_reading(function: Function) -> None:
    """If an image is deleted between two pages, no other is missed."""
    function.hold(*numbered(150))

    def on_reply(call: Call, reply: Reply) -> Reply:
        if (call.action, call.number) == ("DescribeImages", 1):
            del function.cloud.state.images["ap-guangzhou"][149]
        return reply

    function.cloud.on_reply = on_reply
    result = function(policy(ImageDescription="d", MaxChanges=1000), seconds=60)
    assert {image["ImageDescription"] for image in function.images["ap-guangzhou"]} == {"d"}
    assert result["Summary"]["Changed"] == 149
    assert result["Summary"]["Failed"] == 0
    assert len(function.calls("DescribeImages")) == 4


def set_total(function: Function, total: float) -> None:
    """Let the cloud return this total count, whatever it lists."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action == "DescribeImages":
            envelope = json.loads(reply.body)
            envelope["Response"]["TotalCount"] = total
            return Reply(reply.status, reply.headers, json.dumps(envelope).encode())
        return reply

    function.cloud.on_reply = on_reply


def test_invalid_total(function: Function) -> None:
    """A total count that is not a number of images makes the response malformed."""
    set_total(function, math.inf)
    with pytest.raises(Unfinished, match="AmbiguousResponse: DescribeImages: no readable response"):
        function(policy(ImageDescription="d"))


@pytest.mark.parametrize("total", [2, 0])
def test_wrong_total(function: Function, total: int) -> None:
    """With a wrong total count, reading neither ends early nor continues forever."""
    function.hold(*numbered(1))
    set_total(function, total)
    assert function(policy(ImageDescription="d"))["Summary"]["Changed"] == 1
    assert len(function.calls("DescribeImages")) <= 4


@pytest.mark.parametrize(
    ("created", "name"),
    [
        ("2026-11-05T23:59:59Z", "b-20261105"),
        ("2026-11-06T07:59:59+08:00", "b-20261105"),
        ("yesterday", "build-0"),
        (None, "build-0"),
        ("0001-01-01T00:00:00+14:00", "build-0"),
    ],
)
def test_created_time_in_names(function: Function, created: str | None, name: str) -> None:
    """Times are read in every format of the API, and named in UTC."""
    function.hold(*numbered(1))
    function.cloud.state.images["ap-guangzhou"][0]["CreatedTime"] = created or ""
    function(policy(ImageName="b-{CreatedTime:%Y%m%d}"))
    assert function.names() == {"img-build0000": name}


# --- Temporary names of earlier runs ---

SLOTS: list[dict[str, Any]] = [
    {"ImageId": f"img-slot000{i}", "ImageName": f"slot-{i}",
     "Tags": [{"Key": "slot", "Value": f"slot-{(i + 1) % 4}"}]}
    for i in range(4)
]  # fmt: skip
SLOT_POLICY = policy(Select={"ImageName": "slot-*"}, ImageName="{Tag.slot}")
SLOTTED = {f"img-slot000{i}": f"slot-{(i + 1) % 4}" for i in range(4)}


def test_cycle_by_policy(function: Function) -> None:
    """A policy may rename in a cycle, with one more call, and no call sets a name in use."""
    function.hold(*SLOTS)
    function(SLOT_POLICY)
    assert function.names() == SLOTTED
    assert [call["Outcome"] for call in function.calls("ModifyImageAttribute")] == ["ok"] * 5


def test_interrupted_cycle(function: Function) -> None:
    """An image with a temporary name is still selected by its policy, and gets its name."""
    function.hold(*SLOTS)
    rule = Rule("ModifyImageAttribute", "error", start=3, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished, match="InternalError"):
        function(SLOT_POLICY)
    assert [i for i, name in function.names().items() if name.startswith(TEMPORARY)] == [
        "img-slot0000"
    ]
    function.cloud.faults = Faults()
    assert function(SLOT_POLICY)["Outcome"] == "applied"
    assert function.names() == SLOTTED


def test_another_policy_meets_a_temporary_name(function: Function) -> None:
    """A later run that knows the name finishes it; one that needs the image's own name says so."""
    left = {"ImageId": "img-left0001", "ImageName": f"{TEMPORARY}img-left0001", "ImageFamily": "f"}
    function.hold(left)
    result = function(policy(ImageName="{ImageName}-x", OnConflict="skip"))
    assert result["Images"][0]["Status"] == "skipped"
    assert result["Images"][0]["Reason"].endswith("(the image has a temporary name)")
    assert function.writes == 0
    function(policy(ImageName="{ImageFamily}-1"))
    assert function.names() == {"img-left0001": "f-1"}


def test_temporary_name_of_an_edited_policy(function: Function) -> None:
    """A policy leaves a temporary name of another policy, with a warning."""
    function.hold(*SLOTS)
    rule = Rule("ModifyImageAttribute", "error", start=2, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(SLOT_POLICY)
    function.cloud.faults = Faults()
    (left,) = (i for i, name in function.names().items() if name.startswith(TEMPORARY))
    name = function.names()[left]
    edited = policy(Select={"ImageName": "slot*"}, ImageName="{Tag.slot}")
    (warning,) = function(edited)["Warnings"]
    assert warning["Code"] == "TemporaryName"
    assert warning["Message"] == (
        f'{left} in ap-guangzhou has the temporary name "{name}" from another run, and keeps it: '
        "if that run has ended, deliver its document again, unchanged, or rename the image"
    )
    assert function.names()[left] == name
    (warning,) = function(SLOT_POLICY)["Warnings"]
    assert "and Undo would restore it" in warning["Message"]
    assert function.names() == SLOTTED
    assert "Warnings" not in function(SLOT_POLICY)


# --- Images that are half done ---

RENAMED = policy(
    Select={"ImageName": "build-*"},
    ImageName="web-{ImageId}",
    Tags=[{"Key": "owner", "Value": "infra"}],
)
MARKED = policy(
    Select={"Tags": [{"Key": "state", "Value": "raw"}]},
    ImageName="web-{ImageId}",
    Tags=[{"Key": "state", "Value": "named"}],
)
RAW = [{"Key": "state", "Value": "raw"}]
ORDERS = pytest.mark.parametrize(
    ("document", "first", "second"),
    [(RENAMED, "TagResources", "ModifyImageAttribute"),
     (MARKED, "ModifyImageAttribute", "TagResources")],
    ids=["selects by name", "selects by tag"],
)  # fmt: skip
"""What a policy selects by is written last."""


def is_done(image: dict[str, Any], document: dict[str, Any]) -> bool:
    """Return whether an image has the name and the tag."""
    tag = document["Normalise"]["Tags"][0]
    has_tag = any(tag.items() <= one.items() for one in image["Tags"])
    return has_tag and image["ImageName"] == f"web-{image['ImageId']}"


@ORDERS
def test_second_half_waits(
    function: Function, document: dict[str, Any], first: str, second: str
) -> None:
    """As long as the first half is pending, the second does not start."""
    function.hold(*numbered(20, Tags=RAW))
    rule = Rule(first, "error", start=2, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished, match="InternalError"):
        function(document)
    done = len([call for call in function.calls(first) if call["Outcome"] == "ok"])
    assert done == 1
    # Which batch of tags comes first, one of nine or the one of two, is up to the workers.
    whole = [image for image in function.images["ap-guangzhou"] if is_done(image, document)]
    assert whole
    assert len(function.calls(second)) == (len(whole) if second == "ModifyImageAttribute" else 1)
    function.cloud.faults = Faults()
    assert function(document)["Outcome"] == "applied"
    assert all(is_done(image, document) for image in function.images["ap-guangzhou"])
    assert function(document)["Summary"]["Skipped"] == 20


@ORDERS
def test_policy_in_several_deliveries(
    function: Function, document: dict[str, Any], first: str, second: str
) -> None:
    """However often time runs out in the middle, every image is finished in the end."""
    function.hold(*numbered(40, Tags=RAW))
    raised, result = function.until_done(document, seconds=1)
    assert raised > 2
    assert result["Outcome"] == "applied"
    assert all(is_done(image, document) for image in function.images["ap-guangzhou"])
    assert len(function.calls("ModifyImageAttribute")) == 40
    assert first != second


@pytest.mark.parametrize("start", [1, 2, 3])
def test_selecting_tag_comes_last(function: Function, start: int) -> None:
    """Of more tags than fit in a call, those that the policy selects by are written last."""
    function.hold(*numbered(2, Tags=RAW))
    more = [{"Key": f"k{i}", "Value": "v"} for i in range(21)]
    document = {"Normalise": {**MARKED["Normalise"], "Tags": [*MARKED["Normalise"]["Tags"], *more]}}
    rule = Rule("TagResources", "error", start=start, code="FailedOperation.ResourceTagProcessing")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished, match="ResourceTagProcessing"):
        function(document)
    function.cloud.faults = Faults()
    assert function(document)["Outcome"] == "applied"
    for image in function.images["ap-guangzhou"]:
        assert is_done(image, document)
        assert len(image["Tags"]) == 22


@ORDERS
def test_first_half_fails(
    function: Function, document: dict[str, Any], first: str, second: str
) -> None:
    """If a half fails, the one that ends the selection is not written, so a later run can."""
    function.hold(*numbered(3, Tags=RAW))
    former = function.images
    function.cloud.faults = Faults((Rule(first, "error", code="InvalidParameterValue"),))
    result = function(document)
    assert result["Summary"]["Failed"] == 3
    assert {image["Code"] for image in result["Images"]} == {"InvalidParameterValue"}
    assert function.calls(second) == []
    assert function.images == former
    function.cloud.faults = Faults()
    assert function(document)["Summary"]["Changed"] == 3
    assert all(is_done(image, document) for image in function.images["ap-guangzhou"])


def test_time_is_over_while_planning(function: Function) -> None:
    """A run whose time is over while it plans changes nothing and raises, before SCF kills it."""
    function.hold(*numbered(3))

    def on_reply(_call: Call, reply: Reply) -> Reply:
        function.clock.sleep_until(function.clock.monotonic() + 1000)
        return reply

    function.cloud.on_reply = on_reply
    with pytest.raises(Unfinished, match=r"1 of 1 .*TimeRanOut: .*were planned"):
        function(policy(ImageName="web-{ImageId}"))
    assert function.writes == 0


def test_failed_tags(function: Function) -> None:
    """If its tags fail, an image gets nothing else, whatever the policy selects by."""
    function.hold(*numbered(3))
    former = function.images
    tags = [{"Key": "qcs:reserved", "Value": "v"}]
    result = function(policy(ImageName="web-{ImageId}", Tags=tags))
    assert result["Summary"]["Failed"] == 3
    assert function.images == former


WHOLE: dict[str, Any] = {
    "ImageName": "web-{ImageId}",
    "Tags": [{"Key": "state", "Value": "named"}, {"Key": "owner", "Value": "infra"}],
    "DeleteTags": ["tmp-*", "state", "no-such-tag"],
}
BY_TAG = [("TagResources", "owner"), ("ModifyImageAttribute", "web-img-build0000"),
          ("UnTagResources", "tmp-1"), ("TagResources", "state")]  # fmt: skip
BY_NAME = [("TagResources", "state"), ("UnTagResources", "tmp-1"),
           ("ModifyImageAttribute", "web-img-build0000")]  # fmt: skip
SEQUENCES = [
    (policy(**WHOLE, Select={"Tags": RAW}), BY_TAG),
    (policy(**WHOLE, Except=[{"Tags": [{"Key": "state", "Value": "named"}]}]), BY_TAG),
    (policy(**WHOLE, Select={"ImageName": "build-*"}), BY_NAME),
    (policy(**WHOLE, Except=[{"ImageName": "web-*"}]), BY_NAME),
    (policy(**WHOLE, Select={"Tags": [{"Key": "tmp-1"}]}), [BY_NAME[0], *BY_TAG[1:3]]),
    (policy(**WHOLE), [BY_NAME[0], *BY_TAG[1:3]]),
]
"""Policies, and their calls for one image, in order, each with something in its parameters."""
TEMPORARY_TAGS = [*RAW, {"Key": "tmp-1", "Value": "1"}, {"Key": "tmp-2", "Value": "2"}]
NAMED_TAGS = {"state": "named", "owner": "infra"}


@pytest.mark.parametrize(("document", "sequence"), SEQUENCES)
def test_sequence_of_writes(
    function: Function, document: dict[str, Any], sequence: list[tuple[str, str]]
) -> None:
    """Tags come first, then attributes, then what may end the selection."""
    function.hold(*numbered(1, Tags=TEMPORARY_TAGS))
    seen = recorded(function, "ModifyImageAttribute", "TagResources", "UnTagResources")
    result = function(document)
    assert "Warnings" not in result
    assert [call.action for call in seen] == [action for action, _ in sequence]
    for call, (_, part) in zip(seen, sequence, strict=True):
        assert part in json.dumps(dict(call.params))
    is_whole(function)


@pytest.mark.parametrize("code", ["InvalidParameterValue", "InternalError"])
@pytest.mark.parametrize(
    ("document", "sequence", "number"),
    [(document, calls, i) for document, calls in SEQUENCES for i in range(len(calls))],
)
def test_each_write_waits_for_the_former(
    function: Function,
    document: dict[str, Any],
    sequence: list[tuple[str, str]],
    number: int,
    code: str,
) -> None:
    """After a call that fails, or is pending, none follows; a later run does the rest."""
    function.hold(*numbered(1, Tags=TEMPORARY_TAGS))
    action = sequence[number][0]
    start = [each for each, _ in sequence[: number + 1]].count(action)
    function.cloud.faults = Faults((Rule(action, "error", start=start, code=code),))
    with suppress(Unfinished):
        function(document)
    done = [call["Action"] for call in function.calls() if call["Outcome"] == "ok"]
    assert [each for each in done if each != "DescribeImages"] == [
        each for each, _ in sequence[:number]
    ]
    function.cloud.faults = Faults()
    assert function(document)["Outcome"] == "applied"
    is_whole(function)
    assert not function(document)["Summary"]["Changed"]


def is_whole(function: Function) -> None:
    """Check that the image has all that it was to get."""
    (image,) = function.images["ap-guangzhou"]
    assert image["ImageName"] == "web-img-build0000"
    assert {tag["Key"]: tag["Value"] for tag in image["Tags"]} == NAMED_TAGS


def test_protected_tags_of_a_policy(function: Function) -> None:
    """A glob of DeleteTags leaves protected tags out; a protected key is rejected."""
    tags = [{"Key": key, "Value": "1"} for key in ("tmp", "keep-1", "image-steward", "set")]
    function.hold(*numbered(1, Tags=tags))
    protected: dict[str, Any] = {"STEWARD_PROTECTED_TAGS": "keep-*"}
    document = policy(DeleteTags=["*"], Tags=[{"Key": "set", "Value": "2"}])
    result = function(document, **protected)
    assert result["Outcome"] == "applied"
    kept = {tag["Key"]: tag["Value"] for tag in function.image("img-build0000")["Tags"]}
    assert kept == {"keep-1": "1", "image-steward": "1", "set": "2"}
    assert function(document, **protected)["Summary"]["Unchanged"] == 1
    for key in ("keep-1", "image-steward"):
        (error,) = function(policy(DeleteTags=["tmp", key]), **protected)["Errors"]
        assert (error["Code"], error["Path"]) == ("NotAllowed", "/Normalise/DeleteTags")


def test_failure_in_a_cycle(function: Function) -> None:
    """If an image fails, the one that is to get its name keeps its own, not a temporary one."""
    function.hold(*SLOTS)
    former = function.names()
    tags = [{"Key": "owner", "Value": "{ImageName}"}]
    document = {"Normalise": {**SLOT_POLICY["Normalise"], "Tags": tags}}
    fail = failing_in("ap-guangzhou", "InvalidParameterValue", "TagResources")

    def on_reply(call: Call, reply: Reply) -> Reply:
        is_one = "img-slot0002" in str(call.params.get("ResourceList"))
        return fail(call, reply) if is_one else reply

    function.cloud.on_reply = on_reply
    result = function(document)
    assert result["Summary"]["Failed"] == 4
    assert function.names() == former
    function.cloud.on_reply = lambda _call, reply: reply
    assert function(document)["Outcome"] == "applied"
    assert function.names() == SLOTTED


def test_pending_in_a_cycle(function: Function) -> None:
    """If an image is pending, so is the one that is to get its name."""
    function.hold(*SLOTS)
    members = {**SLOT_POLICY["Normalise"], "Tags": [{"Key": "owner", "Value": "{ImageName}"}]}
    fail = failing_in("ap-guangzhou", "InternalError", "TagResources")

    def on_reply(call: Call, reply: Reply) -> Reply:
        is_one = "img-slot0001" in str(call.params.get("ResourceList"))
        if is_one:  # the call has not worked
            image = function.cloud.state.find("ap-guangzhou", "img-slot0001")
            assert image
            image["Tags"] = [tag for tag in image["Tags"] if tag["Key"] != "owner"]
        return fail(call, reply) if is_one else reply

    function.cloud.on_reply = on_reply
    with pytest.raises(Unfinished, match=r"2 of 4 .*InternalError"):
        function({"Normalise": members})
    ends = {line["ImageId"]: line["Event"] for line in function.lines if "ImageId" in line}
    # The first one opened the cycle, and is to get the second one's name.
    assert ends == {
        "img-slot0000": "image.pending",
        "img-slot0001": "image.pending",
        "img-slot0002": "image.changed",
        "img-slot0003": "image.changed",
    }
    function.cloud.on_reply = lambda _call, reply: reply
    assert function({"Normalise": members})["Outcome"] == "applied"
    assert function.names() == SLOTTED


# --- Undo ---

EVERYTHING = policy(
    ImageName="{ImageFamily|none}-{CreatedTime:%Y%m%d}",
    ImageDescription="made of {OsName}",
    ImageFamily="{ImageFamily|none}",
    Tags=[{"Key": "source", "Value": "{Tag.pipeline|by hand}"}, {"Key": "os", "Value": "{OsName}"}],
    KeepLatest=1,
)


@pytest.mark.parametrize("how", ["result", "log"])
def test_undo(function: Function, how: str) -> None:
    """Uploading the undo of the result, or of the log, restores every image."""
    function.hold(*WEB)
    former = function.images
    result = function(EVERYTHING)
    assert result["Summary"]["Changed"] == 4
    changed = function.images
    assert all(changed["ap-guangzhou"][i] != former["ap-guangzhou"][i] for i in range(4))
    document = result["Undo"] if how == "result" else undone_by_log(function)
    undone = function(function.uploaded(document))
    assert undone["Outcome"] == "applied"
    assert function.images == former
    function(function.uploaded(undone["Undo"]))
    assert function.images == changed


def undone_by_log(function: Function) -> dict[str, Any]:
    """Return the undo of the last run, as `scf-local undo` makes it from the log."""
    found = undo.read("\n".join(map(json.dumps, function.lines)).encode())
    assert found.problems == []
    return found.part(1)


@pytest.mark.parametrize("level", ["WARNING", "ERROR"])
def test_undo_of_a_quiet_run(function: Function, level: str) -> None:
    """The log undoes a run at the log levels WARNING and ERROR, too."""
    function.hold(*WEB)
    former = function.images
    function(EVERYTHING, STEWARD_LOG_LEVEL=level)
    assert {line["Event"] for line in function.lines} == {"image.before"}
    assert function(undone_by_log(function))["Outcome"] == "applied"
    assert function.images == former


@pytest.mark.parametrize("how", ["result", "log"])
def test_undo_of_a_cycle_by_policy(function: Function, how: str) -> None:
    """A rename cycle is undone by a rename cycle."""
    function.hold(*SLOTS)
    former = function.images
    result = function(SLOT_POLICY)
    function(result["Undo"] if how == "result" else undone_by_log(function))
    assert function.images == former


def test_undo_of_a_truncated_result(function: Function) -> None:
    """A result has the undo of up to a thousand images; the log has that of all."""
    function.hold(*numbered(1100))
    former = function.images
    document = policy(Tags=[{"Key": "owner", "Value": "infra"}], MaxChanges=2000)
    result = function(document, seconds=60, STEWARD_MAX_CHANGES="2000")
    assert result["Truncated"] is True
    assert len(result["Undo"]["Images"]) == 1000
    found = undo.read("\n".join(map(json.dumps, function.lines)).encode())
    assert (len(found.parts), found.problems, len(found.entries)) == (2, [], 1100)
    for number in (1, 2):
        function(function.uploaded(found.part(number)), seconds=60)
    assert function.images == former


def test_undo_of_an_interrupted_run(function: Function) -> None:
    """A run that was interrupted, even in a rename cycle, can be undone from its log."""
    function.hold(*SLOTS)
    former = function.images
    rule = Rule("ModifyImageAttribute", "error", start=3, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(SLOT_POLICY)
    function.cloud.faults = Faults()
    assert function.images != former
    function(undone_by_log(function))
    assert function.images == former


def test_undo_of_two_deliveries(function: Function) -> None:
    """The logs of an interrupted run and of the one that finished it undo both at once."""
    function.hold(*SLOTS)
    former = function.images
    rule = Rule("ModifyImageAttribute", "error", start=3, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(SLOT_POLICY)
    first = function.lines
    function.cloud.faults = Faults()
    function(SLOT_POLICY)
    assert function.names() == SLOTTED
    function.lines = first + function.lines
    function(undone_by_log(function))
    assert function.images == former
