"""The table of replayed events, and below it how some of them differ from what is expected."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from scf_local.environment import trigger_of
from scf_local.replay import ReplayedCase
from scf_local.run_summary import UNKNOWN
from scf_local.terminal_text import listed, printable

if TYPE_CHECKING:
    from rich.console import Console, JustifyMethod

_NUMBERS = ("Attempts", "Changed", "Planned", "Unchanged", "Failed")
_NOTE = "Error or note"
_LEFT_OUT = (_NUMBERS, ("Trigger",), (_NOTE,))
"""Columns that a narrow terminal has no room for, the least important ones first."""
_SHORT = 24
"""Characters of what a foreign function returns as an outcome or a count."""
_WHOLE = 64 * 1024


def printed(replays: Sequence[ReplayedCase], console: Console) -> str:
    """The table as wide as a console, and lines of any length; empty without events."""
    shown = [printable(replay.case.label, _WHOLE) for replay in replays]
    with console.capture() as captured:
        if replays:
            console.print(_table_of(replays, shown, console.width), soft_wrap=True)
        for name, replay in zip(shown, replays, strict=True):
            if not replay.as_expected or replay.differences:
                console.print(Text(name, "" if replay.as_expected else "red"), soft_wrap=True)
                for line in _lines_of(replay):
                    console.print(Text(f"  {printable(line, _WHOLE)}"), soft_wrap=True)
    return captured.get()


def _lines_of(replay: ReplayedCase) -> list[str]:
    """Why an event did not end as expected or as logged, and its error."""
    note = [replay.note] if replay.note else []
    differences = listed([f"log: {line}" for line in replay.differences])
    return [*listed(replay.unexpected), *note, *differences]


def _table_of(replays: Sequence[ReplayedCase], names: list[str], width: int) -> Table:
    """No cell is wrapped: columns without room are left out, and only notes are cut."""
    columns = {"Event": names, **_columns_of(replays)}
    sizes = {head: max(map(cell_len, (head, *cells))) for head, cells in columns.items()}
    longest = sizes.get(_NOTE, 0)
    sizes |= {_NOTE: len(_NOTE)} if longest else {}
    for heads in _LEFT_OUT:
        if _width_of(sizes) > width:
            sizes = {head: size for head, size in sizes.items() if head not in heads}
    if _NOTE in sizes:
        sizes[_NOTE] = min(longest, width - _width_of(sizes) + len(_NOTE))
    table = Table(width=_width_of(sizes))
    for head, size in sizes.items():
        justify: JustifyMethod = "right" if head in _NUMBERS else "left"
        table.add_column(head, width=size, no_wrap=True, justify=justify)
    for number, replay in enumerate(replays):
        cells = (Text(columns[head][number]) for head in sizes)
        table.add_row(*cells, style="" if replay.as_expected else "red")
    return table


def _columns_of(replays: Sequence[ReplayedCase]) -> dict[str, list[str]]:
    """The cells of all columns but that of the names; without columns that say nothing."""
    columns = {
        "Trigger": [trigger_of(replay.case.event) for replay in replays],
        "Outcome": [printable(replay.invocation.outcome, _SHORT) for replay in replays],
        _NUMBERS[0]: [str(r.attempts) if r.attempts > 1 else "" for r in replays],
        **{name: [_count_of(replay, name) for replay in replays] for name in _NUMBERS[1:]},
        "As expected?": ["yes" if replay.as_expected else "no" for replay in replays],
        "As logged?": [_is_as_logged(replay) for replay in replays],
        _NOTE: [printable(replay.note) for replay in replays],
    }
    return {head: cells for head, cells in columns.items() if {*cells} - {"", "0"}}


def _count_of(replay: ReplayedCase, name: str) -> str:
    result = replay.invocation.result
    summary = result.get("Summary") if isinstance(result, dict) else None
    return printable(summary.get(name, ""), _SHORT) if isinstance(summary, dict) else ""


def _is_as_logged(replay: ReplayedCase) -> str:
    logged = replay.case.logged
    if not logged:
        return ""
    # That it returned or raised something says too little.
    known = {UNKNOWN: False, "returned": logged.codes is not None, "raised": bool(logged.error)}
    is_known = known.get(logged.outcome, True)
    return "no" if replay.differences else "yes" if is_known else UNKNOWN


def _width_of(sizes: Mapping[str, int]) -> int:
    """The width of a table with columns of these sizes."""
    return sum(sizes.values()) + 3 * len(sizes) + 1
