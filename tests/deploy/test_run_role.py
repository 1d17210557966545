"""The run role: deploy/policy.json and deploy/trust.json allow exactly what the code needs."""

from __future__ import annotations

import json
import re

import yaml

from conftest import ACTIONS, ROOT
from serverless_rules import ServerlessFile

FILE = ServerlessFile(yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8")))


def statements() -> dict[str, list[str]]:
    """The resources of each action in the run policy."""
    policy = json.loads((ROOT / "deploy/policy.json").read_text(encoding="utf-8"))
    assert policy["version"] == "2.0"
    assert {statement["effect"] for statement in policy["statement"]} == {"allow"}
    assert {key for statement in policy["statement"] for key in statement} == {
        "effect",
        "action",
        "resource",
    }
    pairs = [(action, s["resource"]) for s in policy["statement"] for action in s["action"]]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def permissions_needed() -> set[str]:
    """The permissions that the code needs: for API actions and COS methods."""
    calls = {f"name/{action.service}:{action.name}" for action in ACTIONS}
    for path in (ROOT / "handler").rglob("*.py"):
        source = path.read_text(encoding="utf-8")
        for verb, noun in re.findall(r"\.(get|put|head|delete|list|copy)_(object)\w*", source):
            calls.add(f"name/cos:{verb.title()}{noun.title()}")
    return calls


def test_policy_names_the_actions_that_the_code_calls() -> None:
    """The run policy allows exactly the actions that the code calls, without a wildcard."""
    assert statements().keys() == permissions_needed()
    assert permissions_needed() == {
        "name/cvm:DescribeImages", "name/cvm:ModifyImageAttribute", "name/tag:TagResources",
        "name/tag:UnTagResources", "name/cos:GetObject", "name/cos:PutObject",
    }  # fmt: skip


def test_policy_names_the_narrowest_resources() -> None:
    """Only images can be changed, only sources be read, and only the journal be written.

    Actions without resource-level permissions (tags, and listing images) require the wildcard
    (document/product/213/10314, 598/67492).
    """
    allowed = statements()
    settings = FILE.settings()
    bucket, prefix = settings.journal or ("", "")
    where = f"qcs::cos:{FILE.inputs['region']}:uid/{bucket.rpartition('-')[2]}"
    assert allowed["name/cos:PutObject"] == [f"{where}:{bucket}/{prefix}*"]
    assert allowed["name/cos:GetObject"] == [
        f"{where}:{source}/*" for source in settings.sources if "/" in source
    ]
    (images,) = allowed["name/cvm:ModifyImageAttribute"]
    assert re.fullmatch(r"qcs::cvm::uin/\d+:image/\*", images)
    for action in ("cvm:DescribeImages", "tag:TagResources", "tag:UnTagResources"):
        assert allowed[f"name/{action}"] == ["*"]


def test_trust_policy() -> None:
    """Only SCF may assume the run role."""
    trust = json.loads((ROOT / "deploy/trust.json").read_text(encoding="utf-8"))
    assert trust == {
        "version": "2.0",
        "statement": [
            {
                "effect": "allow",
                "action": ["name/sts:AssumeRole"],
                "principal": {"service": ["scf.qcloud.com"]},
            }
        ],
    }
