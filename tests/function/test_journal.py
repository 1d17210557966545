"""The journal: the former state is written before the first change, or nothing is changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import cos_event
from image_steward import registry
from image_steward.errors import Unfinished
from image_steward.model import ChangeRequest
from scf_local.cloud.faults import Faults, Rule

if TYPE_CHECKING:
    from conftest import Function

BUCKET = "manifests-1250000000"
JOURNAL: dict[str, Any] = {"STEWARD_JOURNAL": f"{BUCKET}/journal/"}
TAGGED: dict[str, Any] = {"Normalise": {"Tags": [{"Key": "owner", "Value": "infra"}]}}
CYCLE: dict[str, Any] = {
    "Images": [
        {"ImageId": "img-build0000", "ImageName": "build-1", "ImageDescription": "d"},
        {"ImageId": "img-build0001", "ImageName": "build-2", "DeleteTags": ["team"]},
        {"ImageId": "img-build0002", "ImageName": "build-0", "ImageFamily": "f"},
    ]
}


@pytest.fixture(autouse=True)
def _images(function: Function) -> None:
    tags = [{"Key": "team", "Value": "组 web"}]
    function.hold(
        *({"ImageId": f"img-build{i:04}", "ImageName": f"build-{i}", "Tags": tags}
          for i in range(40))
    )  # fmt: skip


def journal(function: Function, prefix: str = "journal/") -> dict[str, bytes]:
    """What the journal has to undo runs, by key, in the order of the numbers."""
    objects = function.cloud.state.objects[BUCKET]
    keys = [key for key in objects if key.startswith(prefix) and not key.endswith("-result.json")]
    keys.sort(key=lambda key: int(key.rpartition("-")[2].removesuffix(".json")))
    return {key: objects[key].content for key in keys}


def undo_by_journal(function: Function, **settings: Any) -> None:  # noqa: ANN401 - as Function's
    """Upload the journal's objects as docs/policies.md says: the highest number first."""
    for data in reversed(journal(function).values()):
        assert function(function.uploaded(data), **settings)["Outcome"] == "applied"


@pytest.mark.parametrize("document", [TAGGED, CYCLE], ids=["policy", "change request"])
def test_journal_comes_first(function: Function, document: dict[str, Any]) -> None:
    """The journal is written before anything is changed, and undoes all of it."""
    former = function.images
    result = function(document, **JOURNAL)
    assert result["Outcome"] == "applied"
    actions = [call["Action"] for call in function.calls()]
    writes = [action for action in actions if action != "DescribeImages"]
    assert writes[0] == "PutObject"
    assert writes.count("PutObject") == 2  # the result comes last
    assert writes[-1] == "PutObject"
    assert len(writes) > 1
    ((key, data),) = journal(function).items()
    assert key == "journal/20261124T120000Z-r-1-000000-1.json"
    entries = json.loads(data)["Images"]
    written, _ = [line for line in function.lines if line["Event"] == "journal.written"]
    assert written["Journal"] == f"cos://{BUCKET}/{key}"
    assert written["Images"] == len(entries) == result["Summary"]["Changed"]
    assert isinstance(registry.read(data, region="").request, ChangeRequest)

    assert function.images != former
    assert function(function.uploaded(data))["Outcome"] == "applied"
    assert function.images == former


def test_log_has_the_same(function: Function) -> None:
    """The former state of each image is also logged, before the first change."""
    function(CYCLE, **JOURNAL)
    (data,) = journal(function).values()
    events = [line["Event"] for line in function.lines]
    assert events == [
        "journal.written", *["image.before"] * 3, *["image.changed"] * 3, "journal.written",
        "run.finished",
    ]  # fmt: skip
    logged = [line["Undo"] for line in function.lines if line["Event"] == "image.before"]
    assert logged == json.loads(data)["Images"]


def test_pointer_to_the_journal(function: Function) -> None:
    """A pointer to a journal object is an explicit request, and undoes the run."""
    former = function.images
    function(CYCLE, **JOURNAL)
    (key,) = journal(function)
    function.use_account()
    function({"Document": f"cos://{BUCKET}/{key}"}, **JOURNAL)
    assert function.images == former


def test_interrupted_run(function: Function) -> None:
    """The journal undoes a run that was interrupted in the middle of a rename cycle."""
    former = function.images
    rule = Rule("ModifyImageAttribute", "error", start=3, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(CYCLE, **JOURNAL)
    function.cloud.faults = Faults()
    assert function.images != former
    (data,) = journal(function).values()
    function(function.uploaded(data))
    assert function.images == former


def test_not_set(function: Function) -> None:
    """Without STEWARD_JOURNAL, nothing is stored."""
    assert function(TAGGED)["Outcome"] == "applied"
    assert function.calls("PutObject") == []


DENIED = Rule("PutObject", "error", code="AccessDenied", status=403)


@pytest.mark.parametrize(
    ("journal_at", "rules", "code", "message"),
    [
        ("nowhere-1250000000/x/", (), "ObjectNotFound", "STEWARD_JOURNAL: "),
        (f"{BUCKET}/journal/", (DENIED,), "AccessDenied", "STEWARD_JOURNAL: "),
        (
            f"{BUCKET}/journal/",
            (Rule("PutObject", "error", code="EntityTooLarge", status=400),),
            "EntityTooLarge",
            "journal/",
        ),
    ],
    ids=["no bucket", "denied", "too large"],
)
@pytest.mark.parametrize("document", [TAGGED, CYCLE], ids=["policy", "change request"])
def test_permanent_error(  # noqa: PLR0913, PLR0917 - a table
    function: Function,
    journal_at: str,
    rules: tuple[Rule, ...],
    code: str,
    message: str,
    document: dict[str, Any],
) -> None:
    """If the journal cannot be written, the document is rejected, and nothing is changed."""
    former = function.images
    function.use_account()
    function.cloud.faults = Faults(rules)
    result = function(document, STEWARD_JOURNAL=journal_at)
    assert result["Outcome"] == "rejected"
    (error,) = result["Errors"]
    assert error["Code"] == code
    assert message in error["Message"]
    assert result["Undo"] == {"Images": []}
    assert function.writes == 0
    assert function.images == former
    events = [line["Event"] for line in function.lines]
    assert events == ["document.rejected", "journal.failed", "run.finished"]


@pytest.mark.parametrize("fault", ["status", "cut", "redirect"])
def test_transient_error(function: Function, fault: str) -> None:
    """If the journal cannot be written now, the function raises, and a later delivery does it."""
    former = function.images
    function.cloud.faults = Faults((Rule("PutObject", fault),))
    with pytest.raises(Unfinished, match="1 of 1 "):
        function(CYCLE, seconds=400, **JOURNAL)
    assert len(function.calls("PutObject")) == 16  # half of them for the result
    assert function.writes == 0
    assert function.images == former
    function.cloud.faults = Faults()
    assert function(CYCLE, **JOURNAL)["Summary"]["Changed"] == 3


def test_busy_once(function: Function) -> None:
    """A write to COS that is busy once is retried."""
    function.cloud.faults = Faults((Rule("PutObject", "status", calls=(1, 2)),))
    assert function(CYCLE, **JOURNAL)["Outcome"] == "applied"
    assert len(journal(function)) == 1


SMALL = {**JOURNAL, "STEWARD_MAX_DOCUMENT_BYTES": "1000"}


def test_several_objects(function: Function) -> None:
    """A journal too large for a document is stored as several objects."""
    former = function.images
    assert function(TAGGED, **SMALL)["Summary"]["Changed"] == 40
    batches = journal(function)
    assert len(batches) > 3
    assert all(len(data) <= 1000 for data in batches.values())
    assert sum(len(json.loads(data)["Images"]) for data in batches.values()) == 40
    written = [line for line in function.lines if line["Event"] == "journal.written"]
    assert [line["Journal"] for line in written] == [
        f"cos://{BUCKET}/journal/20261124T120000Z-r-1-000000-{n}.json"
        for n in range(1, len(written))
    ] + [f"cos://{BUCKET}/journal/20261124T120000Z-r-1-000000-{len(written)}-result.json"]
    undo_by_journal(function, **SMALL)
    assert function.images == former


def test_image_too_large_for_one_object(function: Function) -> None:
    """The former state of one image is split among objects if it is too large for a document."""
    small = {**JOURNAL, "STEWARD_MAX_DOCUMENT_BYTES": "8192"}
    tags = [{"Key": f"k{i:02}", "Value": "v" * 255} for i in range(50)]
    image = {"ImageId": "img-large001", "ImageDescription": "d" * 256, "Tags": tags}
    function.hold({**image, "ImageName": "large"})
    former = function.images
    more = [{"Key": f"n{i:02}", "Value": "w"} for i in range(25)]
    gone = [tag["Key"] for tag in tags[25:]]
    changed = [{**tag, "Value": "w"} for tag in tags[:25]]
    document = {**image, "ImageName": "x", "Tags": changed + more, "DeleteTags": gone}
    result = function(function.uploaded(document), **small)
    assert result["Outcome"] == "applied"
    batches = journal(function)
    assert len(batches) > 2
    assert all(len(data) <= 8192 for data in batches.values())
    undo_by_journal(function, **small)
    tags_of = sorted(function.image("img-large001")["Tags"], key=lambda tag: str(tag["Key"]))
    assert [{**function.image("img-large001"), "Tags": tags_of}] == former["ap-guangzhou"]


def test_last_object_cannot_be_written(function: Function) -> None:
    """If only a part of the journal can be written, nothing is changed."""
    former = function.images
    rule = Rule("PutObject", "error", start=3, code="AccessDenied", status=403)
    function.cloud.faults = Faults((rule,))
    assert function(TAGGED, **SMALL)["Outcome"] == "rejected"
    assert function.images == former
    assert function.writes == 0


def test_several_documents(function: Function) -> None:
    """Each document of an event has its own journal, written before its own changes."""
    former = function.images
    for number, image in enumerate(CYCLE["Images"]):
        function.put(f"requests/{number}.json", {**image, "ImageName": f"new-{number}"})
    records = [r for n in range(3) for r in cos_event(f"requests/{n}.json")["Records"]]
    function({"Records": records}, **JOURNAL)
    assert [key.rpartition("-")[2] for key in journal(function)] == ["1.json", "2.json", "3.json"]
    writes = [call["Action"] for call in function.calls() if call["Action"] != "DescribeImages"]
    firsts = [n for n, action in enumerate(writes) if action == "PutObject"]
    assert writes[-1] == "PutObject"  # the result
    assert {writes[n + 1] for n in firsts[:-1]} <= {"ModifyImageAttribute", "UnTagResources"}
    undo_by_journal(function)
    assert function.images == former


def test_image_changed_twice(function: Function) -> None:
    """If two documents change the same image, the journal undoes the later one first."""
    former = function.images
    for name in ("b", "c"):
        function.put(f"requests/{name}.json", {"ImageId": "img-build0000", "ImageName": name})
    records = [r for name in "bc" for r in cos_event(f"requests/{name}.json")["Records"]]
    assert function({"Records": records}, **JOURNAL)["Outcome"] == "applied"
    undo_by_journal(function)
    assert function.images == former


@pytest.mark.parametrize("how", ["document", "setting", "nothing to do", "conflict"])
def test_nothing_is_changed(function: Function, how: str) -> None:
    """What changes nothing has a result, but nothing to undo: a dry run, a conflict."""
    document: dict[str, Any] = {
        "document": {**TAGGED, "DryRun": True},
        "conflict": {"ImageId": "img-build0000", "ImageName": "build-39"},
    }.get(how, TAGGED)
    if how == "nothing to do":
        function(TAGGED)
    function(document, STEWARD_DRY_RUN=str(int(how == "setting")), **JOURNAL)
    assert len(function.calls("PutObject")) == 1
    assert journal(function) == {}


@pytest.mark.parametrize(
    ("prefix", "key"),
    [
        ("journal/", "journal/20261124T120000Z-r-1-1.json"),
        ("journal", "journal/x.json"),
        ("", "requests/x.json"),
        ("前像/", "前像/x.json"),
        # How COS encodes keys in events is not documented.
        ("前像/", "%E5%89%8D%E5%83%8F/x.json"),
        ("journal/", "journal%2Fx.json"),
    ],
)
def test_own_upload_is_ignored(function: Function, prefix: str, key: str) -> None:
    """An upload below the journal's prefix is ignored, since executing it would undo the run."""
    for name in (key, "journal/x.json", "前像/x.json"):
        function.put(name, CYCLE)
    result = function(cos_event(key), STEWARD_JOURNAL=f"{BUCKET}/{prefix}")
    assert result["Outcome"] == "ignored"
    assert function.calls() == []


@pytest.mark.parametrize(
    "setting", [f"{BUCKET}/journal/", "other-1250000000/requests/", f"{BUCKET}/requests/x.json/"]
)
def test_upload_elsewhere_is_not_ignored(function: Function, setting: str) -> None:
    """Only whole segments in the journal's own bucket are below its prefix."""
    function.use_account()
    function.put("journal-x/x.json", CYCLE)
    function.put("requests/x.json", CYCLE)
    function.cloud.state.objects.setdefault("other-1250000000", {})
    for key in ("journal-x/x.json", "requests/x.json"):
        assert function(cos_event(key), STEWARD_JOURNAL=setting)["Outcome"] == "applied"


def test_unknown_region_of_the_function(function: Function) -> None:
    """Without a region of the function, the journal cannot be written, and the message says so."""
    document = {"ImageId": "img-build0000", "Region": "ap-guangzhou", "ImageName": "new"}
    result = function(document, region="", **JOURNAL)
    assert result["Outcome"] == "rejected"
    (error,) = result["Errors"]
    assert error["Code"] == "InvalidSetting"
    assert error["Message"].startswith("STEWARD_JOURNAL")
    assert function.writes == 0


def test_lone_surrogate_in_the_journal(function: Function) -> None:
    """Text that has no UTF-8 form is left out of Undo, and the rest of the Undo can be uploaded."""
    function.cloud.state.images["ap-guangzhou"][0]["ImageDescription"] = "half \udc00"
    body = {"ImageId": "img-build0000", "ImageDescription": "whole", "ImageFamily": "f"}
    result = function(body, **JOURNAL)
    assert [warning["Code"] for warning in result["Warnings"]] == ["NotRestorable"]
    (data,) = journal(function).values()
    assert json.loads(data)["Images"] == result["Undo"]["Images"]
    assert function(json.loads(data))["Outcome"] == "applied"
    assert function.images["ap-guangzhou"][0]["ImageFamily"] == ""
