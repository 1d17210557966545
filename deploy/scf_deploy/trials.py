"""What only changes can show: an upload starts the function, and an image can be renamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from image_steward.settings import Settings
from scf_deploy.call import Call
from scf_deploy.check import FAIL, OPEN, Check
from scf_deploy.dry_runs import NAME, NO_IMAGE, judged, manifest, problems, request
from scf_deploy.live import LONGEST_WAIT, Live
from scf_deploy.trigger import Trigger

_SPECIAL = " +%41镜"
"""Characters that a key in an event may have as they are, or URL-encoded."""
_LONGEST_NAME = 60


def uploads(live: Live, settings: Settings, trigger: Trigger, token: str) -> Iterator[Check]:
    """Upload a dry run and a manifest that changes nothing; yield what the trigger makes of each.

    The objects are deleted in the end. `token` is in their keys, to tell them from earlier ones.
    """
    prefix, suffix = trigger.keys
    dry_run = request(NO_IMAGE, ImageDescription=NAME, DryRun=True)
    for kind, document in (("requests", dry_run), ("manifests", manifest(live.region))):
        key = f"{prefix}{NAME}-{token}-{kind}{_SPECIAL}{suffix}"
        what, where = f"upload of {kind}", {"Bucket": trigger.bucket, "Key": key}
        if kind not in settings.kinds_from(f"{trigger.bucket}/{key}"):
            yield Check(what, OPEN, f"not tried: STEWARD_SOURCES allows none in {prefix}")
            continue
        start = live.now()
        body = json.dumps(document).encode()
        live.api(Call("cos", "PutObject", {**where, "Body": body}, f"uploads {key}"))
        try:
            yield _seen(what, live, start, f"{token}-{kind}")
        finally:
            live.api(Call("cos", "DeleteObject", where, f"deletes {key}"))


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


def changes(live: Live, image_id: str, token: str, say: Callable[[str], object]) -> Iterator[Check]:
    """Rename an image and take that back, then bind and unbind a tag; yield what was seen.

    The name has 60 characters, of which most are Chinese: it is not documented that these count as
    one each.
    """
    name = f"{NAME}-{token}-".ljust(_LONGEST_NAME, "镜")
    size = f"{_LONGEST_NAME} characters, {len(name.encode())} bytes"
    tag = {"Tags": [{"Key": NAME, "Value": token}]}
    for what, new, seen in (
        ("renaming", {"ImageName": name}, f"to {size}; and back"),
        ("tagging", tag, "bound, and unbound"),
    ):
        runs = [live.call(request(image_id, **new, DryRun=True))]
        images = runs[0].result.get("Images") or [{"Status": "unchanged"}]
        if images[0]["Status"] == "planned":
            back = request(
                image_id, **({"DeleteTags": [NAME]} if new is tag else images[0]["Before"])
            )
            undo = json.dumps(back, ensure_ascii=False)
            say(f"{what.capitalize()} {image_id}, and back. If this stops, upload {undo}")
            try:
                runs.append(live.call(request(image_id, **new), f"changes {image_id}"))
            finally:
                runs.append(live.call(back, f"changes {image_id} back"))
        images = [each for run in runs for each in run.result.get("Images", ())]
        done = [each["Status"] for each in images]
        found = [pair for run in runs for pair in problems(run)]
        if done != ["planned", "changed", "changed"]:
            reasons = [*(": ".join(pair) for pair in found), *(x.get("Reason", "") for x in images)]
            found.append(("NotChanged", next(filter(None, reasons), "it is so already")))
        yield judged(f"{what} {image_id}", live, runs[-1].request_id, found, seen)
