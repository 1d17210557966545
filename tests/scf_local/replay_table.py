"""The table of replayed events."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from scf_local.environment import trigger_of
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scf_local.replay import ReplayedCase

_WIDE = 100
"""Terminal width from which the table has all columns."""


def cell(value: object) -> Text:
    """A table cell for rich: printable text without markup."""
    return Text(printable(value))


def table_of(replays: Sequence[ReplayedCase], width: int) -> Table:
    """The replayed events as a table for a terminal of `width` columns."""
    names = Counter({(replay.case.label, replay.case.path) for replay in replays})
    labels = Counter(label for label, _ in names)
    is_wide = width >= _WIDE
    has_log = any(replay.case.logged for replay in replays)
    counts = ("Changed", "Unchanged", "Failed") if is_wide and not has_log else ()
    table = Table()
    table.add_column("Event", overflow="fold")
    if is_wide:
        table.add_column("Trigger")
    table.add_column("Outcome", overflow="fold", min_width=len("rejected"))
    for count in counts:
        table.add_column(count, justify="right")
    table.add_column("As expected?", overflow="fold", min_width=len("As expected?"))
    if has_log:
        table.add_column("Logged → actual", overflow="fold", min_width=len("Logged →"))
    table.add_column("First error or note", ratio=1, overflow="fold")
    for replay in replays:
        result = replay.invocation.result
        summary = result.get("Summary") if isinstance(result, dict) else None
        summary = summary if isinstance(summary, dict) else {}
        table.add_row(
            cell(replay.case.label if labels[replay.case.label] == 1 else replay.case.name),
            *([trigger_of(replay.case.event)] if is_wide else []),
            cell(replay.invocation.outcome),
            *(cell(summary.get(count, "")) for count in counts),
            cell("yes" if replay.as_expected else f"no: expected {replay.expected}"),
            *([cell(_shortened(replay.comparison))] if has_log else []),
            cell(replay.note),
            style="" if replay.as_expected else "red",
        )
    return table


def _shortened(differences: Sequence[str]) -> str:
    more = len(differences) - 1
    return f"{differences[0]} (and {more} more)" if more > 0 else "".join(differences)
