"""One event from beginning to end: the only place where everything meets."""

from __future__ import annotations

import itertools
import random
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any, TextIO

from image_steward import regions, results, triggers
from image_steward.clock import Clock, RunTime, SystemClock
from image_steward.errors import Rejection, Unfinished
from image_steward.logs import Log
from image_steward.retries import Retries
from image_steward.settings import Settings
from image_steward.steward import Clouds, Steward

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAX_REQUEST_ID = 64
_CLOCK = SystemClock()
_RUNS = itertools.count()  # of this instance: the first one is a cold start


def handle(  # noqa: PLR0913 - what SCF hands in, and the three things tests replace
    event: object,
    context: object,
    environ: Mapping[str, str],
    *,
    clock: Clock = _CLOCK,
    stream: TextIO | None = None,
    uniform: Callable[[], float] = random.random,
) -> dict[str, Any]:
    """Do what an event asks for, log it to `stream` (stdout), and return the result document.

    `context` is SCF's dict (document/product/583/11061); every key of it may be absent.
    `uniform` gives random numbers from 0 to 1, for the waits between tries.

    Raises:
        Unfinished: after everything else was done, something is left that time can heal.
    """
    start = clock.monotonic()
    known: dict[str, Any] = context if isinstance(context, dict) else {}
    request_id = str(known.get("request_id", ""))[:MAX_REQUEST_ID]
    secrets = (environ.get(f"TENCENTCLOUD_{name}", "") for name in ("SECRETKEY", "SESSIONTOKEN"))
    time = RunTime.of(known.get("time_limit_in_ms"), clock)
    log = Log(stream or sys.stdout, clock, request_id, secrets=tuple(secrets))
    run = results.Run()
    tally: Counter[str] = Counter()
    try:
        settings = Settings.from_environ(environ)
        log.level, run.is_dry = settings.log_level, settings.dry_run
        region = _own_region(known, environ)
        trigger = triggers.read(event, region=region)
    except Rejection as error:
        run.errors.append(("event", error))
        log.error("event.refused", **error.log_fields)
    else:
        run.trigger = trigger.kind
        clouds = Clouds(settings, environ, time, tally)
        retries = Retries(time.start_by, uniform)
        steward = Steward(settings, clouds, region, retries, log, run)
        for part in trigger.parts:
            steward.take(part)
    log.info(
        "run.finished",
        Trigger=run.trigger,
        Outcome=run.outcome,
        Summary=run.summary,
        Errors=len(run.errors),
        DurationMs=round((clock.monotonic() - start) * 1000),
        ApiCalls=tally["calls"],
        Throttles=tally["throttles"],
        ColdStart=next(_RUNS) == 0,
    )
    if run.unfinished:
        raise Unfinished(
            f"{run.unfinished} of {len(run.outcomes) + len(run.errors)} images and documents are "
            f"left ({run.first_trouble}); delivering the event again does only these"
        )
    return results.document(run, request_id)


def _own_region(context: Mapping[str, Any], environ: Mapping[str, str]) -> str:
    named = context.get("tencentcloud_region") or environ.get("TENCENTCLOUD_REGION")
    return str(named) if regions.is_region(named) else ""
