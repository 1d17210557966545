"""From what the function logged before its changes to the document that undoes them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from image_steward import registry
from image_steward.errors import Rejection
from image_steward.messages import nearest
from image_steward.reporting import undo as undoing
from image_steward.settings import Settings
from scf_local import log_records
from scf_local.cells import printable
from scf_local.log_records import is_own_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from scf_local.log_records import Record

EVENT = "image.before"
_LISTED = 10
_NONE = (
    f"the log has no line {EVENT}; the function logs one before it changes an image, whatever the "
    "level: so nothing was changed, or the log is of something else"
)
_UNKNOWN = (
    f"the log names {EVENT}, but in no line as the function logs it; give the log as it was "
    "printed, or as CLS exports it"
)


@dataclass(frozen=True)
class Line:
    """A line `image.before`. `undo` is a change request entry, unless something is `wrong`."""

    place: str
    undo: Any = None
    request_id: str | None = None
    """None: can no longer be told."""
    time: str = ""
    wrong: str = ""


@dataclass(frozen=True)
class Undo:
    """What a log allows to put back: `entries` of change requests, in their order.

    `trouble` are sentences about lines and images for which that cannot be done.
    """

    entries: list[dict[str, Any]]
    request_ids: list[str]
    trouble: list[str]

    def __str__(self) -> str:
        images, runs = len(self.entries), len(self.request_ids)
        counts = f"{images:,} image{'s' * (images != 1)} of {runs:,} run{'s' * (runs != 1)}"
        return f"{counts}: {listed(self.request_ids)}" if runs else counts

    @cached_property
    def parts(self) -> list[list[dict[str, Any]]]:
        """The entries of each change request that they need."""
        return list(undoing.batches(self.entries, Settings.max_document_bytes)) or [[]]

    def part(self, number: int) -> dict[str, Any]:
        """One of the change requests, counted from 1.

        Raises:
            ValueError: it does not exist.
        """
        if not 1 <= number <= len(self.parts):
            raise ValueError(f"there is no part {number}; allowed is 1 to {len(self.parts)}")
        return {"Images": self.parts[number - 1]}


def read(log: bytes, request_id: str | None = None, *, name: str = "log") -> Undo:
    """The undo of all runs in a log of any form, or of one of them.

    Raises:
        ValueError: nothing was logged before changes, or not by that run; or it is CSV that
            cannot be read, which begins with the file's `name`.
    """
    # Bytes that are not UTF-8 stay known, lest another name is put back.
    records, _ = log_records.read(log, name, errors="surrogateescape")
    if not records:
        records = log_records.of_text(log.decode("utf-8", "surrogateescape"))
    by_run = log_records.by_run(records).values()
    lines = [line for run in by_run for record in run for line in _lines(record)]
    if not lines:
        raise ValueError(_UNKNOWN if EVENT.encode() in log else _NONE)
    if request_id is not None:
        lines = _of_run(lines, request_id)
    trouble = [f"{line.place} cannot be used: {line.wrong}" for line in lines if line.wrong]
    # Logs are shown newest first, too. Lines of the same moment stay in their order.
    usable = sorted((line for line in lines if not line.wrong), key=lambda line: line.time)
    entries = []
    for entry in undoing.merged(line.undo for line in usable):
        if violation := _violation_of(
            entry
        ):  # each line was fine: it is their sum that is too much
            trouble.append(f"{_name(entry)} cannot be put back: {violation}")
        else:
            entries.append(entry)
    return Undo(entries, _request_ids(usable), trouble)


def listed(names: Sequence[str]) -> str:
    """Names for a sentence: all, or the first ones and how many more there are."""
    more = len(names) - _LISTED
    return ", ".join(map(printable, names[:_LISTED])) + (f" and {more:,} more" if more > 0 else "")


def _lines(record: Record) -> Iterator[Line]:
    place = f"line {record.line}" if record.line else "a line"
    for text in record.message.split("\n"):
        if EVENT in text and (line := _line(place, text)):
            yield line


def _line(place: str, text: str) -> Line | None:
    text = text[max(0, text.find("{")) :]
    # Quoted, and within JSON with a backslash before the quotes.
    is_named = f'"{EVENT}"' in text.replace("\\", "")
    try:
        text.encode()  # refuses what was not UTF-8
        fields, _ = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        return Line(place, wrong="it is no JSON any more") if is_named else None
    if not isinstance(fields, dict) or fields.get("Event") != EVENT:
        wrong = f"it holds {EVENT}, but not as the function logs it"
        return Line(place, wrong=wrong) if is_named and not is_own_line(fields) else None
    undo = fields.get("Undo")
    if "Cut" in fields:
        wrong = f"the function's logger had to cut it; it begins {printable(undo, 60)}"
    else:
        wrong = _violation_of(undo)
        wrong = f"{_name(undo)}: {wrong}" if wrong else ""
    request_id, time = (str(fields.get(name, "")) for name in ("RequestId", "Time"))
    return Line(place, undo, request_id, time, wrong)


def _violation_of(entry: object) -> str:
    """Why an entry cannot stand in a change request; empty if it can."""
    try:
        registry.read(json.dumps({"Images": [entry]}).encode(), region="")
    except Rejection as error:
        path, message = error.details[0]
        return printable(f"{path.removeprefix('/Images/0')} {message}".strip())
    except RecursionError:
        return "nested too deep"
    return ""


def _name(undo: object) -> str:
    named = undo.get("ImageId") if isinstance(undo, dict) else undo
    return printable(named, 60)


def _of_run(lines: Iterable[Line], request_id: str) -> list[Line]:
    """The lines of a run, and those that may be of it."""
    ids = _request_ids(lines)
    if request_id not in ids:
        near = nearest(request_id, ids)
        there = listed(ids) or "none that can be read"
        raise ValueError(f"no line {EVENT} has request id {request_id!r}; there are {there}{near}")
    return [line for line in lines if line.request_id in {request_id, None}]


def _request_ids(lines: Iterable[Line]) -> list[str]:
    return list(dict.fromkeys(line.request_id for line in lines if line.request_id is not None))
