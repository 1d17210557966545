"""Renders a plan as one HTML page."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from scf_local.changes import Diff, changes_between, diff_of, text_of
from scf_local.pages.rendering import badge, render
from scf_local.plans.plan import SKIPPED, WAITS, Plan, PlannedImage

_SHORT = 36
"""Characters of a cell that are always shown; more are shown on demand."""


class Row(NamedTuple):
    """An image, its ImageName before and after, and its other changes."""

    image: PlannedImage
    name: Diff
    """All is in `head` if it keeps its name."""
    changes: list[Diff]


def page_of(plan: Plan, made: datetime) -> Iterator[str]:
    """Render the page in chunks; `made` is in UTC."""
    others = sorted(plan.others, key=lambda image: image.status != "failed")
    images = [*others, *plan.planned, *plan.skipped]
    folded = defaultdict(list)
    for image in plan.skipped:
        folded[image.reason].append(_row(image))
    statuses = Counter(badge(status).text for image in images for status in image.statuses)
    counts = {**(plan.parts.summary or statuses), WAITS: statuses[WAITS]}
    return render(
        Path(__file__).parent,
        plan=plan,
        made=made,
        outcome=badge(plan.result.get("Outcome", "")),
        planned=counts.get("Planned", len(plan.planned)),
        counts=sorted(
            ((badge(name.lower()), count) for name, count in counts.items() if count),
            key=lambda pair: pair[0].tone == "quiet",
        ),
        rows=[_row(image) for image in images if image.status != SKIPPED],
        skipped=sorted(folded.items(), key=lambda item: -len(item[1])),
        regions=sorted({image.region for image in images if image.region}),
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
    kept = text_of(image.name) if image.name else ""
    renamed = [diff for diff in changes if diff.name == "ImageName"]
    others = [diff for diff in changes if diff.name != "ImageName"]
    return Row(image, renamed[0] if renamed else Diff("ImageName", kept, "", "", ""), others)
