"""Renders an HTML page that loads nothing and runs only its own script.

`base.css` and `base.js` come before the `page.css` and `page.js` of the page's folder, whose
`page.html` extends `base.html`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from scf_local.changes import ABSENT

_SHARED = Path(__file__).parent
_PLACEHOLDERS = {ABSENT: "none", '""': "empty"}


def render(folder: Path, **values: object) -> Iterator[str]:
    """Render the page of a folder in chunks, so that thousands of rows are not in memory twice."""
    environment = Environment(
        loader=FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["dense"] = lambda html: Markup(re.sub(">\n+<", "><", html))  # noqa: S704 - as it was
    environment.globals.update(placeholders=_PLACEHOLDERS, absent=ABSENT)
    style, script = (
        "".join(
            (path / name).read_text(encoding="utf-8")
            for path, name in ((_SHARED, f"base.{kind}"), (folder, f"page.{kind}"))
        )
        for kind in ("css", "js")
    )
    return environment.get_template("page.html").generate(
        style=style, script=script, style_hash=_hash(style), script_hash=_hash(script), **values
    )


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
