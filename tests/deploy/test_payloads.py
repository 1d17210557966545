"""The API calls that serverless.yml leads to are such as the SDK's models know."""

from __future__ import annotations

import base64
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from tencentcloud.scf.v20180416 import models

import payloads
from conftest import ROOT

INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
CODE = b"PK\x05\x06" + bytes(18)
CALLS = payloads.payloads(INPUTS, CODE)


def requested(name: str, payload: dict[str, Any]) -> Any:  # noqa: ANN401 - the SDK has no types
    """The SDK's request of a call; a member that it does not know is a warning, so an error."""
    request = getattr(models, f"{name.partition('.')[0]}Request")()
    request.from_json_string(json.dumps(payload))
    return request


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_knows_every_member(name: str) -> None:
    """Each call reads as the SDK's request and comes out of it as it went in."""
    assert requested(name, CALLS[name])._serialize(allow_none=False) == CALLS[name]


def test_an_unknown_member_is_found() -> None:
    """A member that the API does not have fails, at any depth."""
    with pytest.raises(UserWarning, match="Memory fileds are useless"):
        requested("CreateFunction", {**CALLS["CreateFunction"], "Memory": 128})
    wrong = {"AsyncTriggerConfig": {"RetryConfig": [{"Number": 2}], "MsgTTL": 1}}
    with pytest.raises(UserWarning, match="Number fileds are useless"):
        requested("UpdateFunctionEventInvokeConfig", wrong)


def test_create_function() -> None:
    """The function is made as the file says, of the zip in base64."""
    call = dict(CALLS["CreateFunction"])
    assert base64.b64decode(call.pop("Code")["ZipFile"]) == CODE
    variables = {each["Key"]: each["Value"] for each in call.pop("Environment")["Variables"]}
    assert variables == INPUTS["environment"]["variables"]
    assert call == {
        "FunctionName": "image-steward", "Type": "Event", "Runtime": INPUTS["runtime"],
        "Handler": "index.main_handler", "Role": "image-steward", "MemorySize": 128,
        "Timeout": 900, "InitTimeout": 10,
    }  # fmt: skip


def test_updates() -> None:
    """An upgrade carries the same code and the same settings as the creation."""
    created = CALLS["CreateFunction"]
    assert CALLS["UpdateFunctionCode"]["ZipFile"] == created["Code"]["ZipFile"]
    updated = CALLS["UpdateFunctionConfiguration"]
    assert updated.items() <= created.items()
    assert created.keys() - updated.keys() == {"Type", "Runtime", "Handler", "Code"}


def test_triggers() -> None:
    """A COS trigger is described by JSON without blanks, a timer by its bare cron expression."""
    cos, timer = (
        dict(event[kind]["parameters"])
        for event, kind in zip(INPUTS["events"], ("cos", "timer"), strict=True)
    )
    assert CALLS["CreateTrigger.1-cos"] == {
        "FunctionName": "image-steward",
        "Type": "cos",
        "TriggerName": cos["bucket"],
        "TriggerDesc": (
            '{"event":"cos:ObjectCreated:*","filter":{"Prefix":"requests/","Suffix":".json"}}'
        ),
        "Qualifier": "$DEFAULT",
        "Enable": "OPEN",
    }
    assert CALLS["CreateTrigger.2-timer"] == {
        "FunctionName": "image-steward",
        "Type": "timer",
        "TriggerName": "nightly",
        "TriggerDesc": "0 17 3 * * * *",
        "CustomArgument": timer["argument"],
        "Qualifier": "$DEFAULT",
        "Enable": "OPEN",
    }


def test_retries_and_instances() -> None:
    """A run that raised is tried twice more within six hours, two runs go side by side."""
    assert CALLS["UpdateFunctionEventInvokeConfig"] == {
        "FunctionName": "image-steward",
        "AsyncTriggerConfig": {"RetryConfig": [{"RetryNum": 2}], "MsgTTL": 21600},
    }
    assert CALLS["PutReservedConcurrencyConfig"] == {
        "FunctionName": "image-steward",
        "ReservedConcurrencyMem": 256,
    }


def test_log_delivery() -> None:
    """Logset and topic go along where the file names them, and nothing does where it does not."""
    assert "ClsTopicId" not in CALLS["CreateFunction"]
    calls = payloads.payloads({**INPUTS, "cls": {"logsetId": "l-1", "topicId": "t-1"}}, b"")
    for name in ("CreateFunction", "UpdateFunctionConfiguration"):
        assert (calls[name]["ClsLogsetId"], calls[name]["ClsTopicId"]) == ("l-1", "t-1")
        requested(name, calls[name])


def test_a_trigger_that_is_off_stays_off() -> None:
    """`enable: false` becomes CLOSE."""
    timer = {**INPUTS["events"][1]["timer"]["parameters"], "enable": False}
    calls = payloads.payloads({**INPUTS, "events": [{"timer": {"parameters": timer}}]}, b"")
    assert calls["CreateTrigger.1-timer"]["Enable"] == "CLOSE"


def test_an_unknown_trigger_is_refused() -> None:
    """A trigger of another kind is an error that says what is allowed."""
    with pytest.raises(ValueError, match="trigger ckafka is not supported; allowed: cos, timer"):
        payloads.payloads({**INPUTS, "events": [{"ckafka": {"parameters": {}}}]}, b"")


def bundled(path: Path, runtime: str) -> None:
    """A zip with the bytecode of a module for this runtime."""
    with zipfile.ZipFile(path, "w") as archive:
        tag = runtime.replace("Python3.", "cpython-3")
        archive.writestr(f"__pycache__/index.{tag}.pyc", b"")


def test_bundle_for_another_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No call is made of a zip that the runtime could not run; what to do is said."""
    monkeypatch.setattr(payloads, "CODE", tmp_path / "function.zip")
    monkeypatch.setattr(payloads, "TARGET", tmp_path / "deploy")
    bundled(tmp_path / "function.zip", "Python3.1")
    assert payloads.main() == 1
    told = f"is not for {INPUTS['runtime']}, the runtime in serverless.yml; run make bundle\n"
    assert capsys.readouterr().err == f"build/function.zip {told}"
    assert not (tmp_path / "deploy").exists()


def test_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make payloads` writes a file for each call and names it; without a zip it says so."""
    monkeypatch.setattr(payloads, "CODE", tmp_path / "function.zip")
    monkeypatch.setattr(payloads, "TARGET", tmp_path / "deploy")
    assert payloads.main() == 1
    assert capsys.readouterr().err == "build/function.zip was not found; run make bundle\n"
    bundled(tmp_path / "function.zip", INPUTS["runtime"])
    assert payloads.main() == 0
    files = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "deploy").iterdir()}
    assert files == payloads.payloads(INPUTS, (tmp_path / "function.zip").read_bytes())
    names = [Path(line).name for line in capsys.readouterr().out.split()]
    assert names == [f"{name}.json" for name in CALLS]
