"""The function's settings: environment variables, validated before anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from image_steward import regions
from image_steward.errors import InvalidSetting
from image_steward.messages import short

BUCKET = re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?-[0-9]+")
"""A full bucket name, `<bucket>-<appid>`; it becomes part of a host name."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
"""Log levels, in ascending order."""

_PUBLIC_API = "https://{service}.{region}.tencentcloudapi.com"
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]+/?")
_USERINFO = re.compile(r"//[^/]*@")


@dataclass(frozen=True)
class Settings:
    """One field per variable; `_VARIABLES` maps them."""

    dry_run: bool = False
    sources: tuple[tuple[str, str], ...] = ()
    """Pairs of bucket and prefix; empty: any source."""
    max_document_bytes: int = 1 << 20
    api_endpoint: str = _PUBLIC_API
    cos_endpoint: str = ""
    log_level: str = "INFO"
    regions: tuple[str, ...] = ()
    """Those that documents may touch; empty: all that are known."""
    journal: tuple[str, str] | None = None
    """Bucket and prefix; a prefix that is not empty ends with a slash."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the `STEWARD_…` variables; an empty one counts as unset.

        Raises:
            InvalidSetting: names every invalid variable, and what is allowed.
        """
        violations: list[str] = []
        values: dict[str, object] = {}
        for field, (name, parse) in _VARIABLES.items():
            if text := environ.get(name, "").strip():
                try:
                    values[field] = parse(text)
                except ValueError as error:
                    violations.append(f"{name} is {short(_USERINFO.sub('//…@', text))}; {error}")
        if violations:
            raise InvalidSetting(*violations)
        return cls(**values)  # type: ignore[arg-type]  # the parsers' types are the fields' types

    def allows(self, bucket: str, key: str) -> bool:
        """Whether STEWARD_SOURCES allows documents from this object.

        Prefixes match whole path segments: `b-1/requests` and `b-1/requests/` allow
        `requests/a.json` but not `requests-x/a.json`. A key with a `.` or `..` segment is never
        allowed: HTTP clients normalise those and would fetch another object than the one checked.
        """
        if {".", ".."} & set(key.split("/")):
            return False
        return not self.sources or any(
            bucket == allowed and (not prefix or f"{key}/".startswith(f"{prefix}/"))
            for allowed, prefix in self.sources
        )

    def api_endpoint_of(self, service: str, region: str) -> str:
        """The URL of `service` (`cvm` or `tag`) in `region`."""
        return self.api_endpoint.replace("{service}", service).replace("{region}", region)


def _flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError("must be 0 or 1")
    return text == "1"


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 64 << 20:
        raise ValueError("must be a number of bytes from 1 to 67108864")
    return int(text)


def _sources(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for entry in filter(None, map(str.strip, text.split(","))):
        bucket, _, prefix = entry.partition("/")
        if not BUCKET.fullmatch(bucket):
            raise ValueError(
                "must be a comma-separated list of bucket-appid/prefix, such as "
                f"manifests-1250000000/requests/; {short(bucket)} is not a full bucket name"
            )
        pairs.append((bucket, prefix.rstrip("/")))
    if not pairs:  # "," is meant as a restriction, so it must not allow every source
        raise ValueError("must name at least one source; leave it empty to allow all")
    return tuple(pairs)


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
        raise ValueError(f"must be one of {', '.join(LEVELS)}")
    return text


def _regions(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, map(str.strip, text.split(","))))
    if not names or not all(map(regions.is_region, names)):
        raise ValueError("must be a comma list of regions, such as ap-guangzhou,ap-shanghai")
    return names


def _journal(text: str) -> tuple[str, str]:
    bucket, _, prefix = text.partition("/")
    prefix = f"{prefix.strip('/')}/".lstrip("/")
    if not BUCKET.fullmatch(bucket) or {"", ".", ".."} & set(prefix.split("/")[:-1]):
        raise ValueError("must be bucket-appid/prefix/, such as manifests-1250000000/journal/")
    return bucket, prefix


_VARIABLES = {
    "dry_run": ("STEWARD_DRY_RUN", _flag),
    "sources": ("STEWARD_SOURCES", _sources),
    "max_document_bytes": ("STEWARD_MAX_DOCUMENT_BYTES", _size),
    "api_endpoint": ("STEWARD_API_ENDPOINT", _api_endpoint),
    "cos_endpoint": ("STEWARD_COS_ENDPOINT", _cos_endpoint),
    "log_level": ("STEWARD_LOG_LEVEL", _level),
    "regions": ("STEWARD_REGIONS", _regions),
    "journal": ("STEWARD_JOURNAL", _journal),
}
