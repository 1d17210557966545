"""Rename cycles and chains on the emulated cloud, and what happens when they fail."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from image_steward.errors import Unfinished
from image_steward.naming.temporary import TEMPORARY
from scf_local.cloud.faults import Faults, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conftest import Function
    from scf_local.cloud.wire import Call, Reply

DUPLICATE = "InvalidImageName.Duplicate"
INVALID = {"ImageFamily": "a family that the API rejects"}
REFUSAL = "InvalidParameterValue.InvalidImageFamily"


def request(wanted: Mapping[str, str], **more: dict[str, Any]) -> dict[str, Any]:
    """Return a change request with new names by id; `more` by the last letter of an id."""
    return {
        "Images": [
            {"ImageId": i, "ImageName": name, **more.get(i[-1], {})} for i, name in wanted.items()
        ]
    }


def hold(function: Function, names: Mapping[str, str], region: str = "ap-guangzhou") -> None:
    """Replace the images of a region, given their names by id."""
    images = [{"ImageId": i, "ImageName": name} for i, name in names.items()]
    function.hold(*images, region=region)


def shifted(ids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return a cycle in which each image gets the name of the next one."""
    ids = list(ids)
    return dict(zip(ids, [names[i] for i in [*ids[1:], ids[0]]], strict=True))


def cycles(names: Mapping[str, str], wanted: Mapping[str, str]) -> int:
    """Count the cycles of a permutation of names, without those of one image."""
    holders = {name: i for i, name in names.items()}
    left, found = {i for i in wanted if names[i] != wanted[i]}, 0
    while left:
        found += 1
        image_id = next(iter(left))
        while image_id in left:
            left.remove(image_id)
            image_id = holders[wanted[image_id]]
    return found


def writes(function: Function) -> list[str]:
    """Return the outcomes of the calls that rename."""
    return [call["Outcome"] for call in function.calls("ModifyImageAttribute")]


def with_temporary_names(function: Function) -> list[str]:
    """Return the images that have a temporary name."""
    return [i for i, name in function.names().items() if name.startswith(TEMPORARY)]


TWELVE = {f"img-twelve{i:02}": f"name-{i}" for i in range(12)}


@pytest.mark.parametrize("seed", range(8))
def test_permutation(function: Function, seed: int) -> None:
    """Any permutation of twelve names takes a call for each rename and one for each cycle."""
    hold(function, TWELVE)
    shuffled = random.Random(seed).sample(list(TWELVE.values()), 12)  # noqa: S311 - no secret
    wanted = dict(zip(TWELVE, shuffled, strict=True))
    result = function(request(wanted))
    moved = sum(TWELVE[i] != name for i, name in wanted.items())
    assert moved > 6
    assert function.names() == wanted
    assert writes(function) == ["ok"] * (moved + cycles(TWELVE, wanted))
    assert result["Summary"]["Changed"] == moved
    assert function(request(wanted))["Summary"]["Unchanged"] == 12


@pytest.mark.parametrize("size", [2, 5, 6, 12])
def test_one_cycle(function: Function, size: int) -> None:
    """A cycle of any size takes one more call, even if its names just fill a filter."""
    hold(function, TWELVE)
    ids = list(TWELVE)[:size]
    wanted = TWELVE | shifted(ids, TWELVE)
    function(request({i: wanted[i] for i in ids}))
    assert function.names() == wanted
    assert writes(function) == ["ok"] * (size + 1)
    assert len(function.calls("DescribeImages")) == 2


@pytest.mark.parametrize("order", ["first to last", "last to first", "mixed"])
def test_chain_of_hundred(function: Function, order: str) -> None:
    """A chain of a hundred is renamed from its free end, whatever the order of the request."""
    names = {f"img-chain{i:04}": f"link-{i}" for i in range(100)}
    hold(function, names)
    wanted = {i: f"link-{n + 1}" for n, i in enumerate(names)}
    ids = list(wanted)
    if order == "last to first":
        ids.reverse()
    elif order == "mixed":
        random.Random(1).shuffle(ids)  # noqa: S311 - no secret
    result = function(request({i: wanted[i] for i in ids}), seconds=60)
    assert function.names() == wanted
    assert writes(function) == ["ok"] * 100
    assert [image["ImageId"] for image in result["Images"]] == ids


FOUR = {f"img-circle0{i}": f"name-{i}" for i in "abcd"}
A, B, C, D = FOUR
CYCLE = shifted(FOUR, FOUR)
"""A is first and opens it; then D gets A's name, C gets D's, B gets C's and A gets B's."""


def statuses(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return status and code of each image, by the last letter of its id."""
    return {
        image["ImageId"][-1]: (image["Status"], image.get("Code", "")) for image in result["Images"]
    }


def test_foreign_holder(function: Function) -> None:
    """A name held by an image outside the plan is a conflict, without a call."""
    foreign = {"img-foreign1": "theirs", "img-foreign2": "theirs, too"}
    hold(function, FOUR | foreign)
    wanted = {A: FOUR[B], B: FOUR[A], C: "theirs", D: FOUR[C]}
    result = function(request(wanted))
    assert statuses(result) == {
        "a": ("changed", ""),
        "b": ("changed", ""),
        "c": ("failed", DUPLICATE),
        "d": ("failed", DUPLICATE),
    }
    assert result["Outcome"] == "partial"
    assert "img-foreign1 has it" in result["Images"][2]["Message"]
    assert f"{C} has it and cannot be renamed" in result["Images"][3]["Message"]
    assert function.names() == FOUR | foreign | {A: FOUR[B], B: FOUR[A]}
    assert writes(function) == ["ok"] * 3


def test_foreign_holder_among_many(function: Function) -> None:
    """With more names than a filter takes, the holder of one of them is found."""
    hold(function, TWELVE | {"img-foreign1": "theirs"})
    wanted = shifted(TWELVE, TWELVE) | {"img-twelve11": "theirs"}
    result = function(request(wanted))
    assert {image["Status"] for image in result["Images"]} == {"failed"}
    assert function.writes == 0


def test_two_want_one_name(function: Function) -> None:
    """Of two images with the same new name, the first gets it; the other is a conflict."""
    hold(function, FOUR)
    result = function(request({A: "new", B: "new"}))
    assert statuses(result) == {"a": ("changed", ""), "b": ("failed", DUPLICATE)}
    assert writes(function) == ["ok"]


def test_taken_meanwhile(function: Function) -> None:
    """A name taken between reading and writing fails one image, with the API's code."""
    hold(function, FOUR)

    def take(call: Call, reply: Reply) -> Reply:
        if (call.action, call.number) == ("DescribeImages", 2):
            function.cloud.state.find("ap-guangzhou", C)["ImageName"] = "new"  # type: ignore[index]  # it is there
        return reply

    function.cloud.on_reply = take
    result = function(request({A: FOUR[B], B: "new"}))
    assert statuses(result) == {"a": ("failed", DUPLICATE), "b": ("failed", DUPLICATE)}
    assert f"the new name is taken: {B} could not be renamed" in result["Images"][0]["Message"]
    assert writes(function) == [DUPLICATE]


@pytest.mark.parametrize(
    ("wanted", "named"),
    [({A: FOUR[B], B: "free"}, {A: FOUR[B]}), (CYCLE, {A: FOUR[B], C: FOUR[D], D: FOUR[A]})],
    ids=["in a chain", "in a cycle"],
)
def test_holder_is_deleted_meanwhile(
    function: Function, wanted: dict[str, str], named: dict[str, str]
) -> None:
    """A name whose holder is deleted between reading and writing is free."""
    hold(function, FOUR)

    def delete(call: Call, reply: Reply) -> Reply:
        if (call.action, call.number) == ("DescribeImages", 2):
            held = function.cloud.state.images["ap-guangzhou"]
            held[:] = [image for image in held if image["ImageId"] != B]
        return reply

    function.cloud.on_reply = delete
    result = function(request(wanted))
    assert {image["ImageId"] for image in result["Images"] if image["Status"] == "failed"} == {B}
    assert statuses(result)["b"] == ("failed", "InvalidImageId.NotFound")
    assert function.names() == {i: name for i, name in FOUR.items() if i != B} | named
    assert DUPLICATE not in writes(function)


def test_temporary_name_taken(function: Function) -> None:
    """If the temporary name is in use, another one is taken."""
    foreign = {"img-foreign1": f"{TEMPORARY}img-twelve00"}
    hold(function, TWELVE | foreign)
    wanted = shifted(TWELVE, TWELVE)
    function(request(wanted))
    assert function.names() == wanted | foreign
    assert writes(function) == ["ok"] * 13


def test_cycles_in_two_regions(function: Function) -> None:
    """Equal names in two regions do not conflict, and each region opens its own cycle."""
    wanted: list[dict[str, Any]] = []
    for region in ("ap-guangzhou", "ap-shanghai"):
        hold(function, FOUR, region)
        wanted += [{**image, "Region": region} for image in request(CYCLE)["Images"]]
    function({"Images": wanted})
    assert function.names() == function.names("ap-shanghai") == CYCLE
    assert writes(function) == ["ok"] * 10


@pytest.mark.parametrize(("bad", "made"), [(A, 1), (D, 3), (C, 5), (B, 7)])
def test_one_of_a_cycle_fails(function: Function, bad: str, made: int) -> None:
    """If an image fails, those of the cycle that were renamed get their old names back."""
    hold(function, FOUR)
    result = function(request(CYCLE, **{bad[-1]: INVALID}))
    assert function.names() == FOUR
    assert len(writes(function)) == made
    assert writes(function).count(REFUSAL) == 1
    assert DUPLICATE not in writes(function)
    found = statuses(result)
    assert found.pop(bad[-1]) == ("failed", REFUSAL)
    assert set(found.values()) == {("failed", DUPLICATE)}
    assert not any("ImageName" in image["After"] for image in result["Images"])
    assert result["Undo"]["Images"] == []


def test_chain_behind_a_failure(function: Function) -> None:
    """In a chain, images after one that fails are not renamed, and those before it are."""
    hold(function, FOUR)
    result = function(request({A: FOUR[B], B: FOUR[C], C: FOUR[D], D: "free"}, b=INVALID))
    assert function.names() == {A: FOUR[A], B: FOUR[B], C: FOUR[D], D: "free"}
    assert statuses(result)["a"] == ("failed", DUPLICATE)
    assert writes(function) == ["ok", "ok", REFUSAL]


@pytest.mark.parametrize("busy", [A, D, C, B], ids=["A", "D", "C", "B"])
def test_one_of_a_cycle_is_busy(function: Function, busy: str) -> None:
    """A cycle with an image that is not ready is pending as a whole; no name is touched."""
    hold(function, FOUR)
    function.cloud.state.find("ap-guangzhou", busy)["ImageState"] = "SYNCING"  # type: ignore[index]  # it is there
    with pytest.raises(Unfinished, match=r"InvalidImageId\.IncorrectState"):
        function(request(CYCLE), seconds=400)
    ends = {line["ImageId"]: line["Event"] for line in function.lines if "ImageId" in line}
    assert ends == dict.fromkeys(FOUR, "image.pending")
    assert function.names() == FOUR
    assert function.writes == 0
    function.cloud.state.find("ap-guangzhou", busy)["ImageState"] = "NORMAL"  # type: ignore[index]  # it is there
    result = function(request(CYCLE))
    assert result["Outcome"] == "applied"
    assert function.names() == CYCLE
    assert writes(function).count("ok") == 5
    assert DUPLICATE not in writes(function)


RESERVED = {"Tags": [{"Key": "qcs:reserved", "Value": "v"}]}
FREE = {"Tags": [{"Key": "free", "Value": "v"}]}


def test_failed_and_pending_is_pending(function: Function) -> None:
    """An image with a permanent and a transient error is pending."""
    hold(function, FOUR)
    state = function.cloud.state
    state.find("ap-guangzhou", A)["ImageState"] = "SYNCING"  # type: ignore[index]  # it is there
    event = request({A: "new"}, a=RESERVED)
    with pytest.raises(Unfinished, match=r"InvalidImageId\.IncorrectState"):
        function(event)
    state.find("ap-guangzhou", A)["ImageState"] = "NORMAL"  # type: ignore[index]  # it is there
    assert statuses(function(event)) == {"a": ("failed", "InvalidParameter.ReservedTagKey")}
    assert function.names()[A] == "new"


@pytest.mark.parametrize("busy", [A, D], ids=["A", "D"])
def test_goes_back_although_tags_are_pending(function: Function, busy: str) -> None:
    """A temporary name is given back, even if tags of any image are pending."""
    hold(function, FOUR)
    code = "FailedOperation.ResourceTagProcessing"
    function.cloud.faults = Faults((Rule("TagResources", "error", code=code),))
    more: dict[str, dict[str, Any]] = {"d": dict(INVALID)}
    more.setdefault(busy[-1], {}).update(FREE)
    with pytest.raises(Unfinished, match=code):
        function(request(CYCLE, **more))
    assert function.names() == FOUR
    assert writes(function) == ["ok", REFUSAL, "ok"]
    function.cloud.faults = Faults()
    assert function(request(CYCLE, **more))["Outcome"] == "partial"
    assert function.names() == FOUR
    assert function.image(busy)["Tags"] != []


def test_permutation_in_several_deliveries(function: Function) -> None:
    """Deliveries that run out of time in a permutation continue where the last one ended."""
    hold(function, TWELVE)
    wanted = shifted(list(TWELVE)[:5], TWELVE) | shifted(list(TWELVE)[5:], TWELVE)
    raised, result = function.until_done(request(wanted), seconds=0.6)
    assert raised > 2
    assert result["Outcome"] == "applied"
    assert function.names() == wanted
    assert writes(function) == ["ok"] * 14


@pytest.mark.parametrize("fault", ["cut-applied", "cut", "html", "error-applied"])
@pytest.mark.parametrize("seed", range(3))
def test_lost_responses(function: Function, fault: str, seed: int) -> None:
    """Renames with lost responses are read back, and no call sets a name in use."""
    code = "InternalError" if fault == "error-applied" else ""
    rule = Rule("ModifyImageAttribute", fault, probability=0.4, code=code)
    hold(function, TWELVE)
    function.cloud.faults = Faults((rule,), seed)
    wanted = shifted(list(TWELVE)[:5], TWELVE) | shifted(list(TWELVE)[5:], TWELVE)
    result = function(request(wanted), seconds=400)
    assert result["Outcome"] == "applied"
    assert function.names() == wanted
    assert any("Fault" in call for call in function.calls("ModifyImageAttribute"))
    assert DUPLICATE not in writes(function)


def test_error_after_a_lost_response(function: Function) -> None:
    """An error after a lost response counts once reading back shows the old name."""
    hold(function, FOUR)
    rules = (
        Rule("ModifyImageAttribute", "cut", calls=(1,)),
        Rule("ModifyImageAttribute", "error", calls=(2,), code="InvalidParameter"),
    )
    function.cloud.faults = Faults(rules)
    result = function(request({A: FOUR[B], B: "free"}))
    assert statuses(result) == {"a": ("failed", DUPLICATE), "b": ("failed", "InvalidParameter")}
    assert function.names() == FOUR
    # Read twice for the plan, before the second try, and after it for 5 s, as reads may lag.
    assert len(function.calls("DescribeImages")) == 8


@pytest.mark.parametrize(
    "wanted", [{A: FOUR[B], B: "free"}, CYCLE], ids=["in a chain", "in a cycle"]
)
def test_last_read_confirms(function: Function, wanted: dict[str, str]) -> None:
    """A write that only the last read confirms frees the name, whatever its last error was."""
    hold(function, FOUR)
    rules = (
        Rule("ModifyImageAttribute", "cut", calls=(1,)),
        Rule("ModifyImageAttribute", "error-applied", calls=(2,), code=DUPLICATE),
    )
    function.cloud.faults = Faults(rules)
    assert function(request(wanted))["Outcome"] == "applied"
    assert function.names() == FOUR | wanted


def test_account_error_in_a_cycle(function: Function) -> None:
    """An error of the account in a rename cycle stops the rest."""
    hold(function, FOUR)
    code = "UnauthorizedOperation"
    rule = Rule("ModifyImageAttribute", "error", start=2, code=code)
    function.cloud.faults = Faults((rule,))
    result = function(request(CYCLE))
    assert writes(function) == ["ok", code]
    pending = ("pending", "Stopped")
    assert statuses(result) == {"a": pending, "b": pending, "c": pending, "d": ("failed", code)}
    function.cloud.faults = Faults()
    assert function(request(CYCLE))["Outcome"] == "applied"
    assert function.names() == CYCLE


def test_undo_of_a_later_delivery(function: Function) -> None:
    """A delivery that finishes a cycle warns that its Undo only leads back to the middle."""
    hold(function, FOUR)
    rule = Rule("ModifyImageAttribute", "error", start=2, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(request(CYCLE))
    function.cloud.faults = Faults()
    result = function(request(CYCLE))
    assert function.names() == CYCLE
    (warning,) = result["Warnings"]
    assert warning["Code"] == "TemporaryName"
    assert warning["Message"] == (
        f'{A} in ap-guangzhou has the temporary name "{TEMPORARY}{A}" from an earlier run, and '
        "Undo would restore it: to undo both runs, use the journal or the log of the earlier one"
    )
    function(result["Undo"])
    assert function.names()[A] == f"{TEMPORARY}{A}"


@pytest.mark.parametrize("size", [2, 5, 12])
def test_undo_of_a_cycle_of_any_size(function: Function, size: int) -> None:
    """Undoing a cycle is a cycle, too, and restores every name."""
    hold(function, TWELVE)
    former = function.images
    result = function(request(shifted(list(TWELVE)[:size], TWELVE)))
    assert function.images != former
    undone = function(function.uploaded(result["Undo"]))
    assert function.images == former
    assert undone["Summary"]["Changed"] == size
    assert writes(function) == ["ok"] * 2 * (size + 1)
