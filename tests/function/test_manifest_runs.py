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


def built(function: Function, *image_ids: str, **members: object) -> list[str]:
    """Add images as Packer builds them, each newer than those before; return the artifact ids."""
    for number, image_id in enumerate(image_ids):
        image = {
            "ImageId": image_id,
            "ImageName": f"packer-{image_id[4:]}",
            "CreatedTime": f"2026-11-25T00:00:{number:02}Z",
            **members,
        }
        function.hold(*function.images["ap-guangzhou"], image)
    return [f"ap-guangzhou:{image_id}" for image_id in image_ids]


def tags(function: Function, image_id: str) -> dict[str, str]:
    """The tags of an image."""
    return {tag["Key"]: tag["Value"] for tag in function.image(image_id)["Tags"]}


def deprecated(function: Function) -> set[str]:
    """The ids of the deprecated images."""
    images = function.images["ap-guangzhou"]
    return {image["ImageId"] for image in images if image["ImageDeprecated"]}


OLDER = {f"img-older00{i}" for i in range(1, 5)}


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
    event = uploaded(function, build({"Tag.a": "b"}, artifact_id=COPIES))
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


@pytest.mark.parametrize("state", ["NORMAL", "SYNCING"])
def test_dry_run_of_a_manifest(function: Function, state: str) -> None:
    """A dry run waits for no copy; if none is to wait for, it shows retirement and `Apply`."""
    set_state(function, "img-copy0001", "ap-shanghai", state)
    data = {**LABELS, "KeepLatest": "2"}
    event = uploaded(function, build(data, artifact_id=COPIES))
    result = function(event, STEWARD_DRY_RUN="1")
    assert result["Outcome"] == "planned"
    retired = {"img-older001", "img-older002", "img-older003"} if state == "NORMAL" else set()
    planned = {image["ImageId"] for image in result["Images"]}
    assert planned == {"img-new00001", "img-copy0001"} | retired
    assert ("Apply" in result) is (state == "NORMAL")
    assert function.writes == 0


@pytest.mark.parametrize("dry_run", [True, False])
def test_nothing_is_retired_while_an_image_waits(function: Function, *, dry_run: bool) -> None:
    """As long as an image of any build is not ready, no family retires, and a warning says so."""
    set_state(function, "img-copy0001", "ap-shanghai", "SYNCING")
    event = uploaded(
        function,
        build({"ImageFamily": "web", "KeepLatest": "1"}, artifact_id="ap-guangzhou:img-new00001"),
        build({"Tag.a": "b"}, artifact_id="ap-shanghai:img-copy0001"),
    )
    if dry_run:
        result = function(event, STEWARD_DRY_RUN="1")
        assert {image["ImageId"] for image in result["Images"]} == {"img-new00001", "img-copy0001"}
        (warning,) = result["Warnings"]
        assert "Apply" not in result
    else:
        with pytest.raises(Unfinished, match="1 of 2"):
            function(event)
        (warning,) = (line for line in function.lines if line["Event"] == "document.warned")
        assert function.image("img-new00001")["ImageFamily"] == "web"
    assert warning["Code"] == "NotRetired"
    assert deprecated(function) == set()
    set_state(function, "img-copy0001", "ap-shanghai", "NORMAL")
    function(event)
    assert deprecated(function) == OLDER


def test_dry_run_of_an_unready_image_whose_name_is_taken(function: Function) -> None:
    """An image that is not ready counts as waiting in a dry run, even if its name is taken."""
    set_state(function, "img-new00001", "ap-guangzhou", "SYNCING")
    (other,) = built(function, "img-other000")
    event = uploaded(
        function,
        build({"ImageName": "web-1"}, artifact_id="ap-guangzhou:img-new00001"),
        build({"ImageFamily": "web", "KeepLatest": "1"}, artifact_id=other),
    )
    result = function(event, STEWARD_DRY_RUN="1")
    statuses = {image["ImageId"]: image["Status"] for image in result["Images"]}
    assert statuses == {"img-new00001": "failed", "img-other000": "planned"}
    assert [warning["Code"] for warning in result["Warnings"]] == ["NotRetired"]
    assert "Apply" not in result
    with pytest.raises(Unfinished, match="1 of 2"):
        function(event)
    assert deprecated(function) == set()


def test_unready_image_that_needs_no_change(function: Function) -> None:
    """A labelled image whose copy is made later is unchanged, and counts for KeepLatest."""
    data = {"ImageFamily": "web", "KeepLatest": "2"}
    event = uploaded(function, build(data, artifact_id="ap-guangzhou:img-new00001"))
    change(function, "img-new00001", "ap-guangzhou", ImageFamily="web", ImageState="SYNCING")
    result = function(event)
    assert (result["Outcome"], result["Summary"]["Changed"]) == ("applied", 3)
    assert deprecated(function) == OLDER - {"img-older004"}


@pytest.mark.parametrize(
    "members",
    [{"ImageType": "SHARED_IMAGE"}, {"Tags": [{"Key": "image-steward", "Value": "ignore"}]}],
    ids=["shared", "opted out"],
)
def test_no_waiting_for_an_image_that_is_never_changed(
    function: Function, members: dict[str, Any]
) -> None:
    """An image that may not be changed fails at once, although it is not ready."""
    change(function, "img-copy0001", "ap-shanghai", ImageState="SYNCING", **members)
    result = function(uploaded(function, build(LABELS, artifact_id=COPIES)), seconds=300)
    assert (result["Outcome"], result["Summary"]["Failed"]) == ("partial", 1)
    assert sum(function.clock.sleeps) < 1  # type: ignore[attr-defined]  # it is a FakeClock


def test_name_of_an_image_that_waits(function: Function) -> None:
    """A name that an image still has only because its own rename waits is awaited, too."""
    other, third = built(function, "img-other000", "img-third000")
    set_state(function, "img-copy0001", "ap-shanghai", "SYNCING")
    taking = build({"ImageName": "packer-web"}, artifact_id=other)
    after = build({"ImageName": "packer-other000"}, artifact_id=third)
    event = uploaded(function, after, taking, build(LABELS, artifact_id=COPIES))
    with pytest.raises(Unfinished, match="4 of 4"):
        function(event)
    codes = {line["Code"] for line in function.lines if line["Event"] == "image.pending"}
    assert codes == {"InvalidImageId.IncorrectState"}
    set_state(function, "img-copy0001", "ap-shanghai", "NORMAL")
    assert function(event)["Outcome"] == "applied"
    assert function.names()["img-other000"] == "packer-web"
    assert function.names()["img-third000"] == "packer-other000"


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


@pytest.mark.parametrize("value", ["true", "false"])
def test_explicit_deprecation_beside_keep_latest(function: Function, value: str) -> None:
    """KeepLatest leaves an image alone whose build sets ImageDeprecated, and ranks only others."""
    first, second = built(
        function, "img-a0000000", "img-b0000000", ImageDeprecated=value == "false"
    )
    builds = [
        build({"ImageFamily": "web", "ImageDeprecated": value}, artifact_id=second),
        build({"ImageFamily": "web", "KeepLatest": "2"}, artifact_id=first),
    ]
    event = uploaded(function, *builds)
    expected = OLDER - {"img-older004"} | ({"img-b0000000"} if value == "true" else set())
    for _ in range(2):
        assert function(event)["Outcome"] == "applied"
        assert deprecated(function) == expected
    assert function(event)["Summary"]["Changed"] == 0


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


@pytest.mark.parametrize("keep", [1, 2])
@pytest.mark.parametrize("marked", [False, True])
def test_this_run_is_not_retired(function: Function, keep: int, *, marked: bool) -> None:
    """KeepLatest marks no image that this run built, and un-marks only the newest N."""
    artifacts = built(
        function, "img-a0000000", "img-b0000000", "img-c0000000", ImageDeprecated=marked
    )
    data = {"ImageFamily": "web", "KeepLatest": str(keep)}
    event = uploaded(function, *(build(data, artifact_id=artifact) for artifact in artifacts))
    beyond = {f"img-{letter}0000000" for letter in "abc"[: 3 - keep]}
    for _ in range(2):
        function(event)
        assert deprecated(function) == OLDER | (beyond if marked else set())


def test_image_opts_out_between_label_and_retirement(function: Function) -> None:
    """KeepLatest leaves an image alone that has opted out since it was labelled."""
    artifacts = built(function, "img-a0000000")
    change(function, "img-a0000000", "ap-guangzhou", ImageDeprecated=True)

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action == "ModifyImageAttribute":
            tag = {"Key": "image-steward", "Value": "ignore"}
            change(function, "img-a0000000", "ap-guangzhou", Tags=[tag])
        return reply

    function.cloud.on_reply = on_reply
    labels = {"ImageDescription": "d", "ImageFamily": "web", "KeepLatest": "1"}
    function(uploaded(function, build(labels, artifact_id=artifacts[0])))
    assert function.image("img-a0000000")["ImageDeprecated"] is True


def test_late_event_of_an_earlier_run(function: Function) -> None:
    """A redelivery of an earlier run's event does not un-mark its image, which has retired."""
    artifacts = built(function, "img-a0000000", "img-b0000000")
    data = {"ImageFamily": "web", "KeepLatest": "1"}
    events = [
        function.uploaded(manifest(build(data, artifact_id=artifact)), f"requests/{number}.json")
        for number, artifact in enumerate(artifacts)
    ]
    function(events[0])
    for event in (events[1], events[0], events[1]):
        function(event)
        assert deprecated(function) == OLDER | {"img-a0000000"}


@pytest.mark.parametrize(
    "stale",
    [{"ImageFamily": ""}, {"ImageState": "CREATING"}, None],
    ids=["family", "state", "missing"],
)
def test_lists_lag_behind_single_reads(function: Function, stale: dict[str, Any] | None) -> None:
    """The labelled image counts as it was read by its id, if the list of all still differs."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action != "DescribeImages" or call.params.get("ImageIds"):
            return reply
        response = json.loads(reply.body)
        found = response["Response"]["ImageSet"]
        own = [image for image in found if image["ImageId"] == "img-new00001"]
        others = [image for image in found if image not in own]
        late = [] if stale is None else [{**image, **stale} for image in own]
        response["Response"]["ImageSet"] = [*late, *others]
        return Reply(reply.status, reply.headers, json.dumps(response).encode())

    for image_id in OLDER:
        change(function, image_id, "ap-guangzhou", ImageDeprecated=True)
    change(function, "img-new00001", "ap-guangzhou", ImageFamily="web")
    function.cloud.on_reply = on_reply
    data = {"ImageFamily": "web", "KeepLatest": "1"}
    event = uploaded(function, build(data, artifact_id="ap-guangzhou:img-new00001"))
    assert function(event)["Outcome"] == "applied"
    assert deprecated(function) == OLDER


@pytest.mark.parametrize("data", [None, {"ImageName": "x" * 61}], ids=["sets nothing", "invalid"])
def test_builds_that_are_left_out_are_not_retired(function: Function, data: object) -> None:
    """KeepLatest marks no image of this run's other builds, even if they set nothing."""
    artifacts = built(function, "img-a0000000", "img-b0000000", ImageFamily="web")
    others = {"ImageFamily": "web", "KeepLatest": "1"}
    made = (build(data, artifact_id=artifacts[0]), build(others, artifact_id=artifacts[1]))
    function(uploaded(function, *made))
    assert deprecated(function) == OLDER


def test_upload_after_each_build(function: Function) -> None:
    """With an upload after each build, the second upload does not retire the first one's image."""
    artifacts = built(function, "img-x8600000", "img-arm00000")
    data = {"ImageFamily": "web", "KeepLatest": "1"}
    builds = [build(data, artifact_id=artifact) for artifact in artifacts]
    for count in (1, 2, 2):
        function(uploaded(function, *builds[:count]))
        assert deprecated(function) == OLDER


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (LABELS, None),
        (None, LABELS),
        (LABELS, LABELS),
        ({"git": "3f2c1d", "Tag.team": "infra"}, {k: LABELS[k] for k in LABELS if k != "git"}),
    ],
    ids=["second without data", "first without data", "alike", "split"],
)
def test_one_artifact_twice(function: Function, first: object, second: object) -> None:
    """An artifact listed twice in a run is one build, with the data of both entries."""
    event = uploaded(
        function,
        build(first, artifact_id=COPIES),
        build(second, artifact_id=COPIES, build_time=1764099999),
    )
    result = function(event)
    assert result["Outcome"] == "applied"
    assert result["Summary"]["Changed"] == 2
    assert function.names()["img-new00001"] == function.names("ap-shanghai")["img-copy0001"] == NAME
    assert tags(function, "img-new00001") == {"team": "infra"}


def test_contradiction(function: Function) -> None:
    """An artifact listed twice with two values for one key is refused with both paths."""
    other = build({"Tag.a": "b"}, artifact_id="ap-shanghai:img-copy0001")
    made = [
        build({**LABELS, "ImageFamily": family}, artifact_id="ap-guangzhou:img-new00001")
        for family in ("web", "db")
    ]
    result = function(uploaded(function, other, *made))
    assert result["Outcome"] == "rejected"
    ((path, message),) = [(e["Path"], e["Message"]) for e in result["Errors"]]
    assert path == "/builds/2/custom_data/ImageFamily"
    assert message == (
        'is "db", but "web" at /builds/1/custom_data/ImageFamily, for the same images'
    )
    assert function.writes == 0


def test_name_clash(function: Function) -> None:
    """Builds that would get one name are refused before any write; with {name} each has its own."""
    artifacts = built(function, "img-x8600000", "img-arm00000")
    data = {"ImageName": "web-{build_time:%Y%m%d%H%M%S}", "ImageFamily": "web", "KeepLatest": "1"}
    pairs = list(zip(("web-x86", "web-arm"), artifacts, strict=True))
    builds = [build(data, name=name, artifact_id=artifact) for name, artifact in pairs]
    result = function(uploaded(function, *builds))
    assert result["Outcome"] == "rejected"
    ((code, path, message),) = [(e["Code"], e["Path"], e["Message"]) for e in result["Errors"]]
    assert (code, path) == ("InvalidDocument", "/builds/1/custom_data/ImageName")
    assert message == (
        '"web-20251124160000" would also be the name of img-x8600000 in ap-guangzhou by '
        "/builds/0/custom_data/ImageName; use a field that differs, such as {name} or {ImageId}"
    )
    assert function.writes == 0
    data["ImageName"] = "{name}-{build_time:%Y%m%d}"
    builds = [build(data, name=name, artifact_id=artifact) for name, artifact in pairs]
    assert function(uploaded(function, *builds))["Outcome"] == "applied"
    names = {image_id: function.names()[image_id] for image_id in ("img-x8600000", "img-arm00000")}
    assert names == {"img-x8600000": "web-x86-20251124", "img-arm00000": "web-arm-20251124"}
    assert deprecated(function) == OLDER


def test_name_clash_with_a_name_already_given(function: Function) -> None:
    """A build that would get the name that an earlier upload gave to another one is refused."""
    artifacts = built(function, "img-x8600000", "img-arm00000")
    builds = [build({"ImageName": "web"}, artifact_id=artifact) for artifact in artifacts]
    assert function(uploaded(function, builds[0]))["Outcome"] == "applied"
    assert function(uploaded(function, *builds))["Outcome"] == "rejected"


@pytest.mark.parametrize("region", ["ap-guangzhou", "ap-shanghai"])
def test_one_name_in_two_regions(function: Function, region: str) -> None:
    """Images of two regions may get one name; an image that cannot be changed clashes with none."""
    (artifact,) = built(function, "img-x8600000")
    change(function, "img-new00001", "ap-guangzhou", ImageType="SHARED_IMAGE")
    other = "img-copy0001" if region == "ap-shanghai" else "img-new00001"
    builds = [build({"ImageName": "web"}, artifact_id=a) for a in (artifact, f"{region}:{other}")]
    function(uploaded(function, *builds))
    assert function.names()["img-x8600000"] == "web"


@pytest.mark.parametrize(
    ("members", "data"),
    [
        ({}, {"ImageName": "web-1"}),
        ({"ImageState": "SYNCING"}, {}),
        ({}, {"ImageDescription": "{Tag.none}"}),
        ({"ImageType": "SHARED_IMAGE"}, {}),
        ({"ImageType": "SHARED_IMAGE"}, {"ImageFamily": "{name}"}),
    ],
    ids=["name taken", "not ready", "skipped", "shared", "unknown family"],
)
def test_nothing_retired_for_an_image_not_labelled(
    function: Function, members: dict[str, str], data: dict[str, str]
) -> None:
    """The family of an image that was not labelled is left alone, another build's is not."""
    artifacts = built(function, "img-web10000", "img-web20000", "img-db000000")
    change(function, "img-web20000", "ap-guangzhou", **members)
    for image_id in ("img-older001", "img-older002"):
        change(function, image_id, "ap-guangzhou", ImageFamily="db")
    labels = {"ImageFamily": "web", "KeepLatest": "1"}
    event = uploaded(
        function,
        build(labels, artifact_id=artifacts[0]),
        build({**labels, **data}, artifact_id=artifacts[1]),
        build({**labels, "ImageFamily": "db"}, artifact_id=artifacts[2]),
    )
    try:
        assert function(event)["Outcome"] in {"partial", "applied"}
    except Unfinished:
        assert members == {"ImageState": "SYNCING"}
    assert function.image("img-web10000")["ImageFamily"] == "web"
    # A family that is not a fixed text is not known, so the region is left alone.
    is_alone = "ImageFamily" in data or "ImageState" in members
    expected = set() if is_alone else {"img-older001", "img-older002"}
    assert deprecated(function) == expected


def test_nothing_retired_for_an_invalid_build(function: Function) -> None:
    """The family that an invalid build names is left alone in its region."""
    artifacts = built(function, "img-a0000000", "img-b0000000")
    labels = {"ImageFamily": "web", "KeepLatest": "1"}
    invalid = {**labels, "ImageName": "x" * 61}
    event = uploaded(
        function,
        build(labels, artifact_id=artifacts[0]),
        build(invalid, artifact_id=artifacts[1]),
        build({**labels, "Tag.a": "b"}, artifact_id="ap-shanghai:img-copy0001"),
    )
    older = {"ImageId": "img-old00000", "ImageName": "o", "ImageFamily": "web",
             "CreatedTime": "2026-10-01T00:00:00Z"}  # fmt: skip
    function.hold(*function.images["ap-shanghai"], older, region="ap-shanghai")
    result = function(event)
    assert result["Outcome"] == "partial"
    (warning,) = result["Warnings"]
    assert warning["Code"] == "NotRetired"
    assert warning["Message"].startswith("KeepLatest leaves family web in ap-guangzhou alone: ")
    assert deprecated(function) == set()
    assert function.image("img-old00000", "ap-shanghai")["ImageDeprecated"] is True


@pytest.mark.parametrize(
    "end",
    ["\n", "\r\n", " ", "\u3000", "\u200b", "\ufeff", "\u200f", "\u2028", "\u00ad", "\U000e0001"],
)
def test_values_are_trimmed(function: Function, end: str) -> None:
    """Values that end in a line break, blanks or invisible characters are set without these."""
    data = {
        "ImageName": f"{end}web-{{custom_data.version}}{end}", "ImageFamily": f"web{end}",
        "Tag.version": "{custom_data.version}", "version": f"1.4.2{end}",
        "ImageDescription": "{custom_data.version}-{build_time:%Y}" + end,
    }  # fmt: skip
    event = uploaded(function, build(data, artifact_id="ap-guangzhou:img-new00001"))
    assert function(event)["Outcome"] == "applied"
    image = function.image("img-new00001")
    assert (image["ImageName"], image["ImageFamily"]) == ("web-1.4.2", "web")
    assert image["ImageDescription"] == "1.4.2-2025"
    assert tags(function, "img-new00001") == {"version": "1.4.2"}


@pytest.mark.parametrize("key", ["ImageName", "ImageFamily", "Tag.a", "Tag.a{}b"])
@pytest.mark.parametrize("letter", ["\n", "\t", "\0", "\x9b", "\u2028"])
@pytest.mark.parametrize("source", ["literal", "data", "image"])
def test_control_characters(function: Function, key: str, letter: str, source: str) -> None:
    """A control character or line end inside a name, a family or a tag is known before a write."""
    value = {"literal": f"a{letter}b", "data": "x{custom_data.v}", "image": "{OsName}"}[source]
    change(function, "img-new00001", "ap-guangzhou", OsName=f"a{letter}b")
    key, value = key.format(letter), "fine" if "{}" in key else value
    data = {"ImageDescription": "d", key: value, "v": f"a{letter}b"}
    result = function(uploaded(function, build(data, artifact_id=COPIES.partition(",")[0])))
    assert result["Outcome"] == "rejected"
    ((code, path, message),) = [(e["Code"], e["Path"], e["Message"]) for e in result["Errors"]]
    assert (code, path) == ("InvalidDocument", f"/builds/0/custom_data/{key}")
    assert f"U+{ord(letter):04X}" in message
    assert function.writes == 0


@pytest.mark.parametrize("dry_run", [False, True])
def test_unready_copy_of_another_build(function: Function, *, dry_run: bool) -> None:
    """A copy that is not ready holds back its own build only, and a dry run says so."""
    (other,) = built(function, "img-other000")
    set_state(function, "img-copy0001", "ap-shanghai", "SYNCING")
    event = uploaded(
        function, build(LABELS, artifact_id=COPIES), build({"ImageName": "db"}, artifact_id=other)
    )
    why = "while img-copy0001 is SYNCING: Packer finds the copies of an image by its name"
    if dry_run:
        reasons = {
            image["ImageId"]: image.get("Reason")
            for image in function(event, STEWARD_DRY_RUN="1")["Images"]
        }
        assert reasons == {
            "img-copy0001": "would wait: img-copy0001 is SYNCING",
            "img-new00001": f"would wait: not renamed {why}",
            "img-other000": None,
        }
        return
    with pytest.raises(Unfinished, match="2 of 3"):
        function(event)
    assert function.names()["img-other000"] == "db"
    assert function.names()["img-new00001"] == "packer-web"
    set_state(function, "img-copy0001", "ap-shanghai", "NORMAL")
    assert function(event)["Outcome"] == "applied"
    assert function.names()["img-new00001"] == function.names("ap-shanghai")["img-copy0001"] == NAME


@pytest.mark.parametrize(
    ("invalid", "path"),
    [
        (build(LABELS, artifact_id=""), "/builds/1/artifact_id"),
        (build(LABELS, artifact_id="output/image.tar.gz"), "/builds/1/artifact_id"),
        (build({"ImageName": "x" * 61}), "/builds/1/custom_data/ImageName"),
        (build({"ImageName": "{OsName}-" + "x" * 50}), "/builds/1/custom_data/ImageName"),
        (build({"ImageName": "{nothing}"}), "/builds/1/custom_data/ImageName"),
        (build({"KeepLatest": "2"}), "/builds/1/custom_data/KeepLatest"),
        (build({"Tag.n": "{Tag.n|0}1"}), "/builds/1/custom_data/Tag.n"),
        (build({"Tag.a\nb": "1"}), "/builds/1/custom_data/Tag.a\nb"),
        (build({"Tag.a ": "1"}), "/builds/1/custom_data/Tag.a "),
        (build(LABELS, artifact_id="ap-guangzhou:img-6pb6lrmy,ap-newland:img-1"),
         "/builds/1/artifact_id"),
    ],
    ids=["no image", "another artifact", "name", "image's name", "template", "no family",
         "unstable", "tag key", "blank in a tag key", "unknown region"],
)  # fmt: skip
@pytest.mark.parametrize("dry_run", [False, True])
def test_one_invalid_build(
    function: Function, invalid: dict[str, Any], path: str, *, dry_run: bool
) -> None:
    """An invalid build is an error with its path, the others are labelled: partial."""
    (other,) = built(function, "img-6pb6lrmy", OsName="TencentOS Server")
    builds = build(LABELS, artifact_id=COPIES), invalid
    result = function(uploaded(function, *builds), STEWARD_DRY_RUN=str(int(dry_run)))
    assert result["Outcome"] == "partial"
    (error,) = result["Errors"]
    assert (error["Code"], error["Path"]) == ("InvalidDocument", path)
    assert error["Source"] == f"cos://manifests-1250000000/{KEY}"
    assert result["Summary"]["Planned" if dry_run else "Changed"] == 2
    assert function.names()["img-6pb6lrmy"] == "packer-6pb6lrmy"
    if not dry_run:
        assert function.names()["img-new00001"] == NAME
    assert other


def test_build_with_very_many_errors(function: Function) -> None:
    """A build with more errors than a result lists is left out, and the others are labelled."""
    image_ids = [f"img-many{number:04}" for number in range(30)]
    artifact = ",".join(built(function, *image_ids))
    data = {f"Tag.{number}": f"{{Tag.{number}|0}}1" for number in range(40)}
    builds = build(LABELS, artifact_id=COPIES), build(data, artifact_id=artifact)
    result = function(uploaded(function, *builds))
    assert (result["Outcome"], result["Summary"]["Changed"]) == ("partial", 2)
    assert len(result["Errors"]) == 1001
    assert result["Errors"][-1]["Message"].endswith("; the rest are omitted")
    assert function.names()["img-new00001"] == NAME
    assert not any(tags(function, image_id) for image_id in image_ids)


def test_unreadable_artifact_with_keep_latest(function: Function) -> None:
    """If a build's images are not known, its family retires nowhere, and other families do."""
    (artifact,) = built(function, "img-db000000")
    for image_id in ("img-older001", "img-older002"):
        change(function, image_id, "ap-guangzhou", ImageFamily="db")
    labels = {"ImageFamily": "web", "KeepLatest": "1"}
    event = uploaded(
        function,
        build(labels, artifact_id="ap-guangzhou:img-new00001"),
        build({**labels, "ImageFamily": "db"}, artifact_id=artifact),
        build(labels, artifact_id=""),
    )
    assert function(event)["Outcome"] == "partial"
    assert deprecated(function) == {"img-older001", "img-older002"}


def test_all_builds_are_invalid(function: Function) -> None:
    """A manifest without a valid build is rejected with the errors of all builds."""
    result = function(
        uploaded(
            function,
            build({"ImageName": "{ImageId}" + "x" * 60}, artifact_id=COPIES),
            build(LABELS, artifact_id=""),
        )
    )
    assert result["Outcome"] == "rejected"
    paths = [error["Path"] for error in result["Errors"]]
    assert paths == ["/builds/1/artifact_id", *["/builds/0/custom_data/ImageName"] * 2]


def bind(function: Function, image: tuple[str, str], **tags: str) -> None:
    """Give an image of the cloud these tags in place of its own, without checks."""
    change(function, *image, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])


def test_style_of_a_manifest(function: Function) -> None:
    """The styled name is the one that is set, compared, and checked against other names."""
    (artifact,) = built(function, "img-style000")
    data = {"ImageName": "{Tag.title}", "Style.Case": "lower", "Style.Separator": "_"}
    bind(function, ("img-style000", "ap-guangzhou"), title="Web -- API")
    event = uploaded(function, build(data, artifact_id=artifact))
    assert function(event)["Outcome"] == "applied"
    assert function.names()["img-style000"] == "web_api"
    assert function(event)["Summary"]["Unchanged"] == 1
    other = build({"ImageName": "web_api"}, artifact_id="ap-guangzhou:img-new00001")
    result = function(uploaded(function, build(data, artifact_id=artifact), other))
    (error,) = result["Errors"]
    assert error["Message"].startswith('"web_api" would also be the name of img-style000')


TAGS = {"os": "centos", "team": "base", "cost": "42"}
SOURCE = ("img-new00001", "ap-guangzhou")
FIRST, SECOND = ("img-copy0001", "ap-shanghai"), ("img-copy0002", "ap-beijing")
FAMILY = (SOURCE, FIRST, SECOND)
ARTIFACTS = "ap-beijing:img-copy0002,ap-guangzhou:img-new00001,ap-shanghai:img-copy0001"


@pytest.fixture
def copies(function: Function) -> Function:
    """The function, with a tagged image and two copies of it, made later."""
    bind(function, SOURCE, **TAGS)
    change(function, *FIRST, CreatedTime="2026-11-24T00:09:00Z")
    second = {"ImageName": "packer-web", "CreatedTime": "2026-11-24T00:10:00Z"}
    function.hold({"ImageId": SECOND[0], **second}, region=SECOND[1])
    return function


def copying(function: Function, data: dict[str, str] | None = None) -> dict[str, Any]:
    """Upload a manifest that copies tags, and return the event."""
    made = build({"CopyTags": "true", **(data or {})}, artifact_id=ARTIFACTS)
    return uploaded(function, made)


def family_tags(function: Function) -> list[dict[str, str]]:
    """The tags of the image and of its two copies."""
    found = [function.image(*image)["Tags"] for image in FAMILY]
    return [{tag["Key"]: tag["Value"] for tag in image} for image in found]


def test_tags_are_copied(copies: Function) -> None:
    """Copies get the tags of the earliest image, and keep others; a second delivery is silent."""
    bind(copies, FIRST, os="other", own="kept")
    former = family_tags(copies)
    event = copying(copies)
    result = copies(event)
    assert (result["Outcome"], result["Summary"]["Changed"]) == ("applied", 2)
    assert family_tags(copies) == [TAGS, {**TAGS, "own": "kept"}, TAGS]
    writes = copies.writes
    assert copies(event)["Summary"]["Unchanged"] == 3
    assert copies.writes == writes
    assert copies(result["Undo"])["Outcome"] == "applied"
    assert family_tags(copies) == former


def test_reason_of_copied_tags(copies: Function) -> None:
    """A dry run says which image tags are copied from, and has the rules of all builds once."""
    result = copies(copying(copies, {"Tag.a": "b"}), STEWARD_DRY_RUN="1")
    reasons = {image["ImageId"]: image.get("Reason") for image in result["Images"]}
    copied = "CopyTags: from img-new00001"
    assert reasons == {"img-new00001": None, "img-copy0001": copied, "img-copy0002": copied}
    assert result["Rules"] == [{"Key": "CopyTags", "Value": "true"}, {"Key": "Tag.a", "Value": "b"}]
    copies(result["Apply"])
    assert family_tags(copies) == [{**TAGS, "a": "b"}] * 3


def test_tags_are_not_copied(copies: Function) -> None:
    """Without CopyTags, or with "false", copies get no tags."""
    for data in ({"CopyTags": "false", "Tag.a": "b"}, {"Tag.a": "b"}):
        copies(uploaded(copies, build(data, artifact_id=ARTIFACTS)))
        assert family_tags(copies) == [{**TAGS, "a": "b"}, {"a": "b"}, {"a": "b"}]


def test_templates_see_copied_tags(copies: Function) -> None:
    """Templates of a copy see its own tags, then copied ones; tags that the manifest sets win."""
    bind(copies, FIRST, mine="x", team="other")
    data = {
        "ImageName": "{Tag.os}-{Tag.cost}",
        "ImageDescription": "{Tag.mine|none}",
        "Tag.team": "{Tag.team|infra}",
        "Tag.state": "new",
    }
    event = copying(copies, data)
    for _ in range(2):
        assert copies(event)["Outcome"] == "applied"
        assert {copies.image(*image)["ImageName"] for image in FAMILY} == {"centos-42"}
        texts = [copies.image(*image)["ImageDescription"] for image in FAMILY]
        assert texts == ["none", "x", "none"]
        new = {**TAGS, "state": "new"}
        assert family_tags(copies) == [new, {**new, "mine": "x", "team": "other"}, new]
    assert copies(event)["Summary"]["Unchanged"] == 3


@pytest.mark.parametrize("key", ["image-steward", "qcs:a", "project", "项目a", "qcloud", "tencent"])
@pytest.mark.parametrize("opted_out", [False, True])
def test_tags_that_no_call_may_set(copies: Function, key: str, *, opted_out: bool) -> None:
    """Opt-outs, reserved keys, and tags that no document may set are left out; others are copied.

    An image that has opted out is not changed, but its copies are.
    """
    bad = {
        "empty": "",
        "bad": "a\nb",
        "blank ": "b",
        "padded": " p ",
        "image-steward-x": "y",
        key: "x",
    }
    if opted_out:
        bad["image-steward"] = "ignore"
    bind(copies, SOURCE, **bad, **TAGS)
    result = copies(copying(copies, {"Tag.a": "b"}))
    copied = {"padded": "p", "image-steward-x": "y", **TAGS, "a": "b"}
    assert family_tags(copies)[1:] == [copied, copied]
    assert family_tags(copies)[0] == {**bad, **TAGS, **({} if opted_out else {"a": "b"})}
    assert result["Outcome"] == ("partial" if opted_out else "applied")
    assert [i["Code"] for i in result["Images"] if "Code" in i] == ["NotAllowed"] * opted_out
    assert copies(copying(copies, {"Tag.a": "b"}))["Summary"]["Changed"] == 0


@pytest.mark.parametrize("count", [51, 50])
def test_copy_with_too_many_tags(copies: Function, count: int) -> None:
    """A build is left out if an image would have more than 50 tags, its own ones included."""
    own = {f"own{number}": "x" for number in range(count - 4)}
    bind(copies, FIRST, cost="42", **own)
    (other,) = built(copies, "img-other000")
    made = build({"CopyTags": "true", "Tag.a": "b"}, artifact_id=ARTIFACTS)
    result = copies(uploaded(copies, made, build({"Tag.a": "b"}, artifact_id=other)))
    assert tags(copies, "img-other000") == {"a": "b"}
    if count == 50:
        assert result["Outcome"] == "applied"
        assert len(family_tags(copies)[1]) == count
        return
    ((code, path, message),) = [(e["Code"], e["Path"], e["Message"]) for e in result["Errors"]]
    assert (code, path) == ("InvalidDocument", "/builds/0/custom_data")
    assert message == "img-copy0001 in ap-shanghai would have 51 tags; at most 50 are allowed"
    assert family_tags(copies)[2] == {}


def test_too_many_tags_without_copying(function: Function) -> None:
    """A manifest's own tags count, too, before any write."""
    bind(function, SOURCE, **{f"own{number}": "x" for number in range(50)})
    event = uploaded(function, build({"Tag.a": "b", "ImageFamily": "web"}, artifact_id=COPIES))
    result = function(event)
    assert result["Outcome"] == "rejected"
    assert "img-new00001 in ap-guangzhou would have 51 tags" in result["Errors"][0]["Message"]
    assert function.writes == 0


@pytest.mark.parametrize("created", ["2026-11-24T00:00:00Z", "unknown"])
def test_images_made_at_one_time(copies: Function, created: str) -> None:
    """Of images made at one time, the first that has tags is the source."""
    bind(copies, SOURCE, **TAGS)
    bind(copies, FIRST, os="other", x="y")
    for image in FAMILY:
        change(copies, *image, CreatedTime=created)
    event = copying(copies, {"Tag.a": "b"})
    for _ in range(2):
        assert copies(event)["Outcome"] == "applied"
        new = {**TAGS, "a": "b"}
        assert family_tags(copies) == [new, {**new, "x": "y"}, new]


def test_unknown_time(copies: Function) -> None:
    """An image whose CreatedTime is unknown is not the source if another one's is known."""
    change(copies, *SECOND, CreatedTime="unknown")
    bind(copies, SECOND, x="y")
    copies(copying(copies))
    assert family_tags(copies) == [TAGS, TAGS, {**TAGS, "x": "y"}]


@pytest.mark.parametrize("state", ["SYNCING", "CREATING"])
@pytest.mark.parametrize("dry_run", [False, True])
def test_source_that_is_not_ready(copies: Function, state: str, *, dry_run: bool) -> None:
    """While the image is not ready, its tags may not be complete, and all of its copies wait."""
    set_state(copies, *SOURCE, state)
    bind(copies, SOURCE)
    data = {"Tag.os": "{Tag.os|none}", "ImageFamily": "{Tag.team}", "ImageName": "{Tag.os|none}-1"}
    event = copying(copies, data)
    former = copies.images
    if dry_run:
        result = copies(event, STEWARD_DRY_RUN="1")
        assert "Apply" not in result
        reasons = [image["Reason"] for image in result["Images"]]
        ends = ["img-new00001 is SYNCING", "CopyTags waits while img-new00001 is SYNCING"]
        assert all(any(r.endswith(e.replace("SYNCING", state)) for e in ends) for r in reasons)
        assert len(reasons) == 3
    else:
        with pytest.raises(Unfinished, match="3 of 3"):
            copies(event)
    assert copies.images == former
    set_state(copies, *SOURCE, "NORMAL")
    bind(copies, SOURCE, **TAGS)
    assert copies(event)["Summary"]["Changed"] == 3
    assert family_tags(copies) == [TAGS] * 3
    assert {copies.image(*image)["ImageName"] for image in FAMILY} == {"centos-1"}
    assert {copies.image(*image)["ImageFamily"] for image in FAMILY} == {"base"}


@pytest.mark.parametrize("region", ["ap-guangzhou", "ap-beijing"])
def test_image_that_cannot_be_read_while_tags_are_copied(copies: Function, region: str) -> None:
    """While an image that may be the source cannot be read, nothing of its build is written."""

    def on_reply(call: Call, reply: Reply) -> Reply:
        error = {"Error": {"Code": "InternalError", "Message": "m"}, "RequestId": "q"}
        is_there = call.action == "DescribeImages" and call.region == region
        body = json.dumps({"Response": error}).encode()
        return Reply(reply.status, reply.headers, body) if is_there else reply

    other = {"ImageId": "img-other000", "ImageName": "other"}
    copies.hold(*copies.images["ap-shanghai"], other, region="ap-shanghai")
    data = {
        "CopyTags": "true",
        "Tag.os": "{Tag.os|linux}",
        "ImageName": "{Tag.os|none}",
        "ImageFamily": "web",
    }
    another = build({"Tag.a": "b"}, artifact_id="ap-shanghai:img-other000")
    event = uploaded(copies, build(data, artifact_id=ARTIFACTS), another)
    copies.cloud.on_reply = on_reply
    former = [copies.image(*image) for image in FAMILY]
    with pytest.raises(Unfinished, match="3 of 4"):
        copies(event)
    messages = [line["Message"] for line in copies.lines if line["Event"] == "image.pending"]
    unread = dict(zip(("ap-guangzhou", "ap-beijing"), (SOURCE[0], SECOND[0]), strict=True))[region]
    assert messages.count(f"CopyTags waits while {unread} cannot be read") == 2
    assert [copies.image(*image) for image in FAMILY] == former
    copies.cloud.on_reply = lambda _call, reply: reply
    assert copies(event)["Outcome"] == "applied"
    assert family_tags(copies) == [TAGS] * 3
    assert {copies.image(*image)["ImageName"] for image in FAMILY} == {"centos"}


def test_source_that_is_gone(copies: Function) -> None:
    """If the image was deleted, the earliest copy counts, and the copies are labelled."""
    bind(copies, FIRST, os="centos")
    copies.hold()
    result = copies(copying(copies, {"ImageFamily": "web"}))
    assert {i["ImageId"]: i.get("Code") for i in result["Images"]} == {
        "img-copy0002": None, "img-new00001": "InvalidImageId.NotFound", "img-copy0001": None,
    }  # fmt: skip
    for image in (FIRST, SECOND):
        assert copies.image(*image)["Tags"][0]["Value"] == "centos"


def test_all_images_are_gone(copies: Function) -> None:
    """If no image of the build can be read, each fails as without CopyTags."""
    for _, region in FAMILY:
        copies.hold(region=region)
    result = copies(copying(copies))
    assert [image["Code"] for image in result["Images"]] == ["InvalidImageId.NotFound"] * 3


def test_name_that_is_not_known_yet(copies: Function) -> None:
    """A name that may change once tags can be copied is not compared with other names."""
    bind(copies, SOURCE)
    set_state(copies, *SOURCE, "CREATING")
    data = {"CopyTags": "true", "ImageName": "{Tag.os|none}"}
    (other,) = built(copies, "img-other000")
    builds = build(data, artifact_id=ARTIFACTS), build({"ImageName": "none"}, artifact_id=other)
    event = uploaded(copies, *builds)
    with pytest.raises(Unfinished, match="3 of 4"):
        copies(event)
    set_state(copies, *SOURCE, "NORMAL")
    bind(copies, SOURCE, **TAGS)
    assert copies(event)["Outcome"] == "applied"
    assert (copies.names()[SOURCE[0]], copies.names()["img-other000"]) == ("centos", "none")


def test_copying_waits_for_all_copies(copies: Function) -> None:
    """While a copy is not ready, nothing of its build is written, so that no copy is half done."""
    set_state(copies, *SECOND, "SYNCING")
    event = copying(copies)
    with pytest.raises(Unfinished, match="2 of 3"):
        copies(event)
    assert family_tags(copies) == [TAGS, {}, {}]
    set_state(copies, *SECOND, "NORMAL")
    copies(event)
    assert family_tags(copies) == [TAGS] * 3


def test_unready_image_whose_copies_have_its_tags(copies: Function) -> None:
    """Nothing waits for an image that is not ready if nothing is to change."""
    event = copying(copies)
    copies(event)
    set_state(copies, *SOURCE, "SYNCING")
    assert copies(event)["Summary"]["Unchanged"] == 3


@pytest.mark.parametrize("copy", [True, False])
def test_tag_that_the_source_has_already(copies: Function, *, copy: bool) -> None:
    """A template may read a tag that is set, if copies find the same value at their source."""
    bind(copies, SOURCE, state="new", team="base")
    data = {"ImageName": "{Tag.state|none}", "Tag.state": "new", "CopyTags": str(copy).lower()}
    result = copies(copying(copies, data))
    assert result["Outcome"] == ("applied" if copy else "rejected")
    names = {copies.image(*image)["ImageName"] for image in FAMILY}
    assert names == {"new" if copy else "packer-web"}


@pytest.mark.parametrize("count", [3, 25])
@pytest.mark.parametrize("writes", range(1, 4))
@pytest.mark.parametrize("tag_calls", range(1, 7))
def test_copying_is_taken_up(copies: Function, count: int, writes: int, tag_calls: int) -> None:
    """Whichever writes a run gets done, the next one completes all images as one run would."""
    source = {f"k{number}": f"v{number}" for number in range(count)}
    bind(copies, SOURCE, **source)
    data = {
        "ImageName": "web-{Tag.k0}",
        "ImageDescription": "{Tag.k2} {Tag.was|old}",
        "Tag.k1": "{Tag.k1|none}",
        "Tag.was": "old",
    }
    rules = {"ModifyImageAttribute": writes, "TagResources": tag_calls}
    copies.cloud.faults = Faults(
        tuple(Rule(a, "error", code="InternalError", start=n) for a, n in rules.items())
    )
    event = copying(copies, data)
    with pytest.raises(Unfinished):
        copies(event)
    copies.cloud.faults = Faults()
    assert copies(event)["Outcome"] == "applied"
    assert family_tags(copies) == [{**source, "was": "old"}] * 3
    assert {copies.image(*image)["ImageName"] for image in FAMILY} == {"web-v0"}
    assert {copies.image(*image)["ImageDescription"] for image in FAMILY} == {"v2 old"}
    assert copies(event)["Summary"]["Unchanged"] == 3
