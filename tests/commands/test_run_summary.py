"""Outcomes of runs, read from their logs."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scf_local import log_records, logged_runs, run_summary
from scf_local.differences import NOTHING
from scf_local.invocation import FAILURES, InvocationResult
from scf_local.log_records import Record
from scf_local.replay import Case, line_of
from scf_local.run_summary import RunSummary, from_invocation

if TYPE_CHECKING:
    from scf_local.logged_runs import LoggedRun

ID = "4f9c2d1e-0000-4000-8000-000000000001"
SUMMARY = {"Changed": 1}
RESULT = {
    "Outcome": "partial",
    "Errors": [{"Code": "InvalidDocument"}],
    "Images": [{"Region": "ap-x", "ImageId": "img-b", "Status": "failed", "Code": "Busy"}],
}


def steward_line(event: str, level: str = "INFO", **fields: Any) -> str:  # noqa: ANN401 - any JSON value
    """A log line of Image Steward."""
    head = {"Time": "2026-11-25T00:00:01.500Z", "Level": level, "Event": event, "RequestId": ID}
    return json.dumps({**head, **fields})


def finished(outcome: str, trigger: str = "cos") -> str:
    """Image Steward's last line."""
    return steward_line("run.finished", Trigger=trigger, Outcome=outcome, Summary=SUMMARY)


def image(status: str, image_id: str = "img-a", **fields: str) -> str:
    """Image Steward's line about an image."""
    return steward_line(f"image.{status}", Region="ap-x", ImageId=image_id, **fields)


def error(status: int, trace: str = "") -> str:
    """SCF's line about a failed run."""
    fields = {"errorCode": -1, "errorMessage": "it failed", "statusCode": status}
    return f"ERROR RequestId:{ID} Result:{json.dumps({**fields, 'stackTrace': trace})}"


def from_messages(*messages: str, **fields: Any) -> RunSummary:  # noqa: ANN401 - Record's
    """The summary of a run with one attempt that logged these messages."""
    return run_summary.from_log([[Record(ID, message, **fields) for message in messages]])


@pytest.mark.parametrize(
    ("messages", "outcome"),
    [
        ([], "unknown"),
        (["printed"], "unknown"),
        ([f"START RequestId:{ID}"], "unknown"),
        ([f"END RequestId: {ID}"], "returned"),
        ([f"Report RequestId:{ID} Duration:1ms"], "returned"),
        ([f"2026-11-25 08:00:00 END RequestId:{ID}"], "returned"),
        ([f"END RequestId:{ID}", finished("planned")], "planned"),
        ([f'Response RequestId:{ID} RetMsg:{{"Outcome": "partial"}}'], "partial"),
        ([f'Response RequestId:{ID} RetMsg:{{"Outcome": "part'], "returned"),
        ([f'Response RequestId:{ID} RetMsg:"done"'], "returned"),
        ([error(430), finished("applied")], "raised"),
        ([error(433)], "timeout"),
        ([error(450)], "timeout"),
        ([error(434)], "memory"),
        ([error(439)], "exited"),
        ([error(443)], "raised"),
        ([f"ERROR RequestId:{ID} Result:cut"], "raised"),
        ([f"ERROR RequestId:{ID} Result:{{'statusCode': 433"], "timeout"),
        ([finished("rejected")], "rejected"),
        ([steward_line("document.rejected", "WARNING"), finished("rejected")], "raised"),
        ([steward_line("document.rejected", "ERROR"), finished("rejected")], "rejected"),
        ([image("pending", Code="Throttled"), finished("applied")], "raised"),
        ([image("pending", Code="Stopped"), finished("partial")], "partial"),
        ([finished("unfinished")], "raised"),
        ([finished("unfinished"), error(430)], "raised"),
        ([finished("unfinished"), error(433)], "timeout"),
        ([finished("unfinished"), f"END RequestId:{ID}"], "raised"),
        (
            [finished("unfinished"), f'Response RequestId:{ID} RetMsg:{{"Outcome": "partial"}}'],
            "partial",
        ),
    ],
)
def test_outcome(messages: list[str], outcome: str) -> None:
    """The outcome is SCF's if its lines have one, else the function's, else unknown."""
    assert from_messages(*messages or [""]).outcome == outcome


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "returned"), (433, "timeout"), (434, "memory"), (None, "unknown")]
)
def test_outcome_of_fields(status: int | None, outcome: str) -> None:
    """Without SCF's lines, the outcome comes from the status code next to each line."""
    assert from_messages("printed", status=status).outcome == outcome


@pytest.mark.parametrize("run", [ID, "another"])
def test_printed_lines_that_look_like_scfs(run: str) -> None:
    """What a run prints in the form of SCF's lines changes neither its outcome nor its result."""
    printed = [error(430).replace(ID, run), f"Response RequestId:{run} RetMsg:1"]
    lines = [f"{kind} RequestId:{ID}" for kind in ("END", "Report")]
    for own, status, end in (
        (f"Response RequestId:{ID} RetMsg:2", 200, ("returned", 2, "")),
        (error(430, "KeyError: 1"), 430, ("raised", NOTHING, "KeyError: 1")),
    ):
        records = [Record(ID, text) for text in (*printed, own, *lines)]
        records[-1] = replace(records[-1], status=status)
        summary = run_summary.from_log([records])
        assert (summary.outcome, summary.result, summary.error) == end


def test_error_that_was_cut() -> None:
    """If the line of an error is cut off, a record's status counts, and no class is known."""
    text = f"ERROR RequestId:{ID} Result:{{'errorMessage':\"'statusCode': 200"
    records = [Record(ID, text), Record(ID, f"Report RequestId:{ID}", status=433)]
    assert run_summary.from_log([records]).outcome == "timeout"
    raised = run_summary.from_log([[records[0], replace(records[1], status=430)]])
    assert (raised.outcome, raised.error) == ("raised", "")
    assert raised.differences(RunSummary("raised", error="KeyError: 1")) == []


def test_codes_and_images() -> None:
    """Codes and images come from the function's log lines and from its result."""
    response = f"Response RequestId:{ID} RetMsg:{json.dumps(RESULT)}"
    summary = from_messages(
        image("changed"), steward_line("event.rejected", Code="InvalidEvent"), response
    )
    assert summary.codes == frozenset({"InvalidEvent", "InvalidDocument", "Busy"})
    assert summary.images == {"ap-x/img-a": "changed", "ap-x/img-b": "failed"}
    assert from_messages("printed", error(430)).codes is None
    more = (
        image("before"),
        image("awaited"),
        image("skipped"),
        steward_line("document.warned", Code="W"),
    )
    assert (from_messages(*more).codes, from_messages(*more).images) == (frozenset(), {})


def test_what_was_written() -> None:
    """What was written to an image comes from all attempts, unless the logger has cut it."""
    name, tags = {"ImageName": "a"}, {"Tags": [{"Key": "t", "Value": "1"}]}
    records = [
        [Record(ID, steward_line("image.changed", Region="r", ImageId="i", After=name))],
        [Record(ID, steward_line("image.pending", Region="r", ImageId="i", After=tags))],
    ]
    assert run_summary.from_log(records).written == {"r/i": {"ImageName": "a", "Tag t": "1"}}
    cut = steward_line("image.changed", Region="r", ImageId="i", After="{…", Cut=["After"])
    assert from_messages(cut).written == {}
    entry = {"Region": "r", "ImageId": "i", "Status": "changed", "After": name}
    result = {"RequestId": ID, "Outcome": "applied", "Images": [entry]}
    actual = from_invocation(InvocationResult(ID, 200, 1, 1, result=result), [b""])
    assert actual.written == {"r/i": {"ImageName": "a"}}
    returned = {**result, "Images": [{**entry, "After": {"ImageName": "b"}}]}
    logged = from_messages(f"Response RequestId:{ID} RetMsg:{json.dumps(returned)}")
    assert logged.differences(actual) == ['r/i ImageName: "b" → "a"']


@pytest.mark.parametrize("outcome", ["rejected", "partial", "unfinished", "applied", "other"])
def test_success_without_a_value(outcome: str) -> None:
    """A run that returned, whatever it was, is not as logged if the replay returns a failure."""
    logged = from_messages(f"START RequestId:{ID}", f"END RequestId:{ID}")
    actual = from_invocation(InvocationResult(ID, 200, 1, 1, result={"Outcome": outcome}), [b""])
    is_failure = outcome in FAILURES
    assert logged.differences(actual) == [f"returned → {outcome}"] * is_failure


def test_returned_values() -> None:
    """Another function's returned value is compared by field, unless the log has cut it."""
    actual = from_invocation(
        InvocationResult("r-2", 200, 1, 1, result={"n": 4, "id": "r-2"}), [b""]
    )
    returned = f"Response RequestId:{ID} RetMsg:"
    logged = from_messages(returned + json.dumps({"n": 3, "id": ID}), f"END RequestId:{ID}")
    assert logged.differences(actual) == ["Result/n: 3 → 4"]
    assert from_messages(returned + '{"n": 3', f"END RequestId:{ID}").differences(actual) == []


@pytest.mark.parametrize("messages", [
    [finished("unfinished")],
    [finished("unfinished"), f"END RequestId:{ID}"],
    [image("pending", Code="Throttled"), finished("applied")],
])  # fmt: skip
def test_exception_without_its_line(messages: list[str]) -> None:
    """A run that raised after its last line is the same as a replay that raises `Unfinished`."""
    summary = from_messages(*messages)
    assert (summary.outcome, summary.error) == ("raised", "Unfinished")
    trace = "Traceback\nimage_steward.errors.Unfinished: pending: 1 of 2"
    raised = InvocationResult(ID, 430, 1, 1, error={"stackTrace": trace, "statusCode": 430})
    lines = "\n".join(messages)
    assert summary.differences(from_invocation(raised, [lines.encode()])) == []


def test_result_that_is_not_in_the_journal() -> None:
    """A summary shows that the result is not in the journal; the run itself has no error."""
    failed = steward_line("journal.failed", "ERROR", Code="AccessDenied", Message="m")
    summary = from_messages(failed, finished("applied"))
    assert (summary.outcome, summary.codes) == ("applied", frozenset())
    assert summary.document["Note"] == "result not in the journal: AccessDenied"
    case = Case(Path("x.log"), {"Records": []}, event_id=ID, logged=summary, number=1)
    assert line_of(case).endswith("applied  result not in the journal: AccessDenied")
    assert "Note" not in from_messages(finished("applied")).document


def test_the_last_attempt_counts() -> None:
    """A retried event ends as its last attempt, and keeps images that earlier ones changed."""
    first = [f"START RequestId:{ID}", image("changed"), image("pending", "img-b"), error(430)]
    second = [f"START RequestId:{ID}", image("changed", "img-b"), finished("applied")]
    records = [
        *(Record(ID, message, retry=0) for message in first),
        *(Record(ID, message, retry=1) for message in second),
    ]
    for log in (records, [Record(r.request_id, r.message) for r in records]):
        (run,) = logged_runs.runs(log)
        assert (run.summary.outcome, run.summary.attempts, run.summary.error) == ("applied", 2, "")
        assert run.summary.images == {"ap-x/img-a": "changed", "ap-x/img-b": "changed"}
    (run,) = logged_runs.runs(records[len(first) :] + records[: len(first)])
    assert run.summary.outcome == "applied"


def test_runs_are_sorted_by_time() -> None:
    """Runs are sorted by start and lines by time, even if the newest come first."""
    records = [
        Record(name, f"{name}{number}", start=start, time=start + number // 2)
        for name, start in (("late", 9.0), ("early", 3.0))
        for number in (3, 2, 1, 0)
    ]
    late, early = logged_runs.runs(records)[::-1]
    assert [r.message for r in early.attempts[0]] == [f"early{number}" for number in range(4)]
    assert [r.message for r in late.attempts[0]] == [f"late{number}" for number in range(4)]


def test_runs_without_a_time_keep_their_position() -> None:
    """A run without a known time stays behind the one before it."""
    records = [Record("b", "x", start=5.0), Record("c", "x"), Record("a", "x", start=1.0)]
    assert [run.request_id for run in logged_runs.runs(records)] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1653523171", 1653523171.0),
        ("1653523171317", 1653523171.317),
        (1653523171317573463, 1653523171.3175735),
        ("1653523171317573", 1653523171.317573),
        ("2022-05-25T23:59:31.500Z", 1653523171.5),
        ("2022-05-25 23:59:31", 1653523171.0),
        ("2022-05-26T07:59:31+08:00", 1653523171.0),
        ("", None), ("nan", None), ("-1", None), ("inf", None), (None, None), ("soon", None),
    ],
)  # fmt: skip
def test_timestamp(text: object, seconds: float | None) -> None:
    """Timestamps are read in every unit and form, in UTC by default."""
    assert log_records.timestamp(text) == (seconds if seconds is None else pytest.approx(seconds))


def summary_with(outcome: str, **fields: Any) -> RunSummary:  # noqa: ANN401 - RunSummary's
    """The summary of a run with this outcome."""
    return RunSummary(outcome, **{"codes": frozenset(), **fields})


@pytest.mark.parametrize(
    ("logged", "actual", "expected"),
    [
        (summary_with("applied"), summary_with("applied"), []),
        (summary_with("unknown", codes=None), summary_with("raised"), []),
        (
            summary_with("returned", codes=None),
            summary_with("applied", images={"i": "changed"}),
            [],
        ),
        (
            summary_with("returned", codes=None),
            summary_with("raised", error="KeyError: 1"),
            ["returned → raised"],
        ),
        (summary_with("returned"), summary_with("applied"), ["returned → applied"]),
        (summary_with("timeout", codes=None), summary_with("applied"), ["timeout → applied"]),
        (
            summary_with("raised", error="KeyError: 1"),
            summary_with("raised", error="KeyError: 2"),
            [],
        ),
        (
            summary_with("raised", error="a.b.Busy: 1"),
            summary_with("raised", error="KeyError: 2"),
            ["raised Busy → raised KeyError"],
        ),
        (
            summary_with("raised", error="CosServiceError: {'code': 'AccessDenied', 'a': 'b'}"),
            summary_with("raised", error="CosServiceError: {'code': 'NoSuchBucket', 'a': 'b'}"),
            ["raised CosServiceError AccessDenied → raised CosServiceError NoSuchBucket"],
        ),
        (
            summary_with("raised", error="x.E: [TencentCloudSDKException] code:A.B message:x"),
            summary_with("raised", error="x.E: [TencentCloudSDKException] code:A.C message:x"),
            ["raised E A.B → raised E A.C"],
        ),
        (
            summary_with("rejected", codes=frozenset({"B", "A"})),
            summary_with("applied"),
            ["rejected → applied", "A, B → no code"],
        ),
        (
            summary_with("partial", images={"r/a": "failed", "r/b": "changed"}),
            summary_with("partial", images={"r/a": "changed", "r/c": "pending"}),
            ["r/a: failed → changed", "r/b: changed → untouched", "r/c: untouched → pending"],
        ),
    ],
)
def test_differences(logged: RunSummary, actual: RunSummary, expected: list[str]) -> None:
    """Outcome, error, codes and images are compared, as far as the log has them."""
    assert logged.differences(actual) == expected


def test_document() -> None:
    """The document has what is known, and null for what is not."""
    assert from_messages(error(433), start=1653523171.317).document == {
        "RequestId": ID,
        "StartTime": "2022-05-25T23:59:31.317Z",
        "Attempts": 1,
        "Outcome": "timeout",
        "Codes": None,
        "Images": {},
        "Error": "it failed",
    }
    assert RunSummary("unknown").document["StartTime"] is None


def test_from_invocation() -> None:
    """The summary of an invocation comes from its result and its log, even if it raised."""
    raised = InvocationResult(
        ID, 430, 1, 1, error={"stackTrace": "Traceback\nBusy: no", "statusCode": 430}
    )
    summary = from_invocation(raised, [image("failed", Code="Busy").encode() + b"\n\xff"])
    assert (summary.outcome, summary.error, summary.codes) == (
        "raised",
        "Busy: no",
        frozenset({"Busy"}),
    )
    assert summary.images == {"ap-x/img-a": "failed"}
    done = from_invocation(InvocationResult(ID, 200, 1, 1, result=RESULT), [b""])
    assert (done.outcome, done.codes) == ("partial", frozenset({"InvalidDocument", "Busy"}))


SOURCE = "cos://manifests-1250000000/requests/a b.json"
NIGHTLY = "cos://manifests-1250000000/requests/nightly.json"


def run_of(*messages: str) -> LoggedRun:
    """A run that logged these messages."""
    (run,) = logged_runs.runs([Record(ID, message) for message in messages])
    return run


def test_uploads_are_rebuilt() -> None:
    """An upload is rebuilt with bucket, key, region and time, one record per object."""
    run = run_of(
        image("changed", Source=SOURCE),
        steward_line("document.rejected", "ERROR", Source=f"{NIGHTLY} ap-shanghai", Code="X"),
        image("changed", Source=NIGHTLY),
        finished("partial"),
    )
    first, second = run.event("ap-beijing")["Records"]
    assert first["cos"]["cosObject"]["key"] == "/1250000000/manifests/requests/a b.json"
    assert second["cos"]["cosObject"]["key"] == "/1250000000/manifests/requests/nightly.json"
    assert first["cos"]["cosBucket"]["cosRegion"] == "ap-beijing"
    assert first["event"]["eventTime"] == 1795564801
    # The run timed out, so no line names the trigger.
    assert run_of(image("changed", Source=SOURCE)).event("ap-beijing")["Records"]


def test_pointers_are_rebuilt() -> None:
    """The event of a timer or direct call that pointed to an object is rebuilt."""
    line = image("changed", Source=NIGHTLY)
    timer = run_of(line, finished("applied", "timer")).event("ap-beijing")
    assert (timer["Type"], json.loads(timer["Message"])) == ("Timer", {"Document": NIGHTLY})
    assert run_of(line, finished("applied", "direct")).event("x") == {"Document": NIGHTLY}


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([image("changed", Source="timer:nightly"), finished("applied", "timer")], "timer nightly"),
        ([finished("applied", "timer")], "the Message of timer ?"),
        ([image("changed", Source="direct"), finished("applied", "direct")], "a direct call"),
        (
            [steward_line("event.ignored", Source="Records/0"), finished("ignored")],
            "object for Records/0",
        ),
        ([finished("applied")], "STEWARD_LOG_LEVEL=DEBUG"),
        ([steward_line("event.rejected"), finished("rejected", "unknown")], "was not an event"),
        ([image("changed", Source="cos://Bad/k"), finished("applied")], "not a full bucket name"),
        (
            [
                *(image("changed", Source=source) for source in (SOURCE, NIGHTLY)),
                finished("applied", "direct"),
            ],
            "one document",
        ),
        (["printed", error(430)], "the function printed no event"),
        (['{"Records": [{"cos": '], "is cut off"),
    ],
)
def test_events_that_cannot_be_rebuilt(messages: list[str], reason: str) -> None:
    """If the log does not have enough, the error says why, and what helps."""
    with pytest.raises(ValueError, match=re.escape(reason)):
        run_of(*messages).event("ap-guangzhou")
