"""The log topics of the emulated CLS, with what functions have logged. Only data."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from itertools import count

MAX_BYTES = 64 << 20
"""What is kept of all logs; then the oldest records of a topic go."""


@dataclass(frozen=True)
class LogRecord:
    """A line that a function, or SCF for it, has logged.

    Attributes:
        time: epoch milliseconds.
        package: `PkgId`, one for each run; `number`: `PkgLogId`.
        fields: such as `SCF_Message` (document/product/583/60336).
    """

    time: int
    package: str
    number: int
    fields: dict[str, str]


@dataclass
class Topics:
    """The records of each topic by its region and id, oldest first."""

    records: dict[tuple[str, str], deque[LogRecord]] = field(default_factory=dict)
    packages: count[int] = field(default_factory=lambda: count(1))
    size: int = 0
    """About how many bytes all records take."""
