"""Log lines: one JSON object each, for CLS to index, and never a secret in one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partialmethod
from threading import Lock
from typing import Any, TextIO

from image_steward.clock import Clock
from image_steward.settings import LEVELS

MAX_LINE_BYTES = 8000
"""SCF cuts a line at 8 KB (document/product/583/11637); a cut line is no JSON any more."""

_KEEP_BYTES = 200
_SECRET_LENGTH = 8  # anything shorter would blank out half of the log


@dataclass
class Log:
    """Writes lines of `level` and above to `stream`, and those that are to be kept.

    `secrets` are blanked out wherever they would appear: a second wall behind the first, which
    is that nothing secret is ever handed in.
    """

    stream: TextIO
    clock: Clock
    request_id: str = ""
    level: str = "INFO"
    secrets: tuple[str, ...] = field(default=(), repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def _write(self, level: str, event: str, /, **fields: object) -> None:
        if LEVELS.index(level) >= LEVELS.index(self.level):
            self._put(level, event, **fields)

    def _put(self, level: str, event: str, /, **fields: object) -> None:
        now = datetime.fromtimestamp(self.clock.time(), timezone.utc)
        head = {
            "Time": now.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "Level": level,
            "Event": event,
            "RequestId": self.request_id,
        }
        text = self._redacted(_line({**head, **fields}))
        if len(text.encode()) > MAX_LINE_BYTES:
            text = self._redacted(_line({**head, **_cut(fields)}))
        with self._lock:
            self.stream.write(text + "\n")
            self.stream.flush()

    debug = partialmethod(_write, "DEBUG")
    """What only a developer needs."""
    info = partialmethod(_write, "INFO")
    """What was done."""
    keep = partialmethod(_put, "INFO")
    """What undo needs: written whatever the level."""
    warning = partialmethod(_write, "WARNING")
    """What another delivery of the event will mend."""
    error = partialmethod(_write, "ERROR")
    """What somebody has to look at."""

    def _redacted(self, line: bytes) -> str:
        text = line.decode()
        for secret in self.secrets:
            if len(secret) >= _SECRET_LENGTH:
                text = text.replace(json.dumps(secret)[1:-1], "[redacted]")
        return text


def _line(fields: dict[str, Any]) -> bytes:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.encode("utf-8", "backslashreplace")  # half a surrogate pair, as JSON writes it


def _cut(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with every long one replaced by its beginning, and `Cut` naming those."""
    long = [name for name, value in fields.items() if len(_line({"": value})) > _KEEP_BYTES]
    cut = {name: str(fields[name])[: _KEEP_BYTES // 4] + "…" for name in long}
    return {**fields, **cut, "Cut": long}
