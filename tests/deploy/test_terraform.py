"""deploy/main.tf makes the same API calls as serverless.yml, in an order that SCF allows.

Its alarm is held to what the deployed function logs, in an emulated cloud.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import pytest
import yaml

import bundle
import payloads
from conftest import ROOT, cos_event
from scf_client import RUNTIME, ScfClient, zipped
from scf_deploy.code import Code
from scf_local.cloud.cls import queries
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

TEXT = (ROOT / "deploy/main.tf").read_text(encoding="utf-8")
PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
INPUTS = yaml.safe_load((ROOT / "serverless.yml").read_text(encoding="utf-8"))["inputs"]
CALLS = payloads.payloads(INPUTS, Code(b""))
STRING = r'"(?:[^"\\]|\\.)*"'


def members(text: str) -> dict[str, Any]:
    """All `name = value` of a text whose value is a string, a number or a boolean."""
    pairs = re.findall(rf"(?<!\w)(\w+) += ({STRING}|-?\d+|true|false)(?=[\s,)])", text)
    return {name: json.loads(value) for name, value in pairs}


LOCALS_TEXT = re.findall(r"^locals \{\n(.*?)^\}", TEXT, re.DOTALL | re.MULTILINE)[0]
LOCALS = members(LOCALS_TEXT)


def filled(text: str) -> str:
    """Return a text with the values of locals in it."""
    text = re.sub(r"\$\{local\.(\w+)\}", lambda match: str(LOCALS[match[1]]), text)
    known = rf"= local\.({'|'.join(LOCALS)})\b"
    return re.sub(known, lambda match: f"= {json.dumps(LOCALS[match[1]])}", text)


TERMS = re.findall(r'alarm = join\(" OR ", \[\n(.*?)\n  \]\)', LOCALS_TEXT, re.DOTALL)[0]
LOCALS["alarm"] = " OR ".join(map(json.loads, re.findall(STRING, filled(TERMS))))
RESOURCES = {
    f"{kind}.{name}": filled(body)
    for kind, name, body in re.findall(
        r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}', TEXT, re.DOTALL | re.MULTILINE
    )
}
ADDRESS = "tencentcloud_scf_function.steward"
DEPENDENTS = {
    "UpdateFunctionEventInvokeConfig": "tencentcloud_scf_function_event_invoke_config.retries",
    "PutReservedConcurrencyConfig": "tencentcloud_scf_reserved_concurrency_config.instances",
    "CreateTrigger.1-cos": "tencentcloud_scf_trigger.cos",
    "CreateTrigger.2-timer": "tencentcloud_scf_trigger.timer",
}
"""What belongs to the function, by the call that creates it."""


def resource(kind: str, name: str) -> dict[str, Any]:
    """The members of a resource and of its blocks, with locals filled in."""
    return members(RESOURCES[f"tencentcloud_{kind}.{name}"])


def references(address: str, argument: str) -> list[str]:
    """What a list among the arguments of a resource refers to."""
    (found,) = re.findall(rf" {argument} += \[(.*?)\]", RESOURCES[address])
    return str(found).split(", ")


def test_release() -> None:
    """The provider is one that has tencentcloud_scf_trigger, which came with 1.83.16."""
    (version,) = re.findall(r'"tencentcloudstack/tencentcloud"\n +version = "(.+)"', TEXT)
    assert version == ">= 1.83.16"


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


def test_runtime() -> None:
    """Another runtime replaces the function, since SCF refuses to change it."""
    assert "runtime           = local.runtime" in TEXT
    assert references(ADDRESS, "replace_triggered_by") == ["terraform_data.runtime"]
    assert RESOURCES["terraform_data.runtime"] == f'  input = "{LOCALS["runtime"]}"\n'


def test_replaced_function() -> None:
    """All that is gone with the function is created again when it is replaced."""
    function_name = f"function_name +?= {ADDRESS}.name\n"
    found = [address for address, body in RESOURCES.items() if re.search(function_name, body)]
    assert sorted(found) == sorted(DEPENDENTS.values())
    for address in DEPENDENTS.values():
        assert f"{ADDRESS}.id" in references(address, "replace_triggered_by")


def test_order() -> None:
    """Terraform makes one call after the other, in the order of `scf-deploy`."""
    actions = [action for action in CALLS if action in DEPENDENTS]
    assert sorted(actions) == sorted(DEPENDENTS)
    for action, following in pairwise(actions):
        assert references(DEPENDENTS[following], "depends_on") == [DEPENDENTS[action]]


def test_cos_trigger() -> None:
    """The COS trigger has the same bucket, event, prefix, suffix and status."""
    trigger, expected = resource("scf_trigger", "cos"), CALLS["CreateTrigger.1-cos"]
    described = {
        "event": LOCALS["event"],
        "filter": {"Prefix": LOCALS["Prefix"], "Suffix": LOCALS["Suffix"]},
    }
    assert described == json.loads(expected["TriggerDesc"])
    assert re.search(r"trigger_desc +?= local\.cos_trigger\n", TEXT)
    assert trigger["trigger_name"] == expected["TriggerName"]
    assert_common(trigger, expected)


def test_changed_cos_trigger() -> None:
    """A change of what starts the function replaces the COS trigger, as SCF cannot update it."""
    triggered_by = references("tencentcloud_scf_trigger.cos", "replace_triggered_by")
    assert "terraform_data.cos_trigger" in triggered_by
    assert RESOURCES["terraform_data.cos_trigger"] == "  input = local.cos_trigger\n"


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
    """The retry policy and the number of instances are the same, also on the page."""
    retries = CALLS["UpdateFunctionEventInvokeConfig"]["AsyncTriggerConfig"]
    config = resource("scf_function_event_invoke_config", "retries")
    assert config["msg_ttl"] == retries["MsgTTL"]
    assert [{"RetryNum": config["retry_num"]}] == retries["RetryConfig"]
    reserved = resource("scf_reserved_concurrency_config", "instances")["reserved_concurrency_mem"]
    assert reserved == CALLS["PutReservedConcurrencyConfig"]["ReservedConcurrencyMem"]
    assert f"with 0 or with {reserved}," in PAGE


def test_run_role() -> None:
    """The role has the name in serverless.yml, and is created from the same two files."""
    assert resource("cam_role", "run")["name"] == INPUTS["role"]
    assert "role              = tencentcloud_cam_role.run.name" in TEXT
    documents = re.findall(r'document = file\("\$\{path\.module\}/(.+)"\)', TEXT)
    assert documents == ["trust.json", "policy.json"]
    assert all((ROOT / "deploy" / name).exists() for name in documents)


# --- The log and the alarm ---

QUERY, _, ANALYSIS = resource("cls_alarm", "failed")["query"].partition(" | ")
USED = set(re.findall(r"(\w+):", QUERY))
"""The fields in the alarm's query."""
INDEXED = {
    name: kind
    for kind, names in re.findall(r"(text|long|double) += \[(.*?)\]", LOCALS_TEXT, re.DOTALL)
    for name in map(json.loads, re.findall(STRING, names))
}
IMAGES = {
    "ap-guangzhou": [
        {"ImageId": "img-6pb6lrmy", "ImageName": "web-17"},
        {"ImageId": "img-creating", "ImageName": "web-18", "ImageState": "CREATING"},
    ]
}
RENAME = {"ImageId": "img-6pb6lrmy", "ImageName": "web-19"}
EVENTS: list[object] = [
    {**RENAME, "DryRun": True},
    RENAME,
    cos_event("requests/"),
    {},
    {"Images": [RENAME, {"ImageId": "img-absent00", "ImageName": "web-20"}]},
    {"ImageId": "img-creating", "ImageName": "web-21"},
]
"""For each outcome of a run."""
CRASH = "def main_handler(event, context): raise SystemExit"


@dataclass(frozen=True)
class Logged:
    """How often the function had failed on an event, how the next run ended, and its records."""

    retry: int
    outcome: str
    records: list[dict[str, str]]

    def meets(self, query: str, *, kind: str = "") -> bool:
        """Whether a query finds a record of the run, among those of a kind or all."""
        test = queries.parse(query, is_cql=True)
        return any(test(each) for each in self.records if kind in {"", each["SCF_Type"]})


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> list[Logged]:
    """What the deployed function logs of all events, and when other code crashes for a while."""
    target = tmp_path_factory.mktemp("bundle") / "function.zip"
    code = bundle.assemble(bundle.own_packages(), sys.executable, target).path.read_bytes()
    created = {**CALLS["CreateFunction"], "Runtime": RUNTIME, "Timeout": 4}
    name, _ = created.pop("FunctionName"), created.pop("Code")
    with EmulatedCloud(State(IMAGES, {LOCALS["bucket"]: {}})) as cloud:
        scf = ScfClient(cloud)
        scf.create(name, content=code, **created)
        scf("UpdateFunctionEventInvokeConfig", **CALLS["UpdateFunctionEventInvokeConfig"])
        for event in EVENTS:
            scf.invoke(name, event, InvocationType="Event")
            scf.move(200)
        scf.update_code(name, zipped({"index.py": CRASH}))
        scf.invoke(name, RENAME, InvocationType="Event")
        scf.move(200)
        scf.invoke(name, RENAME, InvocationType="Event")
        scf.move(70)
        scf.update_code(name, code)
        scf.move(120)
        packages: dict[str, list[dict[str, str]]] = {}
        for record in next(iter(cloud.state.topics.records.values())):
            packages.setdefault(record.package, []).append(record.fields)
        runs = [*cloud.state.functions.runs]
    return [
        Logged(run.delivery.retry, run.result.outcome, records)
        for run, records in zip(runs, packages.values(), strict=True)
    ]


def test_alarm(logged: list[Logged]) -> None:
    """It finds each run with an error, and of those that SCF repeats the last one only."""
    found = [(each.outcome, each.retry, each.meets(QUERY)) for each in logged]
    assert found == [
        ("planned", 0, False), ("applied", 0, False), ("ignored", 0, False),
        ("rejected", 0, True), ("partial", 0, True),
        ("raised", 0, False), ("raised", 1, False), ("raised", 2, True),
        ("exited", 0, False), ("exited", 1, False), ("exited", 2, True),
        ("exited", 0, False), ("exited", 1, False), ("applied", 2, False),
    ]  # fmt: skip


def test_alarm_of_the_page(logged: list[Logged]) -> None:
    """The query for topics that SCF makes finds the same runs, with fields of SCF only."""
    (query,) = re.findall(r"```text\n(.+) \| select count\(\*\) as lines\n```", PAGE)
    assert [each.meets(query) for each in logged] == [each.meets(QUERY) for each in logged]
    assert all(name.startswith("SCF_") for name in re.findall(r"(\w+):", query))


def test_trial_of_the_alarm(logged: list[Logged]) -> None:
    """The event with which the page tries alarms sets them off."""
    for event in re.findall(r"(?s)Try it .*?--Event '(.+?)'", PAGE):
        assert logged[EVENTS.index(json.loads(event))].meets(QUERY)


def test_alarm_by_the_functions_own_lines(logged: list[Logged]) -> None:
    """It needs SCF's own lines for a crash only, since nobody has tried what SCF writes there."""
    for each in logged:
        is_found = each.meets(QUERY) and each.outcome != "exited"
        assert each.meets(QUERY, kind="Custom") == is_found


def test_fields(logged: list[Logged]) -> None:
    """The query uses fields that are logged; they and all of SCF's are indexed by their type."""
    delivered: dict[str, set[str]] = {}
    for name, value in (pair for each in logged for line in each.records for pair in line.items()):
        delivered.setdefault(name, set()).add(value)
    lines = [json.loads(line) for line in delivered["SCF_Message"] if line.startswith("{")]
    own = {name for line in lines for name in line}
    assert delivered.keys() | own >= INDEXED.keys() >= delivered.keys() | USED | {"Event"}
    for name, kind in INDEXED.items():
        values = delivered.get(name, {"a text"})
        is_long, is_double = (
            all(re.fullmatch(form, value) for value in values) for form in (r"\d+", r"\d+\.\d+")
        )
        assert kind == ("long" if is_long else "double" if is_double else "text")


def test_condition() -> None:
    """The alarm counts lines of the topic, and looks back further than to its last look."""
    alarm = resource("cls_alarm", "failed")
    assert (ANALYSIS, alarm["condition"]) == ("select count(*) as lines", "$1.lines > 0")
    assert alarm["start_time_offset"] < -alarm["time"] < alarm["end_time_offset"] == 0
    assert alarm["syntax_rule"] == 1  # CQL
    for each in ("logset", "topic"):
        one = rf" {each}_id +?= one\(tencentcloud_cls_{each}\.log\[\*\]\.id\)\n"
        assert re.search(one, RESOURCES["tencentcloud_cls_alarm.failed"])
    assert re.search(r"condition +?= var\.logs\n", RESOURCES["tencentcloud_cls_alarm.failed"])


def test_log_topic() -> None:
    """No line is lost or not indexed: the function is created with the topic, after its index."""
    for each in ("logset", "topic"):
        one = rf" cls_{each}_id +?= one\(tencentcloud_cls_{each}\.log\[\*\]\.id\)\n"
        assert re.search(one, RESOURCES[ADDRESS])
    assert "tencentcloud_cls_index.log" in references(ADDRESS, "depends_on")
    index = RESOURCES["tencentcloud_cls_index.log"]
    values = dict(re.findall(r" (\w+) += (key_values\.value\.\w+)\n", index))
    assert values == {"key": "key_values.value.name", "type": "key_values.value.type"}
    assert members(index)["sql_flag"]


def test_webhook_is_a_secret() -> None:
    """Without a URL there is no alarm; the URL itself is not printed."""
    (variable,) = re.findall(
        r'^variable "alarm_webhook" \{\n(.*?)^\}', TEXT, re.DOTALL | re.MULTILINE
    )
    assert members(variable)["default"] == ""
    assert members(variable)["sensitive"]
    notice = RESOURCES["tencentcloud_cls_alarm_notice.bot"]
    assert 'count = var.alarm_webhook == "" ? 0 : 1\n' in notice
    assert re.search(r" url +?= var\.alarm_webhook\n", notice)
    (count,) = re.findall(r" count += (.+)\n", RESOURCES["tencentcloud_cls_alarm.failed"])
    assert count == "length(tencentcloud_cls_alarm_notice.bot)"
