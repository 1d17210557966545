"""Limits of requests per second, counted as the API counts them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable
from dataclasses import dataclass, field


@dataclass
class RateLimits:
    """A sliding window of one second for each key; throttled requests do not count."""

    _windows: dict[Hashable, deque[float]] = field(default_factory=lambda: defaultdict(deque))

    def try_acquire(self, key: Hashable, limit: int, now: float) -> bool:
        """Count a request of `key` and return True, or return False if it would exceed `limit`."""
        window = self._windows[key]
        while window and window[0] <= now - 1.0:
            window.popleft()
        if len(window) >= limit:
            return False
        window.append(now)
        return True
