"""How a run ended: its outcome, error codes and images, from a log or from an invocation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from itertools import chain
from typing import Any

from image_steward.model import STATUSES
from scf_local.changes import attributes_of
from scf_local.differences import NOTHING, pairs, text_of
from scf_local.invocation import FAILURES, InvocationResult
from scf_local.log_records import PLATFORM, Record, from_text, steward_lines
from scf_local.replay import UNFINISHED, class_of, codes_of, entries_of, last_line

UNKNOWN = "unknown"
"""The outcome of a run whose log does not show it."""

_OK, _RAISED = 200, 430
_CODE = re.compile(r"""[{\]] ?['"]?code['"]?: ?['"]?([A-Za-z][\w.]*)""")
"""In the text of `CosServiceError` and `TencentCloudSDKException`."""
_STATUS_CODE = re.compile(r"""statusCode["']?\s*:\s*(\d{3})\b""")
_LOGGED_STATUSES = {status.lower() for status in STATUSES} - {"unchanged", "skipped"}
"""The statuses of images that are logged at level INFO."""
_HARMLESS = {"document.warned", "journal.failed"}
"""The log events whose codes did not stop the run."""


@dataclass(frozen=True)
class RunSummary:
    """How a run ended. `images` are known statuses by `<region>/<image id>`."""

    outcome: str
    codes: frozenset[str] | None = None
    """None: unknown."""
    images: Mapping[str, str] = field(default_factory=dict)
    error: str = ""
    """The last line of the traceback, or SCF's error message."""
    request_id: str = ""
    function: str = ""
    start: float | None = None
    """Seconds since 1970."""
    attempts: int = 1
    note: str = ""
    """That the result could not be written to the journal."""
    written: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The new values of images, by the same names."""
    result: Any = NOTHING
    """What another function than Image Steward returned, if it is known."""

    @property
    def document(self) -> dict[str, Any]:
        """The summary as JSON values."""
        start = self.start and datetime.fromtimestamp(self.start, timezone.utc)
        return {
            "RequestId": self.request_id,
            "StartTime": start and start.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "Attempts": self.attempts,
            "Outcome": self.outcome,
            "Codes": None if self.codes is None else sorted(self.codes),
            "Images": dict(self.images),
            "Error": self.error,
            **({"Note": self.note} if self.note else {}),
        }

    def differences(self, actual: RunSummary) -> list[str]:
        """The differences of `actual` from this one, as text; unknown values are not compared."""
        if self.outcome == UNKNOWN:
            return []
        differences = []
        is_success = not actual.error and actual.outcome not in FAILURES
        is_same_success = self.outcome == "returned" and self.codes is None and is_success
        if self.outcome != actual.outcome and not is_same_success:
            differences.append(f"{self._outcome} → {actual.outcome}")
        elif self.error and self.outcome == actual.outcome and self._outcome != actual._outcome:
            differences.append(f"{self._outcome} → {actual._outcome}")
        if self.codes is None:
            return differences
        if actual.codes is not None and self.codes != actual.codes:
            differences.append(f"{_joined(self.codes)} → {_joined(actual.codes)}")
        for image in sorted({*self.images, *actual.images}):
            before, after = (run.images.get(image, "untouched") for run in (self, actual))
            if before != after:
                differences.append(f"{image}: {before} → {after}")
            old, new = (run.written.get(image, NOTHING) for run in (self, actual))
            fields = self._fields(actual, old, new, f"{image} ")
            differences += (line.replace(" /", " ", 1) for line in fields)
        return [*differences, *self._fields(actual, self.result, actual.result, "Result")]

    def _fields(self, actual: RunSummary, old: object, new: object, name: str) -> Iterator[str]:
        """The differences between two values if both are known, except for request ids."""
        if NOTHING in (old, new):
            return
        ids = self.request_id, actual.request_id
        for path, before, after in pairs(old, new, name):
            is_id = isinstance(before, str) and before.replace(*ids) == after
            # A text there is compared as the outcome.
            is_outcome = path == "Result/Outcome" and type(before) is type(after) is str
            if not is_id and not is_outcome:
                yield f"{path}: {text_of(before)} → {text_of(after)}"

    @property
    def _outcome(self) -> str:
        """The outcome, with the class of a raised exception, and its code in the SDKs' text."""
        if self.outcome != "raised":
            return self.outcome
        name, codes = class_of(self.error).rpartition(".")[2], _CODE.findall(self.error)
        return " ".join(filter(None, ["raised", name, *codes[:1]]))


def from_log(attempts: Sequence[Sequence[Record]]) -> RunSummary:
    """The summary of an event from the records of its attempts: the last attempt counts.

    The status of an image in an attempt holds until a later attempt logs another one.
    """
    records = [record for attempt in attempts for record in attempt]
    last = _own_lines(attempts[-1])
    by_attempt = [[*steward_lines(attempt)] for attempt in attempts]
    lines = by_attempt[-1]
    status = _status(attempts[-1], last)
    result = _payload(last, "Response", "RetMsg:") if status == _OK else NOTHING
    error = "" if status == _OK else last_line(_payload(last, "ERROR", "Result:"))
    starts = (record.start or record.time for record in records)
    outcome = _outcome(status, result, lines)
    if outcome == "raised" and not error and _finished(lines):
        error = UNFINISHED  # nothing else is raised after that line
    lost = {str(line.get("Code")) for line in lines if line["Event"] == "journal.failed"}
    return RunSummary(
        outcome,
        error=error if outcome == "raised" or status != _OK else "",
        request_id=records[0].request_id,
        function=next((record.function for record in records if record.function), ""),
        start=next((start for start in starts if start is not None), None),
        attempts=len(attempts),
        note=f"result not in the journal: {', '.join(sorted(lost))}" if lost else "",
        **_fields_of(result, by_attempt),
    )


def from_invocation(invocation: InvocationResult, logs: Iterable[bytes]) -> RunSummary:
    """The summary of an event's last invocation; `logs` are those of all attempts."""
    attempts = [[*steward_lines(from_text(log.decode("utf-8", "replace")))] for log in logs]
    return RunSummary(
        invocation.outcome,
        error=last_line(invocation.error),
        request_id=invocation.request_id,
        **_fields_of(NOTHING if invocation.error else invocation.result, attempts),
    )


def _fields_of(result: object, attempts: Sequence[Sequence[dict[str, Any]]]) -> dict[str, Any]:
    """The fields of a summary that come from a result, and Image Steward's lines by attempt."""
    images: dict[str, str] = {}
    written: dict[str, dict[str, Any]] = {}
    entries = [(line["Event"].partition("image.")[2], line) for line in chain(*attempts)]
    entries += [(str(entry.get("Status")), entry) for entry in entries_of(result, "Images")]
    for status, entry in entries:
        if "ImageId" in entry and status in _LOGGED_STATUSES:
            image = f"{entry.get('Region', '')}/{entry['ImageId']}"
            images[image] = status
            if entry.get("After") and "After" not in entry.get("Cut", ()):
                written.setdefault(image, {}).update(attributes_of(entry["After"]))
    is_known = result is not NOTHING or attempts[-1]
    logged = [x for x in attempts[-1] if "Code" in x and x["Event"] not in _HARMLESS]
    codes = codes_of(result).union(str(line["Code"]) for line in logged) if is_known else None
    is_own = isinstance(result, dict) and {"RequestId", "Outcome", "Images"} <= result.keys()
    returned = NOTHING if is_own else result
    return {"codes": codes, "images": images, "written": written, "result": returned}


def _outcome(status: int | None, result: object, lines: list[dict[str, Any]]) -> str:
    finished = _finished(lines)
    if result is NOTHING and finished:
        result = finished
        if status in {None, _OK} and finished.get("Outcome") == UNFINISHED.lower():
            status = _RAISED  # the log lacks SCF's line with the error
    if status is None:
        # Without SCF's lines: the function raises for what needs a redelivery.
        if not finished:
            return UNKNOWN
        status = _RAISED if any(map(_needs_redelivery, lines)) else _OK
    return InvocationResult("", status, 0, 0, result=result).outcome


def _finished(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The last line `run.finished`; empty if there is none."""
    return next((line for line in reversed(lines) if line["Event"] == "run.finished"), {})


def _needs_redelivery(line: dict[str, Any]) -> bool:
    is_transient = line["Event"] == "document.rejected" and line["Level"] == "WARNING"
    return is_transient or (line["Event"] == "image.pending" and line.get("Code") != "Stopped")


def _own_lines(records: Iterable[Record]) -> dict[str, Record]:
    """SCF's lines by their kind, the last one of each: what a run prints may look like one."""
    matches = ((PLATFORM.match(record.message), record) for record in records)
    return {m["kind"]: record for m, record in matches if m and m["id"] == record.request_id}


def _status(records: Sequence[Record], own: Mapping[str, Record]) -> int | None:
    ends = (*records, own.get("Report", records[-1]))
    logged = next((record.status for record in reversed(ends) if record.status), None)
    error = own.get("ERROR")
    if error and logged != _OK:  # else it was printed
        result = _payload(own, "ERROR", "Result:")
        code = result.get("statusCode") if isinstance(result, dict) else None
        if isinstance(code, int):
            return code
        codes = _STATUS_CODE.findall(error.message)  # the last one: a traceback may hold others
        return logged or (int(codes[-1]) if codes else _RAISED)
    return logged or (_OK if own.keys() & {"Report", "END", "Response"} else None)


def _payload(own: Mapping[str, Record], kind: str, label: str) -> Any:  # noqa: ANN401 - any JSON value
    """The JSON value after `label` in SCF's line of a kind; `NOTHING` if missing or cut off."""
    match = PLATFORM.match(own[kind].message) if kind in own else None
    with suppress(ValueError, RecursionError):
        # Not strict: the text of an error may contain line breaks.
        text = match["rest"].partition(label)[2].lstrip() if match else ""
        return json.JSONDecoder(strict=False).raw_decode(text)[0]
    return NOTHING


def _joined(codes: frozenset[str]) -> str:
    return ", ".join(sorted(codes)) or "no code"
