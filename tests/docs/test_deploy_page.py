"""docs/deploy.md: its commands exist, its outputs are real, its figures follow from the formula.

`UPDATE_GOLDEN=1 pytest tests/docs/test_deploy_page.py` renews the outputs.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
import yaml
from tencentcloud.scf.v20180416 import models

import cost
import payloads
from conftest import ROOT, Function
from scf_deploy import serverless_file
from scf_deploy.cli import main
from scf_deploy.code import Code
from scf_deploy.errors import InvalidFile
from scf_local.cloud import cos_objects
from scf_local.cloud.cam import service as cam
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from shipped import Shipped

if TYPE_CHECKING:
    from pathlib import Path


PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
PAYLOADS = payloads.payloads(INPUTS, Code(b""))
OUTPUTS = re.findall(r"```text\n([\s\S]*?)```", PAGE)[:2]
"""That of a check is held by tests/deploy/test_live_check.py."""
COMMANDS = re.findall(r"^tccli scf (\w+) (.*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("action", "options"), COMMANDS)
def test_tccli(action: str, options: str) -> None:
    """Each call of `tccli scf` exists, with known parameters, or with the file made for it."""
    request = getattr(models, f"{action}Request")()
    for option in re.findall(r"--([A-Z]\w+)", options):
        assert hasattr(request, option)
    for file in re.findall(r"file://build/deploy/(\S+)\.json", options):
        assert file in PAYLOADS
        assert file.partition(".")[0] == action


def test_every_payload_is_used() -> None:
    """The page says what each file of `make payloads` is for."""
    named = set(re.findall(r"build/deploy/(\S+)\.json", PAGE))
    assert named == PAYLOADS.keys()


def test_waits_until_active() -> None:
    """With tccli, each call that changes the function itself is followed by a wait."""
    after = re.findall(
        r"^tccli scf (?:Create|Update)Function(?:Code|Config\w+)? .*\n(.*)", PAGE, re.MULTILINE
    )
    assert after == ["active"] * 3


@pytest.fixture
def shipped(tmp_path: Path) -> Shipped:
    """What is deployed."""
    return Shipped(tmp_path)


@pytest.fixture
def outputs(shipped: Shipped, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The outputs on the page, in an account whose ids are not the placeholders."""
    for module in (cam, cos_objects):
        monkeypatch.setattr(module, "APPID", "1250000001")
    monkeypatch.setattr(cam, "UIN", "100000000002")
    with EmulatedCloud(State(), limits=False) as cloud:
        plan = shipped.run(cloud, "plan").stdout
        shipped.run(cloud, "apply", "--yes")
        shipped.edit("serverless.yml", "prefix: requests/", "prefix: in/")
        shipped.edit("serverless.yml", "'0 17 3 * * * *'", "'0 30 4 * * * *'")
        shipped.edit("serverless.yml", "memorySize: 128", "memorySize: 256")
        shipped.edit("build/function/index.py", "...", "pass")
        lines = re.findall(r"^\w+ .*\n(?: .*\n)*", shipped.run(cloud, "plan").stdout, re.MULTILINE)
    changed = [line for line in lines if line.startswith(("change", "replace"))]
    return [re.sub("Not in Tencent's cloud: .*\n", "", plan), "".join(changed)]


def test_outputs(outputs: list[str]) -> None:
    """The page shows what the commands print, at 100 columns."""
    if "UPDATE_GOLDEN" in os.environ:
        text = iter(outputs)
        page = re.sub(r"```text\n[\s\S]*?```", lambda _: f"```text\n{next(text)}```", PAGE, count=2)
        (ROOT / "docs/deploy.md").write_text(page, encoding="utf-8")
    else:
        assert outputs == OUTPUTS


def test_options_and_commands() -> None:
    """The page names each command of scf-deploy, each option and each target of make."""
    section = PAGE[PAGE.index("## 1. Deploy") : PAGE.index("### The plan")]
    assert set(re.findall(r"`scf-deploy (\w+)", section)) == main.commands.keys()
    options = {
        name for each in main.commands.values() for option in each.params for name in option.opts
    }
    assert set(re.findall(r"`(--[a-z-]+)", section)) == options - {"file"}


def test_members_of_serverless_yml() -> None:
    """The table for other functions has the members that are read, and no others."""
    path = ROOT / "deploy/scf_deploy/serverless.json"
    members = json.loads(path.read_text(encoding="utf-8"))["properties"]["inputs"]["properties"]
    page = (ROOT / "docs/any-function.md").read_text(encoding="utf-8")
    table = page[page.index("| Members |") : page.index("`name`, `app` and `stage`")]
    first = re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", " ".join(first))) == members.keys()


def test_smallest_file(shipped: Shipped) -> None:
    """The page's example of another function is a whole file, of which no member may go."""
    page = (ROOT / "docs/any-function.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(component: [\s\S]+?)```", page)
    (shipped.folder / "build/function").rename(shipped.folder / "src")
    shutil.rmtree(shipped.folder / "deploy")
    path = shipped.folder / "serverless.yml"
    path.write_text(example, encoding="utf-8")
    inputs = dict(serverless_file.read(path).inputs)
    with EmulatedCloud(State(), limits=False) as cloud:
        assert shipped.run(cloud, "apply", "--yes").exit_code == 0
        assert shipped.run(cloud, "plan").exit_code == 0
    for name in inputs.keys() - {"events"}:
        less = {each: inputs[each] for each in inputs if each != name}
        path.write_text(yaml.safe_dump({"component": "scf", "inputs": less}), encoding="utf-8")
        with pytest.raises(InvalidFile, match=f"member {name} is missing"):
            serverless_file.read(path)


def test_region_without_the_runtime(shipped: Shipped) -> None:
    """The page's command changes the runtime in both files, and both stay valid."""
    (command,) = re.findall(r"^sed -i.bak s/Python.*", PAGE, re.MULTILINE)
    shutil.copyfile(ROOT / "deploy/main.tf", shipped.folder / "deploy/main.tf")
    subprocess.run(command.split(), cwd=shipped.folder, check=True)  # noqa: S603 - the page's command
    found = serverless_file.read(shipped.folder / "serverless.yml")
    assert found.inputs == {**INPUTS, "runtime": "Python3.10"}
    text = (shipped.folder / "deploy/main.tf").read_text(encoding="utf-8")
    assert re.findall(r' runtime += "(.+)"', text) == ["Python3.10"]


def test_another_bucket(shipped: Shipped) -> None:
    """The page's command gives the bucket another name, and the function another region."""
    (command,) = re.findall(r"^ *(sed -i.bak -e .*\n.*main.tf)$", PAGE, re.MULTILINE)
    for name in ("main.tf", "deployer.json"):
        shutil.copyfile(ROOT / "deploy" / name, shipped.folder / "deploy" / name)
    place = {"BUCKET": "box", "REGION": "ap-beijing", "PATH": os.environ["PATH"]}
    subprocess.run(["sh", "-c", command], cwd=shipped.folder, env=place, check=True)  # noqa: S603, S607 - the page's command
    account = serverless_file.Account("100000000002", "1250000001")
    wanted = serverless_file.read(shipped.folder / "serverless.yml").deployment(account)
    assert (wanted.region, wanted.buckets) == ("ap-beijing", ["box-1250000001"])
    resources = re.findall(r"qcs::cos:[^\"]+", json.dumps(wanted.policy))
    prefix = "qcs::cos:ap-beijing:uid/1250000001:box-1250000001/"
    assert all(each.startswith(prefix) for each in resources)
    for name in ("main.tf", "deployer.json"):
        text = (shipped.folder / "deploy" / name).read_text(encoding="utf-8")
        left = [line for line in text.splitlines() if "ap-guangzhou" in line]
        assert all("STEWARD_REGIONS" in line for line in left)
        assert "box-1250000000" in text


def test_formula() -> None:
    """The page shows the formula of the table, which gives the known cost of 128 MB for 500 ms."""
    (formula,) = re.findall(r"A run costs `(.+?)` USD", PAGE)
    for memory_mb, milliseconds in ((128, 500.0), (3072, 1.0)):
        text = formula.replace("MB", str(memory_mb)).replace("ms", str(milliseconds))
        assert eval(text) == pytest.approx(cost.usd(memory_mb, milliseconds))  # noqa: S307 - our page
    assert cost.gb_seconds(128, 500) == 0.0625
    assert cost.usd(128, 500) == pytest.approx(1.04e-6 + 0.2e-6, rel=0.01)


@pytest.mark.parametrize("workload", cost.WORKLOADS)
def test_durations(workload: cost.Workload) -> None:
    """Each duration in the table equals the formula beside it."""
    assert eval(workload.formula) == pytest.approx(workload.milliseconds)  # noqa: S307 - our formula


def test_table_of_another_memory() -> None:
    """Twice the memory costs twice the GB-seconds, and as much for the calls."""
    assert cost.gb_seconds(256, 500) == 2 * cost.gb_seconds(128, 500)
    assert cost.usd(256, 0) == cost.usd(128, 0) == cost.CALL
    assert "0.1200" in cost.table(256)


def test_number_of_calls(function: Function) -> None:
    """An upload that names one image makes as many calls as its cost assumes."""
    event = function.uploaded({"ImageId": "img-6pb6lrmy", "ImageName": "sample"})
    result = function(event, STEWARD_JOURNAL="manifests-1250000000/journal/")
    assert result["Outcome"] == "applied"
    assert [call["Action"] for call in function.cloud.state.calls] == [
        "GetObject", "DescribeImages", "DescribeImages", "PutObject", "ModifyImageAttribute",
        "PutObject",
    ]  # fmt: skip
    assert len(function.cloud.state.calls) == cost.UPLOAD_CALLS
