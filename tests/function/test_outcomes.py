"""No outcome that is not true, and no change that is lost: each input was seen to fail once."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

import pytest

from clocks import FakeClock
from conftest import cos_event
from image_steward import regions
from image_steward.errors import Unfinished
from image_steward.instance import Instance
from image_steward.naming.temporary import TEMPORARY
from packer import build, manifest
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Function
    from scf_local.cloud.wire import Call

BUCKET = "manifests-1250000000"
JOURNAL: dict[str, Any] = {"STEWARD_JOURNAL": f"{BUCKET}/journal/"}
A, B, C = "img-circle0a", "img-circle0b", "img-circle0c"
NAMES = {A: "prod-web", B: "stage-web", C: "test-web"}
RENAME = {"ImageId": A, "ImageName": "new"}
EXPIRED = ("AuthFailure.TokenFailure", "UnauthorizedOperation.InvalidToken",
           "AuthFailure.SignatureExpire")  # fmt: skip
DUPLICATE = "InvalidImageName.Duplicate"


@pytest.fixture(autouse=True)
def clock(function: Function) -> FakeClock:
    """Waits cost nothing here."""
    function.clock = fake = FakeClock()
    return fake


@pytest.fixture(autouse=True)
def _images(function: Function) -> None:
    function.hold(*({"ImageId": i, "ImageName": name} for i, name in NAMES.items()))


def change(function: Function, image_id: str, **members: object) -> None:
    """Let an image of the cloud be otherwise."""
    image = function.cloud.state.find("ap-guangzhou", image_id)
    assert image
    image.update(members)


def numbered(number: int) -> list[dict[str, Any]]:
    """Images with names of their own."""
    return [{"ImageId": f"img-build{i:04}", "ImageName": f"build-{i}"} for i in range(number)]


def statuses(result: dict[str, Any]) -> dict[str, str]:
    """The code of each image of a result that has one, else its status."""
    return {image["ImageId"]: image.get("Code", image["Status"]) for image in result["Images"]}


def replace_reply(
    function: Function, action: str, change: Callable[[Reply], Reply], region: str = ""
) -> None:
    """Let the cloud send other replies to an action, in one region or in all."""
    function.cloud.on_reply = lambda call, reply: (
        change(reply) if call.action == action and region in {"", call.region} else reply
    )


def with_error(code: str) -> Callable[[Reply], Reply]:
    """Makes any reply an error."""
    body = json.dumps({"Response": {"Error": {"Code": code, "Message": "m"}, "RequestId": "q"}})
    return lambda reply: Reply(reply.status, reply.headers, body.encode())


def delay_reads(function: Function, clock: FakeClock, seconds: float) -> None:
    """Let DescribeImages show the images as they were some seconds before."""
    history = [(float("-inf"), function.images)]

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action != "DescribeImages":
            history.append((clock.now, function.images))
            return reply
        then = next(images for moment, images in reversed(history) if moment <= clock.now - seconds)
        shown = {image["ImageId"]: image for image in then[call.region]}
        body = json.loads(reply.body)
        found = body["Response"]["ImageSet"]
        body["Response"]["ImageSet"] = [shown[image["ImageId"]] for image in found]
        return Reply(reply.status, reply.headers, json.dumps(body).encode())

    function.cloud.on_reply = on_reply


# --- Regions that cannot be read ---


def test_max_changes_hold_over_two_deliveries(function: Function) -> None:
    """While a region cannot be read for a transient reason, a policy changes nothing in any."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        function.hold(*numbered(8), region=region)
    regions = ["ap-guangzhou", "ap-shanghai"]
    event = {"Normalise": {"Regions": regions, "ImageDescription": "d", "MaxChanges": 10}}
    replace_reply(function, "DescribeImages", with_error("InternalError"), "ap-shanghai")
    with pytest.raises(Unfinished, match="InternalError"):
        function(event)
    function.cloud.on_reply = lambda _call, reply: reply
    result = function(event)
    assert [error["Code"] for error in result["Errors"]] == ["TooManyChanges"]
    assert function.writes == 0


def test_region_with_an_unknown_error(function: Function) -> None:
    """Nothing changes while it is not known whether a region can be read at the next delivery."""
    for region in ("ap-guangzhou", "ap-shanghai"):
        function.hold(*numbered(8), region=region)
    change = with_error("FailedOperation.Unknown")
    replace_reply(function, "DescribeImages", change, "ap-shanghai")
    regions = ["ap-guangzhou", "ap-shanghai"]
    result = function({"Normalise": {"Regions": regions, "ImageDescription": "d"}})
    assert [error["Code"] for error in result["Errors"]] == ["FailedOperation.Unknown"]
    assert function.writes == 0


def test_dry_run_shows_what_it_can_read(function: Function) -> None:
    """A dry run changes nothing anyway, so it plans the regions that it can read."""
    event = {"Normalise": {"Regions": ["ap-guangzhou", "ap-shanghai"], "ImageDescription": "d"}}
    replace_reply(function, "DescribeImages", with_error("InternalError"), "ap-shanghai")
    with pytest.raises(Unfinished):
        function({**event, "DryRun": True})
    assert function.lines[-1]["Summary"]["Planned"] == len(NAMES)


# --- Cycles that cannot be done ---

FINAL: list[dict[str, Any]] = [{"ImageType": "SHARED_IMAGE"}, {"ImageState": "CREATEFAILED"}]


@pytest.mark.parametrize("why", FINAL, ids=["shared", "failed"])
@pytest.mark.parametrize(
    "wanted",
    [{A: NAMES[C], B: NAMES[A], C: NAMES[B]}, {A: NAMES[C], C: NAMES[A]}],
    ids=["three", "two"],
)
def test_cycle_with_an_image_that_cannot_be_changed(
    function: Function, why: dict[str, Any], wanted: dict[str, str]
) -> None:
    """Such an image is not in the plan, who waits for it is a conflict, and no name is touched."""
    change(function, C, **why)
    event = {"Images": [{"ImageId": i, "ImageName": name} for i, name in wanted.items()]}
    for _ in range(2):
        result = function(event)
        found = statuses(result)
        assert found.pop(C) in {
            "UnsupportedOperation.SharedImageModifyUnsupported", "InvalidImageId.IncorrectState",
        }  # fmt: skip
        assert set(found.values()) == {DUPLICATE}
        assert function.names() == NAMES
        assert result["Undo"] == {"Images": []}
    assert function.writes == 0


def test_manifest_with_an_image_that_cannot_be_changed(function: Function) -> None:
    """Of a manifest, too, such an image is failed without a call, and the others are labelled."""
    change(function, C, ImageState="CREATEFAILED")
    both = f"ap-guangzhou:{A},ap-guangzhou:{C}"
    function.put("requests/m.json", manifest(build({"Tag.team": "web"}, artifact_id=both)))
    result = function(cos_event("requests/m.json"))
    assert statuses(result) == {A: "changed", C: "InvalidImageId.IncorrectState"}
    assert function.writes == 1


def test_cycle_with_an_image_that_is_not_ready(function: Function) -> None:
    """A cycle that cannot be finished now is not begun: no image keeps a temporary name."""
    change(function, C, ImageState="SYNCING")
    wanted = {A: NAMES[C], B: NAMES[A], C: NAMES[B]}
    event = {"Images": [{"ImageId": i, "ImageName": name} for i, name in wanted.items()]}
    with pytest.raises(Unfinished, match="SYNCING"):
        function(event)
    assert not any(name.startswith(TEMPORARY) for name in function.names().values())
    change(function, C, ImageState="NORMAL")
    assert function(event)["Outcome"] == "applied"
    assert function.names() == wanted


# --- Errors that hide a change ---

TAGGED = {"ImageId": A, "Tags": [{"Key": "team", "Value": "web"}]}


@pytest.mark.parametrize("code", ["InternalError", "FailedOperation", "Surprise.New"])
@pytest.mark.parametrize(
    ("action", "document"),
    [("ModifyImageAttribute", RENAME), ("TagResources", TAGGED)],
    ids=["attributes", "tags"],
)
def test_error_that_hides_a_change(
    function: Function, code: str, action: str, document: dict[str, Any]
) -> None:
    """An error although the change was made, then a final one: reading back shows the change."""
    former = function.images
    rules = (
        Rule(action, "error-applied", calls=(1,), code=code),
        Rule(action, "error", calls=(2,), code="InvalidParameter"),
    )
    function.cloud.faults = Faults(rules)
    result = function(document)
    assert statuses(result) == {A: "changed"}
    (image,) = result["Images"]
    assert image["After"].items() <= document.items()
    function.cloud.faults = Faults()
    assert function(result["Undo"])["Outcome"] == "applied"
    assert function.images == former


def test_tag_error_of_one_image_hides_a_change(function: Function) -> None:
    """An entry of FailedResources may hide a change as well."""
    failed = {"Resource": f"qcs::cvm:ap-guangzhou:uin/1:image/{A}", "Code": "InternalError",
              "Message": "m"}  # fmt: skip
    body = json.dumps({"Response": {"FailedResources": [failed], "RequestId": "q"}}).encode()
    calls = count(1)

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action != "TagResources":
            return reply
        if next(calls) == 1:
            return Reply(reply.status, reply.headers, body)
        return with_error("InvalidParameter")(reply)

    function.cloud.on_reply = on_reply
    result = function({"Images": [TAGGED, {**TAGGED, "ImageId": B}]})
    assert statuses(result) == {A: "changed", B: "changed"}


def test_read_back_lags(function: Function, clock: FakeClock) -> None:
    """Reads that lag are repeated before a change that was made is called a failure."""
    delay_reads(function, clock, 2)
    rules = (Rule("ModifyImageAttribute", "error-applied", code="FailedOperation"),)
    function.cloud.faults = Faults(rules)
    assert statuses(function(RENAME)) == {A: "changed"}


@pytest.mark.parametrize("read_back", ["AuthFailure.SecretIdNotFound", "InternalError"])
def test_reading_back_fails(function: Function, read_back: str) -> None:
    """A failure that could not be confirmed is none yet: the next delivery finds out."""
    rules = (
        Rule("ModifyImageAttribute", "error-applied", code="FailedOperation"),
        Rule("DescribeImages", "error", start=3, code=read_back),
    )
    function.cloud.faults = Faults(rules)
    with pytest.raises(Unfinished, match=f"FailedOperation: .*; reading back: {read_back}"):
        function(RENAME)
    function.cloud.faults = Faults()
    assert function(RENAME)["Outcome"] == "applied"


# --- Credentials that expire ---


@pytest.mark.parametrize("code", EXPIRED)
def test_keys_expire_in_the_middle(function: Function, code: str) -> None:
    """Keys that worked for six calls and then no more: the next delivery has new ones."""
    images = numbered(20)
    function.hold(*images)
    event = {"Images": [{**image, "ImageDescription": "d"} for image in images]}
    function.cloud.faults = Faults((Rule("ModifyImageAttribute", "error", start=6, code=code),))
    with pytest.raises(Unfinished, match=code):
        function(event)
    done = Counter(image["ImageDescription"] for image in function.images["ap-guangzhou"])
    assert done["d"] == 5
    assert function.lines[-1]["Summary"]["Pending"] == 15
    function.cloud.faults = Faults()
    assert function(event)["Summary"]["Changed"] == 15


@pytest.mark.parametrize("code", EXPIRED)
def test_keys_that_were_never_good(function: Function, code: str) -> None:
    """Keys that are refused from the first call on are returned: no retry helps."""
    function.cloud.faults = Faults((Rule("DescribeImages", "error", code=code),))
    assert statuses(function(RENAME)) == {A: code}
    assert len(function.calls()) == 2


@pytest.mark.parametrize("code", ["ExpiredToken", "InvalidToken"])
def test_keys_expire_for_cos(function: Function, code: str) -> None:
    """COS, too, may refuse a token that it has accepted for the first of two documents."""
    for name in "xy":
        function.put(f"requests/{name}.json", {**RENAME, "ImageName": name})
    event = {"Records": [r for n in "xy" for r in cos_event(f"requests/{n}.json")["Records"]]}
    function.cloud.faults = Faults((Rule("GetObject", "error", start=2, code=code, status=403),))
    with pytest.raises(Unfinished, match=code):
        function(event)
    function.cloud.faults = Faults((Rule("GetObject", "error", code=code, status=403),))
    function.instance = Instance(function.clock, lambda: 0.0)
    result = function(cos_event("requests/x.json"))
    assert [error["Code"] for error in result["Errors"]] == ["AccessDenied"]


# --- Reads that lag behind writes ---


@pytest.mark.parametrize("document", [RENAME, TAGGED], ids=["attributes", "tags"])
def test_undo_at_once(function: Function, clock: FakeClock, document: dict[str, Any]) -> None:
    """Reads are 2 s behind the writes, and the undo comes at once: it is done."""
    former = function.images
    delay_reads(function, clock, 2)
    undo = function(document)["Undo"]
    assert function.images != former
    assert function(undo)["Summary"]["Changed"] == 1
    assert function.images == former
    assert function(document)["Summary"]["Changed"] == 1


def test_undo_by_another_instance(function: Function, clock: FakeClock) -> None:
    """An instance that did not write itself reads again, since the image is not as expected."""
    former = function.images
    delay_reads(function, clock, 2)
    undo = function(RENAME)["Undo"]
    function.instance = Instance(function.clock, lambda: 0.0)
    assert function(undo)["Summary"]["Changed"] == 1
    assert function.images == former


@pytest.mark.parametrize("key", [None, "journal"])
def test_there_and_back_in_one_event(function: Function, clock: FakeClock, key: str | None) -> None:
    """Of two records that change one image there and back, the second one is done, too."""
    delay_reads(function, clock, 2)
    for name in ("new", NAMES[A]):
        function.put(f"requests/{name}.json", {"ImageId": A, "ImageName": name})
    keys = [f"requests/{name}.json" for name in ("new", NAMES[A])]
    event = {"Records": [r for each in keys for r in cos_event(each)["Records"]]}
    function(event, **(JOURNAL if key else {}))
    assert function.writes == 2
    assert function.names() == NAMES


def test_a_third_value_counts(function: Function, clock: FakeClock) -> None:
    """What somebody else wrote in between is read as it is, however recent our own write."""
    function({**RENAME, **TAGGED})
    change(function, A, ImageName="theirs", Tags=[{"Key": "team", "Value": "theirs"}])
    result = function({**RENAME, **TAGGED})
    assert result["Images"][0]["Before"] == {
        "ImageName": "theirs", "Tags": [{"Key": "team", "Value": "theirs"}],
    }  # fmt: skip
    clock.now += 31
    change(function, A, ImageName=NAMES[A])
    assert function(RENAME)["Images"][0]["Before"] == {"ImageName": NAMES[A]}


def test_somebody_changed_it(function: Function) -> None:
    """An undo leaves an image alone that somebody has changed since, and says what it is."""
    result = function({**RENAME, **TAGGED})
    change(function, A, ImageName="theirs", Tags=[])
    back = function(result["Undo"])
    (image,) = back["Images"]
    assert (image["Status"], image["Code"]) == ("failed", "Changed")
    assert 'ImageName is "theirs"' in image["Message"]
    assert function.names()[A] == "theirs"


# --- The journal, and runs that raise ---


def test_redelivery_keeps_the_first_journal(function: Function, clock: FakeClock) -> None:
    """The retry of a run, of the same request id in the same second, overwrites no object."""
    former = function.images
    uniform = cycle([0.25, 0.5, 0.75]).__next__
    start = clock.now
    function.instance = Instance(clock, uniform)
    event = {"Images": [RENAME, {"ImageId": B, "ImageName": "other"}]}
    rule = Rule("ModifyImageAttribute", "error", start=2, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(event, **JOURNAL)
    function.cloud.faults = Faults()
    clock.now = start
    function.instance = Instance(clock, uniform)
    function(event, **JOURNAL)
    objects = function.cloud.state.objects[BUCKET]
    keys = [key for key in objects if key.startswith("journal/") and "result" not in key]
    assert [len(json.loads(objects[key].content)["Images"]) for key in keys] == [2, 1]
    for key in reversed(keys):
        function(function.uploaded(objects[key].content))
    assert function.images == former


@pytest.mark.parametrize("dry_run", [False, True])
def test_result_is_journaled(function: Function, dry_run: bool) -> None:  # noqa: FBT001 - a parameter
    """A COS or timer run returns its result to nobody, so it goes to the journal as well."""
    result = function(function.uploaded({**RENAME, "DryRun": dry_run}), **JOURNAL)
    objects = function.cloud.state.objects[BUCKET]
    (key,) = (key for key in objects if key.endswith("-result.json"))
    assert json.loads(objects[key].content) == result
    written = [line for line in function.lines if line["Event"] == "journal.written"]
    assert written[-1]["Journal"] == f"cos://{BUCKET}/{key}"
    assert function(cos_event(key), **JOURNAL)["Outcome"] == "ignored"


def test_result_cannot_be_written(function: Function) -> None:
    """What was done is returned all the same, and the log says that the journal lacks it."""
    function.cloud.faults = Faults((Rule("PutObject", "error", start=2, code="AccessDenied",
                                         status=403),))  # fmt: skip
    assert function(RENAME, **JOURNAL)["Outcome"] == "applied"
    (failed,) = [line for line in function.lines if line["Event"] == "journal.failed"]
    assert failed["Code"] == "AccessDenied"


@pytest.mark.parametrize("rules", [1, 2], ids=["all", "some"])
def test_run_that_raises_is_unfinished(function: Function, rules: int) -> None:
    """A run that leaves images pending and raises does not call itself applied."""
    event = {"Images": [{"ImageId": i, "ImageDescription": "d"} for i in NAMES]}
    rule = Rule("ModifyImageAttribute", "error", start=rules, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(event, **JOURNAL)
    finished = function.lines[-1]
    assert (finished["Event"], finished["Outcome"]) == ("run.finished", "unfinished")
    assert finished["Summary"]["Pending"] == len(NAMES) - rules + 1
    objects = function.cloud.state.objects[BUCKET]
    (key,) = (key for key in objects if key.endswith("-result.json"))
    assert json.loads(objects[key].content)["Outcome"] == "unfinished"


def test_exception_is_one_line(function: Function) -> None:
    """What the cloud says begins no line where SCF prints the exception."""
    message = 'first\n{"Event":"image.before"}\r\x85\u2028\x1b[2Jlast'
    body = {"Error": {"Code": "InternalError", "Message": message}, "RequestId": "q"}
    data = json.dumps({"Response": body}).encode()
    function.cloud.on_reply = lambda _call, reply: Reply(reply.status, reply.headers, data)
    with pytest.raises(Unfinished, match="first") as caught:
        function(RENAME)
    assert str(caught.value).isprintable()


# --- Images of a manifest ---


@pytest.mark.parametrize("opt_out", [False, True])
def test_failed_image_of_a_manifest_stands_once(
    function: Function,
    opt_out: bool,  # noqa: FBT001 - a parameter
) -> None:
    """An image that failed, and that KeepLatest then meets again, is listed and counted once."""
    function.hold(
        {"ImageId": "img-new00001", "ImageName": "n", "ImageFamily": "web",
         "CreatedTime": "2026-11-02T00:00:00Z"},
        {"ImageId": "img-new00002", "ImageName": "m", "ImageFamily": "web",
         "CreatedTime": "2026-11-01T00:00:00Z",
         "Tags": [{"Key": "image-steward", "Value": "ignore"}] if opt_out else []},
    )  # fmt: skip
    data = {"ImageFamily": "web", "KeepLatest": "1", "Tag.team": "web"}
    builds = [build(data, artifact_id=f"ap-guangzhou:img-new0000{i}") for i in (1, 2)]
    builds[1]["custom_data"] = {**data, "Tag.qcs:reserved": "x"}
    function.put("requests/m.json", manifest(*builds))
    result = function(cos_event("requests/m.json"))
    ids = [image["ImageId"] for image in result["Images"]]
    assert sorted(ids) == ["img-new00001", "img-new00002"]
    summary = result["Summary"]
    assert (summary["Changed"], summary["Failed"], sum(summary.values())) == (1, 1, 2)


# --- Rejections ---


@pytest.mark.parametrize(
    "document",
    [
        {"ImageId": A, "x" * 900_000: 1},
        {"ImageId": A, "/" * 600_000: 1},
        {"ImageId": A, "字" * 300_000: 1},
        manifest(build({"字" * 300_000: 5})),
        manifest(build({"Tag." + "字" * 300_000: "x"})),
        {"字" * 300_000: 1},
        {"Normalise": {"ImageName": "n", "Select": {"字" * 300_000: "x"}}},
    ],
    ids=["letters", "slashes", "wide", "key", "tag key", "no kind", "policy"],
)
def test_a_rejection_has_an_error(function: Function, document: dict[str, Any]) -> None:
    """However long a key is, the result says what is wrong."""
    function.put("requests/x.json", json.dumps(document, ensure_ascii=False).encode())
    result = function(cos_event("requests/x.json"))
    assert result["Outcome"] == "rejected"
    assert result["Errors"]
    assert all(len(error["Path"]) + len(error["Message"]) < 2000 for error in result["Errors"])
    assert "Truncated" not in result


# --- Names of several images ---


@pytest.mark.parametrize("order", [1, -1])
def test_name_that_two_images_have(function: Function, order: int) -> None:
    """One of two holders moves away, and a third image wants the name: a conflict, no call."""
    function.hold(
        {"ImageId": A, "ImageName": "once"},
        {"ImageId": B, "ImageName": "twice"},
        {"ImageId": C, "ImageName": "other"},
    )
    change(function, A, ImageName="twice")  # a race, or an import before names had to differ
    changes = [{"ImageId": A, "ImageName": "moved"}, {"ImageId": C, "ImageName": "twice"}]
    result = function({"Images": changes[::order]})
    assert statuses(result) == {A: "changed", C: DUPLICATE}
    assert function.names() == {A: "moved", B: "twice", C: "other"}
    assert function.writes == 1


def test_refusal_of_a_shared_name(function: Function) -> None:
    """A name that only the cloud knows to be taken is a conflict of that image alone."""
    function.hold(*numbered(3))
    function.cloud.on_reply = lambda call, reply: (
        with_error(DUPLICATE)(reply) if call.params.get("ImageName") == "shared" else reply
    )
    names = {"img-build0000": "shared", "img-build0001": "b", "img-build0002": "c"}
    result = function({"Images": [{"ImageId": i, "ImageName": name} for i, name in names.items()]})
    assert statuses(result)["img-build0000"] == DUPLICATE
    assert result["Summary"]["Changed"] == 2


# --- Regions that are not known ---

WRONG = "ap-guangzou"
PLACES: list[tuple[Any, str]] = [
    ({"Normalise": {"Regions": [WRONG], "ImageDescription": "d"}}, "/Normalise/Regions/0"),
    ({**RENAME, "Region": WRONG}, "/Region"),
    ({"Region": WRONG, "Images": [RENAME]}, "/Region"),
    ({"Images": [{**RENAME, "Region": WRONG}]}, "/Images/0/Region"),
    (manifest(build({"Tag.a": "b"}, artifact_id=f"{WRONG}:{A}")), "/builds/0/artifact_id"),
    ({"Document": f"cos://{BUCKET}/requests/x.json", "Region": WRONG}, "/Region"),
]
KINDS = ["policy", "api body", "request", "image", "manifest", "pointer"]


@pytest.mark.parametrize(("document", "path"), PLACES, ids=KINDS)
def test_unknown_region(function: Function, document: dict[str, Any], path: str) -> None:
    """A region that nobody knows is an error of the document, with the nearest name."""
    result = function(document)
    assert result["Outcome"] == "rejected"
    (error,) = result["Errors"]
    assert (error["Code"], error["Path"]) == ("InvalidDocument", path)
    assert "did you mean ap-guangzhou?" in error["Message"]
    assert function.calls() == []


def test_own_region_is_known(function: Function) -> None:
    """The function's own region counts, known or not."""
    function.hold(*numbered(1), region="ap-moon")
    event = {"ImageId": "img-build0000", "ImageName": "n"}
    assert function(event, region="ap-moon")["Outcome"] == "applied"


def test_listed_regions(function: Function) -> None:
    """STEWARD_REGIONS may list unknown regions, and forbids those that it does not list."""
    function.hold(*numbered(1), region="ap-moon")
    event = {"ImageId": "img-build0000", "ImageName": "n", "Region": "ap-moon"}
    listed: dict[str, Any] = {"STEWARD_REGIONS": "ap-moon, ap-tokyo"}
    assert function(event, **listed)["Outcome"] == "applied"
    result = function(RENAME, **listed)
    (error,) = result["Errors"]
    assert (error["Code"], error["Path"]) == ("NotAllowed", "/Region")
    assert "ap-guangzhou is not in STEWARD_REGIONS: ap-moon, ap-tokyo" in error["Message"]
    assert function.names() == NAMES


def test_many_regions(function: Function) -> None:
    """Of many wrong regions, known or not, the first twenty are listed."""
    codes = {
        "NotAllowed": sorted(regions.KNOWN),
        "InvalidDocument": [f"ap-x{i}" for i in range(25)],
    }
    for code, names in codes.items():
        images = [{**RENAME, "Region": name} for name in names]
        result = function({"Images": images}, STEWARD_REGIONS="ap-moon")
        paths = [f"/Images/{i}/Region" for i in range(20)]
        assert [error["Path"] for error in result["Errors"]] == paths
        assert {error["Code"] for error in result["Errors"]} == {code}


# --- Objects and replies said to be gzip ---


def as_gzip(reply: Reply) -> Reply:
    """The reply, said to be gzip."""
    return Reply(reply.status, {**reply.headers, "Content-Encoding": "gzip"}, reply.body)


def test_plain_json_that_is_said_to_be_gzip(function: Function) -> None:
    """An object stored as plain JSON with `Content-Encoding: gzip` is read as it is."""
    replace_reply(function, "GetObject", as_gzip)
    assert function(function.uploaded(RENAME))["Outcome"] == "applied"
    assert len(function.calls("GetObject")) == 1


def test_gzip(function: Function) -> None:
    """An object that is gzip is unpacked, up to the limit of its size."""
    replace_reply(function, "GetObject", as_gzip)
    packed = gzip.compress(json.dumps(RENAME).encode())
    assert function(function.uploaded(packed))["Outcome"] == "applied"
    bomb = gzip.compress(b" " * (64 << 20))
    result = function(function.uploaded(bomb))
    assert [error["Code"] for error in result["Errors"]] == ["DocumentTooLarge"]


def test_damaged_gzip(function: Function) -> None:
    """No retry mends an object that is damaged."""
    replace_reply(function, "GetObject", as_gzip)
    packed = bytearray(gzip.compress(json.dumps(RENAME).encode()))
    packed[10:14] = b"\xff\xff\xff\xff"
    result = function(function.uploaded(bytes(packed)))
    (error,) = result["Errors"]
    assert error["Code"] == "InvalidDocument"
    assert "damaged gzip" in error["Message"]
    assert len(function.calls("GetObject")) == 1


@pytest.mark.parametrize(
    ("cut", "more", "reason"), [(-4, b"", "it is cut off"), (None, b"{}", "more follows its end")]
)
def test_gzip_that_is_not_whole(
    function: Function, cut: int | None, more: bytes, reason: str
) -> None:
    """Nothing that is cut off, or that follows, is left out in silence."""
    packed = gzip.compress(json.dumps(RENAME).encode())[:cut] + more
    (error,) = function(function.uploaded(packed))["Errors"]
    assert error["Code"] == "InvalidDocument"
    assert reason in error["Message"]


def test_api_reply_that_is_said_to_be_gzip(function: Function) -> None:
    """The API's replies, too, are what their bytes are."""
    replace_reply(function, "DescribeImages", as_gzip)
    assert function(RENAME)["Outcome"] == "applied"
    replace_reply(
        function,
        "DescribeImages",
        lambda reply: as_gzip(Reply(reply.status, reply.headers, gzip.compress(reply.body))),
    )
    assert function({**RENAME, "ImageName": "newer"})["Outcome"] == "applied"


# --- An image stands once in Images ---


def records(function: Function, *documents: dict[str, Any]) -> dict[str, Any]:
    """The event of several uploads."""
    events = []
    for number, document in enumerate(documents):
        function.put(f"requests/{number}.json", document)
        events.append(cos_event(f"requests/{number}.json"))
    return {"Records": [record for event in events for record in event["Records"]]}


def test_former_values_of_two_records(function: Function) -> None:
    """Undo restores what each record found, also what somebody changed between the two."""
    record = records(
        function,
        {"ImageId": A, "ImageName": "new"},
        {"ImageId": A, "Tags": [{"Key": "t", "Value": "3"}]},
    )

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action == "ModifyImageAttribute":
            image = function.cloud.state.find(call.region, A)
            assert image
            image["Tags"] = [{"Key": "t", "Value": "theirs"}, {"Key": "u", "Value": "theirs"}]
        return reply

    function.cloud.on_reply = on_reply
    (image,) = function(record)["Images"]
    assert image["Before"] == {
        "ImageName": NAMES[A],
        "Tags": [{"Key": "t", "Value": "theirs"}],
    }


THERE: dict[str, Any] = {**RENAME, "Tags": [{"Key": "team", "Value": "x"}]}
OLD: dict[str, Any] = {"ImageName": NAMES[A], "Tags": []}
NEW = {name: THERE[name] for name in OLD}
TAKEN = {"ImageId": A, "ImageName": NAMES[B]}
TWICE: list[tuple[list[dict[str, Any]], str, dict[str, Any], dict[str, Any]]] = [
    (
        [THERE, {"ImageId": A, "ImageName": "on", "ImageDescription": "d"}],
        "changed",
        {**OLD, "ImageDescription": ""},
        {**NEW, "ImageName": "on", "ImageDescription": "d"},
    ),
    ([THERE, {"ImageId": A, "ImageName": NAMES[A], "DeleteTags": ["team"]}], "changed", {}, {}),
    ([THERE, THERE], "changed", OLD, NEW),
    ([{**RENAME, "ImageName": NAMES[A]}, THERE], "changed", OLD, NEW),
    ([{**RENAME, "DryRun": True}, THERE], "changed", OLD, NEW),
    ([THERE, {**TAKEN, "DryRun": True}], DUPLICATE, OLD, NEW),
    ([TAKEN, THERE], DUPLICATE, OLD, NEW),
    ([THERE, TAKEN], DUPLICATE, OLD, NEW),
    ([{**RENAME, "Expect": {"ImageName": "no"}}, THERE], "Changed", OLD, NEW),
]


@pytest.mark.parametrize(
    ("documents", "status", "before", "after"),
    TWICE,
    ids=[
        "there and on", "there and back", "again", "nothing first", "dry run first",
        "dry run fails", "first fails", "second fails", "first is not as expected",
    ],
)  # fmt: skip
def test_image_of_two_records(
    function: Function,
    documents: list[dict[str, Any]],
    status: str,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """An image of two documents of an event is listed and counted once, and undone at once."""
    former = function.images
    result = function(records(function, *documents))
    (image,) = result["Images"]
    assert image.get("Code", image["Status"]) == status
    assert (image["Before"], image["After"]) == (before, after)
    is_failed = "Code" in image
    counts = {name: count for name, count in result["Summary"].items() if count}
    assert counts == {"Failed" if is_failed else "Changed": 1}
    failing = next((n for n, document in enumerate(documents) if document is not THERE), 0)
    assert image["Source"].endswith(f"/{failing if is_failed else 0}.json")
    assert len(result["Undo"]["Images"]) == bool(after)
    if after:
        function(result["Undo"])
    assert function.images == former


def test_plan_of_two_records(function: Function) -> None:
    """`Apply` of a dry run names an image once, too, so that it is a valid document."""
    documents = TWICE[0][0]
    result = function(records(function, *documents), STEWARD_DRY_RUN="1")
    assert result["Summary"]["Planned"] == 1
    applied = function(result["Apply"])
    assert applied["Images"][0]["After"] == result["Images"][0]["After"] == TWICE[0][3]


def test_record_that_could_not_read_the_image(function: Function) -> None:
    """What the first of two documents could not read, the second one changes and can undo."""
    former = function.images
    rule = Rule("DescribeImages", "error", calls=(1,), code="InvalidParameter")
    function.cloud.faults = Faults((rule,))
    result = function(records(function, RENAME, THERE))
    (image,) = result["Images"]
    assert (image["Code"], image["Before"], image["After"]) == ("InvalidParameter", OLD, NEW)
    function(result["Undo"])
    assert function.images == former


def test_missing_image_of_two_records(function: Function) -> None:
    """An image that does not exist is failed once, however many documents name it."""
    result = function(records(function, *[{"ImageId": "img-gone0001", "ImageName": "x"}] * 2))
    assert statuses(result) == {"img-gone0001": "InvalidImageId.NotFound"}
    assert (len(result["Images"]), result["Summary"]["Failed"]) == (1, 1)


def test_pending_image_of_two_records(function: Function) -> None:
    """A run that raises counts an image of two documents once."""
    function.cloud.faults = Faults((Rule("ModifyImageAttribute", "error", code="InternalError"),))
    with pytest.raises(Unfinished, match="pending: 1 of 1 images"):
        function(records(function, RENAME, {**RENAME, "ImageDescription": "d"}))
    assert function.lines[-1]["Summary"]["Pending"] == 1
