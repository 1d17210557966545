"""serverless.yml follows the rules of the component and the platform, and every rule can fail."""

from __future__ import annotations

import copy
import operator
from functools import reduce
from typing import Any

import pytest
import yaml

from conftest import ROOT
from image_steward import registry
from image_steward.model import CosObject
from serverless_rules import RULES, ServerlessFile, is_cron, violations

TEXT = (ROOT / "serverless.yml").read_text(encoding="utf-8")
CONTENT = yaml.safe_load(TEXT)
FILE = ServerlessFile(CONTENT)

COS = ("inputs", "events", 0, "cos", "parameters")
TIMER = ("inputs", "events", 1, "timer", "parameters")
VARIABLES = ("inputs", "environment", "variables")
BUCKET, _, DOMAIN = FILE.triggers("cos")[0]["bucket"].partition(".")

MUTATIONS: list[tuple[str, tuple[str | int, ...], object]] = [
    ("component", ("component",), "multi-scf"),
    ("instance name", ("name",), "image steward"),
    ("no unknown members", ("provider",), "tencent"),
    ("no unknown members", ("inputs", "memory"), 128),
    ("no unknown members", (*TIMER, "cron"), "0 17 3 * * * *"),
    ("no unknown members", (*COS, "suffix"), ".json"),
    ("function name of 2 to 60 characters", ("inputs", "name"), "image-steward-"),
    ("function name of 2 to 60 characters", ("inputs", "name"), "i" * 61),
    ("function name of 2 to 60 characters", ("inputs", "name"), "1st"),
    ("type", ("inputs", "type"), "web"),
    ("handler is file.function, 2 to 60 characters each", ("inputs", "handler"), "main_handler"),
    ("handler is file.function, 2 to 60 characters each", ("inputs", "handler"), "index.m"),
    ("runtime is supported", ("inputs", "runtime"), "Python3.9"),
    ("runtime is supported", ("inputs", "runtime"), "Python3.14"),
    ("region", ("inputs", "region"), "gz"),
    ("role is set, for credentials", ("inputs", "role"), None),
    ("memory", ("inputs", "memorySize"), 192),
    ("memory", ("inputs", "memorySize"), 3200),
    ("memory", ("inputs", "memorySize"), "128"),
    ("timeout of 1 to 900 s", ("inputs", "timeout"), 0),
    ("timeout of 1 to 900 s", ("inputs", "timeout"), 901),
    ("initTimeout of 3 to 300 s", ("inputs", "initTimeout"), 2),
    ("initTimeout of 3 to 300 s", ("inputs", "initTimeout"), 301),
    ("names of variables", (*VARIABLES, "2ND"), "x"),
    ("names of variables", (*VARIABLES, "A-B"), "x"),
    ("no reserved names", (*VARIABLES, "TENCENTCLOUD_SECRETID"), "x"),
    ("no reserved names", (*VARIABLES, "SCF_NAME"), "x"),
    ("no reserved names", (*VARIABLES, "QCLOUD_X"), "x"),
    ("values of variables are non-empty texts", (*VARIABLES, "STEWARD_DRY_RUN"), 0),
    ("values of variables are non-empty texts", (*VARIABLES, "NOTE"), ""),
    ("environment of at most 4 KB", (*VARIABLES, "NOTE"), "x" * 4000),
    ("settings are valid", (*VARIABLES, "STEWARD_LOG_LEVEL"), "VERBOSE"),
    ("timer name of at most 60 characters", (*TIMER, "name"), "n" * 61),
    ("timer name of at most 60 characters", (*TIMER, "name"), "every night"),
    ("timer names are unique", ("inputs", "events", 2), CONTENT["inputs"]["events"][1]),
    ("cron", (*TIMER, "cronExpression"), "17 3 * * *"),
    ("cron", (*TIMER, "cronExpression"), "0 60 3 * * * *"),
    ("argument is a text of at most 4 KB", (*TIMER, "argument"), "x" * 4097),
    ("argument is a text of at most 4 KB", (*TIMER, "argument"), {"Document": "cos://b-1/x"}),
    ("bucket's full name and XML domain", (*COS, "bucket"), f"-{BUCKET}.{DOMAIN}"),
    ("bucket in the function's region", (*COS, "bucket"),
     f"{BUCKET}.cos.ap-elsewhere.myqcloud.com"),
    ("events", (*COS, "events"), "cos:ObjectRemove:*"),
    ("suffix with a dot", (*COS, "filter", "suffix"), "json"),
    ("rules of a bucket do not overlap", ("inputs", "events", 2), CONTENT["inputs"]["events"][0]),
    ("enable is set, since its default is not clear", (*COS, "enable"), None),
    ("enable is set, since its default is not clear", (*TIMER, "enable"), "true"),
    ("qualifier", (*COS, "qualifier"), "$LATEST"),
    ("at most ten triggers of a kind", ("inputs", "events"), [
        CONTENT["inputs"]["events"][0],
        *({"timer": {"parameters": {**FILE.triggers("timer")[0], "name": f"t{i}"}}}
          for i in range(11)),
    ]),
    ("journal does not fire the trigger", (*VARIABLES, "STEWARD_JOURNAL"),
     f"{BUCKET}/requests/journal/"),
    ("settings are valid", (*VARIABLES, "STEWARD_JOURNAL"), f"{BUCKET}/"),
    ("documents of timers do not fire the COS trigger", (*TIMER, "argument"),
     f'{{"Document": "cos://{BUCKET}/requests/nightly.json"}}'),
    ("sources allow what fires the trigger", (*VARIABLES, "STEWARD_SOURCES"),
     f"{BUCKET}/requests-x/"),
    ("sources allow what fires the trigger", (*COS, "filter", "prefix"), "uploads/"),
]  # fmt: skip
"""The rule that each changed member breaks: rule, path and new value, where None removes it."""


def mutated(path: tuple[str | int, ...], value: object) -> dict[str, Any]:
    """The file with one member changed or added, or removed if the value is None."""
    content: dict[str, Any] = copy.deepcopy(CONTENT)
    *parents, last = path
    parent: Any = reduce(operator.getitem, parents, content)  # type: ignore[arg-type]  # dicts and lists
    if value is None:
        del parent[last]
    elif isinstance(parent, list) and last == len(parent):
        parent.append(value)
    else:
        parent[last] = value
    return content


def test_file() -> None:
    """serverless.yml breaks no rule."""
    assert violations(CONTENT) == []


@pytest.mark.parametrize(("rule", "path", "value"), MUTATIONS)
def test_mutation(rule: str, path: tuple[str | int, ...], value: object) -> None:
    """Each mistake is reported by its rule first, and at most by one related rule."""
    broken = violations(mutated(path, value))
    assert broken[0] == rule
    assert len(broken) <= 1 + (rule in {"region", "bucket's full name and XML domain"})


def test_every_rule_can_fail() -> None:
    """Each rule has a source, and a mutation that breaks it."""
    assert {rule for rule, _, _ in MUTATIONS} == {rule.name for rule in RULES}
    assert all(rule.source for rule in RULES)


def test_rules_of_a_bucket() -> None:
    """A second COS trigger is valid if prefix or suffix separate it from the first."""
    first = FILE.triggers("cos")[0]
    apart = {**first, "filter": {**first["filter"], "suffix": ".yml"}}
    inside = {**first, "filter": {"prefix": f"{first['filter']['prefix']}a/", "suffix": ""}}
    path = ("inputs", "events", 2)
    assert violations(mutated(path, {"cos": {"parameters": apart}})) == []
    broken = violations(mutated(path, {"cos": {"parameters": inside}}))
    assert broken == ["rules of a bucket do not overlap"]


@pytest.mark.parametrize(
    "expression",
    ["* * * * * * *", "*/5 * * * * * *", "0 0 2 1 * * *", "0 15 10 * * MON-FRI *",
     "0 0 10,14,16 * * * *", "59 59 23 31 12 6 2099", "0 0-30/5 8-22 * * * 2026-2030"],
)  # fmt: skip
def test_cron(expression: str) -> None:
    """Expressions in the style of the documentation are accepted."""
    assert is_cron(expression)


@pytest.mark.parametrize(
    "expression",
    ["", "* * * * * *", "* * * * * * * *", "60 * * * * * *", "* * 24 * * * *", "* * * 0 * * *",
     "* * * * 13 * *", "* * * * * 7 *", "* * * * * * 1969", "5-1 * * * * * *", "1-2-3 * * * * * *",
     "*/0 * * * * * *", "*/ * * * * * *", "1,,2 * * * * * *", "? * * * * * *", "* * * L * * *",
     "a * * * * * *", "*  * * * * * *", "-1 * * * * * *"],
)  # fmt: skip
def test_invalid_cron(expression: str) -> None:
    """A wrong number of fields, values out of range and unknown characters are rejected."""
    assert not is_cron(expression)


def test_variables_are_documented() -> None:
    """The environment only has settings that docs/settings.md describes."""
    page = (ROOT / "docs" / "settings.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in page for name in FILE.variables)


def test_timer_points_to_a_document() -> None:
    """The timer's argument is a valid document that points to an allowed source."""
    (timer,) = FILE.triggers("timer")
    pointer = registry.read(timer["argument"].encode(), region=FILE.inputs["region"]).request
    assert isinstance(pointer, CosObject)
    kinds = {*FILE.settings().kinds_from(pointer.path)}
    assert kinds.intersection(FILE.settings().kinds_from("timer"))


def test_triggers_are_enabled() -> None:
    """Both triggers are enabled, and the journal is set."""
    assert [t["enable"] for kind in ("cos", "timer") for t in FILE.triggers(kind)] == [True, True]
    assert FILE.settings().journal
