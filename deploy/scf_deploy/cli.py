"""The command `scf-deploy`: results on stdout, everything else on stderr."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from functools import partial, reduce
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from typing import Any

import click

from image_steward.clock import utc
from scf_deploy import current, planning, serverless_file, text
from scf_deploy.apply import Deployer
from scf_deploy.call import Api, Call
from scf_deploy.check import FAIL, Check
from scf_deploy.checks import checks
from scf_deploy.cloud import Cloud
from scf_deploy.deployment import Current, Deployment
from scf_deploy.errors import CloudError, DeployError, Unconfirmed
from scf_deploy.live import Live
from scf_deploy.plan import Plan
from scf_deploy.retries import patient
from scf_deploy.trials import Trials
from scf_deploy.trigger import Trigger
from scf_local import cloud_client
from scf_local.account import Account
from scf_local.console import Program, emit, emit_json, example, rich_console, usage_errors
from scf_local.network import ENDPOINT
from scf_local.terminal_text import escaped, listed, printable

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
        "--endpoint", default="", show_default=False, metavar="URL",
        help="Another API host, such as https://{service}.{region}.tencentcloudapi.com.",
    ),
    click.option(
        "--cos-endpoint", default="", show_default=False, metavar="URL",
        help="Another host for buckets.",
    ),
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
    place: str
    sleep: Callable[[float], object]

    def current(self) -> Current:
        return current.read(self.api, self.wanted)

    def changes(self) -> Plan:
        return planning.changes(self.wanted, self.current())

    def removal(self) -> Plan:
        return planning.removal(self.wanted, self.current())

    def live(self, topic: str) -> Live:
        """Return the function in the cloud, whose log is in a topic."""
        is_emulated = self.place and "{service}" not in self.place
        now = partial(cloud_client.now, self.place) if is_emulated else time.time
        wanted = self.wanted
        return Live(self.api, wanted.named, wanted.region, topic, self.sleep, time.time, now)

    @property
    def elsewhere(self) -> str:
        """Where this is, if not in the real cloud."""
        return f"Not in Tencent's cloud: {self.place}" if self.place else ""

    def described(self) -> dict[str, str]:
        """Return what function it is, and whose."""
        ids = {"Uin": self.account.uin, "AppId": self.account.appid}
        return {"Function": self.wanted.name, "Region": self.wanted.region, **ids}

    def title(self) -> str:
        """Return what function it is, whose, where, and what was filled in for placeholders."""
        what = "{Function} in {Region}\nAccount {Uin}, APPID {AppId}".format(**self.described())
        place = f"\n{self.elsewhere}" if self.place else ""
        filled = ", ".join(self.wanted.filled_in)
        more = f"\nFilled in: {filled}" if filled else ""
        return f"{what}; keys from {self.source}{place}{more}\n"


@contextmanager
def _session(
    file: Path, profile: str | None, endpoint: str, cos_endpoint: str
) -> Iterator[_Session]:
    """Yield a session; errors end the program with their status."""
    try:
        with usage_errors():
            keys = Account.find(os.environ, Path.home(), profile)
        found = serverless_file.read(file)
        sleep = click.get_current_context().obj or time.sleep
        if "{service}" not in endpoint:  # one host for all, such as an emulated cloud
            cos_endpoint = cos_endpoint or endpoint
        api = patient(Cloud(keys.credentials, found.region, endpoint, cos_endpoint), sleep, _note)
        reply = api(Call("cam", "GetUserAppId", {}))
        uin, appid, user = (f"{reply.get(name) or ''}" for name in ("OwnerUin", "AppId", "Uin"))
        account = serverless_file.Account(uin, appid, user)
        if not (uin.isdecimal() and appid.isdecimal()):
            raise CloudError("GetUserAppId", "ValueError", "a reply is not as documented")
        wanted = found.deployment(account)
        place = endpoint or os.environ.get(ENDPOINT, "")
        yield _Session(wanted, api, account, keys.source, place, sleep)
    except DeployError as error:
        _note(f"scf-deploy: {error}")
        sys.exit(error.exit_status)


def _print(session: _Session, planned: Plan, *, as_json: bool, is_brief: bool = False) -> None:
    if as_json:
        calls = [f"{call.service}:{call.action}" for call in planned.calls]
        emit_json({**session.described(), "Lines": text.as_json(planned), "Calls": calls})
        return
    emit(session.title())
    emit(text.printed(planned, rich_console(sys.stdout, 100), is_brief=is_brief))
    count = len(planned.changes)
    emit(f"{count} of {len(planned.lines)} to change" if count else "Nothing to change")


def _confirm(question: str, answer: str) -> None:
    """Have the user type an answer.

    Raises:
        Unconfirmed: there is no terminal, or another answer.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise Unconfirmed("there is no terminal to ask at; add --yes to go on without asking")
    click.echo(f"{question} Type {answer} to go on: ", nl=False, err=True)
    if sys.stdin.readline().strip() != answer:
        raise Unconfirmed("not confirmed: nothing was changed")


def _carry_out(
    session: _Session, agreed: Plan, left: Callable[[], Plan], questions: Mapping[str, str]
) -> None:
    """Make the calls of a plan, after answers to questions; if that stops, tell what is done."""
    for question, answer in questions.items():
        _confirm(question, answer)
    deployer = Deployer(session.api, left, session.wanted.named, session.sleep, _note)
    try:
        deployer.run(agreed)
    except BaseException:  # or the user's Ctrl-C
        done = "; ".join(call.says for call in deployer.done) or "nothing"
        _note(f"Stopped. Done so far: {done}. Started again, it goes on from there")
        raise


def _objects(session: _Session, planned: Plan) -> dict[Trigger, dict[str, str]]:
    """Return the objects, with their times, that triggers to be created are for."""
    new = [call.params for call in planned.calls if call.action in {"CreateTrigger", "PutBucket"}]
    return {
        each: current.objects(session.api, each)
        for each in session.wanted.triggers
        if "ObjectCreated" in each.rule and any(each.params().items() <= x.items() for x in new)
        and {"Bucket": each.bucket, "ACL": "private"} not in new
    }  # fmt: skip


def _tell_of_objects(trigger: Trigger, before: dict[str, str], after: dict[str, str]) -> None:
    """Name the objects that start nothing: older than a trigger, or uploaded while it was not."""
    young = {key for key, time in after.items() if before.get(key) != time}
    where = "/".join((trigger.bucket, trigger.keys[0]))
    for keys, why in (
        (before.keys() - young, "older than the trigger, which does not fire for them"),
        (young, "uploaded while it was created, which it may have missed"),
    ):
        newest = sorted(keys, key=lambda key: after.get(key, ""), reverse=True)
        names = ", ".join(listed([printable(key) for key in newest], _MAX_OBJECTS))
        if keys:
            _note(f"In {where}, {why}: {names}. Upload again what is not done yet")


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
        _print(session, agreed, as_json=as_json, is_brief=True)
        if not agreed.calls:
            return
        before = _objects(session, agreed)
        _carry_out(session, agreed, session.changes, {} if yes else {"Make these changes?": "yes"})
        _note("Done: the account is as the file says")
        for trigger, known in before.items():
            _tell_of_objects(trigger, known, current.objects(session.api, trigger))


@_command(
    "check",
    click.option("--write", is_flag=True, help="Also upload two objects, and delete them again."),
    click.option("--image", metavar="ID", default="", show_default=False,
                 help="Also rename and tag this image, and take both back."),
)  # fmt: skip
def check(file: Path, *, write: bool, image: str, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - see _session
    """Check the deployed function; change nothing, but for --write and --image.

    Image Steward makes dry runs, which leave their results in its journal.

    Exit status: 0 all is well, 1 not, 2 usage error.
    """
    with _session(file, **where) as session:
        wanted, now = session.wanted, session.current()
        may = Trials(write, image, token_hex(4), _note)
        live = session.live((now.function or {}).get("ClsTopicId") or "")
        every = checks(wanted, now, live, may)
        # It may be sent to others. Before the table is made, which breaks long words.
        found = [Check(*map(session.account.hidden, astuple(each))) for each in every]
        if as_json:
            emit_json([each.described() for each in found])
        else:
            tool = f"scf-deploy {version('image-steward')}, {utc(time.time())}"
            head = f"{wanted.name} in {wanted.region}, {wanted.settings['Runtime']}; {tool}\n"
            head += f"{session.elsewhere}\n" * bool(session.place)
            emit(f"{head}\n{text.checked(found, rich_console(sys.stdout, 100))}")
    sys.exit(any(each.state == FAIL for each in found))


@_command("destroy", _YES)
def destroy(file: Path, *, yes: bool, as_json: bool, **where: Any) -> None:  # noqa: ANN401 - see _session
    """Remove the function, its triggers and its role, after you have agreed twice.

    Buckets stay, with all objects: the journal is what undoes changes.

    Exit status: 0 success, 1 failed, 2 usage error.
    """
    with _session(file, **where) as session:
        agreed = session.removal()
        _print(session, agreed, as_json=as_json)
        name = session.wanted.name
        if not agreed.calls:
            _note(f"There is no function {name}, and nothing else to delete")
            return
        questions = {"Delete all this, with the events that wait?": "yes", "Are you sure?": name}
        _carry_out(session, agreed, session.removal, {} if yes else questions)
        _note(f"Done: {name} is gone")
