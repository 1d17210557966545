"""The variables of a running `scf-local cloud`, kept in a file where `--endpoint` finds them."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import click

from scf_local import json_files, network
from scf_local.console import note

_SECONDS = 2.0
"""How long a running cloud may take to accept a connection."""


@contextmanager
def kept(variables: Mapping[str, str]) -> Iterator[None]:
    """Keep the variables in a file that only the user can read, while the cloud runs."""
    path = _path_of(variables[network.ENDPOINT])
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_text(json.dumps(variables), encoding="utf-8")
    except OSError as error:  # of use to other clients all the same
        note(f"--endpoint will not find this cloud: {path}: {error.strerror}")
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def of_running(url: str) -> dict[str, str]:
    """Return the variables of the cloud that runs at a URL.

    Raises:
        ValueError: none runs there, or not as this user on this machine.
    """
    try:
        path, parts = _path_of(url), urlsplit(url)
        socket.create_connection((parts.hostname, parts.port or 0), _SECONDS).close()
        return dict(json_files.read(path))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"no emulated cloud of yours runs at {url!r} ({error}); start one with `scf-local "
            "cloud`, and use the URL that it prints, such as http://127.0.0.1:9000"
        ) from None


def _path_of(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "http" or parts.hostname not in network.LOOPBACK or not parts.port:
        raise ValueError("it is not the URL of one")
    return Path(click.get_app_dir("scf-local")) / f"cloud-{parts.port}.json"
