"""Files that commands write."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path


def check_writable(path: Path) -> None:
    """Fail before the work if the file cannot be written after it.

    Raises:
        ValueError: it is not a file.
        OSError: its folder cannot be written to.
    """
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: not a file, so it cannot be replaced")
    tempfile.TemporaryFile(dir=path.parent).close()


def write(path: Path, parts: Iterable[str | bytes]) -> None:
    """Write a file atomically, text as UTF-8.

    Raises:
        OSError: it cannot be written; names `path`.
    """
    path = path.resolve()  # to replace the target of a symbolic link, not the link
    unfinished = path.with_name(f".{path.name[:50]}.{os.getpid()}")  # shorter than any limit
    try:
        with unfinished.open("wb") as file:
            # Half a surrogate pair is not UTF-8; the replacement is what JSON would write for it.
            for part in parts:
                data = part if isinstance(part, bytes) else part.encode(errors="backslashreplace")
                file.write(data)
        unfinished.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: Path, value: object) -> None:
    """Write a JSON value, as `write` does."""
    write(path, [json.dumps(value, ensure_ascii=False, indent=2), "\n"])
