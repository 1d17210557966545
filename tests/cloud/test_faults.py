"""Faults of the emulated cloud: the reply on the wire, and whether the change was applied."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import pytest

from scf_local.cloud.faults import FAULTS, Faults, Rule
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.signatures import cos_signature, tc3_signature
from scf_local.cloud.state import State
from scf_local.cloud.wire import Request

if TYPE_CHECKING:
    from collections.abc import Callable
    from http.client import HTTPMessage

    from scf_local.cloud.wire import Call, Reply

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "faults.md").read_text("utf-8")
SCF_LOCAL = Path(sys.executable).parent / "scf-local"
REGION, IMAGE, BUCKET = "ap-guangzhou", "img-6pb6lrmy", "manifests-1250000000"
MODIFY, LONG = "ModifyImageAttribute", 3600.0


def faulty(*rules: Rule, **settings: Any) -> EmulatedCloud:  # noqa: ANN401 - those of EmulatedCloud
    """A seeded cloud with these rules."""
    state = State.from_folder(ROOT / "events" / "seed")
    return EmulatedCloud(state, faults=Faults(rules), **settings)


def modify(cloud: EmulatedCloud, timeout: float = 10) -> http.client.HTTPConnection:
    """A connection that has requested to rename the image to "sample"."""
    host, credentials, now = cloud.url.removeprefix("http://"), cloud.credentials, int(time.time())
    body = json.dumps({"ImageId": IMAGE, "ImageName": "sample"}).encode()
    headers = {"content-type": "application/json", "host": host}
    request = Request("POST", "/", "", headers, body)
    signature = tc3_signature(credentials.secret_key, request, headers, now, "cvm")
    date = time.strftime("%Y-%m-%d", time.gmtime(now))
    headers |= {
        "Authorization": "TC3-HMAC-SHA256 "
        f"Credential={credentials.secret_id}/{date}/cvm/tc3_request, "
        f"SignedHeaders=content-type;host, Signature={signature}",
        "X-TC-Action": MODIFY,
        "X-TC-Version": "2017-03-12",
        "X-TC-Region": REGION,
        "X-TC-Timestamp": str(now),
        "X-TC-Token": credentials.token,
    }
    connection = http.client.HTTPConnection(host, timeout=timeout)
    connection.request("POST", "/", body, headers)
    return connection


def put(cloud: EmulatedCloud, method: str = "PUT") -> http.client.HTTPConnection:
    """A connection that has put b"content" to the key "new"."""
    credentials, now = cloud.credentials, int(time.time())
    window = f"{now - 60};{now + 60}"
    signature = cos_signature(credentials.secret_key, Request(method, "/new"), window)
    headers = {
        "Host": f"{BUCKET}.cos.{REGION}.myqcloud.com",
        "x-cos-security-token": credentials.token,
        "Authorization": f"q-sign-algorithm=sha1&q-ak={credentials.secret_id}&q-sign-time={window}"
        f"&q-key-time={window}&q-header-list=&q-url-param-list=&q-signature={signature}",
    }
    connection = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=10)
    connection.request(method, "/new", b"content" if method == "PUT" else None, headers)
    return connection


def receive(connection: http.client.HTTPConnection) -> tuple[int, HTTPMessage, bytes]:
    """Return status, headers and body of the reply."""
    try:
        reply = connection.getresponse()
        return reply.status, reply.headers, reply.read()
    finally:
        connection.close()


def renamed(cloud: EmulatedCloud) -> bool:
    """Whether the image has its new name."""
    name: str = cloud.state.image(REGION, IMAGE)["ImageName"]
    return name == "sample"


def outcome(cloud: EmulatedCloud) -> tuple[str, str]:
    """The recorded outcome and fault of the only call."""
    (call,) = cloud.state.snapshot()["Calls"]
    return call["Outcome"], call["Fault"]


def error_code(body: bytes) -> str:
    """The code of a well-formed error reply."""
    response = json.loads(body)["Response"]
    assert response["RequestId"]
    return str(response["Error"]["Code"])


def is_success(body: bytes) -> bool:
    """Whether a body is the normal success reply."""
    members = set(json.loads(body)["Response"])
    return members == {"RequestId"}


JSON, HTML = "application/json", "text/html"
REPLIES: list[tuple[str, dict[str, Any], str, int, str, Callable[[bytes], object]]] = [
    # fault, its parameters, recorded outcome, status, Content-Type, check of the body
    ("error", {"code": "A.B"}, "A.B", 200, JSON, lambda b: error_code(b) == "A.B"),
    ("error", {"code": "A.B", "status": 500}, "A.B", 500, JSON, lambda b: error_code(b) == "A.B"),
    ("error", {"code": "A", "message": "why"}, "A", 200, JSON, lambda b: b'"why"' in b),
    (
        "error-charset",
        {"code": "A"},
        "A",
        200,
        f"{JSON}; charset=utf-8",
        lambda b: error_code(b) == "A",
    ),
    ("error-html", {"code": "A"}, "A", 200, HTML, lambda b: error_code(b) == "A"),
    (
        "error-no-request-id",
        {"code": "A"},
        "A",
        200,
        JSON,
        lambda b: b'"A"' in b and b"Id" not in b,
    ),
    ("error-applied", {"code": "A"}, "ok", 200, JSON, lambda b: error_code(b) == "A"),
    ("empty", {}, "ok", 200, JSON, lambda b: b == b""),
    ("html", {}, "ok", 200, HTML, lambda b: b.startswith(b"<html>")),
    ("html-as-json", {}, "ok", 200, JSON, lambda b: b.startswith(b"<html>")),
    ("no-response", {}, "ok", 200, JSON, lambda b: b == b"{}"),
    ("list", {}, "ok", 200, JSON, lambda b: b == b"[]"),
    ("no-request-id", {}, "ok", 200, JSON, lambda b: json.loads(b) == {"Response": {}}),
    ("unknown-field", {}, "ok", 200, JSON, lambda b: "UnknownField" in json.loads(b)["Response"]),
    ("content-type", {}, "ok", 200, "text/plain", is_success),
    ("content-type", {"content_type": "a/b; c=d"}, "ok", 200, "a/b; c=d", is_success),
    ("utf-16", {}, "ok", 200, JSON, lambda b: is_success(b.decode("utf-16").encode())),
    ("status", {}, "fault:status", 503, HTML, lambda b: b.startswith(b"<html>")),
    ("status", {"status": 429, "content_type": JSON}, "fault:status", 429, JSON, json.loads),
    ("redirect", {}, "fault:redirect", 302, "", lambda b: b == b""),
    ("slow", {"seconds": 0.01}, "ok", 200, JSON, is_success),
    ("jitter", {"seconds": 0.01}, "ok", 200, JSON, is_success),
    ("drip", {"seconds": 0.0001}, "ok", 200, JSON, is_success),
    (
        "skew",
        {},
        "AuthFailure.SignatureExpire",
        200,
        JSON,
        lambda b: "SignatureExpire" in error_code(b),
    ),
    ("skew", {"seconds": -400.0}, "AuthFailure.SignatureExpire", 200, JSON, error_code),
    ("skew", {"seconds": 200.0}, "ok", 200, JSON, is_success),
    ("expired-token", {}, "AuthFailure.TokenFailure", 200, JSON, error_code),
]


@pytest.mark.parametrize(
    ("fault", "parameters", "recorded", "status", "content_type", "check"), REPLIES
)
def test_reply(  # noqa: PLR0913, PLR0917 - the columns of the table
    fault: str,
    parameters: dict[str, Any],
    recorded: str,
    status: int,
    content_type: str,
    check: Callable[[bytes], object],
) -> None:
    """Each fault with a whole reply sends this one, and applies the change or does not."""
    with faulty(Rule(MODIFY, fault, **parameters)) as cloud:
        received_status, headers, body = receive(modify(cloud))
    assert (received_status, headers.get("Content-Type", "")) == (status, content_type)
    assert check(body)
    assert outcome(cloud) == (recorded, fault)
    assert renamed(cloud) == (recorded == "ok") == bool(cloud.state.writes())


@pytest.mark.parametrize(("fault", "applied"), [("cut", False), ("cut-applied", True)])
@pytest.mark.parametrize("send", [modify, put])
def test_cut(
    fault: str, applied: object, send: Callable[[EmulatedCloud], http.client.HTTPConnection]
) -> None:
    """The connection is closed without a byte, before or after the change is applied."""
    with faulty(Rule("*", fault)) as cloud, pytest.raises(http.client.RemoteDisconnected):
        receive(send(cloud))
    assert outcome(cloud) == ("ok" if applied else f"fault:{fault}", fault)
    changed = renamed(cloud) or "new" in cloud.state.objects[BUCKET]
    assert changed == applied


@pytest.mark.parametrize("send", [modify, put])
def test_truncated(send: Callable[[EmulatedCloud], http.client.HTTPConnection]) -> None:
    """Fewer bytes arrive than announced, after the change, even if the reply has no body."""
    with (
        faulty(Rule("*", "truncated")) as cloud,
        pytest.raises(http.client.IncompleteRead) as raised,
    ):
        receive(send(cloud))
    assert raised.value.partial
    assert raised.value.expected
    assert cloud.state.writes()


def test_redirect_leads_nowhere() -> None:
    """A client that follows the redirect does not find the API."""
    with faulty(Rule(MODIFY, "redirect")) as cloud:
        connection = modify(cloud)
        location = connection.getresponse().headers["Location"]
        connection.close()
        connection.request("GET", location)
        assert receive(connection)[0] == 404


def test_slow() -> None:
    """A slow reply is delayed without delaying other clients."""
    with faulty(Rule(MODIFY, "slow", calls=(1,), seconds=0.05)) as cloud:
        start = time.monotonic()
        slow = modify(cloud)
        assert is_success(receive(modify(cloud))[2])
        assert is_success(receive(slow)[2])
        assert time.monotonic() - start >= 0.05


def test_drip() -> None:
    """The first byte arrives at once, the second much later."""
    with faulty(Rule(MODIFY, "drip", seconds=LONG)) as cloud:
        connection = modify(cloud, timeout=0.2)
        reply = connection.getresponse()
        assert reply.read(1) == b"{"
        with pytest.raises(TimeoutError):
            reply.read(1)
        connection.close()
    assert renamed(cloud)


@pytest.mark.parametrize(("fault", "applied"), [("silent", False), ("slow", True), ("drip", True)])
def test_stop_ends_every_delay(fault: str, applied: object) -> None:
    """The server answers other clients during a delay, and stops at once."""
    replied = Event()

    def signal_reply(_call: Call, reply: Reply) -> Reply:
        replied.set()
        return reply

    rule = Rule(MODIFY, fault, seconds=0 if fault == "silent" else LONG)
    with faulty(rule, on_reply=signal_reply) as cloud:
        waiting = modify(cloud)
        assert replied.wait(10)
        other = http.client.HTTPConnection(cloud.url.removeprefix("http://"), timeout=10)
        other.request("GET", "/_state")
        assert json.loads(receive(other)[2])["Calls"][0]["Fault"] == fault
    with pytest.raises((http.client.RemoteDisconnected, http.client.IncompleteRead)):
        receive(waiting)
    assert renamed(cloud) == applied


@pytest.mark.parametrize(
    ("fault", "parameters", "recorded", "status", "pattern"),
    [
        ("error", {"code": "A"}, "A", 403, rb"<Code>A</Code>[^$]*<RequestId>.+</RequestId>"),
        ("error", {"code": "A", "status": 503}, "A", 503, rb"<Code>A</Code>"),
        (
            "error-no-request-id",
            {"code": "A"},
            "A",
            403,
            rb"^(?![^$]*RequestId)[^$]*<Code>A</Code>",
        ),
        ("error-applied", {"code": "A"}, "ok", 403, rb"<Code>A</Code>"),
        ("html", {}, "ok", 200, rb"^<html>"),
        ("empty", {}, "ok", 200, rb"^$"),
        ("status", {"status": 500}, "fault:status", 500, rb"^<html>"),
        ("unknown-field", {}, "ok", 200, rb"^$"),
        ("no-request-id", {}, "ok", 200, rb"^$"),
        ("skew", {}, "AccessDenied", 403, rb"Request has expired"),
        ("skew", {"seconds": -LONG}, "RequestTimeTooSkewed", 403, rb"not valid yet"),
        ("expired-token", {}, "InvalidToken", 403, rb"<Code>InvalidToken</Code>"),
    ],
)
def test_cos_reply(
    fault: str, parameters: dict[str, Any], recorded: str, status: int, pattern: bytes
) -> None:
    """COS has the same faults; its errors are XML with an HTTP status."""
    with faulty(Rule("PutObject", fault, **parameters)) as cloud:
        received_status, headers, body = receive(put(cloud))
    assert received_status == status
    assert re.search(pattern, body)
    assert outcome(cloud) == (recorded, fault)
    assert ("new" in cloud.state.objects[BUCKET]) == (recorded == "ok")
    without = {"no-request-id", "error-no-request-id", "status"}
    assert ("x-cos-request-id" in headers) == (fault not in without)
    assert ("x-cos-unknown-field" in headers) == (fault == "unknown-field")


@pytest.mark.parametrize("fault", ["truncated", "drip", "utf-16"])
def test_head_has_no_body(fault: str) -> None:
    """A reply to HEAD has no body, even if a fault changes the body."""
    with faulty(Rule("HeadObject", fault)) as cloud:
        cloud.state.objects[BUCKET]["new"] = Object(b"content")
        status, headers, body = receive(put(cloud, "HEAD"))
    assert (status, headers["Content-Type"], body) == (200, "application/octet-stream", b"")


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ({}, [1, 2, 3, 4, 5]),
        ({"calls": (1, 3)}, [1, 3]),
        ({"start": 4}, [4, 5]),
        ({"calls": (1,), "start": 5}, [1, 5]),
        ({"calls": (2,), "probability": 0}, []),
    ],
)
def test_which_calls(selection: dict[str, Any], numbers: list[int]) -> None:
    """Calls, From, both or neither select the calls of an action."""
    faults = Faults((Rule(MODIFY, "cut", **selection),))
    assert [number for number in range(1, 6) if faults.rule_for(MODIFY, number)] == numbers
    assert not faults.rule_for("DescribeImages", 1)


def test_first_rule_wins() -> None:
    """The first matching rule applies, and each action's calls are counted separately."""
    rules = Rule(MODIFY, "error", calls=(2,), code="Second"), Rule("*", "error", code="Any")
    with faulty(*rules) as cloud:
        put(cloud).close()
        assert [error_code(receive(modify(cloud))[2]) for _ in range(3)] == ["Any", "Second", "Any"]


def test_probability() -> None:
    """A rule applies with its probability, to the same calls for the same seed."""

    def hits(seed: int) -> list[bool]:
        faults = Faults((Rule("*", "cut", probability=0.3),), seed)
        return [faults.rule_for(MODIFY, number) is not None for number in range(1, 1001)]

    assert 250 < sum(hits(1)) < 350
    assert hits(1) == hits(1) != hits(2)


def test_jitter() -> None:
    """Jitter is spread up to the given seconds, and is the same for the same seed."""
    faults = Faults((Rule("*", "jitter", seconds=10),))
    seconds = [rule.seconds for number in range(100) if (rule := faults.rule_for(MODIFY, number))]
    assert 0 < min(seconds) < 2
    assert 8 < max(seconds) <= 10
    again = [rule.seconds for number in range(100) if (rule := faults.rule_for(MODIFY, number))]
    assert seconds == again


def test_on_reply_sees_the_fault() -> None:
    """`on_reply` receives the reply as it would be sent."""
    replies: list[Reply] = []

    def record(_call: Call, reply: Reply) -> Reply:
        replies.append(reply)
        return reply

    with faulty(Rule("*", "list"), on_reply=record) as cloud:
        receive(modify(cloud))
    assert [reply.body for reply in replies] == [b"[]"]


def test_many_calls_are_counted() -> None:
    """Numbers continue from the existing calls, and counting stays fast."""
    state = State(calls=[{"Action": "a", "Outcome": "ok"}])
    numbers = [state.record({"Action": "a", "Outcome": "ok"}) for _ in range(100_000)]
    assert numbers == list(range(2, 100_002))
    assert (state.count("a"), state.count("b")) == (100_001, 0)


RULE = {"Action": MODIFY, "Fault": "error", "Code": "InternalError"}


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ("[", "faults.json: not JSON: line 1, column 2"),
        ('{"Rules": [], "Rules": []}', 'member "Rules" appears 2 times in one object'),
        ("[" * 100_000, "faults.json: "),
        ([], r"faults.json: is an array; must be an object"),
        ({"Rules": {}}, "/Rules: is an object; must be an array"),
        ({"Rules": [], "seed": 1}, '/seed: unknown member "seed"; did you mean Seed'),
        ({"Rules": [], "Seed": 1.5}, "/Seed: is a number; must be an integer"),
        ([RULE, 1], "/Rules/1: is a number; must be an object"),
        ([{"Action": MODIFY}], "/Rules/0: member Fault is missing"),
        ([{"Fault": "cut"}], "/Rules/0: member Action is missing"),
        (
            [RULE | {"Action": "Modify"}],
            '/Action: "Modify" is not one of .*; did you mean ModifyImageAttribute',
        ),
        ([RULE | {"Action": "ModifyImage"}], "/Action: .*GetObject.*mean ModifyImageAttribute"),
        (
            [RULE | {"Fault": "eror"}],
            r'/Rules/0/Fault: "eror" is not one of error, .*; did you mean error\?',
        ),
        ([RULE | {"Fault": ["error"]}], "/Rules/0/Fault: "),
        ([RULE | {"Call": [1]}], r'/Rules/0/Call: unknown member "Call"; did you mean Calls\?'),
        ([RULE | {"Calls": 1}], "/Calls: is a number; must be an array"),
        ([RULE | {"Calls": [0]}], r"/Calls/0: is 0; must be at least 1"),
        ([RULE | {"Calls": [True]}], r"/Calls/0: is a boolean; must be an integer"),
        ([RULE | {"From": 0}], "/From: is 0; must be at least 1"),
        ([RULE | {"Probability": 1.5}], "/Probability: is 1.5; must be at most 1"),
        ([RULE | {"Probability": True}], "/Probability: is a boolean"),
        ([RULE | {"From": 0, "Status": 0}], "(?s)/From: is 0.*/Status: is 0"),
        ([RULE | {"Probability": float("nan")}], "NaN is not a JSON number"),
        ([RULE | {"Status": 200}], "/Status: is 200; must be at least 400"),
        ([RULE | {"Status": 0}], "/Status: is 0"),
        ([RULE | {"Code": "\n"}], "/Code: .*; must be one line of text"),
        ([RULE | {"Code": ""}], "/Rules/0/Code: is required for fault 'error'"),
        ([RULE | {"Message": "a\nb"}], "/Message: "),
        ([RULE | {"Seconds": 1}], "/Seconds: fault 'error' allows Code, Message, Status"),
        ([{"Action": "*", "Fault": "error"}], "/Rules/0/Code: is required for fault 'error'"),
        (
            [{"Action": "*", "Fault": "cut", "Status": 500}],
            "/Status: fault 'cut' allows no parameters",
        ),
        ([{"Action": "*", "Fault": "slow", "Seconds": 0}], "/Seconds: .*0 should not be valid"),
        ([{"Action": "*", "Fault": "slow", "Seconds": -1}], "/Seconds: is -1; only 'skew' allows"),
        ([{"Action": "*", "Fault": "slow", "Seconds": 10**300}], "/Seconds: is 1000"),
        ([{"Action": "*", "Fault": "status", "ContentType": "a\r\nb"}], "/ContentType: "),
    ],
)
def test_invalid_file(tmp_path: Path, rules: Any, message: str) -> None:  # noqa: ANN401 - any JSON
    """Every error names the file, the path in it, and what is allowed."""
    path = tmp_path / "faults.json"
    content = {"Rules": rules} if isinstance(rules, list) and rules else rules
    path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    with pytest.raises(ValueError, match=message) as raised:
        Faults.from_file(path)
    assert str(raised.value).startswith(str(path))


def test_missing_file(tmp_path: Path) -> None:
    """The error for a missing file names it."""
    with pytest.raises(ValueError, match=r"none\.json: .*No such file"):
        Faults.from_file(tmp_path / "none.json")


def test_documented_example(tmp_path: Path) -> None:
    """The example in docs/faults.md is valid and contains the rules that the page explains."""
    (example,) = re.findall(r"```json\n([\s\S]+?)```", DOCS)
    path = tmp_path / "faults.json"
    path.write_text(example, "utf-8")
    assert Faults.from_file(path) == Faults(
        (
            Rule("GetObject", "slow", seconds=0.2),
            Rule(MODIFY, "cut-applied", calls=(1,)),
            Rule(MODIFY, "error", code="RequestLimitExceeded", probability=0.3),
            Rule("*", "status", status=500, start=20),
        ),
        7,
    )


def test_documented_faults() -> None:
    """The table in docs/faults.md lists every fault, its parameters, and whether it applies."""
    rows = re.findall(r"^\| `([a-z0-9-]+)` \| (.+?) \| .+ \| (.*?) ?\|$", DOCS, re.MULTILINE)
    assert [name for name, _, _ in rows] == list(FAULTS)
    for fault, applied, parameters in rows:
        documented = {name.lower() for name in re.findall(r"`(\w+)`", parameters)}
        assert documented == {key.replace("_", "") for key in FAULTS[fault].parameters}
        if fault not in {"skew", "expired-token"}:
            assert applied == ("no" if FAULTS[fault].skips_action else "yes")


def scf_local(*args: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(  # noqa: S603 - our own command
        [SCF_LOCAL, *args], input=stdin, cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_invoke_with_faults(tmp_path: Path) -> None:
    """The function meets the faults of `--faults`: here, it cannot read the images."""
    path = tmp_path / "faults.json"
    code = "AuthFailure.UnauthorizedOperation"
    rule = {"Action": "DescribeImages", "Fault": "error", "Code": code}
    path.write_text(json.dumps({"Rules": [rule]}), "utf-8")
    event = json.dumps({"ImageId": IMAGE, "ImageName": "x"})
    assert scf_local("invoke", "-", stdin=event).returncode == 0
    run = scf_local("invoke", "-", "--faults", path, stdin=event)
    assert run.returncode == 1
    assert code in run.stdout + run.stderr


@pytest.mark.parametrize("command", [("invoke", "-"), ("replay", "events"), ("cloud",)])
def test_invalid_faults_are_a_usage_error(tmp_path: Path, command: tuple[str, ...]) -> None:
    """Each command with its own emulated cloud reads the file, and rejects an invalid one."""
    path = tmp_path / "faults.json"
    path.write_text('{"Rules": [{"Action": "*", "Fault": "cutt"}]}', "utf-8")
    run = scf_local(*command, "--faults", path, stdin="{}")
    assert run.returncode == 2
    assert '/Rules/0/Fault: "cutt" is not one of error, ' in run.stderr
    assert "did you mean cut?" in run.stderr
    assert "Traceback" not in run.stderr


def test_faults_are_not_for_an_endpoint(tmp_path: Path) -> None:
    """A running cloud cannot be given faults."""
    path = tmp_path / "faults.json"
    path.write_text('{"Rules": []}', "utf-8")
    endpoint = ("--endpoint", "http://127.0.0.1:9")
    run = scf_local("invoke", "-", *endpoint, "--faults", path, stdin="{}")
    assert run.returncode == 2
    assert "--faults cannot be used with --endpoint" in run.stderr
