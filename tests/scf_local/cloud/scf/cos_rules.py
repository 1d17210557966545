"""Which objects fire a COS trigger, by its `TriggerDesc` (document/product/583/9707, 583/39901)."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase


def matches(description: str, event: str, key: str) -> bool:
    """Whether the event of a key fires the COS trigger with a description."""
    given = json.loads(description)
    prefix, suffix = given["filter"]["Prefix"], given["filter"]["Suffix"]
    return fnmatchcase(event, given["event"]) and key.startswith(prefix) and key.endswith(suffix)


def overlap(one: str, other: str) -> bool:
    """Whether some event fires both COS triggers; if any, then that of the shortest such key."""
    rules = [json.loads(one), json.loads(other)]
    key = "".join(
        max((rule["filter"][part] for rule in rules), key=len) for part in ("Prefix", "Suffix")
    )
    return any(matches(one, r["event"], key) and matches(other, r["event"], key) for r in rules)
