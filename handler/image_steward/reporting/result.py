"""From the reports on the parts of an event to the result document. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from image_steward.errors import StewardError
from image_steward.limits import IMAGES_OF_A_REQUEST
from image_steward.model import STATUSES, Outcome, Report
from image_steward.reporting.undo import entries

MAX_BYTES = 1 << 20
"""A result stays below this; SCF itself would take 6 MB."""

_ROOM = MAX_BYTES - 4096  # what the members outside the lists need, generously


@dataclass(frozen=True)
class Run:
    """What one event came to."""

    trigger: str
    reports: Sequence[Report]
    is_dry: bool = False
    """Whether the whole function is to write nothing, whatever a document says."""

    @property
    def outcomes(self) -> list[Outcome]:
        """What became of all the images."""
        return [outcome for report in self.reports for outcome in report.outcomes]

    @property
    def errors(self) -> list[tuple[str, StewardError]]:
        """Why documents, or regions of them, were refused, each with its source."""
        return [error for report in self.reports for error in report.errors]

    @property
    def summary(self) -> dict[str, int]:
        """How many images ended in each status."""
        statuses = [outcome.status for outcome in self.outcomes]
        return {name: statuses.count(name.lower()) for name in STATUSES}

    @property
    def dry_run(self) -> bool:
        """Whether nothing was to be written at all."""
        return self.is_dry or (self._asked != [] and all(self._asked))

    @property
    def outcome(self) -> str:
        """The `Outcome` of the result document."""
        if self.errors or self.summary["Failed"]:
            return "partial" if self.outcomes else "rejected"
        if not self._asked:
            return "ignored"
        return "planned" if self.dry_run else "applied"

    @property
    def unfinished(self) -> list[StewardError]:
        """What another delivery of the event may help."""
        errors = [error for _, error in self.errors] + [each.error for each in self.outcomes]
        return [error for error in errors if error and error.transient]

    @property
    def _asked(self) -> list[bool]:
        """Of each document that could be read, whether it was to write nothing."""
        return [report.dry_run for report in self.reports if report.dry_run is not None]


def document(run: Run, request_id: str) -> dict[str, Any]:
    """The result of a run, below `MAX_BYTES`; what does not fit is left out and said so.

    Errors come first and then the undo, since what was done can be read in the log as well.
    """
    room = _Room(_ROOM)
    warned = ((report.source, each) for report in run.reports for each in report.warnings)
    errors = room.take(entry for each in run.errors for entry in _errors(*each))
    warnings = room.take(entry for each in warned for entry in _errors(*each))
    undo = room.take(entries(run.outcomes), IMAGES_OF_A_REQUEST)
    told = [(report.source, outcome) for report in run.reports for outcome in report.outcomes]
    told.sort(key=lambda each: each[1].status == "skipped")  # what fits least is least missed
    images = room.take(_image(*each) for each in told if each[1].status != "unchanged")
    return {
        "RequestId": request_id,
        "Trigger": run.trigger,
        "Outcome": run.outcome,
        "DryRun": run.dry_run,
        "Summary": run.summary,
        "Images": images,
        "Errors": errors,
        "Undo": {"Images": undo},
        **({"Warnings": warnings} if warnings else {}),
        **({"Truncated": True} if room.is_full else {}),
    }


@dataclass
class _Room:
    left: int
    is_full: bool = False

    def take(
        self, entries: Iterable[dict[str, Any]], most: int | None = None
    ) -> list[dict[str, Any]]:
        """The entries that fit, at most so many; after the first one that does not, none."""
        taken: list[dict[str, Any]] = []
        for entry in entries:
            size = len(json.dumps(entry)) + 2
            if size > self.left or len(taken) == most:
                self.is_full = True
                break
            self.left -= size
            taken.append(entry)
        return taken


def _errors(source: str, error: StewardError) -> list[dict[str, Any]]:
    return [
        {"Source": source, "Code": error.code, "Path": path, "Message": message}
        for path, message in error.details
    ]


def _image(source: str, outcome: Outcome) -> dict[str, Any]:
    step, error = outcome.step, outcome.error
    has_reason = step.reasons and outcome.status in {"planned", "skipped"}
    return {
        "Source": source,
        "Region": step.region,
        "ImageId": step.image_id,
        "Status": outcome.status,
        "Before": outcome.before,
        "After": outcome.after,
        "RequestIds": list(outcome.request_ids),
        **({"Reason": "; ".join(step.reasons)} if has_reason else {}),
        **({"Code": error.code, "Message": error.message} if error else {}),
    }
