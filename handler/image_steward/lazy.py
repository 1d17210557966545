"""The one way to import something late: whoever needs it names it as `module:name`.

Imports are most of a cold start, and an event needs few of them.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(name: str) -> Any:  # noqa: ANN401 - whatever bears the name
    """What `module:name` names; a module of this package begins with a dot."""
    module, _, member = name.partition(":")
    return getattr(import_module(module, __package__), member)
