"""The options that commands share, and what they open: a function, an emulated cloud."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.shell_completion import CompletionItem

from image_steward.regions import SHORT_CODES
from scf_local.account import Account, ask_leave
from scf_local.console import usage_errors
from scf_local.credentials import Credentials
from scf_local.environment import Function, located, variables_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    _Decorator = Callable[[Callable[..., None]], Callable[..., None]]

# Where scf-local runs from a checkout of this project, its function and seed are the defaults.
_CHECKOUT = Path(__file__).resolve().parents[2]
_CODE = _CHECKOUT / "handler" if (_CHECKOUT / "handler").is_dir() else Path()
_SEED = _CHECKOUT / "events" / "seed"
_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
DEFAULT_REGION = "ap-guangzhou"


def _regions(_: click.Context, __: click.Parameter, begun: str) -> list[str]:
    return sorted(each for each in set(SHORT_CODES.values()) if each.startswith(begun))


def _files(_: click.Context, __: click.Parameter, begun: str) -> list[CompletionItem]:
    return [CompletionItem(begun, type="file")]  # which tells the shell to complete it


def _all_of(*options: _Decorator) -> _Decorator:
    return lambda command: reduce(lambda made, option: option(made), options, command)


function_options = _all_of(
    click.option(
        "--region",
        shell_complete=_regions,
        help=f"The function's.  [default: {DEFAULT_REGION}]",
    ),
    click.option(
        "--handler",
        default="index.main_handler",
        show_default=True,
        metavar="NAME",
        shell_complete=_files,
        help="module.function, or FILE:function with a *.py of the code folder.",
    ),
    click.option(
        "--code",
        type=_DIRECTORY,
        help="Folder that is uploaded.  [default: that of FILE, else handler/ of this project's "
        "checkout, else the one you are in]",
    ),
    click.option(
        "--memory", metavar="MB", default=128, show_default=True, type=click.IntRange(64, 3072)
    ),
    click.option("--timeout", metavar="S", default=60.0, show_default=True, type=float),
    click.option("--dry-run", is_flag=True, help="Plan only: sets STEWARD_DRY_RUN=1."),
    click.option("--env", multiple=True, metavar="K=V", help="A variable; repeatable."),
)
"""The options that say which function runs, where and within which limits."""

real_options = _all_of(
    click.option("--yes", is_flag=True, help="With --real: write without asking."),
    click.option("--profile", metavar="NAME", help="With --real: keys of this profile of tccli."),
    click.option(
        "--real",
        is_flag=True,
        help="The real cloud, with keys and region of your own; asks before it may write.",
    ),
)
"""The options of a run against the real cloud."""

seed_option = click.option(
    "--seed",
    type=_DIRECTORY,
    help="What the emulated cloud holds.  [default: events/seed/ of this project's checkout, else "
    "nothing]",
)
faults_option = click.option(
    "--faults",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="How the emulated cloud misbehaves; docs/faults.md describes the file.",
)


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
    region: str | None,
    dry_run: bool,
    env: tuple[str, ...],
    real: bool = False,
    profile: str | None = None,
    yes: bool = False,
) -> Iterator[Function]:
    """The function as the options configure it, in front of an emulated cloud, or the real one."""
    with ExitStack() as stack:
        with usage_errors():
            variables = variables_of(env) | ({"STEWARD_DRY_RUN": "1"} if dry_run else {})
            if (profile is not None or yes) and not real:
                raise ValueError("--profile and --yes go with --real; add it, or leave them out")
        if real:
            account = _account(profile, region, endpoint=endpoint, seed=seed, faults=faults)
            region = region or account.region
            settings = account.credentials.variables()
        elif endpoint is None:
            settings = stack.enter_context(serving(seed, faults))
        else:
            settings = _served_at(endpoint, seed, faults)
        credentials = {
            name: settings.pop(name) for name in tuple(settings) if name.startswith("TENCENTCLOUD_")
        }
        with usage_errors():
            folder, name = located(handler, code, _CODE)
            function = Function(
                code=folder,
                handler=name,
                memory_mb=memory,
                timeout_s=timeout,
                region=region or DEFAULT_REGION,
                variables=settings | variables,
                credentials=credentials,
            )
            if real and not dry_run and not yes:
                ask_leave(account, function.region)
        yield function


def watched(event: str, options: Mapping[str, Any]) -> list[Path]:
    """What a change of asks for another run, by the options of the command.

    Raises:
        ValueError: there shall be no other without leave.
    """
    if options["real"] and not options["dry_run"]:
        raise ValueError(
            "--watch with --real would write with every change of a file; add --dry-run, or leave "
            "one of them out"
        )
    folder, _module = located(options["handler"], options["code"], _CODE)
    return [folder] if event == "-" else [folder, Path(event)]


def _account(profile: str | None, region: str | None, **of_the_emulated: object) -> Account:
    """The user's own account, of which a region is known."""
    with usage_errors():
        for name, given in of_the_emulated.items():
            if given is not None:
                raise ValueError(
                    f"--{name} is for an emulated cloud, --real is none; leave one of them out "
                    "(--env STEWARD_API_ENDPOINT=URL sets an endpoint of your own)"
                )
        account = Account.own(os.environ, Path.home(), profile)
        if not region and not account.region:
            raise ValueError(
                "--real needs a region, and none was found, neither in TENCENTCLOUD_REGION nor in "
                "your profile; add --region"
            )
    return account


@contextmanager
def serving(seed: Path | None, faults: Path | None, port: int = 0) -> Iterator[dict[str, str]]:
    """The variables that lead to an emulated cloud that serves `seed` meanwhile."""
    from scf_local.cloud.faults import Faults  # noqa: PLC0415 - the package costs 0.3 s, for aiohttp
    from scf_local.cloud.server import EmulatedCloud  # noqa: PLC0415 - the same
    from scf_local.cloud.state import State  # noqa: PLC0415 - the same

    with ExitStack() as stack:
        with usage_errors():
            wrong = Faults.from_file(faults) if faults else Faults()
            folder = seed or (_SEED if _SEED.is_dir() else None)
            state = State.from_folder(folder) if folder else State()
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
