"""The credentials of a run, to be removed from all that it puts out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

WINDOW = 16
"""Characters of a secret that may not appear in a row; a shorter secret is none."""

_NAMES = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
_RUN = re.compile(rf"[\w+/=.~%&#;\\-]{{{WINDOW},}}")
"""What a secret and its encoded forms consist of."""
_OTHERS = r"(?i)(?:q-)?signature=[^\s&,\"]+|credential=[^\s,]+|(?<=//)[^/\s@]*:[^\s@]*@"
"""Signatures, and the logins in URLs."""


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
                self._windows |= _windows(secret)
        return self._redacted(value)

    def _redacted(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            return {self._text(name): self._redacted(member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._redacted(entry) for entry in value]
        return self._text(str(value))

    def _text(self, text: str) -> str:
        def without(run: re.Match[str]) -> str:
            return run[0] if self._windows.isdisjoint(_windows(run[0])) else "[redacted]"

        if len(text) < WINDOW:  # as most are
            return text
        text = _RUN.sub(without, text)
        return re.sub(_OTHERS, "[redacted]", text) if "=" in text or "@" in text else text


def _windows(text: str) -> set[str]:
    """All parts of a text that have `WINDOW` characters."""
    return {text[i : i + WINDOW] for i in range(len(text) - WINDOW + 1)}
