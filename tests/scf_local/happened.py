"""How a run ended: then, by its log, and now."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from image_steward.model import STATUSES
from scf_local.invocation import Invocation
from scf_local.log_records import PLATFORM, own_lines
from scf_local.replay import codes_of, entries_of, last_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from scf_local.log_records import Record

UNKNOWN = "unknown"
"""The outcome of a run whose log does not tell one."""

_OK, _RAISED = 200, 430
_STATUS = re.compile(r"""statusCode["']?\s*:\s*(\d{3})\b""")
_TOLD = {status.lower() for status in STATUSES} - {"unchanged", "skipped"}
"""What becomes of an image and is logged at level INFO already."""
_WARNED = "document.warned"
"""A line with a code of what did not stop the run."""


@dataclass(frozen=True)
class Happened:
    """How a run ended. `images` are statuses by `<region>/<image id>`, as far as told."""

    outcome: str
    codes: frozenset[str] | None = None
    """None: not told."""
    images: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    """The last line of what was raised, or SCF's message."""
    request_id: str = ""
    function: str = ""
    start: float | None = None
    """Seconds since 1970."""
    attempts: int = 1

    @property
    def document(self) -> dict[str, Any]:
        """For programs."""
        start = self.start and datetime.fromtimestamp(self.start, timezone.utc)
        return {
            "RequestId": self.request_id,
            "StartTime": start and start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "Attempts": self.attempts,
            "Outcome": self.outcome,
            "Codes": None if self.codes is None else sorted(self.codes),
            "Images": dict(self.images),
            "Error": self.error,
        }

    def differences(self, now: Happened) -> list[str]:
        """What is otherwise `now`, in words; what was not told is not compared."""
        if self.outcome == UNKNOWN:
            return []
        found = []
        if self.outcome != now.outcome and not self._is_success_of(now):
            found.append(f"{self._outcome} → {now.outcome}")
        elif self.outcome == "raised" and self._kind != now._kind:
            found.append(f"{self._outcome} → {now._outcome}")
        if self.codes is not None and now.codes is not None and self.codes != now.codes:
            found.append(f"{_names(self.codes)} → {_names(now.codes)}")
        if self.codes is not None:
            for image in sorted({*self.images, *now.images}):
                was, became = (each.images.get(image, "untouched") for each in (self, now))
                if was != became:
                    found.append(f"{image}: {was} → {became}")
        return found

    def _is_success_of(self, now: Happened) -> bool:
        """Whether all that is known is that the function returned, and it did now."""
        return self.outcome == "returned" and self.codes is None and not now.error

    @property
    def _outcome(self) -> str:
        return f"{self.outcome} {self._kind}".rstrip() if self.outcome == "raised" else self.outcome

    @property
    def _kind(self) -> str:
        """The class of what was raised."""
        return self.error.partition(":")[0].rpartition(".")[2][:60]


def of_log(attempts: Sequence[Sequence[Record]]) -> Happened:
    """How an event ended by the records of its attempts: the last one counts.

    What an attempt made of an image stays true until a later one says something else of it.
    """
    records = [record for attempt in attempts for record in attempt]
    last = [record.message for record in attempts[-1]]
    error, status = _error(last), _status(attempts[-1])
    result = _rest(last, "Response", "RetMsg:") if status == _OK else None
    lines = list(own_lines(last))
    told = result is not None or bool(lines)
    starts = (record.start or record.time for record in records)
    return Happened(
        outcome=_outcome(status, result, lines),
        codes=_codes(result, lines) if told else None,
        images=_images(result, own_lines(record.message for record in records)),
        error=error if status != _OK else "",
        request_id=records[0].request_id,
        function=next((record.function for record in records if record.function), ""),
        start=next((start for start in starts if start is not None), None),
        attempts=len(attempts),
    )


def of_invocation(done: Invocation, log: bytes) -> Happened:
    """How an event ended now."""
    lines = list(own_lines([log.decode("utf-8", "replace")]))
    told = done.error is None or bool(lines)
    return Happened(
        outcome=done.outcome,
        codes=_codes(done.result, lines) if told else None,
        images=_images(done.result, lines),
        error=last_line(done.error) if done.error else "",
    )


def _outcome(status: int | None, result: object, lines: list[dict[str, Any]]) -> str:
    finished = [line for line in lines if line["Event"] == "run.finished"]
    if result is None and finished:
        result = finished[-1]
    if status is None:
        # Without SCF's own lines: what is left to another delivery makes the function raise.
        if not finished:
            return UNKNOWN
        status = _RAISED if any(map(_is_healable, lines)) else _OK
    return Invocation("", status, 0, 0, result=result).outcome


def _is_healable(line: dict[str, Any]) -> bool:
    is_refused = line["Event"] == "document.rejected" and line["Level"] == "WARNING"
    return is_refused or (line["Event"] == "image.pending" and line.get("Code") != "Stopped")


def _status(records: Sequence[Record]) -> int | None:
    matches = ((PLATFORM.match(record.message), record) for record in records)
    kinds = {match["kind"]: record for match, record in matches if match}
    if error := kinds.get("ERROR"):
        told = _STATUS.findall(error.message)  # what was raised may name one too, before it
        return int(told[-1]) if told else error.status or _RAISED
    if "Report" in kinds and kinds["Report"].status:
        return kinds["Report"].status
    statuses = [record.status for record in records if record.status]
    if statuses:
        return statuses[-1]
    return _OK if kinds.keys() & {"Report", "END", "Response"} else None


def _rest(messages: Iterable[str], kind: str, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value after `name` in SCF's line of a kind; None if there is none, or it is cut."""
    for message in messages:
        match = PLATFORM.match(message)
        if match and match["kind"] == kind:
            with suppress(ValueError, RecursionError):
                return json.loads(match["rest"].partition(name)[2])
    return None


def _error(messages: Iterable[str]) -> str:
    error = _rest(messages, "ERROR", "Result:")
    return last_line(error) if isinstance(error, dict) else ""


def _codes(result: object, lines: Iterable[dict[str, Any]]) -> frozenset[str]:
    told = {str(line["Code"]) for line in lines if "Code" in line and line["Event"] != _WARNED}
    return codes_of(result) | told


def _images(result: object, lines: Iterable[dict[str, Any]]) -> dict[str, str]:
    found = [
        (line, line["Event"].removeprefix("image."))
        for line in lines
        if line["Event"].startswith("image.")
    ]
    found += [(entry, str(entry.get("Status"))) for entry in entries_of(result, "Images")]
    return {
        f"{entry.get('Region', '')}/{entry['ImageId']}": status
        for entry, status in found
        if "ImageId" in entry and status in _TOLD
    }


def _names(codes: frozenset[str]) -> str:
    return ", ".join(sorted(codes)) or "no code"
