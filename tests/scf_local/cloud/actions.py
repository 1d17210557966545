"""What an API action is: its rate, its parameters, and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scf_local.cloud import parameters

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from scf_local.cloud.state import State

Params = dict[str, Any]


@dataclass(frozen=True)
class Action:
    """`required` parameters, those of `shape` allowed, `per_second` calls of it."""

    run: Callable[[State, str, Params], dict[str, Any]]
    per_second: int
    shape: Mapping[str, parameters.Shape]
    required: tuple[str, ...] = ()

    def __call__(self, state: State, region: str, params: Params) -> dict[str, Any]:
        """The reply's members, without its RequestId.

        Raises:
            ApiError: the refusal that the API documents.
        """
        parameters.check(params, self.shape, self.required)
        with state.lock:
            return self.run(state, region, params)


@dataclass(frozen=True)
class Service:
    """An API product at one version."""

    version: str
    actions: Mapping[str, Action]
