"""What serverless.yml must be for the component `scf` and for SCF, as rules with their sources.

No schema of the component is published. CFG is docs/configure.md and serverless.component.yml of
github.com/serverless-components/tencent-scf; CN and TC are pages of document/product/583.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from image_steward import registry
from image_steward.errors import StewardError
from image_steward.model import CosObject
from image_steward.settings import BUCKET, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

SUPPORTED = ("Python3.10", "Python3.11", "Python3.12", "Python3.13")
"""SCF's pages end at 3.10; its examples, github.com/tencentyun/serverless-demo, have all four."""

INPUTS = {
    "name", "src", "type", "handler", "runtime", "region", "role", "memorySize", "timeout",
    "initTimeout", "environment", "events", "description", "namespace", "layers", "vpcConfig",
    "publicAccess", "cls", "tags",
}  # fmt: skip
"""Of what CFG lists, that which an event function in Python can use."""

TRIGGERS = {
    "cos": {"qualifier", "bucket", "filter", "events", "enable"},
    "timer": {"name", "qualifier", "cronExpression", "enable", "argument"},
}

CREATED = {f"cos:ObjectCreated:{kind}" for kind in (
    "*", "Put", "Post", "Copy", "CompleteMultipartUpload", "Origin", "Replication",
)}  # fmt: skip

FIELDS = ((0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 6), (1970, 2099))
"""Second, minute, hour, day, month, weekday, year."""

_PART = r"[A-Za-z][A-Za-z0-9_-]{0,58}[A-Za-z0-9]"

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@dataclass(frozen=True)
class Rule:
    """What must hold, and who says so."""

    name: str
    source: str
    holds: Callable[[File], object]


@dataclass(frozen=True)
class File:
    """The file's content."""

    content: Mapping[str, Any]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What describes the function."""
        return dict(self.content["inputs"])

    @property
    def variables(self) -> Mapping[str, Any]:
        """The environment."""
        return dict(self.inputs["environment"]["variables"])

    def triggers(self, kind: str) -> list[Mapping[str, Any]]:
        """The parameters of all triggers of a kind."""
        return [event[kind]["parameters"] for event in self.inputs["events"] if kind in event]

    def folders(self) -> Iterator[tuple[str, str]]:
        """Bucket and prefix of each COS trigger."""
        for trigger in self.triggers("cos"):
            yield trigger["bucket"].partition(".")[0], trigger["filter"]["prefix"]

    def settings(self) -> Settings:
        """The environment as the function reads it."""
        return Settings.from_environ({k: str(v) for k, v in self.variables.items()})


def violations(content: Mapping[str, Any]) -> list[str]:
    """The names of the rules that a file breaks; what a rule cannot make sense of breaks it."""
    return [rule.name for rule in RULES if not _holds(rule, File(content))]


def _holds(rule: Rule, file: File) -> bool:
    try:
        return bool(rule.holds(file))
    except (KeyError, TypeError, AttributeError):
        return False


def is_cron(expression: str) -> bool:
    """Whether it has seven fields, each of numbers in their range, `,`, `-`, `*` and `/`.

    `?`, `L`, `W` and `#` are on the Chinese page alone.
    """
    for number, day in enumerate(DAYS):
        expression = expression.replace(day, str(number))
    fields = expression.split(" ")
    return len(fields) == len(FIELDS) and all(map(_is_field, fields, FIELDS))


def _is_field(text: str, limits: tuple[int, int]) -> bool:
    for part in text.split(","):
        span, slash, step = part.partition("/")
        numbers = [] if span == "*" else span.split("-")
        if not all(re.fullmatch(r"\d{1,4}", number) for number in numbers):
            return False
        values = [int(number) for number in numbers]
        in_range = all(limits[0] <= value <= limits[1] for value in values)
        if not in_range or len(values) > len(limits) or values != sorted(values):
            return False
        if slash and not re.fullmatch(r"[1-9]\d{0,3}", step):
            return False
    return True


def _no_unknown_members(file: File) -> bool:
    return (
        file.content.keys() <= {"component", "name", "app", "stage", "inputs"}
        and file.inputs.keys() <= INPUTS
        and all(
            len(event) == 1 and event.keys() <= TRIGGERS.keys() for event in file.inputs["events"]
        )
        and all(
            trigger.keys() <= members
            for kind, members in TRIGGERS.items()
            for trigger in file.triggers(kind)
        )
    )


def _is_domain(bucket: str, _: str, host: str) -> bool:
    return bool(BUCKET.fullmatch(bucket)) and _matches(r"cos\.[a-z0-9-]+\.myqcloud\.com", host)


def _is_memory(megabytes: object) -> bool:
    return megabytes == 64 or megabytes in range(128, 3073, 128)  # noqa: PLR2004 - the one exception


def _are_bytes_at_most(text: str, limit: int) -> bool:
    return len(text.encode()) <= limit


def _settings_are_ours(file: File) -> bool:
    try:
        file.settings()
    except StewardError:
        return False
    return True


def _each(kind: str, holds: Callable[[Mapping[str, Any]], object]) -> Callable[[File], bool]:
    return lambda file: all(holds(trigger) for trigger in file.triggers(kind))


def _journal_is_apart(file: File) -> bool:
    if not _settings_are_ours(file) or not (journal := file.settings().journal):
        return True
    return not any(
        bucket == journal[0] and (journal[1].startswith(prefix) or prefix.startswith(journal[1]))
        for bucket, prefix in file.folders()
    )


def _sources_cover_triggers(file: File) -> bool:
    if not _settings_are_ours(file):
        return True
    return all(file.settings().allows(bucket, f"{prefix}x") for bucket, prefix in file.folders())


def _timers_read_elsewhere(file: File) -> bool:
    pointers = filter(None, map(_pointer, file.triggers("timer")))
    return not any(
        bucket == trigger["bucket"].partition(".")[0]
        and key.startswith(trigger["filter"]["prefix"])
        and key.endswith(trigger["filter"]["suffix"])
        for bucket, key in pointers
        for trigger in file.triggers("cos")
    )


def _pointer(timer: Mapping[str, Any]) -> tuple[str, str] | None:
    """Bucket and key of the object that a timer points to, if it does."""
    try:
        document = registry.read(str(timer["argument"]).encode(), region="ap-guangzhou").request
    except StewardError:
        return None
    return (document.bucket, document.key) if isinstance(document, CosObject) else None


def _do_not_overlap(file: File) -> bool:
    found = [
        (t["bucket"], t["filter"]["prefix"], t["filter"]["suffix"]) for t in file.triggers("cos")
    ]
    return not any(
        bucket == other
        and (prefix.startswith(start) or start.startswith(prefix))
        and (suffix.endswith(end) or end.endswith(suffix))
        for i, (bucket, prefix, suffix) in enumerate(found)
        for other, start, end in found[:i]
    )


def _matches(pattern: str, text: object) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(pattern, text))


RULES = (
    Rule("component", "CN 44753", lambda f: f.content["component"] == "scf"),
    Rule("instance name", "CFG", lambda f: _matches(_PART, f.content["name"])),
    Rule("no unknown members", "CFG", _no_unknown_members),
    Rule(
        "function name of 2 to 60 characters",
        "CFG",
        lambda f: _matches(_PART, f.inputs["name"]),
    ),
    Rule("type", "CFG", lambda f: f.inputs["type"] == "event"),
    Rule(
        "handler is file.function, 2 to 60 characters each",
        "SDK CreateFunction",
        lambda f: _matches(rf"{_PART}\.{_PART}", f.inputs["handler"]),
    ),
    Rule("runtime is supported", "pyproject.toml", lambda f: f.inputs["runtime"] in SUPPORTED),
    Rule("region", "CFG", lambda f: _matches(r"[a-z]{2}-[a-z]+(-[a-z0-9]+)*", f.inputs["region"])),
    Rule("role: without one there are no keys", "CN 32389", lambda f: f.inputs.get("role")),
    Rule("memory", "CN 11637", lambda f: _is_memory(f.inputs["memorySize"])),
    Rule("timeout of 1 to 900 s", "CN 11637", lambda f: f.inputs["timeout"] in range(1, 901)),
    Rule(
        "initTimeout of 3 to 300 s", "CN 11637", lambda f: f.inputs["initTimeout"] in range(3, 301)
    ),
    Rule(
        "names of variables",
        "CN 32748",
        lambda f: all(_matches(r"[a-zA-Z][a-zA-Z0-9_]*", name) for name in f.variables),
    ),
    Rule(
        "no reserved names",
        "CN 32748",
        lambda f: not any(re.match("SCF_|QCLOUD_|TENCENTCLOUD_", name) for name in f.variables),
    ),
    Rule(
        "values of variables are texts, none empty",
        "SDK Variable",
        lambda f: all(value and isinstance(value, str) for value in f.variables.values()),
    ),
    Rule(
        "environment of at most 4 KB",
        "CN 32748",
        lambda f: _are_bytes_at_most("".join(f"{k}={v};" for k, v in f.variables.items()), 4096),
    ),
    Rule("settings are ours", "settings.py", _settings_are_ours),
    Rule(
        "timer name of at most 60 characters",
        "CN 9708",
        _each("timer", lambda t: _matches(r"[A-Za-z][A-Za-z0-9_-]{0,59}", t["name"])),
    ),
    Rule(
        "timer names are unique",
        "CN 9708",
        lambda f: len({t["name"] for t in f.triggers("timer")}) == len(f.triggers("timer")),
    ),
    Rule("cron", "TC 9708", _each("timer", lambda t: is_cron(t["cronExpression"]))),
    Rule(
        "argument is a text of at most 4 KB",
        "CN 9708",
        _each("timer", lambda t: _are_bytes_at_most(t["argument"], 4096)),
    ),
    Rule(
        "bucket's full name and XML domain",
        "CN 39901",
        _each("cos", lambda t: _is_domain(*t["bucket"].partition("."))),
    ),
    Rule(
        "bucket in the function's region",
        "TC 9707",
        lambda f: all(
            t["bucket"].endswith(f".cos.{f.inputs['region']}.myqcloud.com")
            for t in f.triggers("cos")
        ),
    ),
    Rule("events", "TC 9707", _each("cos", lambda t: t["events"] in CREATED)),
    Rule(
        "suffix with a dot",
        "CN 39901",
        _each("cos", lambda t: not t["filter"]["suffix"] or t["filter"]["suffix"].startswith(".")),
    ),
    Rule("rules of a bucket do not overlap", "TC 9707", _do_not_overlap),
    Rule(
        "enable is written, since its default is told in three ways",
        "CFG",
        lambda f: all(
            isinstance(t.get("enable"), bool) for kind in TRIGGERS for t in f.triggers(kind)
        ),
    ),
    Rule(
        "qualifier",
        "SDK CreateTrigger",
        lambda f: all(t["qualifier"] == "$DEFAULT" for kind in TRIGGERS for t in f.triggers(kind)),
    ),
    Rule(
        "ten triggers of a kind at most",
        "CN 11637",
        lambda f: all(len(f.triggers(kind)) <= 10 for kind in TRIGGERS),  # noqa: PLR2004 - the quota
    ),
    Rule("journal is apart from what triggers", "settings.py", _journal_is_apart),
    Rule("sources cover what triggers", "settings.py", _sources_cover_triggers),
    # Else the upload of a policy for the night would carry it out at once.
    Rule(
        "what a timer points to is apart from what triggers", "settings.py", _timers_read_elsewhere
    ),
)
