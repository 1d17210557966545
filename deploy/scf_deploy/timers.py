"""Whether timers fire, and in which zone's time, as the log of a function tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from scf_deploy.check import FAIL, OK, OPEN, Check
from scf_deploy.live import LONGEST_WAIT, Live
from scf_deploy.trigger import Trigger
from scf_local.cloud.scf import cron
from scf_local.terminal_text import printable

_ZONES = {"Beijing time": 0, "UTC": 8 * 3600}
"""Of cron expressions, with how much later a time of day is there, in seconds."""
_DAY = 86_400


def timers(live: Live, triggers: Iterable[Trigger]) -> Iterator[Check]:
    """Yield whether each timer has fired in the last day, in which zone's time, and how it went."""
    for timer in (each for each in triggers if each.kind == "timer" and each.is_enabled):
        rule, since = cron.parse(timer.rule), live.now() - LONGEST_WAIT
        due = cron.next_after(rule, since - _DAY)
        zones = _ZONES if due < live.now() else {}  # else it is due on other days only
        if (period := cron.next_after(rule, due) - due) < _DAY:  # which tells no zone
            zones, due = {"": 0}, cron.next_after(rule, since - period)
        runs = ((zone, _run_of(live, timer, due + later)) for zone, later in zones.items())
        zone, lines = next((each for each in runs if each[1]), ("", []))
        what, seen = f"timer {timer.name}", f"fired{zone and f' in {zone}'}"
        if problems := [line for line in lines if "Code" in line]:
            problem = printable("; {Code}: {Message}".format(**problems[0]), 400)
            advice = "upload the document that it names, or correct it"
            yield Check(what, FAIL, f"{seen}{problem}", advice)
        elif lines:
            yield Check(what, OK, seen)
        else:
            advice = "check again after it has been due"
            yield Check(what, OPEN, "its log has no run of the last day", advice)


def _run_of(live: Live, timer: Trigger, due: float) -> list[dict[str, Any]]:
    """Return the lines of the run for which a timer was due, or the day before."""
    due -= _DAY * (due > live.now())
    lines, named = live.lines(due - 1, due + LONGEST_WAIT), f"timer:{timer.name}"
    ids = {x["RequestId"] for x in lines if named in {x.get("Source"), x.get("Pointer")}}
    return [line for line in lines if line.get("RequestId") in ids]
