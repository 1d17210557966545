"""The credentials of a run, to be removed from all that it puts out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

WINDOW = 16
"""A text loses any part of a secret that has so many characters; shorter secrets are not known."""

_NAMES = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
_RUN = re.compile(rf"[\w+/=.~%&#;\\-]{{{WINDOW},}}")
"""What a secret and its encoded forms consist of."""
_OTHERS = (
    r"(?i)(?:q-)?signature(?:=|%3d|[\"']\s*:\s*[\"'])[^\s&,\"']+|credential=[^\s,]+"
    r"|(?<=//)[^/\s@:]{0,200}:[^/\s@]{0,200}@"
)
"""Signatures, and the logins in URLs: in messages only, since elsewhere such texts are values."""


@dataclass
class Secrets:
    """The credentials that the environment has now, and had at earlier calls: they may change."""

    environ: Mapping[str, str] = field(repr=False)
    _known: set[str] = field(default_factory=set, repr=False)
    _windows: set[str] = field(default_factory=set, repr=False)

    def redacted(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The value without any secret in its strings; what is no JSON becomes a string."""
        for name in _NAMES:
            secret = self.environ.get(f"TENCENTCLOUD_{name}", "")
            if secret not in self._known:
                self._known.add(secret)
                self._windows |= {*_windows(secret), *_windows(quote(secret, safe=""))}
        return self._redacted(value, is_message=isinstance(value, str))

    def _redacted(self, value: Any, *, is_message: bool = False) -> Any:  # noqa: ANN401 - any JSON value
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            texts = {n: self._redacted(v, is_message=n == "Message") for n, v in value.items()}
            return {self._text(name): member for name, member in texts.items()}
        if isinstance(value, (list, tuple)):
            return [self._redacted(entry) for entry in value]
        text = self._text(str(value))
        return re.sub(_OTHERS, "[redacted]", text) if is_message else text

    def _text(self, text: str) -> str:
        def without(run: re.Match[str]) -> str:
            is_secret = any(window in self._windows for window in _windows(run[0]))
            return "[redacted]" if is_secret else run[0]

        return _RUN.sub(without, text) if len(text) >= WINDOW else text  # most are shorter


def _windows(text: str) -> Iterator[str]:
    """All parts of a text that have `WINDOW` characters."""
    return (text[i : i + WINDOW] for i in range(len(text) - WINDOW + 1))
