"""Lines of a function's log as CLS exports them, as the console shows them, as it printed them."""

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
"""SCF's own lines. Blanks differ between runtimes; consoles put the time in front."""

_RUNNING = 202
"""The status code of what is logged before a run has ended."""
_WRAPPERS = ("Response", "Results", "results", "Logs", "records")
"""Lists of records are members of these in what CLS's API and its consumers give."""
_CONTENTS = ("LogJson", "content", "Content", "__CONTENT__", "log")
"""A record may be the text of one of these members."""
_COLUMNS = frozenset({"SCF_RequestId", "SCF_Message"})
"""What a CSV file must have."""
_LOOKED_AT = 50
"""Lines in which a record is sought before a file is taken for text."""
_MAX_WRAPPED = 8
"""Levels at which a record is sought: half of them are lists."""


@dataclass(frozen=True)
class Record:
    """One line of a log, or several that were logged at once."""

    request_id: str
    message: str
    retry: int | None = None
    """SCF_RetryNum; None: not told."""
    start: float | None = None
    """When the run began, in seconds since 1970."""
    time: float | None = None
    """When it was logged, the same."""
    status: int | None = None
    """SCF's status code, of a run that has ended."""
    function: str = ""
    line: int = 0
    """Where it is in its file, if that is one of lines."""


def read(data: bytes, name: str, *, errors: str = "replace") -> tuple[list[Record], list[str]]:
    """The records of a log in any form, and what is wrong with lines that are no JSON any more.

    There are none in what is no log. `errors` is what becomes of bytes that are not UTF-8.

    Raises:
        ValueError: it is CSV that lacks a column, or is cut; begins with the file's `name`.
    """
    try:
        return of_json(json_files.parse(data, name)), []
    except ValueError:
        if is_log_of_lines(data):  # which a JSON export is, whatever its name
            return _of_json_lines(data, name, errors)
    text = data.decode("utf-8-sig", errors)
    records = of_text(text)
    is_text = any(record.request_id for record in records)
    if _is_csv(text) or (name.endswith(".csv") and not is_text):
        try:
            return of_csv(text), []
        except ValueError as error:
            if not is_text:
                raise ValueError(f"{name}: {error}") from None
    return records if is_text else [], []


def is_log_of_lines(data: bytes) -> bool:
    """Whether one of the first lines is a record, as a value of JSON.

    Before it there may be a line that was cut, or another tool's. No proof is what printed logs
    hold as well: our own lines behind others, and whatever is among SCF's lines.
    """
    seen = list(islice(filter(bytes.strip, io.BytesIO(data)), _LOOKED_AT))
    if any(PLATFORM.match(line.decode("utf-8", "replace")) for line in seen):
        return False
    for number, line in enumerate(seen):
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if of_json(value) and not (number and is_own_line(value)):
                return True
    return False


def of_json(value: object, levels: int = _MAX_WRAPPED) -> list[Record]:
    """The records that a JSON value holds: itself, its elements, or those it wraps; or none."""
    if isinstance(value, list) and levels:
        return [record for each in value for record in of_json(each, levels - 1)]
    if not isinstance(value, dict) or not levels:
        return []
    if any(name.startswith("SCF_") for name in value):
        return [_of_fields(value)]
    if is_own_line(value):
        text = json.dumps(value, ensure_ascii=False)
        return [Record(value["RequestId"], text, time=moment(value["Time"]))]
    for name in _CONTENTS:
        with suppress(ValueError, TypeError, RecursionError):
            if found := of_json(json.loads(value.get(name, "")), levels - 1):
                return found
    return [
        record
        for name in _WRAPPERS
        if isinstance(value.get(name), (list, dict))
        for record in of_json(value[name], levels - 1)
    ]


def _of_json_lines(data: bytes, name: str, errors: str) -> tuple[list[Record], list[str]]:
    """The records of a value a line. A line that is none is kept as it is, without a request."""
    records: list[Record] = []
    wrong: list[str] = []
    for number, line in enumerate(data.splitlines(), 1):
        found: list[Record] = []
        try:
            if line.strip():
                found = of_json(json_files.parse(line, name, line=number))
        except ValueError as error:
            wrong.append(str(error))
        found = found or [Record("", line.decode("utf-8", errors))]
        records += [replace(record, line=number) for record in found]
    return records, wrong


def _is_csv(text: str) -> bool:
    """Whether the first line is a header row with a column that is needed."""
    header, _, _ = text.partition("\n")
    try:
        return not _COLUMNS.isdisjoint(next(csv.reader([header]), ()))
    except csv.Error:
        return False


def of_csv(text: str) -> list[Record]:
    """The records of a CSV file with a header row.

    Raises:
        ValueError: it has no column SCF_RequestId or SCF_Message, or is cut.
    """
    rows = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        missing = _COLUMNS - {*(rows.fieldnames or ())}
        records = [_of_fields({k: v for k, v in row.items() if k and v}) for row in rows]
    except csv.Error as error:
        raise ValueError(f"no CSV after line {rows.line_num}: {error}") from None
    if missing:
        raise ValueError(
            f"no column {' and no column '.join(sorted(missing))} in the header row; export the "
            "fields SCF_RequestId, SCF_Message, SCF_StartTime, SCF_StatusCode and SCF_RetryNum"
        )
    return records


def of_text(text: str) -> list[Record]:
    """The records of a log as people see it: SCF's lines, and what was printed between them."""
    return list(_of_lines(text.split("\n")))


def is_own_line(value: object) -> bool:
    """Whether a JSON value is one of Image Steward's own log lines."""
    return (
        isinstance(value, dict)
        and value.get("Level") in LEVELS
        and all(isinstance(value.get(name), str) for name in ("Time", "Event", "RequestId"))
    )


def own_lines(messages: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Image Steward's own log lines in messages."""
    for message in messages:
        for line in message.split("\n"):  # no other line end: JSON leaves U+2028 as it is
            # Sought before parsed: most lines of most functions are none.
            if '"RequestId"' in line and (brace := line.find("{")) >= 0:
                with suppress(ValueError, RecursionError):
                    value, _ = json.JSONDecoder().raw_decode(line, brace)
                    if is_own_line(value):
                        yield value


def ordered(records: list[Record]) -> list[Record]:
    """In the order in which they were logged; CLS exports the newest first by default."""
    times = [record.time for record in records if record.time is not None]
    if times and times[0] > times[-1]:
        records = [*reversed(records)]  # so that those of one moment are in their order as well
    if len(times) < len(records):
        return records  # between lines without a time nothing can be sorted
    return sorted(records, key=lambda record: record.time or 0.0)


def by_run(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each run, `ordered`; those of none under an empty name."""
    found: dict[str, list[Record]] = {}
    for record in records:
        found.setdefault(record.request_id, []).append(record)
    return {name: ordered(each) for name, each in found.items()}


def moment(value: object) -> float | None:
    """Seconds since 1970 from a number of s, ms, µs or ns, or from a date and time in UTC."""
    text = str(value).strip()
    try:
        number = float(text)
    except ValueError:
        with suppress(ValueError):
            told = datetime.fromisoformat(text.replace("Z", "+00:00"))
            return told.replace(tzinfo=told.tzinfo or timezone.utc).timestamp()
        return None
    for _ in range(3):
        number = number / 1000 if number > 1e11 else number  # noqa: PLR2004 - the year 5138
    return number if 0 < number < 1e11 else None  # noqa: PLR2004 - the same; nan is neither


def _of_fields(fields: dict[str, Any]) -> Record:
    message = fields.get("SCF_Message")
    if not message:
        # What was printed as one JSON object has become fields of its own.
        printed = {
            name: _value(value)
            for name, value in fields.items()
            if not name.startswith(("SCF_", "__"))
        }
        message = json.dumps(printed, ensure_ascii=False) if printed else ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    own = None if "SCF_LogTime" in fields else next(own_lines([text]), None)
    status = _number(fields.get("SCF_StatusCode"))
    return Record(
        str(fields.get("SCF_RequestId", "")),
        text,
        _number(fields.get("SCF_RetryNum")),
        moment(fields.get("SCF_StartTime")),
        moment(own["Time"] if own else fields.get("SCF_LogTime")),
        None if status == _RUNNING or not status else status,
        str(fields.get("SCF_FunctionName", "")),
    )


def _of_lines(lines: Iterable[str]) -> Iterator[Record]:
    request_id = ""
    for number, line in enumerate(lines, 1):
        if platform := PLATFORM.match(line):
            request_id = platform["id"]
            yield Record(request_id, line, line=number)
            if platform["kind"] == "Report":
                request_id = ""  # the last line of a run
        elif own := next(own_lines([line]), None):
            yield Record(own["RequestId"], line, time=moment(own["Time"]), line=number)
        else:
            yield Record(request_id, line, line=number)


def _value(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A field's value, of which CLS makes a text when it is a list or an object."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - no code is longer
