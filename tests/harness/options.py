"""The options that commands share, and what they open: a function, an emulated cloud."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from harness.console import usage_errors
from harness.credentials import Credentials
from harness.environment import Function, variables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_ROOT = Path(__file__).resolve().parents[2]
_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
_FUNCTION = (
    click.option("--region", default="ap-guangzhou", show_default=True, help="The function's."),
    click.option(
        "--handler",
        default="index.main_handler",
        show_default=True,
        metavar="MODULE.FUNCTION|FILE:FUNCTION",
        help="What is called; a FILE is a *.py in --code.",
    ),
    click.option(
        "--code",
        type=_DIRECTORY,
        help="Folder that is uploaded.  [default: the FILE's, else handler/ of this project]",
    ),
    click.option(
        "--memory", metavar="MB", default=128, show_default=True, type=click.IntRange(64, 3072)
    ),
    click.option("--timeout", metavar="S", default=60.0, show_default=True, type=float),
    click.option("--dry-run", is_flag=True, help="Plan only: sets STEWARD_DRY_RUN=1."),
    click.option("--env", multiple=True, metavar="K=V", help="A variable; repeatable."),
)

seed_option = click.option(
    "--seed",
    type=_DIRECTORY,
    help="What the emulated cloud holds.  [default: events/seed/ of this project]",
)
faults_option = click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="How the emulated cloud misbehaves; docs/faults.md describes the file.",
)


def function_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that say which function runs, where and within which limits."""
    for option in _FUNCTION:
        command = option(command)
    return command


@contextmanager
def configured(  # noqa: PLR0913 - the command line's options, by their names
    endpoint: str | None,
    seed: Path | None,
    *,
    faults: Path | None,
    code: Path | None,
    handler: str,
    memory: int,
    timeout: float,
    region: str,
    dry_run: bool,
    env: tuple[str, ...],
) -> Iterator[Function]:
    """The function as the options configure it, in front of an emulated cloud."""
    with ExitStack() as stack:
        with usage_errors():
            variables = variables_of(env) | ({"STEWARD_DRY_RUN": "1"} if dry_run else {})
        if endpoint is None:
            settings = stack.enter_context(serving(seed, faults))
        else:
            settings = _served_at(endpoint, seed, faults)
        credentials = {
            name: settings.pop(name) for name in tuple(settings) if name.startswith("TENCENTCLOUD_")
        }
        with usage_errors():
            folder, name = _located(code, handler)
            function = Function(
                code=folder,
                handler=name,
                memory_mb=memory,
                timeout_s=timeout,
                region=region,
                variables=settings | variables,
                credentials=credentials,
            )
        yield function


def _located(code: Path | None, handler: str) -> tuple[Path, str]:
    """The folder that is uploaded, and `module.function` in it."""
    file, colon, function = handler.rpartition(":")
    if not colon:
        return (code or _ROOT / "handler").resolve(), handler
    path = (code / file if code else Path(file)).resolve()
    folder = (code or path.parent).resolve()
    if not path.is_file():
        raise ValueError(f"handler {handler!r}: there is no file {path}")
    if path.suffix != ".py" or "." in path.stem or not path.is_relative_to(folder):
        raise ValueError(
            f"handler {handler!r}: the file has to be a *.py in the code folder {folder}, "
            "with no other dot in its name"
        )
    module = ".".join(path.relative_to(folder).with_suffix("").parts)
    return folder, f"{module}.{function}"


@contextmanager
def serving(seed: Path | None, faults: Path | None, port: int = 0) -> Iterator[dict[str, str]]:
    """The variables that lead to an emulated cloud that serves `seed` meanwhile."""
    from harness.cloud.faults import Faults  # noqa: PLC0415 - the package costs 0.3 s, for aiohttp
    from harness.cloud.server import EmulatedCloud  # noqa: PLC0415 - the same
    from harness.cloud.state import State  # noqa: PLC0415 - the same

    with ExitStack() as stack:
        with usage_errors():
            wrong = Faults.from_file(faults) if faults else Faults()
            state = State.from_folder(seed or _ROOT / "events" / "seed")
            cloud = stack.enter_context(EmulatedCloud(state, port=port, faults=wrong))
        yield cloud.environment()


def _served_at(endpoint: str, seed: Path | None, faults: Path | None) -> dict[str, str]:
    """The variables that lead to the emulated cloud that serves already."""
    with usage_errors():
        for name, given in (("--seed", seed), ("--faults", faults)):
            if given:
                raise ValueError(
                    f"{name} is for a cloud of its own; give it to the `scf-local cloud` that "
                    "serves at --endpoint"
                )
        return Credentials().environment(_url(endpoint))


def _url(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        bare = f"{parts.scheme}://{parts.netloc}" == endpoint.rstrip("/")
        usable = bare and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # brackets, or a port above 65535
        usable = False
    if not usable or "@" in endpoint:
        raise ValueError(
            f"endpoint {endpoint!r} is none: no path, no query, a port up to 65535; give the one "
            "that `scf-local cloud` prints, such as http://127.0.0.1:9000"
        )
    return endpoint.rstrip("/")
