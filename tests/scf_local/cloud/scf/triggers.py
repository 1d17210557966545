"""SCF: the actions of triggers, and which of them an object or a time fires."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scf_local.cloud.scf.model import Functions, Trigger


def described(trigger: Trigger) -> dict[str, Any]:
    """Return a trigger as GetFunction does."""
    return {"TriggerName": trigger.name, "Type": trigger.kind}


def fire_timers(functions: Functions, now: float) -> None:
    """Queue the events of timers that are due."""
