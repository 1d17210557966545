"""Dry runs of Image Steward: what they say of its role's rights, settings and journal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from image_steward.settings import Settings
from scf_deploy.check import FAIL, OK, OPEN, Check, state_of
from scf_deploy.live import Live, Run
from scf_local.terminal_text import printable

NAME = "scf-deploy-check"
"""Of what is asked for and does not exist, and of all that is made."""
NO_IMAGE = "img-00000000"
NO_SUCH_IMAGE, _NO_OBJECT = "InvalidImageId.NotFound", "ObjectNotFound"
"""Codes that say: it would be read, if it existed."""
_ADVICE = {
    r"UnauthorizedOperation.*|AuthFailure\.Unauth.*|AccessDenied": "the run role lacks this right: "
    "scf-deploy apply gives it that of the policy beside the file; if it has that, add it there",
    r"AuthFailure\.SignatureExpire|RequestTimeTooSkewed": "the function's clock is wrong",
    r"NotFinished": "read its log in the console: it takes longer, or was stopped",
    r"InvalidSetting|NotAllowed|SourceNotAllowed": "correct role or environment in the file, or "
    "apply it, if the function is not as in the file",
    r"ObjectNotFound": "name a bucket of the function's region in the environment, and apply",
    r"InvalidImageId\.NotFound": "give the id of one of your own images there",
}
LEVELS_OF_RUNS = ("DEBUG", "INFO")
"""The log levels at which the log tells of runs and of the journal."""
_MOST_S = 60
"""By which clocks may differ: signatures are refused after some 300 s."""


def about(image_id: str, live: Live, settings: Settings) -> dict[str, str]:
    """Return the members of a change request that name an image, in a region that is allowed."""
    regions = settings.regions or (live.region,)
    return {"Region": live.region if live.region in regions else regions[0], "ImageId": image_id}


def no_request(live: Live, settings: Settings) -> dict[str, Any]:
    """Return a dry run for an image that does not exist."""
    return {**about(NO_IMAGE, live, settings), "ImageDescription": NAME, "DryRun": True}


def no_manifest(live: Live, settings: Settings) -> dict[str, Any]:
    """Return a Packer manifest, which is never a dry run, for an image that does not exist."""
    values, region = {"ImageDescription": NAME}, about(NO_IMAGE, live, settings)["Region"]
    build = {"builder_type": "tencentcloud-cvm", "packer_run_uuid": NAME, "custom_data": values}
    builds = [{**build, "artifact_id": f"{region}:{NO_IMAGE}"}]
    return {"builds": builds, "last_run_uuid": NAME}


def dry_runs(
    live: Live, settings: Settings, prefixes: Sequence[str], token: str
) -> Iterator[Check]:
    """Make a dry run with each kind of document, and yield what each says, then what all say.

    `prefixes` are those that documents come from: `<bucket>/<prefix>`. Nobody knows the `token`
    before, so nobody has uploaded what is read from there, and would then be carried out.
    """
    regions = {"Regions": list(settings.regions)} if settings.regions else {}
    policy = {"Normalise": {**regions, "ImageName": "{ImageName}"}, "DryRun": True}
    documents = [
        ("dry run of requests", "requests", no_request(live, settings), NO_SUCH_IMAGE),
        ("dry run of policies", "policies", policy, ""),
        *(
            (f"reading {each}", "", {"Document": f"cos://{each}{NAME}-{token}.json"}, _NO_OBJECT)
            for each in prefixes
        ),
    ]
    start, runs = live.now(), []
    for what, kind, document, absent in documents:
        event = event_of(document, kind, settings)
        if event is None:
            yield not_allowed(what, kind)
            continue
        runs.append(run := live.call(event, "makes a dry run"))
        seen = "it may read; what it asked for does not exist"
        if not absent and not [*problems(run)]:
            seen = f"images read: {sum(run.result['Summary'].values()):,}"
        yield judged(what, live, run.request_id, problems(run), seen, absent)
        if run.error:  # the others would say the same
            return
    if runs:
        yield _journal(runs, settings)
        if live.topic:
            yield _log(live, start, runs[0].request_id)
        if ends := [line for run in runs if (line := run.line("run.finished"))]:
            yield _pace(ends)
        ahead = max((run.ahead for run in runs), key=abs)
        advice = "set this machine's clock; SCF's own can hardly be wrong"
        seen = f"the function's is {ahead:+.1f} s from this machine's"
        yield Check("clock", state_of(abs(ahead) <= _MOST_S), seen, advice)


def problems(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the codes and messages of a run."""
    if run.error or not run.result:
        yield "Raised", run.error or "the function returned no result document"
        return
    for each in (*run.result["Errors"], *run.result["Images"]):
        if "Code" in each:
            yield each["Code"], each["Message"]


def judged(  # noqa: PLR0913, PLR0917 - what there is to judge
    what: str,
    live: Live,
    request_id: str,
    found: Iterable[tuple[str, str]],
    seen: str,
    absent: str = "",
) -> Check:
    """Return what was seen, or the first problem other than the code `absent`, which must be."""
    none = [("Unexpected", f"it does not say {absent}")] if absent else []
    for code, message in [*found] or none:
        if code != absent or "NoSuchBucket" in message:
            advice = next((text for key, text in _ADVICE.items() if re.fullmatch(key, code)), "")
            log = f"--function {live.named['FunctionName']} --request-id {request_id}"
            log = f"read its log: scf-local logs {log}" if request_id else "check again"
            shown = printable(" ".join(f"{code}: {message}".split()), 400)
            return Check(what, FAIL, shown, advice or log)
    return Check(what, OK, seen)


def not_allowed(what: str, kind: str) -> Check:
    """Return that no call may hold a kind of document."""
    return Check(what, OPEN, f"not tried: STEWARD_SOURCES lets only uploads have {kind or 'that'}")


def event_of(document: dict[str, Any], kind: str, settings: Settings) -> dict[str, Any] | None:
    """Return the event that may hold a kind of document, if any; a pointer may be in each."""
    for source in ("direct", "timer"):
        kinds = settings.kinds_from(source)
        if kind in kinds or (kinds and not kind):
            timer = {"Type": "Timer", "TriggerName": NAME, "Message": json.dumps(document)}
            return document if source == "direct" else timer
    return None


def _journal(runs: Sequence[Run], settings: Settings) -> Check:
    failed = [line["Message"] for run in runs if (line := run.line("journal.failed"))]
    is_told = settings.log_level in LEVELS_OF_RUNS and any(run.lines for run in runs)
    if not failed and not (settings.journal and is_told):
        advice = "set STEWARD_JOURNAL, so that what undoes a run outlives its log"
        return Check("journal", OPEN, "not set, or not in the log", advice)
    written = [line["Journal"] for run in runs if (line := run.line("journal.written"))]
    place = written[-1].rpartition("/")[0] if written else ""
    seen = failed[0] if failed else f"has {len(written)} results of these dry runs, in {place}/"
    advice = "nothing is changed until it can be written: scf-deploy apply gives the role the right"
    return Check("journal", state_of(not failed and bool(written)), printable(seen, 400), advice)


def _log(live: Live, start: float, request_id: str) -> Check:
    lines, seconds = live.awaited(start, request_id, bool)
    seen = f"{len(lines)} lines of a run, after {seconds:.0f} s"
    advice = "log delivery is off, or late: look in the console under Log query, and check again"
    return Check("log", state_of(bool(lines)), seen, advice)


def _pace(ends: Sequence[dict[str, Any]]) -> Check:
    calls, throttles = (
        sum(each.get(name, 0) for each in ends) for name in ("ApiCalls", "Throttles")
    )
    times = ", ".join(
        f"{each.get('DurationMs')}{' (cold)' * each.get('ColdStart', 0)}" for each in ends
    )
    seen = f"{times} ms for a run; {calls} calls of the API, {throttles} throttled"
    advice = "something else uses up the account's rate limit"
    return Check("pace", state_of(not throttles), seen, advice)
