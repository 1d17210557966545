"""From outcomes to the result document. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from image_steward.undoing import MAX_IMAGES, entries

if TYPE_CHECKING:
    from collections.abc import Iterable

    from image_steward.errors import StewardError
    from image_steward.outcomes import Outcome

MAX_BYTES = 1 << 20
"""A result stays below this; SCF itself would take 6 MB."""

STATUSES = ("Changed", "Unchanged", "Planned", "Skipped", "Failed", "Pending")

_ROOM = MAX_BYTES - 4096  # what the members outside the lists need, generously


@dataclass
class Run:
    """What one event came to. `errors`: of each document that was refused, its source and why."""

    trigger: str = "unknown"
    is_dry: bool = False
    """Whether the whole function is to write nothing, whatever a document says."""
    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[tuple[str, StewardError]] = field(default_factory=list)
    warnings: list[tuple[str, StewardError]] = field(default_factory=list)
    """What did not stop a document, but would have, or will: source and why."""
    journal: list[str] = field(default_factory=list)
    """The objects that say how everything was before."""
    dry_runs: list[bool] = field(default_factory=list)
    """Of each document that could be read, whether it was to write nothing."""

    @property
    def summary(self) -> dict[str, int]:
        """How many images ended in each status."""
        statuses = [outcome.status for outcome in self.outcomes]
        return {name: statuses.count(name.lower()) for name in STATUSES}

    @property
    def dry_run(self) -> bool:
        """Whether nothing was to be written at all."""
        return self.is_dry or (bool(self.dry_runs) and all(self.dry_runs))

    @property
    def outcome(self) -> str:
        """The `Outcome` of the result document."""
        counts = self.summary
        if self.errors and not self.outcomes:
            return "rejected"
        if self.errors or counts["Failed"]:
            return "partial"
        if not self.dry_runs:
            return "ignored"
        return "planned" if self.dry_run else "applied"

    @property
    def unfinished(self) -> int:
        """How many images and documents another delivery of the event may help."""
        return len(self._healable)

    @property
    def first_trouble(self) -> str:
        """The first thing that time can heal, in words."""
        return next(f"{error.code}: {error.message}" for error in self._healable)

    @property
    def _healable(self) -> list[StewardError]:
        errors = [error for _, error in self.errors] + [outcome.error for outcome in self.outcomes]
        return [error for error in errors if error and error.healable]


def document(run: Run, request_id: str) -> dict[str, Any]:
    """The result of a run, below `MAX_BYTES`; what does not fit is left out and said so.

    Errors come first and then the undo, since what was done can be read in the log as well.
    """
    room = _Room(_ROOM)
    errors = room.take(entry for source, error in run.errors for entry in _errors(source, error))
    warnings = room.take(entry for source, one in run.warnings for entry in _errors(source, one))
    undo = room.take(entries(run.outcomes), MAX_IMAGES)
    told = [outcome for outcome in run.outcomes if outcome.status != "unchanged"]
    told.sort(key=lambda outcome: outcome.status == "skipped")  # what fits least is least missed
    images = room.take(map(_image, told))
    result = {
        "RequestId": request_id,
        "Trigger": run.trigger,
        "Outcome": run.outcome,
        "DryRun": run.dry_run,
        "Summary": run.summary,
        "Images": images,
        "Errors": errors,
        "Undo": {"Images": undo},
    }
    if warnings:
        result["Warnings"] = warnings
    return {**result, "Truncated": True} if room.is_full else result


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


def _image(outcome: Outcome) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "Source": outcome.source,
        "Region": outcome.step.region,
        "ImageId": outcome.step.image_id,
        "Status": outcome.status,
        "Before": outcome.before,
        "After": outcome.after,
        "RequestIds": outcome.request_ids,
    }
    if outcome.step.reasons and outcome.status in {"planned", "skipped"}:
        entry["Reason"] = "; ".join(outcome.step.reasons)
    if outcome.error:
        entry |= {"Code": outcome.error.code, "Message": outcome.error.message}
    return entry
