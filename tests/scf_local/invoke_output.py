"""What `scf-local invoke` prints: the result and its plan, or a hint after an error."""

from __future__ import annotations

import sys

import click

from scf_local.console import emit_json, note, rich_console
from scf_local.invocation import InvocationResult
from scf_local.terminal_text import escaped

NO_FUNCTION = 437
"""The status if the code has no such module or function."""
HINTS = {
    406: "Send a smaller event: put the document into COS and its address into the event.",
    407: "Return a smaller result: SCF passes on at most 6 MB.",
    430: "The function raised, or returned a value that is not JSON.",
    433: "Raise the time limit with --timeout, or give the function less to do.",
    434: "Raise the memory limit with --memory, or give the function less to do.",
    437: "Check --code (the code folder) and --handler (module.function).",
    439: "The function ended its process, or used scf-local's own pipe; it must return or raise.",
    443: "The code could not be loaded.",
    450: "Loading the code took too long; move slow work into the handler function.",
}
"""What to do, by SCF's status code."""


_NOT_LOADED = 443
"""The status whose message is the traceback."""
_MAX_TRACEBACK = 100_000
"""Characters; the ERROR line has all of it."""


def print_invocation(invocation: InvocationResult) -> None:
    """Print the result to stdout; the plan of a dry run, or an error and a hint, to stderr."""
    if invocation.error is not None:
        print_traceback(invocation)
        note(HINTS[invocation.status])
        return
    emit_json(invocation.result)
    if isinstance(invocation.result, dict) and invocation.result.get("DryRun") is True:
        from scf_local.plans.plan import Plan  # noqa: PLC0415 - only plans need rich
        from scf_local.plans.text import MAX_COLUMNS, printed  # noqa: PLC0415 - the same

        plan = Plan.of("the event", "dry run", invocation.result)
        click.echo(printed(plan, rich_console(sys.stderr, MAX_COLUMNS)), nl=False, err=True)


def print_traceback(invocation: InvocationResult) -> None:
    """Print the traceback of what the function raised, if it did, to stderr."""
    from scf_local.log_records import OBJECT, PLATFORM  # noqa: PLC0415 - only errors need it

    error = invocation.error or {}
    text = error.get("errorMessage" if invocation.status == _NOT_LOADED else "stackTrace")
    for line in str(text)[-_MAX_TRACEBACK:].split("\n") if text else ():
        # Readers of logs would take such a line for one of the log's.
        is_marked = PLATFORM.match(line) or OBJECT.match(line)
        click.echo(escaped(f"> {line}" if is_marked else line), err=True)
