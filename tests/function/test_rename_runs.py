"""Names handed on from image to image: in an order that works, and back when it does not."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from clocks import FakeClock
from image_steward.errors import Unfinished
from image_steward.naming.temporary import TEMPORARY
from scf_local.cloud.faults import Faults, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from conftest import Function
    from scf_local.cloud.wire import Call, Reply

DUPLICATE = "InvalidImageName.Duplicate"
REFUSED = {"ImageFamily": "a family that the API refuses"}
REFUSAL = "InvalidParameterValue.InvalidImageFamily"


@pytest.fixture(autouse=True)
def clock(function: Function) -> FakeClock:
    """Waits cost nothing here."""
    function.clock = fake = FakeClock()
    return fake


def request(wanted: Mapping[str, str], **more: dict[str, Any]) -> dict[str, Any]:
    """A change request of new names by id; `more` of single images by their ids' last letter."""
    return {
        "Images": [
            {"ImageId": i, "ImageName": name, **more.get(i[-1], {})} for i, name in wanted.items()
        ]
    }


def hold(function: Function, names: Mapping[str, str], region: str = "ap-guangzhou") -> None:
    """Let a region hold images of these names."""
    images = [{"ImageId": i, "ImageName": name} for i, name in names.items()]
    function.hold(*images, region=region)


def shifted(ids: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """A cycle: each is to get the name of the next one."""
    ids = list(ids)
    return dict(zip(ids, [names[i] for i in [*ids[1:], ids[0]]], strict=True))


def cycles(names: Mapping[str, str], wanted: Mapping[str, str]) -> int:
    """How many cycles a permutation of names has, those of one image left out."""
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
    """The outcomes of the calls that rename."""
    return [call["Outcome"] for call in function.calls("ModifyImageAttribute")]


def left_over(function: Function) -> list[str]:
    """The images that have a temporary name."""
    return [i for i, name in function.names().items() if name.startswith(TEMPORARY)]


TWELVE = {f"img-twelve{i:02}": f"name-{i}" for i in range(12)}


@pytest.mark.parametrize("seed", range(8))
def test_permutation(function: Function, seed: int) -> None:
    """Any permutation of twelve names costs a call for each rename and one for each cycle."""
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
    """A cycle of any size, also of as few names as one filter asks for, costs one call more."""
    hold(function, TWELVE)
    ids = list(TWELVE)[:size]
    wanted = TWELVE | shifted(ids, TWELVE)
    function(request({i: wanted[i] for i in ids}))
    assert function.names() == wanted
    assert writes(function) == ["ok"] * (size + 1)
    assert len(function.calls("DescribeImages")) == 2


@pytest.mark.parametrize("order", ["first to last", "last to first", "mixed"])
def test_chain_of_hundred(function: Function, order: str) -> None:
    """A chain of a hundred is renamed from its free end, in whatever order it is asked for."""
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
CIRCLE = shifted(FOUR, FOUR)
"""The first one, A, opens it; then D gets A's name, C gets D's, B gets C's and A gets B's."""


def statuses(result: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Status and code of each image, by the last letter of its id."""
    return {
        image["ImageId"][-1]: (image["Status"], image.get("Code", "")) for image in result["Images"]
    }


def test_foreign_holder(function: Function) -> None:
    """A name that an image outside the plan holds is a conflict, and no call is made for it."""
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
    """With more names than one filter takes, whoever holds one of them is found all the same."""
    hold(function, TWELVE | {"img-foreign1": "theirs"})
    wanted = shifted(TWELVE, TWELVE) | {"img-twelve11": "theirs"}
    result = function(request(wanted))
    assert {image["Status"] for image in result["Images"]} == {"failed"}
    assert function.writes == 0


def test_two_want_one_name(function: Function) -> None:
    """Of two images that are to get one name, the first gets it and the other is a conflict."""
    hold(function, FOUR)
    result = function(request({A: "new", B: "new"}))
    assert statuses(result) == {"a": ("changed", ""), "b": ("failed", DUPLICATE)}
    assert writes(function) == ["ok"]


def test_taken_meanwhile(function: Function) -> None:
    """A name that somebody takes between reading and writing fails that image by the API's code."""
    hold(function, FOUR)

    def take(call: Call, reply: Reply) -> Reply:
        if (call.action, call.number) == ("DescribeImages", 2):
            function.cloud.state.find("ap-guangzhou", C)["ImageName"] = "new"  # type: ignore[index]  # it is there
        return reply

    function.cloud.on_reply = take
    result = function(request({A: FOUR[B], B: "new"}))
    assert statuses(result) == {"a": ("failed", DUPLICATE), "b": ("failed", DUPLICATE)}
    assert f"{B} has the new name and could not be renamed" in result["Images"][0]["Message"]
    assert writes(function) == [DUPLICATE]


@pytest.mark.parametrize(
    ("wanted", "named"),
    [({A: FOUR[B], B: "free"}, {A: FOUR[B]}), (CIRCLE, {A: FOUR[B], C: FOUR[D], D: FOUR[A]})],
    ids=["in a chain", "in a cycle"],
)
def test_holder_is_deleted_meanwhile(
    function: Function, wanted: dict[str, str], named: dict[str, str]
) -> None:
    """A name whose image is deleted between reading and writing is free for who waits."""
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
    """Even the temporary name may be in use: then it is another one."""
    foreign = {"img-foreign1": f"{TEMPORARY}img-twelve00"}
    hold(function, TWELVE | foreign)
    wanted = shifted(TWELVE, TWELVE)
    function(request(wanted))
    assert function.names() == wanted | foreign
    assert writes(function) == ["ok"] * 13


def test_regions_do_not_meet(function: Function) -> None:
    """Equal names in two regions are two names; cycles of both are opened each in its own."""
    wanted: list[dict[str, Any]] = []
    for region in ("ap-guangzhou", "ap-shanghai"):
        hold(function, FOUR, region)
        wanted += [{**image, "Region": region} for image in request(CIRCLE)["Images"]]
    function({"Images": wanted})
    assert function.names() == function.names("ap-shanghai") == CIRCLE
    assert writes(function) == ["ok"] * 10


@pytest.mark.parametrize(
    ("bad", "names", "made"),
    [
        (A, FOUR, 1),
        # The temporary name is given back: nobody has taken A's own yet.
        (D, FOUR, 3),
        # D has A's name by then, and what A was to get is not free.
        (C, FOUR | {A: f"{TEMPORARY}{A}", D: FOUR[A]}, 3),
        (B, FOUR | {A: f"{TEMPORARY}{A}", D: FOUR[A], C: FOUR[D]}, 4),
    ],
    ids=["A", "D", "C", "B"],
)
def test_one_of_a_cycle_fails(
    function: Function, bad: str, names: dict[str, str], made: int
) -> None:
    """What waits for an image that fails for good fails too, and goes back if it still can."""
    hold(function, FOUR)
    former = function.images
    result = function(request(CIRCLE, **{bad[-1]: REFUSED}))
    assert function.names() == names
    assert len(writes(function)) == made
    assert writes(function).count(REFUSAL) == 1
    assert DUPLICATE not in writes(function)
    found = statuses(result)
    assert found.pop(bad[-1]) == ("failed", REFUSAL)
    for image_id in set(FOUR) - {bad}:
        has_moved = names[image_id] == CIRCLE[image_id]
        expected = ("changed", "") if has_moved else ("failed", DUPLICATE)
        assert found[image_id[-1]] == expected
    # What is told of the one with the temporary name is how it is, and it can be undone.
    told = result["Images"][0]["After"].get("ImageName")
    assert told == (names[A] if names[A] != FOUR[A] else None)
    function(result["Undo"])
    assert function.images == former


def test_chain_behind_a_failure(function: Function) -> None:
    """In a chain nobody follows an image that fails for good, and what was before it is done."""
    hold(function, FOUR)
    result = function(request({A: FOUR[B], B: FOUR[C], C: FOUR[D], D: "free"}, b=REFUSED))
    assert function.names() == {A: FOUR[A], B: FOUR[B], C: FOUR[D], D: "free"}
    assert statuses(result)["a"] == ("failed", DUPLICATE)
    assert writes(function) == ["ok", "ok", REFUSAL]


@pytest.mark.parametrize("busy", [A, D, C, B], ids=["A", "D", "C", "B"])
def test_one_of_a_cycle_is_busy(function: Function, busy: str) -> None:
    """What waits for an image that is not ready is pending; the next delivery finishes it."""
    hold(function, FOUR)
    function.cloud.state.find("ap-guangzhou", busy)["ImageState"] = "SYNCING"  # type: ignore[index]  # it is there
    with pytest.raises(Unfinished, match=r"InvalidImageId\.IncorrectState"):
        function(request(CIRCLE), seconds=400)
    ends = {line["ImageId"]: line["Event"] for line in function.lines if "ImageId" in line}
    moved = {i for i, name in function.names().items() if name == CIRCLE[i]}
    assert ends == {i: "image.changed" if i in moved else "image.pending" for i in FOUR}
    assert left_over(function) == ([] if busy == A else [A])
    function.cloud.state.find("ap-guangzhou", busy)["ImageState"] = "NORMAL"  # type: ignore[index]  # it is there
    result = function(request(CIRCLE))
    assert result["Outcome"] == "applied"
    assert function.names() == CIRCLE
    assert writes(function).count("ok") == 5
    assert DUPLICATE not in writes(function)


RESERVED = {"Tags": [{"Key": "qcs:reserved", "Value": "v"}]}
FREE = {"Tags": [{"Key": "free", "Value": "v"}]}


def test_failure_hides_nothing_pending(function: Function) -> None:
    """An image of which one thing failed for good is pending as long as another can be done."""
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
def test_goes_back_whatever_else_is_pending(function: Function, busy: str) -> None:
    """A temporary name is given back although tags, of whichever image, are to be tried again."""
    hold(function, FOUR)
    code = "FailedOperation.ResourceTagProcessing"
    function.cloud.faults = Faults((Rule("TagResources", "error", code=code),))
    more: dict[str, dict[str, Any]] = {"d": dict(REFUSED)}
    more.setdefault(busy[-1], {}).update(FREE)
    with pytest.raises(Unfinished, match=code):
        function(request(CIRCLE, **more))
    assert function.names() == FOUR
    assert writes(function) == ["ok", REFUSAL, "ok"]
    function.cloud.faults = Faults()
    assert function(request(CIRCLE, **more))["Outcome"] == "partial"
    assert function.names() == FOUR
    assert function.image(busy)["Tags"] != []


def test_time_runs_out(function: Function) -> None:
    """Deliveries that end in the middle of a permutation go on where the last one ended."""
    hold(function, TWELVE)
    wanted = shifted(list(TWELVE)[:5], TWELVE) | shifted(list(TWELVE)[5:], TWELVE)
    raised, result = function.until_done(request(wanted), seconds=0.6)
    assert raised > 2
    assert result["Outcome"] == "applied"
    assert function.names() == wanted
    assert writes(function) == ["ok"] * 14


@pytest.mark.parametrize("fault", ["cut-applied", "cut", "html", "error-applied"])
@pytest.mark.parametrize("seed", range(3))
def test_unclear_answers(function: Function, fault: str, seed: int) -> None:
    """Renames that may or may not have happened are looked at, and no name is ever met in use."""
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


def test_refused_after_an_unclear_answer(function: Function) -> None:
    """A refusal after a try that may have worked is believed once reading shows that it has not."""
    hold(function, FOUR)
    rules = (
        Rule("ModifyImageAttribute", "cut", calls=(1,)),
        Rule("ModifyImageAttribute", "error", calls=(2,), code="InvalidParameter"),
    )
    function.cloud.faults = Faults(rules)
    result = function(request({A: FOUR[B], B: "free"}))
    assert statuses(result) == {"a": ("failed", DUPLICATE), "b": ("failed", "InvalidParameter")}
    assert function.names() == FOUR
    # Read twice for the plan, before the second try, and after it.
    assert len(function.calls("DescribeImages")) == 4


@pytest.mark.parametrize(
    "wanted", [{A: FOUR[B], B: "free"}, CIRCLE], ids=["in a chain", "in a cycle"]
)
def test_done_after_all(function: Function, wanted: dict[str, str]) -> None:
    """A write that only the last look shows to be done makes room, whatever its last try said."""
    hold(function, FOUR)
    rules = (
        Rule("ModifyImageAttribute", "cut", calls=(1,)),
        Rule("ModifyImageAttribute", "error-applied", calls=(2,), code=DUPLICATE),
    )
    function.cloud.faults = Faults(rules)
    assert function(request(wanted))["Outcome"] == "applied"
    assert function.names() == FOUR | wanted


def test_refused_account(function: Function) -> None:
    """When the account is refused in the middle of a cycle, what is left is not attempted."""
    hold(function, FOUR)
    code = "UnauthorizedOperation"
    rule = Rule("ModifyImageAttribute", "error", start=2, code=code)
    function.cloud.faults = Faults((rule,))
    result = function(request(CIRCLE))
    assert writes(function) == ["ok", code]
    pending = ("pending", "Stopped")
    assert statuses(result) == {"a": pending, "b": pending, "c": pending, "d": ("failed", code)}
    function.cloud.faults = Faults()
    assert function(request(CIRCLE))["Outcome"] == "applied"
    assert function.names() == CIRCLE


def test_undo_of_a_later_delivery(function: Function) -> None:
    """The delivery that finishes a cycle warns that its Undo goes back to its middle only."""
    hold(function, FOUR)
    rule = Rule("ModifyImageAttribute", "error", start=2, code="InternalError")
    function.cloud.faults = Faults((rule,))
    with pytest.raises(Unfinished):
        function(request(CIRCLE))
    function.cloud.faults = Faults()
    result = function(request(CIRCLE))
    assert function.names() == CIRCLE
    (warning,) = result["Warnings"]
    assert warning["Code"] == "TemporaryName"
    assert warning["Message"] == (
        f'{A} in ap-guangzhou has the temporary name "{TEMPORARY}{A}" from an earlier run, and '
        "Undo would restore it: to undo both runs, use the journal or the log of the earlier one"
    )
    function(result["Undo"])
    assert function.names()[A] == f"{TEMPORARY}{A}"


@pytest.mark.parametrize("size", [2, 5, 12])
def test_undo_of_a_cycle(function: Function, size: int) -> None:
    """Undoing a cycle is a cycle too, and restores every name."""
    hold(function, TWELVE)
    former = function.images
    result = function(request(shifted(list(TWELVE)[:size], TWELVE)))
    assert function.images != former
    undone = function(function.uploaded(result["Undo"]))
    assert function.images == former
    assert undone["Summary"]["Changed"] == size
    assert writes(function) == ["ok"] * 2 * (size + 1)
