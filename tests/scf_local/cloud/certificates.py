"""The certificate authority of a run: it signs for the names of the emulated cloud."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import certifi
import trustme


class Authority:
    """Signs certificates for any host; only who was given its own one trusts them."""

    def __init__(self) -> None:
        self._ca = trustme.CA(organization_name="scf-local")
        self._contexts: dict[str, ssl.SSLContext] = {}

    def context(self, host: str) -> ssl.SSLContext:
        """Return the context of a TLS server with this name, and of its neighbours."""
        names = f"*.{host.partition('.')[2]}"  # all buckets of a region share a certificate
        if names not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._ca.issue_cert(names).configure_cert(context)
            self._contexts[names] = context
        return self._contexts[names]

    def write_bundle(self, path: Path, *, with_public: bool) -> None:
        """Write the certificates to trust: its own, and those of the public authorities.

        The latter take a client 13 ms to load.
        """
        public = certifi.contents() if with_public else ""
        path.write_text(self._ca.cert_pem.bytes().decode() + public, encoding="ascii")


@cache
def authority() -> Authority:
    """Return the authority of this process: made when it is first needed, never stored."""
    return Authority()
