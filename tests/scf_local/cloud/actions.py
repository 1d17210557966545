"""An emulated API action: its rate limit, its parameters and its implementation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scf_local.cloud import parameters
from scf_local.cloud.state import State
from scf_local.credentials import AccountCredentials

Params = dict[str, Any]


@dataclass(frozen=True)
class ApiCall:
    """A verified call; `now` is the emulated cloud's time in epoch seconds.

    `credentials` are those that it was verified against.
    """

    state: State
    region: str
    params: Params
    now: float
    credentials: AccountCredentials = field(default_factory=AccountCredentials)


@dataclass(frozen=True)
class Later:
    """Waits, without `State.lock`, for the members of a reply that takes time."""

    members: Callable[[], dict[str, Any]]


@dataclass(frozen=True)
class EmulatedAction:
    """An action with the parameters that it allows and requires, limited to calls per second."""

    run: Callable[[ApiCall], dict[str, Any] | Later]
    per_second: int
    shape: Mapping[str, parameters.Shape]
    required: tuple[str, ...] = ()

    def __call__(self, call: ApiCall) -> dict[str, Any] | Later:
        """Return the reply's members, without the RequestId.

        Raises:
            ErrorReply: an error that the API documents.
        """
        parameters.check(call.params, self.shape, self.required)
        with call.state.lock:
            return self.run(call)


@dataclass(frozen=True)
class Service:
    """One version of an API product; `is_regional` if calls need a region."""

    version: str
    actions: Mapping[str, EmulatedAction]
    is_regional: bool = True
