"""Reads a function's log: CLS exports, text from the SCF console, or its printed lines."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from functools import partial
from itertools import islice
from operator import itemgetter
from typing import Any, BinaryIO, Generic, TypeVar

from image_steward.settings import LEVELS
from scf_local import json_files

T = TypeVar("T")

_TIME = r"^(?:[\d:., TZ+/-]+\s)?"
"""What consoles put in front of a line."""
PLATFORM = re.compile(
    _TIME + r"(?P<kind>START|END|Report|Init Report|ERROR|Response)"
    r" ?RequestId: ?(?P<id>[\w-]+)(?P<rest>.*)",
    re.DOTALL,
)
"""SCF's own lines. Spaces differ between runtimes; consoles put the time in front."""
CUT = "(A part of this log is missing.)"
"""The message of a record in place of others, such as those that the reply of Invoke omits."""

OBJECT = re.compile(_TIME + r"(?=\{)")
"""The beginning of a line that is a JSON object."""
_TRACEBACK = re.compile(_TIME + r"Traceback \(most recent call last\):")
_TEXT = re.compile(r"\S[^\n]*")
_BOUNDARIES = {"START", "END", "Report"}
"""SCF's lines around a run."""
RUNNING = 202
"""The status code of lines logged before the end of a run."""
_ANALYSES = ("AnalysisRecords", "AnalysisResults")
_WRAPPERS = ("Response", "Result", "Results", "results", "Logs", "records", *_ANALYSES)
"""Members that hold records in the output of the APIs of CLS and SCF, and of CLS's consumers."""
_CONTENTS = ("LogJson", "RawLog", "content", "Content", "__CONTENT__", "log")
"""Members that may hold a record, as an object or as text."""
_OF_LOGS = {"LogJson", "RawLog", "__CONTENT__", "RetMsg", "LogContextInfos", *_ANALYSES}
"""Members that only logs and API replies have."""
_OF_REPLIES = {"Error", "HistogramInfos", "Result", "Results", "TotalCount"}
"""Members that API replies have next to their RequestId."""
_NOT_EVENT = (
    "not an event, but a reply of the cloud's API or part of a log; a log needs SCF_RequestId and "
    "SCF_Message in each record, so query it without analysis (without |)"
)
_REQUIRED_COLUMNS = frozenset({"SCF_RequestId", "SCF_Message"})
"""Columns that a CSV file must have."""
_MAX_PROBED_LINES = 50
"""Lines to search for a record before a file counts as text."""
MIN_PREFIX = 6
"""Characters of a request id that are enough to name a run."""
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


def read(data: bytes, name: str, *, is_log: bool = False) -> tuple[list[Record], list[str]]:
    """As `stream`: the records, and the problems."""
    problems: list[str] = []
    return list(stream(io.BytesIO(data), name, problems.append, is_log=is_log)), problems


def stream(
    file: BinaryIO, name: str, report: Callable[[str], object], *, is_log: bool = False
) -> Iterator[Record]:
    """The records of a log in any format, one at a time; `report` gets problems of JSON Lines.

    Only a single JSON value, or several as `jq .` prints them, are read as a whole.

    A file without request ids has no records, unless it `is_log`. Then bytes that are not UTF-8
    become surrogates, so that names with such bytes are detected, not replaced by others.

    Raises:
        ValueError: a CSV file lacks a column or is cut off; begins with the file's `name`.
    """
    errors = "surrogateescape" if is_log else "replace"
    data = json_files.whole(file)
    with suppress(ValueError):
        return iter(from_json(json_files.parse(data, name)))
    if _is_json_lines_log(file):  # whatever its name
        return _from_json_lines(file, name, errors, report)
    if records := from_json(json_files.sequence(data)):
        return iter(records)
    file.seek(0)
    header, problem = file.readline().decode("utf-8-sig", errors), ""
    if delimiter := _delimiter(header) or "," * name.endswith(".csv"):
        try:
            for _ in _rows(file, errors, delimiter):
                pass  # an error in any row means that the file is not CSV
            return map(_from_fields, _rows(file, errors, delimiter))
        except ValueError as error:
            problem = f"{name}: {error}"
    lines = partial(_lines, file, errors)
    is_text = (is_log and not problem) or any(record.request_id for record in _from_lines(lines))
    if problem and not is_text:
        raise ValueError(problem)
    return _from_lines(lines) if is_text else iter(())


def _lines(file: BinaryIO, errors: str) -> Iterator[tuple[int, str]]:
    """As `text_lines`, for a file."""
    file.seek(0)
    for number, line in enumerate(file, 1):
        text = line.decode("utf-8-sig" if number == 1 else "utf-8", errors)
        if text.strip():
            yield number, text.removesuffix("\n")


def _is_json_lines_log(file: BinaryIO) -> bool:
    """Whether one of the first lines is a record in JSON.

    Lines that were cut off, or from other tools, may precede it. Printed logs may hold JSON too: a
    file with SCF's own lines does not count, nor one whose first record is a printed line.
    """
    file.seek(0)
    lines = list(islice(filter(bytes.strip, file), _MAX_PROBED_LINES))
    if any(PLATFORM.match(line.decode("utf-8", "replace")) for line in lines):
        return False
    for line in lines:
        with suppress(ValueError, RecursionError):
            value = json.loads(line)
            if from_json(value):
                return not is_steward_line(value) or "SCF_RequestId" in value
    return False


def from_json(value: object, levels: int = _MAX_LEVELS) -> list[Record]:
    """The records in a JSON value: the value itself, its elements, or those that it wraps.

    They may be JSON in a string.
    """
    if isinstance(value, str) and levels:
        with suppress(ValueError, RecursionError):
            return from_json(json.loads(value), levels - 1)
        return from_text(value) if PLATFORM.match(value) else []
    if isinstance(value, list) and levels:
        return [record for element in value for record in from_json(element, levels - 1)]
    return _from_object(value, levels - 1) if isinstance(value, dict) and levels else []


def _from_object(value: dict[str, Any], levels: int) -> list[Record]:
    if isinstance(items := value.get("Data"), list):  # a row of AnalysisResults
        pairs = (item for item in items if isinstance(item, dict))
        value = {str(pair.get("Key")): pair.get("Value") for pair in pairs}
    if any(name.startswith("SCF_") for name in value):
        return [_from_fields(value)]
    if is_steward_line(value):
        text = json.dumps(value, ensure_ascii=False)
        return [Record(value["RequestId"], text, time=timestamp(value["Time"]))]
    if isinstance(value.get("RetMsg"), str) and "Log" in value:
        return _from_reply(value)
    for name in _CONTENTS:
        if records := from_json(value.get(name), levels):
            return records
    return [
        record
        for name in _WRAPPERS
        if isinstance(value.get(name), (list, dict))
        for record in from_json(value[name], levels)
    ]


def why_not_event(value: object) -> str:
    """Why a JSON value is not an event, but a reply, a result or a log; empty if it may be one."""
    members = value if isinstance(value, dict) else {}
    if {"RequestId", "Outcome", "Images"} <= members.keys():
        return "a result, not an event; use `scf-local undo`, or replay its event"
    reply = members.get("Response", members)
    names = {*reply} if isinstance(reply, dict) else set()
    signs = (reply is not members) + ("RequestId" in names) + bool(names & _OF_REPLIES)
    is_reply = signs > 1 or names == {"RequestId"}
    return _NOT_EVENT * bool(is_reply or members.keys() & _OF_LOGS or from_json(members))


def _from_reply(reply: dict[str, Any]) -> list[Record]:
    """The records in a reply of SCF's API action Invoke; `Log` is the end of the run's log."""
    run, text = str(reply.get("FunctionRequestId", "")), str(reply["Log"] or "")
    with suppress(ValueError):  # some SDKs leave it in Base64
        text = base64.b64decode(text, validate=True).decode()
    # `RetMsg` is whole; in the log it may be cut.
    records = [replace(r, line=0) for r in from_text(text, run) if not _is_response(r, run)]
    if error := reply.get("ErrMsg"):
        records.insert(0, Record(run, f"ERROR RequestId:{run} Result:{error}"))
    else:
        records.append(Record(run, f"Response RequestId:{run} RetMsg:{reply['RetMsg']}"))
    return records if text.startswith("START") else [Record(run, CUT), *records]


def _is_response(record: Record, run: str) -> bool:
    match = PLATFORM.match(record.message)
    return bool(match and (match["kind"], match["id"]) == ("Response", run))


def _from_json_lines(
    file: BinaryIO, name: str, errors: str, report: Callable[[str], object]
) -> Iterator[Record]:
    """The records of JSON Lines. A line without one is kept as text, without a request id."""
    file.seek(0)
    for number, line, value, problem in json_files.parsed_lines(file, name):
        if problem:
            report(problem)
        for record in from_json(value) or [Record("", line.decode("utf-8", errors))]:
            yield replace(record, line=number)


def _delimiter(header: str) -> str:
    """What separates the columns of a header row with a required one; empty without such a row."""
    header = header.translate({ord(c): None for c in '" \r\n\ufeff'})
    return next((d for d in ",;\t" if _REQUIRED_COLUMNS & {*header.split(d)}), "")


def _rows(file: BinaryIO, errors: str, delimiter: str) -> Iterator[dict[str, Any]]:
    """The rows of a CSV file with a header row.

    Raises:
        ValueError: the column SCF_RequestId or SCF_Message is missing, or the file is cut off.
    """
    file.seek(0)
    text = io.TextIOWrapper(file, "utf-8-sig", errors, newline="")
    lines = (line.replace("\0", "\ufffd") for line in text)  # Python 3.10 rejects zero bytes
    rows = csv.DictReader(lines, strict=True, delimiter=delimiter)
    try:
        missing = _REQUIRED_COLUMNS - {*(rows.fieldnames or ())}
        if missing:
            raise ValueError(
                f"the header row lacks {' and '.join(sorted(missing))}; export the fields "
                "SCF_RequestId, SCF_Message, SCF_StartTime, SCF_StatusCode and SCF_RetryNum"
            )
        for row in rows:
            if None in row:  # such as after a comma in a message that is not quoted
                raise csv.Error("more columns than the header row")  # noqa: TRY301 - caught below
            yield {k: v for k, v in row.items() if v}
    except csv.Error as error:
        raise ValueError(f"not CSV after line {rows.line_num}: {error}") from None
    finally:
        text.detach()  # or it would close the file


def from_text(text: str, request_id: str = "") -> list[Record]:
    """The records of a text log: SCF's lines, and the function's output between them.

    `request_id` is that of the lines before SCF's first one.
    """
    return list(_from_lines(lambda: text_lines(text), request_id))


def text_lines(text: str) -> Iterator[tuple[int, str]]:
    """The lines of a text that are not blank, with their numbers.

    Only line feeds end a line: JSON may contain U+2028.
    """
    number, end = 1, 0
    for match in _TEXT.finditer(text):
        start = text.rfind("\n", end, match.start()) + 1 or end
        number += text.count("\n", end, start)
        end = match.end()
        yield number, text[start:end]


def is_steward_line(value: object) -> bool:
    """Whether a JSON value is one of Image Steward's log lines."""
    return (
        isinstance(value, dict)
        and value.get("Level") in LEVELS
        and all(isinstance(value.get(name), str) for name in ("Time", "Event", "RequestId"))
    )


def whole_object(line: str) -> object:
    """The JSON object that a line consists of, without the time in front; else None."""
    if start := OBJECT.match(line):
        with suppress(ValueError, RecursionError):
            return json.loads(line[start.end() :])
    return None


def _steward_line(line: str) -> dict[str, Any] | None:
    # Searched before it is parsed: most lines are not Image Steward's.
    value = whole_object(line) if '"RequestId"' in line else None
    return value if isinstance(value, dict) and is_steward_line(value) else None


def steward_lines(records: Iterable[Record]) -> Iterator[dict[str, Any]]:
    """Image Steward's log lines in records: whole lines of their runs, which no text precedes.

    Lines after other text may be a part of it, such as an object's key in the text of an error.
    """
    for record in records:
        for _, line in text_lines(record.message):
            value = _steward_line(line)
            if value is None:
                break
            if record.request_id in {value["RequestId"], ""}:
                yield value


@dataclass
class LogOrder(Generic[T]):
    """Puts what is held of records in log order; CLS exports the newest first by default."""

    _times: list[float] = field(default_factory=list)
    """The first time, and the last one."""
    _has_all_times: bool = True
    _held: list[tuple[float, T]] = field(default_factory=list)

    def add(self, record: Record, *held: T) -> None:
        """Take the next record of a run, and what to hold of it, if anything."""
        if record.time is None:
            self._has_all_times = False
        else:
            self._times[1:] = [record.time]
        self._held += ((record.time or 0.0, item) for item in held)

    def oldest_first(self) -> list[T]:
        """What was held, in log order."""
        held = self._held
        if self._times and self._times[0] > self._times[-1]:
            held = held[::-1]  # so that records with equal times are oldest first too
        if self._has_all_times:  # lines without a time cannot be sorted
            held = sorted(held, key=itemgetter(0))
        return [item for _, item in held]


def by_run(records: Iterable[Record]) -> dict[str, list[Record]]:
    """The records of each run, by request id and in log order; "" is for lines without one."""
    runs: dict[str, LogOrder[Record]] = {}
    for record in records:
        runs.setdefault(record.request_id, LogOrder()).add(record, record)
    return {request_id: run.oldest_first() for request_id, run in runs.items()}


def by_prefix(ids: Collection[str], given: str) -> list[str]:
    """The id that is given, or all that begin with it if it has `MIN_PREFIX` characters or more."""
    if given in ids:
        return [given]
    return [id_ for id_ in ids if len(given) >= MIN_PREFIX and id_.startswith(given)]


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
        names = (name for name in fields if not name.startswith(("SCF_", "__")))
        printed = {name: _value(fields[name]) for name in names}
        message = json.dumps(printed, ensure_ascii=False) if printed else ""
    text = message if isinstance(message, str) else json.dumps(message, ensure_ascii=False)
    run = str(fields.get("SCF_RequestId", ""))
    line = None if "SCF_LogTime" in fields else next(steward_lines([Record(run, text)]), None)
    status = _number(fields.get("SCF_StatusCode"))
    return Record(
        run,
        text,
        _number(fields.get("SCF_RetryNum")),
        timestamp(fields.get("SCF_StartTime")),
        timestamp(line["Time"] if line else fields.get("SCF_LogTime")),
        None if status == RUNNING or not status else status,
        str(fields.get("SCF_FunctionName", "")),
    )


def _from_lines(
    numbered: Callable[[], Iterator[tuple[int, str]]], request_id: str = ""
) -> Iterator[Record]:
    matches = ((number, PLATFORM.match(line)) for number, line in numbered())
    last = {match["id"]: number for number, match in matches if match and _is_boundary(match)}
    running = {request_id} - {""}
    lines = numbered()
    following = next(lines, None)
    while following:
        (start, line), following = following, next(lines, None)
        if platform := PLATFORM.match(line):
            request_id = platform["id"]
            if _is_boundary(platform):
                (running.add if platform["kind"] == "START" else running.discard)(request_id)
        run = request_id if last.get(request_id, 0) > start else None
        is_error = platform["kind"] == "ERROR" if platform else bool(_TRACEBACK.match(line))
        # Text of an error may contain anything but the run's id. If the log lacks the run's last
        # lines, such as after `grep`, whole JSON shows that there is no more of it.
        rest = "" if run or not platform else platform["rest"].partition("Result:")[2]
        if is_error and not whole_object(rest):
            message = [line]
            while following and not _is_boundary(PLATFORM.match(following[1]), run):
                message.append(following[1])
                following = next(lines, None)
            line = "\n".join(message)
        logged = _steward_line(line)
        time = timestamp(logged["Time"]) if logged else None
        # Runs may overlap; a line of a run that is not running may be forged.
        own = logged["RequestId"] if logged else request_id
        run_id = own if own in running or not running else request_id
        yield Record(run_id, line, time=time, line=start)
        if platform and platform["kind"] == "Report":
            request_id = ""  # the last line of a run


def _is_boundary(match: re.Match[str] | None, run: str | None = None) -> bool:
    """Whether a line is SCF's at the start or the end of a run, or of any run."""
    return bool(match and match["kind"] in _BOUNDARIES and run in {match["id"], None})


def _value(value: object) -> Any:  # noqa: ANN401 - any JSON value
    """A field's value; CLS converts lists and objects to text."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


def _number(value: object) -> int | None:
    text = str(value).strip()
    return int(text) if text.isdecimal() and len(text) < 10 else None  # noqa: PLR2004 - longer than any code
