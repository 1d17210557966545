"""The deployer's own keys in the emulated cloud: deploy/deployer.json is enough for all it does.

Each right in it is needed: without it, the deployer stops, and names what is missing.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from conftest import ROOT
from cos_client import BUCKET, client_of
from roles import document, role_of, session_of
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from shipped import Shipped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

POLICY = json.loads((ROOT / "deploy/deployer.json").read_text(encoding="utf-8"))
OF_CHECKS = {"name/scf:InvokeFunction", "name/cls:SearchLog"}
"""What only checks of Image Steward need, see test_live_check.py."""
ACTIONS = [
    each
    for statement in POLICY["statement"]
    for each in statement["action"]
    if each not in OF_CHECKS
]
CHANGES_OF_RIGHTS = POLICY["statement"][1]["action"]
CHANGES = {
    "serverless.yml": ("memorySize: 128", "memorySize: 256"),
    "deploy/policy.json": ('"name/tag:TagResources", ', ""),
    "deploy/trust.json": ('"scf.qcloud.com"', '"scf.qcloud.com", "cvm.qcloud.com"'),
    "build/function/index.py": ("...", "pass"),
}
"""What makes the deployer update the settings, the policy, the trust policy and the code."""


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """An empty account."""
    with EmulatedCloud(State(), limits=False) as running:
        yield running


@pytest.fixture
def shipped(tmp_path: Path) -> Shipped:
    """What is deployed."""
    return Shipped(tmp_path)


def without(*denied: str) -> list[dict[str, object]]:
    """Return the policy's statements without some actions."""
    statements = [
        {**each, "action": [action for action in each["action"] if action not in denied]}
        for each in POLICY["statement"]
    ]
    return [each for each in statements if each["action"]]


class Deployer:
    """Runs the commands with the keys of a session that has the policy without some actions."""

    def __init__(self, cloud: EmulatedCloud, shipped: Shipped, *denied: str) -> None:
        self.cloud, self.shipped = cloud, shipped
        self.keys = session_of(cloud.state, role_of(document(*without(*denied))))

    def __call__(self, command: str, *options: str) -> str:
        """Run a command, and return nothing, or what it printed if it failed."""
        done = self.shipped.run(self.cloud, command, *options, keys=self.keys)
        return done.output if done.exit_code not in {0, 3 * (command == "plan")} else ""


def first_failure(deploy: Deployer) -> str:
    """Deploy, change all that can be changed, and remove it; return what failed first."""
    edit = deploy.shipped.edit

    def steps() -> Iterator[str]:
        yield deploy("plan")
        yield deploy("apply", "--yes")
        client_of(deploy.cloud).put_bucket_acl(Bucket=BUCKET, ACL="public-read")
        for name, change in CHANGES.items():
            edit(name, *change)
        edit("serverless.yml", "'0 17 3 * * * *'", "'0 18 3 * * * *'")
        edit("serverless.yml", "enable: true\n    - timer", "enable: false\n    - timer")
        yield deploy("apply", "--yes")
        edit("serverless.yml", "prefix: requests/", "prefix: in/")
        yield deploy("apply", "--yes")
        yield deploy("destroy", "--yes")

    return next(filter(None, steps()), "")


def test_policy_is_enough(cloud: EmulatedCloud, shipped: Shipped) -> None:
    """With these rights everything succeeds, and no other action is called."""
    assert first_failure(Deployer(cloud, shipped)) == ""
    called = {call["Action"] for call in cloud.state.calls}
    # SCF signs the URL of the code itself; PassRole is a right, and no action.
    assert called - {"GetObject"} == {each.partition(":")[2] for each in ACTIONS} - {"PassRole"}


@pytest.mark.parametrize("action", ACTIONS)
def test_each_right_is_needed(cloud: EmulatedCloud, shipped: Shipped, action: str) -> None:
    """Without one right something fails, and the message names the right and the page."""
    failure = first_failure(Deployer(cloud, shipped, action))
    assert action.partition(":")[2] in failure
    assert "docs/deploy.md lists what a deployment needs" in failure


def test_role_of_somebody_else(cloud: EmulatedCloud, shipped: Shipped) -> None:
    """Once role and policy are as in the files, the right to change them is not needed."""
    assert not Deployer(cloud, shipped)("apply", "--yes")
    deploy = Deployer(cloud, shipped, *CHANGES_OF_RIGHTS)
    shipped.edit("serverless.yml", *CHANGES["serverless.yml"])
    assert not deploy("apply", "--yes")
    shipped.edit("deploy/policy.json", *CHANGES["deploy/policy.json"])
    assert "cam:UpdatePolicy" in deploy("apply", "--yes")
