"""What an invocation came to, as it is shown: its result, its plan, or the next step."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from scf_local.console import emit_json, rich_console

if TYPE_CHECKING:
    from scf_local.invocation import Invocation

_NEXT_STEPS = {
    406: "Hand over less: put the document into COS, and its address into the event.",
    407: "Return less: SCF hands on 6 MB at most.",
    430: "The function raised, or returned what JSON cannot hold; the ERROR line says where.",
    433: "Allow the function more time with --timeout, or hand it less to do.",
    434: "Allow the function more memory with --memory, or hand it less to do.",
    437: "Check --code (the folder that is uploaded) and --handler (module.function).",
    439: "The function ended its own process, or broke the pipe to it; let it return or raise.",
    443: "The code could not be loaded; the trace in the ERROR line says where.",
    450: "Loading the code took too long; move what takes its time into the handler function.",
}


def show(done: Invocation) -> None:
    """The result on stdout; a plan as a table, or how to go on after an error, on stderr."""
    if done.error is not None:
        click.echo(f"scf-local: {_NEXT_STEPS[done.status]}", err=True)
        return
    emit_json(done.result)
    if isinstance(done.result, dict) and done.result.get("DryRun") is True:  # nothing was written
        from scf_local import plan  # noqa: PLC0415 - rich, for those who look at a plan

        console = rich_console(sys.stderr)
        with console.capture() as captured:
            console.print(*plan.renderables_of(done.result), sep="\n")
        click.echo(captured.get(), nl=False, err=True)
