"""Image Steward, deployed to the emulated cloud as `make payloads` deploys it, and left alone.

Its role has the policies of `deploy/`, and so no more rights than in a real account.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import yaml

import bundle
import packer
import payloads
from cos_client import BUCKET, client_of
from scf_client import RUNTIME, ScfClient
from scf_deploy.code import Code
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from sdk_client import add_role

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "image-steward"
BEIJING = timezone(timedelta(hours=8))
IMAGES = {
    "ap-guangzhou": [
        {"ImageId": "img-6pb6lrmy", "ImageName": "old"},
        {"ImageId": "img-g7gold18", "ImageName": "Web 18"},
    ]
}
RENAME = {"ImageId": "img-6pb6lrmy", "ImageName": "new"}


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bundle for the Python that runs the tests."""
    target = tmp_path_factory.mktemp("bundle") / "function.zip"
    return bundle.assemble(bundle.own_packages(), sys.executable, target).path.read_bytes()


@pytest.fixture
def scf(code: bytes) -> Iterator[ScfClient]:
    """A client of an emulated cloud to which the function is deployed."""
    state = State(IMAGES, {BUCKET: {}})
    with EmulatedCloud(state) as cloud:
        scf = ScfClient(cloud)
        deploy(scf, code)
        yield scf


def deploy(scf: ScfClient, code: bytes, **settings: object) -> None:
    """Create the role, and make the calls of `make payloads`, with the runtime of the tests."""
    trust, policy = (
        (bundle.ROOT / "deploy" / name).read_text("utf-8") for name in ("trust.json", "policy.json")
    )
    add_role(scf.cloud, NAME, policy, trust)
    text = (bundle.ROOT / "serverless.yml").read_text(encoding="utf-8")
    inputs = yaml.safe_load(text)["inputs"] | {"runtime": RUNTIME, **settings}
    for name, params in payloads.payloads(inputs, Code(code)).items():
        if not name.startswith("Update") or name == "UpdateFunctionEventInvokeConfig":
            scf(name.partition(".")[0], **params)
            scf.move(10)  # until it is Active


def put(scf: ScfClient, key: str, document: object) -> None:
    """Upload a document, and let the function do its work."""
    client_of(scf.cloud).put_object(Bucket=BUCKET, Key=key, Body=json.dumps(document).encode())
    scf.move()


def images(scf: ScfClient, region: str = "ap-guangzhou") -> dict[str, Any]:
    """Return the images of a region by id."""
    return {image["ImageId"]: image for image in scf.cloud.state.snapshot(0)["Images"][region]}


def outcomes(scf: ScfClient) -> list[str]:
    """Return how each run ended."""
    return [run.result.outcome for run in scf.cloud.state.functions.runs]


def test_upload_renames_an_image(scf: ScfClient) -> None:
    """An uploaded request is carried out; other keys start nothing."""
    for key in ("other/rename.json", "requests/rename.txt", "journal/x.json"):
        put(scf, key, RENAME)
    assert outcomes(scf) == []
    put(scf, "requests/rename.json", RENAME)
    assert outcomes(scf) == ["applied"]
    assert images(scf)["img-6pb6lrmy"]["ImageName"] == "new"
    assert "journal" in {key.partition("/")[0] for key in scf.cloud.state.objects[BUCKET]}


def test_rule_that_overlaps_is_refused(scf: ScfClient) -> None:
    """A second function cannot get the same uploads."""
    scf.create("other")
    rule = {"event": "cos:ObjectCreated:Put", "filter": {"Prefix": "requests/a", "Suffix": ""}}
    trigger = {"TriggerName": f"{BUCKET}.cos.ap-guangzhou.myqcloud.com", "Type": "cos"}
    trigger |= {"TriggerDesc": json.dumps(rule), "FunctionName": "other"}
    assert scf.error("CreateTrigger", **trigger) == "InvalidParameterValue.CosNotifyRuleConflict"


def test_timer_normalises_once(scf: ScfClient) -> None:
    """The nightly policy is applied once when the clock passes 03:17 in Beijing."""
    policy = {"Regions": ["ap-guangzhou"], "ImageName": "{ImageName}", "Style": {"Case": "lower"}}
    put(scf, "policies/nightly.json", {"Normalise": policy})
    now = datetime.fromtimestamp(scf.cloud.now(), BEIJING)
    today = now.replace(hour=3, minute=17, second=0, microsecond=0)
    due = today + timedelta(days=now > today - timedelta(minutes=1))
    scf.move((due - now).total_seconds() - 5)
    assert outcomes(scf) == []
    scf.move(3600)
    assert outcomes(scf) == ["applied"]
    assert images(scf)["img-g7gold18"]["ImageName"] == "web-18"
    (run,) = scf.cloud.state.functions.runs
    assert run.delivery.event["Time"] == due.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def test_calls_change_images(scf: ScfClient) -> None:
    """A direct call is carried out, whether somebody waits for its result or not."""
    result = json.loads(scf.invoke(NAME, RENAME)["RetMsg"])
    assert result["Outcome"] == "applied"
    scf.invoke(NAME, {**RENAME, "ImageName": "newer"}, InvocationType="Event")
    scf.move()
    assert images(scf)["img-6pb6lrmy"]["ImageName"] == "newer"


def test_packer_manifest_is_carried_out_alone(code: bytes) -> None:
    """Image and copies, NORMAL one after the other, are labelled after at most two deliveries."""
    # The deployment takes 50 seconds: one is NORMAL soon after the upload, the other before the
    # second delivery.
    seeds = {
        region: [{"ImageId": image_id, "ImageState": state, "NormalAfter": seconds}]
        for region, image_id, state, seconds in (
            ("ap-guangzhou", "img-6pb6lrmy", "CREATING", 52),
            ("ap-shanghai", "img-c0py0001", "SYNCING", 90),
        )
    }
    build = packer.build(
        {"ImageName": "web-1", "Tag.team": "infra"},
        artifact_id="ap-guangzhou:img-6pb6lrmy,ap-shanghai:img-c0py0001",
    )
    with EmulatedCloud(State(seeds, {BUCKET: {}})) as cloud:
        scf = ScfClient(cloud)
        deploy(scf, code, timeout=8)
        put(scf, "requests/manifest.json", packer.manifest(build))
        scf.move(120)
        assert outcomes(scf) == ["raised", "applied"]
        for region in seeds:
            (image,) = images(scf, region).values()
            assert image["ImageState"] == "NORMAL"
            assert {"Key": "team", "Value": "infra"}.items() <= image["Tags"][0].items()
