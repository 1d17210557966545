"""The roles and policies of the emulated CAM, and who calls with which rights. Only data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from scf_local.cloud.cam import policies
from scf_local.cloud.cam.policies import Statement
from scf_local.cloud.wire import ErrorReply
from scf_local.credentials import AccountCredentials
from scf_local.environment import UIN

SCF = "service:scf.qcloud.com"
"""The principal of a role that functions may have."""
DENIED = {"tag": "AuthFailure.UnauthorizedOperation", "cos": "AccessDenied"}
"""The code of an action that is not allowed, by service; that of others is below."""
_DENIED = "UnauthorizedOperation"
MAX_SESSION_S = 43200
"""How many seconds a session of any role may last."""


class Denied(ErrorReply):
    """No policy allows what is asked for."""


@dataclass(eq=False)
class Policy:
    """A policy of the account; `document` is its text, times are epoch seconds."""

    id: int
    name: str
    document: str
    description: str
    added: float
    modified: float
    tags: list[dict[str, Any]] = field(default_factory=list)
    statements: tuple[Statement, ...] = ()

    def __post_init__(self) -> None:
        self.statements = policies.parse(self.document)


@dataclass(eq=False)
class Role:
    """A role; `trust` is the text of its trust policy.

    Attributes:
        session_s: how many seconds a session may last.
        attached: its policies, each with the epoch seconds when it was attached.
    """

    id: str
    name: str
    trust: str
    description: str
    added: float
    modified: float
    session_s: int = 7200
    tags: list[dict[str, Any]] = field(default_factory=list)
    attached: dict[Policy, float] = field(default_factory=dict)

    def trusts(self, *principals: str) -> bool:
        """Whether its trust policy lets who has these names, such as `SCF`, assume it."""
        statements = policies.parse(self.trust, is_trust=True)
        mine = [each for each in statements if {*principals} & {*each.principals}]
        return policies.is_allowed(mine, "sts:AssumeRole", "*")


@dataclass(frozen=True)
class Caller:
    """Who signs calls: the account itself, which may do anything, or a session of a role.

    Attributes:
        session: `RoleSessionName`.
        expires: epoch seconds; these follow the real time, as signatures do.
        limits: the statements of the session's own policy; None if it has none.
    """

    credentials: AccountCredentials = field(default_factory=AccountCredentials)
    role: Role | None = None
    session: str = ""
    expires: float = math.inf
    limits: tuple[Statement, ...] | None = None

    def require(self, action: str, resource: str = "*") -> None:
        """Raise an error reply unless an action, such as `cvm:DescribeImages`, is allowed."""
        if self.role is None:
            return
        attached = [statement for policy in self.role.attached for statement in policy.statements]
        for statements in (attached, self.limits):
            if statements is not None and not policies.is_allowed(statements, action, resource):
                message = f"you are not authorized to perform operation ({action})\n"
                message += f"resource ({resource}) has no permission\n"
                code = DENIED.get(action.partition(":")[0], _DENIED)
                raise Denied(code, message, 403)


@dataclass
class Access:
    """Roles by name, policies by id, and the sessions of roles by their SecretId."""

    roles: dict[str, Role] = field(default_factory=dict)
    policies: dict[int, Policy] = field(default_factory=dict)
    sessions: dict[str, Caller] = field(default_factory=dict)
    counter: Iterator[int] = field(default_factory=lambda: iter(range(1, 1 << 31)))
    """Of ids."""

    def assume(
        self,
        role: Role,
        session: str,
        now: float,
        seconds: float,
        limits: tuple[Statement, ...] | None = None,
    ) -> Caller:
        """Return a new session of a role, which ends after some seconds of real time."""
        self.sessions = {key: each for key, each in self.sessions.items() if each.expires > now}
        caller = Caller(AccountCredentials.random(), role, session, now + seconds, limits)
        self.sessions[caller.credentials.secret_id] = caller
        return caller


def role_arn(name: str) -> str:
    """Return the ARN of a role of the account."""
    return f"qcs::cam::uin/{UIN}:roleName/{name}"
