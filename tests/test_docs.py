"""The documents keep their word: commands are run, outputs compared, names looked up."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from conftest import ROOT
from image_steward import documents, errors
from image_steward.settings import Settings

README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
SESSIONS = re.findall(r"```console\n\$ (.+)\n([\s\S]*?)```", README)
JSON_BLOCKS = re.findall(r"```json\n([\s\S]*?)```", README)


@pytest.mark.parametrize(("command", "output"), SESSIONS, ids=[c for c, _ in SESSIONS])
def test_commands_print_what_is_shown(command: str, output: str) -> None:
    """Each command of the README prints what the README shows; … stands for anything."""
    run = subprocess.run(  # noqa: S602 - the README's own commands, a pipe among them
        command.replace("make replay", "scf-local replay events"),
        shell=True,
        cwd=ROOT,
        env={**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    pattern = re.escape(output).replace("…", r"[\s\S]*?")
    assert re.fullmatch(pattern, run.stdout)


@pytest.mark.parametrize("block", JSON_BLOCKS, ids=range(len(JSON_BLOCKS)))
def test_documents_are_valid(block: str) -> None:
    """Each document of the README is one the function accepts."""
    request = documents.read(block.encode(), region="ap-guangzhou")
    assert isinstance(request, (documents.ChangeRequest, documents.Pointer))


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", README))
def test_links_lead_somewhere(target: str) -> None:
    """Each relative link of the README leads to a file that exists."""
    assert (ROOT / target).exists()


def test_every_setting_is_documented() -> None:
    """The README's table of settings names those that exist, and no others."""
    source = (ROOT / "handler/image_steward/settings.py").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(STEWARD_\w+)`", README, re.MULTILINE)) == set(
        re.findall(r'"(STEWARD_\w+)", _', source)
    )


def test_every_rejection_is_documented() -> None:
    """The README names every code that rejects an event or a document."""
    codes = {cls.code for cls in errors.Rejection.__subclasses__()}
    (listed,) = re.findall(r"Rejection codes: ([\s\S]+?)\.\n", README)
    assert set(re.findall(r"`(\w+)`", listed)) == codes


def test_changelog_knows_the_version() -> None:
    """The version of pyproject.toml has its section in the change log."""
    (version,) = re.findall(
        r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE
    )
    assert f"\n## [{version}] - " in (ROOT / "CHANGELOG.md").read_text()


INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]


def test_serverless_settings_are_ours() -> None:
    """The environment of serverless.yml is one the function accepts, all of it."""
    variables = INPUTS["environment"]["variables"]
    assert all(name in README for name in variables)
    Settings.from_environ(variables)


def test_serverless_triggers_agree_with_the_settings() -> None:
    """Both triggers are switched on, and what the first sends is an allowed source."""
    triggers = {kind: body["parameters"] for e in INPUTS["events"] for kind, body in e.items()}
    assert triggers["cos"]["enable"] is triggers["timer"]["enable"] is True
    bucket = triggers["cos"]["bucket"].split(".")[0]
    settings = Settings.from_environ(INPUTS["environment"]["variables"])
    assert settings.allows(bucket, triggers["cos"]["filter"]["prefix"] + "x.json")
    assert len(triggers["timer"]["cronExpression"].split()) == 7
    argument = triggers["timer"]["argument"].encode()
    pointer = documents.read(argument, region=INPUTS["region"])
    assert isinstance(pointer, documents.Pointer)
    assert settings.allows(pointer.bucket, pointer.key)


def test_policy_names_the_actions_that_the_code_calls() -> None:
    """The run policy allows what the code calls, nothing else."""
    policy = json.loads((ROOT / "deploy/policy.json").read_text())
    allowed = {action for s in policy["statement"] for action in s["action"]}
    source = (ROOT / "handler/image_steward/images.py").read_text(encoding="utf-8")
    calls = {"cvm:DescribeImages", "cvm:ModifyImageAttribute", "cos:GetObject"}
    calls |= {f"tag:{action}" for action in re.findall(r'_tag_call\(call, "(\w+)"', source)}
    assert all(f'"{call.split(":")[1]}"' in source for call in calls if "cos" not in call)
    assert allowed == {f"name/{call}" for call in calls}
