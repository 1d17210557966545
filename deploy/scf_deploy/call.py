"""A call of an API: data, so that a plan can say which calls it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Call:
    """An action of a service: `cam`, `cls`, `cos`, `scf`, or `url`: GetObject of a presigned `Url`.

    Attributes:
        says: what it does, such as "creates the role image-steward"; empty if it may be made
            again, as what only reads.
    """

    service: str
    action: str
    params: Mapping[str, Any] = field(repr=False)
    says: str = ""


Api = Callable[[Call], dict[str, Any]]
"""Makes a call and returns the reply; raises a `CloudError`."""
