"""What SCF delivers of a run to CLS: one record for each line of its log. Pure functions."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence

from scf_local.cloud.cls.model import LogRecord
from scf_local.cloud.scf.model import Run
from scf_local.environment import NAMESPACE, VERSION
from scf_local.invocation import MAX_LINE_BYTES
from scf_local.log_records import PLATFORM, RUNNING


def records(run: Run, times: Sequence[tuple[int, float]], package: str) -> Iterator[LogRecord]:
    """Yield the records of a run.

    `times` has where in the log something was written, and when, in epoch seconds. Bytes that are
    not UTF-8 are replaced (assumed).
    """
    starts, at = [start for start, _ in times], 0
    lines = run.log.removesuffix(b"\n").split(b"\n")  # not at U+2028
    for number, line in enumerate(lines, 1):
        logged = times[bisect_right(starts, at) - 1][1]
        at += len(line) + 1
        text, time = line.decode("utf-8", "replace"), int(logged * 1e6)
        fields = fields_of(text, run, time * 1000, is_end=number == len(lines))
        yield LogRecord(time // 1000, package, number - 1, fields)


def fields_of(line: str, run: Run, logged: int, *, is_end: bool) -> dict[str, str]:
    """Return the fields of a line that was logged at a time, in epoch nanoseconds.

    Their names: document/product/583/60336. Assumed: the values of all but the message and the
    request id; status, duration and memory are those of the last line, `Report`.
    """
    result, platform = run.result, PLATFORM.match(line)
    return {
        "SCF_FunctionName": run.delivery.function, "SCF_Namespace": NAMESPACE,
        "SCF_StartTime": str(int(run.started * 1000)), "SCF_LogTime": str(logged),
        "SCF_RequestId": result.request_id,
        "SCF_Duration": f"{result.duration_ms:.0f}" if is_end else "0",
        "SCF_Alias": "$DEFAULT", "SCF_Qualifier": VERSION,
        "SCF_MemUsage": f"{result.memory_mb:.2f}" if is_end else "0.00",
        "SCF_Level": "INFO",
        "SCF_Message": line.encode()[:MAX_LINE_BYTES].decode("utf-8", "ignore"),
        "SCF_Type": "Platform" if platform and platform["id"] == result.request_id else "Custom",
        "SCF_StatusCode": str(result.status if is_end else RUNNING),
        "SCF_RetryNum": str(run.delivery.retry),
    }  # fmt: skip
