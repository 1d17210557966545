"""An emulated API action: its rate limit, its parameters and its implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scf_local.cloud import parameters
from scf_local.cloud.cam.model import Caller
from scf_local.cloud.state import State
from scf_local.credentials import AccountCredentials

Params = dict[str, Any]


@dataclass(frozen=True)
class ApiCall:
    """A verified call; `now` is the emulated cloud's time in epoch seconds.

    Attributes:
        name: such as `cvm:DescribeImages`.
        time: the real time, in epoch seconds, which credentials and signatures follow.
        account: the account's own credentials, whoever calls.
    """

    state: State
    region: str
    params: Params
    now: float
    name: str = ""
    time: float = 0.0
    caller: Caller = field(default_factory=Caller)
    account: AccountCredentials = field(default_factory=AccountCredentials)


@dataclass(frozen=True)
class Later:
    """Waits, without `State.lock`, for the members of a reply that takes time."""

    members: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class EmulatedAction:
    """An action with the parameters that it allows and requires, limited to calls per second.

    `resource` returns what a call is about, as CAM's policies name it; `*` is for actions that
    cannot be allowed for some resources only.
    """

    run: Callable[[ApiCall], dict[str, Any] | Later]
    per_second: int
    shape: Mapping[str, parameters.Shape]
    required: tuple[str, ...] = ()
    resource: Callable[[ApiCall], str] = lambda _: "*"

    def __call__(self, call: ApiCall) -> dict[str, Any] | Later:
        """Return the reply's members, without the RequestId.

        Raises:
            ErrorReply: an error that the API documents.
        """
        parameters.check(call.params, self.shape, self.required)
        call.caller.require(call.name, self.resource(call))
        with call.state.lock:
            return self.run(call)


@dataclass(frozen=True)
class Service:
    """One version of an API product; `is_regional` if calls need a region."""

    version: str
    actions: Mapping[str, EmulatedAction]
    is_regional: bool = True
