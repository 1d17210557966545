"""Cron expressions of timers, and when they are due (document/product/583/9708)."""

from __future__ import annotations

import math
import re
from datetime import datetime

from image_steward.messages import shown
from scf_local.cloud.scf.model import BEIJING

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
_NUMBERS = {name: str(n) for names in (_WEEKDAYS, ("", *_MONTHS)) for n, name in enumerate(names)}
_YEARS = 130  # 1970 to 2099


def _field(value: str) -> str:
    step = "/[1-9][0-9]{0,3}"
    item = rf"(\*{step}|({value})(-({value}))?({step})?)"
    return rf"(\*|{item}(,{item})*)"


_NUMBER = _field("[0-9]{1,4}")
_MONTH, _WEEKDAY = (
    _field("|".join(values)) for values in (("[0-9]{1,2}", *_MONTHS), ("[0-6]", *_WEEKDAYS))
)
_CRON = re.compile(" ".join((*[_NUMBER] * 4, _MONTH, _WEEKDAY, _NUMBER)))


def parse(text: str) -> str:
    """Return an expression as `next_after` takes it: with seven fields, all of them numbers.

    With five fields, the second is 0 and the year is any (assumed; the form is a former one).
    `?`, `L`, `W` and `#` are not emulated.

    Raises:
        ValueError: says what is allowed.
    """
    from croniter import croniter  # noqa: PLC0415 - takes 80 ms, and few clouds have a timer

    fields = text.split()
    fields = ["0", *fields, "*"] if len(fields) == 5 else fields  # noqa: PLR2004 - see above
    if _CRON.fullmatch(" ".join(fields)):
        # Else croniter would not take all of these as set beside a field that allows everything.
        for index, whole in ((3, "1-31"), (5, "0-6")):
            fields[index] = fields[index].replace("*/", f"{whole}/")
        cron = re.sub("[A-Z]+", lambda name: _NUMBERS[name[0]], " ".join(fields))
        # assumed: ranges must ascend; croniter would start again at the end of the field
        is_ascending = all(int(a) < int(b) for a, b in re.findall("([0-9]+)-([0-9]+)", cron))
        if is_ascending and croniter.is_valid(cron, second_at_beginning=True):
            return cron
    raise ValueError(
        f"is {shown(text)}; must be a cron expression with the seven fields second minute hour day "
        "month weekday year, each of them *, numbers or names such as MON or JAN, with , - and / "
        "(weekdays are 0 to 6 from Sunday, years 1970 to 2099; not emulated are ? L W #)"
    )


def next_after(cron: str, after: float) -> float:
    """Return the first time after another one, in epoch seconds; infinity if there is none.

    If day and weekday are both set, one of them must match (583/9708); assumed: all but * is set.
    """
    from croniter import CroniterBadDateError, croniter  # noqa: PLC0415 - as above

    begin = datetime.fromtimestamp(math.floor(after), BEIJING)
    times = croniter(cron, begin, second_at_beginning=True, max_years_between_matches=_YEARS)
    try:
        return float(times.get_next(float))
    except CroniterBadDateError:
        return math.inf
