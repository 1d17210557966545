"""The command `scf-local`: results on stdout, everything else on stderr."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import IO, Any, TextIO

import click
from rich.console import Console
from rich.progress import Progress

from harness import events, json_files, plan
from harness import undo as undoing
from harness.console import Program, emit, emit_json, usage_errors
from harness.invocation import Instance
from harness.options import configured, faults_option, function_options, seed_option, serving
from harness.replay import Replayed, document_of, read_cases, read_event, table_of
from harness.report.recording import reporting

_MAX_TROUBLE = 20
"""Sentences about what cannot be undone; a program reads the log itself."""

_NEXT_STEPS = {
    433: "Allow the function more time with --timeout, or hand it less to do.",
    434: "Allow the function more memory with --memory, or hand it less to do.",
    437: "Check --code (the folder that is uploaded) and --handler (module.function).",
    439: "The function ended its own process, or broke the pipe to it; let it return or raise.",
    443: "The code could not be loaded; the trace in the ERROR line says where.",
    450: "Loading the code took too long; move what takes its time into the handler function.",
}


def _console(stream: TextIO) -> Console:
    """For text that is captured. A file or a pipe has no width of its own."""
    return Console(file=stream, width=None if stream.isatty() else 140)


def _opened(path: str, what: str) -> IO[bytes]:
    if path == "-" and sys.stdin is None:
        raise ValueError(f"standard input is closed; give the {what}'s file, or pipe it in")
    return click.open_file(path, "rb")


def _example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Run the function offline, as SCF runs it, against an emulated cloud."""


@main.group()
def event() -> None:
    """Print an event as SCF delivers it."""


@event.command(epilog=_example("scf-local event cos --bucket manifests-1250000000 --key a.json"))
@click.option("--bucket", required=True, metavar="B-APPID", help="Full name, <bucket>-<appid>.")
@click.option("--key", required=True, help="Name of the uploaded object.")
@click.option("--region", default="ap-guangzhou", show_default=True)
@click.option(
    "--shape",
    type=click.Choice(events.SHAPES),
    default="2021",
    show_default=True,
    help="2018 is what the documentation prints, 2021 what is delivered since.",
)
@click.option(
    "--event-name",
    type=click.Choice(events.COS_EVENT_NAMES),
    metavar="NAME",
    default="cos:ObjectCreated:Put",
    show_default=True,
)
def cos(bucket: str, key: str, region: str, shape: str, event_name: str) -> None:
    """An upload to a COS bucket."""
    with usage_errors():
        made = events.cos_event(bucket, key, region=region, shape=shape, event_name=event_name)
    emit_json(made)


@event.command(epilog=_example("scf-local event timer --message @policy.json"))
@click.option("--message", default="", metavar="TEXT|@FILE", help="The trigger's argument.")
@click.option("--name", default="EveryDay", show_default=True, help="The trigger's name.")
def timer(message: str, name: str) -> None:
    """A timer that fires."""
    with usage_errors():
        if message.startswith("@"):
            message = json_files.decode(Path(message[1:]).read_bytes(), message[1:])
        made = events.timer_event(message, name=name)
    emit_json(made)


@main.command(
    epilog=_example(
        "scf-local event cos --bucket manifests-1250000000 --key a.json | scf-local invoke -",
        "scf-local invoke event.json --dry-run --env STEWARD_LOG_LEVEL=DEBUG",
    )
)
@click.argument(
    "event",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    default="-",
    metavar="[EVENT|-]",
)
@click.option("--endpoint", metavar="URL", help="A running `scf-local cloud`, not one of its own.")
@seed_option
@faults_option
@function_options
def invoke(event: str, endpoint: str | None, seed: Path | None, **options: Any) -> None:  # noqa: ANN401 - see configured
    """One cold invocation of EVENT, a JSON file or - for stdin.

    A plan (--dry-run, or DryRun in the document) is shown as a table on stderr too.

    Exit status: 0 fine, 1 function error, 2 usage, 3 time limit, 4 memory limit.
    """
    with usage_errors(), _opened(event, "event") as stream:
        delivered = read_event(stream.read(), f"event {event}")
    with (
        configured(endpoint, seed, **options) as function,
        Instance(function, lambda data: click.echo(data, nl=False, err=True)) as instance,
    ):
        done = instance.invoke(delivered)
    if done.error is None:
        emit_json(done.result)
        if plan.is_plan(done.result):
            console = _console(sys.stderr)
            with console.capture() as captured:
                console.print(*plan.renderables_of(done.result), sep="\n")
            click.echo(captured.get(), nl=False, err=True)
    elif done.status in _NEXT_STEPS:
        click.echo(f"scf-local: {_NEXT_STEPS[done.status]}", err=True)
    sys.exit(done.exit_status)


@main.command(epilog=_example("scf-local replay events/", "scf-local replay --json events/a.json"))
@click.argument(
    "paths",
    nargs=-1,
    required=True,
    metavar="PATH...",
    type=click.Path(exists=True, path_type=Path),
)
@click.option("--json", "as_json", is_flag=True, help="A JSON list instead of the table.")
@click.option("--logs", is_flag=True, help="Show what the function logs, on stderr.")
@click.option(
    "--report",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Also write a page for the browser.",
)
@seed_option
@faults_option
@function_options
def replay(
    paths: tuple[Path, ...],
    *,
    as_json: bool,
    logs: bool,
    report: Path | None,
    seed: Path | None,
    **options: Any,  # noqa: ANN401 - see configured
) -> None:
    """Many events, in one warm instance against one emulated cloud.

    PATH is an event's file, or a folder: its *.json files by name. A folder's expected.json says
    what must come of them: {"<file>": {"Outcome": "rejected", "Codes": ["InvalidDocument"]}}.

    Exit status: 0 if everything is as expected, else 1.
    """
    with usage_errors():
        cases = read_cases(paths)
    replayed: list[Replayed] = []
    log: list[bytes] = []
    stderr = Console(stderr=True)
    with (
        configured(None, seed, **options) as function,
        Instance(function, log.append) as instance,
        reporting(report, function) as keep,
        Progress(console=stderr, transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        for case in progress.track(cases, description="Replaying"):
            log.clear()
            replayed.append(Replayed(case, instance.invoke(case.event)))
            keep(replayed[-1], log)
            if logs or not replayed[-1].as_expected:
                text = b"".join(log).decode("utf-8", "replace")
                click.echo(f"--- {case.path}\n{text}", nl=False, err=True)
    right = sum(each.as_expected for each in replayed)
    if as_json:
        emit_json(document_of(replayed))
    else:
        console = _console(sys.stdout)
        with console.capture() as captured:
            console.print(table_of(replayed, console.width))
        emit(f"{captured.get()}{right} of {len(replayed)} events as expected")
    sys.exit(0 if right == len(replayed) else 1)


@main.command(
    epilog=_example(
        "scf-local undo run.log > undo.json",
        "scf-local undo run.log --request-id 4f9c… | scf-local invoke --dry-run",
    )
)
@click.argument(
    "log",
    type=click.Path(exists=True, dir_okay=False, allow_dash=True),
    default="-",
    metavar="[LOG|-]",
)
@click.option("--request-id", metavar="ID", help="Of one run.  [default: all runs in LOG]")
@click.option(
    "--part", default=1, show_default=True, metavar="N", help="Which 1,000 images, if more."
)
def undo(log: str, request_id: str | None, part: int) -> None:
    """The change request that puts back what was changed, by LOG.

    LOG is what the function logged, a file or - for stdin; anything else in it is passed over.

    Exit status: 0 fine, 1 if something cannot be put back, 2 usage.
    """
    with usage_errors(), _opened(log, "log") as stream:
        found = undoing.read(stream, request_id)
        document = found.part(part)
    for sentence in found.trouble[:_MAX_TROUBLE]:
        click.echo(f"scf-local: {sentence}", err=True)
    if len(found.trouble) > _MAX_TROUBLE:
        click.echo(f"scf-local: … {len(found.trouble):,} of them in all", err=True)
    if found.entries:
        emit_json(document)
    which = f"; this is part {part} of {len(found.parts)}" if len(found.parts) > 1 else ""
    click.echo(f"scf-local: {found}{which}", err=True)
    sys.exit(1 if found.trouble else 0)


@main.command(epilog=_example("scf-local cloud --port 9000 --seed events/seed"))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@seed_option
@faults_option
def cloud(port: int, seed: Path | None, faults: Path | None) -> None:
    """The emulated cloud as a server, until Ctrl-C.

    Prints the lines to `export` that point the function and the official SDKs at it.
    """
    # Blocked before the server's thread starts, which so inherits it: sigwait alone takes them.
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with serving(seed, faults, port) as variables:
        variables |= {
            "TENCENTCLOUD_SECRET_ID": variables["TENCENTCLOUD_SECRETID"],
            "TENCENTCLOUD_SECRET_KEY": variables["TENCENTCLOUD_SECRETKEY"],
            "TENCENTCLOUD_TOKEN": variables["TENCENTCLOUD_SESSIONTOKEN"],
        }
        emit("\n".join(f"export {name}={value}" for name, value in variables.items()))
        signal.sigwait(stops)
