"""Logs of runs in the formats that CLS and the console export."""

from __future__ import annotations

import codecs
import gzip
import json
from typing import TYPE_CHECKING, Any

from scf_local.cloud.cls.delivery import fields_of
from scf_local.cloud.scf.model import Delivery, Run
from scf_local.invocation import response_line

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
        lines.insert(-2, response_line(done))
    run = Run(Delivery("", function, None, done.request_id, start, start, retry), start, done)
    return [
        fields_of(
            line, run, int(f"{start * 1000 + number:.0f}000000"), is_end=number == len(lines) - 1
        )
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


def as_raw_reply(records: Iterable[Fields]) -> str:
    """Format as the reply of SearchLog for a topic without an index, without `Response`."""
    results = [{"RawLog": json.dumps(record), "LogJson": ""} for record in records]
    return json.dumps({"Results": results, "Analysis": False, "RequestId": "r"})


def as_analysis(records: Iterable[Fields]) -> str:
    """Format as the reply of SearchLog to a query with analysis: each record is a string."""
    texts = [json.dumps(record) for record in records]
    reply = {"Analysis": True, "Results": None, "AnalysisResults": None, "AnalysisRecords": texts}
    return json.dumps({"Response": {**reply, "RequestId": "r"}})


def as_rows(records: Iterable[Fields]) -> str:
    """Format as the older reply of SearchLog to such a query: keys and values."""
    rows = [
        {"Data": [{"Key": key, "Value": value} for key, value in record.items()]}
        for record in records
    ]
    reply = {"Analysis": True, "AnalysisResults": rows, "AnalysisRecords": None}
    return json.dumps({"Response": {**reply, "RequestId": "r"}})


def as_pretty(records: Iterable[Fields]) -> str:
    """Format as `jq .` prints the lines of an export."""
    return "".join(json.dumps(record, indent=2) + "\n" for record in records)


def as_contents(records: Iterable[Fields]) -> str:
    """Format as consumers of a log topic receive them: one record per line."""
    return "".join(
        json.dumps({"timestamp": int(record["SCF_LogTime"]), "content": json.dumps(record)}) + "\n"
        for record in records
    )


def as_objects(records: Iterable[Fields]) -> str:
    """Format as consumers that parse the content: one record per line."""
    return "".join(json.dumps({"content": record}) + "\n" for record in records)


def as_semicolons(records: Iterable[Fields]) -> str:
    """Format as Excel saves CSV where the comma is the decimal mark."""
    return as_csv(records, delimiter=";")


def as_tabs(records: Iterable[Fields]) -> str:
    """Format as Excel saves text."""
    return as_csv(records, delimiter="\t")


def as_csv(records: Iterable[Fields], delimiter: str = ",") -> str:
    """Format as the CSV export: all quoted, with a header, and a byte order mark for Excel."""
    rows = [*records]
    quoted = (
        ['"' + value.replace('"', '""') + '"' for value in values]  # the module csv rejects NUL
        for values in (rows[0], *(row.values() for row in rows))
    )
    return "\N{BYTE ORDER MARK}" + "".join(delimiter.join(values) + "\r\n" for values in quoted)


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
    "raw.json": as_raw_reply,
    "analysis.json": as_analysis,
    "rows.json": as_rows,
    "pretty.jsonl": as_pretty,
    "pretty.json": as_pretty,
    "objects.jsonl": as_objects,
    "export.csv": as_csv,
    "semicolons.csv": as_semicolons,
    "tabs.txt": as_tabs,
    "console.log": as_text,
}
"""Functions that format the content of a file with such a name."""


def _in_parts(text: str) -> bytes:
    """About 20 gzip files, one after another; where one ends, a character may have begun."""
    data = text.encode()
    size = len(data) // 20 + 1
    parts = (data[start : start + size] for start in range(0, len(data), size))
    return b"".join(map(gzip.compress, parts))


ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "gzip": lambda text: gzip.compress(text.encode()),
    "gzip in parts": _in_parts,
    "utf-16": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "utf-16-be": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
    "utf-16-le without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16-be without a mark": lambda text: text.encode("utf-16-be"),
    "gzip of utf-16": lambda text: gzip.compress(text.encode("utf-16")),
}
"""Functions that encode a file as people have them."""
