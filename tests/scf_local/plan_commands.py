"""The command `scf-local plan`: what a document would do."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from image_steward.limits import IMAGES_PER_REQUEST
from scf_local import console, json_files, output_files
from scf_local.invocation import WarmInstance
from scf_local.invoke_output import print_invocation
from scf_local.options import NEW_FILE, configured, elsewhere_options, function_options

if TYPE_CHECKING:
    from scf_local.plans.plan import Plan

_QUIET, _NO_JOURNAL = "STEWARD_LOG_LEVEL=WARNING", "STEWARD_JOURNAL="
"""The log is shown only if there is no plan; and the journal would have the result of a dry run."""


@click.command(
    epilog=console.example(
        "scf-local plan policy.json --seed events/seed",
        "scf-local plan policy.json --real -o plan.json --html plan.html",
        "scf-local plan policy.json --csv > plan.csv",
        "scf-local undo run.log | scf-local plan -",
    )
)
@click.argument("document", type=console.INPUT_FILE, default="-", metavar="[DOCUMENT|-]")
@click.option(
    "--all", "list_all", is_flag=True, help="Also list each skipped image, and show rules whole."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print a table for `scf-local request`.")
@click.option("--json", "as_json", is_flag=True, help="Print the function's result.")
@click.option("--html", type=NEW_FILE, help="Also write an HTML page.")
@click.option(
    "-o", "--output", type=NEW_FILE, help="Also write the change request that does exactly this."
)
@function_options
@elsewhere_options
def plan(  # noqa: PLR0913 - the command line's options, by name
    document: str,
    *,
    list_all: bool,
    as_csv: bool,
    as_json: bool,
    html: Path | None,
    output: Path | None,
    env: tuple[str, ...],
    **options: Any,  # noqa: ANN401 - see configured
) -> None:
    """Print what a document would do. Nothing is changed.

    DOCUMENT is a change request, a naming policy, a Packer manifest, an undo document, or an event
    that brings one; - is stdin.

    Exit status: 0 success; 1 if the document is rejected, an image would fail, or there is no
    change request for -o; 2 usage error.
    """
    from scf_local.plans import text  # noqa: PLC0415 - most commands need none
    from scf_local.plans.plan import Plan  # noqa: PLC0415 - the same

    name = "stdin" if document == "-" else document
    with console.usage_errors():
        if as_csv and as_json:
            raise ValueError("--csv and --json cannot be combined; use one of them")
        event = _read_document(document, name)
        _check_files(document, html, output)
    env = (_QUIET, *env, _NO_JOURNAL)
    log: list[bytes] = []
    with (
        configured(dry_run=True, env=env, **options) as config,
        WarmInstance(config, log.append) as instance,
    ):
        invocation = instance.invoke(event)
    result = invocation.result
    if invocation.error or not isinstance(result, dict) or result.get("DryRun") is not True:
        console.log_writer()(b"".join(log))
        print_invocation(invocation)
        console.note("this is no plan: the function returned no result of a dry run")
        sys.exit(invocation.exit_status or 1)
    seeded = f"emulated cloud with {options['seed']}" if options["seed"] else "empty emulated cloud"
    cloud = "real cloud" if options["real"] else options["endpoint"] or seeded
    records = event.get("Records") if isinstance(event, dict) else None
    found = Plan.of(name, cloud, result, len(records) if isinstance(records, list) else 1)
    if html:
        from scf_local.plans.page import page_of  # noqa: PLC0415 - only a page pays for Jinja2

        output_files.write(html, page_of(found, datetime.now(timezone.utc)))
    problem = _write_request(found, output) if output else ""
    if as_json:
        console.emit_json(result)
    elif as_csv:
        _print_table(found, list_all=list_all)
        problem = problem or ("the table is not complete" if result.get("Truncated") else "")
    else:
        stdout = console.rich_console(sys.stdout, text.MAX_COLUMNS)
        console.emit(text.printed(found, stdout, list_all=list_all), nl=False)
    if problem:
        console.note(problem)
    sys.exit(invocation.exit_status or int(bool(problem)))


def _read_document(path: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
    data = console.read_input(path, "document")
    first_line = data.partition(b"\n")[0]
    if b"ImageId" in first_line and b"{" not in first_line:
        raise ValueError(f"{name}: is a table; `scf-local request` makes a change request of it")
    return json_files.loads(data, name)


def _check_files(document: str, *outputs: Path | None) -> None:
    """Fail before the run if a file cannot be written after it, or is needed for something else."""
    paths = [path for path in outputs if path]
    if Path("-") in paths:
        raise ValueError("--html and -o write files; - is not the name of one")
    sources = [] if document == "-" else [Path(document)]
    files = [path.resolve() for path in (*sources, *paths)]
    if len({*files}) < len(files):
        raise ValueError("DOCUMENT, --html and -o must be different files")
    for path in paths:
        output_files.check_writable(path)


def _print_table(plan: Plan, *, list_all: bool) -> None:
    """Print the table, and to stderr what it cannot hold."""
    from scf_local.plans.table import csv_of  # noqa: PLC0415 - most commands need none
    from scf_local.plans.text import end_of  # noqa: PLC0415 - the same

    console.emit(csv_of(plan, all_images=list_all).encode(), nl=False)
    for line in end_of(plan):
        console.note(line.plain)


def _write_request(plan: Plan, path: Path) -> str:
    """Write the change request of a plan; returns why there is none."""
    request = plan.change_request
    if request:
        output_files.write_json(path, request)
        return ""
    codes = {warning.get("Code") for warning in plan.parts.warnings}
    reason = "an image needs more tags than one request can set"
    if plan.parts.errors:
        reason = "the document, or a part of it, is rejected"
    elif not plan.planned:
        reason = "it changes nothing"
    elif len(plan.planned) > IMAGES_PER_REQUEST or plan.result.get("Truncated"):
        reason = f"it is too large; a change request has at most {IMAGES_PER_REQUEST:,} images"
    elif "TooManyChanges" in codes:
        reason = "it would be rejected"
    elif plan.waiting:
        reason = f"{plan.waiting[0].image_id} would wait; plan it again when all images are ready"
    return f"{path} was not written: there is no change request for this plan, since {reason}"
