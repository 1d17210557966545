"""From the reports on the parts of an event to the result document. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward.errors import StewardError, TooManyChanges
from image_steward.limits import IMAGES_PER_REQUEST, TAGS_PER_IMAGE
from image_steward.model import STATUSES, Outcome, Report, by_image
from image_steward.reporting.undo import Entry, apply_entries, entries

MAX_BYTES = 1 << 20
"""The size limit of a result; SCF's own is 6 MB."""

RULES_BYTES = 1 << 16
"""Of a result, kept for the rules of its documents; more if images leave room."""


@dataclass(eq=False, repr=False)
class Run:
    """The reports on one event."""

    trigger: str
    reports: Sequence[Report]
    forced_dry_run: bool = False
    """STEWARD_DRY_RUN: write nothing, whatever a document says."""

    @property
    def outcomes(self) -> list[Outcome]:
        """The outcomes of all documents; several may name an image."""
        return [outcome for report in self.reports for outcome in report.outcomes]

    @cached_property
    def images(self) -> list[tuple[str, Outcome]]:
        """The one outcome of each image, and the source of its error, else the first source."""
        images = by_image(self.outcomes)
        sources: dict[tuple[str, str], str] = {}
        for source, outcome in ((r.source, o) for r in self.reports for o in r.outcomes):
            if outcome.error is images[outcome.step.image_key].error:
                sources.setdefault(outcome.step.image_key, source)
        return [(sources[key], outcome) for key, outcome in images.items()]

    @property
    def errors(self) -> list[tuple[str, StewardError]]:
        """Pairs of source and error: why documents, or their regions, were rejected."""
        return [error for report in self.reports for error in report.errors]

    @cached_property
    def summary(self) -> dict[str, int]:
        """The number of images by status."""
        statuses = [outcome.status for _, outcome in self.images]
        return {name: statuses.count(name.lower()) for name in STATUSES}

    @property
    def dry_run(self) -> bool:
        """Whether the whole run was to write nothing."""
        return self.forced_dry_run or (self._dry_runs != [] and all(self._dry_runs))

    @cached_property
    def outcome(self) -> str:
        """The `Outcome` of the result document; a run that raises is `unfinished`."""
        if self.unfinished:
            return "unfinished"
        if self.errors or self.summary["Failed"]:
            return "partial" if self.outcomes else "rejected"
        if not self._dry_runs:
            return "ignored"
        return "planned" if self.dry_run else "applied"

    @property
    def unfinished(self) -> list[StewardError]:
        """The transient errors, for which a redelivery of the event may help."""
        errors = [error for _, error in self.errors] + [o.error for _, o in self.images]
        return [error for error in errors if error and error.transient]

    @property
    def _dry_runs(self) -> list[bool]:
        """For each document that could be read, whether it was a dry run."""
        return [report.dry_run for report in self.reports if report.dry_run is not None]


def document(run: Run, request_id: str) -> dict[str, Any]:
    """The result document of a run, below `MAX_BYTES`; if entries are omitted, it is `Truncated`.

    Errors have priority, then warnings, then undo: what was done is in the log as well.
    """
    # 4 KB are for the members outside the lists, generously.
    budget = _Budget(MAX_BYTES - RULES_BYTES - 4096)
    warned = [(report.source, error) for report in run.reports for error in report.warnings]
    errors = budget.fit(entry for pair in run.errors for entry in _errors(*pair))
    warnings = budget.fit(entry for pair in warned for entry in _errors(*pair))
    undo = budget.fit(entries(run.outcomes), IMAGES_PER_REQUEST)
    apply = _apply(run, budget)
    # Skipped images are omitted first.
    outcomes = sorted(run.images, key=lambda pair: pair[1].status == "skipped")
    images = budget.fit(_image(*pair) for pair in outcomes if pair[1].status != "unchanged")
    pairs = (rule for report in run.reports if report.dry_run for rule in report.rules)
    # One that is too long is left out; that makes no plan incomplete.
    rules_budget = _Budget(budget.left + RULES_BYTES)
    rules = [entry for k, v in pairs if rules_budget.fit([entry := {"Key": k, "Value": v}])]
    return {
        "RequestId": request_id,
        "Trigger": run.trigger,
        "Outcome": run.outcome,
        "DryRun": run.dry_run,
        "Summary": run.summary,
        "Images": images,
        "Errors": errors,
        "Undo": {"Images": undo},
        **({"Apply": {"Images": apply}} if apply else {}),
        **({"Rules": rules} if rules else {}),
        **({"Warnings": warnings} if warnings else {}),
        **({"Truncated": True} if budget.is_exceeded else {}),
    }


class _Budget:
    """The bytes left for entries."""

    def __init__(self, left: int) -> None:
        self.left, self.is_exceeded = left, False

    def fit(self, entries: Iterable[Entry], limit: int | None = None) -> list[Entry]:
        """The first entries that fit, at most `limit`."""
        fitting: list[Entry] = []
        for entry in entries:
            size = len(json.dumps(entry)) + 2
            if size > self.left or len(fitting) == limit:
                self.is_exceeded = True
                break
            self.left -= size
            fitting.append(entry)
        return fitting


def _apply(run: Run, budget: _Budget) -> list[Entry]:
    """What does exactly what was planned; none if that would be rejected, wait, or not fit."""
    warnings = (warning for report in run.reports for warning in report.warnings)
    too_many = [warning for warning in warnings if isinstance(warning, TooManyChanges)]
    is_rejected = any(not w.details[0].path.endswith("/KeepLatest") for w in too_many)
    planned = list(apply_entries(outcome for _, outcome in run.images))
    size = len(json.dumps(planned))
    has_too_many_tags = any(len(entry.get("Tags", ())) > TAGS_PER_IMAGE for entry in planned)
    waits = any(outcome.step.would_wait for outcome in run.outcomes)
    is_too_large = len(planned) > IMAGES_PER_REQUEST or size > budget.left
    if waits or is_rejected or has_too_many_tags or is_too_large:
        return []
    budget.left -= size
    return planned


def _errors(source: str, error: StewardError) -> list[Entry]:
    head = {"Source": source, "Code": error.code}
    return [{**head, "Path": path, "Message": message} for path, message in error.details]


def _image(source: str, outcome: Outcome) -> Entry:
    step, error = outcome.step, outcome.error
    has_reason = step.reasons and outcome.status in {"planned", "skipped"}
    name = {"ImageName": step.before.name} if outcome.planned and step.before else {}
    return {
        "Source": source,
        "Region": step.region,
        "ImageId": step.image_id,
        **name,
        "Status": outcome.status,
        "Before": outcome.before,
        "After": outcome.after,
        "RequestIds": list(outcome.request_ids),
        **({"Waits": True} if step.would_wait and not error else {}),
        **({"Reason": "; ".join(step.reasons)} if has_reason else {}),
        **({"Code": error.code, "Message": error.message} if error else {}),
    }
