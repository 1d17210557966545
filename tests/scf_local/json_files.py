"""JSON files: hand-written ones, read strictly, and events, which may hold all that SCF accepts."""

from __future__ import annotations

import codecs
import gzip
import io
import json
import re
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, NoReturn, cast

from image_steward import strict_json
from image_steward.errors import InvalidJSON

MAX_EVENT_DEPTH = 500
"""Levels of events and results, which are only passed on and shown; Python fails near 1,000."""
_MAX_UNPACKED = 256 << 20
"""Largest size of an unpacked gzip file, in bytes."""
_COMPRESSED = re.compile(rb"PK\x03\x04|\xfd7zXZ|BZh[1-9]1AY|\x28\xb5\x2f\xfd")
_BETWEEN = re.compile(r"^\}\s*^(?=\{)", re.MULTILINE)
"""Between two objects that `jq .` has printed."""


def read(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    """The value in a hand-written file: a seed, faults, expected outcomes.

    Raises:
        ValueError: the file cannot be read or is not strict JSON; begins with its path.
    """
    try:
        return loads(unpacked(path.read_bytes(), str(path)), str(path))
    except OSError as error:
        raise ValueError(f"{path}: {error.strerror}") from None


def loads(data: bytes, name: str) -> Any:  # noqa: ANN401 - any JSON value
    """The value in the content of a hand-written file.

    Raises:
        ValueError: it is not strict JSON; begins with the file's `name`.
    """
    try:
        return strict_json.loads(data)
    except InvalidJSON as error:
        raise ValueError(f"{name}: not JSON: {error.message}") from None


def unpacked(data: bytes, name: str) -> bytes:
    """What a file of the user contains, as UTF-8: gzip is unpacked, and UTF-16 is converted.

    Other data is returned as it is.

    Raises:
        ValueError: it is damaged or cut gzip, too large, compressed otherwise, or partly UTF-16;
            begins with the file's `name`.
    """
    return unpacked_stream(io.BytesIO(data), io.BytesIO(), name).read()


def unpacked_stream(source: BinaryIO, target: BinaryIO, name: str) -> BinaryIO:
    """As `unpacked`, for a file of any size; UTF-16 is converted into `target`, an empty file."""
    is_zipped = source.read(2) == b"\x1f\x8b"
    source.seek(0)
    if is_zipped:
        source = _unzipped(source, name)
    start = source.read(4096)
    if start.startswith(b"PK") and contains(source, "[Content_Types].xml"):
        raise ValueError(f'{name}: an Excel workbook; save it as "CSV UTF-8"')
    if _COMPRESSED.match(start):
        raise ValueError(f"{name}: compressed; only gzip is read, so unpack it first")
    even, odd = start[::2].count(0), start[1::2].count(0)
    has_mark = start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    # In UTF-16, every second byte of ASCII is zero.
    is_wide = max(even, odd) > (0 if has_mark else max(4 * min(even, odd), len(start) // 8))
    # PowerShell's >> appends UTF-16, whatever the file is. Each line of a log has this word.
    others = ("utf-8",) if is_wide else ("utf-16-le", "utf-16-be")
    if any(contains(source, "RequestId", encoding) for encoding in others):
        raise ValueError(f"{name}: is partly UTF-16 and partly UTF-8; save it in one encoding")
    if is_wide:
        source = _narrowed(source, target, "utf-16-le" if odd > even else "utf-16-be")
    source.seek(0)
    return source


def _unzipped(source: BinaryIO, name: str) -> BinaryIO:
    content = cast("BinaryIO", gzip.GzipFile(fileobj=source))
    try:
        is_large = content.seek(_MAX_UNPACKED + 1) > _MAX_UNPACKED  # or it stops at the end
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{name}: gzip that is damaged or cut off: {error}") from None
    if is_large:
        raise ValueError(f"{name}: unpacks to more than {_MAX_UNPACKED >> 20} MB; split it")
    content.seek(0)
    return content


def _narrowed(source: BinaryIO, target: BinaryIO, encoding: str) -> BinaryIO:
    """The text of a UTF-16 file as UTF-8; half a character at the end is ignored."""
    source.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    target.writelines(decoder.decode(line).encode("utf-8", "surrogatepass") for line in source)
    return target


def contains(stream: BinaryIO, text: str, encoding: str = "utf-8") -> bool:
    """Whether a file has a line that contains a text."""
    stream.seek(0)
    sought = text.encode(encoding)
    return any(sought in line for line in stream)


def whole(stream: BinaryIO) -> bytes:
    """The content of a file that begins like one JSON value, or a `sequence`.

    Empty for another file, such as text or JSON Lines: only its first line is read.
    """
    stream.seek(0)
    stream.seek(len(codecs.BOM_UTF8) * (stream.read(3) == codecs.BOM_UTF8))
    lines = filter(bytes.strip, stream)
    first = next(lines, b"").lstrip()
    with suppress(ValueError, RecursionError):
        json.loads(first)
        return b"" if next(lines, None) else first
    stream.seek(0)
    return stream.read() if first.startswith((b"{", b"[")) else b""


def parsed_lines(lines: Iterable[bytes], name: str) -> Iterator[tuple[int, bytes, Any, str]]:
    """The lines that are not blank: number, line, JSON value, and why it is not JSON or empty."""
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                yield number, line.rstrip(), parse(line, name, line=number), ""
            except ValueError as error:
                yield number, line.rstrip(), None, str(error)


def sequence(data: bytes) -> list[Any]:
    """Several objects, as `jq .` prints them: each on several lines; empty for any other file."""
    with suppress(ValueError, RecursionError):
        text, count = _BETWEEN.subn("},", data.decode("utf-8-sig"))
        values = json.loads(f"[{text}]", parse_constant=reject_constant) if count else []
        return [] if is_deep(values, text, MAX_EVENT_DEPTH) else values
    return []


def parse(data: bytes, name: str, *, line: int = 0) -> Any:  # noqa: ANN401 - any JSON value
    """The value in `data`, an event or a line of a log: UTF-8 with or without a byte order mark.

    `line` is the line number of `data` in a file of several values.

    Raises:
        ValueError: `<name>:<line>:<column>: <problem>`, with line and column where known.
    """
    name = f"{name}:{line}" if line else name
    text = decode(data, name)
    try:
        value = json.loads(text, parse_constant=reject_constant)
    except json.JSONDecodeError as error:
        position = error.colno if line else f"{error.lineno}:{error.colno}"
        problem = strict_json.reason(error) if text.strip() else "it is empty"
        raise ValueError(f"{name}:{position}: not JSON: {problem}") from None
    except RecursionError:
        raise ValueError(f"{name}: nested deeper than {MAX_EVENT_DEPTH} levels") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if is_deep(value, text, MAX_EVENT_DEPTH):
        raise ValueError(f"{name}: nested deeper than {MAX_EVENT_DEPTH} levels")
    return value


def is_deep(value: object, text: str, levels: int) -> bool:
    """Whether the value of a JSON text has more than `levels` levels of lists and objects."""
    if text.count("[") + text.count("{") <= levels:  # much faster than walking the value
        return False
    level: list[Any] = [value]
    for _ in range(levels):
        level = [
            child
            for parent in level
            for child in (parent.values() if isinstance(parent, dict) else parent)
            if isinstance(child, (dict, list))
        ]
    return bool(level)


def decode(data: bytes, name: str) -> str:
    """The text of a hand-written file.

    Raises:
        ValueError: it is not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{name}: not UTF-8 at byte {error.start}") from None


def compact(value: object) -> str:
    """A value as JSON without blanks."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def reject_constant(name: str) -> NoReturn:
    """Reject `NaN` and the like, which Python would read as JSON."""
    raise ValueError(f"not JSON: {name} is not a JSON number")
