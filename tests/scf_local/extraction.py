"""Writes replayed events and their expected outcomes to a folder, as test cases."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain, count
from pathlib import Path
from typing import Any

from scf_local import json_files, log_records, output_files
from scf_local.cases import read_expected
from scf_local.console import note, usage_errors
from scf_local.entries import counted
from scf_local.environment import trigger_of
from scf_local.replay import EXPECTED, Case, ReplayedCase

_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_MAX_NAME = 100
_SECRETS = ("authorization", "security-token")
_PARAMETER = re.compile(
    r"((?:q-signature|q-ak|x-cos-security-token)(?:=|%3d))[^&%\"\\\s]+", re.IGNORECASE
)
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
        data, name = _json_of(replayed.case.event), replayed.case.name
        try:
            problem = log_records.why_not_event(json_files.parse(data, name))
        except ValueError as error:
            problem = str(error)
        if problem:  # a log may hold what no file of events does
            note(f"{name}: not extracted: {problem}")
            return
        path = _free_path(folder, replayed.case, data, written)
        output_files.write(path, [data])
        written.add(path.name)
        if replayed.case.logged:  # else an entry there was written by hand
            expected.pop(path.name, None)
        if entry := replayed.expectation:
            expected[path.name] = entry
        changed += bool(replayed.differences) and not replayed.invocation.exit_status

    try:
        yield add
    finally:
        if total := len(written) - 1:
            output_files.write_json(folder / EXPECTED, expected)
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
        if path.name not in written
        if not os.path.lexists(path) or (path.is_file() and path.read_bytes() == data)
    )


def _json_of(event: Any) -> bytes:  # noqa: ANN401 - any JSON value
    """An event as JSON, without the signature and the token of an upload."""
    clean = _clean(event) if trigger_of(event) == "cos" else event
    text = json.dumps(clean, ensure_ascii=False, indent=None if isinstance(event, list) else 2)
    return f"{text}\n".encode(errors="backslashreplace")


def _clean(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, dict):
        return {
            k: "removed" if k.lower().endswith(_SECRETS) else _clean(v) for k, v in value.items()
        }
    if isinstance(value, list):
        return list(map(_clean, value))
    if not isinstance(value, str):
        return value
    with suppress(ValueError, RecursionError):
        if value.startswith(("{", "[")):
            return json.dumps(_clean(json.loads(value)), ensure_ascii=False)
    return _PARAMETER.sub(r"\1removed", value)
