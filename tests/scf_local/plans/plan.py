"""The plan in the result of a dry run. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward.model import ATTRIBUTES, Values
from scf_local.changes import attributes_of
from scf_local.replay import entries_of
from scf_local.report.results import ResultParts, rules_of

PLANNED = "planned"
SKIPPED = "skipped"
WAITS = "would wait"
ALL_REGIONS = "all regions"


@dataclass(frozen=True)
class PlannedImage:
    """An entry of `Images`; all texts are as the function returned them."""

    region: str
    image_id: str
    name: str
    """Its ImageName now; empty if it could not be read."""
    status: str
    before: Values
    after: Values
    """The values that differ, with the same names as `before`."""
    reason: str
    """Why it is skipped or has failed, or what else is to be known of the change."""
    waits: bool = False
    """Whether the change would wait until an image is ready."""

    @classmethod
    def of(cls, entry: dict[str, Any]) -> PlannedImage:
        """An entry of `Images`, whose shape is known to be right."""
        before, after = (attributes_of(entry.get(name), "Tag.") for name in ("Before", "After"))
        names = {**before, **after}
        parts = [str(entry[name]) for name in ("Code", "Message", "Reason") if name in entry]
        return cls(
            region=str(entry.get("Region", "")),
            image_id=str(entry.get("ImageId", "")),
            name=str(entry.get("ImageName", before.get("ImageName") or "")),
            status=str(entry.get("Status", "")),
            before={name: before.get(name) for name in names},
            after={name: after.get(name) for name in names},
            reason=": ".join(parts),
            waits=entry.get("Waits") is True,
        )

    @property
    def kinds(self) -> set[str]:
        """The kinds of its changes: names of attributes, and `Tags`."""
        return {"Tags" if name.startswith("Tag.") else name for name in self.after}

    @property
    def statuses(self) -> list[str]:
        """Its `Status`, and `would wait` if it would."""
        return [self.status, *([WAITS] if self.waits else [])]


@dataclass(frozen=True)
class Plan:
    """What a document would do."""

    source: str
    """The document, as the user named it."""
    cloud: str
    """Whose images were read."""
    documents: int
    """How many documents the event has brought."""
    result: dict[str, Any]
    """What the function returned."""
    parts: ResultParts

    @classmethod
    def of(cls, source: str, cloud: str, result: dict[str, Any], documents: int = 1) -> Plan:
        """The plan in a result; what a result of another function lacks is empty."""
        return cls(source, cloud, documents, result, ResultParts.of(result))

    @cached_property
    def images(self) -> list[PlannedImage]:
        """The images, by region and current name; without those that stay as they are."""
        images = map(PlannedImage.of, self.parts.images)
        return sorted(images, key=lambda i: (i.region, i.name.casefold(), i.name, i.image_id))

    @property
    def planned(self) -> list[PlannedImage]:
        """The images that would change."""
        return [image for image in self.images if image.status == PLANNED]

    @property
    def waiting(self) -> list[PlannedImage]:
        """Those of the planned images whose change would wait."""
        return [image for image in self.planned if image.waits]

    @property
    def skipped(self) -> list[PlannedImage]:
        """The images that the document leaves alone."""
        return [image for image in self.images if image.status == SKIPPED]

    @property
    def others(self) -> list[PlannedImage]:
        """The images that have failed or are pending."""
        return [image for image in self.images if image.status not in {PLANNED, SKIPPED}]

    @property
    def kinds(self) -> list[str]:
        """The kinds of changes in the plan: attributes, and `Tags`."""
        found = set().union(*(image.kinds for image in self.planned))
        return [kind for kind in (*ATTRIBUTES, "Tags") if kind in found]

    @property
    def columns(self) -> list[str]:
        """The columns of `totals`: `planned`, the kinds of changes, the other statuses."""
        statuses = {status for image in self.images for status in image.statuses} - {PLANNED}
        return [PLANNED, *self.kinds, *sorted(statuses)]

    @property
    def totals(self) -> list[tuple[str, list[int]]]:
        """The numbers of images by region, for each of `columns`; at last those of all regions."""
        counts: dict[str, Counter[str]] = defaultdict(Counter)
        for image in self.images:
            kinds = image.kinds if image.status == PLANNED else ()
            for region in (image.region, ALL_REGIONS):
                counts[region].update((*image.statuses, *kinds))
        columns = self.columns
        rows = [(r, [counts[r][column] for column in columns]) for r in counts]
        rows.sort(key=lambda row: (row[0] == ALL_REGIONS, row[0]))
        return rows if len(rows) > 2 else rows[:1]  # noqa: PLR2004 - one region, and all

    @property
    def rules(self) -> list[tuple[str, str]]:
        """The members of the document that say what images become, as texts; tags one by one."""
        return rules_of(entries_of(self.result, "Rules"))

    @property
    def change_request(self) -> dict[str, Any] | None:
        """What does exactly this; None if the plan would be rejected, wait, or is too large."""
        apply = self.result.get("Apply")
        return apply if isinstance(apply, dict) else None
