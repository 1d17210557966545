"""A deployment: a function with all that belongs to it, as the APIs' calls describe it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scf_deploy.code import Code
from scf_deploy.trigger import Trigger


@dataclass(frozen=True)
class Deployment:
    """What a file asks for. What is None, it says nothing about.

    Attributes:
        settings: parameters of CreateFunction besides its name and the code.
        trust, policy: documents of the run role; without a policy, the role is somebody else's.
        delivery: `AsyncTriggerConfig` of UpdateFunctionEventInvokeConfig.
        reserved_mb: `ReservedConcurrencyMem`.
        filled_in: what has taken the place of placeholders, such as "APPID 1250000001".
    """

    region: str
    name: str
    namespace: str
    settings: Mapping[str, Any]
    code: Code
    triggers: tuple[Trigger, ...]
    trust: Mapping[str, Any]
    policy: Mapping[str, Any] | None = None
    delivery: Mapping[str, Any] | None = None
    reserved_mb: int | None = None
    filled_in: tuple[str, ...] = ()

    @property
    def named(self) -> dict[str, str]:
        """The parameters that name the function in calls."""
        return {"FunctionName": self.name, "Namespace": self.namespace}

    @property
    def role(self) -> str:
        """The name of the run role and of its policy; empty without one."""
        return str(self.settings.get("Role", ""))

    @property
    def buckets(self) -> list[str]:
        """The buckets of its triggers."""
        return sorted({trigger.bucket for trigger in self.triggers if trigger.kind == "cos"})


@dataclass(frozen=True)
class Current:
    """What an account has of a deployment. What is None, or missing in `buckets`, it has not.

    Attributes:
        trust, policy: documents of the role, and of the custom policy of its name.
        policy_id: of that policy; `uses` counts what it is attached to.
        attached: the names of the role's policies.
        buckets: for each, whether it is private, and whether it keeps versions.
        function: the reply of GetFunction.
        namespace: another one that has a function of this name, or nothing.
        code: the function's code, if it is not the wanted one.
        others: entries of ListTriggers of kinds that are not managed.
        unbound: names of triggers that SCF says are not bound or not available.
    """

    trust: object = None
    attached: tuple[str, ...] = ()
    policy: object = None
    policy_id: int = 0
    uses: int = 0
    buckets: Mapping[str, tuple[bool, bool]] = field(default_factory=dict)
    function: Mapping[str, Any] | None = None
    namespace: str = ""
    code: Code | None = None
    triggers: tuple[Trigger, ...] = ()
    others: tuple[str, ...] = ()
    unbound: tuple[str, ...] = ()
    delivery: Mapping[str, Any] = field(default_factory=dict)
    reserved_mb: int | None = None
