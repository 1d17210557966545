"""Options that several commands share, and the function and emulated cloud that they configure."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
from click.core import ParameterSource
from click.shell_completion import CompletionItem

from image_steward.regions import SHORT_CODES
from scf_local import exports, network
from scf_local.account import Account, confirm_writes
from scf_local.console import note, usage_errors
from scf_local.environment import APPID, NAME, FunctionConfig, locate_handler, parse_variables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from scf_local.config_file import ConfigFile

    _Decorator = Callable[[Callable[..., None]], Callable[..., None]]

_DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
DEFAULT_REGION = "ap-guangzhou"


def _regions(_: click.Context, __: click.Parameter, prefix: str) -> list[str]:
    return sorted(region for region in set(SHORT_CODES.values()) if region.startswith(prefix))


def _files(_: click.Context, __: click.Parameter, prefix: str) -> list[CompletionItem]:
    return [CompletionItem(prefix, type="file")]  # the shell completes file names


def _combined(*options: _Decorator) -> _Decorator:
    return lambda command: reduce(lambda decorated, option: option(decorated), options, command)


def _is_given(context: click.Context, *options: str) -> bool:
    """Whether one of the options is on the command line; those are processed before others."""
    return any(context.get_parameter_source(x) is ParameterSource.COMMANDLINE for x in options)


def _unless(*others: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """Drops a value of scf-local.toml that contradicts another option on the command line."""
    return lambda context, option, value: (
        None if _is_given(context, *others) and not _is_given(context, option.name) else value
    )


def _code(context: click.Context, _: click.Parameter, code: Path | None) -> Path | None:
    """FILE in a --handler on the command line brings its own code folder."""
    own = _is_given(context, "code") or not _is_given(context, "handler")
    return code if own or ":" not in context.params["handler"] else None


def _choose(context: click.Context, _: click.Parameter, name: str | None) -> str:
    """Take the defaults of the function from scf-local.toml."""
    file: ConfigFile | None = context.find_root().obj
    if file is not None:
        with usage_errors():
            name = file.choose(name)
            context.default_map = file.default_map(context.command, name)
    return name or NAME


function_options = _combined(
    click.option("--appid", default=APPID, metavar="DIGITS", help="Function's account (APPID)."),
    click.option(
        "--region", shell_complete=_regions, help=f"Region of the function, else {DEFAULT_REGION}."
    ),
    click.option(
        "--handler",
        default="index.main_handler",
        metavar="NAME",
        shell_complete=_files,
        help="module.function, or FILE:function for a *.py in the code folder.",
    ),
    click.option(
        "--code",
        type=_DIRECTORY,
        callback=_code,
        help="Code folder, as uploaded to SCF; else the folder of FILE in --handler, else the "
        "current folder.",
    ),
    click.option(
        "--memory", metavar="MB", default=128, type=click.IntRange(64, 3072), help="Memory limit."
    ),
    click.option("--timeout", metavar="S", default=60.0, help="Time limit in seconds."),
    click.option(
        "--env-file", multiple=True, type=FILE, metavar="FILE", help="Variables (.env); repeatable."
    ),
    click.option("--env", multiple=True, metavar="K=V", help="Environment variable; repeatable."),
    click.option(
        "--function-name", is_eager=True, callback=_choose, metavar="NAME", help="Function's name."
    ),
)
"""Options that configure the function."""

dry_run_option = click.option("--dry-run", is_flag=True, help="Only plan (sets STEWARD_DRY_RUN=1).")
endpoint_option = click.option(
    "--endpoint",
    metavar="URL",
    callback=_unless("real", "seed", "faults"),
    help="Use the running `scf-local cloud` at URL.",
)
profile_option = click.option(
    "--profile", metavar="NAME", help="With --real: use this tccli profile."
)
real_options = _combined(
    click.option("--yes", is_flag=True, help="With --real: do not ask for confirmation."),
    profile_option,
    click.option(
        "--real",
        is_flag=True,
        help="Use the real cloud with your credentials and region; asks for confirmation before "
        "a run that may write.",
    ),
)
"""Options for a run on the real cloud."""

seed_option = click.option(
    "--seed",
    type=_DIRECTORY,
    callback=_unless("real", "endpoint"),
    help="Initial content of the emulated cloud, else nothing.",
)
faults_option = click.option(
    "--faults",
    type=FILE,
    callback=_unless("real", "endpoint"),
    metavar="FILE",
    help="Faults of the emulated cloud; docs/faults.md describes the format.",
)
allow_host_option = click.option(
    "--allow-host",
    multiple=True,
    callback=_unless("real", "endpoint"),
    metavar="HOST",
    help="Host, with those below it, that the function may reach besides the emulated cloud; "
    "repeatable.",
)


@contextmanager
def configured(  # noqa: PLR0913 - the command line's options, by name
    endpoint: str | None,
    seed: Path | None,
    *,
    faults: Path | None,
    allow_host: tuple[str, ...],
    function_name: str,
    appid: str,
    code: Path | None,
    handler: str,
    memory: int,
    timeout: float,
    region: str | None,
    dry_run: bool,
    env: tuple[str, ...],
    env_file: tuple[Path, ...],
    real: bool = False,
    profile: str | None = None,
    yes: bool = False,
) -> Iterator[FunctionConfig]:
    """The function's configuration, while the cloud that it uses is available."""
    with ExitStack() as stack:
        with usage_errors():
            context = click.get_current_context()
            # The command line adds variables to those of scf-local.toml.
            env = (*(context.lookup_default("env") or ()), *env)
            env_file = (*map(Path, context.lookup_default("env_file") or ()), *env_file)
            variables = parse_variables(env, env_file)
            variables |= {"STEWARD_DRY_RUN": "1"} if dry_run else {}
            for name in ("--profile", "--yes"):
                if _is_given(context, name[2:]) and not real:
                    raise ValueError(f"{name} requires --real; add it, or remove {name}")
            of_cloud = {"--seed": seed, "--faults": faults, "--allow-host": allow_host}
            if real:
                reason = (
                    "is for an emulated cloud and cannot be used with --real; remove one of them"
                )
                _check_unused({"--endpoint": endpoint, **of_cloud}, reason)
                account = _account(profile, region)
            elif endpoint is not None:
                reason = "cannot be used with --endpoint; pass it to the `scf-local cloud` there"
                _check_unused(of_cloud, reason)
                settings = exports.of_running(_checked_url(endpoint))
        if real:
            region = region or account.region
            settings = account.credentials.scf_variables()
        elif endpoint is None:
            settings = stack.enter_context(serving(seed, faults, allow_host))
        credentials = {
            name: settings.pop(name) for name in tuple(settings) if name.startswith("TENCENTCLOUD_")
        }
        with usage_errors():
            folder, name = locate_handler(handler, code)
            config = FunctionConfig(
                code=folder,
                handler=name,
                name=function_name,
                appid=appid,
                memory_mb=memory,
                timeout_s=timeout,
                region=region or DEFAULT_REGION,
                variables=variables,
                credentials=credentials,
                network=settings,
            )
            if real and not dry_run and not yes:
                confirm_writes(account, config.region)
        yield config


def watched_paths(event: str, options: Mapping[str, Any]) -> list[Path]:
    """The paths whose changes cause another run, by the options of the command.

    Raises:
        ValueError: another run could write to the real cloud without confirmation.
    """
    if options["real"] and not options["dry_run"]:
        raise ValueError(
            "--watch with --real would write after every change of a file; add --dry-run, or "
            "remove one of them"
        )
    folder, _module = locate_handler(options["handler"], options["code"])
    paths = [folder, *options["env_file"]]
    return paths if event == "-" else [*paths, Path(event)]


def _check_unused(options: Mapping[str, object], reason: str) -> None:
    for name, value in options.items():
        if value:
            raise ValueError(f"{name} {reason}")


def _account(profile: str | None, region: str | None) -> Account:
    """The user's own account; its region is known, from `region` or from the account."""
    account = Account.find(os.environ, Path.home(), profile)
    if not region and not account.region:
        raise ValueError(
            "--real needs a region, and neither TENCENTCLOUD_REGION nor your profile has one; "
            "add --region"
        )
    return account


@contextmanager
def serving(
    seed: Path | None, faults: Path | None, allow_host: tuple[str, ...] = (), port: int = 0
) -> Iterator[dict[str, str]]:
    """Run an emulated cloud with `seed`; yields the variables that point to it.

    In the end, it prints which hosts were asked for that are not emulated.
    """
    from scf_local.cloud.faults import Faults  # noqa: PLC0415 - takes 0.3 s, because of aiohttp
    from scf_local.cloud.server import EmulatedCloud  # noqa: PLC0415 - the same
    from scf_local.cloud.state import State  # noqa: PLC0415 - the same

    with ExitStack() as stack:
        with usage_errors():
            rules = Faults.from_file(faults) if faults else Faults()
            state = State.from_folder(seed) if seed else State()
            network.check_allowed(allow_host)
            cloud = EmulatedCloud(state, port=port, faults=rules, allowed_hosts=allow_host)
            stack.enter_context(cloud)
        yield cloud.environment()
        for message in cloud.refused:
            note(message)


def _checked_url(endpoint: str) -> str:
    try:
        parts = urlsplit(endpoint)
        bare = f"{parts.scheme}://{parts.netloc}" == endpoint.rstrip("/")
        valid = bare and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:  # invalid brackets, or a port above 65535
        valid = False
    if not valid or "@" in endpoint:
        raise ValueError(
            f"{endpoint!r} is not the URL of an emulated cloud; use the one that `scf-local cloud` "
            "prints, such as http://127.0.0.1:9000 (no path, no query, a port up to 65535)"
        )
    return endpoint.rstrip("/")
