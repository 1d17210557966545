"""The Packer example: the template, the sample manifest and its event agree."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from conftest import ROOT, SEED, Function
from image_steward.settings import Settings

TEMPLATE = (ROOT / "events/packer/web.pkr.hcl").read_text(encoding="utf-8")
KEY = "requests/packer-web-20261124153012.json"
MANIFEST = json.loads((SEED / "objects/manifests-1250000000" / KEY).read_text(encoding="utf-8"))
EVENT = json.loads((ROOT / "events/16-packer-manifest.json").read_text(encoding="utf-8"))


def custom_data() -> dict[str, str]:
    """Return what the template passes to the post-processor, with its variable filled in."""
    (block,) = re.findall(r"custom_data = \{\n(.*?)\n {6}\}", TEMPLATE, re.DOTALL)
    pairs = re.findall(r'^ +"?([\w.]+)"? += "(.*)"$', block, re.MULTILINE)
    return {**dict(pairs), "git": "3f2c1d"}


def test_template_and_manifest_agree() -> None:
    """The sample manifest is what the template would write."""
    build = MANIFEST["builds"][-1]
    assert build["custom_data"] == custom_data()
    assert build["packer_run_uuid"] == MANIFEST["last_run_uuid"]
    for region in re.findall(r'"(ap-[a-z]+)"', TEMPLATE):
        assert f"{region}:img-" in build["artifact_id"]


def test_page_shows_the_template() -> None:
    """The page quotes the template literally."""
    page = (ROOT / "docs/packer.md").read_text(encoding="utf-8")
    (quoted,) = re.findall(r"```hcl\n(.*?)```", page, re.DOTALL)
    assert quoted in TEMPLATE


def test_upload_reaches_the_function() -> None:
    """The template uploads to a path that the trigger watches and the sources allow."""
    inputs = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
    (cos,) = (event["cos"]["parameters"] for event in inputs["events"] if "cos" in event)
    assert f"requests/packer-web-${{local.stamp}}{cos['filter']['suffix']}" in TEMPLATE
    assert KEY.startswith(cos["filter"]["prefix"])
    bucket = cos["bucket"].partition(".")[0]
    settings = Settings.from_environ(inputs["environment"]["variables"])
    assert "manifests" in settings.kinds_from(f"{bucket}/{KEY}")


def test_event_labels_both_images(function: Function) -> None:
    """The sample event labels the image and its copy, and retires the oldest of the family."""
    result = function(EVENT)
    assert result["Outcome"] == "applied"
    names = {"img-k2m3n4p5": "web-20261124-3f2c1d"}
    assert names.items() <= function.names("ap-shanghai").items()
    assert function.names("ap-beijing") == {"img-p5q6r7s8": "web-20261124-3f2c1d"}
    deprecated: dict[str, Any] = {
        image["ImageId"]: image["ImageDeprecated"] for image in function.images["ap-shanghai"]
    }
    assert [image_id for image_id, is_old in deprecated.items() if is_old] == ["img-n4p5q6r7"]
