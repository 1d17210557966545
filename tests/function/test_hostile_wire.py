"""Whatever fails between function and cloud: no false success or failure, no lost change.

Every test uploads two documents in one event, each renaming an image, so that a fault may hit the
first call of an action, a later one, or every one.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Any

import pytest

from clocks import FakeClock
from conftest import SEED, Function, cos_event
from image_steward.clock import Clock
from image_steward.cloud import transport
from image_steward.errors import Unfinished
from scf_local.cloud.faults import Faults, Rule
from scf_local.cloud.seed import Object
from scf_local.cloud.server import EmulatedCloud
from scf_local.cloud.state import State

WISHES = {"img-6pb6lrmy": "sample", "img-qlzp4oea": "example"}
TARGETS = ("GetObject", "DescribeImages", "ModifyImageAttribute")
WHEN: dict[str, dict[str, Any]] = {"first": {"calls": (1,)}, "later": {"calls": (2,)}, "every": {}}

OK, RAISES = "applied", "raises"


@pytest.fixture
def state() -> State:
    """The seeded cloud, with the two documents."""
    state = State.from_folder(SEED)
    for image_id, name in WISHES.items():
        document = json.dumps({"ImageId": image_id, "ImageName": name}).encode()
        state.objects["manifests-1250000000"][f"requests/{image_id}.json"] = Object(document)
    return state


EVENT = {"Records": [r for i in WISHES for r in cos_event(f"requests/{i}.json")["Records"]]}


def run(
    state: State, *rules: Rule, clock: Clock | None = None, seconds: float = 20
) -> tuple[str, set[str]]:
    """Deliver the event once; return how it ended, and the codes of what failed."""
    clock = clock or FakeClock()
    with EmulatedCloud(state, limits=False, faults=Faults(rules)) as cloud:
        function = Function(cloud, clock)
        try:
            result = function(EVENT, seconds=seconds)
        except Unfinished:
            return RAISES, set()
    entries = [*result["Errors"], *result["Images"]]
    return result["Outcome"], {entry["Code"] for entry in entries if "Code" in entry}


def names(state: State) -> dict[str, str]:
    """Return the names of the two images in the cloud."""
    return {i: state.image("ap-guangzhou", i)["ImageName"] for i in WISHES}


def converges(state: State) -> bool:
    """Return whether a delivery without faults reaches the desired state."""
    return run(state) == (OK, set()) and names(state) == WISHES


# Faults that hide whether the call was applied; with the first ones, it is.
APPLIED = ("cut-applied", "truncated", "empty", "html", "html-as-json", "no-response", "list",
           "no-request-id", "utf-16")  # fmt: skip
NOT_APPLIED = ("cut", "redirect")
HARMLESS = ("unknown-field", "content-type")
STATUSES = {
    429: "application/json", 500: "text/html", 502: "application/json", 503: "text/html",
}  # fmt: skip


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("fault", HARMLESS)
def test_harmless(state: State, fault: str, target: str, when: str) -> None:
    """An unusual, but complete response is accepted."""
    assert run(state, Rule(target, fault, **WHEN[when])) == (OK, set())
    assert names(state) == WISHES
    assert len(state.writes()) == 2


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize(
    ("target", "fault"),
    [
        *((target, fault) for target in TARGETS[1:] for fault in [*APPLIED, *NOT_APPLIED]),
        # Any bytes may be an object; only faults of the transfer can be seen.
        *(("GetObject", fault) for fault in ("cut-applied", "truncated", *NOT_APPLIED)),
    ],
)
def test_unreadable_response(state: State, target: str, fault: str, when: str) -> None:
    """Without a readable response, reads are repeated, and writes are read back."""
    outcome, codes = run(state, Rule(target, fault, **WHEN[when]))
    is_hopeless = when == "every" and (target != "ModifyImageAttribute" or fault in NOT_APPLIED)
    assert (outcome, codes) == (RAISES if is_hopeless else OK, set())
    assert converges(state)
    assert len(state.writes()) == 2, "an image was changed twice"


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("status", STATUSES)
def test_status(state: State, status: int, target: str, when: str) -> None:
    """A response with a status other than 200 is retried."""
    rule = Rule(target, "status", status=status, content_type=STATUSES[status], **WHEN[when])
    assert run(state, rule) == (RAISES if when == "every" else OK, set())
    assert converges(state)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("fault", ["silent", "drip"])
def test_slow(
    state: State, fault: str, target: str, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that never responds, or a byte at a time, delays a call only up to its timeout."""
    # A write with a dripping response is applied, and confirmed by reading it back.
    is_hopeless = when == "every" and (target != "ModifyImageAttribute" or fault == "silent")
    monkeypatch.setattr(transport, "REPLY_SECONDS", 0.02 if is_hopeless else 0.1)
    rule = Rule(target, fault, **WHEN[when], seconds=0.02 if fault == "drip" else 0.0)
    outcome, codes = run(state, rule, clock=Clock())
    assert (outcome, codes) == (RAISES if is_hopeless else OK, set())
    monkeypatch.undo()
    assert converges(state)


@pytest.mark.parametrize("fault", ["silent", "drip"])
def test_no_response_outlives_the_run(state: State, fault: str) -> None:
    """However slow the responses are, the run ends before its limit."""
    clock = Clock()
    start = clock.monotonic()
    assert run(state, Rule("*", fault), clock=clock, seconds=1.5) == (RAISES, set())
    assert clock.monotonic() - start < 1.5


HEALED = {"first": OK, "later": OK, "every": RAISES}
FINAL = dict.fromkeys(WHEN, "partial")
# One for each class of `test_codes`, and those that the handler names.
CODES: dict[str, dict[str, str]] = {
    "RequestLimitExceeded": HEALED,
    "InternalError": HEALED,
    "InvalidImageId.IncorrectState": HEALED,
    "AuthFailure.TokenFailure": HEALED,  # COS has accepted the keys before
    "InvalidImageName.Duplicate": FINAL,
    "UnauthorizedOperation": FINAL,
    "InvalidParameterValue.TooLarge": FINAL,
    "InvalidImageId.Malformed": FINAL,
    "InvalidImageId.NotFound": FINAL,
}


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("target", TARGETS[1:])
@pytest.mark.parametrize("code", CODES)
def test_error_code(state: State, code: str, target: str, when: str) -> None:
    """Whenever an error code comes, the run ends as its kind requires."""
    outcome, codes = run(state, Rule(target, "error", code=code, **WHEN[when]))
    assert outcome == CODES[code][when]
    if outcome == "partial":
        assert code in codes
        assert codes <= {code, "Stopped"}
    assert converges(state)


@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("target", TARGETS[1:])
@pytest.mark.parametrize("fault", ["error-charset", "error-html", "error-no-request-id"])
def test_error_in_disguise(state: State, fault: str, target: str, when: str) -> None:
    """An error is an error with any Content-Type, and without a RequestId."""
    rule = Rule(target, fault, code="InvalidParameter", **WHEN[when])
    assert run(state, rule) == ("partial", {"InvalidParameter"})


@pytest.mark.parametrize("when", ["first", "later"])
def test_error_although_applied(state: State, when: str) -> None:
    """A write that was applied in spite of an InternalError is retried without harm."""
    rule = Rule("ModifyImageAttribute", "error-applied", code="InternalError", **WHEN[when])
    assert run(state, rule) == (OK, set())
    assert names(state) == WISHES


@pytest.mark.parametrize(
    ("fault", "options", "when", "end"),
    [
        ("skew", {"seconds": 1000.0}, "first", OK),
        ("skew", {"seconds": 1000.0}, "every", RAISES),
        ("expired-token", {}, "later", OK),
        ("expired-token", {}, "every", RAISES),
    ],
)
def test_rejected_credentials(
    state: State, fault: str, options: dict[str, Any], when: str, end: str
) -> None:
    """Keys that are refused are read anew, once; refused again, they end the run."""
    outcome, _ = run(state, Rule("ModifyImageAttribute", fault, **WHEN[when], **options))
    assert outcome == end
    assert len(state.calls) <= (8 if end == RAISES else 9)
    assert converges(state)


@pytest.mark.parametrize(
    ("status", "code", "end"),
    [
        (403, "AccessDenied", ("rejected", {"AccessDenied"})),
        (403, "RequestTimeTooSkewed", ("rejected", {"AccessDenied"})),
        (404, "NoSuchBucket", ("rejected", {"ObjectNotFound"})),
        (400, "InvalidArgument", ("rejected", {"InvalidArgument"})),
        (503, "SlowDown", (RAISES, set())),
        (500, "InternalError", (RAISES, set())),
    ],
)
def test_cos_error(state: State, status: int, code: str, end: tuple[str, set[str]]) -> None:
    """Errors of COS count by their status: busy is retried, everything else is permanent."""
    rule = Rule("GetObject", "error", code=code, status=status)
    assert run(state, rule) == end
    assert state.writes() == []


def test_name_taken_by_our_own_attempt(state: State) -> None:
    """Duplicate after a lost response is success if the image has the name."""
    before = state.image("ap-guangzhou", "img-6pb6lrmy")["ImageName"]
    rules = (
        Rule("ModifyImageAttribute", "cut-applied", calls=(1,)),
        Rule("ModifyImageAttribute", "error", code="InvalidImageName.Duplicate", calls=(2,)),
    )
    with EmulatedCloud(state, limits=False, faults=Faults(rules)) as cloud:
        function = Function(cloud)

        def stale(call: Any, reply: Any) -> Any:  # noqa: ANN401 - as passed to on_reply
            # Reading right after the write may still return the old name.
            if call.action == "DescribeImages" and call.number == 3:
                body = reply.body.replace(b'"sample"', f'"{before}"'.encode())
                return type(reply)(reply.status, reply.headers, body)
            return reply

        cloud.on_reply = stale
        result = function({"ImageId": "img-6pb6lrmy", "ImageName": "sample"})
    assert result["Outcome"] == OK
    assert result["Summary"]["Changed"] == 1
    assert [call["Action"] for call in state.calls].count("ModifyImageAttribute") == 2


def test_name_taken_by_another(state: State) -> None:
    """Duplicate after a lost response is a failure if another image has the name."""
    rule = Rule("ModifyImageAttribute", "cut", calls=(1,))
    with EmulatedCloud(state, limits=False, faults=Faults((rule,))) as cloud:
        function = Function(cloud)
        result = function({"ImageId": "img-6pb6lrmy", "ImageName": "golden-2026-11"})
    assert result["Images"][0]["Code"] == "InvalidImageName.Duplicate"


def add_images(state: State, number: int) -> list[str]:
    """Add images, and return their ids."""
    model = state.image("ap-guangzhou", "img-6pb6lrmy")
    ids = [f"img-many{i:04}" for i in range(number)]
    state.images["ap-guangzhou"] += [{**model, "ImageId": i, "ImageName": i} for i in ids]
    return ids


def rename_all(ids: list[str]) -> dict[str, Any]:
    """Return a change request that gives each image a new name."""
    return {"Images": [{"ImageId": i, "ImageName": f"new-{i}"} for i in ids]}


def count_renamed(state: State, ids: list[str]) -> int:
    """Return how many images have their new name."""
    images = {image["ImageId"]: image for image in state.snapshot()["Images"]["ap-guangzhou"]}
    return sum(images[i]["ImageName"] == f"new-{i}" for i in ids)


@pytest.mark.parametrize(("share", "number", "bound"), [(0.3, 200, 1.5), (0.6, 50, 2.7)])
def test_throttle_storm(share: float, number: int, bound: float) -> None:
    """However many calls are throttled, no change is lost, and no other call is repeated.

    At least 1 / (1 - share) calls are needed for each change; one seed alone may need more.
    """
    calls_of_all_seeds = 0
    for seed in range(1, 4):
        state = State.from_folder(SEED)
        ids = add_images(state, number)
        rule = Rule("*", "error", code="RequestLimitExceeded", probability=share)
        with EmulatedCloud(state, limits=False, faults=Faults((rule,), seed)) as cloud:
            function = Function(cloud)
            result = function(rename_all(ids), seconds=900)
        assert result["Summary"]["Changed"] == count_renamed(state, ids) == number
        calls = [call for call in state.calls if call["Action"] == "ModifyImageAttribute"]
        assert sum("Fault" not in call for call in calls) == number
        calls_of_all_seeds += len(calls)
    assert calls_of_all_seeds <= bound * 3 * number


def test_short_time_limit(state: State) -> None:
    """With 200 changes and a limit of 10 s, each delivery does what fits, and repeats nothing."""
    many = add_images(state, 200)
    deliveries = 0
    while count_renamed(state, many) < len(many):
        deliveries += 1
        done = count_renamed(state, many)
        clock = FakeClock(time.time())  # the SDK signs with the real time
        with EmulatedCloud(state, clock=clock.time) as cloud:
            function = Function(cloud, clock)
            start = clock.now
            with suppress(Unfinished):
                function(rename_all(many), seconds=10)
        assert clock.now - start < 10
        summary = function.lines[-1]["Summary"]
        assert summary["Changed"] == count_renamed(state, many) - done > 0
        assert summary["Unchanged"] == done
        assert summary["Pending"] == len(many) - count_renamed(state, many)
    assert len(state.writes()) == len(many)
    assert deliveries <= 5


@pytest.mark.parametrize("action", ["DescribeImages", "ModifyImageAttribute"])
def test_account_error(state: State, action: str) -> None:
    """An error of the account stops the run after the calls in progress; the rest is pending."""
    rule = Rule(action, "error", code="UnauthorizedOperation")
    with EmulatedCloud(state, limits=False, faults=Faults((rule,))) as cloud:
        result = Function(cloud)(rename_all(add_images(state, 50)))
    assert len(state.calls) <= 8
    assert result["Outcome"] == "partial"
    assert result["Summary"]["Failed"] + result["Summary"]["Pending"] == 50
    if action == "ModifyImageAttribute":
        assert result["Summary"]["Pending"] >= 46
        assert "Stopped" in {image["Code"] for image in result["Images"]}
