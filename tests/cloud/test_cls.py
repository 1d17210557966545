"""The emulated CLS: what functions log is delivered to topics, and found there."""

from __future__ import annotations

import json
import re
import time
from itertools import chain
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tencentcloud.cls.v20201016 import errorcodes, models
from tencentcloud.cls.v20201016.cls_client import ClsClient
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile

from scf_client import ScfClient
from scf_local.cloud.cam.model import Policy, Role
from scf_local.cloud.cls import delivery, model, queries, service
from scf_local.cloud.cls.model import LogRecord, Topics
from scf_local.cloud.scf.model import Delivery, Run
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.cloud.wire import ErrorReply
from scf_local.invocation import result_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REGION, TOPIC = "ap-guangzhou", "topic-1"
LOG: dict[str, Any] = {"AutoCreateClsTopic": "TRUE"}


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """A cloud without functions."""
    with EmulatedCloud(State()) as cloud:
        yield cloud


@pytest.fixture
def scf() -> Iterator[ScfClient]:
    """A client of a cloud to which functions can be deployed."""
    with EmulatedCloud(State()) as cloud:
        yield ScfClient(cloud)


def search(cloud: EmulatedCloud, keys: Any = None, **params: Any) -> dict[str, Any]:  # noqa: ANN401 - the action's
    """Return the reply of SearchLog for all times, checked by the SDK's types."""
    keys = keys or cloud.credentials
    profile = ClientProfile(httpProfile=HttpProfile(protocol="http"))
    profile.httpProfile.endpoint = cloud.url.removeprefix("http://")
    client = ClsClient(Credential(keys.secret_id, keys.secret_key, keys.token), REGION, profile)
    request = models.SearchLogRequest()
    request.from_json_string(json.dumps({"From": 0, "To": 1 << 42, **params}))
    reply: dict[str, Any] = json.loads(client.SearchLog(request).to_json_string())
    return reply


def error(cloud: EmulatedCloud, **params: Any) -> tuple[str, str]:  # noqa: ANN401 - the action's
    """Return the code and the message of the error reply, one of those of the SDK."""
    with pytest.raises(TencentCloudSDKException) as raised:
        search(cloud, **params)
    code = raised.value.get_code()
    assert code in [*vars(errorcodes).values(), "UnknownParameter"]
    return code, raised.value.get_message()


def fill(cloud: EmulatedCloud, *records: tuple[int, str], topic: str = TOPIC) -> None:
    """Put records with a time and a message into a topic, as one run."""
    package = f"{next(cloud.state.topics.packages):X}"
    cloud.state.topics.add((REGION, topic), [
        LogRecord(logged, package, number, {"SCF_Message": message})
        for number, (logged, message) in enumerate(records)
    ])  # fmt: skip


def messages(reply: dict[str, Any]) -> list[str]:
    """Return the messages of the records in a reply."""
    return [json.loads(each["LogJson"])["SCF_Message"] for each in reply["Results"]]


# --- Delivery ---

TALK = """
import time
def main_handler(event, context):
    print('{"a": 1}')
    print("é" * 5000)
    time.sleep(0.05)
    if event == "raise":
        raise ValueError("bad")
    print("end\\u2028of", flush=True)
    return {"x": ["é", event]}
"""


def test_run_becomes_records(scf: ScfClient) -> None:
    """Each line of a run, SCF's own ones too, is a record with the fields of SCF, all strings."""
    scf.create("talk", TALK, **LOG)
    result = scf.invoke("talk", "go")
    topic = scf("GetFunction", FunctionName="talk")["ClsTopicId"]
    reply = search(scf.cloud, TopicId=topic, Sort="asc")
    records = [json.loads(each["LogJson"]) for each in reply["Results"]]
    run = result["FunctionRequestId"]
    found = [(each["SCF_Type"], re.sub(r":\d+ms.*", ":…", each["SCF_Message"])) for each in records]
    assert found == [
        ("Platform", f"START RequestId:{run}"),
        ("Platform", f"Init Report RequestId:{run} Coldstart:…"),
        ("Custom", '{"a": 1}'),
        ("Custom", "é" * 4096),
        ("Custom", "end\u2028of"),
        ("Platform", f'Response RequestId:{run} RetMsg:{{"x":["é","go"]}}'),
        ("Platform", f"END RequestId:{run}"),
        ("Platform", f"Report RequestId:{run} Duration:…"),
    ]
    report = records[-1]
    assert {**report, "SCF_Message": "", "SCF_LogTime": ""} == {
        "SCF_FunctionName": "talk", "SCF_Namespace": "default", "SCF_RequestId": run,
        "SCF_StartTime": records[0]["SCF_StartTime"], "SCF_LogTime": "", "SCF_Alias": "$DEFAULT",
        "SCF_Duration": f"{result['Duration']:.0f}", "SCF_Qualifier": "$LATEST",
        "SCF_MemUsage": f"{result['MemUsage'] / (1 << 20):.2f}", "SCF_Level": "INFO",
        "SCF_Message": "", "SCF_Type": "Platform", "SCF_StatusCode": "200", "SCF_RetryNum": "0",
    }  # fmt: skip
    assert {each["SCF_StatusCode"] for each in records[:-1]} == {"202"}
    assert {each["SCF_Duration"] for each in records[:-1]} == {"0"}
    times = [int(each["SCF_LogTime"]) for each in records]
    assert times == sorted(times)
    assert times[-1] - times[0] > 50_000_000
    assert [each["Time"] for each in reply["Results"]] == [each // 10**6 for each in times]
    assert len({each["PkgId"] for each in reply["Results"]}) == 1
    assert [each["PkgLogId"] for each in reply["Results"]] == [*map(str, range(8))]


def test_retries_and_failures(scf: ScfClient) -> None:
    """Each delivery is a package of its own, with its number; what has not started logs nothing."""
    scf.create("talk", TALK, **LOG)
    scf.invoke("talk", "raise", InvocationType="Event")
    scf.move(200)
    scf("PutReservedConcurrencyConfig", FunctionName="talk", ReservedConcurrencyMem=0)
    scf.invoke("talk", "go")
    topic = scf("GetFunction", FunctionName="talk")["ClsTopicId"]
    results = search(scf.cloud, TopicId=topic, Sort="asc", QueryString="Report OR ERROR")["Results"]
    fields = [json.loads(each["LogJson"]) for each in results]
    ends = [
        (each["SCF_RetryNum"], each["SCF_StatusCode"])
        for each in fields
        if each["SCF_Message"].startswith("Report")
    ]
    assert ends == [("0", "430"), ("1", "430"), ("2", "430")]
    assert len([each for each in fields if each["SCF_Message"].startswith("ERROR")]) == 3
    assert len({each["PkgId"] for each in results}) == 3


def test_printed_lines_that_look_like_scfs() -> None:
    """Of lines in SCF's form, those with the run's id are SCF's; only the last one has its end."""
    done = result_of({"Status": 430, "Message": "m"}, "r-1")
    texts = "", "START RequestId:r-1", "", *["Report RequestId:r-1", "ERROR RequestId:r-2"] * 2
    log = "\n".join(texts[:-1]).encode() + b"\n"
    run = Run(Delivery("", "fn", None, "r-1", 0, 0), 1.0019, done, log)
    found = [
        (each.time, each.fields["SCF_Type"], each.fields["SCF_StatusCode"])
        for each in delivery.records(run, [(0, 1.002), (22, 2.0), (43, 3.0)], "p")
    ]
    assert found == [
        (1002, "Custom", "202"), (1002, "Platform", "202"), (1002, "Custom", "202"),
        (2000, "Platform", "202"), (3000, "Custom", "202"), (3000, "Platform", "430"),
    ]  # fmt: skip


def test_long_log(scf: ScfClient) -> None:
    """Of what a run prints, the first 1 MB is kept; SCF's own lines are there in any case."""
    code = "def main_handler(event, context):\n for _ in range(3000): print('x' * 999)\n return 1"
    scf.create("fn", code)
    for _ in range(2):  # the second run is warm
        log = scf.invoke("fn", LogType="Tail")["Log"]
        (*_, run) = scf.cloud.state.functions.runs
        assert run.log.count(b"x") + run.log.count(b"x\n") == (1 << 20) + 1  # ends the last line
        kinds = [line.split(" ")[0] for line in log.split("\n")[-4:]]
        assert kinds == ["Response", "END", "Report", ""]
        assert run.log.startswith(b"START")


def test_result_is_in_each_log(scf: ScfClient) -> None:
    """The line Response is in the log that is kept and in the reply, cut as any line."""
    scf.create("big", "def main_handler(event, context): return ['é', 'x' * 20000, '\\ud800']")
    log = scf.invoke("big", LogType="Tail")["Log"]
    (run,) = scf.cloud.state.functions.runs
    (line,) = [line for line in run.log.split(b"\n") if line.startswith(b"Response")]
    assert len(line) == 8192
    assert line.startswith(f'Response RequestId:{run.result.request_id} RetMsg:["é","xx'.encode())
    assert log.split("\n")[0] == "x" * len(log.split("\n")[0])
    assert [each.split(" ")[0] for each in log.split("\n")[1:]] == ["END", "Report", ""]
    assert not scf.cloud.state.topics.records


def test_topics_keep_the_newest_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of all topics together, the oldest records go when there are too many."""
    size = LogRecord(0, "", 0, {"SCF_Message": "0"}).size
    monkeypatch.setattr(model, "MAX_BYTES", 3 * size)
    topics = Topics()
    for number in range(5):
        record = LogRecord(number, "", 0, {"SCF_Message": str(number)})
        topics.add((REGION, "cabab"[number]), [record])
    kept = {
        topic: [each.time for each in records] for (_, topic), records in topics.records.items()
    }
    assert kept == {"a": [3], "b": [2, 4], "c": []}
    assert topics.size == 3 * size


# --- SearchLog ---


def test_reply(cloud: EmulatedCloud) -> None:
    """The reply has all members; the newest records are first."""
    fill(cloud, (1_764_120_000_123, "a"), (1_764_120_000_124, "b"))
    reply = search(cloud, TopicId=TOPIC)
    assert messages(reply) == ["b", "a"]
    assert len(reply.pop("Context")) > 64
    assert reply.pop("RequestId")
    _, result = reply.pop("Results")
    assert reply == {
        "ListOver": True, "Analysis": False, "ColNames": None, "AnalysisResults": None,
        "AnalysisRecords": None, "Columns": None, "SamplingRate": 1, "Topics": None,
    }  # fmt: skip
    assert result == {
        "Time": 1_764_120_000_123, "TimeNanos": 123_000_000, "TopicId": TOPIC, "TopicName": "scf",
        "Source": "10.0.0.1", "FileName": "", "HostName": "", "PkgId": "1", "PkgLogId": "0",
        "HighLights": None, "LogJson": '{"SCF_Message": "a"}', "RawLog": "", "IndexStatus": "",
    }  # fmt: skip


def test_topics(cloud: EmulatedCloud) -> None:
    """A topic may be named in Topics, which then has the Context; several are not emulated."""
    fill(cloud, (1, "a"), (2, "b"))
    reply = search(cloud, Topics=[{"TopicId": TOPIC}], Limit=1)
    assert (messages(reply), reply["Context"], reply["Topics"]["Errors"]) == (["b"], "", [])
    (info,) = reply["Topics"]["Infos"]
    following = {"TopicId": TOPIC, "Context": info["Context"]}
    assert messages(search(cloud, Topics=[following], Limit=1)) == ["a"]
    code, message = error(cloud, Topics=[{"TopicId": TOPIC}] * 2)
    assert (code, message) == ("UnsupportedOperation", "Several Topics are not emulated, only one.")


def test_topic_of_a_function_that_has_not_run(scf: ScfClient) -> None:
    """The topic of a function is there, and empty, before it has run."""
    scf.create("fn", **LOG)
    topic = scf("GetFunction", FunctionName="fn")["ClsTopicId"]
    reply = search(scf.cloud, TopicId=topic)
    assert (reply["Results"], reply["ListOver"]) == ([], True)


def test_times_and_order(cloud: EmulatedCloud) -> None:
    """From counts, To does not; records of the same time are in the order of their lines."""
    fill(cloud, (2, "c"), (2, "d"), (3, "e"))
    fill(cloud, (1, "a"), (2, "b"))
    times = {"TopicId": TOPIC, "From": 2, "To": 3}
    assert messages(search(cloud, Sort="asc", **times)) == ["c", "d", "b"]
    assert messages(search(cloud, Sort="desc", **times)) == ["b", "d", "c"]
    assert messages(search(cloud, TopicId=TOPIC, From=2, To=2)) == []


@pytest.mark.parametrize("sort", ["asc", "desc"])
def test_pages(cloud: EmulatedCloud, sort: str) -> None:
    """Pages by Context and by Offset have each record once, also if others arrive meanwhile."""
    fill(cloud, *((number // 3, str(number)) for number in range(250)))
    params = {"TopicId": TOPIC, "Sort": sort, "QueryString": "NOT late"}
    found, context = [], ""
    while True:
        reply = search(cloud, Context=context, **params)
        found += messages(reply)
        fill(cloud, (0, "late"), (1000, "late"))
        context = reply["Context"]
        if reply["ListOver"]:
            break
    expected = [str(number) for number in range(250)]
    assert found == expected[:: 1 if sort == "asc" else -1]
    by_offset = (messages(search(cloud, Offset=at, **params)) for at in range(0, 300, 100))
    assert [*chain(*by_offset)] == found
    for _ in range(2):
        reply = search(cloud, Context=context, **params)
        assert reply["Results"] == []
        context = reply["Context"]


def test_context_ends_at_its_maximum(cloud: EmulatedCloud) -> None:
    """By Context, there are 10,000 records in all; by Offset, there is no such end."""
    fill(cloud, *((number, str(number)) for number in range(10_100)))
    params = {"TopicId": TOPIC, "Sort": "asc", "Limit": 960}
    sizes, context = [], ""
    for _ in range(11):
        reply = search(cloud, Context=context, **params)
        context = reply["Context"]
        sizes.append(len(reply["Results"]))
    assert sizes == [960] * 10 + [400]
    assert not reply["ListOver"]
    assert error(cloud, Context=context, **params)[0] == "FailedOperation.GetlogReachLimit"
    assert messages(search(cloud, **params, Offset=10_050))[0] == "10050"


def test_context_is_valid_for_an_hour(
    cloud: EmulatedCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Context is valid for some real time, whatever `POST /_clock` says."""
    assert service.CONTEXT_SECONDS == 3600
    monkeypatch.setattr(service, "CONTEXT_SECONDS", 60)
    fill(cloud, (1, "a"), (2, "b"))
    context = search(cloud, TopicId=TOPIC, Limit=1)["Context"]
    cloud.move_clock(7200)
    assert messages(search(cloud, TopicId=TOPIC, Limit=1, Context=context)) == ["a"]
    before = time.time()
    cloud.clock = lambda: before + 61
    code, message = error(cloud, TopicId=TOPIC, Limit=1, Context=context)
    assert (code, message) == ("FailedOperation.InvalidContext", "The Context has expired.")


@pytest.mark.parametrize(
    "change", [{"Limit": 2}, {"QueryString": "a"}, {"From": 1}, {"Sort": "asc"}, {"TopicId": "t2"}]
)
def test_context_belongs_to_its_query(cloud: EmulatedCloud, change: dict[str, Any]) -> None:
    """With a Context, no other parameter may be changed."""
    for topic in (TOPIC, "t2"):
        fill(cloud, (1, "a"), (2, "b"), topic=topic)
    context = search(cloud, TopicId=TOPIC, Limit=1)["Context"]
    params = {"TopicId": TOPIC, "Limit": 1, "Context": context, **change}
    assert error(cloud, **params)[0] == "FailedOperation.InvalidContext"


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Topics": [{"TopicId": TOPIC}]}, "InvalidParameter"),
        ({"TopicId": None}, "InvalidParameter"),
        ({"TopicId": None, "Topics": []}, "InvalidParameter"),
        ({"TopicId": "none"}, "ResourceNotFound.TopicNotExist"),
        ({"TopicId": ""}, "ResourceNotFound.TopicNotExist"),
        ({"TopicId": None, "Topics": [{}]}, "ResourceNotFound.TopicNotExist"),
        ({"From": None}, "MissingParameter"),
        ({"To": None}, "MissingParameter"),
        ({"From": 2, "To": 1}, "InvalidParameterValue"),
        ({"Limit": 0}, "InvalidParameterValue"),
        ({"Limit": 1001}, "InvalidParameterValue"),
        ({"Offset": -1}, "InvalidParameterValue"),
        ({"Sort": "up"}, "InvalidParameterValue"),
        ({"QuerySyntax": 2}, "InvalidParameterValue"),
        ({"Query": "a", "SyntaxRule": 2}, "InvalidParameterValue"),
        ({"Query": "a", "QueryString": "a"}, "InvalidParameter"),
        ({"QueryString": "a" * 12289}, "InvalidParameterValue"),
        ({"Context": "x"}, "FailedOperation.InvalidContext"),
        ({"Context": "eA=="}, "FailedOperation.InvalidContext"),
        ({"Context": "x", "Offset": 1}, "InvalidParameter"),
        ({"TopicId": None, "Topics": [{"TopicId": TOPIC}], "Offset": 1}, "InvalidParameter"),
        ({"HighLight": True}, "UnsupportedOperation"),
        ({"SamplingRate": 0.5}, "UnsupportedOperation"),
        ({"Limit": "1"}, "InvalidParameter"),
    ],
)
def test_errors(cloud: EmulatedCloud, params: dict[str, Any], code: str) -> None:
    """What CLS does not accept, or the emulated cloud cannot do, is refused with a code of CLS."""
    fill(cloud, (1, "a"))
    assert error(cloud, **{"TopicId": TOPIC, **params})[0] == code


def test_rights(cloud: EmulatedCloud) -> None:
    """A role may search the topics that its policies allow, and no others."""
    for topic in (TOPIC, "t2"):
        fill(cloud, (1, "a"), topic=topic)
    resource = f"qcs::cls:{REGION}:uin/100000000001:topic/{TOPIC}"
    statement = {"effect": "allow", "action": ["cls:SearchLog"], "resource": [resource]}
    document = json.dumps({"version": "2.0", "statement": [statement]})
    role = Role("1", "reader", "", "", 0, 0, attached={Policy(1, "p", document, "", 0, 0): 0})
    caller = cloud.state.access.assume(role, "s", cloud.clock(), 3600)
    assert messages(search(cloud, caller.credentials, TopicId=TOPIC)) == ["a"]
    with pytest.raises(TencentCloudSDKException) as raised:
        search(cloud, caller.credentials, TopicId="t2")
    assert raised.value.get_code() == "UnauthorizedOperation"


# --- Queries ---

FIELDS = {
    "SCF_FunctionName": "image-steward", "SCF_RequestId": "4f9c2d1e-aa-bb", "Empty": " ",
    "SCF_Message": '{"Event": "run.finished", "Count": 3, "Level": "INFO", "Tags": ["a b"],'
    ' "Gone": null}',
}  # fmt: skip


@pytest.mark.parametrize(
    ("query", "is_met"),
    [
        ("", True), (" * ", True), ("*  AND info", True), ("NOT *", False),
        ("info", True), ("INFO", True), ("inf", False), ("inf*", True), ("steward", False),
        ('"level info"', True), ('"info level"', False), ('"level inf"', False),
        ("run.finished", True), ("finished", False), ("image-steward", True),
        ('SCF_FunctionName:"image-steward"', True), ("SCF_FunctionName:image-stew*", True),
        ("SCF_RequestId:4f9c2d*", True), ("SCF_RequestId:4f9c2d", False),
        ("scf_requestid:4f9c2d*", False), ("SCF_RequestId:*", True), ("Nothing:*", False),
        ('Event:"run.finished"', True), ("Count:3", True), ("Count:4", False),
        ('Tags:"a b"', True), ("Event:info", False), ('Empty:""', True), ('Event:""', False),
        ("info AND Count:3", True), ("info AND Count:4", False), ("info Count:4", False),
        ("Count:4 OR info", True), ("NOT Count:4", True), ("info NOT Count:3", False),
        ("Count:4 AND Count:5 OR info", True), ("Count:4 AND (Count:5 OR info)", False),
        ("NOT (Count:4 OR Count:5) AND(info)", True), ("NOT NOT info", True), ('"and"', False),
        ("android OR Count:4", False), ("Gone:null", True), ("a" * 12288, False),
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_cql", [False, True])
def test_queries(query: str, is_met: bool, is_cql: bool) -> None:  # noqa: FBT001 - a table
    """Words, phrases, fields and operators mean the same in Lucene and in CQL."""
    assert queries.parse(query, is_cql=is_cql)(FIELDS) is is_met


def test_operators_in_lower_case() -> None:
    """Only CQL takes operators in lower case."""
    assert not queries.parse("not info", is_cql=True)(FIELDS)
    assert not queries.parse("info and count", is_cql=False)(FIELDS)
    assert queries.parse("info and count", is_cql=True)(FIELDS)


@pytest.mark.parametrize(
    ("query", "code", "named"),
    [
        ("* | select count(*)", "UnsupportedOperation", "'| select count(*)'"),
        ("Count>2", "UnsupportedOperation", "'Count>2'"),
        ("Count:[1 TO 3]", "UnsupportedOperation", "'Count:[1 TO 3]'"),
        ("/in.o/", "UnsupportedOperation", "'/in.o/'"),
        ("a*b", "UnsupportedOperation", "'a*b'"),
        ("info -Count", "UnsupportedOperation", "'-Count'"),
        ('"a*"', "UnsupportedOperation", "'\"a*\"'"),
        ("Count:(1 OR 2)", "UnsupportedOperation", "'Count:(1 OR 2)'"),
        ('info "a', "FailedOperation.SyntaxError", "'\"a'"),
        ("info AND", "FailedOperation.SyntaxError", "missing"),
        ("OR info", "FailedOperation.SyntaxError", "missing"),
        ("()", "FailedOperation.SyntaxError", "missing"),
        ("(info", "FailedOperation.SyntaxError", "missing"),
        ("info)", "FailedOperation.SyntaxError", "missing"),
        ("a) OR (b", "FailedOperation.SyntaxError", "missing"),
        ("NOT", "FailedOperation.SyntaxError", "missing"),
        ("NOT " * 3000 + "a", "FailedOperation.SyntaxError", "nested"),
        ("(" * 5000 + "a" + ")" * 5000, "FailedOperation.SyntaxError", "nested"),
    ],
)
def test_other_queries(query: str, code: str, named: str) -> None:
    """A query that is wrong, or not emulated, is refused, and the error names where."""
    with pytest.raises(ErrorReply) as raised:
        queries.parse(query, is_cql=True)
    assert raised.value.code == code
    assert named in raised.value.message


def test_syntax_of_each_parameter(cloud: EmulatedCloud) -> None:
    """QueryString is CQL, and the older Query is Lucene, unless the call says otherwise."""
    fill(cloud, (1, "a"), (2, "a and b"))
    for params, found in (
        ({"QueryString": "a and b"}, 1), ({"QueryString": "not b", "QuerySyntax": 1}, 1),
        ({"QueryString": "not b", "QuerySyntax": 0}, 0), ({"Query": "not b"}, 0),
        ({"Query": "not b", "SyntaxRule": 1}, 1), ({"Query": "NOT b", "SyntaxRule": 0}, 1),
    ):  # fmt: skip
        assert len(messages(search(cloud, TopicId=TOPIC, **params))) == found


WORDS = st.sampled_from(["a", "ab", "b", "c.d"])
TERMS = st.tuples(st.sampled_from(["", "x:", "y:"]), WORDS, st.sampled_from(["", "*"]))
TREES = st.recursive(
    TERMS,
    lambda trees: st.one_of(
        st.tuples(st.just("NOT"), trees), st.tuples(trees, st.sampled_from(["AND", "OR"]), trees)
    ),
    max_leaves=8,
)


def _text(tree: Any) -> str:  # noqa: ANN401 - recursive
    if tree[0] == "NOT":
        return f"NOT ({_text(tree[1])})"
    is_pair = isinstance(tree[0], tuple)
    return f"({_text(tree[0])}) {tree[1]} ({_text(tree[2])})" if is_pair else "".join(tree)


def _is_met(tree: Any, fields: dict[str, str]) -> bool:  # noqa: ANN401 - recursive
    """The naive filter."""
    if tree[0] == "NOT":
        return not _is_met(tree[1], fields)
    if isinstance(tree[0], tuple):
        both = [_is_met(tree[0], fields), _is_met(tree[2], fields)]
        return all(both) if tree[1] == "AND" else any(both)
    name, word, star = tree
    values = [value for key, value in fields.items() if name in ("", f"{key}:")]
    words = [each for value in values for each in value.split()]
    return any(each.startswith(word) if star else each == word for each in words)


@given(TREES, st.dictionaries(st.sampled_from("xy"), st.lists(WORDS).map(" ".join)))
def test_queries_agree_with_a_naive_filter(tree: Any, fields: dict[str, str]) -> None:  # noqa: ANN401 - recursive
    """Any query of words, fields and operators finds what a naive filter finds."""
    assert queries.parse(_text(tree), is_cql=True)(fields) is _is_met(tree, fields)
