"""Whether timers fire, and in which zone's time, as the log of a function tells."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from scf_deploy.check import OK, OPEN, Check
from scf_deploy.live import LONGEST_WAIT, Live
from scf_deploy.trigger import Trigger
from scf_local.cloud.scf import cron

_ZONES = {"Beijing time": 0, "UTC": 8 * 3600}
"""Of cron expressions, with how much later a time of day is there, in seconds."""
_DAY = 86_400


def timers(live: Live, triggers: Iterable[Trigger]) -> Iterator[Check]:
    """Yield whether each timer has fired in the last day, and in which zone's time."""
    for timer in (each for each in triggers if each.kind == "timer" and each.is_enabled):
        rule, since = cron.parse(timer.rule), live.now() - LONGEST_WAIT
        due = cron.next_after(rule, since - _DAY)
        zones = _ZONES if due < live.now() else {}  # else it is due on other days only
        if (period := cron.next_after(rule, due) - due) < _DAY:  # which tells no zone
            zones, due = {"": 0}, cron.next_after(rule, since - period)
        fired = [z for z, later in zones.items() if _has_fired(live, timer, due + later)]
        zone = f" in {fired[0]}" if fired and fired[0] else ""
        seen = f"fired{zone}" if fired else "its log has no run of the last day"
        advice = "check again after it has been due"
        yield Check(f"timer {timer.name}", OK if fired else OPEN, seen, advice)


def _has_fired(live: Live, timer: Trigger, due: float) -> bool:
    due -= _DAY * (due > live.now())
    lines = live.lines(due - 1, due + LONGEST_WAIT)
    named = f"timer:{timer.name}"
    return any(named in {line.get("Source"), line.get("Pointer")} for line in lines)
