"""The cost of runs: `python deploy/cost.py` prints the table of docs/deploy.md.

Prices: the international list in USD (document/product/583/12281 and 12284).
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]

GB_SECOND = 0.0000167
CALL = 0.002 / 10_000

CALL_MS, START_MS = 80, 500
"""Assumed durations of a call, and of a cold start."""

UPLOAD_CALLS = 6
"""To rename one image: read the document, read images twice, write the journal, change, write the
result to the journal."""

PAGE, CHANGES_PER_SECOND = 100, 9.5
"""Page size of DescribeImages, and the function's rate of ModifyImageAttribute."""

EVENTS = 1000
MAX_RUNS = 3
"""An event whose run raises is delivered twice more."""


@dataclass(frozen=True)
class Workload:
    """A kind of run; `formula` shows how its duration in milliseconds is calculated."""

    name: str
    formula: str
    milliseconds: float


def nightly(images: int, changes: int) -> Workload:
    """Return a run of a policy for the images of one region, some of which it changes."""
    calls = 2 + -(-images // PAGE) + bool(changes)  # document, result; the pages; the journal
    formula = f"{START_MS} + {calls} * {CALL_MS} + {changes} / {CHANGES_PER_SECOND} * 1000"
    duration = START_MS + calls * CALL_MS + changes / CHANGES_PER_SECOND * 1000
    return Workload(f"nightly, {images:,} images, {changes} changes", formula, duration)


WORKLOADS = (
    Workload("upload, warm", f"{UPLOAD_CALLS} * {CALL_MS}", UPLOAD_CALLS * CALL_MS),
    Workload(
        "upload, cold",
        f"{START_MS} + {UPLOAD_CALLS} * {CALL_MS}",
        START_MS + UPLOAD_CALLS * CALL_MS,
    ),
    nightly(1000, 0),
    nightly(1000, 100),
)


def gb_seconds(memory_mb: int, milliseconds: float) -> float:
    """Return what a run uses: the configured memory for as long as the run takes."""
    return memory_mb / 1024 * milliseconds / 1000


def usd(memory_mb: int, milliseconds: float) -> float:
    """Return the cost of one run, whether it raises or not."""
    return gb_seconds(memory_mb, milliseconds) * GB_SECOND + CALL


def table(memory_mb: int) -> str:
    """Return a row for each workload: duration and GB-seconds of a run, USD for 1,000 events."""
    head = f"{'a run':<36}{'ms':<30}{'= ms':>8}{'GB-s':>9}{'USD/1000':>10}{'raising':>9}"
    return "\n".join([head, *(_row(workload, memory_mb) for workload in WORKLOADS)])


def _row(workload: Workload, memory_mb: int) -> str:
    used = gb_seconds(memory_mb, workload.milliseconds)
    price = usd(memory_mb, workload.milliseconds) * EVENTS
    return (
        f"{workload.name:<36}{workload.formula:<30}{workload.milliseconds:>8.0f}{used:>9.4f}"
        f"{price:>10.4f}{price * MAX_RUNS:>9.4f}"
    )


if __name__ == "__main__":
    _text = (ROOT / "serverless.yml").read_text(encoding="utf-8")
    sys.stdout.write(f"{table(yaml.safe_load(_text)['inputs']['memorySize'])}\n")
