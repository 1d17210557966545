"""Measures a long replay in a separate process; prints its rate and memory growth as JSON."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from scf_local.environment import FunctionConfig
from scf_local.replay import Case
from scf_local.replay_runner import ReplayTotals, replay_cases
from scf_local.runtime import peak_mb

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FIRST, LAST = 1_000, 10_000


def cases() -> Iterator[Case]:
    """Yield events that the function ignores, so that the harness is measured."""
    path = ROOT / "events" / "10-removal.json"
    event = json.loads(path.read_bytes())
    for number in range(1, LAST + 1):
        yield Case(path, event, event_id=str(number), number=number)


def main() -> None:
    """Replay the events as `scf-local replay` does."""
    tally = ReplayTotals(keep_all=False)
    first_mb = 0.0
    start = time.perf_counter()
    for each, _ in replay_cases(FunctionConfig(ROOT / "handler"), cases()):
        tally.add(each)
        if tally.total == FIRST:
            first_mb = peak_mb()
    rate = LAST / (time.perf_counter() - start)
    if tally.as_expected != LAST:
        raise AssertionError(f"{tally}, but all must be")
    print(json.dumps({"rate": rate, "grown_mb": max(0.0, peak_mb() - first_mb)}))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
