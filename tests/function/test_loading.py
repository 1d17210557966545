"""The libraries that a cold event loads with the settings in serverless.yml."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from conftest import ROOT, cos_event
from scf_local.cloud.seed import Object

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud

INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
BUCKET = "manifests-1250000000"
LIBRARIES = ("jsonschema", "tencentcloud", "qcloud_cos")

IMAGE = {"ImageId": "img-6pb6lrmy"}
RENAME = {**IMAGE, "ImageName": "renamed"}
KEPT = {"Normalise": {"ImageName": "{ImageName}"}}
KEPT_REQUEST = {**IMAGE, "ImageDeprecated": False}
TIMER = {
    "Type": "Timer", "TriggerName": "nightly", "Time": "2026-11-24T19:17:00Z",
    "Message": INPUTS["events"][1]["timer"]["parameters"]["argument"],
}  # fmt: skip
MISSING = {"Document": f"cos://{BUCKET}/policies/none.json"}
EVENTS: dict[str, tuple[object, str]] = {
    "any that is ignored": (cos_event("requests/x.json", event_name="cos:ObjectRemove:Delete"),
                            "ignored"),
    "direct, rejected": (IMAGE, "rejected"),
    "direct, a dry run": ({**RENAME, "DryRun": True}, "planned"),
    "direct, nothing to change": (KEPT_REQUEST, "applied"),
    "direct, changes": (RENAME, "applied"),
    "upload, rejected": (cos_event("requests/bad.json"), "rejected"),
    "upload, changes or none": (cos_event("requests/kept.json"), "applied"),
    "timer, changes or none": (TIMER, "applied"),
    "timer, its object missing": (TIMER | {"Message": json.dumps(MISSING)},
                                  "rejected"),
}  # fmt: skip

PROGRAM = f"""
import json, sys
stdout, sys.stdout = sys.stdout, sys.stderr
import index
context = {{"time_limit_in_ms": 20_000, "tencentcloud_region": "ap-guangzhou"}}
result = index.main_handler(json.load(sys.stdin), context)
loaded = [name for name in {LIBRARIES!r} if name in sys.modules]
stdout.write(json.dumps([result["Outcome"], loaded]))
"""


def libraries_by_event() -> dict[str, list[str]]:
    """Return the page's table: the libraries that each event loads."""
    page = (ROOT / "docs/bench.md").read_text(encoding="utf-8")
    (table,) = re.findall(r"^\| Event \|.*\n\|[-|]+\n((?:\|.*\n)+)", page, re.MULTILINE)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()]
    return {
        event: [name for name, cell in zip(LIBRARIES, cells, strict=True) if cell == "yes"]
        for event, *cells in rows
    }


@pytest.mark.parametrize("kind", EVENTS)
def test_what_is_loaded(cloud: EmulatedCloud, kind: str) -> None:
    """Each kind of event loads exactly the libraries in the table, in a new process."""
    documents: dict[str, Any] = {
        "requests/bad.json": IMAGE, "requests/kept.json": KEPT_REQUEST,
        "policies/nightly.json": KEPT,
    }  # fmt: skip
    cloud.state.objects[BUCKET] = {
        key: Object(json.dumps(document).encode()) for key, document in documents.items()
    }
    event, outcome = EVENTS[kind]
    run = subprocess.run(  # noqa: S603 - our own program
        [sys.executable, "-c", PROGRAM],
        cwd=ROOT / "handler",
        env={**os.environ, **cloud.environment(), **INPUTS["environment"]["variables"]},
        input=json.dumps(event),
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [outcome, libraries_by_event()[kind]]


def test_table_has_every_kind() -> None:
    """The table has exactly the events of this test."""
    assert list(libraries_by_event()) == list(EVENTS)
