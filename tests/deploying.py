"""The project's serverless.yml with little code, and clouds to deploy it to with `scf-deploy`."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from click.testing import CliRunner

from conftest import ROOT, SECRETS
from scf_client import RUNTIME
from scf_deploy.cli import main
from scf_local.cloud import cos
from scf_local.cloud.hosts import bucket_of
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State, is_write
from scf_local.cloud.wire import Reply
from scf_local.credentials import SDK_NAMES, AccountCredentials

if TYPE_CHECKING:
    from scf_local.cloud.wire import Request

NAME, REGION, BUCKET = "image-steward", "ap-guangzhou", "manifests-1250000000"
CODE = "def main_handler(event, context): return event\n"
FIRST = [
    *("CreateRole", "CreatePolicy", "AttachRolePolicy", "PutBucket", "PutBucketVersioning"),
    *("CreateFunction", "UpdateFunctionEventInvokeConfig", "PutReservedConcurrencyConfig"),
    *("CreateTrigger", "CreateTrigger"),
]
"""What deploys the file to an untouched account, in order."""
_HALF_PAST_TWELVE = 4.5 * 3600
"""In Beijing, as seconds of a day in UTC."""
_CHANCE = ("FunctionId", "AddTime", "ModTime", "ClsLogsetId", "ClsTopicId")
_SCF_OWN = "scf-code-"
"""How the emulated cloud's bucket begins, where it stores code to download."""


@dataclass(frozen=True)
class Seen:
    """A request that a cloud gets: its action and host, and the parameters of an API call."""

    action: str
    host: str
    params: dict[str, Any]

    @property
    def is_write(self) -> bool:
        """Whether it would change something."""
        return is_write(self.action)


Images = dict[str, list[dict[str, Any]]]
Rule = Callable[[Seen, Callable[[], Reply]], Reply]
"""Replies to a request; calling its second argument carries the request out."""


@dataclass
class Relayed(EmulatedCloud):
    """An emulated cloud of which rules refuse some requests, and alter some replies."""

    rules: list[Rule] = field(default_factory=list)

    def dispatch(self, http: Request) -> Reply:
        """Return what the rules make of a request and its reply."""
        is_api = "x-tc-action" in http.headers
        action = http.headers["x-tc-action"] if is_api else cos.action_of(http)
        send = partial(super().dispatch, http)
        host = http.headers.get("host", "")
        if is_api or bucket_of(host):
            seen = Seen(action, host, json.loads(http.body) if is_api else {})
            for rule in self.rules:
                send = partial(rule, seen, send)
        return send()


def cloud(images: Images | None = None) -> Relayed:
    """Return the cloud of an account with images, without limits, at half past twelve in Beijing.

    So that no timer fires while a test's sleep moves the clock.
    """
    moved = (_HALF_PAST_TWELVE - time.time()) % 86400
    return Relayed(State(images or {}, {}, moved=moved), limits=False)


def answer(members: dict[str, Any]) -> Reply:
    """Return an API's reply with these members of `Response`, without carrying anything out."""
    body = {"Response": {**members, "RequestId": "00000000-relayed"}}
    return Reply(200, {"Content-Type": "application/json"}, json.dumps(body).encode())


def refusal(code: str) -> Reply:
    """Return an API's error reply."""
    return answer({"Error": {"Code": code, "Message": "Refused by a rule."}})


def altered(reply: Reply, change: Callable[[dict[str, Any]], object]) -> Reply:
    """Return an API's reply after its `Response` was changed, unless it is an error."""
    if later := reply.later:
        return replace(reply, later=lambda: altered(later(), change))
    envelope = json.loads(reply.body)
    if "Error" not in envelope["Response"]:
        change(envelope["Response"])
    return replace(reply, body=json.dumps(envelope).encode())


@dataclass(frozen=True)
class Done:
    """A run of the command: its exit status, stdout, and stderr."""

    status: int
    out: str
    err: str


@dataclass
class Project:
    """A project's folder, and the cloud it is deployed to; only sleeping moves its clock."""

    folder: Path
    cloud: Relayed
    keys: AccountCredentials | None = None
    _seen: int = 0

    def __post_init__(self) -> None:
        (self.folder / "deploy").mkdir(parents=True)
        for name in ("policy.json", "trust.json"):
            shutil.copy(ROOT / "deploy" / name, self.folder / "deploy")
        text = (ROOT / "serverless.yml").read_text(encoding="utf-8")
        self.file.write_text(text.replace("./build/function", "code"), encoding="utf-8")
        self.edit("Python3.13", RUNTIME)
        self.edit("retryNum: 2", "retryNum: 1")  # not what SCF does anyway: each call is needed
        self.write(CODE)

    @property
    def file(self) -> Path:
        """The path of serverless.yml."""
        return self.folder / "serverless.yml"

    def edit(self, old: str, new: str) -> None:
        """Replace a text in serverless.yml, which must have it."""
        text = self.file.read_text(encoding="utf-8")
        assert old in text, old  # noqa: S101 - a test's own mistake
        self.file.write_text(text.replace(old, new), encoding="utf-8")

    def write(self, code: str) -> None:
        """Replace the code."""
        (self.folder / "code").mkdir(exist_ok=True)
        (self.folder / "code" / "index.py").write_text(code, encoding="utf-8")

    def __call__(self, command: str, *options: str, **environ: str) -> Done:
        """Run `scf-deploy COMMAND`, with --yes where that is possible.

        An exception that the command lets through is raised here, too.
        """
        yes = ("--yes",) if command in {"apply", "destroy"} else ()
        keys = zip(SDK_NAMES, astuple(self.keys or self.cloud.credentials), strict=True)
        url = self.cloud.url
        result = CliRunner().invoke(
            main,
            [command, str(self.file), "--endpoint", url, "--cos-endpoint", url, *yes, *options],
            env={"COLUMNS": "100", **dict(keys), **environ},
            obj=self.cloud.move_clock,
        )
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert not any(secret in result.output for secret in SECRETS)  # noqa: S101 - as everywhere
        return Done(result.exit_code, result.stdout, result.stderr)

    def apply(self) -> list[str]:
        """Apply the file, which must succeed, and return the calls that have changed something."""
        self.writes()
        done = self("apply")
        assert done.status == 0, done.err  # noqa: S101 - as pytest's own
        return self.writes()

    def changes(self) -> list[dict[str, Any]]:
        """Return the lines of the plan of what does not stay the same."""
        lines: list[dict[str, Any]] = json.loads(self("plan", "--json").out)["Lines"]
        return [line for line in lines if line["Verb"] != "same"]

    def writes(self) -> list[str]:
        """Return the actions that have changed something since the last time."""
        with self.cloud.state.lock:
            calls = self.cloud.state.calls[self._seen :]
            self._seen += len(calls)
        return [
            each["Action"] for each in calls if each["Outcome"] == "ok" and is_write(each["Action"])
        ]

    def function(self) -> dict[str, Any]:
        """Return the function as `GET /_state` has it."""
        function: dict[str, Any] = self.state()["Functions"][REGION][NAME]
        return function

    def trigger(self, kind: str = "cos") -> dict[str, Any]:
        """Return a trigger of it; `TriggerDesc` is parsed."""
        triggers = (each for each in self.function()["Triggers"] if each["Type"] == kind)
        trigger: dict[str, Any] = next(triggers)
        return {**trigger, "TriggerDesc": json.loads(trigger["TriggerDesc"])}

    def state(self) -> dict[str, Any]:
        """Return what `GET /_state` has and what roles may do, without ids, times and calls."""
        with self.cloud.state.lock:
            state = self.cloud.state.snapshot(self.cloud.now())
            access = self.cloud.state.access
            state["Trust"] = {name: json.loads(each.trust) for name, each in access.roles.items()}
            policies = access.policies.values()
            state["Policies"] = {each.name: json.loads(each.document) for each in policies}
        del state["Calls"]
        for name in ("Objects", "Buckets"):
            state[name] = {k: v for k, v in state[name].items() if not k.startswith(_SCF_OWN)}
        for function in (each for named in state["Functions"].values() for each in named.values()):
            function["Triggers"].sort(key=lambda each: str(each["TriggerName"]))
            for each in (function, *function["Triggers"]):
                for name in _CHANCE:
                    each.pop(name, None)
        return state
