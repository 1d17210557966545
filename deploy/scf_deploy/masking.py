"""Values that look like secrets are not shown."""

from __future__ import annotations

import re

_SECRET = re.compile(
    r"(?i)secret|token|pass(w|p|c|\b|_)|pwd|credential|webhook|cookie|signature|authori"
    r"|keys?(\b|_|\d)|(\b|_)(auth|sign)(\b|_)|AKID\w{8}|-----BEGIN|\beyJ\w{9}|://\S*@"
)
"""In a name or a value: words, and how keys, certificates, tokens and URLs with passwords look."""


def masked(name: str, value: str) -> str:
    """Return a value, unless its name or the value itself looks like a secret."""
    return "(hidden)" if _SECRET.search(f"{name}={value}") else value
