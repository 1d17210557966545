"""Takes one event through all stages; the only module that imports all of them.

events          event     -> its parts and the bytes of their documents
documents       bytes     -> typed request   (by the kinds in `registry`)
current_images  request   -> current images
planning        both      -> plan; pure
reporting       plan      -> the journal, before any change
execution       plan      -> outcomes
reporting       outcomes  -> result document, log lines
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from typing import Any, TextIO

from image_steward import errors, regions, registry
from image_steward.clock import RunDeadlines
from image_steward.cloud.retries import Retries
from image_steward.current_images import ImageReader
from image_steward.events.fetch import fetch, is_journal
from image_steward.events.parse import Part, parse
from image_steward.execution.executor import Executor
from image_steward.instance import Cloud, Instance
from image_steward.lazy import load
from image_steward.model import CosObject, Image, Now, Outcome, Plan, Report
from image_steward.parallel import run_parallel
from image_steward.planning.ceiling import limited
from image_steward.planning.rename_order import temporary_name_warnings
from image_steward.registry import Planner
from image_steward.reporting import result, undo
from image_steward.reporting.journal import Journal
from image_steward.reporting.log import Log, Secrets
from image_steward.settings import Settings

_NESTED_POINTER = "Document names another pointer; it must name the document itself"

_LOG_LEVELS = {"unchanged": "debug", "skipped": "debug", "pending": "warning", "failed": "error"}
"""By image status; all others are logged as info."""


def handle(
    instance: Instance,
    event: object,
    context: object,
    environ: Mapping[str, str],
    stream: TextIO | None = None,
) -> dict[str, Any]:
    """Do what an event asks for, log it to `stream` (stdout) and return the result document.

    `context` is SCF's dict (document/product/583/11061); any of its keys may be missing.

    Raises:
        Unfinished: after all other work is done, if there were transient errors.
    """
    clock = instance.clock
    start = clock.monotonic()
    scf: dict[str, Any] = context if isinstance(context, dict) else {}
    request_id = str(scf.get("request_id", ""))[:64]
    secrets = Secrets(environ, instance.known_secrets)
    deadlines = RunDeadlines(scf.get("time_limit_in_ms"), clock)
    log = Log(stream or sys.stdout, clock, secrets, request_id)
    invocation = None
    calls: list[str] = []
    dry_run = environ.get("STEWARD_DRY_RUN", "").strip() == "1"  # even if another one is invalid
    try:
        settings = Settings.from_environ(environ)
        log.level = settings.log_level
        region = scf.get("tencentcloud_region") or environ.get("TENCENTCLOUD_REGION")
        region = str(region) if regions.is_region(region) else ""
        trigger, parts = parse(event, region=region)
    except errors.Rejection as error:
        log.error("event.rejected", **error.log_fields)
        trigger, reports = "unknown", [Report("event", errors=(("event", error),))]
    else:
        cloud = Cloud(instance, settings, environ, deadlines, calls)
        invocation = Invocation(region, cloud, log)
        reports = [invocation.process(part) for part in parts]
    run = result.Run(trigger, reports, forced_dry_run=dry_run)
    document: dict[str, Any] = secrets.redacted(result.document(run, request_id))
    if invocation and run.outcome != "ignored":
        invocation.journal.record_result(document)
    log.info(
        "run.finished",
        Trigger=run.trigger,
        Outcome=run.outcome,
        Summary=run.summary,
        Errors=len(run.errors),
        DurationMs=round((clock.monotonic() - start) * 1000),
        ApiCalls=calls.count("ApiCalls"),
        Throttles=calls.count("Throttles"),
        ColdStart=instance.runs == 0,
    )
    instance.runs += 1
    if causes := run.unfinished:
        pending = run.summary["Pending"] + sum(error.transient for _, error in run.errors)
        message = (
            f"pending: {pending} of {len(run.images) + len(run.errors)} images and documents "
            f"({causes[0].code}: {causes[0].message}); a redelivery of the event retries them"
        )
        # SCF prints the message into the log, where the cloud's words must not begin a line.
        letters = (letter if letter.isprintable() else " " for letter in secrets.redacted(message))
        raise errors.Unfinished("".join(letters))
    return document


class Invocation:
    """Processes the parts of one event; `region` is the function's own."""

    def __init__(self, region: str, cloud: Cloud, log: Log) -> None:
        self.region, self.cloud, self.settings, self.log = region, cloud, cloud.settings, log
        self.retries = Retries(cloud.deadlines.start_by, cloud.instance.uniform)
        delivery = f"{int(self.retries.uniform() * 16**6):06x}"
        self.journal = Journal(self.settings, self.region, self.log, self._write, delivery)

    def process(self, part: Part) -> Report:
        """Take one part of the event through all stages; its errors do not affect the others."""
        source, content = part
        if isinstance(content, list) and is_journal(content, self.settings):
            content = errors.Ignored("the object is in the journal")
        started: dict[str, Any] = {**content[0].uploader} if isinstance(content, list) else {}
        if isinstance(content, errors.StewardError):
            return self._rejected(source, content, started)
        try:
            read = partial(registry.read, region=self.region, settings=self.settings)
            data, kinds = fetch(source, content, self.settings, self._read)
            document = read(data, kinds=kinds)
            if isinstance(document.request, CosObject):  # the document is a pointer
                source, started["Pointer"] = document.request.source, source
                data, there = fetch(source, [document.request], self.settings, self._read)
                document = read(data, kinds=[kind for kind in kinds if kind in there])
            if not document.kind.planner:
                raise errors.InvalidDocument(_NESTED_POINTER)
        except errors.StewardError as error:
            return self._rejected(source, error, started)
        self.log.info("run.started", Source=source, Kind=document.kind.name, **started)
        return self._process_request(source, document.request, document.kind.planner)

    def _rejected(self, source: str, error: errors.StewardError, started: dict[str, Any]) -> Report:
        """Log why there is no request, and report it unless it is to be ignored."""
        if isinstance(error, errors.Ignored):
            write = self.log.info if type(error) is errors.Ignored else self.log.warning
            write("event.ignored", Source=source, Reason=error.message, **started)
            return Report(source)
        self.log.info("run.started", Source=source, **started)
        return self._with_error(Report(source), source, error)

    def _process_request(self, source: str, request: Any, planner: Planner) -> Report:  # noqa: ANN401 - any request
        """Plan and execute a request, and the request that follows from it, if there is one."""
        request = request._replace(dry_run=self.settings.dry_run or request.dry_run)
        report = self._plan_and_execute(Report(source, dry_run=request.dry_run), request, planner)
        if planner.next_planner and (later := load(planner.next_request)(request, report.outcomes)):
            left = max(0, self.settings.max_changes - len(report.outcomes))
            later = later._replace(max_changes=min(later.max_changes, left))
            report = self._plan_and_execute(report, later, planner.next_planner)
        return report

    def _plan_and_execute(self, report: Report, request: Any, planner: Planner) -> Report:  # noqa: ANN401 - any request
        """Plan all regions, then change their images; a rejected plan changes nothing."""
        try:
            api = self.cloud.api
            new_names = load(planner.new_names) if planner.new_names else None
            call, deadline = self._call, self.retries.deadline
            recent = self.cloud.instance.recent_writes
            reader = ImageReader(call, run_parallel, deadline, self._log_wait, new_names, recent)
            images = planner.read_images(reader, request)
            plan = load(planner.plan)(request, images, self._now())
            most, dry_run = self.settings.max_changes, request.dry_run
            plan = limited(plan, most, "STEWARD_MAX_CHANGES", dry_run=dry_run)
            report = self._with_plan(report, plan)
            on_outcome = partial(self._log_outcome, report.source)
            if request.dry_run:
                outcomes = [Outcome.planned_for(step) for step in plan.all_steps]
                for outcome in outcomes:
                    on_outcome(outcome)
            else:
                self.journal.record(report.source, plan)
                executor = Executor(api, self.retries, run_parallel, on_outcome, recent)
                outcomes = executor.execute(plan)
        except errors.StewardError as error:
            return self._with_error(report, report.source, error)
        return report._replace(outcomes=(*report.outcomes, *outcomes))

    def _now(self) -> Now:
        moment, deadline = self.log.clock.time(), self.retries.deadline

        def now() -> float:
            if deadline.remaining() <= 0:
                raise errors.TimeRanOut("the run's time was over before all images were planned")
            return moment

        return now

    def _with_plan(self, report: Report, plan: Plan) -> Report:
        """Log the errors and warnings of a plan, and add them to the report."""
        for region, error in plan.errors.items():
            source = f"{report.source} {region}" if region else report.source
            report = self._with_error(report, source, error)
        omitted = [warning for step in plan.changes for warning in undo.omitted(step)]
        warnings = (*plan.warnings, *temporary_name_warnings(plan), *omitted)
        for warning in warnings:
            self.log.warning("document.warned", Source=report.source, **warning.log_fields)
        rules = report.rules + plan.rules
        return report._replace(warnings=report.warnings + warnings, rules=rules)

    def _with_error(self, report: Report, source: str, error: errors.StewardError) -> Report:
        """Log an error and add it to the report."""
        write = self.log.warning if error.transient else self.log.error
        write("document.rejected", Source=source, **error.log_fields)
        return report._replace(errors=(*report.errors, (source, error)))

    def _call(self, *args: Any) -> dict[str, Any]:  # noqa: ANN401 - passed on
        return self.retries(partial(self.cloud.api, *args))

    def _read(self, target: CosObject) -> bytes:
        return self.retries(partial(self.cloud.objects.read, target))

    def _write(self, target: CosObject, data: bytes) -> None:
        self.retries(partial(self.cloud.objects.write, target, data))

    def _log_wait(self, region: str, image: Image) -> None:
        state = image.state
        self.log.info("image.awaited", Region=region, ImageId=image.image_id, ImageState=state)

    def _log_outcome(self, source: str, outcome: Outcome) -> None:
        step, error = outcome.step, outcome.error
        getattr(self.log, _LOG_LEVELS.get(outcome.status, "info"))(
            f"image.{outcome.status}",
            Source=source,
            Region=step.region,
            ImageId=step.image_id,
            Before=outcome.before,
            After=outcome.after,
            ApiRequestId=outcome.request_ids,
            Attempts=outcome.attempts,
            DurationMs=round((outcome.ended - outcome.began) * 1000),
            **({"Reason": "; ".join(step.reasons)} if step.reasons else {}),
            **({"Code": error.code, "Message": error.message} if error else {}),
        )
