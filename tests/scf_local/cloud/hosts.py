"""The host names that the emulated cloud answers for, and what they mean."""

from __future__ import annotations

import re

API_DOMAIN = "tencentcloudapi.com"
COS_DOMAINS = ("myqcloud.com", "tencentcos.cn")
MAX_NAME = 253

_OWN = re.compile(r"127\.0\.0\.1|([\w-]+\.)*localhost|\[?::1\]?")
_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_DOMAINS = "|".join(map(re.escape, (API_DOMAIN, *COS_DOMAINS)))
# Only the first label may look like IDNA's: no certificate is made for it, but for its neighbours.
_EMULATED = re.compile(rf"{_LABEL}\.((?!..--){_LABEL}\.)*({_DOMAINS})")
_BUCKET = re.compile(rf"([a-z0-9-]+-\d+)\.cos(?:-internal)?\.([a-z0-9-]+)\.(?:{_DOMAINS})")
_REGION = re.compile(r"[a-z]+-[a-z0-9-]+")


def name_of(host: str) -> str:
    """Return a Host header as a name: lower case, without port and final dot.

    `tccli --endpoint http://…` sends the scheme, too.
    """
    return re.sub(r"\.?(:\d+)?$", "", host.lower().removeprefix("http://"))


def is_own(name: str) -> bool:
    """Whether a name is the local machine's; by DNS rebinding, web pages send others."""
    return _OWN.fullmatch(name) is not None


def is_emulated(name: str) -> bool:
    """Whether a name is one of the cloud's: an API's, a bucket's, or another of their domains."""
    return len(name) <= MAX_NAME and _EMULATED.fullmatch(name) is not None


def is_proxied(host: str, own_port: int) -> bool:
    """Whether the proxy, which listens on `own_port`, answers for a host itself."""
    name = name_of(host)
    return is_emulated(name) or (is_own(name) and host.endswith(f":{own_port}"))


def api_of(name: str) -> tuple[str, str] | None:
    """Return the service and the region in the name of an API's host; None for any other host.

    The region is empty for the nearest one: `cvm.tencentcloudapi.com`, `cvm.intl.…`,
    `cvm.internal.…`. Finance regions are only reached by their own hosts.
    """
    service, *labels = name.removesuffix(f".{API_DOMAIN}").split(".")
    if not name.endswith(f".{API_DOMAIN}"):
        return None
    return service, next(filter(_REGION.fullmatch, labels), "")


def bucket_of(host: str) -> tuple[str, str] | None:
    """Return the bucket and region in a Host header, or None if it is not that of a bucket."""
    match = _BUCKET.fullmatch(name_of(host))
    return match and (match[1], match[2])


def refusal(host: str) -> str:
    """Return why a host is not answered for; one line, also for an HTTP status line."""
    name = name_of(host)
    if len(name) > MAX_NAME or not re.fullmatch(r"[\w.:\[\]-]+", name, re.ASCII):
        return f"{name[:MAX_NAME]!a} is not the name of a host"
    if is_own(name):
        return f"{name} is this machine, and not for the proxy: NO_PROXY has it"
    advice = "" if ":" in name else f"; --allow-host {name} lets it through"  # no IPv6
    return f"{name} is not emulated{advice}"
