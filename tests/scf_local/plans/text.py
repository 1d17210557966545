"""A plan as text for a terminal: totals, rules, then one line an image."""

from __future__ import annotations

import json
import math
import textwrap
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text

from scf_local.changes import text_of
from scf_local.plans.plan import PLANNED, SKIPPED, Plan, PlannedImage
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from rich.console import Console

MAX_REASONS = 10
"""Reasons to list for skipped images; the others are counted."""

MAX_COLUMNS = 10_000
"""Of a plan in a file or a pipe: each image is one line."""

_GAP = 2
_LONG = 4096
_DETAILS = (_LONG, 12, 0, -1)
"""Levels of detail: the length up to which values are shown; in the last one, tags are counted."""
_MOST = 0.9
"""The share of images that a column, and a level of detail, has to be right for."""
_MAX_KEY = 20
"""Columns of the names of rules; a longer one moves only its own rule."""
_FEW = 20
"""Images that are shown with all details, in several lines if need be."""
_SHORTENED = "Some values are left out to fit the width; --csv, --json and --html have all"


def printed(plan: Plan, console: Console, *, list_all: bool = False) -> str:
    """The plan, as wide as a console."""
    with console.capture() as captured:
        for line in lines_of(plan, console.width, list_all=list_all):
            console.print(line, soft_wrap=True)
    return captured.get()


def lines_of(plan: Plan, width: int, *, list_all: bool = False) -> Iterator[Text | str]:
    """The plan in lines of at most `width` columns, unless a single text is wider.

    Only rules are cut. Skipped images are counted by reason; with `list_all`, they are listed, and
    rules are whole.
    """
    yield Text(f"Plan of {printable(plan.source)}, {printable(plan.cloud)}", "bold")
    yield from _notices(plan)
    if plan.images:
        yield ""
        yield from _totals(plan, width)
    if plan.rules:
        yield ""
        rules = [(printable(key), printable(value, _LONG)) for key, value in plan.rules]
        key_width = min(max(cell_len(key) for key, _ in rules), _MAX_KEY)
        for key, value in rules:
            rule = _padded(Text(key), key_width).append(f"{' ' * _GAP}{value}")
            if not list_all:
                rule.truncate(width, overflow="ellipsis")
            yield rule
    if rows := [*plan.planned, *plan.others]:
        yield ""
        layout = _Layout(rows, width)
        yield from map(layout.line_of, rows)
        if layout.is_shortened:
            yield Text(_SHORTENED, "dim")
    if skipped := plan.skipped:
        yield ""
        yield Text(f"Skipped: {len(skipped):,}")
        yield from _reasons(skipped, len(skipped) if list_all else MAX_REASONS)
        if list_all:
            yield from map(_Layout(skipped, width).line_of, skipped)
    yield ""
    yield from end_of(plan)


def end_of(plan: Plan) -> Iterator[Text]:
    """The warnings and errors, and the number of images by status, planned ones first."""
    yield from _notices(plan)
    problems = (("Warning", plan.parts.warnings, "yellow"), ("Error", plan.parts.errors, "red"))
    for kind, entries, style in problems:
        for entry in entries:
            where = f"{entry.get('Source', '')} {entry.get('Path', '')}".strip()
            message = f"{entry.get('Code', '')}: {entry.get('Message', '')} ({where})"
            yield Text(f"{kind}: {printable(message, _LONG)}", style)
    statuses = Counter(image.status.capitalize() for image in plan.images)
    summary = plan.parts.summary or statuses
    counts = sorted(summary.items(), key=lambda pair: pair[0] != "Planned")
    words = [f"{count:,} {printable(name.lower())}" for name, count in counts if count]
    words[1:1] = [f"{len(plan.waiting):,} of them would wait"] if plan.waiting else []
    yield Text(", ".join(words) or "no image would change", "bold")


def _notices(plan: Plan) -> Iterator[Text]:
    """What limits the plan as a whole."""
    if plan.result.get("Truncated"):
        planned = plan.parts.summary.get("Planned", len(plan.planned))
        listed = f"{len(plan.planned):,} of {planned:,} planned images and their totals are shown"
        yield Text(f"The result was too long: {listed}", "yellow")
    if plan.documents > 1:
        yield Text("Each document of the event is planned as if it were the only one", "yellow")


def _totals(plan: Plan, width: int) -> Iterator[Text]:
    """The number of images by region, kind of change and status; as a list if that is too wide."""
    columns = [printable(f"{column[:1].upper()}{column[1:]}") for column in plan.columns]
    totals = [(printable(region), [f"{n:,}" for n in counts]) for region, counts in plan.totals]
    rows = [("", columns), *totals]
    head = max(cell_len(region) for region, _ in rows)
    sizes = [max(map(cell_len, cells)) for cells in zip(*(cells for _, cells in rows), strict=True)]
    if head + sum(sizes) + _GAP * len(sizes) <= width:
        for region, cells in rows:
            line = _padded(Text(region, "" if region else "bold"), head)
            for cell, size in zip(cells, sizes, strict=True):
                line.append(" " * (_GAP + size - cell_len(cell)) + cell)
            yield line
        return
    for region, cells in totals:
        yield Text(region)
        pairs = zip(cells, plan.columns, strict=True)
        counts = [f"{c}\N{NO-BREAK SPACE}{name}" for c, name in pairs if c != "0"]
        for text in textwrap.wrap(", ".join(counts), max(width - _GAP, 1), break_long_words=False):
            yield Text(f"{' ' * _GAP}{printable(text)}".replace("\N{NO-BREAK SPACE}", " "))


def _reasons(skipped: Iterable[PlannedImage], most: int) -> Iterator[Text]:
    counts = Counter(image.reason for image in skipped).most_common()
    for reason, count in counts[:most]:
        yield Text(f"{count:>5,}  {printable(reason, _LONG)}", "dim")
    if others := counts[most:]:
        count = sum(count for _, count in others)
        yield Text(f"{count:>5,}  for {len(others):,} other reasons; --all lists them", "dim")


class _Layout:
    """The columns of a list of images."""

    def __init__(self, images: Sequence[PlannedImage], width: int) -> None:
        self._width = width
        self.is_shortened = False
        heads = [max(cell_len(t) for t in texts) for texts in zip(*map(_head, images), strict=True)]
        region = heads[0] + _GAP
        name = region + heads[1] + _GAP
        room = width - name - 1
        renamed = [image for image in images if _is_renamed(image)]
        old = _usual(cell_len(text_of(image.name)) for image in renamed or images)
        new = _usual(cell_len(_new_name(image)) for image in renamed)
        old = min(old, max(room // 2, room - new))
        arrow = name + old + 1
        self._stops = (0, region, name, arrow, arrow + (min(new, room - old) + _GAP if new else 1))
        self._levels = _DETAILS[:1] if len(images) <= _FEW else self._levels_for(images)

    def line_of(self, image: PlannedImage) -> Text:
        """An image in one line, or in several if it is too wide; never cut within a text."""
        for length in self._levels:
            line = self._line_of(image, changes := _changes(image, length))
            if "\n" not in line.plain:
                break
        self.is_shortened |= changes != _changes(image, _LONG)
        return line

    def _levels_for(self, images: Sequence[PlannedImage]) -> Sequence[int]:
        """The levels of detail from the first one that is short enough for most images."""
        for level, length in enumerate(_DETAILS[:-1]):
            lines = (self._line_of(image, _changes(image, length)).plain for image in images)
            if sum("\n" not in line for line in lines) >= _MOST * len(images):
                return _DETAILS[level:]
        return _DETAILS[-1:]

    def _line_of(self, image: PlannedImage, changes: Sequence[str]) -> Text:
        style = {PLANNED: "yellow", SKIPPED: "dim"}.get(image.status, "red")
        reason = f"{image.status} {image.reason}" if style == "red" else image.reason
        pieces = [
            *(Text(text) for text in _head(image)),
            Text(text_of(image.name) if image.name else ""),
            Text(_new_name(image), "green"),
            *(Text(text, "cyan") for text in changes),
            Text(printable(reason, _LONG), style),
        ]
        stops = chain(self._stops, repeat(0))
        pairs = [(piece, stop) for piece, stop in zip(pieces, stops, strict=False) if piece]
        gaps = [1 if piece.plain.startswith("→") else _GAP for piece, _ in pairs]
        spare = self._width - sum(piece.cell_len for piece, _ in pairs) - sum(gaps[1:])
        line, column = Text(), 0
        for (piece, stop), least in zip(pairs, gaps, strict=True):
            gap = max(stop - column, least) if column else 0
            if spare >= 0:  # all is in one line, aligned as far as there is room
                gap = min(gap, least + spare)
                spare -= max(gap - least, 0)
            elif column and column + gap + piece.cell_len > self._width:
                line.append("\n")
                column, gap = 0, self._stops[2]
            line.append(" " * gap).append_text(piece)
            column += gap + piece.cell_len
        return line


def _usual(widths: Iterable[int]) -> int:
    """The width that most texts do not exceed: a few long ones must not move all the others."""
    ordered = sorted(widths)
    return ordered[math.ceil(_MOST * len(ordered)) - 1] if ordered else 0


def _head(image: PlannedImage) -> tuple[str, str]:
    return printable(image.image_id), printable(image.region)


def _is_renamed(image: PlannedImage) -> bool:
    return "ImageName" in image.after


def _new_name(image: PlannedImage) -> str:
    return f"→ {text_of(image.after['ImageName'])}" if _is_renamed(image) else ""


def _changes(image: PlannedImage, length: int) -> list[str]:
    """What changes besides the name, with new values of at most `length` characters.

    Tags have a `+` if they are bound, `~` if they get another value, `-` if they are deleted.
    """
    words: dict[str, list[str]] = {sign: [] for sign in ("", "+", "~", "-")}
    for name, value in image.after.items():
        if name == "ImageName":
            continue
        is_tag, is_new = name.startswith("Tag."), image.before[name] is None
        sign = ("-" if value is None else "+" if is_new else "~") if is_tag else ""
        text = f"{sign}{_value(name.removeprefix('Tag.'))}"
        shown = _value(value)
        words[sign].append(text if sign == "-" or len(shown) > length else f"{text}={shown}")
    if length < 0:
        counts = {sign: len(words[sign]) for sign in "+~-" if words[sign]}
        return words[""] + [f"{s}{n} tag{'s' * (n > 1)}" for s, n in counts.items()]
    return [text for texts in words.values() for text in texts]


def _value(value: object) -> str:
    """A value as one word."""
    text = value if isinstance(value, str) else json.dumps(value)
    is_word = text and text[0] not in "+-~" and not any(c.isspace() or c in '"=' for c in text)
    return printable(text if is_word else json.dumps(text, ensure_ascii=False), _LONG)


def _padded(text: Text, width: int) -> Text:
    return text.append(" " * max(0, width - text.cell_len))
