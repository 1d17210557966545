"""Triggers of the emulated SCF with the typed official SDK, and what fires them."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tencentcloud.common.credential import Credential
from tencentcloud.common.exception import TencentCloudSDKException
from tencentcloud.common.profile.client_profile import ClientProfile
from tencentcloud.common.profile.http_profile import HttpProfile
from tencentcloud.scf.v20180416 import models, scf_client

from cos_client import BUCKET, CREDENTIALS, REGION, client_of, send
from scf_local.cloud.cos_calls import Change
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.scf import cos_rules, triggers
from scf_local.cloud.scf.model import Code, Delivery, Function, Functions, Trigger
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State
from scf_local.events import COS_EVENT_NAMES, cos_event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from qcloud_cos import CosS3Client

NAME, OTHER, BUSY = "steward", "other", "busy"
HOST = f"{BUCKET}.cos.{REGION}.myqcloud.com"
CRON = "0 17 3 * * * *"
NOW = 1795748400.0  # 2026-11-27T03:00:00Z
PUT, ANY, DELETED = "cos:ObjectCreated:Put", "cos:ObjectCreated:*", "cos:ObjectRemove:*"


def function_of(name: str, region: str = REGION, ready: float = 0.0) -> Function:
    """Return a function without triggers."""
    return Function(name, region, f"lam-{name}", {}, Code(b"", ""), 0.0, 0.0, ready)


def desc(event: str = ANY, prefix: str = "", suffix: str = "") -> str:
    """Return a TriggerDesc as it is read back."""
    rule = {"event": event, "filter": {"Prefix": prefix, "Suffix": suffix}}
    return json.dumps(rule, separators=(",", ":"), ensure_ascii=False)


def timer(**members: Any) -> dict[str, Any]:  # noqa: ANN401 - any parameter
    """Return parameters that name a timer, and others."""
    return {"FunctionName": NAME, "TriggerName": "nightly", "Type": "timer", **members}


def cos(description: str | None = None, **members: Any) -> dict[str, Any]:  # noqa: ANN401 - the same
    """Return parameters that name a COS trigger, and others."""
    given = {"FunctionName": NAME, "TriggerName": HOST, "Type": "cos", "TriggerDesc": description}
    return {**{name: value for name, value in given.items() if value is not None}, **members}


class Client:
    """The typed SDK, connected to an emulated cloud."""

    def __init__(self, cloud: EmulatedCloud) -> None:
        http = HttpProfile(protocol="http", endpoint=cloud.url.removeprefix("http://"))
        credential = Credential(CREDENTIALS.secret_id, CREDENTIALS.secret_key, CREDENTIALS.token)
        self.client = scf_client.ScfClient(credential, REGION, ClientProfile(httpProfile=http))

    def __call__(self, action: str, **params: Any) -> Any:  # noqa: ANN401 - of the untyped SDK
        """Call an action, and return its reply."""
        request = getattr(models, f"{action}Request")()
        request._deserialize(params)
        return getattr(self.client, action)(request)

    def listed(self, **params: Any) -> list[Any]:  # noqa: ANN401 - the same
        """Return the triggers on a page."""
        return list(self("ListTriggers", **{"FunctionName": NAME, **params}).Triggers)

    def error(self, action: str, **params: Any) -> tuple[str, str]:  # noqa: ANN401 - the same
        """Return the code and the message of a call that fails."""
        with pytest.raises(TencentCloudSDKException) as raised:
            self(action, **params)
        return raised.value.get_code(), raised.value.get_message()


RUNS_NOTHING = Rule("RunFunction", "error", code="500")


@pytest.fixture
def cloud() -> Iterator[EmulatedCloud]:
    """A cloud with an empty bucket, and three functions."""
    state = State(objects={BUCKET: {}})
    added = [function_of(NAME), function_of(OTHER), function_of(BUSY, ready=math.inf)]
    state.functions.by_name |= {(each.region, each.name): each for each in added}
    with EmulatedCloud(state, limits=False, faults=Faults((RUNS_NOTHING,))) as running:
        yield running


@pytest.fixture
def client(cloud: EmulatedCloud) -> Client:
    """The SDK's client of SCF."""
    return Client(cloud)


@pytest.fixture
def objects(cloud: EmulatedCloud) -> CosS3Client:
    """The SDK's client of COS."""
    return client_of(cloud)


def only(cloud: EmulatedCloud) -> Trigger:
    """Return the only trigger of the function."""
    (trigger,) = cloud.state.functions.by_name[REGION, NAME].triggers
    return trigger


def delivered(cloud: EmulatedCloud) -> list[Delivery]:
    """Return the deliveries so far; none reaches a function."""
    cloud.move_clock(0)
    return [run.delivery for run in cloud.state.functions.runs]


def fired(cloud: EmulatedCloud) -> list[tuple[str, str]]:
    """Return name and key of the events that were delivered, and forget them."""
    records = [each.event["Records"][0] for each in delivered(cloud)]
    cloud.state.functions.runs.clear()
    prefix = f"/{BUCKET.rpartition('-')[2]}/{BUCKET.rpartition('-')[0]}/"
    return [
        (each["event"]["eventName"], each["cos"]["cosObject"]["key"].removeprefix(prefix))
        for each in records
    ]


# --- Actions ---


@pytest.mark.parametrize("given", [CRON, json.dumps({"cron": CRON})])
def test_timer(client: Client, cloud: EmulatedCloud, given: str) -> None:
    """A timer is read back as created, can be changed in part, disabled, enabled, and deleted."""
    begin = cloud.clock()
    more = {"CustomArgument": "ä" * 2048, "Description": "why"}
    created = client("CreateTrigger", **timer(TriggerDesc=given, **more)).TriggerInfo
    (listed,) = client.listed()
    assert json.loads(listed.TriggerDesc) == {"cron": CRON}
    assert (listed.Enable, listed.Qualifier, listed.Type) == (1, "$LATEST", "timer")
    assert (listed.CustomArgument, listed.Description) == ("ä" * 2048, "why")
    both = (vars(created), vars(listed))
    assert [each.get("_BoundResources") for each in both] == [None, None]
    assert {**both[0], "_BoundResources": None} == both[1]
    assert begin < only(cloud).due <= begin + 86400 + 1
    client("UpdateTrigger", **timer(CustomArgument="", TriggerDesc="0 0 3 1 1 * 2090"))
    (listed,) = client.listed()
    assert (listed.Enable, listed.CustomArgument, listed.Description) == (1, "", "why")
    assert only(cloud).due == 3786894000.0  # 2090-01-01T03:00:00 in Beijing
    client("UpdateTriggerStatus", **timer(Enable="CLOSE"))
    client("UpdateTrigger", **timer(Description="none"))
    assert (client.listed()[0].Enable, only(cloud).due) == (0, math.inf)
    client("UpdateTrigger", **timer(Enable="OPEN"))
    assert (client.listed()[0].Enable, only(cloud).due) == (1, 3786894000.0)
    client("DeleteTrigger", **timer())
    assert client.listed() == []


def test_timer_that_is_over(client: Client, cloud: EmulatedCloud) -> None:
    """A timer whose years are over is not due any more, but can be changed and disabled."""
    client("CreateTrigger", **timer(TriggerDesc=CRON))
    only(cloud).cron = "0 0 0 1 1 * 2020"
    client("UpdateTrigger", **timer(Description="over"))
    assert only(cloud).due == math.inf
    client("UpdateTriggerStatus", **timer(Enable="CLOSE"))
    assert (client.listed()[0].Description, client.listed()[0].Enable) == ("over", 0)


def test_cos(client: Client) -> None:
    """A COS trigger is read back with prefix and suffix; a bucket may have several triggers."""
    given = json.dumps({"filter": {"Suffix": ".json"}, "event": PUT})
    created = client("CreateTrigger", **cos(given, Enable="CLOSE", Qualifier="$DEFAULT"))
    assert created.TriggerInfo.TriggerDesc == desc(PUT, "", ".json")
    assert (created.TriggerInfo.Enable, created.TriggerInfo.Qualifier) == (0, "$DEFAULT")
    client("CreateTrigger", **cos(desc(PUT, "a/", ".txt")))
    client("CreateTrigger", **cos('{"event":"cos:ObjectRemove:*"}'))
    assert {each.TriggerDesc: each.Enable for each in client.listed()} == {
        desc(PUT, "", ".json"): 0,
        desc(PUT, "a/", ".txt"): 1,
        desc(DELETED): 1,
    }
    client("UpdateTriggerStatus", **cos('{"event":"cos:ObjectRemove:*"}', Enable="CLOSE"))
    only_put = cos(json.dumps({"event": PUT}), Qualifier="$DEFAULT")
    client("UpdateTriggerStatus", **only_put, Enable="OPEN")
    assert [each.Enable for each in client.listed(OrderBy="add_time", Order="ASC")] == [1, 1, 0]
    client("DeleteTrigger", **only_put)
    client(
        "DeleteTrigger",
        **cos(json.dumps({"event": PUT, "filter": {"Prefix": "a/", "Suffix": ".txt"}})),
    )
    assert [each.TriggerDesc for each in client.listed()] == [desc(DELETED)]


def test_list(client: Client, cloud: EmulatedCloud) -> None:
    """Triggers come in pages, in the order asked for; the last changed are first by default."""
    for hour in range(5):
        client("CreateTrigger", **timer(TriggerName=f"t{hour}", TriggerDesc=f"0 0 {hour} * * * *"))
    client("UpdateTrigger", **timer(TriggerName="t2", Description="changed"))

    def names(**params: Any) -> str:  # noqa: ANN401 - any parameter
        return "".join(each.TriggerName[1] for each in client.listed(**params))

    assert names() == names(OrderBy="mod_time", Order="DESC", Namespace="default") == "24310"
    assert names(OrderBy="add_time", Order="ASC") == "01234"
    assert names(OrderBy="add_time", Offset=1, Limit=2) == "32"
    assert (names(Offset=5), client("ListTriggers", FunctionName=NAME, Limit=1).TotalCount) == (
        "",
        5,
    )
    assert client.listed(FunctionName=BUSY) == []
    (trigger, *_) = cloud.state.functions.by_name[REGION, NAME].triggers
    trigger.added = NOW
    assert triggers.described(trigger)["AddTime"] == "2026-11-27 11:00:00"


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, "cab"),
        ({"TriggerName": ["b"]}, "b"),
        ({"TriggerName": ["b", "c", "d"]}, "cb"),
        ({"Qualifier": ["$DEFAULT"]}, "ab"),
        ({"Description": ["why"]}, "a"),
        ({"Description": ["wh"]}, ""),
        ({"Qualifier": ["$DEFAULT"], "TriggerName": ["b", "c"]}, "b"),
        ({"TriggerName": []}, ""),
    ],
)
def test_filters(client: Client, filters: dict[str, list[str]], names: str) -> None:
    """Triggers are found that have, for each filter, one of its values."""
    for name, params in (
        ("b", {"Qualifier": "$DEFAULT"}),
        ("a", {"Qualifier": "$DEFAULT", "Description": "why"}),
        ("c", {}),
    ):
        client("CreateTrigger", **timer(TriggerName=name, TriggerDesc=CRON, **params))
    given = [{"Name": name, "Values": values} for name, values in filters.items()]
    reply = client("ListTriggers", FunctionName=NAME, Filters=given, Limit=9)
    assert "".join(each.TriggerName for each in reply.Triggers) == names
    assert reply.TotalCount == len(names)


def test_rates() -> None:
    """Triggers are listed and updated up to 20 times a second."""
    rates = {name: action.per_second for name, action in triggers.ACTIONS.items()}
    slow = {"ListTriggers", "UpdateTrigger", "UpdateTriggerStatus"}
    assert rates == {name: 20 if name in slow else 100 for name in rates}


EXISTING = (
    *(timer(TriggerDesc=CRON), timer(TriggerName="off", TriggerDesc=CRON, Enable="CLOSE")),
    *(cos(desc(PUT, "a/", ".json")), cos(desc(PUT, "b/")), cos(desc(DELETED), FunctionName=OTHER)),
)
_V, _TIMER = "InvalidParameterValue", {"TriggerName": "new", "TriggerDesc": CRON}
REFUSED: dict[str, list[tuple[dict[str, Any], str, str]]] = {
    "CreateTrigger": [
        (timer(TriggerDesc=CRON), "ResourceInUse.TriggerName", "nightly"),
        (timer(TriggerDesc=CRON, Qualifier="$DEFAULT"), "ResourceInUse.TriggerName", "nightly"),
        (timer(TriggerName="new"), f"{_V}.TriggerDesc", "seven fields"),
        (timer(TriggerName="new", TriggerDesc="@daily"), f"{_V}.TriggerDesc", "seven fields"),
        (timer(TriggerName="new", TriggerDesc='{"cron":5}'), f"{_V}.TriggerDesc", "a string"),
        (timer(TriggerName="new", TriggerDesc='{"cron":'), f"{_V}.TriggerDesc", "not JSON"),
        (timer(TriggerName="new", TriggerDesc='{"x":1}'), f"{_V}.TriggerDesc", "`x`"),
        (timer(TriggerName="new", TriggerDesc="0 0 0 31 2 * *"), f"{_V}.TriggerDesc", "never due"),
        (timer(TriggerName="new", TriggerDesc="0 0 0 1 1 * 2020"), f"{_V}.TriggerDesc", "any more"),
        *(
            (timer(TriggerName=name, TriggerDesc=CRON), f"{_V}.TriggerName", "letter")
            for name in ("", "1st", "a b", "a" * 61, "ä")
        ),
        (timer(**_TIMER, CustomArgument="ä" * 2049), f"{_V}.CustomArgument", "4098"),
        (timer(**_TIMER, Enable="open"), f"{_V}.Enable", "OPEN, CLOSE"),
        (timer(**_TIMER, Qualifier="1"), "ResourceNotFound.Qualifier", "$DEFAULT"),
        (timer(**_TIMER, Namespace="test"), "ResourceNotFound.Namespace", "default"),
        (timer(**{**_TIMER, "FunctionName": "none"}), "ResourceNotFound.Function", "none"),
        (timer(**{**_TIMER, "FunctionName": BUSY}), "FailedOperation.CreateTrigger", BUSY),
        *(
            (timer(**_TIMER, Type=kind), "NotImplemented", kind)
            for kind in ("http", "ckafka", "cls")
        ),
        (cos(desc(PUT, "a/", ".json")), "ResourceInUse.Cos", NAME),
        (cos(desc(ANY)), f"{_V}.CosNotifyRuleConflict", NAME),
        (cos(desc(PUT, "", ".json")), f"{_V}.CosNotifyRuleConflict", NAME),
        (cos(desc(PUT, "b/"), FunctionName=OTHER), f"{_V}.CosNotifyRuleConflict", NAME),
        (cos(desc("cos:ObjectRemove:Delete", "z")), f"{_V}.CosNotifyRuleConflict", OTHER),
        (cos(), f"{_V}.TriggerDesc", "not JSON"),
        (cos("[" * 100_000), f"{_V}.TriggerDesc", "not JSON"),
        (cos("[]"), f"{_V}.TriggerDesc", "an object"),
        (cos("{}"), f"{_V}.TriggerDesc", "`event`"),
        (
            cos('{"event":"cos:ObjectCreated:Put","filter":{"prefix":""}}'),
            f"{_V}.TriggerDesc",
            "Prefix",
        ),
        (cos('{"event":"cos:ObjectCreated:Put","filter":1}'), f"{_V}.TriggerDesc", "an object"),
        (cos(desc("cos:*")), f"{_V}.TriggerDesc", "cos:ObjectRestore:Completed"),
        (cos(desc(PUT, "", "json")), f"{_V}.TriggerDesc", "dot"),
        (cos(desc(PUT, "z"), CustomArgument=""), f"{_V}.CustomArgument", "timers"),
        *(
            (
                cos(desc(PUT, "z"), TriggerName=name),
                f"{_V}.TriggerName",
                f".cos.{REGION}.myqcloud.com",
            )
            for name in (
                "",
                BUCKET,
                HOST.upper(),
                f"{HOST}:80",
                f"{BUCKET}.cos.ap-shanghai.myqcloud.com",
            )
        ),
        (cos(desc(PUT), TriggerName=f"no-{HOST}"), "ResourceNotFound.Cos", f"no-{BUCKET}"),
    ],
    "UpdateTrigger": [
        (timer(TriggerName="none"), "ResourceNotFound.Trigger", "nightly"),
        (timer(Qualifier="$DEFAULT"), "ResourceNotFound.Trigger", "$LATEST"),
        (timer(TriggerDesc="* * * * * *"), f"{_V}.TriggerDesc", "seven fields"),
        (timer(CustomArgument="a" * 4097), f"{_V}.CustomArgument", "4096"),
        (timer(Enable=""), f"{_V}.Enable", "OPEN, CLOSE"),
        (timer(FunctionName=BUSY), "FailedOperation.UpdateTrigger", BUSY),
        (cos(desc(PUT, "b/")), "UnsupportedOperation.Trigger", "DeleteTrigger"),
    ],
    "UpdateTriggerStatus": [
        (timer(Enable="OPEN"), "FailedOperation.UpdateTriggerStatus", "OPEN"),
        (timer(TriggerName="off", Enable="CLOSE"), "FailedOperation.UpdateTriggerStatus", "CLOSE"),
        (timer(Enable="no"), f"{_V}.Enable", "OPEN, CLOSE"),
        (timer(), "MissingParameter", "Enable"),
        (cos(Enable="CLOSE"), f"{_V}.TriggerDesc", "not JSON"),
        (cos('{"event":"cos:ObjectCreated:Put"}', Enable="CLOSE"), f"{_V}.TriggerDesc", "several"),
        (cos(desc(PUT), Enable="CLOSE"), "ResourceNotFound.Trigger", ".json"),
        (timer(FunctionName=BUSY, Enable="CLOSE"), "FailedOperation.UpdateTriggerStatus", BUSY),
    ],
    "DeleteTrigger": [
        (timer(TriggerName="none"), "ResourceNotFound.Trigger", "nightly"),
        (timer(FunctionName=OTHER), "ResourceNotFound.Trigger", HOST),
        (timer(Qualifier="$DEFAULT"), "ResourceNotFound.Trigger", "$LATEST"),
        (cos(), f"{_V}.TriggerDesc", "not JSON"),
        (cos('{"event":"cos:ObjectCreated:Put"}'), f"{_V}.TriggerDesc", "several"),
        (cos(desc(PUT, "c/")), "ResourceNotFound.Trigger", "b/"),
        (timer(Type="apigw"), "NotImplemented", "cos, timer"),
        (timer(FunctionName=BUSY), "FailedOperation.DeleteTrigger", BUSY),
    ],
    "ListTriggers": [
        ({"FunctionName": NAME, "Offset": -1}, f"{_V}.Offset", "-1"),
        ({"FunctionName": NAME, "Limit": 0}, f"{_V}.Limit", "1 or more"),
        ({"FunctionName": NAME, "Order": "asc"}, f"{_V}.Order", "ASC, DESC"),
        ({"FunctionName": NAME, "OrderBy": "name"}, f"{_V}.OrderBy", "add_time, mod_time"),
        ({"FunctionName": NAME, "Filters": [{"Name": "Type"}]}, f"{_V}.Filters", "TriggerName"),
        ({"FunctionName": NAME, "Filters": [{"Values": ["a"]}]}, f"{_V}.Filters", "Qualifier"),
        ({"FunctionName": "none"}, "ResourceNotFound.Function", "none"),
    ],
}


@pytest.mark.parametrize("action", REFUSED)
def test_refused(client: Client, cloud: EmulatedCloud, action: str) -> None:
    """What SCF does not accept is refused with what is allowed, and changes nothing."""
    for params in EXISTING:
        client("CreateTrigger", **params)
    before = [asdict(each) for each in cloud.state.functions.by_name.values()]
    for params, code, part in REFUSED[action]:
        given, message = client.error(action, **params)
        assert (given, part in message) == (code, True), (params, message)
        assert [asdict(each) for each in cloud.state.functions.by_name.values()] == before


@pytest.mark.parametrize("kind", ["cos", "timer"])
def test_limit(client: Client, kind: str) -> None:
    """A function has at most 10 triggers of a kind, and of the other kind 10 more."""
    for n in range(10):
        client("CreateTrigger", **cos(desc(PUT, f"{n}/")))
        client("CreateTrigger", **timer(TriggerName=f"t{n}", TriggerDesc=CRON))
    params = cos(desc(PUT, "x")) if kind == "cos" else timer(TriggerDesc=CRON)
    assert client.error("CreateTrigger", **params)[0] == "LimitExceeded.Trigger"


# --- Rules ---

_CONCRETE = [name for name in COS_EVENT_NAMES if not name.endswith("*")]
_KEYS = ["".join(key) for n in range(5) for key in itertools.product("a.", repeat=n)]


_RULES = st.builds(
    desc,
    st.sampled_from([ANY, PUT, "cos:ObjectCreated:Copy", DELETED]),
    *(st.sampled_from(["", "a", ".", "aa", "a.", ".a", ".."]) for _ in range(2)),
)


@settings(max_examples=150)
@given(_RULES, _RULES)
def test_overlap(first: str, second: str) -> None:
    """Two rules overlap if, and only if, some event of some key matches both."""
    matched = (
        cos_rules.matches(first, event, key) and cos_rules.matches(second, event, key)
        for event in _CONCRETE
        for key in _KEYS
    )
    assert cos_rules.overlap(first, second) == cos_rules.overlap(second, first) == any(matched)


@pytest.mark.parametrize(
    ("description", "event", "key", "is_match"),
    [
        (desc(), PUT, "any", True),
        (desc(), "cos:ObjectRemove:Delete", "any", False),
        (desc(PUT), "cos:ObjectCreated:Copy", "any", False),
        (desc(PUT, "a/", ".json"), PUT, "a/b.json", True),
        (desc(PUT, "a/", ".json"), PUT, "A/b.json", False),
        (desc(PUT, "a/", ".json"), PUT, "a/b.JSON", False),
        (desc(PUT, "a/", ".json"), PUT, "x/a/b.json", False),
        (desc(PUT, "a[b]*", ""), PUT, "ab", False),
        (desc(PUT, "名/", ""), PUT, "名/x", True),
    ],
)
def test_matches(description: str, event: str, key: str, *, is_match: bool) -> None:
    """A rule matches its event, or all of its kind, for keys with its prefix and suffix."""
    assert cos_rules.matches(description, event, key) is is_match


# --- Objects ---


def test_put_fires(client: Client, cloud: EmulatedCloud, objects: CosS3Client) -> None:
    """An upload queues the event that COS sends, for the function whose rule matches the key."""
    client("CreateTrigger", **cos(desc(PUT, "in/", ".json")))
    client("CreateTrigger", **cos(desc(PUT, "out/"), FunctionName=OTHER, Qualifier="$DEFAULT"))
    meta = {"x-cos-meta-team": "web"}
    content = {"Body": b"{}", "ContentType": "text/x"}
    objects.put_object(Bucket=BUCKET, Key="in/名 +%.json", Metadata=meta, **content)
    objects.put_object(Bucket=BUCKET, Key="in/x.txt", Body=b"")
    objects.put_object(Bucket=BUCKET, Key="out/x", Body=b"")
    objects.get_object(Bucket=BUCKET, Key="out/x")
    first, second = delivered(cloud)
    assert (first.region, first.function, second.function) == (REGION, NAME, OTHER)
    assert (first.queued, first.due, first.retry) == (first.queued, first.queued, 0)
    assert first.request_id != second.request_id
    assert first.event == cos_event(
        BUCKET,
        "in/名 +%.json",
        region=REGION,
        body=b"{}",
        meta={**meta, "Content-Type": "text/x"},
        function_name=NAME,
        qualifier="$LATEST",
        clock=lambda: first.queued,
    )
    assert json.loads(json.dumps(first.event)) == first.event
    assert second.event["Records"][0]["event"]["eventQueue"].endswith(f".{OTHER}.$DEFAULT")


def test_every_change_fires(client: Client, cloud: EmulatedCloud, objects: CosS3Client) -> None:
    """Uploads, copies and deletions have events of their own; what changes nothing has none."""
    client("CreateTrigger", **cos(desc(ANY)))
    client("CreateTrigger", **cos(desc(DELETED)))
    named = {"Bucket": BUCKET, "Key": "a"}
    objects.put_object(**named, Body=b"12")
    source = {"Bucket": BUCKET, "Key": "a", "Region": REGION}
    objects.copy_object(Bucket=BUCKET, Key="b", CopySource=source)
    upload = objects.create_multipart_upload(Bucket=BUCKET, Key="c")["UploadId"]
    part = {"Bucket": BUCKET, "Key": "c", "UploadId": upload}
    etag = objects.upload_part(**part, PartNumber=1, Body=b"123")["ETag"]
    parts = {"Part": [{"PartNumber": 1, "ETag": etag}]}
    objects.complete_multipart_upload(**part, MultipartUpload=parts)
    meta = delivered(cloud)[2].event["Records"][0]["cos"]["cosObject"]
    assert (meta["size"], meta["meta"]["ETag"][-3:]) == (3, '-1"')
    objects.delete_object(**named)
    objects.delete_object(**named)  # is not there any more
    names = [{"Key": "b"}, {"Key": "b"}, {"Key": "none"}]
    objects.delete_objects(Bucket=BUCKET, Delete={"Object": names})
    created = [("Put", "a"), ("Copy", "b"), ("CompleteMultipartUpload", "c")]
    assert fired(cloud) == [
        *((f"cos:ObjectCreated:{name}", key) for name, key in created),
        *(("cos:ObjectRemove:Delete", key) for key in ("a", "b")),
    ]


def test_versions_fire(client: Client, cloud: EmulatedCloud, objects: CosS3Client) -> None:
    """With versions, a deletion creates a delete marker; the event has the version's id."""
    client("CreateTrigger", **cos(desc(ANY)))
    client("CreateTrigger", **cos(desc(DELETED), FunctionName=OTHER))
    objects.put_bucket_versioning(Bucket=BUCKET, Status="Enabled")
    named = {"Bucket": BUCKET, "Key": "a"}
    stored = objects.put_object(**named, Body=b"12")["x-cos-version-id"]
    marker = objects.delete_object(**named)["x-cos-version-id"]
    objects.delete_object(**named, VersionId=stored)
    objects.delete_object(**named, VersionId=stored)  # is not there any more
    about = [each.event["Records"][0]["cos"]["cosObject"] for each in delivered(cloud)]
    assert [(each["vid"], each["size"]) for each in about] == [
        (stored, 2),
        (marker, 0),
        (stored, 2),
    ]
    kinds = ("ObjectCreated:Put", "ObjectRemove:DeleteMarkerCreated", "ObjectRemove:Delete")
    assert fired(cloud) == [(f"cos:{kind}", "a") for kind in kinds]


def test_what_does_not_fire(client: Client, cloud: EmulatedCloud, objects: CosS3Client) -> None:
    """Nothing is queued by requests that fail, and by triggers that are disabled or elsewhere."""
    client("CreateTrigger", **cos(desc(ANY, "on")))
    client("CreateTrigger", **cos(desc(ANY, "off"), Enable="CLOSE"))
    client("CreateTrigger", **timer(TriggerDesc=CRON))
    objects.put_object(Bucket=BUCKET, Key="off", Body=b"")
    assert send(cloud, "PUT", b"on", headers={"Content-MD5": "x"}, body=b"")[0] == 400
    assert send(cloud, "PUT", b"on" * 500)[0] == 400
    elsewhere = {"Host": f"{BUCKET}.cos.ap-shanghai.myqcloud.com"}
    assert send(cloud, "PUT", b"on", headers=elsewhere)[0] == 200
    assert fired(cloud) == []
    client("UpdateTriggerStatus", **cos(desc(ANY, "off"), Enable="OPEN"))
    objects.put_object(Bucket=BUCKET, Key="off", Body=b"")
    assert fired(cloud) == [(PUT, "off")]


@pytest.mark.parametrize(
    ("rule", "number"),
    [
        (Rule("PutObject", "error", code="InternalError"), 0),
        (Rule("PutObject", "error-applied", code="InternalError"), 1),
        (Rule("PutObject", "empty"), 1),
    ],
)
def test_faults(client: Client, cloud: EmulatedCloud, rule: Rule, number: int) -> None:
    """A fault that keeps an upload from being performed fires nothing; the others do."""
    client("CreateTrigger", **cos(desc(ANY)))
    cloud.faults = Faults((rule, RUNS_NOTHING))
    assert send(cloud, "PUT", b"a")[0] == (200 if rule.fault == "empty" else 403)
    assert fired(cloud) == [(PUT, "a")] * number


def test_stored_headers(client: Client, cloud: EmulatedCloud) -> None:
    """The event has all that was stored with the object, also what is not ASCII."""
    client("CreateTrigger", **cos(desc(ANY)))
    given = {"x-cos-meta-my_key": "v", "x-cos-meta-name": "名", "Cache-Control": "no-store"}
    sent = {name: value.encode().decode("latin-1") for name, value in given.items()}
    assert send(cloud, "PUT", b"a", headers=sent)[0] == 200
    meta = delivered(cloud)[0].event["Records"][0]["cos"]["cosObject"]["meta"]
    assert {name: meta[name] for name in given} == given


def test_key_that_is_not_utf_8(
    client: Client, cloud: EmulatedCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """An object whose key is not UTF-8 is stored, but no event tells of it."""
    client("CreateTrigger", **cos(desc(ANY)))
    assert send(cloud, "PUT", b"\xff")[0] == 200
    assert fired(cloud) == []
    assert "'\\udcff'" in caplog.text


@given(st.binary(min_size=1, max_size=850), st.sampled_from(_CONCRETE))
def test_any_key(key: bytes, event: str) -> None:
    """A change of any key fires if, and only if, the key is UTF-8."""
    function = function_of(NAME)
    rules = {":".join(name.split(":")[:2]) for name in _CONCRETE}
    function.triggers = [
        Trigger(HOST, "cos", desc(f"{rule}:*"), "$LATEST", is_enabled=True, added=0, modified=0)
        for rule in rules
    ]
    functions = Functions({(REGION, NAME): function})
    change = Change(event, key.decode(errors="surrogateescape"), Object(b"x"))
    (*deliveries,) = triggers.on_change(functions, REGION, BUCKET, change, NOW)
    is_utf_8 = key.decode(errors="replace").encode() == key
    assert len(deliveries) == is_utf_8
    assert all(each.event["Records"][0]["event"]["eventName"] == event for each in deliveries)


# --- Timers ---


def timed(cron: str = "0 * * * * * *", due: float = NOW, name: str = NAME) -> Function:
    """Return a function with a timer."""
    function = function_of(name)
    function.triggers.append(
        Trigger(
            name="nightly",
            kind="timer",
            description=json.dumps({"cron": cron}),
            qualifier="$LATEST",
            is_enabled=True,
            added=0.0,
            modified=0.0,
            argument="{}",
            cron=cron,
            due=due,
        )
    )
    return function


def test_timers_fire_when_due() -> None:
    """A timer queues one event at each time that it is due, and none in between."""
    functions = Functions(
        {(REGION, NAME): timed(), (REGION, OTHER): timed(due=math.inf, name=OTHER)}
    )
    for seconds in (-0.5, 0.0, 0.5, 59.9, 60.0, 120.0):
        triggers.fire_timers(functions, NOW + seconds)
    expected = [NOW, NOW + 60, NOW + 120]
    assert [(each.queued, each.due, each.function) for each in functions.queue] == [
        (time, time, NAME) for time in expected
    ]
    times = [f"2026-11-27T03:0{minute}:00Z" for minute in range(3)]
    assert [each.event for each in functions.queue] == [
        {"Type": "Timer", "TriggerName": "nightly", "Time": time, "Message": "{}"} for time in times
    ]


def test_missed_times_fire_once() -> None:
    """After a sleep over several times, a timer fires for the first of them only."""
    functions = Functions({(REGION, NAME): timed()})
    triggers.fire_timers(functions, NOW + 3601.5)
    assert [each.event["Time"] for each in functions.queue] == ["2026-11-27T03:00:00Z"]
    assert functions.by_name[REGION, NAME].triggers[0].due == NOW + 3660


def test_last_time() -> None:
    """A timer whose years are over is not due any more."""
    functions = Functions({(REGION, NAME): timed("0 0 11 27 11 * 2026")})
    triggers.fire_timers(functions, NOW)
    triggers.fire_timers(functions, NOW + 1e9)
    assert len(functions.queue) == 1
