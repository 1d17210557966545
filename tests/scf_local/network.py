"""The environment variables that send a function's requests to the emulated cloud."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from scf_local.cloud import hosts

LOOPBACK = ("127.0.0.1", "localhost", "::1")
ENDPOINT = "SCF_LOCAL_ENDPOINT"
"""The emulated cloud's own URL, for clients that take one."""
NO_PROXY = "NO_PROXY"
CA_BUNDLE = "SSL_CERT_FILE"
"""The file with the certificates to trust; some clients have a name of their own for it."""
_BUNDLES = (CA_BUNDLE, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS")

_HOST = re.compile(r"(?=.{1,253}$)\w[\w-]*(\.\w[\w-]*)*", re.ASCII)


def variables(url: str, bundle: Path, allowed_hosts: Iterable[str] = ()) -> dict[str, str]:
    """Return the variables by name: the proxy at `url`, the hosts to reach without it, the CA.

    curl obeys `http_proxy` only in lower case, others all names only in upper case.
    """
    no_proxy = ",".join((*LOOPBACK, *allowed_hosts))
    named = {"HTTP_PROXY": url, "HTTPS_PROXY": url, NO_PROXY: no_proxy}
    return {
        **named,
        **{name.lower(): value for name, value in named.items()},
        **dict.fromkeys(_BUNDLES, str(bundle)),
        ENDPOINT: url,
    }


def check_allowed(names: Iterable[str]) -> None:
    """Check hosts that a function may reach, with those below them, besides the emulated cloud.

    Raises:
        ValueError: it is not the name of a host, or one that is emulated, or above one.
    """
    for name in names:
        if not _HOST.fullmatch(name):
            raise ValueError(
                f"--allow-host {name[:100]!r} must be a name or an IPv4 address without a port, "
                "such as db.example.com"
            )
        lower = name.lower()
        domains = (hosts.API_DOMAIN, *hosts.COS_DOMAINS)
        if hosts.is_emulated(lower) or any(f".{x}".endswith(f".{lower}") for x in domains):
            problem = "it, or one below it, is emulated; remove it, or use --real"
            raise ValueError(f"--allow-host {name}: {problem}")
