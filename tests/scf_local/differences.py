"""Differences as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def listed(lines: Sequence[str], at_most: int = 20) -> list[str]:
    """The lines, or the first ones and the number of the others."""
    more = len(lines) - at_most
    return [*lines[:at_most], f"and {more:,} more"] if more > 0 else [*lines]
