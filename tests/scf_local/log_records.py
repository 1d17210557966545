"""Reads a function's log: CLS exports, text from the SCF console, or its printed lines."""

from __future__ import annotations

import csv
import io
import json
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import islice
from typing import TYPE_CHECKING, Any

from image_steward.settings import LEVELS
from scf_local import json_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

PLATFORM = re.compile(
    r"^(?:[\d:., TZ+/-]+\s)?(?P<kind>START|END|Report|Init Report|ERROR|Response)"
    r" ?RequestId: ?(?P<id>[\w-]+)(?P<rest>.*)",
    re.DOTALL,
)
"""SCF's own lines. Spaces differ between runtimes; consoles put the time in front."""

_RUNNING = 202
"""The status code of lines logged before the end of a run."""
_WRAPPERS = ("Response", "Results", "results", "Logs", "records")
"""Members that hold lists of records in the output of CLS's API and its consumers."""
_CONTENTS = ("LogJson", "content", "Content", "__CONTENT__", "log")
"""Members that may hold a record as text."""
_REQUIRED_COLUMNS = frozenset({"SCF_RequestId", "SCF_Message"})
"""Columns that a CSV file must have."""
_MAX_PROBED_LINES = 50
"""Lines to search for a record before a file counts as text."""
_MAX_LEVELS = 8
"""Levels of a JSON value to search for records; half of them are lists."""


@dataclass(frozen=True)
class Record:
    """One line of a log, or several that were logged at once."""

    request_id: str
    message: str
    retry: int | None = None
    """SCF_RetryNum; None: unknown."""
    start: float | None = None
    """Start of the run, in seconds since 1970."""
    time: float | None = None
    """Time of logging, in seconds since 1970."""
    status: int | None = None
    """SCF's status code; None before the end of the run."""
    function: str = ""
    line: int = 0
    """Line number in the file; 0 if it has no lines."""


def read(data: bytes, name: str, *, errors: str = "replace") -> tuple[list[Record], list[str]]:
    """The records of a log in any format, and messages about lines that should be JSON.

    A file that is not a log has no records. `errors` says how to decode bytes that are not UTF-8.

    Raises:
        ValueError: a CSV file lacks a column or is cut off; begins with the file's `name`.
    """
    try:
        return from_json(json_files.parse(data, name)), []
    except ValueError:
        if is_json_lines_log(data):  # whatever its name
            return _from_json_lines(data, name, errors)
    text = data.decode("utf-8-sig", errors)
    records = from_text(text)
    is_text = any(record.request_id for record in records)
    if _is_csv(text) or (name.endswith(".csv") and not is_text):
        try:
            return from_csv(text), []
        except ValueError as error:
            if not is_text:
                raise ValueError(f"{name}: {error}") from None
    return records if is_text else [], []


def is_json_lines_log(data: bytes) -> bool:
    """Whether one of the first lines is a record in JSON.

    Lines that were cut off, or from other tools, may precede it. Printed logs may hold JSON too: a
    file with SCF's own lines does not count, nor do Image Steward's lines after the first line.
    """
    lines = list(islice(filter(bytes.strip, io.BytesIO(data)), _MAX_PROBED_LINES))
    if any(PLATFORM.match(line.decode("utf-8", "replace")) for line in lines):
        return False
    for number, line in enumerate(lines):
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if from_json(value) and not (number and is_steward_line(value)):
                return True
    return False


def from_json(value: object, levels: int = _MAX_LEVELS) -> list[Record]:
    """The records in a JSON value: the value itself, its elements, or those that it wraps."""
    if isinstance(value, list) and levels:
        return [record for element in value for record in from_json(element, levels - 1)]
    if not isinstance(value, dict) or not levels:
        return []
    if any(name.startswith("SCF_") for name in value):
        return [_from_fields(value)]
    if is_steward_line(value):
        text = json.dumps(value, ensure_ascii=False)
        return [Record(value["RequestId"], text, time=timestamp(value["Time"]))]
    for name in _CONTENTS:
        with suppress(ValueError, TypeError, RecursionError):
            if records := from_json(json.loads(value.get(name, "")), levels - 1):
                return records
    return [
        record
        for name in _WRAPPERS
        if isinstance(value.get(name), (list, dict))
        for record in from_json(value[name], levels - 1)
    ]


def _from_json_lines(data: bytes, name: str, errors: str) -> tuple[list[Record], list[str]]:
    """The records of JSON Lines. A line without one is kept as text, without a request id."""
    records: list[Record] = []
    problems: list[str] = []
    for number, line in enumerate(data.splitlines(), 1):
        in_line: list[Record] = []
        try:
            if line.strip():
                in_line = from_json(json_files.parse(line, name, line=number))
        except ValueError as error:
            problems.append(str(error))
        in_line = in_line or [Record("", line.decode("utf-8", errors))]
        records += [replace(record, line=number) for record in in_line]
    return records, problems


def _is_csv(text: str) -> bool:
    """Whether the first line is a header row with a required column."""
    header, _, _ = text.partition("\n")
    try:
        return not _REQUIRED_COLUMNS.isdisjoint(next(csv.reader([header]), ()))
    except csv.Error:
        return False


def from_csv(text: str) -> list[Record]:
    """The records of a CSV file with a header row.

    Raises:
        ValueError: the column SCF_RequestId or SCF_Message is missing, or the file is cut off.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = _REQUIRED_COLUMNS - {*(rows.fieldnames or ())}
        records = [_from_fields({k: v for k, v in row.items() if k and v}) for row in rows]
    except csv.Error as error:
        raise ValueError(f"not CSV after line {rows.line_num}: {error}") from None
    if missing:
        raise ValueError(
            f"the header row lacks {' and '.join(sorted(missing))}; export the fields "
            "SCF_RequestId, SCF_Message, SCF_StartTime, SCF_StatusCode and SCF_RetryNum"
        )
    return records


def from_text(text: str) -> list[Record]:
    """The records of a text log: SCF's lines, and the function's output between them."""
    return list(_from_lines(text.split("\n")))


def is_steward_line(value: object) -> bool:
    """Whether a JSON value is one of Image Steward's log lines."""
    return (
        isinstance(value, dict)
        and value.get("Level") in LEVELS
        and all(isinstance(value.get(name), str) for name in ("Time", "Event", "RequestId"))
    )


def steward_lines(messages: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Image Steward's log lines in messages."""
    for message in messages:
        for line in message.split("\n"):  # not splitlines: JSON may contain U+2028
            # Searched before it is parsed: most lines are not Image Steward's.
            if '"RequestId"' in line and (brace := line.find("{")) >= 0:
                with suppress(ValueError, RecursionError):
                    value, _ = json.JSONDecoder().raw_decode(line, brace)
                    if is_steward_line(value):
                        yield value


def in_log_order(records: list[Record]) -> list[Record]:
    """The records, oldest first; CLS exports the newest first by default."""
    times = [record.time for record in records if record.time is not None]
    if times and times[0] > times[-1]:
        records = [*reversed(records)]  # so that records with equal times are oldest first too
    if len(times) < len(records):
        return records  # lines without a time cannot be sorted
    return sorted(records, key=lambda record: record.time or 0.0)


def by_run(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each run, by request id and in log order; "" is for lines without one."""
    runs: dict[str, list[Record]] = {}
    for record in records:
        runs.setdefault(record.request_id, []).append(record)
    return {request_id: in_log_order(run) for request_id, run in runs.items()}


def timestamp(value: object) -> float | None:
    """Seconds since 1970 from a number in s, ms, µs or ns, or from a date and time (UTC)."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        with suppress(ValueError):
            time = datetime.fromisoformat(text.replace("Z", "+00:00"))
            return time.replace(tzinfo=time.tzinfo or timezone.utc).timestamp()
        return None
    for _ in range(3):
        number = number / 1000 if number > 1e11 else number  # noqa: PLR2004 - the year 5138
    return number if 0 < number < 1e11 else None  # noqa: PLR2004 - the same; excludes nan


def _from_fields(fields: dict[str, Any]) -> Record:
    message = fields.get("SCF_Message")
    if not message:
        # CLS has turned the members of a printed JSON object into fields.
        printed = {
            name: _value(value)
            for name, value in fields.items()
            if not name.startswith(("SCF_", "__"))
        }
        message = json.dumps(printed, ensure_ascii=False) if printed else ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    line = None if "SCF_LogTime" in fields else next(steward_lines([text]), None)
    status = _number(fields.get("SCF_StatusCode"))
    return Record(
        str(fields.get("SCF_RequestId", "")),
        text,
        _number(fields.get("SCF_RetryNum")),
        timestamp(fields.get("SCF_StartTime")),
        timestamp(line["Time"] if line else fields.get("SCF_LogTime")),
        None if status == _RUNNING or not status else status,
        str(fields.get("SCF_FunctionName", "")),
    )


def _from_lines(lines: Iterable[str]) -> Iterator[Record]:
    request_id = ""
    for number, line in enumerate(lines, 1):
        if platform := PLATFORM.match(line):
            request_id = platform["id"]
            yield Record(request_id, line, line=number)
            if platform["kind"] == "Report":
                request_id = ""  # the last line of a run
        elif logged := next(steward_lines([line]), None):
            yield Record(logged["RequestId"], line, time=timestamp(logged["Time"]), line=number)
        else:
            yield Record(request_id, line, line=number)


def _value(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A field's value; CLS converts lists and objects to text."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - longer than any code
