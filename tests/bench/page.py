"""Presents the figures of a run: as a table, as a chart, and in docs/bench.md."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from promises import Promise

    Figures = Sequence[tuple[Promise, float]]

DOCS = Path(__file__).parents[2] / "docs"
START, END = "<!-- written by make bench -->", "<!-- end -->"
ROW, LEFT, WIDTH = 26, 430, 760
"""Pixels of the chart: height of a row, width of the labels, total width."""


def rows(figures: Figures) -> Iterator[tuple[str, str, str, str]]:
    """Yield the rows of the table: promise, bound, measured figure, and whether it is kept."""
    for promise, figure in figures:
        bound, kept = "", ""
        if promise.at_least is not None or promise.at_most is not None:
            low = promise.at_least is not None
            bound = f"≥ {promise.at_least}" if low else f"≤ {promise.at_most}"
            kept = "yes" if promise.is_kept_by(figure) else "NO"
        yield promise.name, bound, f"{figure:.3f}".rstrip("0").rstrip("."), kept


def machine() -> str:
    """Describe this machine and its Python."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.is_file() else []
    models = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    model = models[0] if models else platform.machine()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{os.cpu_count()} cores of {model}, {platform.system()}, {python}"


def drawing(figures: Figures) -> str:
    """Return an SVG chart of the used share of each upper bound; a dashed line marks the bound."""
    bars = [(p.name, value / p.at_most) for p, value in figures if p.at_most]
    scale = (WIDTH - LEFT - 60) / max(1.0, *(share for _, share in bars))
    body = []
    for i, (name, share) in enumerate(bars):
        y = i * ROW + ROW
        colour = "#2f7d5b" if share <= 1 else "#b3261e"
        body += [
            f'<text x="{LEFT - 10}" y="{y + 12}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{share * scale:.1f}" height="16" fill="{colour}"/>',
            f'<text x="{LEFT + share * scale + 6:.1f}" y="{y + 12}">{share:.0%}</text>',
        ]
    height = len(bars) * ROW + 2 * ROW
    line = f'<line x1="{LEFT + scale:.1f}" y1="{ROW - 6}" x2="{LEFT + scale:.1f}"'
    style = 'font-family="sans-serif" font-size="12" fill="#666" role="img"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" {style}>',
            "<title>How much of each bound is used; less is better</title>",
            *body,
            f'{line} y2="{height - ROW}" stroke="#888" stroke-dasharray="4 3"/>',
            "</svg>\n",
        ]
    )


def write(figures: Figures) -> None:
    """Write docs/bench.svg, and the part of docs/bench.md between `START` and `END`."""
    (DOCS / "bench.svg").write_text(drawing(figures), encoding="utf-8")
    page = DOCS / "bench.md"
    head, _, rest = page.read_text(encoding="utf-8").partition(START)
    table = ["| Promise | Bound | Measured | Kept? |", "|---|---|---|---|"]
    table += [f"| {' | '.join(row)} |" for row in rows(figures)]
    text = "\n".join([f"Measured on {machine()}.", "", *table])
    page.write_text(f"{head}{START}\n\n{text}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
