"""The characters of names, families and tags: what is not allowed, and what is removed. Pure."""

from __future__ import annotations

import re

from image_steward.limits import LENGTHS
from image_steward.messages import short

CONTROL = r"\u0000-\u001f\u007f-\u009f\u2028\u2029"
"""Control characters and line ends, as in the brackets of a pattern; the schemas repeat them."""

INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f"
    r"\u3164\ufeff\uffa0\ufff9-\ufffb\U0001d173-\U0001d17a\U000e0001"
)
"""Zero width characters, fillers and direction marks, as in the brackets of a pattern.

Without the joiners, which belong to words, and the variation selectors, which belong to emoji.
"""


def clean(text: str) -> str:
    """A rendered text without invisible characters, and without blanks at its ends.

    Unpaired surrogates, which an image may have but no call, are removed as well.
    """
    if text.isascii():
        return text.strip()
    return re.sub(f"[{INVISIBLE}]", "", text.encode(errors="ignore").decode()).strip()


def value_error(name: str, text: str) -> str:
    """Why no document may set a value, of an attribute or `Tag.…`; empty if one may."""
    # Most texts are printable; the pattern takes time to compile.
    found = None if text.isprintable() else re.search(f"[{CONTROL}]", text)
    if found and name != "ImageDescription":
        code = f"U+{ord(found[0]):04X}"
        return f"{short(text)} contains {code}; no control character or line end is allowed"
    if name == "TagKey" and text != clean(text):
        return f"{short(text)} has invisible characters, or blanks at its ends"
    least, most = LENGTHS.get(name.partition(".")[0], (0, len(text)))
    if least <= len(text) <= most:
        return ""
    return f"{short(text)} has {len(text)} characters; {least} to {most} are allowed"
