"""Cron expressions of the emulated SCF: what is allowed, and when they are due."""

from __future__ import annotations

import math
import subprocess
import sys
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scf_local.cloud.scf import cron

BEIJING = timezone(timedelta(hours=8))
NOW = 1795748400.0
"""2026-11-27T03:00:00Z, a Friday; 11:00 in Beijing."""


def next_of(text: str, after: float = NOW) -> str:
    """Return when an expression is due next, in Beijing."""
    due = cron.next_after(cron.parse(text), after)
    return "never" if due == math.inf else datetime.fromtimestamp(due, BEIJING).isoformat(" ")[:19]


@pytest.mark.parametrize(
    ("text", "due"),
    [
        ("0 17 3 * * * *", "2026-11-28 03:17:00"),
        ("0 1 11 * * * *", "2026-11-27 11:01:00"),
        ("* * * * * * *", "2026-11-27 11:00:01"),
        ("0 0 11 * * * *", "2026-11-28 11:00:00"),  # strictly later
        ("17 3 * * *", "2026-11-28 03:17:00"),  # five fields
        (" 0  0 12\t* * * * ", "2026-11-27 12:00:00"),
        ("0 0 0 * * 0 *", "2026-11-29 00:00:00"),
        ("0 0 0 * * SUN *", "2026-11-29 00:00:00"),
        ("0 0 0 * * MON-WED *", "2026-11-30 00:00:00"),
        ("0 0 0 1 JAN * *", "2027-01-01 00:00:00"),
        ("0 0 0 1 FEB-DEC/2 * *", "2026-12-01 00:00:00"),
        ("30/20 * * * * * *", "2026-11-27 11:00:30"),
        ("0 0 0 13 * FRI *", "2026-12-04 00:00:00"),  # day or weekday
        ("0 0 0 1 * MON *", "2026-11-30 00:00:00"),
        ("0 0 0 */1 * */3 *", "2026-11-28 00:00:00"),
        ("0 0 0 */9 * 0-6 *", "2026-11-28 00:00:00"),
        ("0 0 0 31 2 MON *", "2027-02-01 00:00:00"),  # one of them is never
        ("0 0 0 1 12 MON 2026", "2026-12-01 00:00:00"),
        ("0 0 0 29 2 * *", "2028-02-29 00:00:00"),
        ("0 0 0 29 2 * 2096", "2096-02-29 00:00:00"),
        ("0 0 0 31 12 * 2099", "2099-12-31 00:00:00"),
        ("0 0 0 31 2 * *", "never"),
        ("0 0 0 * * * 2025", "never"),
    ],
)
def test_due(text: str, due: str) -> None:
    """An expression is due at the next time, in Beijing, that has all of its fields."""
    assert next_of(text) == due


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "* * * * * *",
        "* * * * * * * *",
        "@daily",
        "@daily * * * * * *",
        *(f"{each} * * * * * *" for each in ("60", "-1", "1-60", "5-5", "6-5", "*/0", "1.5", "٣")),
        *(
            f"{each} * * * * * *"
            for each in ("R", "H", "R(0-5)", "H/5", "?", "L", "1,,2", "*,5", "1-")
        ),
        *(f"0 0 {each} * * * *" for each in ("24", "MON", "22-2")),
        *(f"0 0 0 {each} * * *" for each in ("0", "32", "L", "15W", "?", "JAN")),
        *(f"0 0 0 1 {each} * *" for each in ("0", "13", "MON", "DEC-JAN", "jan")),
        *(
            f"0 0 0 * * {each} *"
            for each in ("7", "0-7", "JAN", "SAT-SUN", "MON#1", "L5", "?", "mon")
        ),
        *(f"0 0 0 * * * {each}" for each in ("1969", "2100", "26")),
    ],
)
def test_refused(text: str) -> None:
    """What SCF does not document, or is not emulated, is refused with what is allowed."""
    with pytest.raises(ValueError, match="must be a cron expression with the seven fields"):
        cron.parse(text)


def field(low: int, high: int, *names: str) -> st.SearchStrategy[tuple[str, set[int]]]:
    """Return fields with the numbers that they mean."""
    number = st.integers(low, high)
    steps = st.integers(1, high - low)
    bounds = st.tuples(number, number).filter(lambda pair: pair[0] < pair[1])

    def text(value: int) -> str:
        return names[value - low] if names and value % 2 else str(value)

    item = st.one_of(
        number.map(lambda n: (text(n), {n})),
        bounds.map(lambda b: (f"{text(b[0])}-{text(b[1])}", set(range(b[0], b[1] + 1)))),
        steps.map(lambda n: (f"*/{n}", set(range(low, high + 1, n)))),
        st.tuples(number, steps).map(
            lambda p: (f"{text(p[0])}/{p[1]}", set(range(p[0], high + 1, p[1])))
        ),
        st.tuples(bounds, steps).map(
            lambda p: (f"{p[0][0]}-{p[0][1]}/{p[1]}", set(range(p[0][0], p[0][1] + 1, p[1])))
        ),
    )
    items = st.lists(item, min_size=1, max_size=2).map(
        lambda some: (",".join(each for each, _ in some), set().union(*(mean for _, mean in some)))
    )
    return st.just(("*", set(range(low, high + 1)))) | items


WEEKDAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
FIELDS = st.tuples(
    *(field(0, 59), field(0, 59), field(0, 23), field(1, 31), field(1, 12, *MONTHS)),
    field(0, 6, *WEEKDAYS),
    st.sampled_from(
        [("*", set(range(1970, 2100))), ("2027", {2027}), ("2026-2029/3", {2026, 2029})]
    ),
)


def first_match(fields: tuple[tuple[str, set[int]], ...], after: float) -> float:
    """Return the first second that matches, of all seconds of days that match."""
    seconds, minutes, hours, days, months, weekdays, years = (values for _, values in fields)
    is_either = "*" not in {fields[3][0], fields[5][0]}
    when = datetime.fromtimestamp(math.floor(after), BEIJING) + timedelta(seconds=1)
    while when.year < 2060:
        day = (when.day in days, when.isoweekday() % 7 in weekdays)
        is_day = any(day) if is_either else all(day)
        if not (is_day and when.month in months and when.year in years):
            when = when.replace(hour=0, minute=0, second=0) + timedelta(days=1)
        elif when.hour in hours and when.minute in minutes and when.second in seconds:
            return when.timestamp()
        else:
            when += timedelta(seconds=1)
    return math.inf


@settings(max_examples=60)
@given(FIELDS, st.floats(0, 3 * 366 * 86400))
def test_next_is_first_match(fields: tuple[tuple[str, set[int]], ...], later: float) -> None:
    """The next time is the first second after the given one that the fields match."""
    text = " ".join(each for each, _ in fields)
    assert cron.next_after(cron.parse(text), NOW + later) == first_match(fields, NOW + later)


def test_croniter_is_loaded_for_timers_only() -> None:
    """A cloud without timers starts without croniter, which takes long to import."""
    code = "import sys, scf_local.cloud.server; sys.exit('croniter' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603 - ours
