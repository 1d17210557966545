"""The entry point SCF calls: `index.main_handler`."""

from __future__ import annotations

import os
from typing import Any

from image_steward.run import handle


def main_handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever SCF delivers
    """Handle one event; see `image_steward.run.handle`."""
    return handle(event, context, os.environ)
