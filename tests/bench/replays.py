"""Measures long replays in a separate process; prints their rate and memory growth as JSON."""

from __future__ import annotations

import json
import os
import time
from contextlib import redirect_stdout
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import index
from scf_local.environment import FunctionConfig, context_of
from scf_local.replay import Case
from scf_local.replay_runner import ReplayTotals, replay_cases
from scf_local.runtime import peak_mb

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HANDLER = ROOT / "handler"
FIRST, LAST = 1_000, 10_000
REPEATED = 3


def cases() -> Iterator[Case]:
    """Yield events that the function ignores, so that the harness is measured."""
    path = ROOT / "events" / "10-removal.json"
    event = json.loads(path.read_bytes())
    for number in range(1, LAST + 1):
        yield Case(path, event, event_id=str(number), number=number)


def replay(code: Path) -> tuple[float, float]:
    """Replay the events as `scf-local replay` does; return events per second and growth in MB."""
    tally = ReplayTotals(keep_all=False)
    first_mb = 0.0
    start = time.perf_counter()
    for each, _ in replay_cases(FunctionConfig(code), cases()):
        tally.add(each)
        if tally.total == FIRST:
            first_mb = peak_mb()
    rate = LAST / (time.perf_counter() - start)
    if tally.as_expected != LAST:
        raise AssertionError(f"{tally}, but all must be")
    return rate, max(0.0, peak_mb() - first_mb)


def call() -> float:
    """Call Image Steward with the events in this process; return events per second."""
    config = FunctionConfig(HANDLER)
    start = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        for case in cases():
            index.main_handler(case.event, context_of(config, case.event_id, "cos"))
    return LAST / (time.perf_counter() - start)


def main() -> None:
    """Measure the best of several replays, since other processes may take their share."""
    rate, grown_mb = replay(HANDLER)  # first, since it is the peak of memory that grows
    pairs = [(replay(HANDLER)[0], call()) for _ in range(REPEATED)]
    rate, calls = (max(rates) for rates in zip((rate, 0.0), *pairs, strict=True))
    with TemporaryDirectory() as folder:
        Path(folder, "index.py").write_text("def main_handler(event, context): return 1")
        trivial = max(replay(Path(folder))[0] for _ in range(REPEATED))
    figures = {"trivial_rate": trivial, "rate": rate, "ratio": calls / rate, "grown_mb": grown_mb}
    print(json.dumps(figures))  # noqa: T201 - its result


if __name__ == "__main__":
    main()
