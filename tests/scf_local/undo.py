"""Builds the undo document from the states that a function logged before its changes. Pure."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from image_steward import registry
from image_steward.errors import Rejection
from image_steward.messages import nearest
from image_steward.model import values_in
from image_steward.reporting import undo as undo_entries
from image_steward.settings import Settings
from scf_local import json_files, log_records
from scf_local.entries import Entries, counted
from scf_local.log_records import PLATFORM, is_steward_line
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from image_steward.model import Values
    from image_steward.reporting.undo import Entry
    from scf_local.log_records import Record

EVENT = "image.before"
_MAX_LISTED = 10
_NO_LINES = f"the log has no line {EVENT}, which is written before each change, at any log level"
_USE = "use the log as printed, or as CLS exports it"
_NO_STEWARD_LINES = f"{_NO_LINES}; nor has it any other line of Image Steward: {_USE}, or a result"
_NO_READABLE_LINES = f"the log contains {EVENT}, but no such line as the function writes it; {_USE}"
_NO_RESULT = "this has no Undo; a change request from the journal undoes its run as it is"
_NO_UNDO = "Undo of this result is empty: its run has changed nothing that could be restored"
_NAMED = re.compile(rb"Event\W+image\.before")
_LOST = f"not in a line or record that could be read; {_USE}"
_IN_TEXT = f"{EVENT} follows other text, such as that of an error, and may be part of it"
_CUT_REPLY = "the reply omits the beginning of the log; take it from CLS, or take the result"
_CUT = "what this Truncated result omits", "take it from the journal or the log"


@dataclass(frozen=True)
class BeforeLine:
    """A line `image.before`. `undo` is a change request entry, unless there is a `problem`."""

    position: str
    undo: Any = None
    request_id: str | None = None
    """None: the line is not readable."""
    time: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Undo(Entries):
    """What a log allows to undo; the problems are lines and images that cannot be undone."""

    request_ids: list[str]

    def __str__(self) -> str:
        counts = f"{counted(len(self.entries), 'image')} of {counted(len(self.request_ids), 'run')}"
        return f"{counts}: {_listed(self.request_ids)}" if self.request_ids else counts


def read(log: bytes, request_id: str | None = None, *, name: str = "log") -> Undo:
    """The undo of all runs in a log of any format, or of one run; or that of a result document.

    Raises:
        ValueError: the log, or that run, has no line `image.before`; the result has no undo; it is
            a change request; or it is a CSV file that cannot be read, then the message begins with
            the file's `name`.
    """
    lines = _lines_of_result(log, name) or _lines_of_log(log, name)
    if request_id is not None:
        lines = _of_run(lines, request_id)
    problems = [f"{line.position} cannot be used: {line.problem}" for line in lines if line.problem]
    # Logs may be newest first. Lines with equal times keep their order.
    usable = sorted((line for line in lines if not line.problem), key=lambda line: line.time)
    entries = []
    for entry in merged(line.undo for line in usable):
        if violation := _violation_of(entry):  # valid lines may exceed a limit once merged
            problems.append(f"{_image_name(entry)} cannot be undone: {violation}")
        else:
            entries.append(entry)
    return Undo(entries, problems, _request_ids(usable))


def merged(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Merge entries, given in the order in which they were written, into one per image.

    The first state of an image is restored, and the last one expected. The order is that of
    `entries` of `image_steward.reporting.undo`.
    """
    images: dict[tuple[str, str], tuple[Values, Values]] = {}
    for entry in entries:
        image_key = entry["Region"], entry["ImageId"]
        first, last = images.pop(image_key, ({}, {}))
        # Earlier values keep their position, too.
        expected = {**last, **values_in(entry.get("Expect", {}))}
        images[image_key] = {**first, **values_in(entry), **first}, expected
    for image_key, (first, last) in reversed(images.items()):
        yield undo_entries.entry_of(image_key, first, last)


def _lines_of_result(data: bytes, name: str) -> list[BeforeLine]:
    """The entries of a result's `Undo`, as if they had been logged; none if it is not a result."""
    document = None
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        document = json_files.parse(data, name)
        returned = document.get("Response", document)["Result"]["RetMsg"]  # a reply of Invoke
        document = json_files.parse(returned.encode(), name)
    if not isinstance(document, dict) or not isinstance(document.get("Images"), list):
        return []
    undo = document.get("Undo")
    entries = undo.get("Images") if isinstance(undo, dict) else None
    if not isinstance(entries, list):
        raise ValueError(_NO_RESULT)  # noqa: TRY004 - callers expect ValueError
    cut = [BeforeLine(_CUT[0], problem=_CUT[1])] if "Truncated" in document else []
    if not entries and not cut:
        raise ValueError(_NO_UNDO)
    run = str(document.get("RequestId", ""))
    # A result has the last change first, a log the first one.
    return [BeforeLine("an entry", e, run, problem=_problem_of(e)) for e in entries[::-1]] + cut


def _lines_of_log(log: bytes, name: str) -> list[BeforeLine]:
    records, _ = log_records.read(log, name, is_log=True)
    by_run = log_records.by_run(records).values()
    lines = [line for run in by_run for record in run for line in _lines(record)]
    if not lines:
        ours = list(log_records.steward_lines(records))
        problem = _without_changes(ours) or _NO_LINES if ours else _NO_STEWARD_LINES
        problem = _NO_READABLE_LINES if EVENT.encode() in log else problem
        problem = "the log is not text: it contains zero bytes" if b"\0" in log else problem
        raise ValueError(f"{name}: {problem}")
    # No encoding of JSON within JSON or CSV changes how often a text names the event.
    used = (name for r in records for name in _NAMED.findall(r.message.encode(errors="replace")))
    lost = len(_NAMED.findall(log.replace(b"\0", b""))) - sum(1 for _ in used)
    return [*lines, BeforeLine(f"{EVENT} (count: {lost:,})", problem=_LOST)] if lost > 0 else lines


def _without_changes(lines: Sequence[dict[str, Any]]) -> str:
    """That the runs that logged these lines changed nothing; empty unless the lines show it."""
    ends = dict.fromkeys((line["RequestId"] for line in lines), "")
    for event in ("run.finished", "image.changed"):
        ended = (line for line in lines if line["Event"] == event)
        ends |= {line["RequestId"]: str(line.get("Outcome")) for line in ended}
    if not {"ignored", "planned", "rejected"}.issuperset(ends.values()):
        return ""
    runs = _listed([f"run {run} was {outcome}" for run, outcome in ends.items()])
    return f"{runs}: nothing was changed, so there is nothing to undo"


def _listed(names: Sequence[str]) -> str:
    """All names, or the first ones and the number of the others."""
    more = len(names) - _MAX_LISTED
    shown = ", ".join(map(printable, names[:_MAX_LISTED]))
    return f"{shown} and {more:,} more" if more > 0 else shown


def _lines(record: Record) -> Iterator[BeforeLine]:
    position = f"line {record.line}" if record.line else "a line"
    if record.message == log_records.CUT:
        yield BeforeLine("the log", problem=_CUT_REPLY)
    is_text = False  # whether another line than the function's precedes
    for _, text in log_records.text_lines(record.message):
        fields = log_records.whole_object(text)
        if PLATFORM.match(text):
            is_text = True  # whatever its JSON contains
        elif EVENT in text and (line := _line(position, text, fields, record.request_id)):
            yield BeforeLine(position, problem=_IN_TEXT) if is_text else line
        is_text = is_text or not is_steward_line(fields)


def _line(position: str, text: str, fields: object, run: str) -> BeforeLine | None:
    # In quotes, which are escaped by backslashes within JSON.
    names_event = f'"{EVENT}"' in text.replace("\\", "")
    if not text.isascii() and text != text.encode(errors="replace").decode():
        fields = None  # the line was not UTF-8
    if not isinstance(fields, dict) or fields.get("Event") != EVENT:
        if not names_event or is_steward_line(fields):
            return None
        if fields is None and log_records.OBJECT.match(text):
            return BeforeLine(position, problem="not JSON, or cut off")
        return BeforeLine(position, problem=f"contains {EVENT}, but not as the function logs it")
    undo = fields.get("Undo")
    if "Cut" in fields:
        problem = f"the function's logger has cut Undo, which begins {printable(undo, 60)}"
    else:
        problem = _problem_of(undo)
    request_id, time = (str(fields.get(name, "")) for name in ("RequestId", "Time"))
    if run not in {request_id, ""}:
        problem = problem or f"its RequestId {request_id} is not that of the run, {run}"
    return BeforeLine(position, undo, request_id, time, problem)


def _problem_of(undo: object) -> str:
    violation = _violation_of(undo)
    return f"Undo ({_image_name(undo)}): {violation}" if violation else ""


def _violation_of(entry: object) -> str:
    """Why an entry is not allowed in a change request; empty if it is allowed."""
    try:
        # The function may know regions that this version does not.
        listed = (str(entry["Region"]),) if isinstance(entry, dict) and "Region" in entry else ()
        settings = Settings(regions=listed)
        registry.read(json.dumps({"Images": [entry]}).encode(), region="", settings=settings)
    except Rejection as error:
        path, message = error.details[0]
        return printable(f"{path.removeprefix('/Images/0')} {message}".strip())
    except RecursionError:
        return "nested too deeply"
    return ""


def _image_name(entry: object) -> str:
    return printable(entry.get("ImageId") if isinstance(entry, dict) else entry, 60)


def _of_run(lines: Iterable[BeforeLine], request_id: str) -> list[BeforeLine]:
    """The lines of a run, and unreadable ones, which may be from it."""
    ids = _request_ids(lines)
    if request_id not in ids:
        known = f"the log has {_listed(ids)}" if ids else "none is readable"
        near = nearest(request_id, map(printable, ids))
        raise ValueError(f"no line {EVENT} has request id {request_id!r}; {known}{near}")
    return [line for line in lines if line.request_id in {request_id, None}]


def _request_ids(lines: Iterable[BeforeLine]) -> list[str]:
    return list(dict.fromkeys(line.request_id for line in lines if line.request_id is not None))
