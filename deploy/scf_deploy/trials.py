"""What only changes can show: an upload starts the function, and an image can be renamed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from image_steward.settings import Settings
from scf_deploy.call import Call
from scf_deploy.check import FAIL, OPEN, Check
from scf_deploy.dry_runs import (
    NAME,
    NO_SUCH_IMAGE,
    about,
    event_of,
    judged,
    no_manifest,
    no_request,
    not_allowed,
    problems,
)
from scf_deploy.errors import DeployError
from scf_deploy.live import LONGEST_WAIT, Live, Run
from scf_deploy.trigger import Trigger
from scf_local.terminal_text import printable

_SPECIAL = " +%41镜"
"""Characters that a key in an event may have as they are, or URL-encoded."""
_LONGEST_NAME = 60
_DELAYS_BACK = (0, 15)
"""Seconds before a change is taken back, and again: a run without a reply may still go on.

`Expect` makes each run wait for that, too, for 5 s.
"""


@dataclass(frozen=True)
class Trials:
    """What may be changed for a check: whether to upload, and the image to rename, if any.

    `token` is part of what is made, to tell it from what other checks make; `say` tells the user
    what is being done.
    """

    write: bool
    image: str
    token: str
    say: Callable[[str], object]


def uploads(live: Live, settings: Settings, trigger: Trigger, may: Trials) -> Iterator[Check]:
    """Upload a dry run and a manifest that changes nothing; yield what the trigger makes of each.

    The objects are deleted in the end. A token is in their keys, to tell them from earlier ones.
    """
    prefix, suffix = trigger.keys
    documents = {"requests": no_request(live, settings), "manifests": no_manifest(live, settings)}
    for kind, document in documents.items():
        key = f"{prefix}{NAME}-{may.token}-{kind}{_SPECIAL}{suffix}"
        what, where = f"upload of {kind}", {"Bucket": trigger.bucket, "Key": key}
        if kind not in settings.kinds_from(f"{trigger.bucket}/{key}"):
            place = f"{trigger.bucket}/{prefix}"
            yield Check(what, OPEN, f"not tried: STEWARD_SOURCES allows none in {place}")
            continue
        may.say(f"Uploading {key} to {trigger.bucket}. If this stops, delete it")
        start = live.now()
        body = json.dumps(document).encode()
        try:
            live.api(Call("cos", "PutObject", {**where, "Body": body}, f"uploads {key}"))
            found = _seen(what, live, start, f"{may.token}-{kind}")
        finally:  # even if the reply to the upload is lost; again if the reply to this one is
            live.api(Call("cos", "DeleteObject", where))
        yield found


def _seen(what: str, live: Live, start: float, token: str) -> Check:
    def of_runs(lines: list[dict[str, Any]]) -> list[dict[str, Any]]:
        ids = {line["RequestId"] for line in lines if token in line.get("Source", "")}
        return [line for line in lines if line.get("RequestId") in ids]

    def is_over(lines: list[dict[str, Any]]) -> bool:
        return any(line.get("Event") == "run.finished" for line in of_runs(lines))

    lines, seconds = live.awaited(start, "", is_over)
    found = [(x["Code"], x["Message"]) for x in of_runs(lines) if "Code" in x]
    if not is_over(lines):
        found.append(("NotFinished", f"it is not over {LONGEST_WAIT} s after the upload"))
    started = [line for line in of_runs(lines) if line.get("Event") == "run.started"]
    if not started:
        advice = "the trigger is not bound, or its log is late: look in the console, under Triggers"
        return Check(what, FAIL, f"no run in its log after {LONGEST_WAIT} s", advice)
    how = "as it is" if quote(_SPECIAL) not in started[0]["Source"] else "URL-encoded"
    times = "one run" if len(started) == 1 else f"{len(started)} runs"
    seen = f"{times}, in the log after {seconds:.0f} s; the event has the key {how}"
    return judged(what, live, started[0]["RequestId"], found, seen, NO_SUCH_IMAGE)


def changes(live: Live, settings: Settings, may: Trials) -> Iterator[Check]:
    """Rename an image and take that back, then bind and unbind a tag; yield what was seen.

    The name has 60 characters, of which most are Chinese: it is not documented that these count as
    one each.
    """
    image = about(may.image, live, settings)
    if settings.dry_run:
        reason = "not tried: STEWARD_DRY_RUN lets nothing be changed"
        yield Check(f"changing {may.image}", OPEN, reason)
        return
    if event_of(image, "requests", settings) is None:
        yield not_allowed(f"changing {may.image}", "requests")
        return
    trial = _Trial(live, settings, image, may.say)
    name = f"{NAME}-{may.token}-".ljust(_LONGEST_NAME, "镜")
    size = f"{_LONGEST_NAME} characters, {len(name.encode())} bytes"
    yield from trial.checks(f"renaming {may.image}", {"ImageName": name}, f"to {size}")
    tags = [{"Key": NAME, "Value": may.token}]
    yield from trial.checks(f"tagging {may.image}", {"Tags": tags}, "bound")


@dataclass(frozen=True)
class _Trial:
    live: Live
    settings: Settings
    image: Mapping[str, str]
    say: Callable[[str], object]

    def checks(self, what: str, new: Mapping[str, object], seen: str) -> Iterator[Check]:
        """Change the image and take that back, unless its old value is one that cannot come back.

        A document may not have it, or another check has set it, and is going to take it back.
        """
        dry = self._call({**new, "DryRun": True}, "makes a dry run")
        found = [*problems(dry)]
        if found and found[0][0] != "NotAllowed":
            yield judged(what, self.live, dry.request_id, found, seen)
            return
        forth: Mapping[str, Any] = next(iter(dry.result.get("Apply", {}).get("Images", ())), {})
        old = {} if "Warnings" in dry.result else forth.get("Expect", {})
        if not old or NAME in str({**old, "DeleteTags": ()}):
            why = "it is not ready, has the value of another check, or one that no document may set"
            reason = printable(f"not tried: {found[0][1] if found else why}", 400)
            advice = "name another image, unless a setting forbids it for all"
            yield Check(what, OPEN, reason, advice)
            return
        back = {**self.image, **old, "Expect": new}
        undo = json.dumps(back, ensure_ascii=False)
        self.say(f"Now {what}, and back. If this stops, upload {undo}")
        there, here = self._there_and_back(what, forth, back)
        failed = next((run for run in (there, here) if [*problems(run)]), here)
        found = [*problems(failed)]
        if not found and not _is_changed(there):
            found = [("NotChanged", "the run says that it has changed nothing")]
        yield judged(what, self.live, failed.request_id, found, f"{seen}; and back")
        if here is not there and not _is_back(there, here):
            yield Check(f"{what} back", FAIL, "it is not known to be done", f"upload {undo}")

    def _there_and_back(
        self, what: str, forth: Mapping[str, object], back: Mapping[str, object]
    ) -> tuple[Run, Run]:
        there = Run("", {}, "stopped", (), 0)
        try:
            there = self._call(forth, f"is {what}")
        finally:
            here = there
            for delay in _DELAYS_BACK if _is_changed(there) or not there.result else ():
                self.live.sleep(delay)
                here = self._call(back)
                if _is_back(there, here):
                    break
        return there, here

    def _call(self, members: Mapping[str, object], says: str = "") -> Run:
        event = event_of({**self.image, **members}, "requests", self.settings) or {}
        try:
            return self.live.call(event, says)
        except DeployError as error:
            return Run("", {}, str(error), (), 0)


def _is_back(there: Run, here: Run) -> bool:
    return _is_changed(here) or bool(there.result and not [*problems(here)])


def _is_changed(run: Run) -> bool:
    return [each["Status"] for each in run.result.get("Images", ())] == ["changed"]
