"""Renders a plan as one HTML page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scf_local.changes import Diff, changes_between, diff_of, text_of
from scf_local.pages.parts import MAX_MESSAGE, Badge, badge, problems_of
from scf_local.pages.rendering import render
from scf_local.plans.plan import SKIPPED, WAITS, Plan, PlannedImage
from scf_local.terminal_text import printable

_SHORT = 36
"""Characters of a cell that are always shown; more are shown on demand."""


@dataclass(frozen=True)
class Row:
    """An image; all texts are printable."""

    region: str
    image_id: str
    statuses: list[Badge]
    kinds: str
    """One a line."""
    name: Diff
    """Its ImageName before and after; all is in `head` if it keeps its name."""
    is_renamed: bool
    changes: list[Diff]
    """All but that of the name."""
    is_long: bool
    """Whether the changes are too long to be shown whole."""
    reason: str


def page_of(plan: Plan, made: datetime) -> Iterator[str]:
    """Render the page in chunks; `made` is in UTC."""
    others = sorted(plan.others, key=lambda image: image.status != "failed")
    images = [*others, *plan.planned, *plan.skipped]
    rows = [_row(image) for image in images]
    folded = defaultdict(list)
    for row in rows:
        if row.statuses[0].text == SKIPPED:
            folded[row.reason].append(row)
    statuses = Counter(status.text for row in rows for status in row.statuses)
    counts = {**(plan.parts.summary or statuses), WAITS: statuses[WAITS]}
    return render(
        Path(__file__).parent,
        source=printable(plan.source),
        made=made,
        cloud=printable(plan.cloud),
        outcome=badge(plan.result.get("Outcome", "")),
        planned=counts.get("Planned", len(plan.planned)),
        listed=len(plan.planned),
        several=plan.documents > 1,
        counts=sorted(
            ((badge(name.lower()), count) for name, count in counts.items() if count),
            key=lambda pair: pair[0].tone == "quiet",
        ),
        errors=problems_of(plan.parts.errors),
        warnings=problems_of(plan.parts.warnings),
        truncated=bool(plan.result.get("Truncated")),
        rules=[(printable(name), printable(value, MAX_MESSAGE)) for name, value in plan.rules],
        kinds=plan.kinds,
        columns=[printable(column) for column in plan.columns],
        totals=[(printable(region), counts) for region, counts in plan.totals],
        rows=[row for row in rows if row.statuses[0].text != SKIPPED],
        skipped=sorted(folded.items(), key=lambda item: -len(item[1])),
        regions=sorted({row.region for row in rows if row.region}),
        statuses=list(statuses),
        short=_SHORT,
    )


def _row(image: PlannedImage) -> Row:
    # Compared as they are: values may be printed alike.
    before, after = (
        {name: value for name, value in state.items() if image.before[name] != image.after[name]}
        for state in (image.before, image.after)
    )
    changes = [
        diff_of(change._replace(name=change.name.replace("Tag.", "Tag ", 1)))
        for change in changes_between(before, after)
    ]
    renamed = [diff for diff in changes if diff.name == "ImageName"]
    others = [diff for diff in changes if diff.name != "ImageName"]
    kept = text_of(image.name) if image.name else ""
    return Row(
        region=printable(image.region),
        image_id=printable(image.image_id),
        statuses=[badge(status) for status in image.statuses],
        kinds="\n".join(map(printable, sorted(image.kinds))),
        name=renamed[0] if renamed else Diff("ImageName", kept, "", "", ""),
        is_renamed=bool(renamed),
        changes=others,
        is_long=len(others) > 1 or sum(len("".join(diff)) for diff in others) > _SHORT,
        reason=printable(image.reason, MAX_MESSAGE),
    )
