"""A plan as text for a terminal, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.text import Text

from scf_deploy.plan import CHANGE, CREATE, DELETE, REPLACE, SAME, Line, Plan
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

_STYLES = {SAME: "dim", CREATE: "green", CHANGE: "yellow", REPLACE: "magenta", DELETE: "red"}
_VERB = 8
_MOST = 36
"""Columns of the names of things."""


def printed(plan: Plan, console: Console) -> str:
    """Return the plan, as wide as a console: a line for each thing, wrapped below its value."""
    longest = max((cell_len(line.what) for line in plan.lines), default=0)
    width = min(longest, _MOST)
    with console.capture() as captured:
        for line in plan.lines:
            _print(line, width, console)
    return captured.get()


def _print(line: Line, width: int, console: Console) -> None:
    style, what = _STYLES[line.verb], printable(line.what)
    head = Text(f"{line.verb:<{_VERB}}", style).append(f"{what:<{width}}  ", "")
    value = Text(printable(_value(line), 2000), "dim" if line.verb == SAME else "")
    room = max(console.width - _VERB - width - 2, 20)
    rows = value.wrap(console, room) or [Text()]
    for number, row in enumerate(rows):
        indent = Text(" " * (_VERB + width + 2))
        if number == 0 and cell_len(what) > width:
            console.print(head, soft_wrap=True)
            head = indent
        text = (head if number == 0 else indent) + row
        text.rstrip()
        console.print(text, soft_wrap=True)


def _value(line: Line) -> str:
    value = line.new
    if line.verb in {CHANGE, REPLACE}:
        value = f"{line.old or 'none'} → {line.new or 'none'}"
    elif line.verb == DELETE:
        value = line.old
    return "; ".join(filter(None, (value, line.note)))


def as_json(plan: Plan) -> list[dict[str, Any]]:
    """Return the lines as JSON has them: `Verb`, `What`, and what is not empty of the others."""
    names = {"Verb": "verb", "What": "what", "Old": "old", "New": "new", "Note": "note"}
    return [
        {name: getattr(line, each) for name, each in names.items() if getattr(line, each)}
        for line in plan.lines
    ]
