"""Patterns: the inverse of templates, and globs that ignore case."""

from __future__ import annotations

import re
import signal
import unicodedata
from calendar import monthrange
from datetime import datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

import hostile
from image_steward.naming.patterns import Glob, Pattern
from image_steward.naming.templates import DIRECTIVES, MAX_FIELDS, MAX_LENGTH, Fields, Template

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

CHINA = 8 * 3600


@pytest.fixture
def ten_seconds() -> Iterator[None]:
    """Fail the test after ten seconds, so that an endless search ends."""

    def give_up(_signal: int, _frame: FrameType | None) -> None:
        raise TimeoutError("ten seconds are over")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(10)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def read(pattern: str, text: str, utc_offset: int = 0) -> dict[str, str] | None:
    """The fields of a text, after NFKC."""
    return Pattern.parse(pattern, utc_offset).match(unicodedata.normalize("NFKC", text))


# --- Globs ---


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("build-*", ["build-", "build-7", "build-7\n8"], ["build", "a-build-7", "Build-7"]),
        ("*", ["", "a", "\n", "镜像"], []),
        ("**", ["", "a"], []),
        ("?", ["a", "镜", "\n", "?", "*", "😀"], ["", "ab"]),
        ("?*", ["a", "ab"], [""]),
        ("web-??", ["web-01"], ["web-1", "web-001"]),
        ("*-web-*", ["-web-", "a-web-b", "web-web-web"], ["web", "a-web"]),
        ("web", ["web"], ["web2", "aweb", "web\n", "WEB", ""]),
        ("[web]", ["[web]"], ["w", "e", "[w]"]),
        ("[!a]", ["[!a]"], ["b"]),
        ("[a-z]*", ["[a-z]", "[a-z]x"], ["a", "ax"]),
        ("[[]", ["[[]"], ["["]),
        ("[", ["["], [""]),
        ("]", ["]"], [""]),
        ("a.c", ["a.c"], ["abc"]),
        ("a+(b|c){2}^$", ["a+(b|c){2}^$"], ["aab", ""]),
        ("\\*", ["\\", "\\x"], ["*"]),
        ("\\d", ["\\d"], ["7"]),
        ("{a,b}", ["{a,b}"], ["a"]),
    ],
)  # fmt: skip
def test_glob(pattern: str, matching: list[str], other: list[str]) -> None:
    """Stars and question marks are wildcards, and everything else is literal."""
    glob = Glob(pattern)
    assert [text for text in [*matching, *other] if glob.matches(text)] == matching


def matches(pattern: str, text: str) -> bool:
    """Match a glob literally by its definition, and slowly."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return matches(pattern[1:], text) or (bool(text) and matches(pattern, text[1:]))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])


@given(st.text("ab*?[]!\n", max_size=6), st.text("ab[]!\n", max_size=6))
@example("*a*b", "aab")
@example("*ab", "abab")
@example("a*?*b", "ab")
def test_glob_by_definition(pattern: str, text: str) -> None:
    """A glob matches what its definition says, for any pattern and text."""
    assert Glob(pattern).matches(text) == matches(pattern, text)


@given(st.text(st.characters(exclude_characters="*?", exclude_categories=["Cs"])), st.text())
def test_glob_without_wildcards(pattern: str, text: str) -> None:
    """A pattern without wildcards matches only itself."""
    assert Glob(pattern).matches(pattern)
    assert Glob(pattern).matches(text) == (text == pattern)


@pytest.mark.usefixtures("ten_seconds")
@pytest.mark.parametrize(
    "pattern", ["a*" * 30 + "b", "*a" * 127 + "*b", "?*" * 100 + "b", "*" * 256 + "b"]
)
def test_glob_is_fast(pattern: str) -> None:
    """A pattern made to take very long is matched at once."""
    assert not Glob(pattern).matches("a" * 2000)
    assert Glob(pattern).matches("a" * 2000 + "b")


@pytest.mark.parametrize(
    ("pattern", "matching", "other"),
    [
        ("TencentOS Server 3*", ["tencentos server 3.1 (TK4)"], ["TencentOS Server 2"]),
        ("*ubuntu*22.04*", ["Ubuntu Server 22.04 LTS"], ["Ubuntu Server 22x04"]),
        ("\uff23\uff45\uff4e\uff54\uff2f\uff33\uff1f", ["centos?"], ["centos7"]),
        ("centos ?", ["CentOS ⑦"], ["CentOS", "CentOS 10"]),
        ("{x}[a]", ["{X}[A]"], ["{x}a"]),
        ("*", ["", "a\nb"], []),
        ("", [""], ["a"]),
    ],
)
def test_folded_glob(pattern: str, matching: list[str], other: list[str]) -> None:
    """A glob may match after NFKC, ignoring case; braces and brackets are literal."""
    texts = [unicodedata.normalize("NFKC", text) for text in [*matching, *other]]
    found = [Glob(pattern).matches_folded(text) for text in texts]
    assert found == [True] * len(matching) + [False] * len(other)


@given(st.text("aB*?{[.", max_size=7), st.text("ab{[.", max_size=9))
@example("*a*B", "aab")
@example("*a*?*b", "ab")
def test_folded_glob_by_definition(pattern: str, text: str) -> None:
    """Ignoring case, a glob matches what its form in lower case matches otherwise."""
    assert Glob(pattern).matches_folded(text) == Glob(pattern.lower()).matches(text)


# --- Fields, by example ---


@pytest.mark.parametrize(
    ("pattern", "text", "values"),
    [
        ("", "", {}),
        ("", "x", None),
        ("web", "web", {}),
        ("web", "web2", None),
        ("web", "2web", None),
        ("{a}", "web-7", {"a": "web-7"}),
        ("{a}", "", None),
        ("{a}", "a\nb\n", {"a": "a\nb\n"}),
        ("{a}-{b}", "web-api-2", {"a": "web", "b": "api-2"}),
        ("{a}-{b}", "-web-2", {"a": "-web", "b": "2"}),
        ("{a}-{b}", "web-", None),
        ("{a}{b}", "web", {"a": "w", "b": "eb"}),
        ("{a}-2", "web-2-2", {"a": "web-2"}),
        ("{a}-2*", "web-2-2", {"a": "web"}),
        ("{a}*", "web", {"a": "w"}),
        ("*{a}", "web", {"a": "web"}),
        ("*", "", {}),
        ("**-*", "a-b", {}),
        ("*b?", "abbc", {}),
        ("?", "", None),
        ("?{a}", "镜像", {"a": "像"}),
        ("{{{a}}}", "{x}", {"a": "x"}),
        ("}}{{*", "}{x", {}),
        ("a.b[c]+", "axb[c]+", None),
        ("a.b[c]+", "a.b[c]+", {}),
        ("WEB-{a}", "web-API", {"a": "API"}),
        ("web-{a}", "WEB-Api", {"a": "Api"}),
        ("\uff37\uff25\uff22\uff08{a}\uff09", "web(1)", {"a": "1"}),
        ("web({a})", "\uff37\uff25\uff22\uff08①\uff09", {"a": "1"}),
        ("{a}\uff0a{b}", "x*y", {"a": "x", "b": "y"}),
        ("{a}\uff0a{b}", "xzy", None),
        ("{os:word}*", "ubuntu22.04", {"os": "ubuntu22"}),
        ("{os:word}{v:digits}", "ubuntu22", None),
        ("{os}{v:digits}", "ubuntu22", {"os": "ubuntu", "v": "22"}),
        ("{os}{v:digits}", "22", {"os": "2", "v": "2"}),
        ("{a:word}_{b:word}", "镜像_é1", {"a": "镜像", "b": "é1"}),
        ("{a:word}", "a_b", None),
        ("{n:digits}", "1\u0662", None),
        ("{n:digits}*", "12a", {"n": "12"}),
        ("{n:digits}{m:digits}", "12", None),
        ("{n:digits}2", "12", None),
        ("{v:version}*", "2.3.9-x", {"v": "2.3.9"}),
        ("{v:version}*", "2.3..9", {"v": "2.3"}),
        ("{v:version}.img", "2.3.img", {"v": "2.3"}),
        ("{v:version}.3", "2.3", None),
        ("{v:version}", "2.", None),
        ("{v:version}", ".2", None),
        ("{v:version}", "20230503", {"v": "20230503"}),
        ("{a}-{v:version}-{b}", "web-x-2.3-1.1-z", {"a": "web-x", "v": "2.3", "b": "1.1-z"}),
        ("{a}-copy-{n:digits}", "web-api-COPY-2", {"a": "web-api", "n": "2"}),
    ],
)
def test_match(pattern: str, text: str, values: dict[str, str] | None) -> None:
    """A pattern matches a whole text, after NFKC and ignoring case, and returns its fields."""
    assert read(pattern, text) == values


@pytest.mark.parametrize(
    ("form", "text", "time"),
    [
        ("%Y%m%d", "20230503", "2023-05-03T00:00:00Z"),
        ("%Y%m%d", "2023053", None),
        ("%Y%m%d", "202305031", None),
        ("%Y%m%d-%H%M%S", "20230503-235959", "2023-05-03T23:59:59Z"),
        ("%Y%m%d-%H%M%S", "20230503-240000", None),
        ("%Y%m%d-%H%M%S", "20230503-236000", None),
        ("%Y%m%d-%H%M%S", "20230503-235960", None),
        ("%d.%m.%Y", "03.05.2023", "2023-05-03T00:00:00Z"),
        ("%d.%m.%Y", "3.5.2023", "2023-05-03T00:00:00Z"),
        ("%d.%m.%Y", "13.12.2023", "2023-12-13T00:00:00Z"),
        ("%d.%m.%Y", "0.5.2023", None),
        ("%d.%m.%Y", "00.05.2023", None),
        ("%d.%m.%Y", "03.13.2023", None),
        ("%d.%m.%Y", "003.05.2023", None),
        ("%Y年%m月%d日", "2023年5月3日", "2023-05-03T00:00:00Z"),
        ("%Y年%m月%d日", "2023年12月31日", "2023-12-31T00:00:00Z"),
        ("%Y年%m月%d", "2023年5月3", "2023-05-03T00:00:00Z"),
        ("%Y\uff0f%m", "2023/5", "2023-05-01T00:00:00Z"),
        ("%YT%H", "2023t9", "2023-01-01T09:00:00Z"),
        ("%H:%M:%S", "0:0:0", "2000-01-01T00:00:00Z"),
        ("%H%%%M", "1%2", "2000-01-01T01:02:00Z"),
        ("%%%d", "%3", "2000-01-03T00:00:00Z"),
        ("%m%%", "3%", "2000-03-01T00:00:00Z"),
        ("%m%%d", "3%d", "2000-03-01T00:00:00Z"),
        ("%d", "3", None),
        ("%d", "03", "2000-01-03T00:00:00Z"),
        ("%m%d", "0229", "2000-02-29T00:00:00Z"),
        ("%m%d", "0230", None),
        ("%m-%d", "2-30", None),
        ("%m-%d", "4-31", None),
        ("%m-%d", "11-31", None),
        ("%m-%d", "12-31", "2000-12-31T00:00:00Z"),
        ("%d%m", "3104", None),
        ("%Y-%m-%d", "2023-2-29", None),
        ("%Y-%m-%d", "2024-2-29", "2024-02-29T00:00:00Z"),
        ("%d%m%Y", "29021900", None),
        ("%d%m%Y", "29022000", "2000-02-29T00:00:00Z"),
        ("%y%m%d", "230229", None),
        ("%y%m%d", "000229", "2000-02-29T00:00:00Z"),
        ("%y", "68", "2068-01-01T00:00:00Z"),
        ("%y", "69", "1969-01-01T00:00:00Z"),
        ("%y", "99", "1999-01-01T00:00:00Z"),
        ("%y", "7", None),
        ("%Y", "0000", None),
        ("%Y", "0001", "0001-01-01T00:00:00Z"),
        ("%Y", "9999", "9999-01-01T00:00:00Z"),
        ("%Y", "\u0662\u0660\u0662\u0663", None),
        ("%Y*%m?", "2023*05?", "2023-05-01T00:00:00Z"),
        ("%Y*%m?", "2023-05-", None),
    ],
)
def test_time(form: str, text: str, time: str | None) -> None:
    """A time has the numbers of its format, and a date of the calendar; the rest is of 2000."""
    pattern = Pattern.parse(f"{{a}}-{{built:{form}}}")
    assert pattern.times == {"built"}
    assert pattern.match(f"web-{text}") == (time and {"a": "web", "built": time})


def test_invalid_dates_are_passed_over() -> None:
    """A date that the calendar lacks is text, and a valid one is looked for behind it."""
    pattern = "{a}-{built:%Y%m%d}*"
    assert read(pattern, "x-20230230-20231301-20230229-20240229-20230503") == {
        "a": "x-20230230-20231301-20230229",
        "built": "2024-02-29T00:00:00Z",
    }


def test_every_day() -> None:
    """The days of years of all kinds are read exactly if the calendar has them."""
    whole, short = Pattern.parse("{d:%Y%m%d}"), Pattern.parse("{d:%d.%m.%y}")
    for year in (1, 4, 100, 400, 1900, 1999, 2000, 2023, 2024, 2068, 9996, 9999):
        for month in range(14):
            for day in range(33):
                try:
                    moment = datetime(year, month, day).isoformat() + "Z"  # noqa: DTZ001
                except ValueError:
                    moment = ""
                found = whole.match(f"{year:04}{month:02}{day:02}")
                assert found == ({"d": moment} if moment else None)
                if 1969 <= year <= 2068:
                    for text in (f"{day}.{month}", f"{day:02}.{month:02}"):
                        assert short.match(f"{text}.{year % 100:02}") == found


@pytest.mark.parametrize(
    ("form", "text", "utc_offset", "time"),
    [
        ("%Y%m%d", "20230503", CHINA, "2023-05-02T16:00:00Z"),
        ("%Y%m%d", "20230503", -CHINA, "2023-05-03T08:00:00Z"),
        ("%H:%M", "4:00", 20_700, "1999-12-31T22:15:00Z"),
        ("%Y", "0002", CHINA, "0001-12-31T16:00:00Z"),
        ("%Y", "0001", -CHINA, "0001-01-01T08:00:00Z"),
        ("%Y", "0001", CHINA, None),
        ("%Y%m%d%H", "9999123123", -3600, None),
        ("%Y%m%d%H", "9999123123", 3600, "9999-12-31T22:00:00Z"),
    ],
)
def test_offset(form: str, text: str, utc_offset: int, time: str | None) -> None:
    """A time is local to the offset, and its value UTC; without one, nothing matches."""
    assert read(f"{{built:{form}}}", text, utc_offset) == (time and {"built": time})


@pytest.mark.parametrize(
    ("pattern", "text", "values"),
    [
        ("{a}-b{b}", "x-y-by-bz", {"a": "x-y", "b": "y-bz"}),
        ("*-{n:digits}.{b}", "x-1-2.3", {"n": "2", "b": "3"}),
        ("*-{n:digits}*.{b:digits}", "x-1-2.3", {"n": "1", "b": "3"}),
        ("{a}a{n:digits}*{b}a", "ba1a2a", {"a": "b", "n": "1", "b": "a2"}),
        ("{a}-{b:word}-{c}", "x-y-", None),
    ],
)
def test_first_place(pattern: str, text: str, values: dict[str, str] | None) -> None:
    """A free part ends at the first place where what follows matches."""
    assert read(pattern, text) == values


def test_fields() -> None:
    """Fields are listed in order; the times and equal patterns are known."""
    text = "{b}-{a_1:word}{{x}}-{t:%Y}*{u:%y}?{C:digits}"
    pattern = Pattern.parse(text)
    assert pattern.fields == ("b", "a_1", "t", "u", "C")
    assert pattern.times == {"t", "u"}
    assert pattern == Pattern.parse(text) != Pattern.parse(text, CHINA)
    values = pattern.match("x-y{X}-2023...24!7")
    assert values is not None
    assert tuple(values) == pattern.fields
    assert values["t"] == "2023-01-01T00:00:00Z"
    assert values["u"] == "2024-01-01T00:00:00Z"


def test_limits() -> None:
    """A pattern may have 20 fields, names of 64 characters, and 1,024 characters."""
    names = [f"{'x' * 63}{letter}" for letter in "abcdefghijklmnopqrst"[:MAX_FIELDS]]
    assert Pattern.parse("".join(f"{{{n}}}" for n in names[:15])).fields == tuple(names[:15])
    short = "".join(f"{{{letter}}}" for letter in "abcdefghijklmnopqrst")
    assert len(Pattern.parse(short + "x" * (MAX_LENGTH - len(short))).fields) == MAX_FIELDS
    keywords = Pattern.parse("{if}{None:word}")
    assert keywords.match("ab") == {"if": "a", "None": "b"}


@pytest.mark.parametrize(
    ("pattern", "error"),
    [
        ("{", "unmatched { at character 1; write a field as {app}, and a literal brace as {{"),
        ("web}", "unmatched } at character 4; write a field as {app}, and a literal brace as }}"),
        ("{a}-{b", "unmatched { at character 5"),
        ("{}", '"" at character 2 is not a name; each field requires its own: an ASCII letter, '),
        ("-{1a}", '"1a" at character 3 is not a name'),
        ("{_a}", '"_a" at character 2 is not a name'),
        ("{Tag.a}", '"Tag.a" at character 2 is not a name'),
        ("{é}", '"é" at character 2 is not a name'),
        ("{a\n}", "at character 2 is not a name"),
        ("{a|b}", '"a|b" at character 2 is not a name'),
        ("{:word}", '"" at character 2 is not a name'),
        (f"{{{'x' * 65}}}", "at character 2 is not a name"),
        ("{a}-{a:word}", '"a" at character 6 is used twice; each field requires its own'),
        (
            "{a:}",
            '"" at character 4 is not a kind of field; allowed are word, digits, version, and',
        ),
        ("{a:wrod}", '"wrod" at character 4 is not a kind of field; allowed are word, digits'),
        ("{{{abc:number}", '"number" at character 8 is not a kind of field; allowed are word'),
        ("{a:.20}", '".20" at character 4 is not a kind of field'),
        ("{a:lower}", '"lower" at character 4 is not a kind of field'),
        ("{a: word}", "and times such as %Y%m%d; did you mean word?"),
        ("{a:%}", '"%" at character 4 is not a kind of field; allowed are word'),
        ("{a:50%%}", '"50%%" at character 4 is not a kind of field; allowed are word'),
        ("{a:%Y%}", '"%" at character 6 is not allowed; allowed are, each once, %Y or %y, %m, %d'),
        ("{a:%Y%m-%b}", '"%b" at character 9 is not allowed; allowed are, each once'),
        ("{a:%j}", '"%j" at character 4 can be written, but not read; allowed are, each once'),
        ("{a:%G%V}", '"%G" at character 4 can be written, but not read'),
        ("{a:%Y%V}", '"%V" at character 6 can be written, but not read'),
        ("{a:%Y%u}", '"%u" at character 6 can be written, but not read'),
        ("{a:%m年%m}", '"%m" at character 7 is not allowed; allowed are, each once'),
        ("{a:%Y%y}", '"%y" at character 6 is not allowed; allowed are, each once, %Y or %y'),
        ("{a:%y%Y}", '"%Y" at character 6 is not allowed; allowed are, each once, %Y or %y'),
        ("{a:%-d}", '"%-" at character 4 is not allowed'),
        ("{a:%Y%\n}", "at character 6 is not allowed"),
        ("x" * (MAX_LENGTH + 1), "has 1025 characters; at most 1024 are allowed"),
        ("".join(f"{{a{i}}}" for i in range(MAX_FIELDS + 1)), "has more than 20 fields"),
    ],
)
def test_rejected(pattern: str, error: str) -> None:
    """A wrong pattern is rejected with the character, and what is allowed there."""
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared below
        Pattern.parse(pattern)
    assert error in str(caught.value)


@pytest.mark.parametrize("directive", sorted(set(DIRECTIVES)))
def test_directives(directive: str) -> None:
    """A directive of templates is either read, or rejected as one that can only be written."""
    pattern = f"{{built:%{directive}}}"
    if directive in "YymdHMS":
        assert read(pattern, "1010" if directive == "Y" else "10")
    else:
        with pytest.raises(ValueError, match="can be written, but not read"):
            Pattern.parse(pattern)


# --- Fields, by an exact matcher ---

Part = tuple[str, str]
"""A kind, and a name or, for `text`, the text: a part of a pattern."""

CLASSES = {"word": str.isalnum, "digits": "0123456789".__contains__}
FORMATS = ("%Y%m%d", "%d.%m.%Y", "%y%m%d", "%Y年%m月", "%m-%d", "%H:%M", "%H%M%S", "%Y", "%d")


def source(parts: list[Part]) -> str:
    """The pattern of parts."""
    wild = {"*": "*", "?": "?"}
    return "".join(
        wild.get(kind)
        or (name if kind == "text" else f"{{{name}:{kind}}}" if kind else f"{{{name}}}")
        for kind, name in parts
    )


def ends(kind: str, name: str, text: str, start: int) -> Iterator[int]:
    """Where a part that begins at `start` may end, the preferred place first."""
    rest = text[start:]
    if kind in ("", "*"):
        yield from range(start + (kind == ""), len(text) + 1)
    elif kind == "?" and rest:
        yield start + 1
    elif kind == "text" and rest.lower().startswith(name.lower()):
        yield start + len(name)
    elif kind in CLASSES:
        length = next((i for i, x in enumerate(rest) if not CLASSES[kind](x)), len(rest))
        yield from [start + length] * (length > 0)
    elif kind == "version" and (found := re.match(r"[0-9]+(\.[0-9]+)*", rest)):
        yield start + found.end()
    elif kind.startswith("%") and (time := time_of(kind, rest)):
        yield start + time[0]


def time_of(form: str, text: str) -> tuple[int, str] | None:
    """The length and the value of a time at the beginning of a text."""
    pieces = re.findall("%.|[^%]", form)
    numbers = {"%Y": 2000, "%m": 1, "%d": 1, "%H": 0, "%M": 0, "%S": 0}
    at = 0
    for i, piece in enumerate(pieces):
        if len(piece) == 1:
            if text[at : at + 1] != piece:
                return None
            at += 1
            continue
        beside = "".join(pieces[max(0, i - 1) : i + 2])
        digits = len(text[at:]) - len(text[at:].lstrip("0123456789"))
        width = 4 if piece == "%Y" else 2
        if digits == 1 and width == 2 and piece != "%y" and re.sub("%.", "", beside):
            width = 1
        if digits < width:
            return None
        numbers[piece] = int(text[at : at + width])
        at += width
    if "%y" in numbers:
        short = numbers.pop("%y")
        numbers["%Y"] = short + (1900 if short >= 69 else 2000)
    try:
        moment = datetime(*numbers.values())  # type: ignore[arg-type] # noqa: DTZ001
    except ValueError:
        return None
    return at, f"{moment.isoformat()}Z"


def exact(parts: list[Part], text: str) -> dict[str, str] | None:
    """Match a pattern by trying all places for all parts."""

    @cache
    def match(index: int, start: int) -> dict[str, str] | None:
        if index == len(parts):
            return {} if start == len(text) else None
        kind, name = parts[index]
        for end in ends(kind, name, text, start):
            if (others := match(index + 1, end)) is not None:
                time = time_of(kind, text[start:]) if kind.startswith("%") else None
                value = time[1] if time else text[start:end]
                return others if kind in ("text", "*", "?") else {name: value, **others}
        return None

    return match(0, 0)


KINDS = st.sampled_from(["", "word", "digits", "version", *FORMATS])
LITERALS = st.text("-_.aB1年", min_size=1, max_size=3)
PIECES = (
    st.tuples(st.just("text"), LITERALS) | st.sampled_from([("*", ""), ("?", "")])
    | st.tuples(KINDS, st.just(""))
)  # fmt: skip


@st.composite
def shapes(draw: st.DrawFn) -> list[Part]:
    """A pattern of any shape; its fields are single letters."""
    pieces = draw(st.lists(PIECES, max_size=7))
    return [(kind, text or chr(ord("a") + i)) for i, (kind, text) in enumerate(pieces)]


TEXTS = st.lists(
    st.sampled_from([*"-_.aAbB1年2", "20230503", "03.05.2023", "3.5.2023", "2023年5月", "230229",
                     "2-29", "9:05", "2.3.9", "web", "1\n"]),
    max_size=9,
).map("".join)  # fmt: skip


@st.composite
def sensible(draw: st.DrawFn) -> tuple[list[Part], str]:
    """A pattern as people write it, and a text for it: fields with separators between them."""
    separator = draw(st.sampled_from("-_ "))
    kinds = draw(st.lists(KINDS, min_size=1, max_size=6))
    written = {
        "": st.text("aB1镜.", min_size=1, max_size=5),
        "word": st.text("aB1镜", min_size=1, max_size=5),
        "digits": st.text("123", min_size=1, max_size=5),
        "version": st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,2}){0,3}", fullmatch=True),
    }
    moments = st.datetimes(datetime(1970, 1, 1), datetime(2060, 1, 1))  # noqa: DTZ001
    parts: list[Part] = []
    texts = []
    for i, kind in enumerate(kinds):
        parts += [("text", separator), (kind, chr(ord("a") + i))]
        texts.append(draw(written[kind]) if kind in written else draw(moments).strftime(kind))
    ending = draw(st.sampled_from(["", "*"]))
    text = separator.join(texts)
    if ending:
        parts.append((ending, ""))
        text += draw(st.sampled_from(["", f"{separator}2", "copy"]))
    if draw(st.booleans()):  # a text for another pattern
        text = draw(st.permutations(texts).map(separator.join))
    return parts[1:], unicodedata.normalize("NFKC", text)


@settings(max_examples=1500)
@given(st.tuples(shapes(), TEXTS) | sensible())
@example(([("", "a"), ("text", "-"), ("%Y%m%d", "b"), ("*", "")], "a-20230229-20230503-2"))
@example(([("word", "a"), ("digits", "b")], "a1"))
def test_exact(given_: tuple[list[Part], str]) -> None:
    """A pattern reads what a matcher reads that tries all places, sensible or not."""
    parts, text = given_
    assert read(source(parts), text) == exact(parts, text)


# --- The inverse of templates ---

SEPARATORS = st.text("|#~【】 \uff1d", min_size=1, max_size=3)
VALUES = {
    "": st.text("aBé1-_.年镜😀*?%{}", min_size=1, max_size=8),
    "word": st.text("aBé1年镜", min_size=1, max_size=8),
    "digits": st.text("0123456789", min_size=1, max_size=8),
    "version": st.from_regex(r"[0-9]{1,3}(\.[0-9]{1,3}){0,4}", fullmatch=True),
}


@st.composite
def times(draw: st.DrawFn) -> tuple[str, datetime]:
    """A format with any directives, and a local time that has no more than it writes."""
    of_year = draw(st.sampled_from(["Y", "y", ""]))
    letters = draw(st.sets(st.sampled_from("mdHMS"), min_size=not of_year)) | {of_year}
    literals = st.text("-./: 年月日T\uff1a2Z", max_size=2) | st.just("%%")
    form = draw(literals)
    for letter in draw(st.permutations(sorted(letters - {""}))):
        form += f"%{letter}{draw(literals)}"
    years = {"Y": (2, 9998), "y": (1969, 2068), "": (2000, 2000)}
    limits = {"m": (1, 12), "d": (1, 31), "H": (0, 23), "M": (0, 59), "S": (0, 59)}
    year, month, day, hour, minute, second = (
        draw(st.integers(low, high if letter in letters else low))
        for letter, (low, high) in {of_year: years[of_year], **limits}.items()
    )
    day = min(day, monthrange(year, month)[1])
    return form, datetime(year, month, day, hour, minute, second)  # noqa: DTZ001


@settings(max_examples=500)
@given(st.data(), st.integers(-840, 840))
def test_inverse(data: st.DataObject, minutes: int) -> None:
    """A pattern reads the values that the same template has written, at any offset from UTC."""
    offset = minutes * 60
    template, pattern = "[", "["  # what is rendered loses blanks at its ends
    values: dict[str, str] = {}
    kinds = data.draw(st.lists(st.sampled_from([*VALUES, "time"]), min_size=1, max_size=6))
    for i, kind in enumerate(kinds):
        name = f"f{i}"
        separator = data.draw(SEPARATORS) if i else ""
        if kind == "time":
            form, local = data.draw(times())
            values[name] = f"{(local - timedelta(seconds=offset)).isoformat()}Z"
            template += f"{separator}{{{name}:{form}}}"
            pattern += f"{separator}{{{name}:{form}}}"
        else:
            values[name] = data.draw(VALUES[kind])
            template += f"{separator}{{{name}}}"
            pattern += f"{separator}{{{name}:{kind}}}" if kind else f"{separator}{{{name}}}"
    fields = Fields(tuple(values), (), tuple(values), utc_offset=offset)
    written = Template.parse(f"{template}]", fields).render(values)
    found = read(f"{pattern}]", written, offset)
    assert found == values
    assert Template.parse(f"{template}]", fields).render(found) == written


@given(st.text(st.sampled_from("{}%") | st.characters(exclude_categories=["Cs"]), max_size=20))
def test_literal_text(text: str) -> None:
    """Any text with its braces doubled is a pattern that matches this text."""
    assume(not {*"*?"} & {*text})
    # Normalised by pieces, a text may differ: a mark may follow a brace.
    assume(unicodedata.is_normalized("NFKC", text))
    pattern = Pattern.parse(text.replace("{", "{{").replace("}", "}}"))
    assert pattern.match(text) == {}
    assert pattern.match(f"{text}x") is None


# --- Time ---


@pytest.mark.usefixtures("ten_seconds")
@pytest.mark.parametrize(("pattern", "text"), hostile.patterns(256, 1024))
def test_hostile(pattern: str, text: str) -> None:
    """Patterns made to take very long give up at once."""
    assert Pattern.parse(pattern).match(text) is None
