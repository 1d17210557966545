"""What runs cost, by the formula: `python deploy/cost.py` prints the table of docs/deploy.md.

Prices: the international list (document/product/583/12281 and 12284), in USD.
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
"""Assumed: what a call takes, and what the first event of an instance takes beside its calls."""

UPLOAD_CALLS = 5
"""To name one image: its document, two reads, the journal, the change."""

PAGE, CHANGES_A_SECOND = 100, 9.5
"""DescribeImages' page, and the pace of ModifyImageAttribute."""

EVENTS = 1000
RUNS_AT_MOST = 3
"""A run that raises is delivered twice more."""


@dataclass(frozen=True)
class Case:
    """A kind of run; `formula` is how its duration comes about, in milliseconds."""

    name: str
    formula: str
    milliseconds: float


def nightly(images: int, changes: int) -> Case:
    """A policy over so many images of one region, of which so many are to be changed."""
    calls = 1 + -(-images // PAGE) + bool(changes)  # the document, the pages, the journal
    formula = f"{START_MS} + {calls} * {CALL_MS} + {changes} / {CHANGES_A_SECOND} * 1000"
    duration = START_MS + calls * CALL_MS + changes / CHANGES_A_SECOND * 1000
    return Case(f"nightly, {images:,} images, {changes} changes", formula, duration)


CASES = (
    Case("upload, warm", f"{UPLOAD_CALLS} * {CALL_MS}", UPLOAD_CALLS * CALL_MS),
    Case(
        "upload, cold",
        f"{START_MS} + {UPLOAD_CALLS} * {CALL_MS}",
        START_MS + UPLOAD_CALLS * CALL_MS,
    ),
    nightly(1000, 0),
    nightly(1000, 100),
)


def gb_seconds(memory_mb: int, milliseconds: float) -> float:
    """What one run uses: the configured memory, as long as the run takes."""
    return memory_mb / 1024 * milliseconds / 1000


def usd(memory_mb: int, milliseconds: float) -> float:
    """What one run costs; one that raises costs the same."""
    return gb_seconds(memory_mb, milliseconds) * GB_SECOND + CALL


def table(memory_mb: int) -> str:
    """A row for each case: what a run takes and uses, and USD for 1,000 events."""
    head = f"{'a run':<36}{'ms':<30}{'= ms':>8}{'GB-s':>9}{'USD/1000':>10}{'raising':>9}"
    return "\n".join([head, *(_row(case, memory_mb) for case in CASES)])


def _row(case: Case, memory_mb: int) -> str:
    used = gb_seconds(memory_mb, case.milliseconds)
    price = usd(memory_mb, case.milliseconds) * EVENTS
    return (
        f"{case.name:<36}{case.formula:<30}{case.milliseconds:>8.0f}{used:>9.4f}"
        f"{price:>10.4f}{price * RUNS_AT_MOST:>9.4f}"
    )


if __name__ == "__main__":
    _text = (ROOT / "serverless.yml").read_text(encoding="utf-8")
    sys.stdout.write(f"{table(yaml.safe_load(_text)['inputs']['memorySize'])}\n")
