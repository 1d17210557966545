"""`scf-local logs`: what functions have logged in a cloud, as `replay` and `undo` read it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import deque
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.common.common_client import CommonClient
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

import bundle
import payloads
from conftest import ROOT
from cos_client import BUCKET, client_of
from scf_client import RUNTIME, ScfClient
from scf_deploy.code import Code
from scf_local import api_client, exports
from scf_local import logs as reading
from scf_local.cli import main
from scf_local.cloud.actions import ApiCall
from scf_local.cloud.cls import service
from scf_local.cloud.cls.model import LogRecord
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.cloud.wire import ErrorReply
from scf_local.log_records import CUT
from scf_local.logs import Source
from sdk_client import add_role

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, TOPIC = "ap-guangzhou", "topic-1"
ID = "4f9c2d1e-0000-4000-8000-000000000001"
LOG: dict[str, Any] = {"ClsTopicId": TOPIC, "ClsLogsetId": "set-1"}
ECHO = "def main_handler(event, context):\n print(event)\n return event"
TWICE = "def main_handler(event, context):\n print('event', event)\n return [event, event]"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No scf-local.toml is read."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def scf() -> Iterator[ScfClient]:
    """A client of an emulated cloud that `--endpoint` finds."""
    with EmulatedCloud(State()) as cloud, exports.kept(cloud.environment()):
        yield ScfClient(cloud)


def logs(scf: ScfClient, *arguments: str, status: int = 0) -> Result:
    """Run `scf-local logs` for the client's cloud."""
    command = ["logs", "--endpoint", scf.cloud.url, *arguments]
    result = CliRunner().invoke(main, command)
    assert result.exit_code == status, result.output
    return result


def records(result: Result) -> list[dict[str, Any]]:
    """Return the records on stdout, one a line."""
    return [json.loads(line) for line in result.stdout.splitlines()]


def fill(state: State, times: list[int], function: str = "fn", run: str = ID) -> None:
    """Put records with these times into the topic, as one run."""
    package = f"{next(state.topics.packages):X}"
    state.topics.add((REGION, TOPIC), [
        LogRecord(logged, package, number, {
            "SCF_FunctionName": function, "SCF_Namespace": "default", "SCF_RequestId": run,
            "SCF_Message": f"{package}-{number}",
        })
        for number, logged in enumerate(times)
    ])  # fmt: skip


# --- From a deployed function to its replay and its undo ---


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bundle for the Python that runs the tests."""
    target = tmp_path_factory.mktemp("bundle") / "function.zip"
    return bundle.assemble(bundle.own_packages(), sys.executable, target).path.read_bytes()


def test_story(tmp_path: Path, code: bytes) -> None:
    """What Image Steward did in the cloud is fetched, replayed as logged, and undone."""
    images = {REGION: [{"ImageId": "img-6pb6lrmy", "ImageName": "old"}]}
    (tmp_path / "images.json").write_text(json.dumps(images))
    renaming = {"ImageId": "img-6pb6lrmy", "ImageName": "new"}
    (folder := tmp_path / "objects" / BUCKET / "requests").mkdir(parents=True)
    (folder / "rename.json").write_text(json.dumps(renaming))
    with (
        EmulatedCloud(State.from_folder(tmp_path)) as cloud,
        exports.kept(cloud.environment()),
    ):
        scf = ScfClient(cloud)
        trust, policy = (
            (ROOT / "deploy" / name).read_text("utf-8") for name in ("trust.json", "policy.json")
        )
        add_role(cloud, "image-steward", policy, trust)
        text = (ROOT / "serverless.yml").read_text(encoding="utf-8")
        inputs = yaml.safe_load(text)["inputs"] | {"runtime": RUNTIME}
        calls = payloads.payloads(inputs, Code(code))
        scf("CreateFunction", **calls["CreateFunction"])
        scf.move(10)
        client = client_of(cloud)
        trigger = next(each for name, each in calls.items() if '"cos:' in str(each))
        scf("CreateTrigger", **trigger)
        client.put_object(Bucket=BUCKET, Key="requests/rename.json", Body=json.dumps(renaming))
        scf.move()
        (run,) = cloud.state.functions.runs
        assert run.result.outcome == "applied"
        log = logs(scf, "--function", "image-steward").stdout
        undo = CliRunner().invoke(main, ["undo", "-"], input=log)
        assert undo.exit_code == 0, undo.output
        again = scf.invoke("image-steward", json.loads(undo.stdout))
        assert json.loads(again["RetMsg"])["Outcome"] == "applied"
        assert cloud.state.image(REGION, "img-6pb6lrmy")["ImageName"] == "old"
    command = ["replay", "-", "--json", "--code", str(ROOT / "handler"), "--seed", str(tmp_path)]
    command += ["--env", f"STEWARD_SOURCES={BUCKET}/requests"]
    replayed = CliRunner().invoke(main, command, input=log)
    assert replayed.exit_code == 0, replayed.output
    (case,) = json.loads(replayed.stdout)
    assert (case["Outcome"], case["Changed"]) == ("applied", False)


def test_returned_value_is_compared(scf: ScfClient, tmp_path: Path) -> None:
    """A replay of what was fetched, or of the reply of Invoke, compares the returned value."""
    event = {"Type": "Timer", "TriggerName": "t", "Time": "2026-11-27T03:17:00Z", "Message": ""}
    scf.create("twice", TWICE, **LOG)
    result = scf.invoke("twice", event, LogType="Tail")
    assert result["Log"].count("Response RequestId") == 1
    fetched = logs(scf, "--function", "twice").stdout
    (run,) = scf.cloud.state.functions.runs
    app = tmp_path / "app.py"
    for returned, differences in (
        ("[event, event]", []),
        ("[event, 1]", ['Result/1: {"Type": "Timer", "TriggerName": "t", "T']),
    ):
        app.write_text(f"def main(event, context): return {returned}")
        for log in (fetched, json.dumps({"Result": result}), run.log.decode()):
            command = ["replay", "-", "--json", "--handler", f"{app}:main"]
            replayed = CliRunner().invoke(main, command, input=log)
            (case,) = json.loads(replayed.stdout)
            found = [each[:50] for each in case["Differences"]]
            assert found == differences


def test_functions_are_kept_apart(scf: ScfClient) -> None:
    """Of several functions with one topic, only the records of the named one are printed."""
    for name in ("fn", "FN", "fn-2"):
        scf.create(name, ECHO, **LOG)
        scf.invoke(name, name)
    result = logs(scf, "--function", "fn")
    assert {each["SCF_FunctionName"] for each in records(result)} == {"fn"}
    assert [each["SCF_Message"].split()[0] for each in records(result)] == [
        "START", "Init", "fn", "Response", "END", "Report",
    ]  # fmt: skip
    assert result.stderr.startswith("scf-local: 6 records of 1 run of fn in ap-guangzhou, 20")


def test_clock_of_the_cloud_counts(scf: ScfClient) -> None:
    """What `POST /_clock` has moved on is found by the cloud's time, and older records are not."""
    scf.create("fn", ECHO, **LOG)
    scf.invoke("fn", "old")
    scf.move(86400)
    scf.invoke("fn", "new")
    for since, found in (("1h", ["new"]), ("1d", ["new"]), ("2d", ["old", "new"])):
        lines = [
            each["SCF_Message"] for each in records(logs(scf, "--function=fn", "--since", since))
        ]
        assert [line for line in lines if line in ("old", "new")] == found
    text = datetime.fromtimestamp(scf.cloud.now(), timezone.utc).strftime("to %Y-%m-%dT%H:%M")
    assert text in logs(scf, "--function", "fn").stderr


def test_request_ids(scf: ScfClient) -> None:
    """A request id, or its first 6 characters or more, selects a run of the last 7 days."""
    scf.create("fn", **LOG)
    now = int(scf.cloud.now() * 1000)
    other = f"{ID[:7]}f{ID[8:]}"
    fill(scf.cloud.state, [now - 6 * 86_400_000])
    fill(scf.cloud.state, [now - 1, now], run=other)
    for given_id, found in ((ID, 1), (other, 2), (ID[:8], 1), (other[:8].upper(), 2)):
        assert len(records(logs(scf, "--function=fn", "--request-id", given_id))) == found
    several = logs(scf, "--function=fn", "--request-id", ID[:6], status=2)
    assert f"{ID[:6]} is the beginning of 2 ids: {ID}, {other}; give more" in several.stderr
    assert not several.stdout
    result = logs(scf, "--function=fn", "--request-id", "fffffff", status=1)
    assert "request id fffffff, in the topic topic-1\n" in result.stderr


def test_many_records(scf: ScfClient) -> None:
    """More records than CLS returns by Context are printed once each, in order."""
    scf.create("fn", **LOG)
    now = int(scf.cloud.now() * 1000)
    fill(scf.cloud.state, [now - 90_000 + 10 * (number // 7) for number in range(21_500)])
    fill(scf.cloud.state, [now - 1] * 3, function="other")
    result = logs(scf, "--function", "fn")
    assert [each["SCF_Message"] for each in records(result)] == [f"1-{n}" for n in range(21_500)]
    assert "21,500 records of 1 run of" in result.stderr
    calls = [each for each in scf.cloud.state.calls if each["Action"] == "SearchLog"]
    assert len(calls) == 22


def test_too_many_records_of_a_millisecond(scf: ScfClient) -> None:
    """What CLS cannot return is an error, after what could be read; nothing is read for ever."""
    scf.create("fn", **LOG)
    now = int(scf.cloud.now() * 1000)
    fill(scf.cloud.state, [now - 2, *[now - 1] * 10_001, now])
    result = logs(scf, "--function", "fn", status=2)
    assert f"all records from the millisecond {now - 1} on; if it has 10,000 or" in result.stderr
    *found, last = records(result)
    assert (len(found), last) == (10_001, {"SCF_Message": CUT})
    scf.cloud.state.topics.records.clear()
    fill(scf.cloud.state, [now - 2, *[now - 1] * 9_999, now])
    assert len(records(logs(scf, "--function", "fn"))) == 10_001


def test_throttled_calls_are_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call that is throttled, or gets no usable reply, is repeated; nothing is lost."""
    monkeypatch.setattr(reading, "_DELAYS", (0,) * 4)
    rules = [
        Rule("GetFunction", "error", calls=(1,), code="RequestLimitExceeded"),
        Rule("SearchLog", "error", calls=(2,), code="InternalError"),
        Rule("SearchLog", "status", calls=(3,), status=502),
        Rule("SearchLog", "cut", calls=(4,)),
    ]
    with (
        EmulatedCloud(State(), faults=Faults(tuple(rules))) as cloud,
        exports.kept(cloud.environment()),
    ):
        scf = ScfClient(cloud)
        scf.create("fn", **LOG)
        fill(cloud.state, [int(cloud.now() * 1000)] * 2500)
        assert len(records(logs(scf, "--function", "fn"))) == 2500


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--function", "nobody"],
            "ap-guangzhou has no function 'nobody'; for another, use --region",
        ),
        (["--function", "fn", "--region", "ap-seoul"], "ap-seoul has no function 'fn'"),
        (["--function", "silent"], "'silent' in ap-guangzhou delivers no logs: its ClsTopicId"),
        (["--function", 'a" OR "b'], "is not the name of a function"),
        (["--function", "a b"], "is not the name of a function"),
        (["--function", "fn", "--request-id", "4f9c2"], "'4f9c2' is not a request id"),
        (
            ["--function", "fn", "--request-id", '4f9c2d"'],
            "it has at least 6 letters, digits and -",
        ),
        (["--function", "fn", "--request-id", "4f9c2d OR b"], "is not a request id"),
        (["--function", "fn", "--region", "Mars"], "'Mars' is not a region"),
        (["--function", "fn", "--profile", "x"], "--profile requires --real"),
        *(
            (["--function", "fn", "--since", since], "it must be a number and s, m, h or d, such")
            for since in ("1", "h", "0s", "1w", "-1h", "1.5h", "1h ", "123456s")
        ),
    ],
)
def test_wrong_usage(scf: ScfClient, arguments: list[str], message: str) -> None:
    """Wrong usage ends with status 2, and says what is allowed."""
    scf.create("fn", **LOG)
    scf.create("silent")
    result = logs(scf, *arguments, status=2)
    assert message in result.stderr
    assert not result.stdout


def test_which_cloud() -> None:
    """Without a cloud to read from, the error says which option to add."""
    result = CliRunner().invoke(main, ["logs", "--function", "fn"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Add --real, or --endpoint URL of the emulated cloud" in result.stderr
    result = CliRunner().invoke(main, ["logs", "--function", "fn", "--endpoint", "http://x"])
    assert "no emulated cloud of yours runs at 'http://x'" in result.stderr


def test_nothing_is_found(scf: ScfClient) -> None:
    """If there is no record, the status is 1, and notes say where it looked and what to try."""
    scf.create("fn", **LOG)
    result = logs(scf, "--function", "fn", "--since", "90s", status=1)
    assert not result.stdout
    first, second = result.stderr.splitlines()
    assert first.startswith("scf-local: no records of fn in ap-guangzhou, 20")
    assert first.endswith("Z, in the topic topic-1")
    assert second.startswith("scf-local: try a longer --since than 90s; runs before it had this")


def test_closed_pipe(scf: ScfClient) -> None:
    """A reader that has enough ends the command without a word."""
    scf.create("fn", **LOG)
    fill(scf.cloud.state, [int(scf.cloud.now() * 1000)] * 5000)
    scf_local = Path(sys.executable).parent / "scf-local"
    command = f"{scf_local} logs --function fn --endpoint {scf.cloud.url} | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)  # noqa: S602 - our own
    assert len(done.stdout.splitlines()) == 1
    assert not done.stderr


def test_real_cloud(monkeypatch: pytest.MonkeyPatch) -> None:
    """With --real, the user's keys sign calls of the region's own hosts, from the real time on."""
    called = []

    def call(cloud: dict[str, str], region: str, *rest: Any) -> dict[str, Any]:  # noqa: ANN401 - as the SDK's
        called.append((cloud["TENCENTCLOUD_SECRETID"], region, *rest))
        if rest[0] == "scf":
            return {"ClsTopicId": TOPIC}
        return {"Results": [{"Time": 1, "LogJson": '{"a": "\\u001b[2J"}'}], "ListOver": True}

    monkeypatch.setattr("scf_local.api_client.call", call)
    monkeypatch.setenv("TENCENTCLOUD_SECRET_ID", "AKIDme")
    monkeypatch.setenv("TENCENTCLOUD_SECRET_KEY", "secret")
    result = CliRunner().invoke(main, ["logs", "--function=fn", "--real", "--region=ap-seoul"])
    assert result.exit_code == 0, result.output
    assert result.stdout == '{"a": "\\u001b[2J"}\n'
    assert called[0] == ("AKIDme", "ap-seoul", "scf", "GetFunction", {"FunctionName": "fn"})
    key, region, name, action, params = called[1]
    assert (key, region, name, action) == ("AKIDme", "ap-seoul", "cls", "SearchLog")
    assert abs(params["To"] / 1000 - time.time()) < 60
    assert params["To"] - params["From"] == 3_600_001
    assert {**params, "From": 0, "To": 0} == {
        "TopicId": TOPIC, "From": 0, "To": 0, "Sort": "asc", "Limit": 1000, "QuerySyntax": 1,
        "QueryString": 'SCF_Namespace:"default" AND SCF_FunctionName:"fn"',
    }  # fmt: skip


# --- Reading ---


def read(*replies: Any, run: str = "") -> list[Any]:  # noqa: ANN401 - of SearchLog
    """Return the pages that these replies, or errors, make."""
    left = [*replies]

    def call(_service: str, _action: str, _params: dict[str, Any]) -> dict[str, Any]:
        reply = left.pop(0)
        if isinstance(reply, str):
            raise TencentCloudSDKException(reply, "…")
        return dict(reply)

    return [*Source(call, lambda _: None, REGION, "fn", run).pages(TOPIC, 0, 9)]


def reply(*results: dict[str, Any], over: bool = True) -> dict[str, Any]:
    """Return a reply of SearchLog."""
    found = [{"Time": 1, "PkgId": "a", "PkgLogId": f"{n}", **r} for n, r in enumerate(results)]
    return {"Results": found, "ListOver": over, "Context": "c"}


def test_topic_without_an_index() -> None:
    """A record that has only RawLog is taken from there; what is no object at all is empty."""
    results = [{"LogJson": "", "RawLog": '{"a": 1}'}, {"RawLog": "text"}, {"LogJson": "[1]"}, {}]
    assert read(reply(*results), reply())[0] == [{"a": 1}, {}, {}, {}]


def test_what_is_not_json_is_counted(scf: ScfClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that are not JSON are left out of the lines, and counted on stderr."""
    monkeypatch.setattr(Source, "topic", lambda _: TOPIC)
    monkeypatch.setattr(Source, "pages", lambda *_: iter([[{"a": 1}, {}], [{}]]))
    result = logs(scf, "--function", "fn")
    assert records(result) == [{"a": 1}, {"SCF_Message": CUT}]
    assert "2 records left out, which are not JSON objects\n" in result.stderr


def test_index_that_finds_too_much() -> None:
    """Records of other functions and runs, which an index without delimiters may find, are none."""
    results = [
        {"LogJson": json.dumps({"SCF_FunctionName": name, "SCF_RequestId": run})}
        for name, run in (("fn", ID), ("fn-2", ID), ("fn", f"x{ID}"), ("FN", ID))
    ]
    found = read(reply(*results), reply(), run=ID[:8])[0]
    assert found == [{"SCF_FunctionName": "fn", "SCF_RequestId": ID}]


def test_replies_that_say_little() -> None:
    """Each record is read once, also if a reply lacks records, its Context, or package ids."""
    names = {"PkgId": None, "PkgLogId": None}
    first, second, third = ({"LogJson": f'{{"a": {n}}}', **names} for n in range(3))
    empty = {"Results": None, "ListOver": False, "Context": "c"}
    found = read(
        empty, reply(first, second, over=False), empty, reply({**third, "Time": 2}, over=False)
        | {"Context": ""}, reply({**third, "Time": 2}), reply(),
    )  # fmt: skip
    assert [each for page in found for each in page] == [{"a": 0}, {"a": 1}, {"a": 2}]
    limit = reply(first, over=False), "FailedOperation.GetlogReachLimit"
    assert read(*limit, *limit, reply(first, second)) == [[{"a": 0}], [], [{"a": 1}]]
    many = [reply({"LogJson": "[]", "Time": n}, over=False) | {"Context": ""} for n in range(20)]
    assert read(*many, reply()) == [*[[{}]] * 20, []]


@pytest.mark.parametrize("body", ["<html>", "{}", '{"Response": null}', "[]"])
def test_reply_of_another_server(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """What is no reply of the API, such as a proxy's page, is an error of the network."""
    monkeypatch.setattr(CommonClient, "call_json", lambda *_: json.loads(body))
    cloud = dict.fromkeys(("TENCENTCLOUD_SECRETID", "TENCENTCLOUD_SECRETKEY"), "AKIDx")
    with pytest.raises(TencentCloudSDKException, match="The reply is not one of the API"):
        api_client.call(cloud, REGION, "cls", "SearchLog", {})


def test_end_that_is_never_said() -> None:
    """If CLS never says that it has returned all, that is an error, after some attempts."""
    for last in ({"Context": ""}, {"Results": [], "Context": "c"}):
        with pytest.raises(ValueError, match="does not return all records"):
            read(*[reply({}, over=False) | last] * 1000)


def test_run_that_began_earlier(scf: ScfClient) -> None:
    """A run whose beginning is out of the period, or an earlier delivery, is marked for undo."""
    scf.create("fn", **LOG)
    now = int(scf.cloud.now() * 1000)
    for run, start, retry in (("r-1", 7_200_000, "0"), ("r-2", 60_000, "1"), ("r-3", 60_000, "0")):
        fill(scf.cloud.state, [now - 5], run=run)
        fields = scf.cloud.state.topics.records[REGION, TOPIC][-1].fields
        fields |= {"SCF_StartTime": f"{now - start}", "SCF_RetryNum": retry}
    result = logs(scf, "--function", "fn")
    found = [(each["SCF_RequestId"], each["SCF_Message"] == CUT) for each in records(result)]
    assert found == [
        ("r-1", True), ("r-1", False), ("r-2", True), ("r-2", False), ("r-3", False)
    ]  # fmt: skip
    assert "2 runs began before this period; for all of it, use a longer --since" in result.stderr
    undo = CliRunner().invoke(main, ["undo", "-"], input=result.stdout)
    assert undo.stderr.count("a part of it is missing") == 2
    command = ["undo", "-", "--request-id", "r-2"]
    undo = CliRunner().invoke(main, command, input=result.stdout)
    assert undo.stderr.count("the log of run r-2 cannot be used: a part of it is missing") == 1


def test_run_without_an_end(scf: ScfClient) -> None:
    """A run, or its last delivery, whose records have no final status is marked at the end."""
    scf.create("fn", **LOG)
    now = int(scf.cloud.now() * 1000)
    for number, (retry, status) in enumerate([("0", "202"), ("0", "430"), ("1", "202")]):
        fill(scf.cloud.state, [now - 5 + number])
        fields = scf.cloud.state.topics.records[REGION, TOPIC][-1].fields
        fields |= {"SCF_StatusCode": status, "SCF_RetryNum": retry}
        result = logs(scf, "--function", "fn")
        is_open = status == "202"
        assert ("1 run without an end, which may come in a minute" in result.stderr) == is_open
        assert (records(result)[-1] == {"SCF_Message": CUT}) == is_open


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        (["FailedOperation.SyntaxError"], "FailedOperation.SyntaxError"),
        (["RequestLimitExceeded"] * 6, "RequestLimitExceeded"),
        ([reply({}, over=False), *["FailedOperation.InvalidContext"] * 9], "InvalidContext"),
    ],
)
def test_errors_that_stay(replies: list[Any], code: str) -> None:
    """An error that does not go away ends the reading."""
    with pytest.raises(reading.CloudError, match=code):
        read(*replies)


TIMES = st.lists(st.integers(0, 30), max_size=60).filter(
    lambda times: max(map(times.count, times), default=0) < 10
)
ERRORS = st.sampled_from(["", "", "", "RequestLimitExceeded", "FailedOperation.InvalidContext"])


@given(st.lists(TIMES, max_size=3), st.lists(ERRORS, max_size=30), st.lists(TIMES, max_size=3))
def test_each_record_once(runs: list[list[int]], errors: list[str], late: list[list[int]]) -> None:
    """Whatever fails meanwhile, each record is read once, and in the order of their times."""
    state = State()
    times = [each for run in runs for each in run]
    if max(map(times.count, times), default=0) >= 10:
        return
    state.topics.records[REGION, TOPIC] = deque()
    for run in runs:
        fill(state, run)
    left = [*errors]

    def call(_service: str, _action: str, params: dict[str, Any]) -> dict[str, Any]:
        code = left.pop() if left else ""
        if code and (code != "FailedOperation.InvalidContext" or "Context" in params):
            raise TencentCloudSDKException(code, "…")
        if late:
            fill(state, [30 + each for each in late.pop()])  # after the end
        try:
            return service.search_log(ApiCall(state, REGION, params, 0.0))
        except ErrorReply as error:
            raise TencentCloudSDKException(error.code, error.message) from None

    with pytest.MonkeyPatch.context() as patch:
        for module in (service, reading):
            patch.setattr(module, "MAX_BY_CONTEXT", 10)
        patch.setattr(reading, "MAX_PAGE", 3)
        patch.setattr(reading, "_DELAYS", (0,) * 40)
        source = Source(call, lambda _: None, REGION, "fn")
        found = [each["SCF_Message"] for page in source.pages(TOPIC, 0, 30) for each in page]
    expected = sorted(
        (each for each in state.topics.records[REGION, TOPIC] if each.time < 30),
        key=lambda each: each.place,
    )
    assert found == [each.fields["SCF_Message"] for each in expected]
