"""The cells of a table: values as texts that a spreadsheet leaves as they are. Pure."""

from __future__ import annotations

import json
import re
import unicodedata

from image_steward.messages import short
from scf_local.changes import ABSENT

_CONVERTED = re.compile(
    "(?i)(?:true|false|wahr|falsch|vrai|faux|verdadero|falso|vero|sant|falskt|waar|onwaar)\\Z|[mtshr]\\d+\\W\\d"
    "|(?:jan|ene|f[eé][bv]|m[aä]r|mrz|apr|a[bv]r|mai(?![^\\W\\d_])|may|ju[iln]|aug|ago|ao[uû]|sep"
    "|o[ck]t|nov|d[eéi][cz]|[日月火水木金土]|星期|[上下]午|午[前後]|오[전후]|明治|大正|昭和|平成|令和"
    "|民[国國])[^\\W\\d_]*[\\W_]*\\d|(?:usd|eur|gbp|chf|cny|rmb|jpy|hkd|twd|krw|sgd|inr|us\\$|hk\\$"
    "|nt\\$|r\\$|rs|rp|rm|kr)[\\W_]*\\d"
)
"""Texts that begin with a letter, but may be a boolean, a date, a time or money.

Spreadsheets read those of their own language; too many of these are better than too few.
"""


_DAMAGED = re.compile("[\0-\t\x0b-\x1f]|[;\n]\\s*[^\\w\\s]")
"""What a spreadsheet removes or replaces, or where it may begin a cell with a formula."""
_DIGITS_AFTER_LETTERS = re.compile("[^\\W\\d_]+(?:[\\W_]*\\d+)+\\Z")
"""Texts such as `web-2`, which may be a date in some language."""


def unsplit(text: str) -> str:
    """A text that no spreadsheet splits or damages; if need be, a JSON string after a backslash."""
    if not _DAMAGED.search(text):
        return text
    return "\\" + json.dumps(text, ensure_ascii=False).replace(";", "\\u003b")


def text_of(cell: str) -> str:
    """The text of which `unsplit` has made a cell.

    Raises:
        ValueError: what follows a backslash and a quote is no JSON string.
    """
    if not cell.startswith('\\"'):
        return cell
    try:
        return str(json.loads(cell[1:]))
    except ValueError:
        raise ValueError(f"is {short(cell)}; what follows the \\ is no JSON string") from None


def cell_of(value: object) -> str:
    """The cell of a value, as `value_of` reads it; None: the tag is absent.

    Without quotes is only what begins with a letter: all else may be a formula, a number or a date.
    """
    if value is None:
        return ABSENT
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if _DAMAGED.search(text):
        return unsplit(text)
    plain = unicodedata.normalize("NFKC", text)  # spreadsheets read full-width forms, too
    is_word = plain[:1].isalpha() and not plain[0].isnumeric()
    is_word = is_word and not (_CONVERTED.match(plain) or _DIGITS_AFTER_LETTERS.match(plain))
    return text if is_word and text == text.strip() else f'"{text}"'


def note_of(text: str) -> str:
    """The cell of an id or a note: the text as it is, unless it may be a formula."""
    plain = unicodedata.normalize("NFKC", text)
    return cell_of(text) if re.match("[=+@|-]", plain) or _DAMAGED.search(text) else text


def value_of(column: str, cell: str) -> str | bool | None:
    """The value in a cell that is not empty; None: the tag is absent.

    Raises:
        ValueError: such a cell is not allowed in the column.
    """
    name = column.removeprefix("Expect.")
    if not name:
        raise ValueError(f"has a cell, {short(cell)}")
    if cell == ABSENT and name.startswith("Tag."):
        return None
    plain = unicodedata.normalize("NFKC", cell).replace(" ", "").lower()
    if plain == ABSENT:
        allowed = f"{ABSENT} deletes a tag" if cell != ABSENT else "only a tag can be deleted"
        raise ValueError(f"is {short(cell)}; {allowed}; for this text, put it in quotes")
    # Some spreadsheets make typographic quotes of those that are typed.
    if re.fullmatch("[“”„«].*[“”»]", cell, re.DOTALL):
        raise ValueError(f'is {short(cell)}; quotes must be plain (")')
    if re.match("=|#(?:N/A|NAME|REF|VALUE|DIV|NUM|NULL)", cell):
        raise ValueError(
            f"is {short(cell)}, a formula, or the error of one; for this text, put it in quotes"
        )
    text = cell[1:-1] if re.fullmatch('".*"', cell, re.DOTALL) else text_of(cell)
    is_boolean = name == "ImageDeprecated"
    if is_boolean and text.lower() not in {"true", "false"}:
        raise ValueError(f"is {short(text)}; must be true or false")
    return text.lower() == "true" if is_boolean else text
