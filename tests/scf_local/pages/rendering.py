"""Renders an HTML page that loads nothing and runs only its own script.

`base.css` and `base.js` come before the `page.css` and `page.js` of the page's folder, whose
`page.html` extends `base.html`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scf_local.changes import ABSENT
from scf_local.terminal_text import printable

_TONES = {
    "applied": "good", "changed": "good",
    "planned": "info",
    "partial": "warn", "rejected": "warn", "pending": "warn", "unfinished": "warn",
    "would wait": "warn",
    "failed": "bad", "raised": "bad", "timeout": "bad", "memory": "bad", "exited": "bad",
}  # fmt: skip
_MAX_LABEL = 40
_SHARED = Path(__file__).parent
_PLACEHOLDERS = {ABSENT: "none", '""': "empty"}
_MAX_TEXT = 4096
"""Characters shown of a value."""
MAX_BLOCK = 64 * 1024
"""Characters shown of a log, a stack trace or a JSON value."""


class Badge(NamedTuple):
    """A word, and the tone that decides its colour."""

    text: str
    tone: str


def badge(word: object) -> Badge:
    """Return the badge of an outcome or a status, also of unknown ones from other functions."""
    text = printable(word, _MAX_LABEL)
    return Badge(text or "(empty)", _TONES.get(text, "quiet"))


def render(folder: Path, **values: object) -> Iterator[str]:
    """Render the page of a folder in chunks, so that thousands of rows are not in memory twice.

    All values but markup are shown as one line of printable text.
    """
    loader = FileSystemLoader([folder, _SHARED])
    environment = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, Markup) else printable(value, _MAX_TEXT),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        badge=badge, block=block, dense=_dense, one_a_line=_one_a_line, printable=printable
    )
    environment.globals.update(placeholders=_PLACEHOLDERS, absent=ABSENT)
    style, script = (
        "".join(loader.get_source(environment, f"{name}.{kind}")[0] for name in ("base", "page"))
        for kind in ("css", "js")
    )
    return environment.get_template("page.html").generate(
        style=style, script=script, style_hash=_hash(style), script_hash=_hash(script), **values
    )


def block(text: str) -> Markup:
    """Return lines of text without control characters, cut to `MAX_BLOCK` characters."""
    shown = (printable(line.expandtabs(), MAX_BLOCK) for line in text[:MAX_BLOCK].splitlines())
    cut = f"\n… cut here, of {len(text):,} characters" if len(text) > MAX_BLOCK else ""
    return Markup("\n").join(shown) + cut


def _dense(html: str) -> Markup:
    return Markup(re.sub(">\n+<", "><", html))  # noqa: S704 - as it was


def _one_a_line(values: Iterable[object]) -> Markup:
    return Markup("\n").join(map(printable, values))


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
