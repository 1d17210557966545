"""Lazy imports: imports are most of a cold start, and an event needs few of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


def load(name: str) -> Any:  # noqa: ANN401 - any member of a module
    """Import `module:member`; a leading dot stands for this package."""
    module, _, member = name.partition(":")
    return getattr(import_module(module, __package__), member)
