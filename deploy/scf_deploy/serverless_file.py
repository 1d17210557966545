"""Reads serverless.yml, and the policies and the code that belong to it, for an account."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from image_steward.documents.validation import validate
from image_steward.errors import InvalidDocument
from scf_deploy.code import Code
from scf_deploy.deployment import Deployment
from scf_deploy.errors import InvalidFile
from scf_deploy.trigger import Trigger, cos_rule

APPID, UIN = "1250000000", "100000000001"
"""Placeholders in a file: the made-up ids of Tencent's documents and of this project."""

_SCHEMA = str(Path(__file__).with_name("serverless"))
_MAX_ENVIRONMENT, _MAX_ARGUMENT = 4096, 4096
"""Bytes (document/product/583/32748, 583/9708)."""
_MEMBERS = {
    "type": "Type", "runtime": "Runtime", "handler": "Handler", "description": "Description",
    "role": "Role", "memorySize": "MemorySize", "timeout": "Timeout", "initTimeout": "InitTimeout",
}  # fmt: skip
"""Members of `inputs` that CreateFunction has, too, by their name there."""
_TRUST = {
    "version": "2.0",
    "statement": {
        "effect": "allow", "action": "name/sts:AssumeRole",
        "principal": {"service": "scf.qcloud.com"},
    },
}  # fmt: skip
"""Lets SCF assume the run role, unless the project has a trust policy of its own."""


@dataclass(frozen=True)
class Account:
    """The ids of an account: `uin` of its root user, `appid` in names of buckets."""

    uin: str
    appid: str

    def filled(self, text: str) -> str:
        """Return a text with its ids in the place of the placeholders."""
        text = re.sub(rf"(?<!\d){APPID}(?!\d)", self.appid, text)
        return re.sub(rf"(?<!\d){UIN}(?!\d)", self.uin, text)


class _Loader(yaml.SafeLoader):
    """Refuses a member that is given twice; YAML would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002 - yaml's signature
        names = Counter(str(key.value) for key, _ in node.value)
        if twice := [name for name, count in names.items() if count > 1]:
            problem = f"{twice[0]} is given twice"
            raise yaml.constructor.ConstructorError(problem=problem, problem_mark=node.start_mark)
        return super().construct_mapping(node, deep)


def region_of(path: Path) -> str:
    """Return the region that a file names, before it is known whose account it is for.

    Raises:
        InvalidFile: as `read`.
    """
    return str(_inputs(path, _text(path))["region"])


def parts(path: Path) -> tuple[dict[str, Any], Code]:
    """Return the `inputs` of a file, placeholders included, and the code.

    Raises:
        InvalidFile: as `read`.
    """
    inputs = _inputs(path, _text(path))
    code = _code(path.parent / inputs["src"])
    if problems := code.problems(inputs["handler"], inputs["runtime"]):
        raise InvalidFile("\n  ".join([f"{path}:", *problems]))
    return inputs, code


def read(path: Path, account: Account) -> Deployment:
    """Read a file and what belongs to it, with the account's ids for placeholders.

    That is the folder `src`, and `deploy/policy.json` and `deploy/trust.json` beside the file.

    Raises:
        InvalidFile: lists all that is wrong.
    """
    text = _text(path)
    inputs = _inputs(path, account.filled(text))
    wanted = replace(
        deployment(inputs, _code(path.parent / inputs["src"])),
        policy=_document(path.parent / "deploy" / "policy.json", account),
        filled_in=(f"APPID {account.appid}", f"uin {account.uin}") if APPID in text else (),
    )
    if trust := _document(path.parent / "deploy" / "trust.json", account):
        wanted = replace(wanted, trust=trust)
    problems = wanted.code.problems(inputs["handler"], inputs["runtime"])
    problems += _problems(wanted, account)
    if problems:
        raise InvalidFile("\n  ".join([f"{path}:", *problems]))
    return wanted


def deployment(inputs: Mapping[str, Any], code: Code) -> Deployment:
    """Return what the valid `inputs` of a file ask for, without a policy of the role."""
    events = (event for entry in inputs.get("events", ()) for event in entry.items())
    retries = {"RetryConfig": [{"RetryNum": inputs["retryNum"]}]} if "retryNum" in inputs else {}
    delivery = retries | ({"MsgTTL": inputs["msgTTL"]} if "msgTTL" in inputs else {})
    return Deployment(
        region=inputs["region"],
        name=inputs["name"],
        namespace=inputs.get("namespace", "default"),
        settings=_settings(inputs),
        code=code,
        triggers=tuple(_trigger(kind, event["parameters"]) for kind, event in events),
        trust=_TRUST,
        delivery=delivery or None,
        reserved_mb=inputs.get("reservedConcurrencyMem"),
    )


def _trigger(kind: str, given: Mapping[str, Any]) -> Trigger:
    if kind == "timer":
        name, rule = given["name"], given["cronExpression"]
    else:
        parts = given.get("filter", {})
        name = given["bucket"]
        rule = cos_rule(given["events"], parts.get("prefix", ""), parts.get("suffix", ""))
    qualifier = given.get("qualifier", "$DEFAULT")
    return Trigger(kind, name, rule, given["enable"], given.get("argument", ""), qualifier)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InvalidFile(f"{path}: {reason}") from None


def _inputs(path: Path, text: str) -> dict[str, Any]:
    try:
        content = yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise InvalidFile(f"{path}: not YAML: {error}") from None
    if not isinstance(content, dict) or content.get("component") != "scf":
        found = content.get("component") if isinstance(content, dict) else type(content).__name__
        raise InvalidFile(f"{path}: component is {found!r}; only scf is supported")
    if variable := re.search(r"\$\{.*?\}", text):
        raise InvalidFile(f"{path}: {variable[0]} is a variable, which are not supported")
    try:
        validate(_SCHEMA, content)
    except InvalidDocument as error:
        raise InvalidFile(
            "\n  ".join([f"{path}:", *(f"{path}: {text}" for path, text in error.args)])
        ) from None
    return dict(content["inputs"])


def _document(path: Path, account: Account) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        document = json.loads(account.filled(_text(path)))
    except ValueError as error:
        raise InvalidFile(f"{path}: not JSON: {error}") from None
    if not isinstance(document, dict):
        raise InvalidFile(f"{path}: not a JSON object")
    return document


def _code(path: Path) -> Code:
    if path.is_dir():
        return Code.of_folder(path)
    if path.suffix == ".zip" and path.is_file():
        return Code(path.read_bytes())
    raise InvalidFile(f"inputs.src: {path} is neither a folder nor a zip file; is it built?")


def _settings(inputs: Mapping[str, Any]) -> dict[str, Any]:
    settings = {api: inputs[name] for name, api in _MEMBERS.items() if name in inputs}
    settings.setdefault("Type", "event")
    settings["Type"] = settings["Type"].capitalize()
    if "environment" in inputs:
        pairs = inputs["environment"]["variables"].items()
        settings["Environment"] = {
            "Variables": [{"Key": key, "Value": each} for key, each in pairs]
        }
    if "cls" in inputs:
        logs = inputs["cls"]
        settings |= {"ClsLogsetId": logs["logsetId"], "ClsTopicId": logs["topicId"]}
    if "publicAccess" in inputs:
        status = "ENABLE" if inputs["publicAccess"] else "DISABLE"
        settings["PublicNetConfig"] = {"PublicNetStatus": status}
    return settings


def _problems(wanted: Deployment, account: Account) -> Iterator[str]:
    """Yield what no schema can say."""
    variables = wanted.settings.get("Environment", {}).get("Variables", ())
    size = sum(len(f"{each['Key']}={each['Value']};".encode()) for each in variables)
    if size > _MAX_ENVIRONMENT:
        yield f"the environment takes {size:,} bytes; {_MAX_ENVIRONMENT:,} are allowed"
    counts = Counter(
        (each.kind, each.name, each.rule * (each.kind == "cos")) for each in wanted.triggers
    )
    yield from (
        f"{kind} trigger {name}: given twice" for (kind, name, _), n in counts.items() if n > 1
    )
    for each in wanted.triggers:
        if len(each.argument.encode()) > _MAX_ARGUMENT:
            yield f"{each}: its argument has more than {_MAX_ARGUMENT:,} bytes"
        if each.kind == "cos" and f".cos.{wanted.region}." not in each.name:
            yield f"{each.name} is not in the function's region, {wanted.region}"
        if each.kind == "cos" and not each.bucket.endswith(f"-{account.appid}"):
            yield f"{each.bucket} is not your account's, whose APPID is {account.appid}"
    # A bucket of another region could not fire the function, nor keep its journal.
    regions = set(re.findall(r"qcs::cos:([\w-]+):", json.dumps(wanted.policy)))
    for other in sorted(regions - {wanted.region}):
        yield f"deploy/policy.json names buckets in {other}; the function is in {wanted.region}"
