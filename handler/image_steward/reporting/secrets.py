"""The credentials of a run, to be removed from all that it puts out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from operator import eq
from typing import Any
from urllib.parse import quote

_NAMES = ("SECRETID", "SECRETKEY", "SESSIONTOKEN")
_SHORTEST = 8  # redacting anything shorter would blank out half of the log
_PREFIX = 16
"""Characters by which a secret is found whose end has been cut off."""


@dataclass
class Secrets:
    """The credentials that the environment has now, and had at earlier calls: they may change."""

    environ: Mapping[str, str] = field(repr=False)
    _known: set[str] = field(default_factory=set, repr=False)

    def redacted(self, value: Any) -> Any:  # noqa: ANN401 - any JSON value
        """The value without any secret in its strings; what is no JSON becomes a string."""
        for name in _NAMES:
            secret = self.environ.get(f"TENCENTCLOUD_{name}", "")
            if len(secret) >= _SHORTEST and secret not in self._known:
                self._known |= {secret, quote(secret, safe="")}
        return _redacted(value, self._known)


def _redacted(value: Any, secrets: set[str]) -> Any:  # noqa: ANN401 - any JSON value
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, dict):
        return {_redacted(n, secrets): _redacted(member, secrets) for n, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_redacted(entry, secrets) for entry in value]
    text = str(value)
    for secret in secrets:
        while (start := text.find(secret[:_PREFIX])) >= 0:
            length = sum(takewhile(bool, map(eq, text[start:], secret)))
            text = f"{text[:start]}[redacted]{text[start + length :]}"
    return text
