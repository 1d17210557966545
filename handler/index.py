"""The entry point SCF calls: `index.main_handler`."""

from __future__ import annotations

import gc
import os
import random
from typing import Any

# Imports allocate many objects, but little garbage.
gc.set_threshold(100_000)

from image_steward.clock import Clock  # noqa: E402 - after the garbage collector is set
from image_steward.instance import Instance  # noqa: E402
from image_steward.invocation import handle  # noqa: E402

INSTANCE = Instance(Clock(), random.random)


def main_handler(event: Any, context: Any) -> dict[str, Any]:  # noqa: ANN401 - whatever SCF delivers
    """Handle one event; see `image_steward.invocation.handle`."""
    return handle(INSTANCE, event, context, os.environ)
