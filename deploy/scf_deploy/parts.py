"""The parts of a deployment by what people call them: a value to compare, and a text to read.

Wanted and current state have the same parts, so that whatever differs is a line of a plan.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from scf_deploy.code import Code
from scf_deploy.deployment import Current, Deployment
from scf_deploy.masking import masked

_SETTINGS = {
    "Role": ("run role", ""), "Description": ("description", ""), "MemorySize": ("memory", " MB"),
    "Timeout": ("time limit", " s"), "InitTimeout": ("init time limit", " s"),
    "ClsLogsetId": ("logset", ""), "ClsTopicId": ("log topic", ""),
}  # fmt: skip
"""Settings of a function: what they are called, and their units."""


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
        return ", ".join(each for each in self.items if each not in other.items)


Parts = dict[str, Part]


def wanted_parts(wanted: Deployment) -> Parts:
    """Return what a deployment asks for: the parts of an account that has it."""
    rights: dict[str, Any] = {}
    if wanted.policy:
        rights = {"trust": wanted.trust, "policy": wanted.policy, "attached": (wanted.role,)}
    buckets = dict.fromkeys(wanted.buckets, (True, True))
    delivery, reserved = wanted.delivery or {}, wanted.reserved_mb
    has = Current(
        **rights, buckets=buckets, function=wanted.settings, delivery=delivery, reserved_mb=reserved
    )
    return current_parts(has, wanted)


def current_parts(current: Current, wanted: Deployment) -> Parts:
    """Return the same parts of what there is."""
    parts = _rights(wanted.role, current.trust, current.policy, current.attached)
    for name, (is_private, has_versions) in current.buckets.items():
        access, versions = ("open to others", "private")[is_private], ("off", "on")[has_versions]
        text = f"{access}, versions {versions}"
        parts[f"bucket {name}"] = Part("bucket", text, text)
    if current.function is None:
        return parts
    parts |= _function(current.function, wanted.name, current.code or wanted.code)
    # A second entry may follow in a reply, as in tccli's example; nothing explains it.
    retries = (current.delivery.get("RetryConfig") or [{}])[0].get("RetryNum")
    age, limit = current.delivery.get("MsgTTL"), current.reserved_mb
    for group, name, value, text in (
        ("delivery", "retries", retries, f"{retries}"),
        ("delivery", "event age", age, f"{age} s"),
        ("concurrency", "concurrency", limit, f"{limit} MB" if limit else "0 MB: it does not run"),
    ):
        if value is not None:
            parts[name] = Part(group, value, text)
    return parts


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
        parts[f"role {role}"] = Part("role", role, "")
        text = _words(trust, r'"(qcs::[^"]+|[^"]+\.com)"')
        parts["trust policy"] = Part("trust", repr(normal(trust)), text)
    if policy:
        text = _words(policy, r'"(?:name/)?(\w+:[\w*]+)"')
        parts[f"policy {role}"] = Part("policy", repr(normal(policy)), text, (*_rights_of(policy),))
    if role in attached:
        parts["attachment"] = Part("attachment", role, f"of the policy {role} to the role {role}")
    return parts


def _rights_of(policy: object) -> Iterator[str]:
    statements = _entries(policy.get("statement")) if isinstance(policy, Mapping) else ()
    for each in (each for each in statements if isinstance(each, Mapping)):
        condition = f" if {json.dumps(each['condition'])}" if each.get("condition") else ""
        for action, resource in product(*map(_entries, map(each.get, ("action", "resource")))):
            right = f"{str(action).removeprefix('name/')} on {resource}{condition}"
            yield f"{each.get('effect')} {right}".removeprefix("allow ")


def _entries(value: Any) -> list[Any]:  # noqa: ANN401 - one, or a list of them
    return value if isinstance(value, list) else [value]


def _words(document: object, pattern: str) -> str:
    words = re.findall(pattern, json.dumps(document))
    return ", ".join(dict.fromkeys(word.strip('"') for word in words))


def _function(given: Mapping[str, Any], name: str, code: Code) -> Parts:
    """Return the parts of parameters of CreateFunction, or of a reply of GetFunction."""
    fixed = f"{given.get('Type') or 'Event'}, {given['Runtime']}"
    parts = {f"function {name}": Part("function", fixed, fixed)}
    parts["code"] = Part("code", code.sha256, code.sha256[:12])
    parts["handler"] = Part("code", given["Handler"], given["Handler"])
    for member, (label, unit) in _SETTINGS.items():
        if member in given:
            value = given[member] or ""
            parts[label] = Part(
                "settings", value, masked("", f"{value}{unit}") if value else "none"
            )
    if network := (given.get("PublicNetConfig") or {}).get("PublicNetStatus"):
        parts["public network"] = Part("settings", network, network)
    for pair in (given.get("Environment") or {}).get("Variables") or ():
        key, text = pair["Key"], pair.get("Value") or ""
        if key:
            parts[f"environment {key}"] = Part("settings", text, masked(key, text))
    return parts
