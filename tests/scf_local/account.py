"""The user's own account, for a run against the real cloud: its keys, and leave to write."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from scf_local import json_files
from scf_local.credentials import Credentials

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_VARIABLES = (
    ("TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY", "TENCENTCLOUD_TOKEN"),
    ("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY", "TENCENTCLOUD_SESSIONTOKEN"),
)
"""The SDKs' and tccli's names, then SCF's."""

_NO_TERMINAL = (
    "--real may change your images, and there is no terminal to ask for leave: add --dry-run to "
    "see what would be done, or --yes to have it done; an EVENT that is a file leaves stdin to you"
)


@dataclass(frozen=True)
class Account:
    """Keys, where they were found, and the region that goes with them, if any."""

    credentials: Credentials
    source: str
    region: str | None

    @classmethod
    def own(cls, environ: Mapping[str, str], home: Path, profile: str | None) -> Account:
        """The account that `tccli` would use: a profile that is named, variables, a profile.

        Raises:
            ValueError: there are no keys, or they cannot be used; says where they were looked for.
        """
        looked_at = []
        region = None
        if profile is None:
            region = environ.get("TENCENTCLOUD_REGION") or None
            for names in _VARIABLES:
                found = _of_variables(environ, names)
                if found:
                    region = region or _region_of(home, environ.get("TCCLI_PROFILE") or "default")
                    return cls(found, f"the variable {names[0]}", region)
                looked_at.append(f"the variables {names[0]} and {names[1]} (not set)")
        profile = profile or environ.get("TCCLI_PROFILE") or "default"
        path = _path(home, profile, "credential")
        if path.is_file():
            found = _of_profile(path)
            return cls(found, str(path), region or _region_of(home, profile))
        looked_at.append(f"{path} (no such file)")
        raise ValueError(
            f"--real needs keys of your own, and none were found. Looked at: "
            f"{'; '.join(looked_at)}. Set the variables, or run `tccli configure`"
        )


def ask_leave(account: Account, region: str) -> None:
    """Have the user type `yes`.

    Raises:
        ValueError: nobody can be asked, or the answer was another one.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ValueError(_NO_TERMINAL)
    question = (
        f"This run may change images and tags of your own account (keys of {account.source}), "
        f"in {region} and wherever the document says. Type yes to go on: "
    )
    click.echo(question, nl=False, err=True)
    if sys.stdin.readline().strip() != "yes":
        raise ValueError("not answered with yes: nothing was run; --dry-run shows what would be")


def _of_variables(environ: Mapping[str, str], names: tuple[str, str, str]) -> Credentials | None:
    secret_id, secret_key, token = (environ.get(name, "") for name in names)
    if not secret_id and not secret_key:
        return None
    if not secret_id or not secret_key:  # going on would find another account's
        there, missing = names[:2] if secret_id else names[1::-1]
        raise ValueError(f"the variable {there} is set, {missing} is not: set both, or neither")
    return Credentials(secret_id, secret_key, token)


def _of_profile(path: Path) -> Credentials:
    found = _object(path)
    keys = [found.get(name) or "" for name in ("secretId", "secretKey", "token")]
    if found.get("role-arn"):
        raise ValueError(
            f"{path}: the profile assumes a role, which scf-local does not; set the variables "
            f"{', '.join(_VARIABLES[0])} to keys of that role"
        )
    if not all(isinstance(key, str) for key in keys) or not keys[0] or not keys[1]:
        raise ValueError(f"{path}: secretId or secretKey is missing; run `tccli configure`")
    expires = found.get("expiresAt")
    if isinstance(expires, int) and expires <= time.time():
        raise ValueError(f"{path}: the keys have expired; any call of `tccli` renews them")
    return Credentials(*keys)


def _region_of(home: Path, profile: str) -> str | None:
    path = _path(home, profile, "configure")
    parameters = _object(path).get("_sys_param") if path.is_file() else None
    region = parameters.get("region") if isinstance(parameters, dict) else None
    return region if isinstance(region, str) and region else None


def _path(home: Path, profile: str, kind: str) -> Path:
    if "/" in profile or "\0" in profile:
        raise ValueError(f"profile {profile!r} is none; give the name of a file ~/.tccli/*.{kind}")
    return home / ".tccli" / f"{profile}.{kind}"


def _object(path: Path) -> dict[str, Any]:
    found = json_files.read(path)
    if not isinstance(found, dict):
        raise ValueError(f"{path}: is no JSON object; `tccli configure` writes one")  # noqa: TRY004 - callers know one error
    return found
