"""The real function run by the real commands, from an event to the emulated cloud."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from conftest import ROOT, SECRETS

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud

SCF_LOCAL = Path(sys.executable).parent / "scf-local"


def scf_local(*args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command, whose output must not contain a secret."""
    run = subprocess.run(  # noqa: S603 - our own command
        [SCF_LOCAL, *args], input=stdin, cwd=ROOT, capture_output=True, text=True, check=False
    )
    if args[0] != "event":  # an event has the uploader's signature, as from COS; it is made up
        assert not any(secret in run.stdout + run.stderr for secret in SECRETS)
    return run


def test_upload_twice(cloud: EmulatedCloud) -> None:
    """An upload event renames the image, and its redelivery changes and writes nothing."""
    options = ("--bucket", "manifests-1250000000", "--key", "requests/rename.json")
    event = scf_local("event", "cos", *options).stdout
    first = scf_local("invoke", "-", "--endpoint", cloud.url, stdin=event)
    second = scf_local("invoke", "-", "--endpoint", cloud.url, stdin=event)
    assert (first.returncode, second.returncode) == (0, 0)
    assert json.loads(first.stdout)["Summary"]["Changed"] == 1
    assert json.loads(second.stdout)["Summary"]["Unchanged"] == 1
    assert cloud.state.image("ap-guangzhou", "img-6pb6lrmy")["ImageName"] == "sample"
    assert len(cloud.state.writes()) == 1


@pytest.mark.parametrize("event", ["null", "[]", '{"Records": 5}', '{"ImageId": "img-1"}'])
def test_rejected_event(event: str) -> None:
    """A rejected event has exit status 1, the reason on stdout, and no traceback."""
    run = scf_local("invoke", "-", "--env", "STEWARD_LOG_LEVEL=DEBUG", stdin=event)
    assert run.returncode == 1
    assert json.loads(run.stdout)["Outcome"] == "rejected"
    assert "Traceback" not in run.stderr


def test_transient_error_raises() -> None:
    """An image that is still being created makes the invocation fail with status code 430."""
    event = json.dumps({"ImageId": "img-c3d4e5f6", "ImageName": "x"})
    run = scf_local("invoke", "-", "--timeout", "5", stdin=event)
    assert run.returncode == 1
    assert run.stdout == ""
    assert "Unfinished" in run.stderr
    assert '"statusCode": 430' in run.stderr or '"statusCode":430' in run.stderr


def test_dry_run() -> None:
    """`--dry-run` only plans, whatever the document says."""
    event = json.dumps({"ImageId": "img-6pb6lrmy", "ImageName": "x"})
    result: dict[str, Any] = json.loads(scf_local("invoke", "--dry-run", "-", stdin=event).stdout)
    assert result["Outcome"] == "planned"


def test_samples_end_as_expected() -> None:
    """Every sample event ends as expected.json says, and has an entry there."""
    run = scf_local("replay", "--json", "events")
    assert run.returncode == 0
    replayed = json.loads(run.stdout)
    expected = json.loads((ROOT / "events" / "expected.json").read_text(encoding="utf-8"))
    assert [Path(entry["Event"]).name for entry in replayed] == sorted(expected)
    assert all(entry["AsExpected"] for entry in replayed)
