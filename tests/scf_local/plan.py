"""A dry run's result as a table: each image's planned change and its reason. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from scf_local.changes import changes_of
from scf_local.replay import cell, entries_of
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rich.console import RenderableType

MAX_SKIPPED = 20
"""Skipped images to list; the others are counted."""

_STYLES = {"planned": "", "skipped": "dim"}


def renderables_of(result: dict[str, Any]) -> Iterator[RenderableType]:
    """The table, if there are images to list, and the lines below it."""
    images = entries_of(result, "Images")
    planned = [image for image in images if image.get("Status") == "planned"]
    skipped = [image for image in images if image.get("Status") == "skipped"]
    others = [image for image in images if str(image.get("Status")) not in _STYLES]
    if images:
        yield _table(planned, others, skipped[:MAX_SKIPPED])
    if len(skipped) > MAX_SKIPPED:
        yield cell(f"… and {len(skipped) - MAX_SKIPPED:,} more skipped")
    if result.get("Truncated"):
        yield cell("The result was too long: not everything is listed")
    yield cell(_totals(result))
    for kind, style in (("Warning", "yellow"), ("Error", "red")):
        for entry in entries_of(result, f"{kind}s"):
            source = f"{entry.get('Source', '')} {entry.get('Path', '')}".strip()
            yield Text(f"{kind}: {printable(_message(entry), 600)} ({printable(source)})", style)


def _table(*groups: Iterable[dict[str, Any]]) -> Table:
    table = Table()
    for name in ("Region", "ImageId", "Change", "Why"):
        table.add_column(name, overflow="fold")
    for group in groups:
        for image in group:
            status = image.get("Status")
            lines = [] if status == "planned" else [cell(status)]
            table.add_row(
                cell(image.get("Region", "")),
                cell(image.get("ImageId", "")),
                Text("\n").join([*lines, *_changes(image)]),
                cell(_message(image) if "Code" in image else image.get("Reason", "")),
                style=_STYLES.get(str(status), "red"),
            )
        table.add_section()
    return table


def _changes(image: dict[str, Any]) -> Iterator[Text]:
    for name, before, after in changes_of(image):
        yield Text.assemble(name, "  ", (before, "red"), " → ", (after, "green"))


def _message(entry: dict[str, Any]) -> str:
    return f"{entry.get('Code', '')}: {entry.get('Message', '')}"


def _totals(result: dict[str, Any]) -> str:
    """The number of images by status, planned ones first."""
    summary = result.get("Summary")
    counts = {
        name: count
        for name, count in (summary.items() if isinstance(summary, dict) else ())
        if isinstance(count, int) and count
    }
    names = sorted(counts, key=lambda name: name != "Planned")
    return ", ".join(f"{counts[name]:,} {name.lower()}" for name in names) or "no images"
