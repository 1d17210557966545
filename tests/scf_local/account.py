"""The user's own account, for a run on the real cloud: credentials, and consent to write."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from scf_local import json_files
from scf_local.credentials import SCF_NAMES, SDK_NAMES, AccountCredentials

_NO_TERMINAL = (
    "--real may change your images, and there is no terminal to ask for confirmation. Add "
    "--dry-run to see the plan, --yes to run without asking, or pass EVENT as a file so that "
    "stdin is free for your answer"
)


@dataclass(frozen=True)
class Account:
    """Credentials, where they were found, and the region configured with them, if any."""

    credentials: AccountCredentials
    source: str
    region: str | None

    @classmethod
    def find(cls, environ: Mapping[str, str], home: Path, profile: str | None) -> Account:
        """The account that `tccli` would use: from `profile`, else variables, else a profile.

        Raises:
            ValueError: no usable credentials were found; lists the sources that were searched.
        """
        searched = []
        region = None
        if profile is None:
            region = environ.get("TENCENTCLOUD_REGION") or None
            for names in (SDK_NAMES, SCF_NAMES):
                credentials = _from_variables(environ, names)
                if credentials:
                    region = region or _region_of(home, environ.get("TCCLI_PROFILE") or "default")
                    return cls(credentials, f"the variable {names[0]}", region)
                searched.append(f"the variables {names[0]} and {names[1]} (not set)")
        profile = profile or environ.get("TCCLI_PROFILE") or "default"
        path, found = _read_profile(home, profile, "credential")
        if found is not None:
            return cls(_from_profile(path, found), str(path), region or _region_of(home, profile))
        searched.append(f"{path} (no such file)")
        raise ValueError(
            "credentials of your own are needed, and none were found. Searched: "
            f"{'; '.join(searched)}. Run `tccli configure`, or set the variables; they do not "
            "count beside --profile"
        )


def confirm_writes(account: Account, region: str) -> None:
    """Have the user type `yes`.

    Raises:
        ValueError: there is no terminal, or the answer was not `yes`.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ValueError(_NO_TERMINAL)
    question = (
        f"This run may change images and tags in your account (credentials from {account.source}), "
        f"in {region} and any region that the document names. Type yes to continue: "
    )
    click.echo(question, nl=False, err=True)
    if sys.stdin.readline().strip() != "yes":
        raise ValueError("not confirmed with yes: nothing was run. Use --dry-run to see the plan")


def _from_variables(environ: Mapping[str, str], names: Sequence[str]) -> AccountCredentials | None:
    secret_id, secret_key, token = (environ.get(name, "") for name in names)
    if not secret_id and not secret_key:
        return None
    if not secret_id or not secret_key:  # the next source may belong to another account
        present, missing = names[:2] if secret_id else names[1::-1]
        raise ValueError(f"{present} is set, but {missing} is not: set both or neither")
    return AccountCredentials(secret_id, secret_key, token)


def _from_profile(path: Path, profile: dict[str, Any]) -> AccountCredentials:
    credentials = [profile.get(name) or "" for name in ("secretId", "secretKey", "token")]
    if profile.get("role-arn"):
        raise ValueError(
            f"{path}: the profile assumes a role, which scf-local does not support; set the "
            f"variables {', '.join(SDK_NAMES)} to credentials of that role"
        )
    if not all(isinstance(value, str) for value in credentials) or not all(credentials[:2]):
        raise ValueError(f"{path}: secretId or secretKey is missing; run `tccli configure`")
    expires = profile.get("expiresAt")
    if isinstance(expires, int) and expires <= time.time():
        raise ValueError(f"{path}: the credentials have expired; any `tccli` call renews them")
    return AccountCredentials(*credentials)


def _region_of(home: Path, profile: str) -> str | None:
    _, found = _read_profile(home, profile, "configure")
    parameters = (found or {}).get("_sys_param")
    region = parameters.get("region") if isinstance(parameters, dict) else None
    return region if isinstance(region, str) and region else None


def _read_profile(home: Path, profile: str, kind: str) -> tuple[Path, dict[str, Any] | None]:
    """The file of a profile, and what it contains; None if it does not exist."""
    if "/" in profile or "\0" in profile:
        raise ValueError(f"{profile!r} is not a profile name; use one of ~/.tccli/*.{kind}")
    path = home / ".tccli" / f"{profile}.{kind}"
    value = json_files.read(path) if path.is_file() else None
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"{path}: not a JSON object; `tccli configure` writes one")
    return path, value
