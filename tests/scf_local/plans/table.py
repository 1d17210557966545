"""Plans as tables that people edit: CSV, a row for each image. Pure."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from image_steward import registry
from image_steward.documents.validation import Violations
from image_steward.errors import InvalidDocument, Rejection
from image_steward.messages import short
from image_steward.model import ATTRIBUTES
from image_steward.reporting import undo as undo_entries
from image_steward.strict_json import is_text
from scf_local.entries import Entries, counted, document_of
from scf_local.plans.cells import cell_of, note_of, text_of, unsplit, value_of
from scf_local.plans.plan import PLANNED, SKIPPED, Plan, PlannedImage

_MAX_BYTES, _MAX_LINE_ENDS = 16 << 20, 100_000
"""50,000 rows with CR and LF: checking them takes 10 s, or 40 s with 30 tags each."""
_EXPECT, _TAG = "Expect.", "Tag."
_COLUMNS = ("Region", "ImageId", *ATTRIBUTES, *(_EXPECT + name for name in ATTRIBUTES))
_ALLOWED = f"; allowed are {', '.join(_COLUMNS[:6])}, Tag.<key>, Expect.<name>, #<note>"


@dataclass(frozen=True)
class Table(Entries):
    """What a table asks for; nothing if there are problems."""

    def __str__(self) -> str:
        if not self.texts:
            return "no change request, since the table has errors"
        regions = {entry["Region"] for entry in self.entries}
        text = f"{counted(len(self.texts), 'image')} of {counted(len(regions), 'region')}"
        return f"{text}; without Region: that of the function" if "" in regions else text


def csv_of(plan: Plan, *, all_images: bool = False) -> str:
    """The table of a plan, with a byte order mark: Excel would not read it as UTF-8 without.

    Images that would wait or fail have no new values, only the reason; with `all_images`, there
    are those that are skipped, too.
    """
    changed = {"ImageName"}.union(*(image.after for image in plan.planned))
    tags = sorted(name for name in changed if name.startswith(_TAG))
    names = [*filter(changed.__contains__, ATTRIBUTES), *tags]
    columns = [column for name in names for column in (_EXPECT + name, name)]
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\r\n")
    writer.writerow(["Region", "ImageId", "#Name", *map(unsplit, columns), "#Reason"])
    for image in plan.images:
        if image.status == SKIPPED and not all_images:
            continue
        # So that a name that somebody fills in does not overwrite another one.
        guard = {_EXPECT + "ImageName": cell_of(image.name)} if image.name else {}
        values = _cells(image) if image.status == PLANNED and not image.waits else guard
        head = (image.region, image.image_id, image.name)
        cells = [values.get(column, "") for column in columns]
        writer.writerow([*map(note_of, head), *cells, note_of(image.reason)])
    # Half a surrogate pair, which a name may have, has no UTF-8 form.
    return "\ufeff" + stream.getvalue().encode(errors="replace").decode()


def read(data: bytes, name: str) -> Table:
    """The change request in a table that `csv_of` wrote and people or spreadsheets changed.

    Problems begin with `<name>:<line>: `. An empty Region is that of the function.

    Raises:
        ValueError: it is not a table, is too large, or would change nothing; begins with `name`.
    """
    violations = Violations()
    try:
        entries = list(_entries(_rows(data, name), name, violations))
        violations.check()
    except InvalidDocument as error:
        return Table([], [": ".join(filter(None, violation)) for violation in error.details])
    if not entries:
        raise ValueError(f"{name}: no cell changes anything; fill in ImageName or another value")
    return Table(list(map(json.dumps, entries)), [])


def _cells(image: PlannedImage) -> dict[str, str]:
    """The cells of a planned image, by column; half a surrogate pair cannot be expected."""
    expected = {_EXPECT + n: v for n, v in image.before.items() if is_text(str(v))}
    values = {**image.after, **expected}.items()
    return {n: cell_of(v) for n, v in values if v is not None or _TAG in n}


def _rows(data: bytes, name: str) -> Iterator[tuple[int, list[str]]]:
    """The rows that are not blank, the header first, with the numbers of their first lines."""
    if len(data) > _MAX_BYTES or data.count(b"\r") + data.count(b"\n") > _MAX_LINE_ENDS:
        raise ValueError(f"{name}: has more than 16 MiB or 50,000 rows; split the table")
    if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["}:
        raise ValueError(f"{name}: is JSON, not a table; `plan` and `invoke` read it as it is")
    text = data.decode("utf-8-sig", "surrogateescape")
    if invalid := re.search("[\0\ud800-\udfff]", text):
        line = text.count("\n", 0, invalid.start()) + 1
        raise ValueError(f'{name}:{line}: not text in UTF-8; save the table as "CSV UTF-8"')
    header = re.split("[\r\n]", text.lstrip(), maxsplit=1)[0].replace('"', "")
    delimiter = max(",;\t", key=lambda d: len({*_COLUMNS}.intersection(header.split(d))))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            if any(map(str.strip, row)):
                yield line, row
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{name}:{line}: not CSV, or a quote is not closed: {error}") from None


def _check_header(position: str, header: list[str], violations: Violations) -> None:
    """Check the columns. Raises InvalidDocument, with all that is wrong with them."""
    for column, count in Counter(c for c in header if c and c[0] != "#").items():
        if column not in _COLUMNS and not column.removeprefix(_EXPECT).startswith(_TAG):
            expect, prefix, key = re.findall(r"(?is)\A(expect\.)?(tags?\.)?(.*)\Z", column)[0]
            tag = f"{_EXPECT if expect else ''}{_TAG}{key}"
            known = (*_COLUMNS, tag) if prefix or (expect and key not in _COLUMNS) else _COLUMNS
            hint = violations.nearest(column, known) or f"{_ALLOWED}; for a tag: {tag}"
            violations.add(position, f"unknown column {short(column)}{hint}")
        elif count > 1:
            violations.add(position, f"column {column} appears {count} times")
    if "ImageId" not in header:
        violations.add(position, "column ImageId is missing")
    violations.check()


def _entries(
    rows: Iterator[tuple[int, list[str]]], name: str, violations: Violations
) -> Iterator[dict[str, Any]]:
    """The entries of the rows that change something; adds what is wrong with the table."""
    line, header = next(rows, (1, list[str]()))
    try:
        header = list(map(text_of, header))
    except ValueError as error:
        violations.add(f"{name}:{line}", f"a column {error}")
        violations.check()
    _check_header(f"{name}:{line}", header, violations)
    lines: dict[tuple[str, str], int] = {}
    for line, row in rows:
        position = f"{name}:{line}: column "
        values: dict[str, Any] = {}
        # A row may have more cells than the header, or fewer.
        for column, cell in zip_longest(header[: len(row)], row, fillvalue=""):
            if not column.startswith("#") and cell.strip():
                try:
                    values[column] = value_of(column, cell)
                except ValueError as error:
                    violations.add(position + (column or "without a name"), str(error))
        image_key = str(values.pop("Region", "")), str(values.pop("ImageId", ""))
        expected = {n[7:]: values.pop(n) for n in tuple(values) if n.startswith(_EXPECT)}
        if not values:
            continue
        entry = undo_entries.entry_of(image_key, values, expected)
        if (first := lines.setdefault(image_key, line)) < line:
            violations.add(f"{position}ImageId", f"{image_key[1]} is already in line {first}")
        try:
            # Without Region, that of the function counts, whatever it is.
            registry.read(json.dumps(document_of([entry])).encode(), region="-")
        except Rejection as error:
            for path, message in error.details:
                violations.add(position + _column(path, message, values, expected), message)
        yield entry


def _column(path: str, message: str, values: dict[str, Any], expected: dict[str, Any]) -> str:
    """The column of a path within an entry; a message about all tags may name one."""
    prefix = _EXPECT if path.startswith("/Images/0/Expect/") else ""
    member, index = [*path.split("/")[4 if prefix else 3 :], "", ""][:2]
    if member not in {"Tags", "DeleteTags"}:
        return prefix + (member or "(any)")
    tags = (n for n in (expected if prefix else values).items() if n[0].startswith(_TAG))
    names = [name for name, value in tags if (value is None) == (member == "DeleteTags")]
    named = [names[int(index)]] if index else [n for n in names if short(n[4:]) in message]
    return prefix + [*named, "Tag.<key>"][0]
