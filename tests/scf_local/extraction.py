"""Writes replayed events and their expected outcomes to a folder, as test cases."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from itertools import chain, count
from typing import TYPE_CHECKING, Any

from scf_local import output_files
from scf_local.cases import read_expected
from scf_local.console import note, usage_errors
from scf_local.entries import counted
from scf_local.environment import trigger_of
from scf_local.replay import EXPECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scf_local.replay import Case, ReplayedCase

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 100
_HEADER = re.compile(
    r'("(?:authorization|x-cos-security-token)": )"(?:[^"\\]|\\.)+"', re.IGNORECASE
)
_PARAMETER = re.compile(r"((?:q-signature|x-cos-security-token)=)[^&\"\\\s]+", re.IGNORECASE)
"""What signs the upload in a COS event: the folder may be committed."""


@contextmanager
def extracting(folder: Path | None) -> Iterator[Callable[[ReplayedCase], None]]:
    """Yield a function that writes an event at once; write `expected.json` in the end.

    Other entries of that file stay. Without a `folder`, nothing is written.
    """
    if folder is None:
        yield lambda _replayed: None
        return
    with usage_errors():
        folder.mkdir(parents=True, exist_ok=True)
        expected = read_expected(folder)
    written = {EXPECTED}
    changed = 0

    def add(replayed: ReplayedCase) -> None:
        nonlocal changed
        data = _json_of(replayed.case.event)
        path = _free_path(folder, replayed.case, data, written)
        output_files.write(path, [data])
        written.add(path.name)
        expected.pop(path.name, None)
        if entry := replayed.expectation:
            expected[path.name] = entry
        changed += bool(replayed.differences) and not replayed.invocation.exit_status

    try:
        yield add
    finally:
        if total := len(written) - 1:
            text = json.dumps(expected, ensure_ascii=False, indent=2)
            output_files.write(folder / EXPECTED, [text, "\n"])
            as_now = f"; {changed:,} of them ended otherwise by the log: expected as replayed now"
            note(f"{folder}: {counted(total, 'event')}, {EXPECTED}{as_now * bool(changed)}")


def _free_path(folder: Path, case: Case, data: bytes, written: set[str]) -> Path:
    """The first name for an event's file that no other content has."""
    # In a *.json file, a list is several events.
    suffix = ".jsonl" if isinstance(case.event, list) else ".json"
    stem = (case.logged and case.logged.function) or case.path.stem
    safe = [_UNSAFE.sub("-", name)[:_MAX_NAME].strip(".-") for name in (stem, case.short_id)]
    name = "-".join(filter(None, safe)) or "event"
    paths = (folder / f"{name}{end}{suffix}" for end in chain([""], (f"-{n}" for n in count(2))))
    return next(
        path
        for path in paths
        if path.name not in written and not path.is_dir()
        if not path.exists() or path.read_bytes() == data
    )


def _json_of(event: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """An event as JSON, without the signature and the token of an upload."""
    text = json.dumps(event, ensure_ascii=False, indent=None if isinstance(event, list) else 2)
    if trigger_of(event) == "cos":
        text = _PARAMETER.sub(r"\1removed", _HEADER.sub(r'\1"removed"', text))
    return f"{text}\n".encode(errors="backslashreplace")
