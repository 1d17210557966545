"""The parts of a deployment by what people call them: a value to compare, and a text to read.

Wanted and current state have the same parts, so that whatever differs is a line of a plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scf_deploy.code import Code
from scf_deploy.deployment import Current, Deployment

_SETTINGS = {
    "Description": ("description", ""), "MemorySize": ("memory", " MB"),
    "Timeout": ("time limit", " s"), "InitTimeout": ("init time limit", " s"),
    "ClsLogsetId": ("logset", ""), "ClsTopicId": ("log topic", ""),
}  # fmt: skip
"""Settings of a function: what they are called, and their units."""
_SECRET_NAME = re.compile(r"(?i)secret|token|passw|credential|webhook|(^|_)(key|pwd|auth)(_|$)")
_SECRET_VALUE = re.compile(r"AKID\w{8,}|(?i:[?&]\w*(key|token|sign)=)|://[^/\s]+:[^/\s]+@")


@dataclass(frozen=True)
class Part:
    """A part; those of a group are changed by the same call."""

    group: str
    value: object
    text: str
    items: tuple[str, ...] = ()
    """Of a policy: what it allows."""

    def apart_from(self, other: Part) -> str:
        """Return the items that another part does not have, as text."""
        return ", ".join(each for each in self.items if each not in other.items) or self.text


Parts = dict[str, Part]
ACCOUNT = {"role", "trust", "policy", "attachment", "bucket", "access", "versions"}
"""Groups of parts that do not go with the function."""


def wanted_parts(wanted: Deployment) -> Parts:
    """Return what a deployment asks for."""
    parts = _rights(wanted.role, wanted.trust, wanted.policy, [wanted.role])
    if not wanted.policy:
        parts = {}
    for name in wanted.buckets:
        parts |= _bucket(name, is_private=True, has_versions=True)
    parts |= _function(wanted.settings, wanted.name, wanted.code)
    if wanted.delivery is not None:
        parts |= _delivery(wanted.delivery)
    if wanted.reserved_mb is not None:
        parts |= _reserved(wanted.reserved_mb)
    return parts


def current_parts(current: Current, wanted: Deployment) -> Parts:
    """Return the same parts of what there is."""
    parts = _rights(wanted.role, current.trust, current.policy, current.attached)
    for name, (is_private, has_versions) in current.buckets.items():
        parts |= _bucket(name, is_private=is_private, has_versions=has_versions)
    if current.function:
        parts |= _function(current.function, wanted.name, current.code or wanted.code)
        parts |= _delivery(current.delivery)
        parts |= _reserved(current.reserved_mb)
    return parts


def masked(name: str, value: str) -> str:
    """Return the value of a variable, unless it looks like a secret."""
    is_secret = _SECRET_NAME.search(name) or _SECRET_VALUE.search(value)
    return "(hidden)" if is_secret else value


def normal(document: object) -> object:
    """Return a policy so that those that mean the same are equal: order says nothing."""
    if isinstance(document, Mapping):
        return {name: normal(document[name]) for name in sorted(document)}
    if isinstance(document, list):
        entries = sorted((normal(each) for each in document), key=repr)
        return entries[0] if len(entries) == 1 else entries
    return document


def _rights(role: str, trust: object, policy: object, attached: Any) -> Parts:  # noqa: ANN401 - a list or a tuple
    parts = {}
    if trust:
        parts[f"role {role}"] = Part("role", True, "")  # noqa: FBT003 - it is there
        parts["trust policy"] = Part(
            "trust", normal(trust), _words(trust, r'"service":.*?("\S+?")')
        )
    if policy:
        text = _words(policy, r'"(?:name/)?(\w+:[\w*]+)"')
        parts[f"policy {role}"] = Part("policy", normal(policy), text, (*_rights_of(policy),))
    if role in attached:
        parts["attachment"] = Part("attachment", True, f"of the policy {role} to the role {role}")  # noqa: FBT003 - as above
    return parts


def _rights_of(policy: object) -> Iterator[str]:
    statements = _entries(policy.get("statement")) if isinstance(policy, Mapping) else ()
    for each in statements:
        for action in _entries(each.get("action")):
            for resource in _entries(each.get("resource")):
                yield f"{each.get('effect')} {action} on {resource}".removeprefix("allow ")


def _entries(value: Any) -> list[Any]:  # noqa: ANN401 - one, or a list of them
    return value if isinstance(value, list) else [value]


def _words(document: object, pattern: str) -> str:
    words = re.findall(pattern, json.dumps(document))
    return ", ".join(dict.fromkeys(word.strip('"') for word in words))


def _bucket(name: str, *, is_private: bool, has_versions: bool) -> Parts:
    return {
        f"bucket {name}": Part("bucket", name, ""),
        f"access to {name}": Part("access", is_private, "private" if is_private else "public"),
        f"versions in {name}": Part("versions", has_versions, "on" if has_versions else "off"),
    }


def _function(given: Mapping[str, Any], name: str, code: Code) -> Parts:
    """Return the parts of parameters of CreateFunction, or of a reply of GetFunction."""
    fixed = f"{given.get('Type') or 'Event'}, {given['Runtime']}"
    parts = {f"function {name}": Part("function", fixed, fixed)}
    parts["code"] = Part("code", code.sha256, code.sha256[:12])
    parts["handler"] = Part("code", given["Handler"], given["Handler"])
    if "Role" in given:
        parts["run role"] = Part("settings", given["Role"] or "", given["Role"] or "none")
    for member, (label, unit) in _SETTINGS.items():
        if member in given:
            value = given[member] or ""
            parts[label] = Part("settings", value, f"{value}{unit}" if value else "none")
    if network := (given.get("PublicNetConfig") or {}).get("PublicNetStatus"):
        parts["public network"] = Part("settings", network, network)
    for pair in (given.get("Environment") or {}).get("Variables") or ():
        key, text = pair["Key"], pair["Value"]
        if key:
            parts[f"environment {key}"] = Part("settings", text, masked(key, text))
    return parts


def _delivery(config: Mapping[str, Any]) -> Parts:
    # A second entry may follow in a reply, as in tccli's example; nothing explains it.
    retries = (config.get("RetryConfig") or [{}])[0].get("RetryNum")
    seconds = config.get("MsgTTL")
    return {
        name: Part("delivery", value, f"{value}{unit}")
        for name, value, unit in (("retries", retries, ""), ("event age", seconds, " s"))
        if value is not None
    }


def _reserved(megabytes: int | None) -> Parts:
    text = f"{megabytes} MB" if megabytes else "0 MB: it does not run"
    return {} if megabytes is None else {"concurrency": Part("concurrency", megabytes, text)}
