"""Structured logging: one JSON object per line, indexed by CLS, without secrets."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import datetime, timezone
from functools import partialmethod
from threading import Lock
from typing import Any, TextIO

from image_steward.clock import Clock
from image_steward.reporting.secrets import Secrets
from image_steward.settings import LEVELS

MAX_LINE_BYTES = 8000
"""SCF truncates lines at 8 KB (document/product/583/11637), which would leave invalid JSON."""

_MAX_FIELD_BYTES = 200
"""Of a field that stays whole in a line that is too long."""


@dataclass
class Log:
    """Writes lines of `level` and above to `stream`, and those of `always`.

    Redacting `secrets` is only a safeguard: none is meant to be logged in the first place.
    """

    stream: TextIO
    clock: Clock
    secrets: Secrets
    request_id: str = ""
    level: str = "INFO"
    _lock: Lock = field(default_factory=Lock, repr=False)

    def _log(self, level: str, event: str, /, *, always: bool = False, **fields: object) -> None:
        if LEVELS.index(level) < LEVELS.index(self.level) and not always:
            return
        now = datetime.fromtimestamp(self.clock.time(), timezone.utc)
        time = now.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        head = {"Time": time, "Level": level, "Event": event, "RequestId": self.request_id}
        fields = self.secrets.redacted(fields)
        line = _line({**head, **fields})
        if len(line) > MAX_LINE_BYTES:
            line = _line({**head, **_shortened(fields)})
        with self._lock:
            self.stream.write(line.decode() + "\n")
            self.stream.flush()

    debug = partialmethod(_log, "DEBUG")
    """For developers only."""
    info = partialmethod(_log, "INFO")
    """What was done."""
    always = partialmethod(_log, "INFO", always=True)
    """Needed by undo: written at any level."""
    warning = partialmethod(_log, "WARNING")
    """What a redelivery of the event will fix."""
    error = partialmethod(_log, "ERROR")
    """What needs somebody's attention."""


def _line(fields: dict[str, Any]) -> bytes:
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
    # JSON allows these characters, which end a line or control a terminal.
    text = re.sub("[\x7f-\x9f\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", text)
    # An unpaired surrogate becomes \ud83d, as in JSON.
    return text.encode("utf-8", "backslashreplace")


def _shortened(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields with long values cut; `Cut` names those."""
    long = [name for name, value in fields.items() if len(_line({"": value})) > _MAX_FIELD_BYTES]
    cut = {name: str(fields[name])[: _MAX_FIELD_BYTES // 4] + "…" for name in long}
    return {**fields, **cut, "Cut": long}
