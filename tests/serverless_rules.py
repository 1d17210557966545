"""The rules of the component `scf` and of SCF for serverless.yml, each with its source.

The component has no published schema. Sources: CFG is docs/configure.md and
serverless.component.yml of github.com/serverless-components/tencent-scf; CN and TC are pages of
document/product/583.
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
"""SCF documents up to 3.10; its examples, github.com/tencentyun/serverless-demo, use all four."""

INPUTS = {
    "name", "src", "type", "handler", "runtime", "region", "role", "memorySize", "timeout",
    "initTimeout", "environment", "events", "description", "namespace", "layers", "vpcConfig",
    "publicAccess", "cls", "tags", "retryNum", "msgTTL", "reservedConcurrencyMem",
}  # fmt: skip
"""The members in CFG that an event function in Python can use, and one of `make deploy`'s own."""

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
class FileRule:
    """A rule, the document that states it, and a check."""

    name: str
    source: str
    holds: Callable[[ServerlessFile], object]


@dataclass(frozen=True)
class ServerlessFile:
    """The content of serverless.yml."""

    content: Mapping[str, Any]

    @property
    def inputs(self) -> Mapping[str, Any]:
        """The member `inputs`, which describes the function."""
        return dict(self.content["inputs"])

    @property
    def variables(self) -> Mapping[str, Any]:
        """The environment variables."""
        return dict(self.inputs["environment"]["variables"])

    def triggers(self, kind: str) -> list[Mapping[str, Any]]:
        """Return the parameters of all triggers of a kind."""
        return [event[kind]["parameters"] for event in self.inputs["events"] if kind in event]

    def folders(self) -> Iterator[tuple[str, str]]:
        """Yield bucket and prefix of each COS trigger."""
        for trigger in self.triggers("cos"):
            yield trigger["bucket"].partition(".")[0], trigger["filter"]["prefix"]

    def settings(self) -> Settings:
        """Read the environment variables as the function does."""
        return Settings.from_environ({k: str(v) for k, v in self.variables.items()})


def violations(content: Mapping[str, Any]) -> list[str]:
    """Return the names of the rules that a file violates, or that fail to read it."""
    return [rule.name for rule in RULES if not _holds(rule, ServerlessFile(content))]


def _holds(rule: FileRule, file: ServerlessFile) -> bool:
    try:
        return bool(rule.holds(file))
    except (KeyError, TypeError, AttributeError):
        return False


def is_cron(expression: str) -> bool:
    """Whether it has seven fields of numbers in the allowed range, `,`, `-`, `*` and `/`.

    `?`, `L`, `W` and `#`, which only the Chinese page documents, are not allowed.
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


def _no_unknown_members(file: ServerlessFile) -> bool:
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


def _settings_are_valid(file: ServerlessFile) -> bool:
    try:
        file.settings()
    except StewardError:
        return False
    return True


def _each(
    kind: str, holds: Callable[[Mapping[str, Any]], object]
) -> Callable[[ServerlessFile], bool]:
    return lambda file: all(holds(trigger) for trigger in file.triggers(kind))


def _journal_is_apart(file: ServerlessFile) -> bool:
    if not _settings_are_valid(file) or not (journal := file.settings().journal):
        return True
    return not any(
        bucket == journal[0] and (journal[1].startswith(prefix) or prefix.startswith(journal[1]))
        for bucket, prefix in file.folders()
    )


def _sources_cover_triggers(file: ServerlessFile) -> bool:
    if not _settings_are_valid(file):
        return True
    return all(
        file.settings().kinds_from(f"{bucket}/{prefix}x") for bucket, prefix in file.folders()
    )


def _timers_read_elsewhere(file: ServerlessFile) -> bool:
    pointers = filter(None, map(_pointer, file.triggers("timer")))
    return not any(
        bucket == trigger["bucket"].partition(".")[0]
        and key.startswith(trigger["filter"]["prefix"])
        and key.endswith(trigger["filter"]["suffix"])
        for bucket, key in pointers
        for trigger in file.triggers("cos")
    )


def _pointer(timer: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return bucket and key of the object that a timer's document points to, if it is a pointer."""
    try:
        document = registry.read(str(timer["argument"]).encode(), region="ap-guangzhou").request
    except StewardError:
        return None
    return (document.bucket, document.key) if isinstance(document, CosObject) else None


def _do_not_overlap(file: ServerlessFile) -> bool:
    filters = [
        (t["bucket"], t["filter"]["prefix"], t["filter"]["suffix"]) for t in file.triggers("cos")
    ]
    return not any(
        bucket == other_bucket
        and (prefix.startswith(other_prefix) or other_prefix.startswith(prefix))
        and (suffix.endswith(other_suffix) or other_suffix.endswith(suffix))
        for i, (bucket, prefix, suffix) in enumerate(filters)
        for other_bucket, other_prefix, other_suffix in filters[:i]
    )


def _matches(pattern: str, text: object) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(pattern, text))


RULES = (
    FileRule("component", "CN 44753", lambda f: f.content["component"] == "scf"),
    FileRule("instance name", "CFG", lambda f: _matches(_PART, f.content["name"])),
    FileRule("no unknown members", "CFG", _no_unknown_members),
    FileRule(
        "function name of 2 to 60 characters",
        "CFG",
        lambda f: _matches(_PART, f.inputs["name"]),
    ),
    FileRule("type", "CFG", lambda f: f.inputs["type"] == "event"),
    FileRule(
        "handler is file.function, 2 to 60 characters each",
        "SDK CreateFunction",
        lambda f: _matches(rf"{_PART}\.{_PART}", f.inputs["handler"]),
    ),
    FileRule("runtime is supported", "pyproject.toml", lambda f: f.inputs["runtime"] in SUPPORTED),
    FileRule(
        "region", "CFG", lambda f: _matches(r"[a-z]{2}-[a-z]+(-[a-z0-9]+)*", f.inputs["region"])
    ),
    FileRule("role is set, for credentials", "CN 32389", lambda f: f.inputs.get("role")),
    FileRule("memory", "CN 11637", lambda f: _is_memory(f.inputs["memorySize"])),
    FileRule("timeout of 1 to 900 s", "CN 11637", lambda f: f.inputs["timeout"] in range(1, 901)),
    FileRule(
        "initTimeout of 3 to 300 s", "CN 11637", lambda f: f.inputs["initTimeout"] in range(3, 301)
    ),
    FileRule(
        "names of variables",
        "CN 32748",
        lambda f: all(_matches(r"[a-zA-Z][a-zA-Z0-9_]*", name) for name in f.variables),
    ),
    FileRule(
        "no reserved names",
        "CN 32748",
        lambda f: not any(re.match("SCF_|QCLOUD_|TENCENTCLOUD_", name) for name in f.variables),
    ),
    FileRule(
        "values of variables are non-empty texts",
        "SDK Variable",
        lambda f: all(value and isinstance(value, str) for value in f.variables.values()),
    ),
    FileRule(
        "environment of at most 4 KB",
        "CN 32748",
        lambda f: _are_bytes_at_most("".join(f"{k}={v};" for k, v in f.variables.items()), 4096),
    ),
    FileRule("settings are valid", "settings.py", _settings_are_valid),
    FileRule(
        "timer name of at most 60 characters",
        "CN 9708",
        _each("timer", lambda t: _matches(r"[A-Za-z][A-Za-z0-9_-]{0,59}", t["name"])),
    ),
    FileRule(
        "timer names are unique",
        "CN 9708",
        lambda f: len({t["name"] for t in f.triggers("timer")}) == len(f.triggers("timer")),
    ),
    FileRule("cron", "TC 9708", _each("timer", lambda t: is_cron(t["cronExpression"]))),
    FileRule(
        "argument is a text of at most 4 KB",
        "CN 9708",
        _each("timer", lambda t: _are_bytes_at_most(t["argument"], 4096)),
    ),
    FileRule(
        "bucket's full name and XML domain",
        "CN 39901",
        _each("cos", lambda t: _is_domain(*t["bucket"].partition("."))),
    ),
    FileRule(
        "bucket in the function's region",
        "TC 9707",
        lambda f: all(
            t["bucket"].endswith(f".cos.{f.inputs['region']}.myqcloud.com")
            for t in f.triggers("cos")
        ),
    ),
    FileRule("events", "TC 9707", _each("cos", lambda t: t["events"] in CREATED)),
    FileRule(
        "suffix with a dot",
        "CN 39901",
        _each("cos", lambda t: not t["filter"]["suffix"] or t["filter"]["suffix"].startswith(".")),
    ),
    FileRule("rules of a bucket do not overlap", "TC 9707", _do_not_overlap),
    FileRule(
        "enable is set, since its default is not clear",
        "CFG",
        lambda f: all(
            isinstance(t.get("enable"), bool) for kind in TRIGGERS for t in f.triggers(kind)
        ),
    ),
    FileRule(
        "qualifier",
        "SDK CreateTrigger",
        lambda f: all(t["qualifier"] == "$DEFAULT" for kind in TRIGGERS for t in f.triggers(kind)),
    ),
    FileRule(
        "at most ten triggers of a kind",
        "CN 11637",
        lambda f: all(len(f.triggers(kind)) <= 10 for kind in TRIGGERS),  # noqa: PLR2004 - the quota
    ),
    FileRule("journal does not fire the trigger", "settings.py", _journal_is_apart),
    FileRule("sources allow what fires the trigger", "settings.py", _sources_cover_triggers),
    # Otherwise the upload of a nightly policy would apply it at once.
    FileRule(
        "documents of timers do not fire the COS trigger", "settings.py", _timers_read_elsewhere
    ),
)
