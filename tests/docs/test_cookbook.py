"""The policies of docs/policies.md do what the page promises, and can be undone."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from conftest import ROOT, Function
from scf_local.cloud.seed import tags_of
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ROOT / "docs" / "policies"
PAGE = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")

UBUNTU = "Ubuntu Server 24.04 LTS 64bit"
TENCENT = "TencentOS Server 4 for x86_64"
PROMISED: dict[str, dict[str, dict[str, Any]]] = {
    "team-os-date": {
        "img-a1web142": {"ImageName": "web-ubuntu-20250318", "ImageDescription": UBUNTU},
        "img-b2web142": {"ImageName": "web-ubuntu-20250318-2", "ImageDescription": UBUNTU},
        "img-c3api077": {"ImageName": "api-tencentos-20250320", "ImageDescription": TENCENT},
        "img-e5erp200": {"ImageName": "erp-tencentos-20250203", "ImageDescription": TENCENT},
        "img-f6erp210": {"ImageName": "erp-tencentos-20250303", "ImageDescription": TENCENT},
        "img-l2work29": {"ImageName": "jobs-tencentos-20250212", "ImageDescription": TENCENT},
        "img-m3work30": {"ImageName": "jobs-tencentos-20250312", "ImageDescription": TENCENT},
        "img-n4work30": {"ImageName": "jobs-tencentos-20250312-2", "ImageDescription": TENCENT},
    },
    "family-version": {
        "img-e5erp200": {"ImageName": "erp-2.0.0", "Tag release": "erp-2.0.0"},
        "img-f6erp210": {"ImageName": "erp-2.1.0", "Tag release": "erp-2.1.0"},
        "img-m3work30": {"ImageName": "worker-3.0.0", "Tag release": "worker-3.0.0"},
        "img-n4work30": {"ImageName": "worker-3.0.0-2", "Tag release": "worker-3.0.0-2"},
    },
    "channel": {
        "img-g7gold18": {"ImageDeprecated": True},
        "img-h8gold19": {"ImageName": "golden-stable-1.9.0", "ImageFamily": "golden-stable"},
        "img-j9gold18": {"ImageDeprecated": False},
        "img-k1gold19": {"ImageName": "golden-withdrawn-1.9.0", "ImageFamily": "golden-withdrawn"},
    },
    "clean-up": {
        "img-a1web142": {"ImageName": "web-build-0142"},
        "img-b2web142": {"ImageName": "web-build-0142-2"},
        "img-c3api077": {"ImageName": "api-build-77"},
        "img-m3work30": {"ImageName": "worker-3-(first-try)"},
        "img-n4work30": {"ImageName": "worker-3"},
    },
    "keep-latest": {
        "img-j9gold18": {"ImageDeprecated": False},
        "img-l2work29": {"ImageDeprecated": True},
    },
}
"""What becomes of the images that change, by policy; all others stay as they are."""

POLICIES = pytest.mark.parametrize("name", PROMISED)


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """The cloud with the images that the page shows, without limits per second."""
    with EmulatedCloud(State.from_folder(FOLDER), limits=False) as cloud:
        yield cloud


@pytest.fixture
def function(cloud: EmulatedCloud) -> Function:
    """The function, pointed at that cloud."""
    return Function(cloud, cloud.environment())


def policy(name: str) -> dict[str, Any]:
    """A policy of the page, as an event."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def state(function: Function) -> dict[str, dict[str, Any]]:
    """All that a policy can change of the images of all regions, by image id."""
    attributes = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")
    return {
        image["ImageId"]: {name: image[name] for name in attributes}
        | {f"Tag {key}": value for key, value in tags_of(image).items()}
        for images in function.images.values()
        for image in images
    }


def plan(name: str) -> dict[str, str]:
    """What the page's plan says of each image that would change, its table's lines joined."""
    _, _, after = PAGE.partition(f"$ scf-local invoke docs/policies/{name}.json --dry-run ")
    planned, _, _ = after.partition("├")
    found: dict[str, str] = {}
    image_id = ""
    for _, image, change, _ in re.findall(r"^│(.*?)│(.*?)│(.*?)│(.*?)│$", planned, re.MULTILINE):
        image_id = image.strip() or image_id
        found[image_id] = f"{found.get(image_id, '')} {change.strip()}".strip()
    return found


def shown(value: object) -> str:
    """A value as a plan shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "(none)" if value is None else str(value) or '""'


def test_every_policy_is_here() -> None:
    """Each policy of the folder has its promises."""
    names = {path.stem for path in FOLDER.glob("*.json")} - {"images"}
    assert names == PROMISED.keys()


@POLICIES
def test_it_does_what_is_promised(function: Function, name: str) -> None:
    """Those images change that are promised to, in that way, and no others in any."""
    former = state(function)
    result = function(policy(name))
    assert result["Outcome"] == "applied"
    wanted = {
        image_id: image | PROMISED[name].get(image_id, {}) for image_id, image in former.items()
    }
    assert state(function) == wanted


@POLICIES
def test_the_page_shows_it(function: Function, name: str) -> None:
    """The plan on the page has each change, from what the image is to what it becomes."""
    former = state(function)
    assert plan(name) == {
        image_id: " ".join(
            f"{member}  {shown(former[image_id].get(member))} → {shown(value)}"
            for member, value in changes.items()
        )
        for image_id, changes in PROMISED[name].items()
    }


@POLICIES
def test_a_second_run_only_reads(function: Function, name: str) -> None:
    """Applied again, a policy finds everything in order."""
    function(policy(name))
    writes = function.writes
    again = function(policy(name))
    assert (again["Outcome"], again["Summary"]["Changed"]) == ("applied", 0)
    assert function.writes == writes


@POLICIES
def test_it_can_be_undone(function: Function, name: str) -> None:
    """Uploading the result's Undo gives back the former state, all of it."""
    former = state(function)
    result = function(policy(name))
    undone = function(function.uploaded(result["Undo"]))
    assert undone["Outcome"] == "applied"
    assert state(function) == former


def test_a_cycle_costs_one_call_more(function: Function) -> None:
    """The two erp images that swap their names take three calls, the two workers two."""
    function(policy("family-version"))
    assert len(function.calls("ModifyImageAttribute")) == 3 + 2
    assert function.image("img-e5erp200")["ImageName"] == "erp-2.0.0"
