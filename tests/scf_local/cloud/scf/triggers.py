"""SCF: the actions of triggers, and which of them an object or a time fires."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scf_local.cloud.scf.model import Functions


def fire_timers(functions: Functions, now: float) -> None:
    """Queue the events of timers that are due."""
