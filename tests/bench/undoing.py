"""Measures `scf-local undo` of a large log in a separate process; prints JSON."""

from __future__ import annotations

import json
import os
import sys

from scf_local import undo
from scf_local.console import copied_input
from scf_local.runtime import peak_mb


def main() -> None:
    """Read the log as `scf-local undo` does, from the pipe that is standard input."""
    with copied_input("-", "log") as log:
        read = undo.read(log)
    read.part(1)
    if read.problems or len(read.texts) != int(sys.argv[1]):
        raise AssertionError(f"{read}, with {len(read.problems)} problems")
    times = os.times()
    seconds = times.user + times.system
    print(json.dumps({"peak_mb": peak_mb(), "seconds": seconds}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
