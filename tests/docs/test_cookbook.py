"""The policies of docs/policies.md do what the page says, and can be undone."""

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
"""The images that change, by policy; all others stay the same."""

POLICIES = pytest.mark.parametrize("name", PROMISED)


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """The cloud with the images of the page, without rate limits."""
    with EmulatedCloud(State.from_folder(FOLDER), limits=False) as cloud:
        yield cloud


@pytest.fixture
def function(cloud: EmulatedCloud) -> Function:
    """The function on that cloud."""
    return Function(cloud, cloud.environment())


def policy(name: str) -> dict[str, Any]:
    """Return a policy of the page, as an event."""
    document: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return document


def state(function: Function) -> dict[str, dict[str, Any]]:
    """Return all that a policy can change in the images of all regions, by image id."""
    attributes = ("ImageName", "ImageDescription", "ImageFamily", "ImageDeprecated")
    return {
        image["ImageId"]: {name: image[name] for name in attributes}
        | {f"Tag {key}": value for key, value in tags_of(image).items()}
        for images in function.images.values()
        for image in images
    }


def plan(name: str) -> dict[str, str]:
    """Return what the page's plan says about each image, with the lines of the table joined."""
    _, _, after = PAGE.partition(f"$ scf-local invoke docs/policies/{name}.json --dry-run ")
    planned, _, _ = after.partition("├")
    found: dict[str, str] = {}
    image_id = ""
    for _, image, change, _ in re.findall(r"^│(.*?)│(.*?)│(.*?)│(.*?)│$", planned, re.MULTILINE):
        image_id = image.strip() or image_id
        found[image_id] = f"{found.get(image_id, '')} {change.strip()}".strip()
    return found


def shown(value: object) -> str:
    """Return a value as a plan shows it."""
    if isinstance(value, bool):
        return str(value).lower()
    return "(none)" if value is None else str(value) or '""'


def test_every_policy_is_tested() -> None:
    """Each policy in the folder is tested here."""
    names = {path.stem for path in FOLDER.glob("*.json")} - {"images"}
    assert names == PROMISED.keys()


@POLICIES
def test_policy_does_what_the_page_says(function: Function, name: str) -> None:
    """Exactly the promised images change, in the promised way."""
    former = state(function)
    result = function(policy(name))
    assert result["Outcome"] == "applied"
    wanted = {
        image_id: image | PROMISED[name].get(image_id, {}) for image_id, image in former.items()
    }
    assert state(function) == wanted


@POLICIES
def test_page_shows_the_plan(function: Function, name: str) -> None:
    """The plan on the page has each change, with old and new values."""
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
    """The second run of a policy changes nothing."""
    function(policy(name))
    writes = function.writes
    again = function(policy(name))
    assert (again["Outcome"], again["Summary"]["Changed"]) == ("applied", 0)
    assert function.writes == writes


@POLICIES
def test_policy_can_be_undone(function: Function, name: str) -> None:
    """Uploading the Undo of the result restores the former state."""
    former = state(function)
    result = function(policy(name))
    undone = function(function.uploaded(result["Undo"]))
    assert undone["Outcome"] == "applied"
    assert state(function) == former


def test_cycle_in_the_cookbook(function: Function) -> None:
    """The two erp images that swap names take three calls, the two workers two."""
    function(policy("family-version"))
    assert len(function.calls("ModifyImageAttribute")) == 3 + 2
    assert function.image("img-e5erp200")["ImageName"] == "erp-2.0.0"
