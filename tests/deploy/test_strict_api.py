"""`scf-deploy` needs none of the emulated cloud's habits: an API that is stricter, or ill.

Each rule is an API that differs from the emulated one in a way that documents or users have told
of. With any of them, and with several at once, a deployment, its change and its removal end as
without, and nothing is carried out twice.
"""

from __future__ import annotations

import base64
import io
import json
import random
import zipfile
from dataclasses import replace
from importlib import import_module
from itertools import count, cycle
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import deploying
from deploying import FIRST, NAME, Project, Rule, Seen, altered, refusal
from roles import allow, document
from scf_local.cloud import cos
from scf_local.cloud.cam.model import Policy
from scf_local.cloud.dispatcher import SERVICES
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BUSY = [
    *("FailedOperation.FunctionStatusError", "FailedOperation.FunctionNameStatusError"),
    *("FailedOperation.CreateTrigger", "FailedOperation.ReservedInProgress"),
    *("FailedOperation.UpdateFunctionCode", "OperationConflict"),
]
"""How SCF refuses a change of a function that is being changed."""
PAGE = Reply(503, {"Content-Type": "text/html"}, b"<html><body><h1>Busy</h1></body></html>")
SLOW = (
    "<Error><Code>SlowDown</Code><Message>Reduce your request rate.</Message>"
    "<Resource>/</Resource><RequestId>NjQ=</RequestId><TraceId>OGE=</TraceId></Error>"
)
SLOWED = Reply(503, {"Content-Type": "application/xml"}, SLOW.encode())


def is_of(service: str, seen: Seen) -> bool:
    """Whether a request is for a service."""
    return seen.action in (cos.ACTIONS if service == "cos" else SERVICES[service].actions)


# --- Rules: functions that make one, with its own counters ---


def busy() -> Rule:
    """After a write, SCF is `Updating` for three polls, and refuses the next write once more.

    A write before that is an error that no deployer may wait for.
    """
    polls, is_late, codes = 0, False, cycle(BUSY)

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        nonlocal polls, is_late
        if seen.action == "GetFunction":
            polls = max(0, polls - 1)
            reply = send()
            return altered(reply, lambda r: r.update(Status="Updating")) if polls else reply
        if not (seen.is_write and is_of("scf", seen)):
            return send()
        if polls:
            return refusal("InvalidParameter.TooEarly")
        is_late = not is_late
        if is_late:
            return refusal(next(codes))
        polls = 4
        return send()

    return rule


def strict() -> Rule:
    """What SCF's documents say it refuses, and the emulated one in part allows."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        given, is_cos = seen.params, seen.params.get("Type") == "cos"
        is_wrong = (
            (seen.action == "UpdateFunctionConfiguration" and given.keys() & {"Runtime", "Type"})
            or (seen.action == "UpdateTrigger" and is_cos)
            or (is_cos and (not given["TriggerDesc"] or "CustomArgument" in given))
            or (seen.action == "PutReservedConcurrencyConfig" and "Qualifier" in given)
        )
        return refusal("InvalidParameterValue.Strict") if is_wrong else send()

    return rule


def read_back(change: Callable[[dict[str, Any]], object], *actions: str) -> Callable[[], Rule]:
    """Replies of some actions are written otherwise."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        return altered(send(), change) if seen.action in actions else send()

    return lambda: rule


def some(
    share: float, reply: Reply | Callable[[Reply], Reply], of: Callable[[Seen], bool]
) -> Callable[[], Rule]:
    """Each second, each third, or a share of the requests is answered so.

    Either instead of being carried out, or after it.
    """

    def made() -> Rule:
        numbers, draw = count(1), random.Random(1)  # noqa: S311 - no secret

        def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
            if not of(seen) or (next(numbers) % share if share > 1 else draw.random() > share):
                return send()
            return reply if isinstance(reply, Reply) else reply(send())

        return rule

    return made


def unknown_role() -> Rule:
    """SCF learns of a new role only after some seconds."""
    refusals = iter(["ResourceNotFound.Role", "ResourceNotFound.RoleCheck"])

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        code = next(refusals, "") if seen.action == "CreateFunction" else ""
        return refusal(code) if code else send()

    return rule


def packed_anew() -> Rule:
    """SCF packs the code anew: its hash is another, and so are the bytes, but not the files."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        if seen.action == "GetFunctionAddress":
            return altered(reply, lambda r: r.update(CodeSha256="0" * 64))
        if seen.action != "GetObject":
            return reply
        target = io.BytesIO()
        with zipfile.ZipFile(io.BytesIO(reply.body)) as old, zipfile.ZipFile(target, "w") as new:
            for name in old.namelist():
                new.writestr(name, old.read(name))
        return Reply(200, {}, target.getvalue())

    return rule


def triggers() -> Rule:
    """Triggers as a reply may have them: spaces, order, switches and null members are other ones.

    In turn, timers are written as JSON, and as text.
    """
    turns = cycle([True, False])

    def change(response: dict[str, Any]) -> None:
        is_json = next(turns)
        for each in response["Triggers"]:
            rule = json.loads(each["TriggerDesc"])
            other = json.dumps(dict(reversed(rule.items())), indent=1)
            each["TriggerDesc"] = rule["cron"] if "cron" in rule and not is_json else other
            each["Enable"] = each["Enable"] if is_json else ("CLOSE", "OPEN")[each["Enable"]]
            each["CustomArgument"] = each["CustomArgument"] or None
            each["Description"] = each["BindStatus"] = None
            del each["AvailableStatus"], each["ModTime"]
        response["Triggers"].reverse()

    return read_back(change, "ListTriggers")()


def other_members(response: dict[str, Any]) -> None:
    """A function as GetFunction may have it."""
    response["Environment"]["Variables"].reverse()
    for name in ("VpcConfig", "Tags", "StatusReasons", "Triggers", "Description", "ClsLogsetId"):
        response[name] = None
    del response["PublicNetConfig"], response["StatusDesc"], response["Type"]


def scalars(value: Any) -> Any:  # noqa: ANN401 - JSON
    """A policy in another order, with a text for a list of one."""
    if isinstance(value, dict):
        return {name: scalars(each) for name, each in reversed(value.items())}
    if isinstance(value, list):
        return scalars(value[0]) if len(value) == 1 else [scalars(each) for each in value[::-1]]
    return value


def documents(response: dict[str, Any]) -> None:
    """Policy documents as CAM may have them."""
    at = response.get("RoleInfo") or response
    at["PolicyDocument"] = quote(json.dumps(scalars(json.loads(at["PolicyDocument"])), indent=1))


def hashes() -> Rule:
    """In turn, the hash of the code is in base64, in upper case, empty, and null."""
    turns: Iterator[Callable[[str], object]]
    turns = cycle([_base64, str.upper, lambda _: "", lambda _: None])

    def change(response: dict[str, Any]) -> None:
        response["CodeSha256"] = next(turns)(response["CodeSha256"])

    return read_back(change, "GetFunctionAddress")()


def _base64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def without_null(response: dict[str, Any]) -> None:
    """No member where the emulated API has null."""
    if response["ReservedMem"] is None:
        del response["ReservedMem"]


def is_api(seen: Seen) -> bool:
    """Whether a request is for SCF or CAM."""
    return not is_of("cos", seen)


def with_charset() -> Rule:
    """Replies, errors among them, have a Content-Type in which the SDK looks for no errors."""

    def rule(seen: Seen, send: Callable[[], Reply]) -> Reply:
        reply = send()
        headers = {"Content-Type": "application/json; charset=utf-8"}
        return replace(reply, headers=headers) if is_api(seen) else reply

    return rule


RULES: dict[str, Callable[[], Rule]] = {
    "busy": busy,
    "a second entry of retries": read_back(
        lambda r: r["AsyncTriggerConfig"]["RetryConfig"].append({"RetryNum": -1}),
        "GetFunctionEventInvokeConfig",
    ),
    "triggers": triggers,
    "a trigger a page": read_back(lambda r: r.update(Triggers=r["Triggers"][:1]), "ListTriggers"),
    "functions": read_back(other_members, "GetFunction"),
    "hashes": hashes,
    "packed anew": packed_anew,
    "no ReservedMem": read_back(without_null, "GetReservedConcurrencyConfig"),
    "policies": read_back(documents, "GetRole", "GetPolicy"),
    "unknown role": unknown_role,
    "charset": with_charset,
}
ILL: dict[str, Callable[[], Rule]] = {
    "throttled": some(3, refusal("RequestLimitExceeded.UinLimitExceeded"), is_api),
    "internal error": some(0.12, refusal("InternalError.System"), is_api),
    "internal error after": some(0.12, lambda _: refusal("InternalError"), is_api),
    "cut before": some(0.12, replace(PAGE, cut="before"), lambda _: True),
    "cut after": some(0.12, lambda reply: replace(reply, cut="before"), lambda _: True),
    "cut off": some(
        0.12,
        lambda reply: replace(reply, body=reply.body.ljust(2), cut="halfway"),
        lambda seen: seen.action != "HeadBucket",
    ),
    "a page instead": some(0.12, PAGE, is_api),
    "a page of 200": some(0.12, replace(PAGE, status=200), is_api),
    "COS slows down": some(2, SLOWED, lambda seen: is_of("cos", seen)),
    "a page of COS": some(0.12, PAGE, lambda seen: is_of("cos", seen)),
}
"""Rules that take tries: with two of them, a call may fail too often."""


# --- The story that all of them must leave as it is ---

Story = tuple[list[dict[str, Any]], list[list[str]]]
"""The states of the account after each step, and the calls that have changed something."""


def story(folder: Path, *rules: Rule) -> Story:
    """Deploy, change and remove the project; after a deployment, nothing may be left to do."""
    with deploying.cloud() as cloud:
        policies, other = cloud.state.access.policies, document(allow("cos:*"))
        for number in range(9001, 9045):  # so that those with the role's name are on several pages
            policies[number] = Policy(number, f"{NAME}-{number}", other, "", 0.0, 0.0)
        cloud.rules = [strict(), *rules]
        project = Project(folder, cloud)
        writes = [project.apply()]  # which fails if anything is left to do
        states = [project.state()]
        for old, new in (
            ("prefix: requests/", "prefix: in/"),
            ("STEWARD_MAX_CHANGES: '200'", "STEWARD_MAX_CHANGES: '7'"),
            ("0 17 3 * * * *", "0 18 3 * * * *"),
            ("retryNum: 1", "retryNum: 0"),
        ):
            project.edit(old, new)
        project.write("def main_handler(event, context): return 1\n")
        writes.append(project.apply())
        states.append(project.state())
        assert project("destroy").status == 0
        writes.append(project.writes())
        states.append(project.state())
    return states, writes


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Story:
    """The story without rules."""
    states, writes = story(tmp_path_factory.mktemp("expected") / "project")
    assert writes == [
        FIRST,
        ["PutReservedConcurrencyConfig", "UpdateFunctionCode", "UpdateFunctionConfiguration",
         "UpdateFunctionEventInvokeConfig", "DeleteTrigger", "UpdateTrigger", "CreateTrigger",
         "PutReservedConcurrencyConfig"],
        ["DeleteTrigger", "DeleteTrigger", "DeleteFunction", "DetachRolePolicy", "DeleteRole",
         "DeletePolicy"],
    ]  # fmt: skip
    return states, writes


@pytest.mark.parametrize("name", [*RULES, *ILL])
def test_rule(tmp_path: Path, expected: Story, name: str) -> None:
    """With such an API, all ends as without, and nothing is carried out twice."""
    assert story(tmp_path / "project", (RULES | ILL)[name]()) == expected


@settings(max_examples=3, derandomize=True, phases=[Phase.generate])
@given(names=st.sets(st.sampled_from(sorted(RULES)), min_size=2), ill=st.sampled_from(sorted(ILL)))
def test_rules_together(
    tmp_path_factory: pytest.TempPathFactory, expected: Story, names: set[str], ill: str
) -> None:
    """The same with several of them at once, of which one is ill."""
    rules = [(RULES | ILL)[name]() for name in (*sorted(names), ill)]
    assert story(tmp_path_factory.mktemp("story") / "project", *rules) == expected


def test_documented_parameters(tmp_path: Path) -> None:
    """The SDK's models know each parameter of each call."""
    calls: list[Seen] = []

    def noted(seen: Seen, send: Callable[[], Reply]) -> Reply:
        calls.append(seen)
        return send()

    story(tmp_path / "project", noted)
    of_api = [seen for seen in calls if is_api(seen)]
    assert len({seen.action for seen in of_api}) > 20
    for seen in of_api:
        service, version = ("scf", "20180416") if is_of("scf", seen) else ("cam", "20190116")
        models = import_module(f"tencentcloud.{service}.v{version}.models")
        request = getattr(models, f"{seen.action}Request")()
        request.from_json_string(json.dumps(seen.params))  # warns of what it does not know
        assert request._serialize(allow_none=False) == seen.params
