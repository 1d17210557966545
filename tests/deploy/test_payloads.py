"""The API calls derived from serverless.yml match the SDK's models."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tencentcloud.scf.v20180416 import models

import payloads
from conftest import ROOT
from scf_deploy.code import Code

INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
CODE = Code(b"PK\x05\x06" + bytes(18))
NAMED = {"FunctionName": "image-steward", "Namespace": "default"}
CALLS = payloads.payloads(INPUTS, CODE)


def request_of(name: str, payload: dict[str, Any]) -> Any:  # noqa: ANN401 - the SDK has no types
    """The SDK's request for a call; an unknown member raises a warning, which is an error."""
    request = getattr(models, f"{name.partition('.')[0]}Request")()
    request.from_json_string(json.dumps(payload))
    return request


@pytest.mark.parametrize("name", CALLS)
def test_the_sdk_knows_every_member(name: str) -> None:
    """The SDK can read each call, and writes it back unchanged."""
    assert request_of(name, CALLS[name])._serialize(allow_none=False) == CALLS[name]


def test_unknown_member_fails() -> None:
    """A member that the API does not have raises an error, at any depth."""
    with pytest.raises(UserWarning, match="Memory fileds are useless"):
        request_of("CreateFunction", {**CALLS["CreateFunction"], "Memory": 128})
    wrong = {"AsyncTriggerConfig": {"RetryConfig": [{"Number": 2}], "MsgTTL": 1}}
    with pytest.raises(UserWarning, match="Number fileds are useless"):
        request_of("UpdateFunctionEventInvokeConfig", wrong)


def test_create_function() -> None:
    """The function is created with the file's settings and with the zip in base64."""
    call = dict(CALLS["CreateFunction"])
    assert base64.b64decode(call.pop("Code")["ZipFile"]) == CODE.content
    variables = {
        variable["Key"]: variable["Value"] for variable in call.pop("Environment")["Variables"]
    }
    assert variables == INPUTS["environment"]["variables"]
    assert call == {
        **NAMED, "Type": "Event", "Runtime": INPUTS["runtime"], "Handler": "index.main_handler",
        "Role": "image-steward", "MemorySize": 128, "Timeout": 900, "InitTimeout": 10,
        "AutoCreateClsTopic": "TRUE", "AutoDeployClsTopicIndex": "TRUE",
    }  # fmt: skip


def test_updates() -> None:
    """An upgrade has the same code and the same settings as the creation."""
    created = CALLS["CreateFunction"]
    code = {**NAMED, "Handler": created["Handler"], **created["Code"]}
    assert CALLS["UpdateFunctionCode"] == code
    updated = CALLS["UpdateFunctionConfiguration"]
    assert updated.items() <= created.items()
    assert created.keys() - updated.keys() == {
        "Type", "Runtime", "Handler", "Code", "AutoCreateClsTopic", "AutoDeployClsTopicIndex",
    }  # fmt: skip


def test_triggers() -> None:
    """A COS trigger is described by compact JSON, a timer by its cron expression."""
    cos, timer = (
        dict(event[kind]["parameters"])
        for event, kind in zip(INPUTS["events"], ("cos", "timer"), strict=True)
    )
    assert CALLS["CreateTrigger.1-cos"] == {
        **NAMED,
        "Type": "cos",
        "TriggerName": cos["bucket"],
        "TriggerDesc": (
            '{"event":"cos:ObjectCreated:*","filter":{"Prefix":"requests/","Suffix":".json"}}'
        ),
        "Qualifier": "$DEFAULT",
        "Enable": "OPEN",
    }
    assert CALLS["CreateTrigger.2-timer"] == {
        **NAMED,
        "Type": "timer",
        "TriggerName": "nightly",
        "TriggerDesc": "0 17 3 * * * *",
        "CustomArgument": timer["argument"],
        "Qualifier": "$DEFAULT",
        "Enable": "OPEN",
    }


def test_retries_and_instances() -> None:
    """A failed run is retried twice within six hours, and two runs may be parallel."""
    assert CALLS["UpdateFunctionEventInvokeConfig"] == {
        **NAMED,
        "AsyncTriggerConfig": {"RetryConfig": [{"RetryNum": 2}], "MsgTTL": 21600},
    }
    assert CALLS["PutReservedConcurrencyConfig"] == {
        **NAMED,
        "ReservedConcurrencyMem": 256,
    }


def test_log_delivery() -> None:
    """Logset and topic are sent only if the file names them."""
    assert "ClsTopicId" not in CALLS["CreateFunction"]
    calls = payloads.payloads({**INPUTS, "cls": {"logsetId": "l-1", "topicId": "t-1"}}, CODE)
    assert "AutoCreateClsTopic" not in calls["CreateFunction"]
    for name in ("CreateFunction", "UpdateFunctionConfiguration"):
        assert (calls[name]["ClsLogsetId"], calls[name]["ClsTopicId"]) == ("l-1", "t-1")
        request_of(name, calls[name])


def test_disabled_trigger() -> None:
    """`enable: false` becomes CLOSE."""
    timer = {**INPUTS["events"][1]["timer"]["parameters"], "enable": False}
    calls = payloads.payloads({**INPUTS, "events": [{"timer": {"parameters": timer}}]}, CODE)
    assert calls["CreateTrigger.1-timer"]["Enable"] == "CLOSE"


def test_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make payloads` writes and lists a file per call, and fails without the code."""
    monkeypatch.setattr(payloads, "ROOT", tmp_path)
    monkeypatch.setattr(payloads, "TARGET", tmp_path / "deploy")
    (tmp_path / "serverless.yml").write_bytes((ROOT / "serverless.yml").read_bytes())
    assert payloads.main() == 1
    assert "build/function: no folder or zip to read" in capsys.readouterr().err
    assert not (tmp_path / "deploy").exists()
    (folder := tmp_path / "build" / "function").mkdir(parents=True)
    (folder / "index.py").write_text("", encoding="utf-8")
    assert payloads.main() == 0
    files = {path.stem: json.loads(path.read_text()) for path in (tmp_path / "deploy").iterdir()}
    assert files == payloads.payloads(INPUTS, Code.of_folder(folder))
    names = [Path(line).name for line in capsys.readouterr().out.split()]
    assert names == [f"{name}.json" for name in CALLS]
