"""Runs SCF functions offline, as SCF does: the command `scf-local`, and an API for tests.

>>> from scf_local import EmulatedCloud, LocalFunction, cos_event
>>> def main(event, context): return event["Records"][0]["cos"]["cosObject"]["key"]
>>> with EmulatedCloud() as cloud:
...     answer = LocalFunction(main, cloud)(cos_event("inbox-1250000000", "a.json"))
>>> answer.value
'/1250000000/inbox/a.json'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scf_local.cloud.server import EmulatedCloud
    from scf_local.cloud.state import State
    from scf_local.events import cos_event, timer_event
    from scf_local.local_function import Answer, LocalFunction

__all__ = ["Answer", "EmulatedCloud", "LocalFunction", "State", "cos_event", "timer_event"]

_MODULES = {
    "Answer": "local_function", "LocalFunction": "local_function",
    "EmulatedCloud": "cloud.server", "State": "cloud.state",
    "cos_event": "events", "timer_event": "events",
}  # fmt: skip


if not TYPE_CHECKING:  # with `__getattr__`, type checkers would accept any name

    def __getattr__(name: str) -> object:
        """A lazy import of a public name: the emulated cloud alone takes 0.3 s to import."""
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
