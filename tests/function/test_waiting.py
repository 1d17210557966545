"""What a dry run of a change request says of images that are not ready, and what a run does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from conftest import cos_event
from image_steward.errors import Unfinished

if TYPE_CHECKING:
    from conftest import Function

A, B, C = "img-waiting0a", "img-waiting0b", "img-waiting0c"


@pytest.fixture(autouse=True)
def _images(function: Function) -> None:
    ready = [{"ImageId": B, "ImageName": "b"}, {"ImageId": C, "ImageName": "c"}]
    function.hold({"ImageId": A, "ImageName": "a", "ImageState": "SYNCING"}, *ready)


def named(image_id: str, name: str) -> dict[str, Any]:
    """Return an entry that renames an image."""
    return {"ImageId": image_id, "ImageName": name}


def dry_run(function: Function, *entries: dict[str, Any]) -> dict[str, Any]:
    """Return the result of a dry run, which writes nothing."""
    before = function.writes
    result = function({"Images": list(entries), "DryRun": True})
    assert function.writes == before
    return result


def reasons(result: dict[str, Any]) -> dict[str, Any]:
    """Return the reasons of the images that would wait."""
    return {image["ImageId"]: image["Reason"] for image in result["Images"] if "Waits" in image}


def uploaded(key: str) -> Any:  # noqa: ANN401 - a JSON value
    """Return the record of an upload."""
    return cos_event(f"requests/{key}.json")["Records"][0]


def ready(function: Function) -> None:
    """Let the image become ready."""
    image = function.cloud.state.find("ap-guangzhou", A)
    assert image
    image["ImageState"] = "NORMAL"


def test_unready_image(function: Function) -> None:
    """The change of an unready image would wait, as it does, and the other is planned."""
    entries = named(A, "x"), named(B, "y")
    result = dry_run(function, *entries)
    assert (result["Outcome"], result["Summary"]["Planned"]) == ("planned", 2)
    assert reasons(result) == {A: f"would wait: {A} is SYNCING"}
    assert "Apply" not in result
    with pytest.raises(Unfinished, match="1 of 2"):
        function({"Images": list(entries)})
    assert function.names() == {A: "a", B: "y", C: "c"}


@pytest.mark.parametrize("change", [{"Tags": [{"Key": "k", "Value": "v"}]}, {"DeleteTags": ["t"]}])
def test_tags_do_not_wait(function: Function, change: dict[str, Any]) -> None:
    """Tags of an unready image are changed at once, and a dry run says so."""
    image = function.cloud.state.find("ap-guangzhou", A)
    assert image
    image["Tags"] = [{"Key": "t", "Value": "v"}]
    result = dry_run(function, {"ImageId": A, **change})
    assert reasons(result) == {}
    applied = function(result["Apply"])
    assert (applied["Outcome"], applied["Summary"]["Changed"]) == ("applied", 1)


@pytest.mark.parametrize("change", [{"ImageName": "a"}, {"DeleteTags": ["absent"]}])
def test_unchanged_image_does_not_wait(function: Function, change: dict[str, Any]) -> None:
    """An unready image that is as wanted waits for nothing."""
    assert dry_run(function, {"ImageId": A, **change})["Summary"]["Unchanged"] == 1


def test_followers_wait(function: Function) -> None:
    """Images that get the names of those that would wait would wait, too, also in a cycle."""
    for last, entries in {
        "x": (named(A, "x"), named(B, "a"), named(C, "b")),
        "c": (named(A, "c"), named(B, "a"), named(C, "b")),
    }.items():
        result = dry_run(function, *entries)
        assert reasons(result) == {
            A: f"would wait: {A} is SYNCING",
            B: f"would wait: {A} has the new name",
            C: f"would wait: {B} has the new name",
        }, last
        with pytest.raises(Unfinished, match="3 of 3"):
            function({"Images": list(entries)})
        assert function.names() == {A: "a", B: "b", C: "c"}
    ready(function)
    assert function({"Images": list(entries)})["Summary"]["Changed"] == 3
    assert function.names() == {A: "c", B: "a", C: "b"}


def test_leader_does_not_wait(function: Function) -> None:
    """An image whose name another one waits for does not wait itself."""
    result = dry_run(function, named(B, "x"), named(A, "b"))
    assert reasons(result) == {A: f"would wait: {A} is SYNCING"}


def test_failed_image_does_not_wait(function: Function) -> None:
    """An unready image that cannot get its name fails, and the others are in Apply."""
    result = dry_run(function, named(A, "b"), {"ImageId": B, "ImageFamily": "f"})
    assert (result["Summary"]["Failed"], reasons(result)) == (1, {})
    assert [entry["ImageId"] for entry in result["Apply"]["Images"]] == [B]


def test_image_of_two_documents_waits(function: Function) -> None:
    """An image would wait if one of two documents of an event would change it later."""
    for key, entry in (("a", {"Tags": [{"Key": "k", "Value": "v"}]}), ("b", {"ImageName": "x"})):
        function.put(f"requests/{key}.json", {"ImageId": A, **entry, "DryRun": True})
    for keys in ("ab", "ba"):
        event = {"Records": [uploaded(key) for key in keys]}
        (image,) = function(event)["Images"]
        assert image["Waits"] is True
        assert image["Reason"] == f"would wait: {A} is SYNCING"


def test_reasons_of_two_documents(function: Function) -> None:
    """Why one document leaves an image alone is no reason of the change by another."""
    skipping = {"Normalise": {"Select": {"ImageName": "zz"}, "ImageFamily": "f"}, "DryRun": True}
    function.put("requests/policy.json", skipping)
    function.put("requests/request.json", {**named(B, "x"), "DryRun": True})
    for keys in (("policy", "request"), ("request", "policy")):
        result = function({"Records": [uploaded(key) for key in keys]})
        image = next(image for image in result["Images"] if image["ImageId"] == B)
        assert (image["Status"], image.get("Reason")) == ("planned", None)


def test_rules_never_crowd_out_images(function: Function) -> None:
    """Rules that do not fit into the result are left out, and it is not Truncated by that."""
    derive = [
        {"From": "{ImageName}", "As": f"f{n}",
         "Replace": [{"Key": f"{m}-" + "名" * 200, "Value": "v" * 100} for m in range(100)]}
        for n in range(10)
    ]  # fmt: skip
    ready(function)
    policy = {"Normalise": {"Derive": derive, "ImageFamily": "{f9|x}"}, "DryRun": True}
    result = function(policy)
    assert result["Summary"]["Planned"] == len(result["Images"]) == 3
    assert "Truncated" not in result
    assert [rule["Key"] for rule in result["Rules"]] == ["ImageFamily"]
