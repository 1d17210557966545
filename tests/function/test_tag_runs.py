"""Tags bound and unbound in an order in which they fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from image_steward.errors import Unfinished
from scf_local.cloud.faults import Faults, Rule

if TYPE_CHECKING:
    from conftest import Function

FULL = "img-full0001"


def tags(letter: str, number: int) -> list[dict[str, str]]:
    """Return some tags, `a0` and so on."""
    return [{"Key": f"{letter}{i}", "Value": "v"} for i in range(number)]


def keys(letter: str, number: int) -> list[str]:
    """Return the keys of some tags."""
    return [tag["Key"] for tag in tags(letter, number)]


def hold_full(function: Function) -> None:
    """Replace the region's images by one with as many tags as an image can have."""
    function.hold({"ImageId": FULL, "ImageName": "full", "Tags": tags("a", 50)})


@pytest.mark.parametrize("number", [1, 25, 50])
def test_full_image_changes_its_tags(function: Function, number: int) -> None:
    """An image with 50 tags gets others in place of those it loses, and back again."""
    hold_full(function)
    former = function.images
    wanted = {"ImageId": FULL, "Tags": tags("b", number), "DeleteTags": keys("a", number)}
    result = function(wanted)
    assert result["Outcome"] == "applied"
    held = {tag["Key"] for tag in function.image(FULL)["Tags"]}
    assert held == {*keys("b", number), *keys("a", 50)[number:]}
    assert function(function.uploaded(result["Undo"]))["Outcome"] == "applied"
    assert function.image(FULL) | {"Tags": []} == former["ap-guangzhou"][0] | {"Tags": []}
    assert {tag["Key"] for tag in function.image(FULL)["Tags"]} == set(keys("a", 50))


def test_unbinding_fails_for_a_while(function: Function) -> None:
    """If tags cannot be unbound now, the image is pending, and the next delivery does all."""
    hold_full(function)
    rule = Rule("UnTagResources", "error", code="FailedOperation.ResourceTagProcessing")
    function.cloud.faults = Faults((rule,))
    wanted: dict[str, Any] = {"ImageId": FULL, "Tags": tags("b", 1), "DeleteTags": ["a0"]}
    with pytest.raises(Unfinished, match="ResourceTagProcessing"):
        function(wanted)
    function.cloud.faults = Faults()
    assert function(wanted)["Outcome"] == "applied"


def test_unbinding_fails(function: Function) -> None:
    """If tags cannot be unbound, others are still bound, if they fit."""
    function.hold({"ImageId": FULL, "ImageName": "full", "Tags": tags("a", 1)})
    rule = Rule("UnTagResources", "error", code="InvalidParameter.ReservedTagKey")
    function.cloud.faults = Faults((rule,))
    result = function({"ImageId": FULL, "Tags": tags("b", 1), "DeleteTags": ["a0"]})
    assert result["Images"][0]["Code"] == "InvalidParameter.ReservedTagKey"
    assert {tag["Key"] for tag in function.image(FULL)["Tags"]} == {"a0", "b0"}
