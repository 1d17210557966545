"""Requests per second, as the API counts them."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable


@dataclass
class RateLimits:
    """A sliding window of one second for each key; refused requests do not count."""

    seconds: float = 1.0
    _admitted: dict[Hashable, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def admits(self, key: Hashable, limit: int, now: float) -> bool:
        """Whether one more request of `key` is within `limit` now; if so it is counted."""
        window = self._admitted[key]
        while window and window[0] <= now - self.seconds:
            window.popleft()
        if len(window) >= limit:
            return False
        window.append(now)
        return True
