"""What a document expects of an image, what a dry run offers to apply, and what Undo leaves out."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from conftest import cos_event
from image_steward.current_images import EXPECT_SECONDS
from image_steward.errors import Unfinished
from image_steward.naming.temporary import temporary
from packer import build, manifest
from scf_local.cloud.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Function
    from scf_local.cloud.wire import Call

A, B = "img-expect0a", "img-expect0b"
TEMPORARY = temporary(A, 1)
ANY_TEXT = "\0\x1f\x7f\u2028\n\u200b " + "x" * 300


def hold(function: Function, **members: object) -> None:
    """Let an image be what the members say, with tags as a mapping, and nothing else."""
    tags: Any = members.pop("Tags", {})
    pairs = [{"Key": key, "Value": value} for key, value in tags.items()]
    function.hold({"ImageId": A, "ImageName": "old"}, {"ImageId": B, "ImageName": "other"})
    image = function.cloud.state.find("ap-guangzhou", A)
    assert image
    image.update(members, Tags=pairs)  # the seed allows no more than the API


def state_of(function: Function) -> dict[str, Any]:
    """The image, with its tags as a mapping: a bound tag has members of its own."""
    image = function.image(A)
    return {**image, "Tags": {pair["Key"]: pair["Value"] for pair in image["Tags"]}}


def result_of(function: Function, **members: object) -> str:
    """Request members of an image, and return its Code, or else its Status."""
    summary = (result := function({"ImageId": A, **members}))["Summary"]
    if summary["Unchanged"]:
        return "unchanged"
    (image,) = result["Images"]
    return str(image.get("Code", image["Status"]))


def tag(value: str | None, key: str = "team") -> dict[str, Any]:
    """Members that set a tag or expect it; None: that delete it, or expect it to be absent."""
    return {"DeleteTags": [key]} if value is None else {"Tags": [{"Key": key, "Value": value}]}


def attribute(name: str) -> Callable[[object], dict[str, Any]]:
    """Members with one attribute."""
    return lambda value: {name: value}


ATTRIBUTES = [
    (attribute("ImageName"), "old", "new", "theirs"),
    (attribute("ImageName"), "old", "new", TEMPORARY[1:]),
    (attribute("ImageDescription"), "", "new", "theirs"),
    (attribute("ImageDescription"), "old", "", TEMPORARY),
    (attribute("ImageDescription"), ANY_TEXT, "new", ANY_TEXT + "y"),
    (attribute("ImageFamily"), "old", "new", ""),
    (attribute("ImageFamily"), "a\nb", "new", "ab"),
    (tag, "old", "new", "theirs"),
    (tag, "old", "new", None),
    (tag, None, "new", "theirs"),
    (tag, "old", None, "theirs"),
]
"""What makes members of a value, a value that is expected, one that is wanted, and a third."""


def held(function: Function, make: Callable[[Any], dict[str, Any]], value: object) -> None:
    """Let the image have a value."""
    members = make(value) if value is not None else {}
    tags = {pair["Key"]: pair["Value"] for pair in members.pop("Tags", ())}
    hold(function, **members, Tags=tags)


@pytest.mark.parametrize(("make", "expected", "wanted", "other"), ATTRIBUTES)
def test_one_member(
    function: Function,
    make: Callable[[Any], dict[str, Any]],
    expected: object,
    wanted: object,
    other: object,
) -> None:
    """As expected it is changed, as wanted it is left, and anything else is Changed, untouched."""
    for value, status in ((expected, "changed"), (wanted, "unchanged"), (other, "Changed")):
        held(function, make, value)
        former = function.image(A)
        assert result_of(function, **make(wanted), Expect=make(expected)) == status
        if status == "Changed":
            assert function.image(A) == former
    assert function.writes == 1


@pytest.mark.parametrize(
    ("expected", "status"),
    [
        ({}, "changed"),
        ({"ImageName": "old"}, "changed"),
        ({"ImageName": ""}, "Changed"),
        ({"ImageFamily": "f", "ImageDescription": "d"}, "changed"),
        ({"ImageFamily": "f", "ImageDescription": "x"}, "Changed"),
        ({"ImageDeprecated": False}, "changed"),
        ({"ImageDeprecated": True}, "Changed"),
        (tag("infra"), "changed"),
        (tag("infra", "Team"), "Changed"),
        (tag(None), "Changed"),
        (tag(None, "absent"), "changed"),
        (tag(None, ANY_TEXT), "changed"),
        ({"ImageDescription": ANY_TEXT}, "Changed"),
        ({"Tags": [{"Key": "", "Value": ""}]}, "Changed"),
    ],
)
def test_member_that_is_not_changed(
    function: Function, expected: dict[str, Any], status: str
) -> None:
    """A member that the document does not change may be expected, too, with any text."""
    hold(function, ImageFamily="f", ImageDescription="d", Tags={"team": "infra"})
    assert result_of(function, ImageName="new", Expect=expected) == status
    assert function.image(A)["ImageName"] == ("new" if status == "changed" else "old")


EXPECTED = {"ImageName": "old", "ImageDescription": "", **tag("infra"), **tag(None, "new")}
WANTED = {"ImageName": "new", "ImageDescription": "d", "DeleteTags": ["team"], **tag("x", "new")}


def test_members_are_judged_alone(function: Function) -> None:
    """Of an image that is partly as wanted, partly as expected, only the rest is written."""
    hold(function, ImageName="new", Tags={"new": "x", "team": "infra"})
    result = function({"ImageId": A, **WANTED, "Expect": EXPECTED})
    (image,) = result["Images"]
    assert image["Status"] == "changed"
    assert image["After"] == {"ImageDescription": "d", "Tags": []}
    assert image["Before"]["Tags"] == [{"Key": "team", "Value": "infra"}]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"ImageName": "theirs"}, 'ImageName is "theirs", not "old"'),
        ({"ImageDescription": "theirs"}, 'ImageDescription is "theirs", not ""'),
        ({"Tags": {"team": "theirs"}}, 'Tag.team is "theirs", not "infra"'),
        ({"Tags": {"team": "infra", "new": "theirs"}}, 'Tag.new is "theirs", not null'),
    ],
    ids=["name", "description", "tag", "new tag"],
)
def test_one_unexpected_member_is_enough(
    function: Function, members: dict[str, Any], message: str
) -> None:
    """An image with one unexpected value is left alone as a whole; the others are done."""
    hold(function, **{"Tags": {"team": "infra"}, **members})
    former = function.image(A)
    changes = [{"ImageId": A, **WANTED, "Expect": EXPECTED}, {"ImageId": B, "ImageFamily": "f"}]
    result = function({"Images": changes})
    failed, changed = sorted(result["Images"], key=lambda image: str(image["ImageId"]))
    assert (failed["Status"], failed["Code"]) == ("failed", "Changed")
    assert failed["Message"] == f"not as expected: {message}; this image stays as it is"
    assert (failed["Before"], failed["After"]) == ({}, {})
    assert changed["Status"] == "changed"
    assert function.image(A) == former
    assert [entry["ImageId"] for entry in result["Undo"]["Images"]] == [B]
    assert result["Outcome"] == "partial"


def test_temporary_name_is_expected(function: Function) -> None:
    """A temporary name of ours stands for the name that is expected."""
    hold(function, ImageName=TEMPORARY)
    assert result_of(function, ImageName="new", Expect={"ImageName": "old"}) == "changed"


def test_missing_image(function: Function) -> None:
    """An image that does not exist is not found, whatever is expected of it."""
    document = {"ImageId": "img-missing1", "ImageName": "new", "Expect": {"ImageName": "old"}}
    (image,) = function(document)["Images"]
    assert image["Code"] == "InvalidImageId.NotFound"


def test_name_of_an_unexpected_image_is_taken(function: Function) -> None:
    """An image that is left alone keeps its name, so that no other image can have it."""
    hold(function, ImageDescription="theirs")
    changes = [
        {"ImageId": A, "ImageName": "new", "Expect": {"ImageDescription": ""}},
        {"ImageId": B, "ImageName": "old"},
    ]
    result = function({"Images": changes})
    codes = {image["ImageId"]: image["Code"] for image in result["Images"]}
    assert codes == {A: "Changed", B: "InvalidImageName.Duplicate"}
    assert function.writes == 0


def test_dry_run_judges_as_well(function: Function) -> None:
    """A dry run shows that an image is not as expected, and offers nothing to apply for it."""
    hold(function, ImageName="theirs")
    document = {"ImageId": A, "ImageName": "new", "Expect": {"ImageName": "old"}, "DryRun": True}
    result = function(document)
    assert result["Images"][0]["Code"] == "Changed"
    assert "Apply" not in result


@pytest.mark.parametrize(
    ("expected", "path", "message"),
    [
        ({"ImageNam": "x"}, "/Expect/ImageNam", "unknown member"),
        ({"ImageId": A}, "/Expect/ImageId", "unknown member"),
        ({"ImageDeprecated": "no"}, "/Expect/ImageDeprecated", "must be a boolean"),
        ({"Tags": [{"Key": "k"}]}, "/Expect/Tags/0", "member Value is missing"),
        ({"DeleteTags": ["k"] * 101}, "/Expect/DeleteTags", "has 101 entries; at most 100"),
        ({"DeleteTags": ["k", "k"]}, "/Expect/DeleteTags", 'key "k" appears 2 times'),
        ({**tag("a", "k"), **tag(None, "k")}, "/Expect/DeleteTags", 'key "k" is also in Tags'),
        ({"Tags": tag("a", "k")["Tags"] + tag("b", "k")["Tags"]}, "/Expect/Tags", "2 times"),
    ],
)
def test_invalid_expect(
    function: Function, expected: dict[str, Any], path: str, message: str
) -> None:
    """What is expected has the members of a change request, and contradicts itself no more."""
    result = function({"ImageId": A, "ImageName": "new", "Expect": expected})
    errors = {error["Path"]: error["Message"] for error in result["Errors"]}
    assert message in errors[path]


# --- reading again ---


def late_reads(function: Function, seconds: float) -> None:
    """Let reads show the image as it is now, until some seconds have passed."""
    until = function.clock.monotonic() + seconds
    stale: list[Reply] = []

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action != "DescribeImages" or "ImageIds" not in call.params:
            return reply
        stale.append(reply)
        return stale[0] if function.clock.monotonic() < until else reply

    function.cloud.on_reply = on_reply
    function({"ImageId": A, "ImageName": "old"})  # reads what is stale from now on
    function.cloud.state.calls.clear()


@pytest.mark.parametrize(
    ("expected", "status"),
    [({"ImageName": "new"}, "changed"), ({"ImageName": "x"}, "Changed"), ({}, "unchanged")],
    ids=["lag", "changed", "nothing expected"],
)
def test_already_done_is_read_again(
    function: Function, expected: dict[str, Any], status: str
) -> None:
    """A read that shows what is wanted already is believed only if it shows it for 5 s."""
    hold(function)
    late_reads(function, 4)
    hold(function, ImageName="new")  # what another instance wrote
    start = function.clock.monotonic()
    assert result_of(function, ImageName="old", Expect=expected) == status
    assert function.clock.monotonic() - start <= EXPECT_SECONDS
    assert function.image(A)["ImageName"] == ("old" if status == "changed" else "new")


def test_expected_image_is_read_once(function: Function) -> None:
    """An image that is as expected is changed at once."""
    hold(function)
    start = function.clock.monotonic()
    assert result_of(function, ImageDescription="d", Expect={"ImageName": "old"}) == "changed"
    assert len(function.calls("DescribeImages")) == 1
    assert function.clock.monotonic() == start


def test_reading_again_ends_with_the_run(function: Function) -> None:
    """A run that is nearly over does not wait for 5 s, and starts nothing after its time."""
    hold(function, ImageName="theirs")
    start = function.clock.monotonic()
    document = {"ImageId": A, "ImageName": "new", "Expect": {"ImageName": "old"}}
    assert function(document, seconds=2)["Images"][0]["Code"] == "Changed"
    assert 0 < function.clock.monotonic() - start < 2
    assert not any(line["Event"] == "image.awaited" for line in function.lines)


def test_unreadable_region(function: Function) -> None:
    """An image whose region cannot be read is pending, whatever is expected of it."""
    hold(function)
    function.cloud.on_reply = lambda _call, reply: Reply(500, reply.headers, b"")
    with pytest.raises(Unfinished):
        function({"ImageId": A, "ImageName": "new", "Expect": {"ImageName": "old"}})


# --- Apply ---

NIGHTLY: dict[str, Any] = {
    "ImageName": "{ImageFamily}-{ImageId}",
    "Tags": [{"Key": "was", "Value": "{ImageDescription|none}"}],
}


@pytest.fixture
def images(function: Function) -> list[dict[str, Any]]:
    """Three images, one of which a policy skips."""
    images: list[dict[str, Any]] = [
        {"ImageId": A, "ImageName": "old", "ImageFamily": "web", "ImageDescription": "d\n"},
        {"ImageId": B, "ImageName": "other", "ImageFamily": "web",
         "Tags": [{"Key": "was", "Value": "x"}]},
        {"ImageId": "img-expect0c", "ImageName": "third"},
    ]  # fmt: skip
    function.hold(*images)
    return images


DOCUMENTS: dict[str, dict[str, Any]] = {
    "policy": {"Normalise": NIGHTLY},
    "request": {"Images": [{"ImageId": A, "ImageName": "other", "DeleteTags": ["was"]},
                           {"ImageId": B, "ImageName": "old", "DeleteTags": ["was"]}]},
    "manifest": manifest(
        build({"ImageName": "n-{ImageId}", "Tag.git": "3f2c1d"},
              artifact_id=f"ap-guangzhou:{A},ap-guangzhou:{B}")
    ),
}  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=list(DOCUMENTS))
def test_apply_is_what_was_planned(
    function: Function, images: list[dict[str, Any]], document: dict[str, Any]
) -> None:
    """Uploading the Apply of a dry run does what the document itself does."""
    apply = function(document, STEWARD_DRY_RUN="1")["Apply"]
    assert function.writes == 0
    result = function(document)
    assert "Apply" not in result
    wanted = function.images
    function.hold(*images)
    function.instance.recent_writes.expire()
    function.clock.sleep_until(function.clock.monotonic() + 60)
    applied = function(function.uploaded(apply))
    assert applied["Outcome"] == "applied"
    assert applied["Summary"]["Changed"] == result["Summary"]["Changed"]
    assert function.images == wanted


@pytest.mark.usefixtures("images")
def test_apply_expects_what_was_read(function: Function) -> None:
    """Each image has what is planned for it, and what was read of just that."""
    result = function({"Normalise": NIGHTLY, "DryRun": True})
    here = {"Region": "ap-guangzhou"}
    entries = sorted(result["Apply"]["Images"], key=lambda entry: str(entry["ImageId"]))
    assert entries == [
        {**here, "ImageId": A, "ImageName": f"web-{A}", **tag("d", "was"),
             "Expect": {"ImageName": "old", "DeleteTags": ["was"]}},
            {**here, "ImageId": B, "ImageName": f"web-{B}", **tag("none", "was"),
             "Expect": {"ImageName": "other", "Tags": [{"Key": "was", "Value": "x"}]}},
    ]  # fmt: skip
    assert result["Undo"] == {"Images": []}


@pytest.mark.usefixtures("images")
def test_apply_leaves_a_changed_image_alone(function: Function) -> None:
    """An image that somebody changed after the dry run stays as they left it."""
    apply = function({"Normalise": NIGHTLY, "DryRun": True})["Apply"]
    image = function.cloud.state.find("ap-guangzhou", B)
    assert image
    image["Tags"] = [{"Key": "was", "Value": "theirs"}]
    former = function.image(B)
    result = function(apply)
    assert {i["ImageId"]: i.get("Code", i["Status"]) for i in result["Images"]} == {
        A: "changed", B: "Changed",
    }  # fmt: skip
    assert function.image(B) == former


@pytest.mark.usefixtures("images")
def test_apply_of_two_documents(function: Function) -> None:
    """Two documents of one event that plan for one image have one entry for it."""
    for key, members in (("a", {"ImageName": "new"}), ("b", {"ImageFamily": "db"})):
        function.put(f"requests/{key}.json", {"ImageId": A, **members, "DryRun": True})
    records = [r for key in "ab" for r in cos_event(f"requests/{key}.json")["Records"]]
    (entry,) = function({"Records": records})["Apply"]["Images"]
    assert (entry["ImageName"], entry["ImageFamily"]) == ("new", "db")
    assert entry["Expect"] == {"ImageName": "old", "ImageFamily": "web"}
    assert function({"Images": [entry]})["Outcome"] == "applied"


@pytest.mark.usefixtures("images")
def test_apply_that_would_be_rejected(function: Function) -> None:
    """Two documents that bind more tags than a change request may are no Apply."""
    for key in "ab":
        tags = [{"Key": f"{key}{i}", "Value": "v"} for i in range(26)]
        function.put(f"requests/{key}.json", {"ImageId": A, "Tags": tags, "DryRun": True})
    records = [r for key in "ab" for r in cos_event(f"requests/{key}.json")["Records"]]
    result = function({"Records": records})
    assert result["Summary"]["Planned"] == 1
    assert "Apply" not in result


def test_apply_of_values_without_utf8(function: Function) -> None:
    """A value read from an image is made text before it is written anywhere else."""
    function.hold({"ImageId": A, "ImageName": "n", "ImageDescription": "half\udc00"})
    policy = {"Normalise": {"ImageFamily": "{ImageDescription}"}, "DryRun": True}
    (family,) = function(policy)["Apply"]["Images"]
    assert family["ImageFamily"] == "half"
    request = {"ImageId": A, "ImageDescription": "d", "DryRun": True}
    (description,) = function(request)["Apply"]["Images"]
    assert "Expect" not in description
    for entry in (family, description):
        assert function({"Images": [entry]})["Outcome"] == "applied"


@pytest.mark.parametrize("document", [{"ImageName": "new"}, {"Tags": [{"Key": "k", "Value": "1"}]}])
def test_change_during_the_run(function: Function, document: dict[str, Any]) -> None:
    """What somebody changes while an attempt fails is seen before the next one, and kept."""
    hold(function, Tags={"k": "0"})
    event = {"ImageId": A, **document, "Expect": {"ImageName": "old", **tag("0", "k")}}

    def on_reply(call: Call, reply: Reply) -> Reply:
        if call.action not in {"ModifyImageAttribute", "TagResources"} or call.number > 1:
            return reply
        image = function.cloud.state.find("ap-guangzhou", A)
        assert image
        image["ImageName"] = "theirs"
        image["Tags"] = [{"Key": "k", "Value": "theirs"}]
        body = {"Response": {"Error": {"Code": "InternalError", "Message": "m"}, "RequestId": "q"}}
        return Reply(200, reply.headers, json.dumps(body).encode())

    function.cloud.on_reply = on_reply
    (image,) = function(event)["Images"]
    assert (image["Status"], image["Code"]) == ("failed", "Changed")
    assert "changed during the run" in image["Message"]
    assert state_of(function)["ImageName"] == "theirs"
    assert state_of(function)["Tags"] == {"k": "theirs"}


@pytest.mark.usefixtures("images")
def test_apply_has_what_is_planned_only(function: Function) -> None:
    """Images that fail, are skipped or are as wanted are not in it; with none, there is none."""
    changes = [
        {"ImageId": A, "ImageFamily": "web"},
        {"ImageId": B, "ImageName": "third"},
        {"ImageId": "img-expect0c", "ImageFamily": "db"},
    ]
    result = function({"Images": changes, "DryRun": True})
    assert [entry["ImageId"] for entry in result["Apply"]["Images"]] == ["img-expect0c"]
    assert "Apply" not in function({"Images": changes[:2], "DryRun": True})


def many(number: int, **members: object) -> list[dict[str, Any]]:
    """Images with names of their own."""
    return [{"ImageId": f"img-many{i:05}", "ImageName": f"n-{i}", **members} for i in range(number)]


@pytest.mark.parametrize(("most", "applies"), [(1, False), (2, True)])
def test_no_apply_of_what_would_be_rejected(
    function: Function, most: int, *, applies: bool
) -> None:
    """A plan above MaxChanges is shown, but there is nothing to apply."""
    function.hold(*many(2))
    body = {"ImageFamily": "web", "MaxChanges": most}
    result = function({"Normalise": body, "DryRun": True})
    assert result["Summary"]["Planned"] == 2
    assert ("Apply" in result) is applies


@pytest.mark.parametrize(("number", "applies"), [(1000, True), (1001, False)])
def test_no_apply_of_more_than_a_request(function: Function, number: int, *, applies: bool) -> None:
    """A plan of more images than a change request may have cannot be applied by one."""
    function.hold(*many(number))
    result = function({"Normalise": {"ImageFamily": "web", "MaxChanges": 5000}, "DryRun": True})
    assert result["Summary"]["Planned"] == number
    assert ("Apply" in result) is applies
    if applies:
        assert len(result["Apply"]["Images"]) == number


@pytest.mark.parametrize(("number", "applies"), [(150, True), (500, False)])
def test_no_apply_that_does_not_fit(function: Function, number: int, *, applies: bool) -> None:
    """A part of a plan is no plan: an Apply that does not fit into the result is left out."""
    function.hold(*many(number, ImageDescription="字" * 256))
    body = {"ImageDescription": "镜" * 256, "MaxChanges": 5000}
    result = function({"Normalise": body, "DryRun": True})
    assert ("Apply" in result) is applies
    if applies:
        assert len(result["Apply"]["Images"]) == number


# --- what Undo leaves out ---


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImageName", "two\nlines"),
        ("ImageName", "tab\t"),
        ("ImageName", "line\u2028separator"),
        ("ImageName", ""),
        ("ImageName", "x" * 61),
        ("ImageDescription", "x" * 257),
        ("ImageFamily", "c1\x85"),
        ("Tag.team", ""),
        ("Tag.team", "bell\a"),
        ("Tag.team", "x" * 256),
    ],
)
def test_former_value_that_no_document_may_set(function: Function, name: str, value: str) -> None:
    """Such a value is left out of Undo, which says so; the rest of the image is restored."""
    key = name.removeprefix("Tag.")
    hold(function, **({"Tags": {key: value}} if key != name else {name: value}))
    new = tag("new") if key != name else {name: "new"}
    result = function({"ImageId": A, **new, "ImageDeprecated": True})
    message = f"{name} of {A} in ap-guangzhou has a value that no document may set"
    (warning,) = result["Warnings"]
    assert warning["Code"] == "NotRestorable"
    assert warning["Message"].startswith(message)
    (line,) = [line for line in function.lines if line["Event"] == "document.warned"]
    assert (line["Level"], line["Code"]) == ("WARNING", "NotRestorable")
    assert line["Message"].startswith(message)
    assert result["Undo"]["Images"] == [
        {"Region": "ap-guangzhou", "ImageId": A, "ImageDeprecated": False,
         "Expect": {"ImageDeprecated": True}},
    ]  # fmt: skip
    assert function(result["Undo"])["Outcome"] == "applied"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ImageName", "x" * 60),
        ("ImageName", "\u200bzero width"),
        ("ImageDescription", "two\nlines\0"),
        ("ImageDescription", ""),
        ("ImageFamily", ""),
        ("Tag.team", "x" * 255),
        ("Tag.new", None),
    ],
)
def test_former_value_that_a_document_may_set(
    function: Function, name: str, value: str | None
) -> None:
    """Any other value is restored, and nothing is said."""
    key = name.removeprefix("Tag.")
    hold(function, **({"Tags": {key: value} if value else {}} if key != name else {name: value}))
    former = state_of(function)
    result = function({"ImageId": A, **(tag("new", key) if key != name else {name: "new"})})
    assert "Warnings" not in result
    assert function(result["Undo"])["Outcome"] == "applied"
    assert state_of(function) == former
