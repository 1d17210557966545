"""Logs of runs in the formats that CLS and the console export."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from scf_local.log_records import PLATFORM

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scf_local.invocation import InvocationResult

    Fields = dict[str, str]

BEGIN = 1764000000.0
"""Start of the first run in epoch seconds."""


def fields(
    log: bytes,
    done: InvocationResult,
    start: float = BEGIN,
    *,
    retry: int = 0,
    function: str = "steward",
) -> list[Fields]:
    """Return the records of one run, oldest first, as in document/product/583/60336."""
    lines = log.decode().removesuffix("\n").split("\n")  # splitlines() would split at U+2028
    if done.error is None:
        returned = f"Response RequestId:{done.request_id} RetMsg:{json.dumps(done.result)}"
        lines.insert(-2, returned[:8192])  # SCF cuts a line at 8 KB
    return [
        {
            "SCF_FunctionName": function,
            "SCF_Namespace": "default",
            "SCF_StartTime": f"{start * 1000:.0f}",
            "SCF_LogTime": f"{start * 1000 + number:.0f}000000",
            "SCF_RequestId": done.request_id,
            "SCF_Duration": f"{done.duration_ms:.0f}" if line.startswith("Report") else "0",
            "SCF_Alias": "$DEFAULT",
            "SCF_Qualifier": "$LATEST",
            "SCF_MemUsage": "0.00",
            "SCF_Level": "INFO",
            "SCF_Message": line,
            "SCF_Type": "Platform" if PLATFORM.match(line) else "Custom",
            "SCF_StatusCode": str(done.status) if line.startswith("Report") else "202",
            "SCF_RetryNum": str(retry),
        }
        for number, line in enumerate(lines)
    ]


def newest_first(records: Iterable[Fields]) -> list[Fields]:
    """Sort as CLS exports by default."""
    return sorted(records, key=lambda record: int(record["SCF_LogTime"]), reverse=True)


def as_lines(records: Iterable[Fields]) -> str:
    """Format as the JSON export: one record per line."""
    return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


def as_list(records: Iterable[Fields]) -> str:
    """Format as one JSON list."""
    return json.dumps([*records], indent=1)


def as_reply(records: Iterable[Fields]) -> str:
    """Format as the reply of the API SearchLog."""
    results: list[dict[str, Any]] = [
        {"Time": int(record["SCF_LogTime"]) // 10**6, "LogJson": json.dumps(record)}
        for record in records
    ]
    return json.dumps({"Response": {"Results": results, "RequestId": "r"}})


def as_contents(records: Iterable[Fields]) -> str:
    """Format as consumers of a log topic receive them: one record per line."""
    return "".join(
        json.dumps({"timestamp": int(record["SCF_LogTime"]), "content": json.dumps(record)}) + "\n"
        for record in records
    )


def as_csv(records: Iterable[Fields]) -> str:
    """Format as the CSV export: all quoted, with a header, and a byte order mark for Excel."""
    rows = [*records]
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, rows[0].keys(), quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return "\N{BYTE ORDER MARK}" + stream.getvalue()


def as_text(records: Iterable[Fields]) -> str:
    """Format as the console shows them: only the messages, oldest first."""
    ordered = sorted(records, key=lambda record: int(record["SCF_LogTime"]))
    return "".join(record["SCF_Message"] + "\n" for record in ordered)


FORMS: dict[str, Callable[[Iterable[Fields]], str]] = {
    "export.jsonl": as_lines,
    "export.ndjson": as_contents,
    "lines.json": as_lines,
    "list.json": as_list,
    "reply.json": as_reply,
    "export.csv": as_csv,
    "console.log": as_text,
}
"""Functions that format the content of a file with such a name."""
