"""The function's settings: environment variables, checked before anything else happens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from image_steward.errors import InvalidSetting

BUCKET = re.compile(r"(?=.{3,63}\Z)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?-[0-9]+")
"""A bucket's full name, `<bucket>-<appid>`: it becomes part of a host name."""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
"""Of log lines."""

_PUBLIC = "https://{service}.{region}.tencentcloudapi.com"
_ENDPOINT = re.compile(r"https?://[A-Za-z0-9.\-:\[\]]+/?")
_LOGIN = re.compile(r"//[^/]*@")


@dataclass(frozen=True)
class Settings:
    """One field for each variable; `from_environ` says which."""

    dry_run: bool = False
    sources: tuple[tuple[str, str], ...] = ()
    max_document_bytes: int = 1 << 20
    api_endpoint: str = _PUBLIC
    cos_endpoint: str = ""
    log_level: str = "INFO"
    journal: tuple[str, str] | None = None
    """Bucket and prefix, the latter empty or with a slash at its end."""

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Settings:
        """Read the `STEWARD_…` variables; an empty one counts as not set.

        Raises:
            InvalidSetting: every wrong one is named, with what would be allowed.
        """
        wrong: list[str] = []
        found: dict[str, object] = {}
        for field, (name, parse) in _VARIABLES.items():
            if text := environ.get(name, "").strip():
                try:
                    found[field] = parse(text)
                except ValueError as error:
                    shown = _LOGIN.sub("//…@", text)[:80]
                    wrong.append(f"{name} is {shown!r}: {error}")
        if wrong:
            raise InvalidSetting(*wrong)
        return cls(**found)  # type: ignore[arg-type]  # the parsers' types are the fields' types

    def allows(self, bucket: str, key: str) -> bool:
        """Whether STEWARD_SOURCES lets documents come from this object.

        Whole path segments count: `b-1/requests` and `b-1/requests/` admit `requests/a.json`
        and not `requests-x/a.json`. A key with a `.` or `..` segment is never admitted, since
        HTTP clients fold those away and would fetch another object than the one checked.
        """
        if {".", ".."} & set(key.split("/")):
            return False
        return not self.sources or any(
            bucket == allowed and (not prefix or f"{key}/".startswith(f"{prefix}/"))
            for allowed, prefix in self.sources
        )

    def api_endpoint_of(self, service: str, region: str) -> str:
        """The endpoint of `service` (`cvm`, `tag`) that serves `region`, as a URL."""
        return self.api_endpoint.replace("{service}", service).replace("{region}", region)


def _flag(text: str) -> bool:
    if text not in {"0", "1"}:
        raise ValueError("allowed are 0 and 1")
    return text == "1"


def _size(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= 64 << 20:
        raise ValueError("allowed is a number of bytes from 1 to 67108864")
    return int(text)


def _sources(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for entry in filter(None, map(str.strip, text.split(","))):
        bucket, _, prefix = entry.partition("/")
        if not BUCKET.fullmatch(bucket):
            raise ValueError(
                f"{bucket[:60]!r} is no full bucket name; allowed is a comma list of "
                "bucket-appid/prefix, such as manifests-1250000000/requests/"
            )
        pairs.append((bucket, prefix.rstrip("/")))
    if not pairs:  # it says that there is a limit, so it must not mean that there is none
        raise ValueError("it names no source; leave it empty to allow any")
    return tuple(pairs)


def _api_endpoint(text: str) -> str:
    _cos_endpoint(text.replace("{service}", "cvm").replace("{region}", "ap-guangzhou"))
    return text.rstrip("/")


def _cos_endpoint(text: str) -> str:
    try:
        has_host = bool(_ENDPOINT.fullmatch(text) and urlsplit(text).hostname)
        urlsplit(text).port  # noqa: B018 - reading it checks it
    except ValueError:
        has_host = False
    if not has_host:
        raise ValueError(f"allowed is http(s)://host[:port] without a path, such as {_PUBLIC}")
    return text.rstrip("/")


def _level(text: str) -> str:
    if text not in LEVELS:
        raise ValueError(f"allowed are {', '.join(LEVELS)}")
    return text


def _journal(text: str) -> tuple[str, str]:
    bucket, _, prefix = text.partition("/")
    prefix = f"{prefix.strip('/')}/".lstrip("/")
    if not BUCKET.fullmatch(bucket) or {"", ".", ".."} & set(prefix.split("/")[:-1]):
        raise ValueError("allowed is bucket-appid/prefix/, such as manifests-1250000000/journal/")
    return bucket, prefix


_VARIABLES = {
    "dry_run": ("STEWARD_DRY_RUN", _flag),
    "sources": ("STEWARD_SOURCES", _sources),
    "max_document_bytes": ("STEWARD_MAX_DOCUMENT_BYTES", _size),
    "api_endpoint": ("STEWARD_API_ENDPOINT", _api_endpoint),
    "cos_endpoint": ("STEWARD_COS_ENDPOINT", _cos_endpoint),
    "log_level": ("STEWARD_LOG_LEVEL", _level),
    "journal": ("STEWARD_JOURNAL", _journal),
}
