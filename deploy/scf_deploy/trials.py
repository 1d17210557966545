"""What only changes can show: an upload starts the function, and an image can be renamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from image_steward.settings import Settings
from scf_deploy.call import Call
from scf_deploy.check import FAIL, OPEN, Check
from scf_deploy.dry_runs import (
    NAME,
    about,
    event_of,
    judged,
    no_manifest,
    no_request,
    not_allowed,
    problems,
)
from scf_deploy.live import LONGEST_WAIT, Live, Run
from scf_deploy.trigger import Trigger

_SPECIAL = " +%41镜"
"""Characters that a key in an event may have as they are, or URL-encoded."""
_LONGEST_NAME = 60


def uploads(live: Live, settings: Settings, trigger: Trigger, token: str) -> Iterator[Check]:
    """Upload a dry run and a manifest that changes nothing; yield what the trigger makes of each.

    The objects are deleted in the end. `token` is in their keys, to tell them from earlier ones.
    """
    prefix, suffix = trigger.keys
    documents = {"requests": no_request(live, settings), "manifests": no_manifest(live)}
    for kind, document in documents.items():
        key = f"{prefix}{NAME}-{token}-{kind}{_SPECIAL}{suffix}"
        what, where = f"upload of {kind}", {"Bucket": trigger.bucket, "Key": key}
        if kind not in settings.kinds_from(f"{trigger.bucket}/{key}"):
            yield Check(what, OPEN, f"not tried: STEWARD_SOURCES allows none in {prefix}")
            continue
        start = live.now()
        body = json.dumps(document).encode()
        live.api(Call("cos", "PutObject", {**where, "Body": body}, f"uploads {key}"))
        try:
            found = _seen(what, live, start, f"{token}-{kind}")
        finally:
            live.api(Call("cos", "DeleteObject", where, f"deletes {key}"))
        yield found


def _seen(what: str, live: Live, start: float, token: str) -> Check:
    def of_runs(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = {line["RequestId"] for line in lines if token in line.get("Source", "")}
        return [line for line in lines if line.get("RequestId") in ids]

    def is_over(lines: list[dict[str, Any]]) -> bool:
        return any(line["Event"] == "run.finished" for line in of_runs(lines))

    lines, seconds = live.awaited(start, "", is_over)
    lines = of_runs(lines)
    started = [line for line in lines if line["Event"] == "run.started"]
    if not started:
        advice = "the trigger is not bound, or its log is late: look in the console, under Triggers"
        return Check(what, FAIL, f"no run in its log after {LONGEST_WAIT} s", advice)
    how = "as it is" if quote(_SPECIAL) not in started[0]["Source"] else "URL-encoded"
    times = "one run" if len(started) == 1 else f"{len(started)} runs"
    found = [(line["Code"], line["Message"]) for line in lines if "Code" in line]
    seen = f"{times}, in the log after {seconds:.0f} s; the event has the key {how}"
    return judged(what, live, started[0]["RequestId"], found, seen)


def changes(
    live: Live, settings: Settings, image_id: str, token: str, say: Callable[[str], object]
) -> Iterator[Check]:
    """Rename an image and take that back, then bind and unbind a tag; yield what was seen.

    The name has 60 characters, of which most are Chinese: it is not documented that these count as
    one each.
    """

    def call(says: str, **members: object) -> Run:
        return live.call(event_of({**image, **members}, "requests", settings) or {}, says)

    image = about(image_id, live, settings)
    if event_of(image, "requests", settings) is None:
        yield not_allowed(f"changing {image_id}", "requests")
        return
    name = f"{NAME}-{token}-".ljust(_LONGEST_NAME, "镜")
    size = f"{_LONGEST_NAME} characters, {len(name.encode())} bytes"
    rename, tag = {"ImageName": name}, {"Tags": [{"Key": NAME, "Value": token}]}
    for what, new, seen in (("renaming", rename, f"to {size}"), ("tagging", tag, "bound")):
        runs = [call("makes a dry run", **new, DryRun=True)]
        planned = [each for each in runs[0].result.get("Images", ()) if each["Status"] == "planned"]
        if planned:
            old = {"DeleteTags": [NAME]} if new is tag else planned[0]["Before"]
            undo = json.dumps({**image, **old}, ensure_ascii=False)
            say(f"{what.capitalize()} {image_id}, and back. If this stops, upload {undo}")
            try:
                runs.append(call(f"is {what} {image_id}", **new))
            finally:
                runs.append(call(f"takes {what} {image_id} back", **old))
        images = [each for run in runs for each in run.result.get("Images", ())]
        states = [each["Status"] for each in images]
        found = [pair for run in runs for pair in problems(run)]
        if states != ["planned", "changed", "changed"]:
            reasons = [": ".join(pair) for pair in found]
            reasons += [each["Reason"] for each in images if "Reason" in each]
            found.append(("NotChanged", "; ".join(reasons) or f"it is {', '.join(states)}"))
        yield judged(f"{what} {image_id}", live, runs[-1].request_id, found, f"{seen}; and back")
