"""A trigger, as SCF's API takes it and as it returns it.

A timer's rule is its cron expression. That of COS is compact JSON (document/product/583/39901):
`{"event":"cos:ObjectCreated:*","filter":{"Prefix":"in/","Suffix":".json"}}`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

KINDS = ("cos", "timer")
_SWITCH = {True: "OPEN", False: "CLOSE"}
_ON = (1, "1", "OPEN")
"""How replies write that a trigger is enabled."""


@dataclass(frozen=True)
class Trigger:
    """A trigger of a kind in `KINDS`; a COS trigger's name is the host of its bucket."""

    kind: str
    name: str
    rule: str
    is_enabled: bool
    argument: str = ""
    qualifier: str = "$DEFAULT"

    @classmethod
    def from_reply(cls, given: Mapping[str, Any]) -> Trigger:
        """Read an entry of ListTriggers, whose members may be null."""
        kind, text = given["Type"], given.get("TriggerDesc") or ""
        rule: dict[str, Any] = json.loads(text) if text[:1] == "{" else {"cron": text}
        filters = rule.get("filter") or {}
        if kind == "cos":
            parts = (filters.get("Prefix", ""), filters.get("Suffix", ""))
            text = cos_rule(rule.get("event", ""), *parts)
        else:
            text = str(rule.get("cron", text))
        argument = kind == "timer" and given.get("CustomArgument")
        is_on = given.get("Enable") in _ON
        name, qualifier = given["TriggerName"], given.get("Qualifier")
        return cls(kind, name, text, is_on, argument or "", qualifier or "$LATEST")

    def __str__(self) -> str:
        return f"trigger {self.kind} {self.bucket if self.kind == 'cos' else self.name}"

    @property
    def bucket(self) -> str:
        """Of a COS trigger: the bucket's name, with the APPID."""
        return self.name.partition(".")[0]

    @property
    def keys(self) -> tuple[str, str]:
        """Of a COS trigger: how the keys begin and end that it is for."""
        filters = json.loads(self.rule)["filter"]
        return filters["Prefix"], filters["Suffix"]

    def described(self) -> dict[str, str]:
        """Return what people want to know of it, by name."""
        what = {"cron": self.rule, "argument": self.argument}
        if self.kind == "cos":
            prefix, suffix = self.keys
            event = json.loads(self.rule)["event"]
            what = {"event": event, "prefix": prefix, "suffix": suffix}
        return {**what, "qualifier": self.qualifier, "": "on" if self.is_enabled else "off"}

    def named(self) -> dict[str, str]:
        """Return the parameters that name it in calls."""
        given = {"TriggerName": self.name, "Type": self.kind, "Qualifier": self.qualifier}
        return {**given, "TriggerDesc": self.rule} if self.kind == "cos" else given

    def params(self) -> dict[str, str]:
        """Return all its parameters."""
        argument = {"CustomArgument": self.argument} if self.kind == "timer" else {}
        switch = {"Enable": _SWITCH[self.is_enabled]}
        return {**self.named(), "TriggerDesc": self.rule, **argument, **switch}


def cos_rule(event: str, prefix: str, suffix: str) -> str:
    """Return the rule of a COS trigger."""
    rule = {"event": event, "filter": {"Prefix": prefix, "Suffix": suffix}}
    return json.dumps(rule, ensure_ascii=False, separators=(",", ":"))
