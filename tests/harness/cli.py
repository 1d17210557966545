"""The command `scf-local`: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import signal
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from rich.console import Console
from rich.progress import Progress

from harness import events
from harness.environment import Function, variables_of
from harness.invocation import Instance
from harness.replay import Replayed, document_of, read_cases, read_event, table_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from harness.cloud.server import EmulatedCloud

_ROOT = Path(__file__).resolve().parents[2]
_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_MAX_TIMEOUT_S = 900
_NEXT_STEPS = {
    433: "Allow the function more time with --timeout, or hand it less to do.",
    434: "Allow the function more memory with --memory, or hand it less to do.",
    437: "Check --code (the folder that is uploaded) and --handler (module.function).",
    443: "The code could not be loaded; the trace in the ERROR line says where.",
}


def _example(*lines: str) -> str:
    return "\b\nExample:\n" + "\n".join(f"  {line}" for line in lines)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
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
    with _usage_errors():
        made = events.cos_event(bucket, key, region=region, shape=shape, event_name=event_name)
    _print_json(made)


@event.command(epilog=_example("scf-local event timer --message @policy.json"))
@click.option("--message", default="", metavar="TEXT|@FILE", help="The trigger's argument.")
@click.option("--name", default="EveryDay", show_default=True, help="The trigger's name.")
def timer(message: str, name: str) -> None:
    """A timer that fires."""
    with _usage_errors():
        if message.startswith("@"):
            message = Path(message[1:]).read_text("utf-8-sig")
        made = events.timer_event(message, name=name)
    _print_json(made)


def _function_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which function runs, where and within which limits."""
    for option in (
        click.option("--region", default="ap-guangzhou", show_default=True, help="The function's."),
        click.option("--handler", default="index.main_handler", show_default=True),
        click.option(
            "--code",
            type=_DIRECTORY,
            default=_ROOT / "handler",
            help="Folder that is uploaded.  [default: handler/ of this project]",
        ),
        click.option(
            "--memory", metavar="MB", default=128, show_default=True, type=click.IntRange(64, 3072)
        ),
        click.option("--timeout", metavar="S", default=60.0, show_default=True, type=float),
        click.option("--dry-run", is_flag=True, help="Plan only: sets STEWARD_DRY_RUN=1."),
        click.option("--env", multiple=True, metavar="K=V", help="A variable; repeatable."),
    ):
        command = option(command)
    return command


_seed_option = click.option(
    "--seed",
    type=_DIRECTORY,
    default=_ROOT / "events" / "seed",
    help="What the emulated cloud holds.  [default: events/seed/ of this project]",
)
_faults_option = click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="How the emulated cloud misbehaves; docs/faults.md describes the file.",
)


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
@_seed_option
@_faults_option
@_function_options
def invoke(event: str, endpoint: str | None, seed: Path, **options: Any) -> None:  # noqa: ANN401 - see _function
    """One cold invocation of EVENT, a JSON file or - for stdin.

    Exit status: 0 fine, 1 function error, 2 usage, 3 time limit, 4 memory limit.
    """
    with _usage_errors(f"event {event}: "), click.open_file(event, "rb") as stream:
        delivered = read_event(stream.read())
    with (
        _function(endpoint, seed, **options) as function,
        Instance(function, lambda data: click.echo(data, nl=False, err=True)) as instance,
    ):
        done = instance.invoke(delivered)
    if done.error is None:
        _print_json(done.result)
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
@_seed_option
@_faults_option
@_function_options
def replay(paths: tuple[Path, ...], as_json: bool, logs: bool, seed: Path, **options: Any) -> None:  # noqa: ANN401, FBT001 - see _function; click passes by name
    """Many events, in one warm instance against one emulated cloud.

    PATH is an event's file, or a folder: its *.json files by name. A folder's expected.json says
    what must come of them: {"<file>": {"Outcome": "rejected", "Codes": ["InvalidDocument"]}}.

    Exit status: 0 if everything is as expected, else 1.
    """
    with _usage_errors():
        cases = read_cases(paths)
    replayed: list[Replayed] = []
    log: list[bytes] = []
    stderr = Console(stderr=True)
    with (
        _function(None, seed, **options) as function,
        Instance(function, log.append) as instance,
        Progress(console=stderr, transient=True, disable=not sys.stderr.isatty()) as progress,
    ):
        for case in progress.track(cases, description="Replaying"):
            log.clear()
            replayed.append(Replayed(case, instance.invoke(case.event)))
            if logs or not replayed[-1].as_expected:
                text = b"".join(log).decode("utf-8", "replace")
                click.echo(f"--- {case.path}\n{text}", nl=False, err=True)
    right = sum(each.as_expected for each in replayed)
    if as_json:
        _print_json(document_of(replayed))
    else:
        # A file or a pipe has no width of its own.
        Console(width=None if sys.stdout.isatty() else 140).print(table_of(replayed))
        click.echo(f"{right} of {len(replayed)} events as expected")
    sys.exit(0 if right == len(replayed) else 1)


@main.command(epilog=_example("scf-local cloud --port 9000 --seed events/seed"))
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: any free one.")
@_seed_option
@_faults_option
def cloud(port: int, seed: Path, faults: Path | None) -> None:
    """The emulated cloud as a server, until Ctrl-C.

    Prints the lines to `export` that point the function and the official SDKs at it.
    """
    # Blocked before the server's thread starts, which so inherits it: sigwait alone takes them.
    stops = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, stops)
    with _cloud(seed, faults, port) as running:
        variables = running.environment()
        variables |= {
            "TENCENTCLOUD_SECRET_ID": variables["TENCENTCLOUD_SECRETID"],
            "TENCENTCLOUD_SECRET_KEY": variables["TENCENTCLOUD_SECRETKEY"],
            "TENCENTCLOUD_TOKEN": variables["TENCENTCLOUD_SESSIONTOKEN"],
        }
        click.echo("\n".join(f"export {name}={value}" for name, value in variables.items()))
        sys.stdout.flush()
        signal.sigwait(stops)


@contextmanager
def _function(  # noqa: PLR0913 - the command line's options, by their names
    endpoint: str | None,
    seed: Path,
    *,
    faults: Path | None,
    code: Path,
    handler: str,
    memory: int,
    timeout: float,
    region: str,
    dry_run: bool,
    env: tuple[str, ...],
) -> Iterator[Function]:
    """The function as the options configure it, in front of an emulated cloud."""
    with _usage_errors():
        if not all(handler.rpartition(".")):
            raise ValueError(
                f"handler {handler!r} is not of the form module.function, as index.main_handler is"
            )
        if not 0 < timeout <= _MAX_TIMEOUT_S:  # click's own range lets "nan" pass
            raise ValueError(f"timeout {timeout} is not above 0 and up to {_MAX_TIMEOUT_S} seconds")
        variables = variables_of(env) | ({"STEWARD_DRY_RUN": "1"} if dry_run else {})
    with _cloud(seed, faults, endpoint=endpoint) as cloud:
        settings = cloud.environment()
        credentials = {
            name: settings.pop(name) for name in tuple(settings) if name.startswith("TENCENTCLOUD_")
        }
        yield Function(
            code=code.resolve(),
            handler=handler,
            memory_mb=memory,
            timeout_s=timeout,
            region=region,
            variables=settings | variables,
            credentials=credentials,
        )


@contextmanager
def _cloud(
    seed: Path, faults: Path | None, port: int = 0, endpoint: str | None = None
) -> Iterator[EmulatedCloud]:
    """An emulated cloud that serves `seed`; or the one that already serves at `endpoint`."""
    from harness.cloud.faults import Faults  # noqa: PLC0415 - the package costs 0.3 s, for aiohttp
    from harness.cloud.server import EmulatedCloud  # noqa: PLC0415 - the same
    from harness.cloud.state import State  # noqa: PLC0415 - the same

    with ExitStack() as stack:
        with _usage_errors():
            if endpoint is None:
                wrong = Faults.from_file(faults) if faults else Faults()
                cloud = stack.enter_context(
                    EmulatedCloud(State.from_folder(seed), port=port, faults=wrong)
                )
            elif faults:
                raise ValueError(
                    "--faults is for a cloud of its own; give it to the `scf-local cloud` that "
                    "serves at --endpoint"
                )
            else:
                cloud = EmulatedCloud(State())
                cloud.url = _url(endpoint)
        yield cloud


def _url(endpoint: str) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(
            f"endpoint {endpoint!r} is no URL; give the one that `scf-local cloud` prints, such as "
            "http://127.0.0.1:9000"
        )
    return endpoint.rstrip("/")


@contextmanager
def _usage_errors(prefix: str = "") -> Iterator[None]:
    """What the user gave cannot be used: exit status 2 and one line, no traceback."""
    try:
        yield
    except (ValueError, OSError) as error:
        raise click.UsageError(f"{prefix}{error}", click.get_current_context()) from None


def _print_json(value: object) -> None:
    text = json.dumps(value, ensure_ascii=False, indent=2)
    # Half a surrogate pair has no UTF-8; the replacement is the very escape that JSON writes.
    click.echo(text.encode("utf-8", "backslashreplace"))
