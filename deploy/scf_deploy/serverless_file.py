"""Reads serverless.yml, and the policies and the code that belong to it."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import Any

import yaml

from image_steward.documents.validation import validate
from image_steward.errors import InvalidDocument
from scf_deploy.code import Code
from scf_deploy.deployment import Deployment
from scf_deploy.errors import InvalidFile
from scf_deploy.trigger import Trigger, cos_rule
from scf_local.cloud.scf import cron
from scf_local.cloud.scf.cos_rules import overlap

APPID, UIN = "1250000000", "100000000001"
"""Placeholders in a file: the made-up ids of Tencent's documents and of this project."""

_MAX_BYTES = 4096
"""Of the environment, and of a timer's argument (document/product/583/32748, 583/9708)."""
_MAX_ALIASES = 20
"""So that those of aliases do not fill the memory."""
_MEMBERS = {
    "runtime": "Runtime", "handler": "Handler", "description": "Description", "role": "Role",
    "memorySize": "MemorySize", "timeout": "Timeout", "initTimeout": "InitTimeout",
    "logsetId": "ClsLogsetId", "topicId": "ClsTopicId",
}  # fmt: skip
"""Members of `inputs` and of `cls` that CreateFunction has, too, by their name there."""
_SCF = {
    "effect": "allow", "action": "name/sts:AssumeRole", "principal": {"service": "scf.qcloud.com"},
}  # fmt: skip
_TRUST = {"version": "2.0", "statement": _SCF}
"""Lets SCF assume the run role, unless the project has a trust policy of its own."""


@dataclass(frozen=True)
class Account:
    """The ids of an account: `uin` of its root user, `appid` in names of buckets.

    `user` is the uin of the user whose keys they are.
    """

    uin: str
    appid: str
    user: str = ""

    def filled(self, text: str) -> tuple[str, tuple[str, ...]]:
        """Return a text with its ids in the place of placeholders, and what was filled in."""
        found = []
        for name, placeholder, own in (("APPID", APPID, self.appid), ("uin", UIN, self.uin)):
            text, count = re.subn(rf"(?<!\d){placeholder}(?!\d)", own, text)
            found += [f"{name} {own}"] * (count > 0 and own != placeholder)
        return text, tuple(found)

    def hidden(self, text: str) -> str:
        """Return a text with placeholders in the place of its ids, to be shown to others."""
        for placeholder, own in ((APPID, self.appid), (UIN, self.uin), (UIN, self.user)):
            text = re.sub(rf"(?<!\d){own}(?!\d)", placeholder, text) if own else text
        return text


@dataclass(frozen=True)
class File:
    """A valid file, and what belongs to it; placeholders still stand in it.

    Attributes:
        inputs: its member `inputs`.
        code: what `src` names.
        policy, trust: `deploy/policy.json` and `deploy/trust.json` beside it, if they are there.
    """

    path: Path
    inputs: Mapping[str, Any]
    code: Code
    policy: Mapping[str, Any] | None = None
    trust: Mapping[str, Any] | None = None

    @property
    def region(self) -> str:
        """The function's region."""
        return str(self.inputs["region"])

    def deployment(self, account: Account) -> Deployment:
        """Return what the file asks for, with the account's ids for placeholders.

        Raises:
            InvalidFile: a bucket is another account's.
        """
        content = [self.inputs, self.policy, self.trust]
        text, filled_in = account.filled(json.dumps(content, ensure_ascii=False))
        inputs, policy, trust = json.loads(text)
        wanted = deployment(inputs, self.code)
        _refuse(self.path, [
            f"{name} is not your account's, whose APPID is {account.appid}; "
            f"did you mean {name.rpartition('-')[0]}-{account.appid}?"
            for name in wanted.buckets if not name.endswith(f"-{account.appid}")
        ])  # fmt: skip
        return replace(wanted, policy=policy, trust=trust or _TRUST, filled_in=filled_in)


def read(path: Path) -> File:
    """Read a file, its code, and its policies.

    Raises:
        InvalidFile: lists all that is wrong, first of the form, then of what it says.
    """
    content, problems = _content(path)
    problems += _wrong("serverless", content)
    policy, trust = (
        _document(path.parent / "deploy" / name, problems) for name in ("policy.json", "trust.json")
    )
    _refuse(path, problems)
    inputs = content["inputs"]
    try:
        code = Code.read(path.parent / inputs["src"])
        problems = code.problems(inputs["handler"], inputs["runtime"])
    except ValueError as error:
        problems, code = [f"/inputs/src: {error}"], Code(b"")
    problems += _problems(inputs, policy, trust)
    _refuse(path, problems)
    return File(path, inputs, code, policy, trust)


def deployment(inputs: Mapping[str, Any], code: Code) -> Deployment:
    """Return what the valid `inputs` of a file ask for, without a policy of the role."""
    retries = {"RetryConfig": [{"RetryNum": inputs["retryNum"]}]} if "retryNum" in inputs else {}
    delivery = retries | ({"MsgTTL": inputs["msgTTL"]} if "msgTTL" in inputs else {})
    return Deployment(
        inputs["region"], inputs["name"], inputs.get("namespace", "default"), _settings(inputs),
        code, _triggers(inputs), _TRUST, None, delivery or None,
        inputs.get("reservedConcurrencyMem"),
    )  # fmt: skip


class _Loader(yaml.SafeLoader):
    """Also says which members are given twice, of which YAML would take the last, or are no text.

    Such as `on`, which YAML takes for true.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.problems: list[str] = []

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - no types
        node = super().compose_mapping_node(anchor)
        counts = Counter(str(key.value) for key, _ in node.value)
        for key, _ in node.value:
            where = f"line {key.start_mark.line + 1}: {key.value}"
            if counts.pop(str(key.value), 1) > 1:
                self.problems.append(f"{where} is given twice")
            if key.tag.rpartition(":")[2] not in {"str", "merge"}:
                self.problems.append(f"{where} is no text; put it into quotes")
        return node


_Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)


def _content(path: Path) -> tuple[Any, list[str]]:
    """Return what the file has, as JSON has it, and what is wrong with it."""
    try:
        loader = _Loader(text := path.read_text(encoding="utf-8"))
        if sum(isinstance(each, yaml.AliasToken) for each in yaml.scan(text)) > _MAX_ALIASES:
            raise InvalidFile(f"{path}: more than {_MAX_ALIASES} aliases")
        content = json.loads(json.dumps(loader.get_single_data()))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise InvalidFile(f"{path}: not YAML: line {line}: {error.problem}") from None
    except (OSError, yaml.YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InvalidFile(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    variables = re.findall(r"\$\{.*?\}", json.dumps(content, ensure_ascii=False))
    found = [f"{each} is a variable; write its value" for each in dict.fromkeys(variables)]
    return content, loader.problems + found


def _wrong(schema: str, content: Any) -> list[str]:  # noqa: ANN401 - whatever there is
    try:
        validate(str(Path(__file__).with_name(schema)), content)
    except InvalidDocument as error:
        return [f"{where}: {text}".removeprefix(": ") for where, text in error.details]
    return []


def _document(path: Path, problems: list[str]) -> dict[str, Any] | None:
    document: dict[str, Any] | None = None
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        problems += [f"{path}: {each}" for each in _wrong("cam_policy", document)]
    except FileNotFoundError:
        pass
    except (OSError, ValueError, RecursionError) as error:
        problems.append(f"{path}: not JSON: {error}")
    return document


def _triggers(inputs: Mapping[str, Any]) -> tuple[Trigger, ...]:
    events = (event for entry in inputs.get("events", ()) for event in entry.items())
    return tuple(_trigger(kind, event["parameters"]) for kind, event in events)


def _trigger(kind: str, given: Mapping[str, Any]) -> Trigger:
    filters, name = given.get("filter", {}), given.get("name") or given["bucket"]
    parts = (filters.get("prefix", ""), filters.get("suffix", ""))
    rule = given.get("cronExpression") or cos_rule(given["events"], *parts)
    argument, qualifier = given.get("argument", ""), given.get("qualifier", "$DEFAULT")
    return Trigger(kind, name, rule, given["enable"], argument, qualifier)


def _settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    given = {**inputs, **inputs.get("cls", {})}
    settings = {api: given[name] for name, api in _MEMBERS.items() if name in given}
    if "environment" in inputs:
        pairs = inputs["environment"]["variables"].items()
        settings["Environment"] = {"Variables": [{"Key": k, "Value": each} for k, each in pairs]}
    if "publicAccess" in inputs:
        status = "ENABLE" if inputs["publicAccess"] else "DISABLE"
        settings["PublicNetConfig"] = {"PublicNetStatus": status}
    return {"Type": "Event", **settings}


def _problems(inputs: Mapping[str, Any], policy: object, trust: object) -> Iterator[str]:
    """Yield what no schema can say."""
    region = inputs["region"]
    variables = inputs.get("environment", {}).get("variables", {})
    size = sum(len(f"{name}={each};".encode()) for name, each in variables.items())
    if size > _MAX_BYTES:
        yield f"the environment takes {size:,} bytes; {_MAX_BYTES:,} are allowed"
    if policy and "role" not in inputs:
        yield "deploy/policy.json is for no role; name one: /inputs/role"
    if trust and not policy:
        yield "deploy/trust.json is for no role, since there is no deploy/policy.json"
    # A bucket of another region could not fire the function, nor keep its journal.
    for other in sorted(set(re.findall(r"qcs::cos:([\w-]+):", json.dumps(policy))) - {region}):
        yield f"deploy/policy.json names buckets in {other}; the function is in {region}"
    yield from _trigger_problems(_triggers(inputs), region)


def _trigger_problems(triggers: Collection[Trigger], region: str) -> Iterator[str]:
    for each in triggers:
        if each.kind == "timer":
            yield from (f"{each}: {problem}" for problem in _timer_problems(each))
        elif f".cos.{region}." not in each.name:
            yield f"{each}: {each.name} is not in the function's region, {region}"
    for one, two in combinations(triggers, 2):
        if (one.kind, one.name) == (two.kind, two.name):
            if one.kind == "timer":
                yield f"{one}: given twice"
            elif overlap(one.rule, two.rule):
                yield f"{one}: {one.rule} and {two.rule} overlap: an object could fire both"


def _timer_problems(timer: Trigger) -> Iterator[str]:
    if (size := len(timer.argument.encode())) > _MAX_BYTES:
        yield f"its argument takes {size:,} bytes; {_MAX_BYTES:,} are allowed"
    try:
        if cron.next_after(cron.parse(timer.rule), 0) == math.inf:
            yield f"cronExpression {timer.rule} is never due"
    except ValueError as error:
        yield f"cronExpression {error}"


def _refuse(path: Path, problems: Collection[str]) -> None:
    if problems:
        raise InvalidFile("\n  ".join([f"{path}:", *problems]))
