"""The runs that a log tells of, and the event that each of them got."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from image_steward import regions
from scf_local import happened, raw_events
from scf_local.events import cos_event, timer_event
from scf_local.log_records import PLATFORM, by_run, moment, own_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scf_local.happened import Happened
    from scf_local.log_records import Record

_COS = "cos://"


@dataclass(frozen=True)
class LoggedRun:
    """The records of all attempts at one event, in their order. `attempts` is never empty."""

    request_id: str
    attempts: tuple[tuple[Record, ...], ...]

    @cached_property
    def then(self) -> Happened:
        """How it ended."""
        return happened.of_log(self.attempts)

    @cached_property
    def moment(self) -> float | None:
        """When it began; None if no record has a time."""
        times = (moment(line["Time"]) for line in self._own_lines)
        return self.then.start or next((time for time in times if time), None)

    def event(self, region: str) -> dict[str, Any]:
        """The event: as it was printed, else rebuilt from what Image Steward logs.

        `region` is where the function runs, and so where the buckets are that it is told of.

        Raises:
            ValueError: the log does not hold enough for either; says what is missing.
        """
        for attempt in self.attempts:
            text = "\n".join(
                record.message for record in attempt if not PLATFORM.match(record.message)
            )
            if found := raw_events.find(text):
                return found
        if self._own_lines:
            return self._rebuilt(region)
        if any(raw_events.is_cut(r.message) for attempt in self.attempts for r in attempt):
            raise ValueError("the event it printed is cut (SCF keeps 8 KB of a line)")
        raise ValueError("it printed no event")

    @cached_property
    def _own_lines(self) -> list[dict[str, Any]]:
        return list(own_lines(r.message for attempt in self.attempts for r in attempt))

    def _rebuilt(self, region: str) -> dict[str, Any]:
        """The event as far as it decides what the function does.

        A document that pointed to another one is logged by the place of that: an upload of it
        comes to the same.
        """
        finished = (line for line in self._own_lines if line["Event"] == "run.finished")
        trigger = next((str(line.get("Trigger")) for line in finished), None)
        sources = list(dict.fromkeys(_source(line) for line in self._own_lines if "Source" in line))
        objects = [source for source in sources if source.startswith(_COS)]
        if len(objects) < len(sources) or not objects:
            raise ValueError(_missing(trigger, [s for s in sources if s not in objects]))
        if trigger in {"timer", "direct"}:  # what they carried was a pointer
            if len(objects) > 1:
                raise ValueError(f"a {trigger} event has one document, the log names {objects}")
            pointer = {"Document": objects[0]}
            return timer_event(json.dumps(pointer)) if trigger == "timer" else pointer
        records = []
        for source in objects:
            bucket, _, key = source.removeprefix(_COS).partition("/")
            event = cos_event(bucket, key, region=region, clock=lambda: self.moment or 0)
            records += event["Records"]
        return {"Records": records}


def runs(records: Iterable[Record]) -> list[LoggedRun]:
    """The runs of a log, by their start; those without a time stay behind the one before them."""
    found = [LoggedRun(name, _attempts(each)) for name, each in by_run(records).items() if name]
    keys, last = {}, 0.0
    for run in found:
        last = keys[run.request_id] = run.moment or last
    return sorted(found, key=lambda run: keys[run.request_id])


def _attempts(records: Sequence[Record]) -> tuple[tuple[Record, ...], ...]:
    """The records by attempt. SCF delivers an event again under the same request id."""
    attempts: dict[int, list[Record]] = {}
    count = 0
    for record in records:
        match = PLATFORM.match(record.message)
        if match and match["kind"] == "START" and attempts:
            count += 1
        number = count if record.retry is None else record.retry
        attempts.setdefault(number, []).append(record)
    return tuple(tuple(attempts[number]) for number in sorted(attempts))


def _source(line: dict[str, Any]) -> str:
    source = str(line["Source"])
    if line["Event"] == "document.rejected":
        # A policy is refused for one region alone; that stands behind the source then.
        place, _, region = source.rpartition(" ")
        return place if place and regions.is_region(region) else source
    return source


def _missing(trigger: object, sources: list[str]) -> str:
    """Why an event cannot be rebuilt."""
    if trigger == "timer":
        name = sources[0].removeprefix("timer:") if sources else ""
        return (
            f"the Message of timer {name or '?'} is in no log line; make the event with "
            "`scf-local event timer --message @FILE`"
        )
    if trigger == "direct":
        return "the document of a direct call is in no log line; replay the file it came from"
    if trigger == "cos" and sources:
        return f"its lines name no object for {sources[0]}"
    if trigger == "cos":
        return (
            "its lines name no object, as nothing was to be changed; with STEWARD_LOG_LEVEL=DEBUG "
            "the function logs these too"
        )
    return "what it got was no event, or its lines are not all there"
