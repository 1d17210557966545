"""The runs in a log, and the event of each."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from image_steward import regions
from scf_local import log_records, raw_events, run_summary
from scf_local.events import cos_event, timer_event
from scf_local.log_records import PLATFORM, Record
from scf_local.run_summary import RunSummary

_COS = "cos://"


@dataclass(frozen=True)
class LoggedRun:
    """The records of one event by attempt, in order; there is at least one attempt."""

    request_id: str
    attempts: tuple[tuple[Record, ...], ...]

    @cached_property
    def summary(self) -> RunSummary:
        """How it ended."""
        return run_summary.from_log(self.attempts)

    @cached_property
    def start(self) -> float | None:
        """Seconds since 1970; None if no record has a time."""
        times = (log_records.timestamp(line["Time"]) for line in self._lines)
        return self.summary.start or next((time for time in times if time), None)

    def event(self, region: str) -> dict[str, Any]:
        """The event rebuilt from Image Steward's log lines, else as printed.

        `region` is the function's, and so that of the buckets whose events it gets.

        Raises:
            ValueError: the log is not sufficient; says what is missing.
        """
        if self._lines:  # Image Steward prints no event, but its lines may contain others' text
            return self._rebuilt(region)
        for attempt in self.attempts:
            messages = [r.message for r in attempt if not PLATFORM.match(r.message)]
            # The first line may be the end of one.
            skipped = 2 * (messages[:1] == [log_records.CUT])
            if event := raw_events.find("\n".join(messages[skipped:])):
                return event
        if any(raw_events.is_cut(r.message) for attempt in self.attempts for r in attempt):
            raise ValueError("the printed event is cut off (SCF keeps 8 KB of a line)")
        raise ValueError("the function printed no event, or SCF_Message is missing")

    @cached_property
    def _lines(self) -> list[dict[str, Any]]:
        return list(log_records.steward_lines(r for attempt in self.attempts for r in attempt))

    def _rebuilt(self, region: str) -> dict[str, Any]:
        """An event that has the same effect as the original.

        For a pointer, the log names the document that it pointed to: an upload of that document has
        the same effect.
        """
        finished = (line for line in self._lines if line["Event"] == "run.finished")
        trigger = next((str(line.get("Trigger")) for line in finished), None)
        # The function's logger cuts the values of long lines.
        named = [x for x in self._lines if "Source" in x and "Source" not in x.get("Cut", ())]
        sources = _sources(named)
        objects = [source for source in sources if source.startswith(_COS)]
        if len(objects) < len(sources) or not objects:
            raise ValueError(_why_not(trigger, [s for s in sources if s not in objects]))
        if trigger in {"timer", "direct"}:  # its document was a pointer
            if len(objects) > 1:
                raise ValueError(f"a {trigger} event has one document, but the log names {objects}")
            pointer = {"Document": objects[0]}
            return timer_event(json.dumps(pointer)) if trigger == "timer" else pointer
        records = []
        for source in objects:
            bucket, _, key = source.removeprefix(_COS).partition("/")
            event = cos_event(bucket, key, region=region, clock=lambda: self.start or 0)
            records += event["Records"]
        return {"Records": records}


def runs(records: Iterable[Record]) -> list[LoggedRun]:
    """The runs of a log, by start time; a run without a time stays after its predecessor."""
    by_id = log_records.by_run(records)
    unsorted = [LoggedRun(id_, _attempts(run)) for id_, run in by_id.items() if id_]
    keys, last = {}, 0.0
    for run in unsorted:
        last = keys[run.request_id] = run.start or last
    return sorted(unsorted, key=lambda run: keys[run.request_id])


def _attempts(records: Sequence[Record]) -> tuple[tuple[Record, ...], ...]:
    """The records by attempt. SCF redelivers an event under the same request id."""
    attempts: dict[int, list[Record]] = {}
    count = 0
    for record in records:
        match = PLATFORM.match(record.message)
        if match and match["kind"] == "START" and attempts:
            count += 1
        number = count if record.retry is None else record.retry
        attempts.setdefault(number, []).append(record)
    return tuple(tuple(attempts[number]) for number in sorted(attempts))


def swallowed(records: Iterable[Record]) -> Iterator[str]:
    """Messages about runs that begin within a record, such as in the text of an error."""
    for record in records:
        for number, line in log_records.text_lines(record.message):
            match = PLATFORM.match(line) if number > 1 else None
            if match and match["kind"] == "START":
                yield f"run {match['id']} begins within the text of run {record.request_id}"


def _sources(lines: Sequence[dict[str, Any]]) -> list[str]:
    """The sources of documents, in the order of their first lines."""
    started = {str(line["Source"]) for line in lines if line["Event"] == "run.started"}
    sources = list(dict.fromkeys(str(line["Source"]) for line in lines))

    def is_of_region(source: str) -> bool:
        # A policy that was rejected for one region has that region after its source.
        document, _, region = source.rpartition(" ")
        return document in sources and regions.is_region(region)

    return [s for s in sources if s in started or not is_of_region(s)]


def _why_not(trigger: object, sources: list[str]) -> str:
    """Why an event cannot be rebuilt."""
    if trigger == "timer":
        name = sources[0].removeprefix("timer:") if sources else ""
        return (
            f"the Message of timer {name or '?'} is not logged; create the event with "
            "`scf-local event timer --message @FILE`"
        )
    if trigger == "direct":
        return "the document of a direct call is not logged; replay the file it came from"
    if trigger == "cos" and sources:
        return f"the log names no object for {sources[0]}"
    if trigger == "cos":
        return (
            "the log names no object, because nothing had to change; with "
            "STEWARD_LOG_LEVEL=DEBUG, the function logs the object even then"
        )
    return "the input of the run was not an event, or some of its log lines are missing"
