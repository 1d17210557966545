"""The function's settings: environment variables, validated before anything else."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import urlsplit

from image_steward import regions
from image_steward.errors import InvalidSetting
from image_steward.limits import IMAGES_PER_REQUEST
from image_steward.messages import nearest, short

BUCKET = re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?-[0-9]+")
"""A full bucket name, `<bucket>-<appid>`; it becomes part of a host name."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
"""Log levels, in ascending order."""

KINDS = ("requests", "manifests", "policies")
"""The kinds of documents, as STEWARD_SOURCES names them."""

_TRIGGERS = ("timer", "direct", "eventbridge")
"""Triggers whose events hold a document themselves."""

_PUBLIC_API = "https://{service}.{region}.tencentcloudapi.com"
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]+/?")


class Settings(NamedTuple):
    """One field for each variable of `_VARIABLES`: `dry_run` for STEWARD_DRY_RUN."""

    dry_run: bool = False
    sources: Mapping[str, tuple[str, ...]] = MappingProxyType({})
    """The kinds of documents allowed from each source, `<bucket>/<prefix>` or a trigger.

    Empty: all kinds from any source.
    """
    max_document_bytes: int = 1 << 20
    api_endpoint: str = _PUBLIC_API
    cos_endpoint: str = ""
    log_level: str = "INFO"
    max_changes: int = IMAGES_PER_REQUEST
    """Images that one document may change."""
    regions: tuple[str, ...] = ()
    """Those that documents may touch; empty: all that are known."""
    protected_tags: tuple[str, ...] = ()
    """Globs: keys of tags that no document may set or delete."""
    journal: tuple[str, str] | None = None
    """Bucket and prefix; a prefix that is not empty ends with a slash."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read the `STEWARD_…` variables; an empty one counts as unset.

        Raises:
            InvalidSetting: names every invalid or unknown variable, and what is allowed.
        """
        given = {name: environ[name] for name in environ if name.startswith("STEWARD_")}
        # A misspelt one was meant to restrict something.
        unknown = [name for name in given if name not in _VARIABLES]
        violations = [f"{short(n)} is not a setting{nearest(n, _VARIABLES)}" for n in unknown]
        values: dict[str, object] = {}
        for name, parse in _VARIABLES.items():
            if text := given.get(name, "").strip():
                try:
                    values[name.removeprefix("STEWARD_").lower()] = parse(text)
                except ValueError as error:
                    shown = short(re.sub("(//|^).*@", "//…@", text))  # without a login
                    violations.append(f"{name} is {shown}; {error}")
        if violations:
            raise InvalidSetting(*violations)
        settings = cls(**values)  # type: ignore[arg-type]  # the parsers' types are the fields' types
        journal = "/".join(settings.journal or ())
        for source in settings.sources:
            if journal and f"{source}/".startswith(journal):
                message = f"STEWARD_JOURNAL covers {source}, whose uploads would be ignored"
                raise InvalidSetting(message)
        return settings

    def kinds_from(self, path: str) -> tuple[str, ...]:
        """The kinds of documents that STEWARD_SOURCES allows from `<bucket>/<key>` or a trigger.

        Prefixes match whole path segments: `b-1/requests` and `b-1/requests/` allow
        `b-1/requests/a.json` but not `b-1/requests-x/a.json`. The longest match decides.
        """
        if not self.sources:
            return KINDS
        matches = (source for source in self.sources if f"{path}/".startswith(f"{source}/"))
        return self.sources.get(max(matches, key=len, default=""), ())

    def api_endpoint_of(self, service: str, region: str) -> str:
        """The URL of `service` (`cvm` or `tag`) in `region`."""
        return self.api_endpoint.replace("{service}", service).replace("{region}", region)


def _flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError("must be 0 or 1")
    return text == "1"


def _number(most: int, text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not 0 < int(text) <= most:
        raise ValueError(f"must be a number from 1 to {most}")
    return int(text)


def _entries(text: str) -> tuple[str, ...]:
    entries = tuple(filter(None, map(str.strip, text.split(","))))
    if not entries:  # "," is meant as a restriction, so it must not be taken for an empty setting
        raise ValueError("must have at least one entry, or be empty")
    if ";" in text:
        raise ValueError("must be a list with commas, not semicolons")
    return entries


def _sources(text: str) -> dict[str, tuple[str, ...]]:
    sources: dict[str, tuple[str, ...]] = {}
    for entry in _entries(text):
        source, equals, names = entry.rpartition("=")
        if not equals or "/" in names:  # it is a part of the prefix
            source, names = entry, "+".join(KINDS)
        source, kinds = source.rstrip("/"), tuple(names.split("+"))
        if wrong := [kind for kind in kinds if kind not in KINDS]:
            given = f"{short(wrong[0])}{nearest(wrong[0], KINDS)}"
            raise ValueError(f"kinds are {', '.join(KINDS)}, not {given}")
        if source not in _TRIGGERS and not BUCKET.fullmatch(source.partition("/")[0]):
            hint = "; join kinds with +" if source in KINDS else nearest(source, _TRIGGERS)
            raise ValueError(
                "must be a comma-separated list of bucket-appid/prefix=kinds and trigger=kinds, "
                "such as manifests-1250000000/requests/=requests+manifests,timer=policies; "
                f"{short(source)} is neither <bucket>-<appid>/<prefix> nor a trigger{hint}"
            )
        if source in sources:
            raise ValueError(f"{short(source)} appears twice; list all its kinds in one entry")
        sources[source] = kinds
    return sources


def _api_endpoint(text: str) -> str:
    url = text.replace("{service}", "cvm").replace("{region}", "ap-guangzhou")
    _cos_endpoint(url, f"{_PUBLIC_API}; no other fields are allowed")
    return text.rstrip("/")


def _cos_endpoint(text: str, example: str = "http://127.0.0.1:9000") -> str:
    try:
        is_valid = bool(_ENDPOINT.fullmatch(text) and urlsplit(text).hostname)
        urlsplit(text).port  # noqa: B018 - raises if the port is invalid
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError(f"must be http(s)://host[:port] without a path, such as {example}")
    return text.rstrip("/")


def _level(text: str) -> str:
    if text not in LEVELS:
        raise ValueError(f"must be one of {', '.join(LEVELS)}{nearest(text, LEVELS)}")
    return text


def _regions(text: str) -> tuple[str, ...]:
    names = _entries(text)
    for name in names:
        if not regions.is_region(name):
            hint = nearest(name, regions.KNOWN) or ", such as ap-guangzhou"
            raise ValueError(f"must be a comma-separated list of regions, not {short(name)}{hint}")
    return names


def _globs(text: str) -> tuple[str, ...]:
    globs = _entries(text)
    if wrong := next((glob for glob in globs if re.search(r"[|^$\\]|[*?]\s|\s[*?]", glob)), ""):
        allowed = "a comma-separated list of globs, such as cost-*,owner"
        raise ValueError(f"must be {allowed}, not {short(wrong)}")
    return globs


def _journal(text: str) -> tuple[str, str]:
    bucket, _, prefix = text.partition("/")
    prefix = f"{prefix.strip('/')}/".lstrip("/")
    if not BUCKET.fullmatch(bucket) or {"", ".", ".."} & set(prefix.split("/")[:-1]):
        raise ValueError("must be bucket-appid/prefix/, such as manifests-1250000000/journal/")
    return bucket, prefix


_VARIABLES: dict[str, Callable[[str], object]] = {
    "STEWARD_DRY_RUN": _flag,
    "STEWARD_SOURCES": _sources,
    "STEWARD_MAX_DOCUMENT_BYTES": partial(_number, 64 << 20),
    "STEWARD_API_ENDPOINT": _api_endpoint,
    "STEWARD_COS_ENDPOINT": _cos_endpoint,
    "STEWARD_LOG_LEVEL": _level,
    "STEWARD_MAX_CHANGES": partial(_number, 1_000_000),
    "STEWARD_REGIONS": _regions,
    "STEWARD_PROTECTED_TAGS": _globs,
    "STEWARD_JOURNAL": _journal,
}
