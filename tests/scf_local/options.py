"""Options that several commands share, and the function and emulated cloud that they configure."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from image_steward.regions import SHORT_CODES
from scf_local import environment, exports, network
from scf_local.account import Account, confirm_writes
from scf_local.console import note, usage_errors
from scf_local.credentials import AccountCredentials

if TYPE_CHECKING:
    from scf_local.config_file import ConfigFile

    _Decorator = Callable[[Callable[..., None]], Callable[..., None]]

SEED = click.Path(exists=True, path_type=Path)
DIRECTORY = click.Path(exists=True, file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
NEW_FILE = click.Path(dir_okay=False, path_type=Path)
NEW_DIRECTORY = click.Path(file_okay=False, path_type=Path)


def regions(_: click.Context, __: click.Parameter, prefix: str) -> list[str]:
    """Complete the name of a region."""
    return sorted(region for region in set(SHORT_CODES.values()) if region.startswith(prefix))


def _combined(*options: _Decorator) -> _Decorator:
    return lambda command: reduce(lambda decorated, option: option(decorated), options, command)


def _is_given(context: click.Context, name: str | None) -> bool:
    """Whether an option is on the command line; those are processed before others."""
    return context.get_parameter_source(name or "") is ParameterSource.COMMANDLINE


def _unless(*others: str) -> Callable[[click.Context, click.Parameter, Any], Any]:
    """An option that contradicts others: on the command line, those replace a file's value."""

    def checked(context: click.Context, option: click.Parameter, value: object) -> object:
        given = [other for other in others if _is_given(context, other)]
        if given and _is_given(context, option.name):
            wrong = f"{option.opts[0]} cannot be used with --{given[0].replace('_', '-')}"
            raise click.UsageError(f"{wrong}; remove one of them")
        return None if given else value

    return checked


def _added(context: click.Context, option: click.Parameter, values: tuple[Any, ...]) -> Any:  # noqa: ANN401 - click's signature
    """Those on the command line add to those of scf-local.toml."""
    if not _is_given(context, option.name):
        return values
    return (*option.type_cast_value(context, context.lookup_default(option.name)), *values)


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
    return name or environment.NAME


_variables = partial(click.option, multiple=True, callback=_added)
_of_cloud = partial(click.option, callback=_unless("real", "endpoint"))

dry_run_option = click.option("--dry-run", is_flag=True, help="Only plan (sets STEWARD_DRY_RUN=1).")
elsewhere_options = _combined(
    click.option("--profile", metavar="NAME", help="With --real: use this tccli profile."),
    click.option(
        "--real",
        is_flag=True,
        is_eager=True,
        help="Use the real cloud with your credentials and region; `plan`, `seed`, `logs`, and a "
        "dry run of this project's function, only read.",
    ),
    click.option(
        "--endpoint",
        metavar="URL",
        callback=_unless("real", "seed", "faults", "allow_host"),
        help="Use the running `scf-local cloud` at URL.",
    ),
)
"""Options for a run on another cloud than an emulated one of its own."""

cloud_options = _combined(
    _of_cloud(
        "--allow-host",
        multiple=True,
        metavar="HOST",
        help="Host, with those below it, that the function may reach besides the emulated cloud; "
        "repeatable.",
    ),
    _of_cloud(
        "--faults",
        type=FILE,
        help="Faults of the emulated cloud; docs/faults.md describes the format.",
    ),
    _of_cloud(
        "--seed",
        type=SEED,
        metavar="DIR|FILE",
        help="Initial content of the emulated cloud, else nothing: a folder, or a file with "
        "DescribeImages replies; docs/seeds.md describes them.",
    ),
)
"""Options that configure an emulated cloud."""

function_options = _combined(
    click.option(
        "--appid", default=environment.APPID, metavar="DIGITS", help="Function's account (APPID)."
    ),
    click.option(
        "--region",
        shell_complete=regions,
        help=f"Region of the function, else {environment.REGION}.",
    ),
    click.option(
        "--handler",
        default="index.main_handler",
        type=click.Path(),
        metavar="NAME",
        help="module.function, or FILE:function for a *.py in the code folder.",
    ),
    click.option(
        "--code",
        type=DIRECTORY,
        callback=_code,
        help="Code folder, as uploaded to SCF; else the folder of FILE in --handler, else the "
        "current folder.",
    ),
    click.option(
        "--memory",
        "memory_mb",
        metavar="MB",
        default=128,
        type=click.IntRange(64, 3072),
        help="Memory limit.",
    ),
    click.option(
        "--timeout", "timeout_s", metavar="S", default=60.0, help="Time limit in seconds."
    ),
    _variables("--env-file", type=FILE, help="Variables (.env); repeatable."),
    _variables("--env", metavar="K=V", help="Environment variable; repeatable."),
    click.option(
        "--function-name",
        "name",
        is_eager=True,
        callback=_choose,
        metavar="NAME",
        help="Function's name.",
    ),
    cloud_options,
)
"""Options that configure the function, and its emulated cloud."""


@contextmanager
def configured(  # noqa: PLR0913 - the command line's options, by name
    *,
    code: Path | None,
    handler: str,
    region: str | None,
    dry_run: bool,
    env: tuple[str, ...],
    env_file: tuple[Path, ...],
    seed: Path | None,
    faults: Path | None,
    allow_host: tuple[str, ...],
    endpoint: str | None = None,
    real: bool = False,
    profile: str | None = None,
    yes: bool = False,
    needs_advice: Callable[[], bool] = lambda: True,
    **function: Any,  # noqa: ANN401 - fields of FunctionConfig
) -> Iterator[environment.FunctionConfig]:
    """The function's configuration, while the cloud that it uses is available.

    In the end, if `needs_advice`, it prints what the function looked for in vain.
    """
    with ExitStack() as stack:
        with usage_errors():
            folder, name = environment.locate_handler(handler, code)
            variables = environment.parse_variables(env, env_file)
            variables |= {"STEWARD_DRY_RUN": "1"} if dry_run else {}
            account, region, cloud = elsewhere(
                real=real, endpoint=endpoint, profile=profile, region=region
            )
            if cloud is None:
                served = serving(seed, faults, allow_host, region=region, needs_advice=needs_advice)
                cloud = stack.enter_context(served)
            config = environment.FunctionConfig(
                folder, name, region=region, variables=variables, cloud=cloud, **function
            )
            if account and not dry_run and not yes:
                confirm_writes(account, region)
        yield config


def elsewhere(
    *, real: bool, endpoint: str | None, profile: str | None, region: str | None
) -> tuple[Account | None, str, dict[str, str] | None]:
    """The account for --real, the region, and the variables of the cloud, if it runs elsewhere.

    Raises:
        ValueError: there is no such cloud or region, or no credentials or region for it.
    """
    for option in ("profile", "yes"):
        if _is_given(click.get_current_context(), option) and not real:
            raise ValueError(f"--{option} requires --real; add it, or remove --{option}")
    if not real:
        region = region or environment.REGION
        environment.check_region(region)
        return None, region, None if endpoint is None else exports.of_running(endpoint)
    account = Account.find(os.environ, Path.home(), profile)
    region = region or account.region
    if not region:
        raise ValueError(
            "--real needs a region, and neither TENCENTCLOUD_REGION nor your profile has one; add "
            "--region"
        )
    environment.check_region(region)
    return account, region, account.credentials.scf_variables()


@contextmanager
def serving(  # noqa: PLR0913 - the command line's options, by name
    seed: Path | None,
    faults: Path | None,
    allow_host: tuple[str, ...] = (),
    *,
    port: int = 0,
    region: str = environment.REGION,
    needs_advice: Callable[[], bool] = lambda: True,
    write: Callable[[bytes], object] = lambda _: None,
) -> Iterator[dict[str, str]]:
    """Run an emulated cloud with `seed`; yields the variables that point to it.

    `region` is that of a file with images; `needs_advice` is as for `configured`. `write` receives
    the logs of functions that are deployed there.
    """
    from scf_local.cloud.faults import Faults  # noqa: PLC0415 - takes 0.3 s, because of aiohttp
    from scf_local.cloud.server import EmulatedCloud  # noqa: PLC0415 - the same
    from scf_local.cloud.state import State  # noqa: PLC0415 - the same
    from scf_local.seed_folder import advice  # noqa: PLC0415 - the same

    with ExitStack() as stack:
        with usage_errors():
            rules = Faults.from_file(faults) if faults else Faults()
            state = State.from_path(seed, region) if seed else State()
            network.check_allowed(allow_host)
            credentials = AccountCredentials.random()
            cloud = EmulatedCloud(
                state,
                credentials=credentials,
                faults=rules,
                port=port,
                allowed_hosts=allow_host,
                write=write,
            )
            stack.enter_context(cloud)
        yield cloud.environment()
        for message in (*cloud.refused, *(advice(state.missing, seed) if needs_advice() else ())):
            note(message)
