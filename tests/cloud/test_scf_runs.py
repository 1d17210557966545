"""Functions that run in the emulated cloud: results, the queue, retries, concurrency, the clock."""

from __future__ import annotations

import json
import re
import signal
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import datetime
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException

from scf_client import ECHO, RUNTIME, ScfClient, zipped
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.scf.instances import Instances
from scf_local.cloud.scf.model import BEIJING
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

if TYPE_CHECKING:
    from collections.abc import Iterator

FAILS_TWICE = """
import os, pathlib
def main_handler(event, context):
    tries = pathlib.Path("/tmp/tries")  # of the instance
    tries.write_text(f"{tries.read_text() if tries.exists() else ''}x")
    if len(tries.read_text()) < 3:
        raise ValueError("not yet")
    return tries.read_text()
"""
ENDS = {
    "raises": "def main_handler(event, context): raise ValueError('no')",
    "is slow": "import time\ndef main_handler(event, context): time.sleep(9)",
    "takes memory": "def main_handler(event, context): return len(bytearray(200 << 20))",
    "exits": "import sys\ndef main_handler(event, context): sys.exit(1)",
    "is not JSON": "def main_handler(event, context): return object()",
    "has a syntax error": "def main_handler(",
    "has no handler": "def other(event, context): pass",
}


@pytest.fixture
def scf() -> Iterator[ScfClient]:
    """A client of an emulated cloud of its own."""
    with EmulatedCloud() as cloud:
        yield ScfClient(cloud)


def asynchronous(scf: ScfClient, name: str, event: object = None) -> str:
    """Call a function without waiting for it, and return the request id."""
    return str(scf.invoke(name, event, InvocationType="Event")["FunctionRequestId"])


def test_invoke_returns_the_result(scf: ScfClient) -> None:
    """A call waits for the function, and returns its result, its log, its time and its memory."""
    scf.create("echo", "def main_handler(event, context):\n print('seen')\n return [event, 'é']")
    result = scf.invoke("echo", {"a": 1}, LogType="Tail")
    assert json.loads(result["RetMsg"]) == [{"a": 1}, "é"]
    assert (result["InvokeResult"], result["ErrMsg"]) == (0, "")
    request_id = result["FunctionRequestId"]
    lines = result["Log"].splitlines()
    words = ["START", "Init", "seen", "Response", "END", "Report"]
    assert [line.split()[0] for line in lines] == words
    assert all(request_id in line for line in lines if line != "seen")
    assert 0 < result["Duration"] <= result["BillDuration"] < result["Duration"] + 1
    assert result["MemUsage"] > 1 << 20
    assert scf("InvokeFunction", FunctionName="echo", Event='{"a":1}')["Result"]["Log"] == ""


@pytest.mark.parametrize("end", ENDS)
def test_error_is_returned(scf: ScfClient, end: str) -> None:
    """A function that fails, in whatever way, gives an error message and no result."""
    scf.create("bad", ENDS[end], Timeout=1)
    result = scf.invoke("bad")
    assert result["RetMsg"] == ""
    assert json.loads(result["ErrMsg"])["statusCode"] in {430, 433, 434, 437, 439, 443}
    assert result["InvokeResult"] != 0


def test_instance_stays_warm(scf: ScfClient) -> None:
    """One instance handles one event after the other."""
    scf.create("count", "n = 0\ndef main_handler(event, context):\n global n\n n += 1\n return n")
    assert [scf.invoke("count")["RetMsg"] for _ in range(3)] == ["1", "2", "3"]


def test_update_replaces_instances(scf: ScfClient) -> None:
    """After an update of code or configuration, events go to new instances only."""
    scf.create("fn", "n = 0\ndef main_handler(event, context):\n global n\n n += 1\n return n")
    assert scf.invoke("fn")["RetMsg"] == "1"
    scf("UpdateFunctionConfiguration", FunctionName="fn", MemorySize=256)
    assert scf.invoke("fn")["RetMsg"] == "1"
    scf.move(10)
    code = zipped({"index.py": "def main_handler(event, context): return 'new'"})
    scf.update_code("fn", code)
    assert scf.invoke("fn")["RetMsg"] == '"new"'


def test_function_sees_only_what_is_uploaded(scf: ScfClient) -> None:
    """A function finds its own packages, the standard library, and no package installed here."""
    code = "import own, sys\ndef main_handler(event, context):\n import click"
    content = zipped({"index.py": code, "own/__init__.py": ""})
    scf.create("fn", content=content, Runtime=RUNTIME)
    assert "No module named 'click'" in scf.invoke("fn")["ErrMsg"]


def test_runtime_is_the_functions(scf: ScfClient) -> None:
    """A function runs with the Python of its runtime; if that is not here, its log says so."""
    code = "import sys\ndef main_handler(event, context): return list(sys.version_info[:2])"
    scf.create("here", code, Runtime=RUNTIME)
    assert json.loads(scf.invoke("here")["RetMsg"]) == list(sys.version_info[:2])
    scf.create("old", code, Runtime="Python3.6")
    result = scf.invoke("old", LogType="Tail")
    assert (
        f"Python3.6 is not installed here, or older than 3.10; {RUNTIME} runs the code"
        in result["Log"]
    )
    assert json.loads(result["RetMsg"]) == list(sys.version_info[:2])


def test_no_signal_is_blocked() -> None:
    """A function gets all signals, also those for which the cloud's process waits."""
    code = """
import signal
def main_handler(event, context):
    return [int(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, ())]
"""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        with EmulatedCloud() as cloud:
            scf = ScfClient(cloud)
            scf.create("fn", code)
            assert scf.invoke("fn")["RetMsg"] == "[]"
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def test_role_gives_credentials(scf: ScfClient) -> None:
    """Only a function with a role has credentials; it reaches the cloud by its real names."""
    code = """
import os, urllib.request
def main_handler(event, context):
    with urllib.request.urlopen("https://cvm.tencentcloudapi.com/_state") as reply:
        return [reply.status, "TENCENTCLOUD_SECRETID" in os.environ]
"""
    scf.create("with", code)
    scf.create("without", code, Role="")
    assert json.loads(scf.invoke("with")["RetMsg"]) == [200, True]
    assert json.loads(scf.invoke("without")["RetMsg"]) == [200, False]


def test_success_is_not_repeated(scf: ScfClient) -> None:
    """An event that a function has handled is not delivered again."""
    scf.create("fn")
    request_id = asynchronous(scf, "fn", {"a": 1})
    scf.move(600)
    (run,) = scf("GetRequestStatus", FunctionName="fn", FunctionRequestId=request_id)["Data"]
    assert (run["RetCode"], run["RetryNum"], run["RetMsg"]) == (0, 0, '{"a":1}')


def test_log_says_what_comes_next() -> None:
    """Each run has a line with function, request id, how it ended, and what comes next."""
    written: list[bytes] = []
    with EmulatedCloud(write=written.append) as cloud:
        scf = ScfClient(cloud)
        scf.create("bad", ENDS["raises"])
        scf.create("good")
        failed, handled = (asynchronous(scf, name) for name in ("bad", "good"))
        scf.move(600)
        log = b"".join(written).decode()
    lines = re.findall("scf-local: (.{19}) (.+)", log)
    runs = [
        (failed, "raised (430); again at"),
        (handled, "returned (200)"),
        (failed, "raised (430); again at"),
        (failed, "raised (430); given up"),
    ]
    texts = [text for _, text in lines]
    assert sorted(re.sub(r"(?<= at) .+", "", text) for text in texts) == sorted(
        f"{'bad' if request_id == failed else 'good'} {request_id}: {end}"
        for request_id, end in runs
    )
    assert log.count("START ") == 4


def test_queue_is_shown(scf: ScfClient) -> None:
    """`GET /_state` shows the events that wait."""
    scf.create("bad", ENDS["raises"])
    request_id = asynchronous(scf, "bad")
    scf.move()
    (waiting,) = scf.cloud.state.snapshot()["Queue"]
    assert 50 < waiting.pop("Due") - scf.cloud.now() <= 60
    where = {"Region": "ap-guangzhou", "Function": "bad"}
    assert waiting == {**where, "RequestId": request_id, "RetryNum": 1}


def test_two_retries_a_minute_apart(scf: ScfClient) -> None:
    """An event that a function raises on twice and then handles is delivered three times."""
    scf.create("fn", FAILS_TWICE)
    request_id = asynchronous(scf, "fn")
    scf.move(0)
    assert scf.runs("fn", request_id) == [(-1, 0)]
    scf.move(55)
    assert len(scf.runs("fn", request_id)) == 1
    scf.move(10)
    assert len(scf.runs("fn", request_id)) == 2
    scf.move(60)
    assert scf.runs("fn", request_id) == [(-1, 0), (-1, 1), (0, 2)]


@pytest.mark.parametrize("end", ENDS)
def test_no_third_retry(scf: ScfClient, end: str) -> None:
    """A function that never works gets each event three times, in whatever way it fails."""
    scf.create("fn", ENDS[end], Timeout=1)
    request_id = asynchronous(scf, "fn")
    scf.move(3600)
    assert scf.runs("fn", request_id) == [(-1, 0), (-1, 1), (-1, 2)]


def test_retries_are_the_functions(scf: ScfClient) -> None:
    """A function may be set to get a failed event no more, or once more."""
    scf.create("fn", ENDS["raises"])
    for number in (0, 1):
        retries = {"MsgTTL": 3600, "RetryConfig": [{"RetryNum": number}]}
        scf("UpdateFunctionEventInvokeConfig", FunctionName="fn", AsyncTriggerConfig=retries)
        request_id = asynchronous(scf, "fn")
        scf.move(600)
        assert len(scf.runs("fn", request_id)) == number + 1


def test_no_room_is_tried_until_there_is(scf: ScfClient) -> None:
    """With a reserved concurrency of 0, an event is tried each minute; then it is handled."""
    scf.create("fn")
    scf("PutReservedConcurrencyConfig", FunctionName="fn", ReservedConcurrencyMem=0)
    request_id = asynchronous(scf, "fn")
    assert json.loads(scf.invoke("fn")["ErrMsg"])["statusCode"] == 432
    scf.move(610)
    assert scf.runs("fn", request_id) == [(-1, 0)] * 11
    scf("DeleteReservedConcurrencyConfig", FunctionName="fn")
    scf.move(60)
    assert scf.runs("fn", request_id)[-1] == (0, 0)
    scf.move(600)
    assert len(scf.runs("fn", request_id)) == 12


@pytest.mark.parametrize("status", ["429", "432", "500"])
def test_platform_faults_are_no_retries(status: str) -> None:
    """What the platform refuses is delivered each minute, and does not count as the function's."""
    rule = Rule("RunFunction", "error", calls=(1, 2, 3, 4), code=status)
    with EmulatedCloud(faults=Faults((rule,))) as cloud:
        scf = ScfClient(cloud)
        scf.create("fn")
        request_id = asynchronous(scf, "fn")
        scf.move(600)
        assert scf.runs("fn", request_id) == [(-1, 0)] * 4 + [(0, 0)]


def test_old_event_is_given_up(scf: ScfClient) -> None:
    """An event that finds no room is given up once it is too old."""
    scf.create("fn")
    scf("PutReservedConcurrencyConfig", FunctionName="fn", ReservedConcurrencyMem=0)
    retries = {"MsgTTL": 300, "RetryConfig": [{"RetryNum": 2}]}
    scf("UpdateFunctionEventInvokeConfig", FunctionName="fn", AsyncTriggerConfig=retries)
    request_id = asynchronous(scf, "fn")
    scf.move(400)
    scf("DeleteReservedConcurrencyConfig", FunctionName="fn")
    scf.move(400)
    assert scf.runs("fn", request_id) == [(-1, 0)] * 5


def test_reserved_concurrency_limits_instances(scf: ScfClient) -> None:
    """No more instances run at the same time than the reserved memory has room for."""
    scf.create("fn", "import time\ndef main_handler(event, context): time.sleep(0.5)")
    scf("PutReservedConcurrencyConfig", FunctionName="fn", ReservedConcurrencyMem=128)
    with ThreadPoolExecutor(2) as pool:
        errors = list(pool.map(lambda _: scf.invoke("fn")["ErrMsg"], range(2)))
    assert sorted(error and json.loads(error)["statusCode"] for error in errors if error) == [432]


def test_calls_do_not_wait_for_each_other(scf: ScfClient) -> None:
    """Functions that are called, and waited for, all run at the same time."""
    code = """
import socket
def main_handler(port, context):
    with socket.create_connection(("127.0.0.1", port)) as connection:
        return connection.recv(1).decode()
"""
    scf.create("fn", code, Timeout=20)
    number = 8
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(number) as pool:
        server.settimeout(20)
        port = server.getsockname()[1]
        results = [pool.submit(scf.invoke, "fn", port) for _ in range(number)]
        connections = [server.accept()[0] for _ in results]
        for connection in connections:
            with connection:
                connection.send(b"x")
        assert {result.result()["RetMsg"] for result in results} == {'"x"'}


def test_deleted_function_gets_nothing(scf: ScfClient) -> None:
    """What waits for a function is dropped with it; a new one of that name does not get it."""
    scf.create("fn", ENDS["raises"])
    request_id = asynchronous(scf, "fn")
    scf.move(0)
    scf("DeleteFunction", FunctionName="fn")
    scf.create("fn")
    scf.move(600)
    assert scf.runs("fn", request_id) == []
    assert scf.invoke("fn", 1)["RetMsg"] == "1"


def test_stop_ends_runs() -> None:
    """A cloud that stops ends the functions that run, and does not wait for them."""
    with EmulatedCloud() as cloud:
        scf = ScfClient(cloud)
        scf.create(
            "fn", "import time\ndef main_handler(event, context): time.sleep(60)", Timeout=90
        )
        asynchronous(scf, "fn")
        started = time.monotonic()
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"FunctionName": "none"}, "ResourceNotFound.Function"),
        ({"Namespace": "other"}, "ResourceNotFound.Namespace"),
        ({"Qualifier": "2"}, "ResourceNotFound.Qualifier"),
        ({"InvocationType": "Later"}, "InvalidParameterValue.InvokeType"),
        ({"LogType": "tail"}, "InvalidParameterValue.Param"),
        ({"ClientContext": "{'a': 1}"}, "InvalidParameterValue.Param"),
        (
            {"ClientContext": f'"{"x" * (128 << 10)}"', "InvocationType": "Event"},
            "InvalidParameter.RequestTooLarge",
        ),
        ({"ClientContext": f'"{"x" * (6 << 20)}"'}, "InvalidParameter.RequestTooLarge"),
    ],
)
def test_bad_call_is_refused(scf: ScfClient, params: dict[str, str], code: str) -> None:
    """A call that SCF does not accept gets the API's code, and nothing runs."""
    scf.create("fn")
    assert scf.error("Invoke", **{"FunctionName": "fn", **params}) == code
    assert not scf.cloud.state.functions.runs


@pytest.mark.parametrize(
    ("start", "end", "code"),
    [
        ("2020-01-01 00:00:00", "2020-01-01 00:00:01", ""),
        (None, "2020-01-01 00:00:00", ""),
        ("2020-01-01 00:00:00", None, "InvalidParameterValue.StartTimeOrEndTime"),
        (*["2020-01-01 00:00:00"] * 2, "InvalidParameterValue.StartTimeOrEndTime"),
        ("2020-01-02 00:00:00", "2020-01-01 00:00:00", "InvalidParameterValue.StartTimeOrEndTime"),
        (None, "today", "InvalidParameterValue.StartTimeOrEndTime"),
    ],
)
def test_period(scf: ScfClient, start: str | None, end: str | None, code: str) -> None:
    """A period of runs that begins at a given time also has a later end."""
    scf.create("fn")
    period = {"StartTime": start, "EndTime": end}
    given = {name: value for name, value in period.items() if value}
    assert scf.error("GetRequestStatus", FunctionName="fn", FunctionRequestId="r", **given) == code


def test_failed_update_keeps_the_code(scf: ScfClient) -> None:
    """A function whose update failed still runs the old code, in the same instance."""
    scf.create("fn", "n = 0\ndef main_handler(event, context):\n global n\n n += 1\n return n")
    assert scf.invoke("fn")["RetMsg"] == "1"
    scf.update_code("fn", zipped({"src/index.py": ECHO}))
    assert scf("GetFunction", FunctionName="fn")["Status"] == "UpdateFailed"
    assert scf.invoke("fn")["RetMsg"] == "2"


def test_function_that_is_being_created_cannot_be_called(scf: ScfClient) -> None:
    """A function is called only once it is Active."""
    scf.create("fn", seconds=0)
    assert scf.error("Invoke", FunctionName="fn") == "FailedOperation.FunctionStatusError"


def test_fault_of_this_machine(scf: ScfClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """If no process can be started, who waits gets the status 500, and the event comes again."""
    scf.create("fn")
    with monkeypatch.context() as patched:
        patched.setattr(Instances, "_python", lambda *_: "/nonexistent/python")
        assert json.loads(scf.invoke("fn")["ErrMsg"])["statusCode"] == 500
        request_id = asynchronous(scf, "fn", 1)
        scf.move()
        assert scf.runs("fn", request_id) == [(-1, 0)]
    scf.move(60)
    assert scf.runs("fn", request_id)[-1] == (0, 0)


# --- The clock ---


def timer(scf: ScfClient, cron: str, name: str = "t", function: str = "fn") -> None:
    """Add a timer to a function."""
    given = {"FunctionName": function, "Type": "timer", "TriggerName": name, "TriggerDesc": cron}
    scf("CreateTrigger", **given)


def test_refused_events_do_not_stop_the_clock(scf: ScfClient) -> None:
    """The clock goes on, however many events are due at once and are refused."""
    scf.create("fn")
    scf("PutReservedConcurrencyConfig", FunctionName="fn", ReservedConcurrencyMem=0)
    for number in range(10):
        timer(scf, "0 0 3 * * * *", f"t{number}")
    scf.move(86400)
    runs = scf.cloud.state.functions.runs
    assert {run.result.status for run in runs} == {432}
    assert len({run.delivery.request_id for run in runs}) == 10


def test_timer_fires_by_itself_after_a_move(scf: ScfClient) -> None:
    """After the clock was moved, real time goes on from there."""
    scf.create("fn")
    due = datetime.fromtimestamp(scf.cloud.now() + 3600, BEIJING)
    timer(scf, f"{due.second} {due.minute} {due.hour} * * * *")
    scf.move(int(due.timestamp()) - scf.cloud.now() - 0.3)
    runs = scf.cloud.state.functions.runs
    assert not runs
    for _ in range(100):
        if runs:
            break
        time.sleep(0.1)
    assert runs[0].delivery.event["Type"] == "Timer"


def test_slow_timer_does_not_stop_the_clock(scf: ScfClient) -> None:
    """The clock does not wait for what a timer fires after the time that it is moved to."""
    scf.create("fn", "import time\ndef main_handler(event, context): time.sleep(1.2)")
    timer(scf, "* * * * * * *")
    started = time.monotonic()
    scf.move(2)
    assert time.monotonic() - started < 20
    assert scf.cloud.state.functions.runs


def test_moves_add_up(scf: ScfClient) -> None:
    """Two moves at the same time move the clock by both."""
    scf.create("fn", "import time\ndef main_handler(event, context): time.sleep(0.5)")
    asynchronous(scf, "fn")
    before = scf.cloud.state.moved
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(scf.move, (60, 60)))
    assert 110 < scf.cloud.state.moved - before <= 120


def test_images_follow_the_clock() -> None:
    """An image becomes NORMAL when the clock is moved past its time."""
    image = {"ImageId": "img-6pb6lrmy", "ImageState": "CREATING", "NormalAfter": 30}
    with EmulatedCloud(State({"ap-guangzhou": [image]})) as cloud:
        for seconds, state in ((20, "CREATING"), (20, "NORMAL")):
            cloud.move_clock(seconds)
            assert cloud.state.image("ap-guangzhou", "img-6pb6lrmy")["ImageState"] == state


# --- Faults, logs, and the end ---


def test_faults_of_replies_apply_to_calls() -> None:
    """A fault of the reply to `Invoke` alters it, once the function has run."""
    with EmulatedCloud(faults=Faults((Rule("Invoke", "no-response", calls=(1,)),))) as cloud:
        scf = ScfClient(cloud)
        scf.create("fn")
        with pytest.raises(TencentCloudSDKException):
            scf.invoke("fn")
        assert scf.invoke("fn", 1)["RetMsg"] == "1"
        assert len(cloud.state.functions.runs) == 2


def test_stop_while_calls_arrive() -> None:
    """A cloud stops, however many clients call functions meanwhile."""
    is_over = threading.Event()

    def call(scf: ScfClient) -> None:
        while not is_over.is_set():
            with suppress(TencentCloudSDKException):
                scf.invoke("fn")

    with ThreadPoolExecutor(4) as pool:
        with EmulatedCloud() as cloud:
            scf = ScfClient(cloud)
            scf.create("fn")
            for _ in range(4):
                pool.submit(call, scf)
            time.sleep(0.3)
            started = time.monotonic()
        assert time.monotonic() - started < 10
        is_over.set()


@pytest.mark.parametrize("problem", ["blocks", "fails"])
def test_nobody_reads_the_log(problem: str) -> None:
    """If what receives the logs blocks or fails, functions run, and the cloud stops."""
    is_over = threading.Event()

    def write(_: bytes) -> None:
        if problem == "fails":
            raise BrokenPipeError
        is_over.wait()

    with EmulatedCloud(write=write) as cloud:
        scf = ScfClient(cloud)
        scf.create("fn", "def main_handler(event, context): print('x' * 200_000)")
        for _ in range(3):
            assert scf.invoke("fn")["ErrMsg"] == ""
        started = time.monotonic()
    assert time.monotonic() - started < 10
    is_over.set()


def test_log_is_bounded_and_text() -> None:
    """A log is kept up to 1 MB, and each is whole text, so that none damages the next."""
    written: list[bytes] = []
    with EmulatedCloud(write=written.append) as cloud:
        scf = ScfClient(cloud)
        code = "import sys\ndef main_handler(event, context):\n print('x' * 3_000_000)\n"
        scf.create("fn", code + " sys.stdout.flush()\n sys.stdout.buffer.write(b'\\xe4\\xb8')")
        scf.invoke("fn")
    assert len(written[0]) < 2 << 20
    scf.cloud.state.functions.runs[0].log.decode("utf-8", "replace")
    written[0].decode()


@pytest.mark.parametrize("header", ["Origin: https://example.com", "Sec-Fetch-Site: cross-site"])
def test_web_pages_are_refused(scf: ScfClient, header: str) -> None:
    """A request that a web page has made is not answered, whatever it is for."""
    name, _, value = header.partition(": ")
    connection = HTTPConnection(scf.cloud.url.removeprefix("http://"))
    with closing(connection):
        connection.request("GET", "/_state", headers={name: value})
        assert connection.getresponse().status == 403
