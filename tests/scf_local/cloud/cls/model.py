"""The log topics of the emulated CLS, with what functions have logged. Only data."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

MAX_BYTES = 64 << 20
"""What is kept of all logs; then the oldest records of a topic go."""
_RECORD_BYTES = 1200
"""Of a record without its message."""


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

    @property
    def place(self) -> tuple[int, str, int]:
        """Where it is among all records of its topic, which no other record shares."""
        return self.time, self.package, self.number

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return _RECORD_BYTES + len(self.fields["SCF_Message"])


@dataclass
class Topics:
    """The records of each topic by its region and id, oldest first."""

    records: dict[tuple[str, str], deque[LogRecord]] = field(default_factory=dict)
    packages: count[int] = field(default_factory=lambda: count(1))
    size: int = 0
    """About how many bytes all records take."""

    def add(self, topic: tuple[str, str], records: Iterable[LogRecord]) -> None:
        """Add records to a topic, and drop the oldest ones of any if there are too many."""
        for record in records:
            self.records.setdefault(topic, deque()).append(record)
            self.size += record.size
            while self.size > MAX_BYTES:
                filled = filter(None, self.records.values())
                self.size -= min(filled, key=lambda each: each[0].time).popleft().size
