"""An emulated API action: its rate limit, its parameters and its implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scf_local.cloud import parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scf_local.cloud.state import State

Params = dict[str, Any]


@dataclass(frozen=True)
class EmulatedAction:
    """An action with the parameters that it allows and requires, limited to calls per second."""

    run: Callable[[State, str, Params], dict[str, Any]]
    per_second: int
    shape: Mapping[str, parameters.Shape]
    required: tuple[str, ...] = ()

    def __call__(self, state: State, region: str, params: Params) -> dict[str, Any]:
        """Return the reply's members, without the RequestId.

        Raises:
            ErrorReply: an error that the API documents.
        """
        parameters.check(params, self.shape, self.required)
        with state.lock:
            return self.run(state, region, params)


@dataclass(frozen=True)
class Service:
    """One version of an API product."""

    version: str
    actions: Mapping[str, EmulatedAction]
