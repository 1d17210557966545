"""Packer manifests, from the upload to labelled images, on the emulated cloud."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from clocks import FakeClock
from conftest import cos_event
from image_steward.errors import Unfinished
from packer import OTHER_RUN, build, manifest
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from conftest import Function
    from scf_local.cloud.wire import Call

KEY = "requests/packer-manifest.json"
COPIES = "ap-guangzhou:img-new00001,ap-shanghai:img-copy0001"
LABELS = {
    "ImageName": "web-{build_time:%Y%m%d}-{custom_data.git}",
    "ImageDescription": "built from {custom_data.git}",
    "ImageFamily": "web",
    "Tag.team": "infra",
    "git": "3f2c1d",
}
NAME = "web-20251124-3f2c1d"


@pytest.fixture(autouse=True)
def _images(function: Function) -> None:
    older = [
        {"ImageId": f"img-older00{i}", "ImageName": f"web-{i}", "ImageFamily": "web",
         "CreatedTime": f"2026-10-0{i}T00:00:00Z"}
        for i in range(1, 5)
    ]  # fmt: skip
    built = {"ImageName": "packer-web", "CreatedTime": "2026-11-24T00:00:00Z"}
    function.hold({"ImageId": "img-new00001", **built}, *older)
    function.hold({"ImageId": "img-copy0001", **built}, region="ap-shanghai")


def uploaded(function: Function, *builds: object) -> dict[str, Any]:
    """Upload a manifest of some builds, and return the event."""
    function.put(KEY, manifest(*builds))
    return cos_event(KEY)


def change(function: Function, image_id: str, region: str, **members: object) -> None:
    """Change an image of the cloud."""
    with function.cloud.state.lock:
        for image in function.cloud.state.images[region]:
            if image["ImageId"] == image_id:
                image.update(members)


def set_state(function: Function, image_id: str, region: str, state: str) -> None:
    """Set the state of an image."""
    change(function, image_id, region, ImageState=state)


def test_one_build(function: Function) -> None:
    """The image of a build is named, described and tagged; a second delivery writes nothing."""
    event = uploaded(function, build(LABELS, artifact_id="ap-guangzhou:img-new00001"))
    result = function(event)
    assert result["Outcome"] == "applied"
    assert result["Trigger"] == "cos"
    image = function.image("img-new00001")
    assert image["ImageName"] == NAME
    assert image["ImageDescription"] == "built from 3f2c1d"
    assert image["ImageFamily"] == "web"
    assert [(tag["Key"], tag["Value"]) for tag in image["Tags"]] == [("team", "infra")]
    assert function.writes == 2
    assert function(event)["Summary"]["Unchanged"] == 1
    assert function.writes == 2


def test_copies_and_others(function: Function) -> None:
    """Copies are labelled in their regions; other builders and earlier runs are skipped."""
    function.hold({"ImageId": "img-two00001", "ImageName": "packer-2"}, region="ap-beijing")
    event = uploaded(
        function,
        build({"ImageName": "stale"}, packer_run_uuid=OTHER_RUN,
              artifact_id="ap-guangzhou:img-older001"),
        build(LABELS, artifact_id=COPIES),
        build({"ImageName": "ami"}, builder_type="amazon-ebs", artifact_id="us-east-1:ami-1"),
        build({"ImageName": "second"}, artifact_id="ap-beijing:img-two00001"),
    )  # fmt: skip
    assert function(event)["Summary"]["Changed"] == 3
    assert function.names()["img-new00001"] == NAME
    assert function.names("ap-shanghai") == {"img-copy0001": NAME}
    assert function.names("ap-beijing") == {"img-two00001": "second"}
    assert function.names()["img-older001"] == "web-1"


@pytest.mark.parametrize("how", ["direct", "timer", "pointer"])
def test_any_trigger(function: Function, how: str) -> None:
    """A manifest may arrive by any trigger, like every document."""
    body = manifest(build(LABELS, artifact_id=COPIES))
    function.put(KEY, body)
    events: dict[str, dict[str, Any]] = {
        "direct": body,
        "timer": {"Type": "Timer", "TriggerName": "t", "Time": "", "Message": json.dumps(body)},
        "pointer": {"Document": f"cos://manifests-1250000000/{KEY}"},
    }
    assert function(events[how])["Summary"]["Changed"] == 2


@pytest.mark.parametrize(
    ("builds", "path"),
    [
        ([], "/builds"),
        ([build({"env": "prod"})], "/builds/0/custom_data"),
        ([build(LABELS, artifact_id="img-new00001")], "/builds/0/artifact_id"),
        ([build({"ImageName": "{custom_data.none}"})], "/builds/0/custom_data/ImageName"),
        ([build({"ImageName": "x" * 61})], "/builds/0/custom_data/ImageName"),
        ([build({"ImageName": "x" * 50 + "{ImageId}"}, artifact_id=COPIES)],
         "/builds/0/custom_data/ImageName"),
        ([build({"KeepLatest": "2"}, artifact_id=COPIES)], "/builds/0/custom_data/KeepLatest"),
        ([build({"ImageName": "prod-{ImageName}"}, artifact_id=COPIES)],
         "/builds/0/custom_data/ImageName"),
    ],
    ids=["no builds", "nothing to set", "garbage", "unknown key", "61 characters",
         "62 characters, by what the image holds", "no family", "grows"],
)  # fmt: skip
def test_rejected(function: Function, builds: list[object], path: str) -> None:
    """A manifest that cannot be executed is rejected, and nothing is written."""
    result = function(uploaded(function, *builds))
    assert result["Outcome"] == "rejected"
    assert {error["Code"] for error in result["Errors"]} == {"InvalidDocument"}
    assert result["Errors"][0]["Path"] == path
    assert function.writes == 0


def test_similar_key_is_a_warning_of_the_result(function: Function) -> None:
    """A misspelt attribute is a warning in result and log; the rest is done."""
    event = uploaded(function, build({**LABELS, "ImageFamliy": "web"}, artifact_id=COPIES))
    result = function(event)
    assert result["Outcome"] == "applied"
    (warning,) = result["Warnings"]
    assert warning["Path"] == "/builds/0/custom_data/ImageFamliy"
    assert "did you mean ImageFamily?" in warning["Message"]
    (line,) = [line for line in function.lines if line["Event"] == "document.warned"]
    assert line["Level"] == "WARNING"


def test_missing_copy(function: Function) -> None:
    """A copy that does not exist fails with the API's own code; the others are done."""
    copies = "ap-guangzhou:img-new00001,ap-shanghai:img-gone0001"
    result = function(uploaded(function, build(LABELS, artifact_id=copies)))
    assert result["Outcome"] == "partial"
    assert {i["ImageId"]: i.get("Code") for i in result["Images"]} == {
        "img-new00001": None,
        "img-gone0001": "InvalidImageId.NotFound",
    }
    assert function.names()["img-new00001"] == NAME


def test_failed_copy(function: Function) -> None:
    """A copy that has failed is not waited for, and the others are done."""
    set_state(function, "img-copy0001", "ap-shanghai", "CREATEFAILED")
    result = function(uploaded(function, build(LABELS, artifact_id=COPIES)))
    (failed,) = (image for image in result["Images"] if image["Status"] == "failed")
    assert failed["ImageId"] == "img-copy0001"
    assert failed["Code"] == "InvalidImageId.IncorrectState"
    assert "CREATEFAILED" in failed["Message"]
    assert function.names()["img-new00001"] == NAME


@dataclass(eq=False)
class Copying(FakeClock):
    """Lets a copy become NORMAL after some seconds."""

    function: Function | None = None
    seconds: float = 0.0

    def sleep_until(self, moment: float, /) -> None:
        """Advance the clock, and finish the copy when its time has come."""
        super().sleep_until(moment)
        if self.function and sum(self.sleeps) >= self.seconds:
            set_state(self.function, "img-copy0001", "ap-shanghai", "NORMAL")


@pytest.mark.parametrize("state", ["SYNCING", "CREATING", "IMPORTING", "BRANDNEW"])
def test_pending_copy(function: Function, state: str) -> None:
    """A copy that becomes NORMAL in time is waited for, and nothing is renamed before."""
    set_state(function, "img-copy0001", "ap-shanghai", state)
    function.clock = Copying(function=function, seconds=3)
    event = uploaded(function, build(LABELS, artifact_id=COPIES))
    result = function(event, seconds=60)
    assert result["Outcome"] == "applied"
    assert function.names()["img-new00001"] == function.names("ap-shanghai")["img-copy0001"] == NAME
    awaited = [line for line in function.lines if line["Event"] == "image.awaited"]
    assert {line["ImageId"] for line in awaited} == {"img-copy0001"}
    assert {line["ImageState"] for line in awaited} == {state}
    # Only the region of the copy is polled.
    reads = [c["Region"] for c in function.calls("DescribeImages")]
    assert reads.count("ap-shanghai") > reads.count("ap-guangzhou")


def test_copy_that_stays_pending(function: Function) -> None:
    """A copy that stays pending leaves all renames pending; everything else is done.

    The next delivery, when the copy is ready, does the rest.
    """
    set_state(function, "img-copy0001", "ap-shanghai", "SYNCING")
    event = uploaded(function, build(LABELS, artifact_id=COPIES))
    with pytest.raises(Unfinished, match="2 of 2"):
        function(event, seconds=60)
    pending = {line["ImageId"]: line for line in function.lines if line["Event"] == "image.pending"}
    assert pending.keys() == {"img-new00001", "img-copy0001"}
    assert "not renamed while img-copy0001 is SYNCING" in pending["img-new00001"]["Message"]
    assert function.names()["img-new00001"] == "packer-web"
    assert function.image("img-new00001")["ImageFamily"] == "web"
    assert function.image("img-new00001")["Tags"]
    assert function.image("img-copy0001", "ap-shanghai")["Tags"] == []
    set_state(function, "img-copy0001", "ap-shanghai", "NORMAL")
    assert function(event)["Outcome"] == "applied"
    assert function.names()["img-new00001"] == function.names("ap-shanghai")["img-copy0001"] == NAME


def test_only_renames_wait(function: Function) -> None:
    """An image that is not to be renamed does not wait for another's copy."""
    set_state(function, "img-copy0001", "ap-shanghai", "SYNCING")
    event = uploaded(
        function,
        build({"Tag.a": "b"}, artifact_id="ap-guangzhou:img-new00001"),
        build({"Tag.a": "b"}, artifact_id="ap-shanghai:img-copy0001"),
    )
    with pytest.raises(Unfinished, match=r"1 of 2 .*img-copy0001 is SYNCING"):
        function(event)
    assert function.image("img-new00001")["Tags"]


def test_transient_error_in_a_region(function: Function) -> None:
    """If a region with a copy cannot be read now, nothing is renamed."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        error = {"Error": {"Code": "InternalError", "Message": "m"}, "RequestId": "q"}
        is_there = call.action == "DescribeImages" and call.region == "ap-shanghai"
        body = json.dumps({"Response": error}).encode()
        return Reply(reply.status, reply.headers, body) if is_there else reply

    function.cloud.on_reply = on_reply
    event = uploaded(function, build(LABELS, artifact_id=COPIES))
    with pytest.raises(Unfinished, match="not renamed while img-copy0001 cannot be read"):
        function(event)
    assert function.names()["img-new00001"] == "packer-web"
    assert function.image("img-new00001")["ImageFamily"] == "web"


def test_permanent_error_in_a_region(function: Function) -> None:
    """If a region cannot be read, its images fail, and the others are done."""
    rule = Rule("DescribeImages", "error", code="UnsupportedRegion", calls=(2,))
    function.cloud.faults = Faults((rule,))
    result = function(uploaded(function, build({"ImageName": "n"}, artifact_id=COPIES)))
    assert result["Outcome"] == "partial"
    assert result["Summary"]["Failed"] == result["Summary"]["Changed"] == 1


def test_holders_cannot_be_read(function: Function) -> None:
    """If the holders of a name cannot be read now, the image is pending, and nothing is written."""
    rule = Rule("DescribeImages", "error", code="InternalError", start=2)
    function.cloud.faults = Faults((rule,))
    event = uploaded(function, build(LABELS, artifact_id="ap-guangzhou:img-new00001"))
    with pytest.raises(Unfinished, match="InternalError"):
        function(event)
    assert function.writes == 0


def test_name_is_taken(function: Function) -> None:
    """A name held by another image is a conflict, found before any write."""
    event = uploaded(function, build({"ImageName": "web-1"}, artifact_id=COPIES))
    result = function(event)
    assert result["Outcome"] == "partial"
    assert {i["ImageId"]: i.get("Code") for i in result["Images"]} == {
        "img-new00001": "InvalidImageName.Duplicate",
        "img-copy0001": None,
    }


def test_image_without_the_value(function: Function) -> None:
    """An image without the value of a template is skipped, with the reason."""
    change(function, "img-new00001", "ap-guangzhou", ImageDescription="d")
    event = uploaded(function, build({"ImageName": "{ImageDescription}"}, artifact_id=COPIES))
    result = function(event)
    statuses = {image["ImageId"]: image["Status"] for image in result["Images"]}
    assert statuses == {"img-new00001": "changed", "img-copy0001": "skipped"}
    assert result["Images"][-1]["Reason"] == "ImageDescription has no value and no default"


def test_dry_run_of_a_manifest(function: Function) -> None:
    """A dry run waits for no copy, shows the whole plan with retirement, and writes nothing."""
    set_state(function, "img-copy0001", "ap-shanghai", "SYNCING")
    data = {**LABELS, "KeepLatest": "2"}
    event = uploaded(function, build(data, artifact_id=COPIES))
    result = function(event, STEWARD_DRY_RUN="1")
    assert result["Outcome"] == "planned"
    assert {image["ImageId"] for image in result["Images"]} == {
        "img-new00001", "img-copy0001", "img-older001", "img-older002", "img-older003",
    }  # fmt: skip
    assert function.writes == 0


def test_keep_latest(function: Function) -> None:
    """The new image is labelled, then all but the newest of its family are retired, by region."""
    former = function.images
    data = {**LABELS, "KeepLatest": "2"}
    result = function(uploaded(function, build(data, artifact_id=COPIES)))
    assert result["Outcome"] == "applied"
    assert result["Summary"]["Changed"] == 5
    assert result["Summary"]["Unchanged"] == 1
    deprecated = {i["ImageId"]: i["ImageDeprecated"] for i in function.images["ap-guangzhou"]}
    assert deprecated == {
        "img-new00001": False, "img-older004": False, "img-older003": True,
        "img-older002": True, "img-older001": True,
    }  # fmt: skip
    assert function(result["Undo"])["Outcome"] == "applied"
    assert function.images == former


@pytest.mark.parametrize("data", [{"ImageFamily": "web"}, {"Tag.team": "infra"}])
@pytest.mark.parametrize("dry_run", [True, False])
def test_labelled_and_unmarked(function: Function, data: dict[str, str], *, dry_run: bool) -> None:
    """An image that is labelled, and unmarked by KeepLatest, is one image in the result."""
    built = {"ImageId": "img-new00001", "ImageName": "n", "ImageFamily": "web"}
    function.hold({**built, "ImageDeprecated": True})
    former = function.images
    made = build({**data, "KeepLatest": "1"}, artifact_id="ap-guangzhou:img-new00001")
    result = function(uploaded(function, made), STEWARD_DRY_RUN=str(int(dry_run)))
    status = "planned" if dry_run else "changed"
    assert sum(result["Summary"].values()) == result["Summary"][status.capitalize()] == 1
    (image,) = result["Images"]
    tags = [{"Key": "team", "Value": "infra"}] if "Tag.team" in data else []
    assert image["Status"] == status
    assert image["Before"] == {"ImageDeprecated": True, **({"Tags": []} if tags else {})}
    assert image["After"] == {"ImageDeprecated": False, **({"Tags": tags} if tags else {})}
    assert len(image["RequestIds"]) == (0 if dry_run else 1 + bool(tags))
    if not dry_run:
        function(result["Undo"])
        assert function.images == former


def test_change_that_keep_latest_reverts(function: Function) -> None:
    """What one build sets, and KeepLatest of another reverts, is not in the undo."""
    images = [
        {"ImageId": f"img-new0000{i}", "ImageName": f"n{i}", "ImageFamily": "web"} for i in (1, 2)
    ]
    function.hold(*images)
    builds = [
        build({"ImageDeprecated": "true"}, artifact_id="ap-guangzhou:img-new00001"),
        build({"KeepLatest": "2", "ImageFamily": "web"}, artifact_id="ap-guangzhou:img-new00002"),
    ]
    result = function(uploaded(function, *builds))
    assert result["Summary"]["Changed"] == 1
    (image,) = result["Images"]
    assert (image["Before"], image["After"], len(image["RequestIds"])) == ({}, {}, 2)
    assert result["Undo"] == {"Images": []}


def test_no_retirement_before_the_new_image(function: Function) -> None:
    """As long as the new image is not labelled, its family is not changed."""
    data = {**LABELS, "ImageName": "web-1", "KeepLatest": "1"}
    event = uploaded(function, build(data, artifact_id="ap-guangzhou:img-new00001"))
    assert function(event)["Outcome"] == "partial"
    assert not any(image["ImageDeprecated"] for image in function.images["ap-guangzhou"])


@pytest.mark.parametrize("dry_run", [True, False])
def test_too_many_to_retire(function: Function, *, dry_run: bool) -> None:
    """Of more than a hundred images to retire, the oldest are, the others in the next delivery."""
    days = [f"2026-{month:02}-{day:02}T00:00:00Z" for month in range(1, 11) for day in range(1, 21)]
    older = [
        {"ImageId": f"img-older{i:03}", "ImageName": f"o{i}", "ImageFamily": "web",
         "CreatedTime": created, "ImageDeprecated": i == 149}
        for i, created in enumerate(days[:150])
    ]  # fmt: skip
    function.hold({"ImageId": "img-new00001", "ImageName": "packer-web"}, *reversed(older))
    data = {**LABELS, "KeepLatest": "2"}
    event = uploaded(function, build(data, artifact_id="ap-guangzhou:img-new00001"))
    result = function(event, STEWARD_DRY_RUN=str(int(dry_run)))
    assert result["Outcome"] == "planned" if dry_run else "applied"
    (warning,) = result["Warnings"]
    assert (warning["Code"], warning["Path"]) == (
        "TooManyChanges", "/builds/0/custom_data/KeepLatest",
    )  # fmt: skip
    assert warning["Message"].startswith(
        "KeepLatest would change 150 images; at most 100 are allowed in one run"
    )
    # The new image, the one to unmark, and the oldest.
    assert {image["ImageId"] for image in result["Images"]} == {
        "img-new00001", "img-older149", *(f"img-older{i:03}" for i in range(99)),
    }  # fmt: skip
    if not dry_run:
        again = function(event)
        assert again["Summary"]["Changed"] == 50
        assert "Warnings" not in again
        assert function(event)["Summary"]["Changed"] == 0


def test_family_cannot_be_read(function: Function) -> None:
    """If the family cannot be listed after labelling, the next delivery does the rest."""
    data = {"Tag.a": "b", "ImageFamily": "web", "KeepLatest": "1"}
    event = uploaded(function, build(data, artifact_id="ap-guangzhou:img-new00001"))
    rule = Rule("DescribeImages", "error", code="InternalError", start=2)
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished, match="InternalError"):
        function(event)
    assert function.image("img-new00001")["ImageFamily"] == "web"
    function.cloud.faults = Faults()
    assert function(event)["Summary"]["Changed"] == 4
