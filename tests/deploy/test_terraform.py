"""deploy/main.tf makes the same API calls as serverless.yml."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

import payloads
from conftest import ROOT
from scf_deploy.code import Code

TEXT = (ROOT / "deploy/main.tf").read_text(encoding="utf-8")
INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
CALLS = payloads.payloads(INPUTS, Code(b""))


def members(text: str) -> dict[str, Any]:
    """All `name = value` of a text whose value is a string, a number or a boolean."""
    pairs = re.findall(r'(?<!\w)(\w+) += (".*?"|\d+|true|false)(?=[\s,)])', text)
    return {name: json.loads(value) for name, value in pairs}


LOCALS = members(re.findall(r"^locals \{\n(.*?)^\}", TEXT, re.DOTALL | re.MULTILINE)[0])


def resource(kind: str, name: str) -> dict[str, Any]:
    """The members of a resource and of its blocks, with locals filled in."""
    pattern = rf'^resource "tencentcloud_{kind}" "{name}" \{{\n(.*?)^\}}'
    (body,) = re.findall(pattern, TEXT, re.DOTALL | re.MULTILINE)
    return members(re.sub(r"\$\{local\.(\w+)\}", lambda match: LOCALS[match[1]], body))


def test_function() -> None:
    """The function has the same name, code settings, limits and environment."""
    function, expected = resource("scf_function", "steward"), CALLS["CreateFunction"]
    names = {
        "name": "FunctionName",
        "func_type": "Type",
        "handler": "Handler",
        "runtime": "Runtime",
        "mem_size": "MemorySize",
        "timeout": "Timeout",
    }
    assert {names[n]: function[n] for n in names} == {n: expected[n] for n in names.values()}
    environment = {name: value for name, value in function.items() if name.isupper()}
    assert environment == INPUTS["environment"]["variables"]
    assert function["enable_public_net"]
    assert LOCALS["region"] == INPUTS["region"]


def test_cos_trigger() -> None:
    """The COS trigger has the same bucket, event, prefix, suffix and status."""
    trigger, expected = resource("scf_trigger", "cos"), CALLS["CreateTrigger.1-cos"]
    described = {
        "event": trigger["event"],
        "filter": {"Prefix": trigger["Prefix"], "Suffix": trigger["Suffix"]},
    }
    assert described == json.loads(expected["TriggerDesc"])
    assert trigger["trigger_name"] == expected["TriggerName"]
    assert_common(trigger, expected)


def test_timer() -> None:
    """The timer has the same name, cron expression, argument and status."""
    trigger, expected = resource("scf_trigger", "timer"), CALLS["CreateTrigger.2-timer"]
    assert trigger["trigger_name"] == expected["TriggerName"]
    assert trigger["trigger_desc"] == expected["TriggerDesc"]
    assert {"Document": trigger["Document"]} == json.loads(expected["CustomArgument"])
    assert_common(trigger, expected)


def assert_common(trigger: dict[str, Any], expected: dict[str, Any]) -> None:
    """The members that every trigger has are equal."""
    names = {"type": "Type", "qualifier": "Qualifier", "enable": "Enable"}
    assert {names[n]: trigger[n] for n in names} == {n: expected[n] for n in names.values()}


def test_retries_and_instances() -> None:
    """The retry policy and the number of instances are the same."""
    retries = CALLS["UpdateFunctionEventInvokeConfig"]["AsyncTriggerConfig"]
    config = resource("scf_function_event_invoke_config", "retries")
    assert config["msg_ttl"] == retries["MsgTTL"]
    assert [{"RetryNum": config["retry_num"]}] == retries["RetryConfig"]
    reserved = resource("scf_reserved_concurrency_config", "instances")["reserved_concurrency_mem"]
    assert reserved == CALLS["PutReservedConcurrencyConfig"]["ReservedConcurrencyMem"]


def test_run_role() -> None:
    """The role has the name in serverless.yml, and is created from the same two files."""
    assert resource("cam_role", "run")["name"] == INPUTS["role"]
    assert "role              = tencentcloud_cam_role.run.name" in TEXT
    documents = re.findall(r'document = file\("\$\{path\.module\}/(.+)"\)', TEXT)
    assert documents == ["trust.json", "policy.json"]
    assert all((ROOT / "deploy" / name).exists() for name in documents)
