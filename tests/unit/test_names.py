"""Names: normalised once, cut between characters, and numbered so that all differ."""

from __future__ import annotations

import string
import sys
import unicodedata
from dataclasses import replace

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from image_steward.limits import NAME_LENGTH
from image_steward.naming.style import Style, cut
from image_steward.naming.temporary import TEMPORARY, temporary

SEPARATORS = ("-", "_", ".", " ")
LAST_NUMBER = 999_999
"""Of a numbered name: more than a region can hold images."""

CASES = ("keep", "lower", "upper")
CHARSETS = ("any", "ascii")
STYLES = st.builds(
    Style,
    st.sampled_from(CASES),
    st.sampled_from(SEPARATORS),
    st.sampled_from(CHARSETS),
    st.integers(8, NAME_LENGTH),
)

# Errors lie among these; random text rarely has two of them in a row.
AWKWARD = [
    *" -_./\\|\t\r\n\0\x1f\x7f\x85\xa0\xad",
    "\u200b", "\u200c", "\u200d", "\u202e", "\u2028", "\u3000", "\ufeff",
    *"İıſßẞŉǅΐΣςᾳﬃﷺ①Å…", "\u0301", "\u0345", "\u094d", "\u0915",
    "\u1100", "\u1161", "\u11a8", "\U0001f1e8", "\U0001f1f3", "\U0001f3fd", "👩", "镜",
]  # fmt: skip
TEXTS = st.text(
    st.sampled_from(AWKWARD) | st.characters(exclude_categories=["Cs"]), max_size=90
) | st.text(st.sampled_from(AWKWARD), min_size=55, max_size=130)

FAMILY = "👩\u200d👩\u200d👧\u200d👦"
CHINA, JAPAN = "🇨🇳", "🇯🇵"

CHARACTERS = {
    "letter and mark": "q\u0301",
    "letter and marks": "o\u0302\u0323\u0301",
    "family": FAMILY,
    "flag": CHINA,
    "skin tone": "👍🏽",
    "skin tone and profession": "👩🏽\u200d🚀",
    "heart on fire": "❤\ufe0f\u200d🔥",
    "variation selector": "葛\U000e0100",
    "text presentation": "✈\ufe0e",
    "keycap": "1\ufe0f\u20e3",
    "jamo": "\u1112\u1161\u11ab",
    "old jamo": "\u1100\u1100\ua964\u1161\ud7b0\u11ab\ud7fb",
    "syllable and final jamo": "가\u11a8",
    "devanagari conjunct": "क्षि",
    "devanagari conjunct of three": "स्त्र",
    "conjunct with joiner": "क्\u200dष",
    "conjunct with accent": "त\u094d\u0951य",
    "conjunct with joiner and accent": "त\u094d\u200d\u0951य",
    "khmer conjunct": "ខ្មែ",
    "balinese conjunct": "ᬓ᭄ᬱ",
    "malayalam dot reph": "ൎക",
    "thai": "ก\u0e33",
    "half-width katakana": "ｶﾞ",
    "carriage return and line feed": "\r\n",
}
"""Each is one visible character of several code points."""


@given(STYLES, TEXTS)
@example(Style("upper"), "ΐ" * 60)
@example(Style("lower"), "İ" * 60)
@example(Style(), "ﷺ" * 4)
@example(Style(), "q" + "\u0301" * 100)
def test_style(style: Style, text: str) -> None:
    """Any text becomes at most `max_length` code points of NFKC, separators single and inside."""
    name = style.apply(text)
    assert len(name) <= style.max_length
    assert unicodedata.is_normalized("NFKC", name)
    assert name == name.strip(style.separator)
    assert style.separator * 2 not in name
    assert not [
        each
        for each in name
        if each != style.separator
        and (each.isspace() or each in "_-/\\|" or unicodedata.category(each) == "Cc")
    ]


@given(STYLES, TEXTS)
@example(Style("upper"), "ΐ" * 60)
@example(Style("lower"), "ΑΣ" * 60)
@example(Style(), "x" * 59 + " y")
@example(Style(), "x" * 59 + CHINA)
@example(Style("upper", "_", "ascii", 8), "ΐß" * 9)
@example(Style("lower", "-", "ascii", 8), "İxxxx İ xxx")
def test_style_is_idempotent(style: Style, text: str) -> None:
    """A normalised name stays the same."""
    name = style.apply(text)
    assert style.apply(name) == name


@given(STYLES.filter(lambda style: style.charset == "ascii"), TEXTS)
@example(Style(charset="ascii"), "e\u0301a")
@example(Style("upper", ".", "ascii"), "镜像..ß..é")
def test_ascii(style: Style, text: str) -> None:
    """Under `ascii`, a name has ASCII letters, digits, dots and single separators only."""
    name = style.apply(text)
    kept = f"{string.ascii_letters}{string.digits}.{style.separator}"
    assert set(name) <= set(kept)
    # What is ASCII anyway is styled as under `any`, apart from other characters.
    plain = "".join(letter for letter in text if letter in kept or letter in " _-/\\|")
    other = replace(style, charset="any")
    assert style.apply(plain) == other.apply(plain)


@given(st.sampled_from(SEPARATORS), TEXTS)
def test_case(separator: str, text: str) -> None:
    """Lower and upper case leave no letter in the other case."""
    lower = Style("lower", separator).apply(text)
    upper = Style("upper", separator).apply(text)
    assert lower == lower.lower()
    assert upper == upper.upper()


def test_every_letter() -> None:
    """A normalised name stays the same in case, length and NFKC, whatever letter it has."""
    changing = [
        each
        for each in map(chr, range(sys.maxunicode + 1))
        if each.lower() != each
        or each.upper() != each
        or not unicodedata.is_normalized("NFKC", each)
    ]
    assert len(changing) > 5000
    for case in CASES:
        style = Style(case)
        for each in changing:
            name = style.apply(f"a{each}b")
            assert style.apply(name) == name
            assert unicodedata.is_normalized("NFKC", name)


@pytest.mark.parametrize(
    ("text", "lower", "upper"),
    [
        ("Web", "web", "WEB"),
        ("İ", "i\u0307", "İ"),
        ("\u0131", "\u0131", "I"),
        ("ß", "ß", "SS"),
        ("ẞ", "ß", "ẞ"),
        ("ΟΔΥΣΣΕΥΣ", "οδυσσευς", "ΟΔΥΣΣΕΥΣ"),
        ("ΑΣ", "ας", "ΑΣ"),
        ("ΟΔΟΣ-ΣΟΔ", "οδος-σοδ", "ΟΔΟΣ-ΣΟΔ"),
        ("ǅ", "dž", "DŽ"),
        ("ǆ", "dž", "DŽ"),
        ("ŉ", "\u02bcn", "\u02bcN"),
        ("ﬃ", "ffi", "FFI"),
        ("ΐ", "ΐ", "Ϊ\u0301"),
        ("ᾳ", "ᾳ", "\u0391\u0399"),
        ("\u017f", "s", "S"),
        ("\u212b", "å", "Å"),
        ("镜像", "镜像", "镜像"),
    ],
)
def test_case_folding(text: str, lower: str, upper: str) -> None:
    """Letters with an unusual other case are converted once, and then stay."""
    for style, name in [(Style("lower"), lower), (Style("upper"), upper)]:
        assert style.apply(text) == name
        assert style.apply(name) == name


@pytest.mark.parametrize("separator", SEPARATORS)
@pytest.mark.parametrize(
    "gap",
    [
        *" _-/\\|\t\n\v\f\r\0\x1b\x7f\x85\xa0",
        "\u1680", "\u2003", "\u2028", "\u202f", "\u3000",
        "\u200b", "\u200e", "\u202e", "\u2060", "\u2066", "\ufeff",
        "\uff0f", "\uff3f", "\uff0d", "\uff3c", "\uff5c",  # NFKC turns these into plain letters
        " - ", "\r\n\r\n", "__--//\\\\||",
    ],
)  # fmt: skip
def test_one_separator(gap: str, separator: str) -> None:
    """White space, control characters and punctuation become a single separator."""
    style = Style("keep", separator)
    assert style.apply(f"web{gap}prod") == f"web{separator}prod"
    assert style.apply(f"{gap}web{gap}{gap}prod{gap}") == f"web{separator}prod"
    assert style.apply(gap) == ""


@pytest.mark.parametrize(
    ("style", "text", "name"),
    [
        (Style(), "TencentOS Server 3.1 (TK4)", "TencentOS-Server-3.1-(TK4)"),
        (Style("lower", "_"), "TencentOS Server 3.1 (TK4)", "tencentos_server_3.1_(tk4)"),
        (Style("upper", " "), "web/prod-1.2", "WEB PROD 1.2"),
        (Style("keep", "."), "v1..2 - beta", "v1.2.beta"),
        (Style(), "v1..2.", "v1..2."),
        (Style(), "镜像【生产】 二〇二四", "镜像【生产】-二〇二四"),
        (Style(), "[web] {prod} <1> #2 @3 +4 =5 ~6 ,7 ;8 !9", None),
        (Style(), "ＷＥＢ①", "WEB1"),
        (Style(), "می\u200cخرم", "می\u200cخرم"),
        (Style(), FAMILY, FAMILY),
        (Style("lower", "-", "ascii"), "数据库备份-mysql-8.0.33", "mysql-8.0.33"),
        (Style("keep", "_", "ascii"), "café (ＷＥＢ①) v1..2 #3", "caf_WEB1_v1..2_3"),
        (Style("keep", ".", "ascii"), "v1..2 【3】", "v1.2.3"),
        (Style("keep", "-", "ascii"), "镜像", ""),
        (Style("upper", " ", "ascii"), "straße/İ\u200bx", "STRASSE X"),
        (Style(max_length=8), "web-prod-1", "web-prod"),
        (Style(max_length=8), "web-pro--1", "web-pro"),
        (Style(max_length=9), f"web-pro{CHINA}{JAPAN}", f"web-pro{CHINA}"),
        (Style(), "", ""),
        (Style(), " -_- ", ""),
    ],
)
def test_what_is_kept(style: Style, text: str, name: str | None) -> None:
    """Dots, brackets, CJK text, joined emoji and other symbols are kept."""
    assert style.apply(text) == (text.replace(" ", "-") if name is None else name)


def test_sixty_are_kept() -> None:
    """A name of 60 is kept; of 61, the last character and a separator before it are cut."""
    assert Style().apply("镜" * 60) == "镜" * 60
    assert Style().apply("镜" * 61) == "镜" * 60
    assert Style().apply("x" * 59 + "-yz") == "x" * 59


@pytest.mark.parametrize("character", CHARACTERS.values(), ids=CHARACTERS)
def test_characters_are_whole(character: str) -> None:
    """A cut never splits a character: it is either kept whole or removed."""
    text = f"x{character}yz"
    for length in range(1, 1 + len(character)):
        assert cut(text, length) == "x"
    assert cut(text, 1 + len(character)) == f"x{character}"


@pytest.mark.parametrize(
    "character",
    ["🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "ی\u200c", "\u0600\u06f1"],
    ids=["flag of England", "letter and non-joiner", "number sign and number"],
)
def test_format_characters(character: str) -> None:
    """A cut never splits a sequence with format characters."""
    for length in range(1, 1 + len(character)):
        assert cut(f"x{character}y", length) == "x"


@given(
    st.lists(st.sampled_from([*CHARACTERS.values(), JAPAN, "a", "-", "镜", "👍"]), min_size=1),
    st.integers(0, 200),
)
@example([CHINA, JAPAN, CHINA], 5)
@example([CHINA, JAPAN, CHINA], 3)
def test_cut_is_between_characters(characters: list[str], length: int) -> None:
    """A cut keeps as many whole characters as fit."""
    assume(len(characters[0]) <= length)
    whole = ""
    for character in characters:
        if len(whole + character) > length:
            break
        whole += character
    assert cut("".join(characters), length) == whole


@given(TEXTS, st.integers(0, 130))
def test_cut_is_a_beginning(text: str, length: int) -> None:
    """A cut is the beginning of the text, or all of it if it fits."""
    start = cut(text, length)
    assert text.startswith(start)
    assert len(start) <= length
    assert (start == text) == (len(text) <= length)
    assert start or not length or not text


def test_endless_character() -> None:
    """A single character longer than a name is cut anyway."""
    text = "q" + "\u0301" * 100
    assert cut(text, 60) == text[:60]


@pytest.mark.parametrize(
    ("name", "number", "numbered"),
    [
        ("web", 1, "web"),
        ("web", 2, "web-2"),
        ("web-2", 2, "web-2-2"),
        ("web", 12345, "web-12345"),
        ("x" * 58, 2, "x" * 58 + "-2"),
        ("x" * 60, 9, "x" * 58 + "-9"),
        ("x" * 60, 10, "x" * 57 + "-10"),
        ("x" * 57 + "-yz", 2, "x" * 57 + "-2"),
        ("x" * 57 + CHINA, 2, "x" * 57 + "-2"),
        ("x" * 57 + CHINA, 1, "x" * 57 + CHINA),
    ],
)
def test_numbered(name: str, number: int, numbered: str) -> None:
    """A name is cut for its number: between two characters, with one separator."""
    assert Style().numbered(name, number) == numbered


def test_numbered_to_max_length() -> None:
    """A short `max_length` counts the number, which leaves at least one character of the name."""
    style = Style(max_length=8)
    assert style.numbered("web-prod", 2) == "web-pr-2"
    assert style.numbered("web-prod", 123) == "web-123"
    assert style.numbered("web-prod", LAST_NUMBER) == "w-999999"
    assert style.fits("w-999999", "web-prod")
    assert not style.fits("web-prod-2", "web-prod")


@given(STYLES, TEXTS, st.integers(2, LAST_NUMBER), st.integers(2, LAST_NUMBER))
@example(Style(), "x" * 60, 9, 10)
@example(Style(), "x" * 57 + FAMILY, 2, 99)
def test_numbered_names_differ(style: Style, text: str, one: int, other: int) -> None:
    """Numbered names are normalised, and differ for each number."""
    base = style.apply(text)
    assume(base)
    names = {style.numbered(base, number) for number in (one, other)}
    assert len(names) == len({one, other})
    for name in names:
        assert len(name) <= style.max_length
        assert style.apply(name) == name
        assert name.rpartition(style.separator)[0]


def test_name_that_is_its_own_numbered_form() -> None:
    """A long name that ends in a number may equal its own numbered form."""
    name = "x" * 58 + "-2"
    assert Style().numbered(name, 2) == name
    assert Style().numbered(name, 3) == "x" * 58 + "-3"


@given(STYLES, TEXTS, st.integers(1, LAST_NUMBER))
def test_numbered_forms_are_recognised(style: Style, text: str, number: int) -> None:
    """Every numbered form of a name is recognised."""
    base = style.apply(text)
    assert style.fits(style.numbered(base, number), base)


@given(
    STYLES,
    st.text("ab-._ ", min_size=1, max_size=4).map(lambda text: text * 20),
    st.integers(1, 60),
    st.text("-._ 0123\uff19²x", max_size=3),
)
@example(Style(), "x" * 60, 58, "-2")
@example(Style(), "x" * 60, 57, "-2")
@example(Style(), "x" * 60, 3, "-02")
@example(Style(), "x" * 60, 3, "-1")
@example(Style(), "x" * 60, 3, "-0")
@example(Style(), "x" * 60, 3, "-²")
def test_other_names_are_not_recognised(style: Style, text: str, length: int, ending: str) -> None:
    """A name that no number produces is not recognised as a numbered form."""
    wanted = style.apply(text[:length])
    name = wanted[: style.max_length - len(ending)] + ending
    numbered = {style.numbered(wanted, number) for number in range(1, 1000)}
    assert style.fits(name, wanted) == (name in numbered)


@pytest.mark.parametrize(
    "name",
    ["", "web-", "web-0", "web-1", "web-02", "web-+2", "web- 2", "web-2 ", "web-\uff12", "web-²",
     "web--2", "web_2", "web2", "web-2-2", "WEB-2", "web-1_0", f"web-{'9' * 5000}",
     "web-1000000", "web-20240203"],
)  # fmt: skip
def test_other_endings_are_not_numbers(name: str) -> None:
    """Only a separator and a plain number from 2 to 999,999 make a numbered form."""
    assert not Style().fits(name, "web")
    assert Style().fits("web-2", "web")


@given(
    st.from_regex(r"img-[0-9a-z]{1,60}", fullmatch=True),
    st.sampled_from(["", "0a1b2c3d-"]),
    st.lists(st.integers(1, 1000), unique=True, min_size=2),
)
@example(f"img-{'0' * 60}", "0a1b2c3d-", [1, 2, 1000])
def test_temporary(image_id: str, mark: str, attempts: list[int]) -> None:
    """Temporary names are valid names, contain their mark, and differ for every attempt."""
    names = {temporary(image_id, attempt, mark) for attempt in attempts}
    assert len(names) == len(attempts)
    for name in names:
        assert len(name) <= NAME_LENGTH
        assert name.startswith(f"{TEMPORARY}{mark}img-")


def test_temporary_name_contains_the_id() -> None:
    """A temporary name contains the whole image id, even a long one."""
    assert temporary("img-6pb6lrmy", 1) == "image-steward-tmp-img-6pb6lrmy"
    assert temporary("img-6pb6lrmy", 2, "0a1b2c3d-") == "image-steward-tmp-0a1b2c3d-img-6pb6lrmy-2"
