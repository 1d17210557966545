"""Builds the undo document from the states that a function logged before its changes. Pure."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, BinaryIO

from image_steward import registry
from image_steward.errors import Rejection
from image_steward.messages import nearest
from image_steward.model import Values, values_in
from image_steward.reporting import undo as undo_entries
from image_steward.reporting.undo import Entry
from image_steward.settings import Settings
from scf_local import json_files, log_records
from scf_local.entries import Entries, counted
from scf_local.log_records import PLATFORM, LogOrder, Record, is_steward_line
from scf_local.terminal_text import listed, printable

EVENT = "image.before"
_MAX_LISTED = 10
_CHECKED_AT_ONCE = 50
_NO_LINES = f"the log has no line {EVENT}, which is written before each change, at any log level"
_USE = "use the log as printed, or as CLS exports it"
_NO_STEWARD_LINES = f"{_NO_LINES}; nor has it any other line of Image Steward: {_USE}, or a result"
_NO_READABLE_LINES = f"the log contains {EVENT}, but no such line as the function writes it; {_USE}"
_NO_RESULT = "this has no Undo; a change request from the journal undoes its run as it is"
_NO_UNDO = "Undo of this result is empty: its run has changed nothing that could be restored"
_NAMED = re.compile(rb"Event[^\w\n]+image\.before")
_NOT_AS_LOGGED = f"contains {EVENT}, but not as the function logs it"
_ZERO_BYTES = "the log is not text: it contains zero bytes"
_LOST = f"not in a line or record that could be read; {_USE}"
_IN_TEXT = f"{EVENT} follows other text, such as that of an error, and may be part of it"
_CUT_LOG = "a part of it is missing; take it from CLS, or take the result"
_CUT = "what this Truncated result omits", "take it from the journal or the log"


@dataclass(slots=True)
class BeforeLine:
    """A line `image.before`. `undo` is a change request entry, unless there is a `problem`."""

    position: str
    undo: str = ""
    """As JSON, which needs less memory: a log may have many."""
    request_id: str | None = None
    """None: the line is not readable."""
    time: str = ""
    problem: str = ""


@dataclass(frozen=True)
class Undo(Entries):
    """What a log allows to undo; the problems are lines and images that cannot be undone."""

    request_ids: list[str]

    def __str__(self) -> str:
        counts = f"{counted(len(self.texts), 'image')} of {counted(len(self.request_ids), 'run')}"
        return f"{counts}: {_listed(self.request_ids)}" if self.request_ids else counts


def read(log: bytes | BinaryIO, request_id: str | None = None, *, name: str = "log") -> Undo:
    """The undo of all runs in a log of any format, or of one run; or that of a result document.

    The log is read several times, but is not kept in memory.

    Raises:
        ValueError: the log, or that run, has no line `image.before`; the result has no undo; it is
            a change request; or it is a CSV file that cannot be read, then the message begins with
            the file's `name`.
    """
    file = io.BytesIO(log) if isinstance(log, bytes) else log
    lines = _lines_of_result(file, name) or _lines_of_log(file, name)
    if request_id is not None:
        lines = _of_run(lines, request_id)
    problems = [f"{line.position} cannot be used: {line.problem}" for line in lines if line.problem]
    # Logs may be newest first. Lines with equal times keep their order.
    usable = sorted((line for line in lines if not line.problem), key=lambda line: line.time)
    request_ids = _request_ids(usable)
    by_image: dict[str, tuple[str, ...]] = {}
    """The lines of each image; the image that was changed last is last."""
    for line in usable:
        entry = json.loads(line.undo)
        image = f"{entry['Region']} {entry['ImageId']}"
        by_image[image] = (*by_image.pop(image, ()), line.undo)
    del lines, usable
    texts = []
    while by_image:
        _, undos = by_image.popitem()
        (entry,) = merged(map(json.loads, undos))
        # Valid lines may exceed a limit once merged.
        if violation := _violation_of([entry]) if len(undos) > 1 else "":
            problems.append(f"{_image_name(entry)} cannot be undone: {violation}")
        else:
            texts.append(json.dumps(entry))
    return Undo(texts, problems, request_ids)


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


def _lines_of_result(file: BinaryIO, name: str) -> list[BeforeLine]:
    """The entries of a result's `Undo`, as if they had been logged; none if it is not a result."""
    document = None
    with suppress(ValueError, LookupError, TypeError, AttributeError):
        document = json_files.parse(json_files.whole(file), name)
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
    lines = [BeforeLine("an entry", json.dumps(entry), run) for entry in entries[::-1]]
    _check(lines)
    return lines + cut


def _lines_of_log(file: BinaryIO, name: str) -> list[BeforeLine]:
    runs: dict[str, LogOrder[list[BeforeLine]]] = {}
    used = 0
    for record in _records(file, name):
        lines = list(_lines(record))
        runs.setdefault(record.request_id, LogOrder()).add(record, *filter(None, [lines]))
        if EVENT in record.message:
            used += _times_named([record.message.encode(errors="replace")])
    lines = [line for run in runs.values() for some in run.oldest_first() for line in some]
    _check([line for line in lines if line.undo])
    if not lines:
        problem = _without_changes(log_records.steward_lines(_records(file, name)))
        problem = _NO_READABLE_LINES if json_files.contains(file, EVENT) else problem
        problem = _ZERO_BYTES if json_files.contains(file, "\0") else problem
        raise ValueError(f"{name}: {problem}")
    # No encoding of JSON within JSON or CSV changes how often a text names the event.
    file.seek(0)
    lost = _times_named(file) - used
    return [*lines, BeforeLine(f"{EVENT} (count: {lost:,})", problem=_LOST)] if lost > 0 else lines


def _records(file: BinaryIO, name: str) -> Iterator[Record]:
    return log_records.stream(file, name, lambda _: None, is_log=True)


def _times_named(texts: Iterable[bytes]) -> int:
    """How often the lines or messages name the event."""
    return sum(len(_NAMED.findall(text.replace(b"\0", b""))) for text in texts)


def _without_changes(lines: Iterable[dict[str, Any]]) -> str:
    """Why a log with these lines has no state: if they show it, because nothing was changed."""
    ends: dict[str, str] = {}
    for line in lines:
        run, event = line["RequestId"], line["Event"]
        outcome = str(line.get("Outcome")) if event == "run.finished" else ends.get(run, "")
        ends[run] = EVENT if event == "image.changed" or ends.get(run) == EVENT else outcome
    if not ends:
        return _NO_STEWARD_LINES
    if not {"ignored", "planned", "rejected"}.issuperset(ends.values()):
        return _NO_LINES
    runs = _listed([f"run {run} was {outcome}" for run, outcome in ends.items()])
    return f"{runs}: nothing was changed, so there is nothing to undo"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(listed([printable(name) for name in names], _MAX_LISTED))


def _lines(record: Record) -> Iterator[BeforeLine]:
    position = f"line {record.line}" if record.line else "a line"
    if record.message == log_records.CUT:
        of = f" of run {printable(record.request_id)}" if record.request_id else ""
        yield BeforeLine(f"the log{of}", request_id=record.request_id or None, problem=_CUT_LOG)
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
        is_cut = fields is None and log_records.OBJECT.match(text)
        problem = "not JSON, or cut off" if is_cut else _NOT_AS_LOGGED
        return BeforeLine(position, problem=problem)
    undo = fields.get("Undo")
    request_id, time = (str(fields.get(name, "")) for name in ("RequestId", "Time"))
    line = BeforeLine(position, "", sys.intern(request_id), time)
    if "Cut" in fields:
        line.problem = f"the function's logger has cut Undo, which begins {printable(undo, 60)}"
        return line
    if run not in {request_id, ""}:
        line.problem = f"its RequestId {request_id} is not that of the run, {run}"
    try:
        line.undo = json.dumps(undo)
    except RecursionError:
        line.problem = f"Undo ({_image_name(undo)}): nested too deeply"
    return line


def _check(lines: Sequence[BeforeLine]) -> None:
    """Note in each line why its entry is not allowed, if it is not."""
    for start in range(0, len(lines), _CHECKED_AT_ONCE):  # much faster than each alone
        some = lines[start : start + _CHECKED_AT_ONCE]
        undos = [json.loads(line.undo) for line in some]
        wrong = zip(some, undos, strict=True) if _violation_of(undos) else ()
        for line, undo in wrong:
            if violation := _violation_of([undo]):
                line.problem = f"Undo ({_image_name(undo)}): {violation}"


def _violation_of(entries: list[Any]) -> str:
    """Why entries are not allowed in a change request; empty if they are allowed."""
    try:
        # The function may know regions that this version does not.
        listed = {str(e["Region"]) for e in entries if isinstance(e, dict) and "Region" in e}
        settings = Settings(regions=tuple(listed))
        registry.read(json.dumps({"Images": entries}).encode(), region="", settings=settings)
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
    matches = log_records.by_prefix(ids, request_id)
    if len(matches) > 1:
        raise ValueError(f"request id {request_id!r} is the beginning of {_listed(matches)}")
    if not matches:
        known = f"the log has {_listed(ids)}" if ids else "none is readable"
        near = nearest(request_id, map(printable, ids))
        least = log_records.MIN_PREFIX
        rule = f"; a shortened id needs at least {least} characters" * (len(request_id) < least)
        raise ValueError(f"no line {EVENT} has request id {request_id!r}{rule}; {known}{near}")
    return [line for line in lines if line.request_id in {*matches, None}]


def _request_ids(lines: Iterable[BeforeLine]) -> list[str]:
    return list(dict.fromkeys(line.request_id for line in lines if line.request_id is not None))
