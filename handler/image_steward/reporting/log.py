"""Structured logging: one JSON object per line, indexed by CLS, without the run's credentials."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from functools import partialmethod
from threading import Lock
from typing import Any, TextIO
from urllib.parse import quote

from image_steward.clock import Clock
from image_steward.settings import LEVELS

MAX_LINE_BYTES = 8000
"""SCF truncates lines at 8 KB (document/product/583/11637), which would leave invalid JSON."""

_MAX_FIELD_BYTES = 200
"""Of a field that stays whole in a line that is too long."""

WINDOW = 16
"""A text loses any part of a secret that has so many characters; shorter secrets are not known."""

_VARIABLES = [f"TENCENTCLOUD_{name}" for name in ("SECRETID", "SECRETKEY", "SESSIONTOKEN")]
_RUN = re.compile(rf"[\w+/=.~%&#;\\-]{{{WINDOW},}}")
"""What a secret and its encoded forms consist of."""
_OTHERS = (
    r"(?i)(?:q-)?signature(?:=|%3d|[\"']\s*:\s*[\"'])[^\s&,\"']+|credential=[^\s,]+"
    r"|(?<=//)[^/\s@:]{0,200}:[^/\s@]{0,200}@"
)
"""Signatures, and the logins in URLs: in messages only, since elsewhere such texts are values."""


class Secrets:
    """The credentials that the environment has now, and those of earlier calls and runs.

    `known` are the secrets so far and their parts; an instance keeps them, as splitting takes time.
    """

    def __init__(self, environ: Mapping[str, str], known: set[str]) -> None:
        self.environ, self.known = environ, known

    def redacted(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The value without any secret in its strings; what is no JSON becomes a string."""
        for name in _VARIABLES:
            secret = self.environ.get(name, "")
            if secret not in self.known:
                self.known.update([secret], _windows(secret), _windows(quote(secret, safe="")))
        return self._redacted(value, is_message=isinstance(value, str))

    def _redacted(self, value: Any, *, is_message: bool = False) -> Any:  # noqa: ANN401 - any JSON value
        if isinstance(value, str):
            text = self._text(value)
            return re.sub(_OTHERS, "[redacted]", text) if is_message else text
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            return {
                self._text(name): self._redacted(member, is_message=name == "Message")
                for name, member in value.items()
            }
        if isinstance(value, (list, tuple)):
            return [self._redacted(entry) for entry in value]
        return self._redacted(str(value), is_message=is_message)

    def _text(self, text: str) -> str:
        return _RUN.sub(self._run, text) if len(text) >= WINDOW else text  # most are shorter

    def _run(self, run: re.Match[str]) -> str:
        text = run[0]
        return text if self.known.isdisjoint(_windows(text)) else "[redacted]"


def _windows(text: str) -> Iterator[str]:
    """All parts of a text that have `WINDOW` characters."""
    return (text[i : i + WINDOW] for i in range(len(text) - WINDOW + 1))


class Log:
    """Writes lines of `level` and above to `stream`, and those of `always`.

    Redacting `secrets` is only a safeguard: none is meant to be logged in the first place.
    """

    def __init__(
        self, stream: TextIO, clock: Clock, secrets: Secrets, request_id: str, level: str = "INFO"
    ) -> None:
        self.stream, self.clock, self.secrets = stream, clock, secrets
        self.request_id, self.level, self._lock = request_id, level, Lock()

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
