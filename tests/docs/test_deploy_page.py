"""docs/deploy.md: its commands exist, and its figures follow from the formula."""

from __future__ import annotations

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
from scf_deploy.code import Code
from serverless_rules import violations

if TYPE_CHECKING:
    from pathlib import Path

PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
COMMANDS = re.findall(r"^tccli scf (\w+) (.*)", PAGE, re.MULTILINE)


@pytest.mark.parametrize(("action", "options"), COMMANDS)
def test_tccli(action: str, options: str) -> None:
    """Each call of `tccli scf` exists, with known parameters, or with the file made for it."""
    request = getattr(models, f"{action}Request")()
    for option in re.findall(r"--([A-Z]\w+)", options):
        assert hasattr(request, option)
    for file in re.findall(r"file://build/deploy/(\S+)\.json", options):
        assert file in payloads.payloads(INPUTS, Code(b""))
        assert file.partition(".")[0] == action


def test_every_payload_is_used() -> None:
    """The page says what each file of `make payloads` is for."""
    named = set(re.findall(r"build/deploy/(\S+)\.json", PAGE))
    assert named == payloads.payloads(INPUTS, Code(b"")).keys()


def test_values_of_the_console() -> None:
    """The console values on the page equal those in serverless.yml."""
    (cos,) = (event["cos"]["parameters"] for event in INPUTS["events"] if "cos" in event)
    (timer,) = (event["timer"]["parameters"] for event in INPUTS["events"] if "timer" in event)
    console = PAGE[PAGE.index("### b. Console") : PAGE.index("### c. tccli")]
    typed = [
        f"| Runtime | {INPUTS['runtime'].replace('Python', 'Python ')} |",
        f"| Handler | `{INPUTS['handler']}` |", f"| Memory | {INPUTS['memorySize']} MB |",
        f"| Execution timeout | {INPUTS['timeout']} s |",
        f"| Initialization timeout | {INPUTS['initTimeout']} s |",
        f"| Execution role | `{INPUTS['role']}` |", f"`{cos['events']}`",
        f"prefix `{cos['filter']['prefix']}`", f"suffix `{cos['filter']['suffix']}`",
        f"`{timer['cronExpression']}`",
    ]  # fmt: skip
    shown = " ".join(console.split())
    assert [text for text in typed if text not in shown] == []


def test_region_without_the_runtime(tmp_path: Path) -> None:
    """The page's command changes the runtime in both files, and both stay valid."""
    (command,) = re.findall(r"^sed -i.bak s/Python.*", PAGE, re.MULTILINE)
    (tmp_path / "deploy").mkdir()
    for name in ("serverless.yml", "deploy/main.tf"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    subprocess.run(command.split(), cwd=tmp_path, check=True)  # noqa: S603 - the page's command
    content = yaml.safe_load((tmp_path / "serverless.yml").read_text(encoding="utf-8"))
    assert violations(content) == []
    assert content["inputs"] == {**INPUTS, "runtime": "Python3.10"}
    text = (tmp_path / "deploy/main.tf").read_text(encoding="utf-8")
    assert re.findall(r' runtime += "(.+)"', text) == ["Python3.10"]


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
