"""The command `scf-deploy`: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

import click

from scf_deploy import check as checks
from scf_deploy import current, plan, serverless_file, text
from scf_deploy.apply import Deployer
from scf_deploy.call import Api, Call
from scf_deploy.cloud import Cloud
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import DeployError, Unconfirmed
from scf_deploy.retries import patient
from scf_deploy.trigger import Trigger
from scf_local.account import Account
from scf_local.console import Program, emit, emit_json, example, rich_console, usage_errors
from scf_local.terminal_text import escaped, printable

_MAX_OBJECTS = 10
"""Objects to list that no event was sent for."""
_CHANGES = 3
"""Exit status of `plan` if there is something to do."""


def _note(message: str) -> None:
    click.echo(escaped(message), err=True)


@click.group(
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"], "show_default": True},
    epilog=example("scf-deploy plan", "scf-deploy apply serverless.yml --profile work"),
)
@click.version_option(package_name="image-steward", message="%(prog)s %(version)s")
def main() -> None:
    """Deploy the function of a serverless.yml to Tencent Cloud SCF, with all it needs."""


_FILE = click.argument(
    "file", type=click.Path(path_type=Path), default="serverless.yml", metavar="[FILE]"
)
_CLOUD = (
    click.option("--profile", metavar="NAME", help="Profile of `tccli configure` with your keys."),
    click.option(
        "--endpoint", default="", metavar="URL",
        help="Another API host, such as https://{service}.{region}.tencentcloudapi.com.",
    ),
    click.option("--cos-endpoint", default="", metavar="URL", help="Another host for buckets."),
    click.option("--json", "as_json", is_flag=True, help="Print JSON."),
)  # fmt: skip
_YES = click.option("--yes", is_flag=True, help="Do not ask.")


def _command(name: str, *options: Callable[..., Any]) -> Callable[..., Any]:
    def decorated(function: Callable[..., None]) -> click.Command:
        every = (*options, *reversed(_CLOUD), _FILE)
        return main.command(name)(reduce(lambda done, option: option(done), every, function))

    return decorated


@dataclass(frozen=True)
class _Session:
    """A deployment, and the account it is for."""

    wanted: Deployment
    api: Api
    account: serverless_file.Account
    source: str
    sleep: Callable[[float], object]

    def current(self) -> Current:
        return current.read(self.api, self.wanted)

    def changes(self) -> plan.Plan:
        return plan.deployment(self.wanted, self.current())

    def removal(self) -> plan.Plan:
        return plan.removal(self.wanted, self.current())

    def title(self) -> str:
        """Return what the plan is for, and what was filled in for placeholders."""
        where = f"{self.wanted.name} in {self.wanted.region}"
        account = f"account {self.account.uin}, APPID {self.account.appid}"
        filled = ", ".join(self.wanted.filled_in)
        return f"{where}, {account} (keys from {self.source})" + (
            f"\nFilled in for placeholders: {filled}" if filled else ""
        )


@contextmanager
def _session(
    file: Path, profile: str | None, endpoint: str, cos_endpoint: str
) -> Iterator[_Session]:
    """Yield a session; errors end the program with their status."""
    try:
        with usage_errors():
            keys = Account.find(os.environ, Path.home(), profile)
        region = serverless_file.region_of(file)
        sleep = click.get_current_context().obj or time.sleep
        api = patient(Cloud(keys.credentials, region, endpoint, cos_endpoint), sleep, _note)
        ids = api(Call("cam", "GetUserAppId", {}))
        account = serverless_file.Account(str(ids["OwnerUin"]), str(ids["AppId"]))
        wanted = serverless_file.read(file, account)
        yield _Session(wanted, api, account, keys.source, sleep)
    except DeployError as error:
        _note(f"scf-deploy: {error}")
        sys.exit(error.exit_status)


def _print(session: _Session, planned: plan.Plan, *, as_json: bool) -> None:
    if as_json:
        names = ("Function", "Region", "Uin", "AppId")
        wanted, account = session.wanted, session.account
        values = (wanted.name, wanted.region, account.uin, account.appid)
        calls = [f"{call.service}:{call.action}" for call in planned.calls]
        emit_json(
            {
                **dict(zip(names, values, strict=True)),
                "Lines": text.as_json(planned),
                "Calls": calls,
            }
        )
        return
    emit(session.title())
    emit("")
    emit(text.printed(planned, rich_console(sys.stdout, 100)), nl=False)
    emit("")
    count = len(planned.changes)
    emit(f"{count} of {len(planned.lines)} to change" if count else "Nothing to change")


def _confirm(question: str, answer: str = "yes") -> None:
    """Have the user type an answer.

    Raises:
        Unconfirmed: there is no terminal, or another answer.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Unconfirmed("there is no terminal to ask at; add --yes to go on without asking")
    click.echo(f"{question} Type {answer} to go on: ", nl=False, err=True)
    if sys.stdin.readline().strip() != answer:
        raise Unconfirmed("not confirmed: nothing was changed")


def _carry_out(session: _Session, agreed: plan.Plan, left: Callable[[], plan.Plan]) -> None:
    """Make the calls of a plan; if that stops, tell what is done."""
    deployer = Deployer(session.api, left, session.wanted.named, session.sleep, _note)
    try:
        deployer.run(agreed)
    except BaseException:  # or the user's Ctrl-C
        done = "; ".join(call.says for call in deployer.done) or "nothing"
        _note(f"Stopped. Done so far: {done}. Started again, it goes on from there")
        raise


def _watched(session: _Session, planned: plan.Plan) -> Iterator[tuple[Trigger, dict[str, str]]]:
    """Yield each COS trigger to create, and the objects that it matches now."""
    names = {line.what for line in planned.changes if line.verb in {plan.CREATE, plan.REPLACE}}
    for trigger in session.wanted.triggers:
        is_new = str(trigger) in names and f"bucket {trigger.bucket}" not in names
        if trigger.kind == "cos" and is_new:
            yield trigger, current.objects(session.api, trigger)


@_command("plan")
def plan_(file: Path, *, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - see _session
    """Show what would change in the account; change nothing.

    Exit status: 0 no change, 3 changes, 1 failed, 2 usage error.
    """
    with _session(file, **where) as session:
        planned = session.changes()
        _print(session, planned, as_json=as_json)
    sys.exit(_CHANGES if planned.calls else 0)


@_command("apply", _YES)
def apply(file: Path, *, yes: bool, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - see _session
    """Make the account's function as the file says, after you have agreed to the plan.

    Exit status: 0 success, 1 failed, 2 usage error.
    """
    with _session(file, **where) as session:
        agreed = session.changes()
        _print(session, agreed, as_json=as_json)
        if not agreed.calls:
            return
        before = dict(_watched(session, agreed))
        if not yes:
            _confirm("This changes your account.")
        _carry_out(session, agreed, session.changes)
        _note("Done: the account is as the file says")
        for trigger, known in before.items():
            _tell_of_objects(session, trigger, known)


def _tell_of_objects(session: _Session, trigger: Trigger, known: dict[str, str]) -> None:
    """Name the objects that start nothing: older than a trigger, or uploaded while it was not."""
    now = current.objects(session.api, trigger)
    young = {key for key, time in now.items() if known.get(key) != time}
    for keys, why in (
        (known.keys() - young, "are older than the trigger"),
        (young, "were uploaded while it was created, and may have been missed"),
    ):
        if keys:
            newest = sorted(keys, key=lambda key: now.get(key, ""), reverse=True)
            names = ", ".join(printable(key) for key in newest[:_MAX_OBJECTS])
            more = f" and {len(keys) - _MAX_OBJECTS:,} more" if len(keys) > _MAX_OBJECTS else ""
            where = f"{trigger.bucket}/{trigger.keys[0]}"
            what = f"{len(keys):,} objects in {where} {why}"
            _note(f"{what}; upload again what must be done: {names}{more}")


@_command("check")
def check(file: Path, *, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - see _session
    """Check the deployed function; change nothing.

    Exit status: 0 all is well, 1 not, 2 usage error.
    """
    with _session(file, **where) as session:
        found = checks.checks(session.wanted, session.current(), session.changes())
        if as_json:
            emit_json([vars(each) for each in found])
        else:
            emit(session.title())
            emit("")
            for each in found:
                advice = "" if each.is_well else f"; {each.advice}"
                emit(f"{'ok' if each.is_well else 'FAIL':<6}{each.what:<16}{each.seen}{advice}")
    sys.exit(not all(each.is_well for each in found))


@_command("destroy", _YES)
def destroy(file: Path, *, yes: bool, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - see _session
    """Remove the function, its triggers and its role, after you have agreed twice.

    Buckets stay, with all objects: the journal is what undoes changes.

    Exit status: 0 success, 1 failed, 2 usage error.
    """
    with _session(file, **where) as session:
        agreed = session.removal()
        _print(session, agreed, as_json=as_json)
        if not agreed.calls:
            return
        if not yes:
            _confirm("This removes the function, and the events that wait for it.")
            _confirm("This cannot be undone.", session.wanted.name)
        _carry_out(session, agreed, session.removal)
        _note(f"Done: {session.wanted.name} is gone")
