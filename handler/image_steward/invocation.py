"""One event through all stages: the only module that knows them all.

events          event     -> its parts, and of each the bytes of a document
documents       bytes     -> a typed request               (by the kinds in `registry`)
current_images  request   -> the images as they are
planning        both      -> a plan, pure
reporting       plan      -> the journal, before any change
execution       plan      -> outcomes
reporting       outcomes  -> the result document, log lines
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TextIO

from image_steward import regions, registry
from image_steward.clock import RunTime
from image_steward.cloud.retries import Retries
from image_steward.current_images import ImageReader
from image_steward.errors import InvalidDocument, Rejection, StewardError, Unfinished
from image_steward.events.fetch import fetch, fetch_target, is_journal
from image_steward.events.parse import IgnoredPart, Part, RejectedPart, parse
from image_steward.execution.executor import Executor
from image_steward.instance import Cloud, Instance
from image_steward.lazy import load
from image_steward.model import CosObject, Image, Outcome, Plan, Report
from image_steward.planning.rename_order import temporary_names
from image_steward.registry import Planner
from image_steward.reporting import result
from image_steward.reporting.journal import Journal
from image_steward.reporting.log import Log
from image_steward.settings import Settings

MAX_REQUEST_ID = 64

_TWO_HOPS = "a pointer to a pointer; Document must name the document itself"


def handle(
    instance: Instance,
    event: object,
    context: object,
    environ: Mapping[str, str],
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Do what an event asks for, log it to `stream` (stdout), and return the result document.

    `context` is SCF's dict (document/product/583/11061); every key of it may be absent.

    Raises:
        Unfinished: after everything else was done, something is left that time can heal.
    """
    clock = instance.clock
    start = clock.monotonic()
    known: dict[str, Any] = context if isinstance(context, dict) else {}
    request_id = str(known.get("request_id", ""))[:MAX_REQUEST_ID]
    secrets = (environ.get(f"TENCENTCLOUD_{name}", "") for name in ("SECRETKEY", "SESSIONTOKEN"))
    time = RunTime.of(known.get("time_limit_in_ms"), clock)
    log = Log(stream or sys.stdout, clock, request_id, secrets=tuple(secrets))
    cloud = None
    is_dry = False
    try:
        settings = Settings.from_environ(environ)
        log.level, is_dry = settings.log_level, settings.dry_run
        region = _own_region(known, environ)
        parsed = parse(event, region=region)
    except Rejection as error:
        log.error("event.rejected", **error.log_fields)
        run = result.Run("unknown", [Report("event", errors=(("event", error),))], is_dry)
    else:
        cloud = Cloud(instance, settings, environ, time)
        retries = Retries(time.start_by, instance.uniform)
        invocation = Invocation(settings, region, cloud, retries, log)
        reports = [invocation.process(part) for part in parsed.parts]
        run = result.Run(parsed.trigger, reports, is_dry)
    log.info(
        "run.finished",
        Trigger=run.trigger,
        Outcome=run.outcome,
        Summary=run.summary,
        Errors=len(run.errors),
        DurationMs=round((clock.monotonic() - start) * 1000),
        **(cloud.counts() if cloud else {"ApiCalls": 0, "Throttles": 0}),
        ColdStart=instance.runs == 0,
    )
    instance.runs += 1
    if left := run.unfinished:
        raise Unfinished(
            f"{len(left)} of {len(run.outcomes) + len(run.errors)} images and documents are left "
            f"({left[0].code}: {left[0].message}); delivering the event again does only these"
        )
    return result.document(run, request_id)


class Invocation:
    """What the parts of one event have in common."""

    def __init__(
        self, settings: Settings, region: str, cloud: Cloud, retries: Retries, log: Log
    ) -> None:
        self._settings = settings
        self._region = region
        self._cloud = cloud
        self._retries = retries
        self._log = log
        self._journal = Journal(settings, region, log, self._write)

    def process(self, part: Part) -> Report:
        """One part of the event through all stages; trouble with it stays its own."""
        source = part.source
        if isinstance(part, CosObject) and is_journal(part, self._settings):
            part = IgnoredPart(source, "it is in the journal")
        if isinstance(part, IgnoredPart):
            self._log.info("event.ignored", Source=source, Reason=part.reason)
            return Report(source)
        try:
            if isinstance(part, RejectedPart):
                raise part.error
            data = fetch(part, self._settings, self._read)
            document = registry.read(data, region=self._region)
            if isinstance(document.request, CosObject):
                source = document.request.source
                data = fetch_target(document.request, self._settings, self._read)
                document = registry.read(data, region=self._region)
            if not document.planner:
                raise InvalidDocument(_TWO_HOPS)
        except StewardError as error:
            return self._rejected(Report(source), source, error)
        return self._run(source, document.request, document.planner)

    def _run(self, source: str, request: Any, planner: Planner) -> Report:  # noqa: ANN401 - of any kind
        """Carry out a request, and what comes after it."""
        request = replace(request, dry_run=self._settings.dry_run or request.dry_run)
        report = self._execute(Report(source, dry_run=request.dry_run), request, planner)
        if planner.next_planner and (later := load(planner.next_request)(request, report.outcomes)):
            start = replace(report, outcomes=())
            report = report.merged_with(self._execute(start, later, planner.next_planner))
        return report

    def _execute(self, report: Report, request: Any, planner: Planner) -> Report:  # noqa: ANN401 - of any kind
        """Plan all regions, then change them; a plan that is refused changes nothing."""
        try:
            api = self._cloud.api()
            names = load(planner.new_names) if planner.new_names else None
            call, deadline = self._retries.wrap(api), self._retries.deadline
            reader = ImageReader(call, registry.side_by_side, deadline, self._log_wait, names)
            current = load(planner.read_images)(request, reader)
            plan = load(planner.plan)(request, current, self._log.clock.time())
            report = self._announced(report, plan)
            if request.dry_run:
                outcomes = [
                    Outcome.planned_for(step) for each in plan.steps.values() for step in each
                ]
                for outcome in outcomes:
                    self._log_outcome(report.source, outcome)
            else:
                self._journal.record(report.source, plan)
                note = partial(self._log_outcome, report.source)
                outcomes = Executor(api, self._retries, registry.side_by_side, note).execute(plan)
        except StewardError as error:
            return self._rejected(report, report.source, error)
        return replace(report, outcomes=tuple(outcomes))

    def _announced(self, report: Report, plan: Plan) -> Report:
        """The report with what is to be said of a plan before it is carried out."""
        for region, error in plan.region_errors.items():
            report = self._rejected(report, f"{report.source} {region}", error)
        warnings = (*plan.warnings, *temporary_names(plan))
        for warning in warnings:
            self._log.warning("document.warned", Source=report.source, **warning.log_fields)
        return replace(report, warnings=report.warnings + warnings)

    def _rejected(self, report: Report, source: str, error: StewardError) -> Report:
        write = self._log.warning if error.transient else self._log.error
        write("document.rejected", Source=source, **error.log_fields)
        return replace(report, errors=(*report.errors, (source, error)))

    def _read(self, place: CosObject) -> bytes:
        return self._retries(partial(self._cloud.objects().read, place))

    def _write(self, place: CosObject, data: bytes) -> None:
        self._retries(partial(self._cloud.objects().write, place, data))

    def _log_wait(self, region: str, image: Image) -> None:
        state = image.state
        self._log.info("image.awaited", Region=region, ImageId=image.image_id, ImageState=state)

    def _log_outcome(self, source: str, outcome: Outcome) -> None:
        """One log line for what became of an image."""
        error = outcome.error
        level = {"unchanged": "debug", "skipped": "debug", "pending": "warning", "failed": "error"}
        getattr(self._log, level.get(outcome.status, "info"))(
            f"image.{outcome.status}",
            Source=source,
            Region=outcome.step.region,
            ImageId=outcome.step.image_id,
            Before=outcome.before,
            After=outcome.after,
            ApiRequestId=outcome.request_ids,
            Attempts=outcome.attempts,
            DurationMs=round((outcome.ended - outcome.began) * 1000),
            **({"Reason": "; ".join(outcome.step.reasons)} if outcome.step.reasons else {}),
            **({"Code": error.code, "Message": error.message} if error else {}),
        )


def _own_region(context: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    named = context.get("tencentcloud_region") or environ.get("TENCENTCLOUD_REGION")
    return str(named) if regions.is_region(named) else ""
