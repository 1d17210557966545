"""The command `scf-local`: results on stdout, everything else on stderr."""

from __future__ import annotations

import signal
import sys
from contextlib import closing, nullcontext
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from scf_local import json_files
from scf_local.console import (
    JsonList,
    Program,
    emit,
    emit_json,
    example,
    heeded,
    rich_console,
    stoppable,
    usage_errors,
)
from scf_local.event_commands import UPLOAD, event
from scf_local.invocation import Instance
from scf_local.options import (
    DEFAULT_REGION,
    configured,
    faults_option,
    function_options,
    real_options,
    seed_option,
    serving,
    watched,
)
from scf_local.shown import show
from scf_local.watch import repeat

if TYPE_CHECKING:
    from collections.abc import Sequence

# What only one command needs, it imports itself: rich alone would be 50 ms of every invocation.

_FILE = click.Path(exists=True, dir_okay=False, allow_dash=True)
_MAX_TROUBLE = 20
"""Sentences about what cannot be undone or replayed; a program reads the log itself."""


def _opened(path: str, what: str) -> IO[bytes]:
    if path == "-" and sys.stdin is None:
        raise ValueError(f"standard input is closed; give the {what}'s file, or pipe it in")
    return click.open_file(path, "rb")


def _delivered(event: str) -> Any:  # noqa: ANN401 - any JSON value may be an event
    with usage_errors(), _opened(event, "event") as stream:
        return json_files.parse(stream.read(), f"event {event}")


def _tell(trouble: Sequence[str]) -> None:
    for sentence in trouble[:_MAX_TROUBLE]:
        click.echo(f"scf-local: {sentence}", err=True)
    if len(trouble) > _MAX_TROUBLE:
        click.echo(f"scf-local: … {len(trouble):,} of them in all", err=True)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=example("scf-local replay events/", "scf-local invoke --help"),
)
@click.version_option(package_name="image-steward", message="%(prog)s %(version)s")
def main() -> None:
    """Run the function offline, as SCF runs it, against an emulated cloud."""


main.add_command(event)


@main.command(
    epilog=example(
        f"{UPLOAD} | scf-local invoke -",
        "scf-local invoke event.json --dry-run --env STEWARD_LOG_LEVEL=DEBUG",
        "scf-local invoke event.json --handler src/app.py:main --watch",
        "scf-local invoke event.json --real --dry-run",
    )
)
@click.argument("event", type=_FILE, default="-", metavar="[EVENT|-]")
@click.option("--endpoint", metavar="URL", help="A running `scf-local cloud`, not one of its own.")
@seed_option
@faults_option
@function_options
@real_options
@click.option("--watch", is_flag=True, help="Again with every change of --code or EVENT.")
def invoke(
    event: str,
    *,
    endpoint: str | None,
    seed: Path | None,
    watch: bool,
    **options: Any,  # noqa: ANN401 - see configured
) -> None:
    """One cold invocation of EVENT, a JSON file or - for stdin.

    A plan (--dry-run, or DryRun in the document) is shown as a table on stderr too.

    Exit status: 0 fine, 1 function error, 2 usage, 3 time limit, 4 memory limit.
    """
    stdin = _delivered(event) if event == "-" else None  # which can be read once

    def once() -> int:
        delivered = _delivered(event) if event != "-" else stdin
        with (
            configured(endpoint, seed, **options) as function,
            Instance(function, lambda data: click.echo(data, nl=False, err=True)) as instance,
        ):
            done = instance.invoke(delivered)
        show(done)
        return done.exit_status

    if watch:
        with usage_errors():
            places = watched(event, options)
        repeat(once, *places)
    sys.exit(once())


@main.command(
    epilog=example(
        "scf-local replay events/",
        "scf-local replay export.jsonl --code fixed/ --only 4f9c2d1e --until-failure",
        "scf-local replay --json events/05-timer.json",
    )
)
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of the table.")
@click.option("--logs", is_flag=True, help="Show what the function logs, on stderr.")
@click.option("--list", "as_list", is_flag=True, help="Show what would be replayed; run nothing.")
@click.option(
    "--only",
    multiple=True,
    metavar="GLOB|NUMBER|ID",
    help="Events by name or number, as --list shows them, request id or function; repeatable.",
)
@click.option("--cold", is_flag=True, help="A new instance for each event.")
@click.option("--until-failure", is_flag=True, help="Stop at the first that is not as expected.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write a page for the browser.",
)
@seed_option
@faults_option
@function_options
def replay(  # noqa: PLR0913 - the command line's options, by their names
    paths: tuple[Path, ...],
    *,
    as_json: bool,
    logs: bool,
    as_list: bool,
    only: tuple[str, ...],
    cold: bool,
    until_failure: bool,
    report: Path | None,
    seed: Path | None,
    **options: Any,  # noqa: ANN401 - see configured
) -> None:
    """Many events, in one warm instance against one emulated cloud.

    PATH is an event's file, JSON Lines (an event a line), a folder (its *.json and *.jsonl by
    name) or a log: exported by CLS as JSON or CSV, or as text; docs/replay.md has the forms.
    A folder's expected.json says what must come of its events: {"<file>": {"Outcome":
    "rejected", "Codes": ["InvalidDocument"]}}, "<file>:<line>" for one of several.

    Exit status: 0 if every event ends as expected, and without an error where nothing says how;
    else 1.
    """
    from rich.console import Console  # noqa: PLC0415 - see the top
    from rich.progress import Progress  # noqa: PLC0415 - see the top

    from scf_local.cases import read_cases  # noqa: PLC0415 - see the top
    from scf_local.replay import document_of, line_of, listing_of, table_of  # noqa: PLC0415 - see the top
    from scf_local.replaying import MAX_ROWS, Tally, replays  # noqa: PLC0415 - see the top
    from scf_local.report.recording import reporting  # noqa: PLC0415 - see the top

    with usage_errors():
        if as_list and report:
            raise ValueError("--list runs nothing that --report could show; leave one of them out")
        found = read_cases(paths, options["region"] or DEFAULT_REGION)
        cases = found.only(only)
    _tell(found.trouble)
    if as_list:
        lines = map(line_of, cases)
        emit_json(listing_of(cases)) if as_json else emit("\n".join(lines))
        return
    tally = Tally(everything=len(cases) <= MAX_ROWS)
    stderr = Console(stderr=True)
    with (
        configured(None, seed, **options) as function,
        reporting(report, function) as keep,
        Progress(console=stderr, transient=True, disable=not sys.stderr.isatty()) as progress,
        JsonList() if as_json else nullcontext() as listed,
        stoppable() as stops,
        closing(
            replays(function, progress.track(cases, description="Replaying"), stops, cold=cold)
        ) as running,
    ):
        for each, log in running:
            tally.add(each)
            keep(each, log)
            with stops.at_once():
                if listed:
                    listed.add(*document_of([each]))
                if logs or not each.as_expected:
                    text = log.decode("utf-8", "replace")
                    click.echo(f"--- {each.case.name}\n{text}", nl=False, err=True)
            if until_failure and not each.as_expected:
                break
    if not as_json:
        console = rich_console(sys.stdout)
        with console.capture() as captured:
            if tally.shown:
                console.print(table_of(tally.shown, console.width))
        emit(f"{captured.get()}{tally}")
    if tally.total < len(cases):
        click.echo(f"scf-local: stopped; events left: {len(cases) - tally.total:,}", err=True)
    sys.exit(stops.status or int(tally.right < tally.total))


@main.command(
    epilog=example(
        "scf-local undo run.log > undo.json",
        "scf-local undo run.log --request-id ID | scf-local invoke --dry-run",
    )
)
@click.argument("log", type=_FILE, default="-", metavar="[LOG|-]")
@click.option("--request-id", metavar="ID", help="Of one run.  [default: all runs in LOG]")
@click.option(
    "--part", default=1, show_default=True, metavar="N", help="Which 1,000 images, if more."
)
def undo(log: str, request_id: str | None, part: int) -> None:
    """The change request that puts back what was changed, by LOG.

    LOG is what the function logged, a file or - for stdin: as it was printed, or exported by CLS
    in any form that `replay` reads. Anything else in it is passed over.

    Exit status: 0 fine, 1 if something cannot be put back, 2 usage.
    """
    from scf_local import undo as undoing  # noqa: PLC0415 - see the top

    with usage_errors(), _opened(log, "log") as stream:
        found = undoing.read(stream.read(), request_id, name=log)
        document = found.part(part)
    _tell(found.trouble)
    if found.entries:
        emit_json(document)
    which = f"; this is part {part} of {len(found.parts)}" if len(found.parts) > 1 else ""
    click.echo(f"scf-local: {found}{which}", err=True)
    sys.exit(1 if found.trouble else 0)


@main.command(epilog=example("scf-local cloud --seed events/seed"))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@seed_option
@faults_option
def cloud(port: int, seed: Path | None, faults: Path | None) -> None:
    """The emulated cloud as a server, until Ctrl-C.

    Prints the lines to `export` that point the function and the official SDKs at it.
    """
    # Blocked before the server's thread starts, which so inherits it: sigwait alone takes them.
    stops = heeded().keys()
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with serving(seed, faults, port) as variables:
        variables |= {
            "TENCENTCLOUD_SECRET_ID": variables["TENCENTCLOUD_SECRETID"],
            "TENCENTCLOUD_SECRET_KEY": variables["TENCENTCLOUD_SECRETKEY"],
            "TENCENTCLOUD_TOKEN": variables["TENCENTCLOUD_SESSIONTOKEN"],
        }
        emit("\n".join(f"export {name}={value}" for name, value in variables.items()))
        signal.sigwait(stops)
