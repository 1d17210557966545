"""Sessions of roles in an emulated cloud, with keys of their own."""

from __future__ import annotations

import itertools
import json
import math
from typing import TYPE_CHECKING, Any

from scf_local.cloud.cam import policies
from scf_local.cloud.cam.model import Caller, Policy, Role
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from scf_local.cloud.state import State

_NUMBERS = itertools.count()


def document(*statements: dict[str, Any]) -> str:
    """Return a policy with these statements."""
    return json.dumps({"version": "2.0", "statement": statements})


def allow(*actions: str, resource: str = "*", effect: str = "allow") -> dict[str, Any]:
    """Return a statement that allows actions on a resource."""
    return {"effect": effect, "action": list(actions), "resource": [resource]}


def role_of(*texts: str, trust: str = "") -> Role:
    """Return a role to which policies with these texts are attached."""
    attached = {Policy(i, f"p{i}", text, "", 0.0, 0.0): 0.0 for i, text in enumerate(texts)}
    return Role("4611686018427387904", "image-steward", trust, "", 0.0, 0.0, attached=attached)


def session_of(
    state: State,
    role: Role,
    keys: AccountCredentials | None = None,
    *,
    expires: float = math.inf,
    limits: str = "",
) -> AccountCredentials:
    """Return the keys of a new session of a role, which are new unless given."""
    number = f"{next(_NUMBERS):016}"
    keys = keys or AccountCredentials(
        f"AKIDROLE{number}", f"ROLEEXAMPLEKEY{number}", f"ROLEEXAMPLETOKEN{number}"
    )
    statements = policies.parse(limits) if limits else None
    with state.lock:
        state.access.sessions[keys.secret_id] = Caller(keys, role, "scf", expires, statements)
    return keys


def keys_for(state: State, *statements: dict[str, Any], **options: Any) -> AccountCredentials:  # noqa: ANN401 - those above
    """Return the keys of a session that may do what statements allow."""
    return session_of(state, role_of(document(*statements)), **options)
