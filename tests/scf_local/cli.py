"""The command `scf-local`: results on stdout, everything else on stderr."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any, NoReturn

import click

from image_steward.settings import Settings
from scf_local import console, exports, json_files, network, options
from scf_local.credentials import SCF_NAMES, SDK_NAMES
from scf_local.environment import REGION, locate_handler
from scf_local.event_commands import UPLOAD_EXAMPLE, event
from scf_local.invocation import WarmInstance
from scf_local.invoke_output import HINTS, NO_FUNCTION, print_invocation, print_traceback
from scf_local.log_commands import logs
from scf_local.plan_commands import plan
from scf_local.seed_commands import seed
from scf_local.terminal_text import printable
from scf_local.watch import rerun_on_change

if TYPE_CHECKING:
    from scf_local.entries import Entries

# Imports for a single command are lazy: rich alone would add 50 ms to every invocation.

_PART = click.option("--part", default=1, metavar="N", help="Print part N, of up to 1,000 images.")
_MAX_PROBLEMS = 20
"""Messages to print about what cannot be used; the others are counted."""


def _read_event(path: str) -> Any:  # noqa: ANN401 - any JSON value may be an event
    with console.usage_errors():
        name = "stdin" if path == "-" else f"event {path}"
        return json_files.parse(console.read_input(path, "event"), name)


def _print_problems(problems: Sequence[str]) -> None:
    for problem in problems[:_MAX_PROBLEMS]:
        console.note(printable(problem, 1000))
    if len(problems) > _MAX_PROBLEMS:
        console.note(f"… {len(problems):,} problems in total")


def _print_part(read: Callable[[], Entries], part: int) -> NoReturn:
    """Print one of the change requests that a file asks for, and what of it cannot be used."""
    with console.usage_errors():
        parsed = read()
        _print_problems(parsed.problems)
        document = parsed.part(part)
    if parsed.texts:
        console.emit_json(document, Settings().max_document_bytes)
    which = f"; this is part {part} of {len(parsed.parts)}" if len(parsed.parts) > 1 else ""
    console.note(f"{parsed}{which}")
    sys.exit(1 if parsed.problems else 0)


@click.group(
    cls=console.Program,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=console.example("scf-local replay events/", "scf-local invoke --help"),
)
@click.option(
    "--config", type=options.FILE, envvar="SCF_LOCAL_CONFIG", help="Instead of scf-local.toml."
)
@click.version_option(package_name="image-steward", message="%(prog)s %(version)s")
@click.pass_context
def main(context: click.Context, config: Path | None) -> None:
    """Run an SCF function offline, as SCF does, against an emulated cloud."""
    path = config or Path("scf-local.toml")
    if path.exists():
        from scf_local.config_file import ConfigFile  # noqa: PLC0415 - see the top

        with console.usage_errors():
            context.obj = ConfigFile.read(path, main)
            context.default_map = context.obj.default_map(main, context.obj.default_function)


main.add_command(event)
main.add_command(plan)
main.add_command(seed)
main.add_command(logs)


@main.command(
    epilog=console.example(
        f"{UPLOAD_EXAMPLE} | scf-local invoke -",
        "scf-local invoke event.json --dry-run --env STEWARD_LOG_LEVEL=DEBUG",
        "scf-local invoke event.json --handler src/app.py:main --watch",
        "scf-local invoke event.json --handler src/app.py:main --debug",
        "scf-local invoke event.json --real --dry-run",
    )
)
@click.argument("event", type=console.INPUT_FILE, default="-", metavar="[EVENT|-]")
@options.function_options
@options.dry_run_option
@options.elsewhere_options
@click.option("--yes", is_flag=True, help="With --real: run without asking, even if it may write.")
@click.option("--watch", is_flag=True, help="Run again when EVENT or the code folder changes.")
@click.option("--debug", is_flag=True, help="Debug at the terminal (pdb), without a time limit.")
def invoke(event: str, *, watch: bool, debug: bool, **given: Any) -> None:  # noqa: ANN401 - see options.configured
    """Invoke the function once, in a cold process.

    EVENT is a JSON file, or - for stdin. A dry run (--dry-run, or DryRun in the document) also
    prints its plan to stderr.

    Exit status: 0 success, 1 function error, 2 usage error, 3 time limit, 4 memory limit.
    """
    stdin = _read_event(event) if event == "-" else None  # can be read only once

    def invoke_once() -> int:
        payload = _read_event(event) if event != "-" else stdin
        with options.configured(**given) as config:
            with (
                console.debugger_terminal() if debug else nullcontext() as terminal,
                WarmInstance(config, console.log_writer(), terminal=terminal) as instance,
            ):
                invocation = instance.invoke(payload)
            print_invocation(invocation)  # before what the cloud has refused
        return invocation.exit_status

    if watch:
        with console.usage_errors():
            folder, _ = locate_handler(given["handler"], given["code"])
            if given["real"] and not given["dry_run"]:
                raise ValueError(
                    "--watch with --real would write after every change of a file; add --dry-run, "
                    "or remove one of them"
                )
        rerun_on_change(invoke_once, folder, *given["env_file"], Path(event))
    sys.exit(invoke_once())


@main.command(
    epilog=console.example(
        "scf-local replay events/",
        "scf-local replay export.jsonl --code fixed/ --only 4f9c2d1e --until-failure",
        "scf-local replay --json events/05-timer.json",
    )
)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH|-...",
    type=click.Path(exists=True, allow_dash=True),
)
@click.option("--json", "as_json", is_flag=True, help="Print a JSON list instead of a table.")
@click.option(
    "--logs", is_flag=True, help="Print the logs of all events to stderr, not only of failed ones."
)
@click.option("--list", "as_list", is_flag=True, help="List the events without replaying them.")
@click.option(
    "--only",
    multiple=True,
    metavar="GLOB|NUMBER|ID",
    help="Only these events: name or number in --list, request id or function name; repeatable.",
)
@click.option("--cold", is_flag=True, help="Start a new instance for each event.")
@click.option(
    "--retries", is_flag=True, help="Deliver again what fails, as SCF does: twice, a minute later."
)
@click.option("--until-failure", is_flag=True, help="Stop after the first unexpected outcome.")
@click.option("--report", type=options.NEW_FILE, help="Also write an HTML report.")
@click.option(
    "--extract",
    metavar="DIR",
    type=options.NEW_DIRECTORY,
    help="Also write the events and their expected outcomes to a folder, as test cases.",
)
@options.function_options
@options.dry_run_option
def replay(  # noqa: PLR0913 - the command line's options, by name
    paths: tuple[str, ...],
    *,
    as_json: bool,
    logs: bool,
    as_list: bool,
    only: tuple[str, ...],
    cold: bool,
    until_failure: bool,
    retries: bool,
    report: Path | None,
    extract: Path | None,
    **given: Any,  # noqa: ANN401 - see options.configured
) -> None:
    """Replay events in one warm instance, against one emulated cloud.

    PATH is a *.json file (one event), a *.jsonl file (one event per line), a folder with such
    files, a log (CLS export as JSON or CSV, or text), or - for stdin. docs/replay.md describes
    the formats.

    The file expected.json in a folder has the expected outcomes of its events: {"<file>":
    {"Outcome": "rejected", "Codes": ["InvalidDocument"]}}. For a file with several events, the
    keys are "<file>:<line>". An event without an entry is expected to succeed.

    Exit status: 0 if every event ends as expected, 1 if not, 2 usage error.
    """
    from rich.progress import Progress  # noqa: PLC0415 - see the top

    from scf_local.cases import read_cases  # noqa: PLC0415 - see the top
    from scf_local.extraction import extracting  # noqa: PLC0415 - see the top
    from scf_local.replay import document_of, line_of, listing_of  # noqa: PLC0415 - see the top
    from scf_local.replay_runner import MAX_ROWS, RETRIES, ReplayTotals, replay_cases  # noqa: PLC0415 - see the top
    from scf_local.replay_table import printed  # noqa: PLC0415 - see the top
    from scf_local.report.recording import reporting  # noqa: PLC0415 - see the top

    with console.usage_errors():
        if as_list and (report or extract):
            raise ValueError("--list replays nothing to report or extract; remove it, or the other")
        all_cases = read_cases(map(Path, paths), given["region"] or REGION)
        cases = all_cases.only(only)
    _print_problems(all_cases.problems)
    if as_list:
        console.emit_json(listing_of(cases)) if as_json else console.emit(
            "\n".join(map(line_of, cases))
        )
        return
    totals = ReplayTotals(keep_all=len(cases) <= MAX_ROWS)
    stderr = console.rich_console(sys.stderr)
    with (
        options.configured(
            **given, needs_advice=lambda: totals.as_expected < totals.total
        ) as config,
        reporting(report, config) as record,
        extracting(extract) as write_case,
        Progress(console=stderr, transient=True, disable=not sys.stderr.isatty()) as progress,
        console.emitted_list() if as_json else nullcontext() as add,
        console.deferred_signals() as interrupt,
        closing(
            replay_cases(
                config,
                progress.track(cases, description="Replaying"),
                interrupt,
                cold=cold,
                retries=RETRIES * retries,
            )
        ) as replayed_cases,
    ):
        for replayed, log in replayed_cases:
            totals.add(replayed)
            record(replayed, log)
            write_case(replayed)
            with interrupt.immediately():
                if add:
                    add(document_of(replayed))
                if logs or not replayed.as_expected:
                    console.log_writer()(f"--- {printable(replayed.case.name)}\n".encode() + log)
                    print_traceback(replayed.invocation)
            if replayed.invocation.status == NO_FUNCTION:  # nor will other events find it
                console.note(HINTS[NO_FUNCTION])
                break
            if until_failure and not replayed.as_expected:
                break
    if not as_json:
        console.emit(f"{printed(totals.kept, console.rich_console(sys.stdout))}{totals}")
    if totals.total < len(cases):
        console.note(f"stopped; events left: {len(cases) - totals.total:,}")
    sys.exit(interrupt.exit_status or int(totals.as_expected < totals.total))


@main.command(
    epilog=console.example(
        "scf-local undo run.log > undo.json",
        "scf-local undo run.log --request-id ID | scf-local invoke --real --dry-run",
    )
)
@click.argument("log", type=console.INPUT_FILE, default="-", metavar="[LOG|-]")
@click.option(
    "--request-id",
    metavar="ID",
    help="Undo only this run; the first 6 characters are enough.  [default: all runs in LOG]",
)
@_PART
def undo(log: str, request_id: str | None, part: int) -> None:
    """Print a change request that undoes the changes in LOG.

    LOG is a file with the function's log, or - for stdin. The log is what a run has printed, or a
    CLS export in any format that `replay` reads. Lines that undo does not need are ignored. A
    result document is accepted, too.

    Exit status: 0 success, 1 if something cannot be undone, 2 usage error.
    """
    from scf_local import undo as log_undo  # noqa: PLC0415 - see the top

    def read() -> Entries:
        with console.copied_input(log, "log") as file:
            return log_undo.read(file, request_id, name=log)

    _print_part(read, part)


@main.command(
    epilog=console.example(
        "scf-local request plan.csv > request.json",
        "scf-local request plan.csv | scf-local invoke --real --dry-run",
    )
)
@click.argument("table", type=console.INPUT_FILE, default="-", metavar="[FILE|-]")
@_PART
def request(table: str, part: int) -> None:
    """Print the change request that a table asks for.

    FILE is a CSV file in UTF-8, or - for stdin, with a row for each image. Its columns are
    ImageId, Region, and the values to set: ImageName, ImageDescription, ImageFamily,
    ImageDeprecated, Tag.<key>. Expect.<name> is the value that the image must still have. An
    empty cell changes nothing; (none) deletes a tag. Columns whose names begin with # are ignored.

    Exit status: 0 success, 1 if the table has errors (nothing is printed), 2 usage error.
    """
    from scf_local.plans import table as plan_table  # noqa: PLC0415 - see the top

    _print_part(lambda: plan_table.read(console.read_input(table, "table"), table), part)


@main.command(epilog=console.example("scf-local cloud --seed events/seed"))
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port to listen on; 0: any free port."
)
@options.cloud_options
def cloud(port: int, **given: Any) -> None:  # noqa: ANN401 - see options.serving
    """Run the emulated cloud as a server until Ctrl-C.

    Prints `export` lines for its clients: the proxy and the certificates to trust, its URL, and
    credentials. Logs of functions that are deployed to it go to stderr.
    """
    # Blocked before the server's thread starts, which inherits this: only sigwait receives them.
    signals = console.termination_handlers().keys()
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    with (
        options.serving(port=port, write=console.log_writer(), **given) as variables,
        exports.kept(variables),
    ):
        url = variables[network.ENDPOINT]
        variables.update(STEWARD_API_ENDPOINT=url, STEWARD_COS_ENDPOINT=url)
        variables.update(zip(SDK_NAMES, map(variables.__getitem__, SCF_NAMES), strict=True))
        console.emit(
            "\n".join(f"export {name}={quote(value)}" for name, value in variables.items())
        )
        signal.sigwait(signals)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals)  # a second one ends it at once
