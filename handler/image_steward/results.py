"""From outcomes to the result document. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from image_steward.applying import Outcome
    from image_steward.errors import StewardError
    from image_steward.images import Image

MAX_BYTES = 1 << 20
"""A result stays below this; SCF itself would take 6 MB."""

MAX_IMAGES = 1000
"""Of a change request, and so of an undo."""

STATUSES = ("Changed", "Unchanged", "Planned", "Skipped", "Failed", "Pending")

_ROOM = MAX_BYTES - 4096  # what the members outside the lists need, generously


@dataclass
class Run:
    """What one event came to. `errors`: of each document that was refused, its source and why."""

    trigger: str = "unknown"
    outcomes: list[Outcome] = field(default_factory=list)
    errors: list[tuple[str, StewardError]] = field(default_factory=list)
    dry_runs: list[bool] = field(default_factory=list)
    """Of each document that was carried out, whether it was to write nothing."""

    @property
    def summary(self) -> dict[str, int]:
        """How many images ended in each status."""
        statuses = [outcome.status for outcome in self.outcomes]
        return {name: statuses.count(name.lower()) for name in STATUSES}

    @property
    def dry_run(self) -> bool:
        """Whether nothing was to be written at all."""
        return bool(self.dry_runs) and all(self.dry_runs)

    @property
    def outcome(self) -> str:
        """The `Outcome` of the result document."""
        counts = self.summary
        if self.errors and not self.outcomes:
            return "rejected"
        if self.errors or counts["Failed"]:
            return "partial"
        if not self.outcomes:
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
    undo = room.take(_undo(run.outcomes), MAX_IMAGES)
    images = room.take(map(_image, (o for o in run.outcomes if o.status != "unchanged")))
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
    if outcome.error:
        entry |= {"Code": outcome.error.code, "Message": outcome.error.message}
    return entry


def _undo(outcomes: Iterable[Outcome]) -> Iterator[dict[str, Any]]:
    """The change request entries that put back what was changed, one for each image.

    Where an image was changed twice its first `Before` counts. The last change is undone first: a
    name that was freed for another image is free again by then.
    """
    by_image: dict[tuple[str, str], _Former] = {}
    for outcome in outcomes:
        if outcome.step.before and not outcome.planned:
            key = (outcome.step.region, outcome.step.image_id)
            former = by_image.pop(key, None) or _Former(outcome.step.before)
            former.attributes.update(outcome.attributes)
            former.tags.update(outcome.tags)
            by_image[key] = former
    for (region, image_id), former in reversed(by_image.items()):
        if members := former.members():
            yield {"Region": region, "ImageId": image_id, **members}


@dataclass
class _Former:
    """An image as it was first, and what was done to it since."""

    image: Image
    attributes: dict[str, str | bool] = field(default_factory=dict)
    tags: dict[str, str | None] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """The members of a change request entry that undo it; none if nothing differs."""
        was = self.image
        entry: dict[str, Any] = {
            name: was.attributes[name]
            for name, value in self.attributes.items()
            if was.attributes[name] != value
        }
        changed = [key for key, value in self.tags.items() if was.tags.get(key) != value]
        bound = [{"Key": key, "Value": was.tags[key]} for key in changed if key in was.tags]
        new = [key for key in changed if key not in was.tags]
        return entry | ({"Tags": bound} if bound else {}) | ({"DeleteTags": new} if new else {})
