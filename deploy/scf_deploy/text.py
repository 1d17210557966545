"""Plans and checks as text for a terminal, and plans as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from scf_deploy.plan import CHANGE, CREATE, DELETE, REPLACE, SAME, Line, Plan
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

    from scf_deploy.check import Check

_STYLES = {SAME: "dim", CREATE: "green", CHANGE: "yellow", REPLACE: "magenta", DELETE: "red"}
_STATES = {"ok": "green", "FAIL": "red"}
_MOST = 5000
"""Characters of a value."""


def printed(plan: Plan, console: Console, *, is_brief: bool = False) -> str:
    """Return the plan, as wide as a console; values are wrapped.

    A brief one only counts the lines of what stays the same.
    """
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(max_width=console.width // 2, overflow="fold")
    table.add_column(overflow="fold")
    shown = plan.changes if is_brief else plan.lines
    for line in shown:
        style = _STYLES[line.verb]
        what, value, note = (printable(x, _MOST) for x in (line.what, _value(line), line.note))
        # A long value on a line of its own, so that what has changed is seen.
        value = value.replace(" → ", "\n→ ") if cell_len(value) > console.width // 2 else value
        head, *rest = map(Text, (line.verb, what, "; ".join(filter(None, (value, note)))))
        head.stylize(style)
        table.add_row(head, *rest, style="dim" if line.verb == SAME else "")
    same = len(plan.lines) - len(shown)
    return _rendered(table, console) + (f"\nsame: {same} others" if same else "")


def checked(found: Iterable[Check], console: Console) -> str:
    """Return checks as a table, as wide as a console."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(max_width=console.width * 2 // 5, overflow="fold")
    table.add_column(overflow="fold")
    for state, *texts in (each.described().values() for each in found):
        what, seen, *advice = (printable(x, _MOST) for x in texts)
        rows = [seen, *(f"→ {each}" for each in advice)]
        table.add_row(Text(state, _STATES.get(state, "")), Text(what), Text("\n".join(rows)))
    return _rendered(table, console)


def _rendered(table: Table, console: Console) -> str:
    with console.capture() as captured:
        console.print(table)
    return "\n".join(row.rstrip() for row in captured.get().splitlines())


def _value(line: Line) -> str:
    if line.verb in {CHANGE, REPLACE} and line.old != line.new:
        return f"{line.old or 'none'} → {line.new or 'none'}"
    return line.old if line.verb == DELETE else line.new


def as_json(plan: Plan) -> list[dict[str, Any]]:
    """Return each line: `Verb`, `What`, and `Old`, `New` and `Note` unless they are empty."""
    lines = (vars(line).items() for line in plan.lines)
    return [{name.capitalize(): text for name, text in line if text} for line in lines]
