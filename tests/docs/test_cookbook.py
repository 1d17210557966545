"""The policies of docs/cookbook.md do what the page says, and can be undone."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import pytest
from rich.cells import cell_len

from conftest import ROOT, Function
from inherited import LEFT_ALONE, ROWS, SIZE, UNREADABLE, inherited, seed_text
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.seed import tags_of
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

FOLDER = ROOT / "docs" / "policies"
PAGE = (ROOT / "docs" / "cookbook.md").read_text(encoding="utf-8")

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
    "inherited": {
        image["ImageId"]: {"ImageName": name}
        for _, image, name in inherited()
        if image["ImageName"] != name
    },
    "ascii": {
        "img-x1mysql8": {"ImageName": "mysql-8.0.33"},
        "img-x2webv20": {"ImageName": "web-v2-2"},
        "img-x3reddis": {"ImageName": "redis-7.2-sentinel-for-the-order-service"},
    },
    "version-date": {
        "img-v1web230": {"ImageFamily": "web", "Tag version": "2.3.0", "Tag built": "2025-01-10"},
        "img-v2web231": {
            "ImageName": "web-2.3.1-20250218",
            "ImageFamily": "web",
            "Tag version": "2.3.1",
            "Tag built": "2025-02-18",
        },
        "img-v3web231": {
            "ImageName": "web-2.3.1-20250218-2",
            "ImageFamily": "web",
            "Tag version": "2.3.1",
            "Tag built": "2025-02-18",
        },
        "img-v4webapi": {
            "ImageName": "web-api-0.9-20250305",
            "ImageFamily": "web-api",
            "Tag built": "2025-03-05",
        },
        "img-v5erp411": {
            "ImageName": "erp-4.1-20250308",
            "ImageFamily": "erp",
            "Tag version": "4.1",
            "Tag built": "2025-03-08",
        },
    },
    "short-system": {
        "img-s1bastio": {"ImageName": "bastion-tencentos3-20250115", "Tag os": "tencentos3"},
        "img-s2web220": {"ImageName": "web-ubuntu2204-20250203", "Tag os": "ubuntu2204"},
        "img-s3web790": {"ImageName": "web-centos7-20240603", "Tag os": "centos7"},
        "img-s4report": {"ImageName": "report-windows2022-20250220", "Tag os": "windows2022"},
        "img-s5router": {"ImageName": "router-other-20250301", "Tag os": "other"},
    },
    "old-name": {
        "img-o1payapi": {"ImageName": "pay-api-20250110", "Tag was": "支付 api (new)"},
        "img-o2payapi": {"ImageName": "pay-api-20250110-2", "Tag was": "支付 api (newer)"},
        "img-o3opsbas": {"ImageName": "ops-base-20241201"},
        "img-o4opsweb": {"Tag was": "ops-web-20250220"},
    },
    "retire": {
        "img-r1web104": {"ImageDeprecated": True},
        "img-r7api020": {"ImageDeprecated": True},
        "img-r9api022": {"ImageDeprecated": False},
    },
    "all-but-kept": {
        "img-k1web100": {"ImageDeprecated": True, "Tag tmp-run": None, "Tag tmp-host": None},
        "img-k5erp200": {"ImageDeprecated": True},
    },
}
"""The images that change, by policy; all others stay the same. None: the tag is deleted."""

POLICIES = pytest.mark.parametrize("name", PROMISED)


@pytest.fixture
def samples(name: str) -> State:
    """The sample images of a policy."""
    own = FOLDER / name
    return State.from_folder(own if own.exists() else FOLDER)


@pytest.fixture
def cloud(samples: State) -> Iterator[EmulatedCloud]:
    """The cloud with these images, without rate limits."""
    with EmulatedCloud(samples, limits=False) as cloud:
        yield cloud


@pytest.fixture
def function(cloud: EmulatedCloud) -> Function:
    """The function on that cloud."""
    return Function(cloud)


def run(function: Function, event: object) -> dict[str, Any]:
    """Run the function with time for 300 images."""
    return function(event, seconds=60)


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


def promised(name: str, former: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what `state` returns after a policy."""
    images = {i: image | PROMISED[name].get(i, {}) for i, image in former.items()}
    return {
        i: {member: value for member, value in image.items() if value is not None}
        for i, image in images.items()
    }


def plan(name: str) -> dict[str, str]:
    """Return what the page's plan says about each image that changes, in one line."""
    _, _, after = PAGE.partition(f"$ scf-local plan docs/policies/{name}.json ")
    planned, _, _ = after.partition("```")[0].partition("Skipped:")
    rows = re.findall(r"^(img-\w+)(.*\n(?: .*\n)*)", planned, re.MULTILINE)
    return {image_id: " ".join(text.split()) for image_id, text in rows}


def shown(member: str, former: object, value: object) -> str:
    """Return a change as a plan shows it."""
    if member == "ImageName":
        return f"{' '.join(str(former).split())} → {value}"
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = json.dumps(text, ensure_ascii=False) if " " in text else text
    if not member.startswith("Tag "):
        return f"{member}={text}"
    key = member.removeprefix("Tag ")
    return f"-{key}" if value is None else f"{'+' if former is None else '~'}{key}={text}"


def test_every_policy_is_tested() -> None:
    """Each policy in the folder is tested here."""
    names = {path.stem for path in FOLDER.glob("*.json")} - {"images"}
    assert names == PROMISED.keys()


@POLICIES
def test_policy_does_what_the_page_says(function: Function, name: str) -> None:
    """Exactly the promised images change, in the promised way."""
    former = state(function)
    result = run(function, policy(name))
    assert (result["Outcome"], result.get("Warnings")) == ("applied", None)
    assert state(function) == promised(name, former)


@POLICIES
@pytest.mark.parametrize("action", ["ModifyImageAttribute", "TagResources", "UnTagResources"])
@pytest.mark.parametrize("done", [0, 2])
def test_a_run_that_is_broken_off_is_finished(
    samples: State, name: str, action: str, done: int
) -> None:
    """If the writes of one kind fail in the middle of a run, the next run does what is left."""
    rule = Rule(action, "error", start=done + 1, code="UnauthorizedOperation")
    with EmulatedCloud(samples, limits=False, faults=Faults((rule,))) as cloud:
        function = Function(cloud)
        wanted = promised(name, state(function))
        broken = run(function, policy(name))
    is_broken = len(function.calls(action)) > done
    assert (broken["Outcome"] == "applied") is not is_broken
    with EmulatedCloud(samples, limits=False) as cloud:
        function = Function(cloud)
        assert run(function, policy(name))["Outcome"] == "applied"
        assert state(function) == wanted


@POLICIES
def test_page_shows_the_plan(function: Function, name: str) -> None:
    """The plan on the page has each change, with old and new values; of a long one the first."""
    former = state(function)
    found = plan(name)
    for image_id, text in found.items():
        for member, value in PROMISED[name][image_id].items():
            assert shown(member, former[image_id].get(member), value) in text
    is_excerpt = name == "inherited"
    assert len(found) >= len(ROWS) if is_excerpt else found.keys() == PROMISED[name].keys()


@POLICIES
def test_a_second_run_only_reads(function: Function, name: str) -> None:
    """The second run of a policy changes nothing."""
    run(function, policy(name))
    writes = function.writes
    again = run(function, policy(name))
    assert (again["Outcome"], again["Summary"]["Changed"]) == ("applied", 0)
    assert function.writes == writes


@POLICIES
def test_policy_can_be_undone(function: Function, name: str) -> None:
    """Uploading the Undo of the result restores the former state."""
    former = state(function)
    result = run(function, policy(name))
    undone = run(function, function.uploaded(result["Undo"]))
    assert undone["Outcome"] == "applied"
    assert state(function) == former


@pytest.mark.parametrize("name", ["family-version"])
def test_cycle_in_the_cookbook(function: Function) -> None:
    """The two erp images that swap names take three calls, the two workers two."""
    run(function, policy("family-version"))
    assert len(function.calls("ModifyImageAttribute")) == 3 + 2
    assert function.image("img-e5erp200")["ImageName"] == "erp-2.0.0"


def test_inherited_images_are_those_of_the_folder() -> None:
    """The sample of inherited images has 300, made from many forms of names."""
    path = FOLDER / "inherited" / "images.json"
    if "UPDATE_GOLDEN" in os.environ:
        path.write_text(seed_text(), encoding="utf-8")
    assert path.read_text(encoding="utf-8") == seed_text()
    assert len(list(inherited())) == SIZE == 300


@pytest.mark.parametrize("name", ["inherited"])
def test_inherited_names(function: Function) -> None:
    """The real names become what they should be, and so do 9 of 10 of all 300."""
    run(function, policy("inherited"))
    names = {i: image["ImageName"] for i, image in state(function).items()}
    new_names = {image["ImageName"]: names[image["ImageId"]] for _, image, _ in inherited()}
    assert {old: new_names[old] for old in ROWS} == ROWS
    assert new_names == {image["ImageName"]: name for _, image, name in inherited()}
    assert len(UNREADABLE) + len(LEFT_ALONE) <= SIZE / 10


@POLICIES
def test_a_plan_that_was_read_can_be_applied(function: Function, name: str) -> None:
    """Uploading the Apply of a dry run does what the policy does; once more, it only reads."""
    dry_run = run(function, policy(name) | {"DryRun": True})
    assert function.writes == 0
    apply = function.uploaded(dry_run["Apply"])
    done = run(function, apply)
    assert (done["Outcome"], done["Summary"]["Changed"]) == ("applied", len(PROMISED[name]))
    writes = function.writes
    assert run(function, apply)["Summary"]["Changed"] == 0
    assert run(function, policy(name))["Summary"]["Changed"] == 0
    assert function.writes == writes


@pytest.mark.parametrize("name", ["inherited"])
def test_apply_leaves_alone_what_somebody_changed(cloud: EmulatedCloud, function: Function) -> None:
    """An image that was renamed since the dry run is `Changed`, all others are done."""
    dry_run = run(function, policy("inherited") | {"DryRun": True})
    apply = function.uploaded(dry_run["Apply"])
    with cloud.state.lock:
        images = cloud.state.images["ap-guangzhou"]
        theirs = next(image for image in images if image["ImageName"] == "web-api-copy-2")
        theirs["ImageName"] = "renamed in the console"
    renamed = theirs["ImageId"]
    for changed in (len(PROMISED["inherited"]) - 1, 0):
        writes = function.writes
        result = run(function, apply)
        (failed,) = (image for image in result["Images"] if image["Status"] == "failed")
        assert (failed["ImageId"], failed["Code"]) == (renamed, "Changed")
        assert (result["Summary"]["Changed"], result["Summary"]["Failed"]) == (changed, 1)
        assert bool(function.writes - writes) is bool(changed)
    names = {image["ImageId"]: name for _, image, name in inherited()}
    names[renamed] = "renamed in the console"
    assert {i: image["ImageName"] for i, image in state(function).items()} == names


PREFIX = [{"From": "{ImageName}", "Parse": ["prod-{app}", "{app}"]}]
WAS = {"Tags": [{"Key": "was", "Value": "{OldName}"}], "Except": [{"Tags": [{"Key": "was"}]}]}


@pytest.mark.parametrize("name", ["version-date"])
def test_a_prefix_that_is_parsed_is_written_once(function: Function) -> None:
    """The page's advice works: `prod-{app}` is stable if its own form is the first pattern."""
    prefixing = {"Normalise": {"Derive": PREFIX, "ImageName": "prod-{app}"}}
    assert function(prefixing)["Summary"]["Changed"] == 6
    assert function.image("img-v6other1")["ImageName"] == "prod-for-the-demo"
    again = function(prefixing)
    assert (again["Outcome"], again["Summary"]["Unchanged"]) == ("applied", 6)


@pytest.mark.parametrize("name", ["old-name"])
def test_a_policy_without_a_safe_order_is_warned_about(function: Function, name: str) -> None:
    """A tag that keeps OldName, and an Except on this tag, give the warning that the page names."""
    unsafe = {"Normalise": policy(name)["Normalise"] | WAS, "DryRun": True}
    (warning,) = function(unsafe)["Warnings"]
    assert (warning["Code"], "Tag.was" in warning["Message"]) == ("UnstablePolicy", True)


def test_plans_fit_into_a_window() -> None:
    """No line of a block on the page is wider than 150 columns."""
    blocks = re.findall(r"```[\s\S]*?```", PAGE)
    assert max(cell_len(line) for block in blocks for line in block.splitlines()) <= 150
