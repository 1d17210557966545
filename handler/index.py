"""The entry point SCF calls: `index.main_handler`."""

from __future__ import annotations

import gc
import os
from typing import Any

# Loading modules makes objects by the ten thousand, and no garbage to look for among them.
gc.set_threshold(50_000)

from image_steward.run import handle  # noqa: E402 - from here on that counts


def main_handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever SCF delivers
    """Handle one event; see `image_steward.run.handle`."""
    return handle(event, context, os.environ)
