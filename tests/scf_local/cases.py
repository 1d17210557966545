"""Reads the events to replay, and `expected.json`, from files, folders and logs."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any

from image_steward.messages import nearest, shown
from scf_local import json_files, log_records, logged_runs
from scf_local.console import read_input
from scf_local.log_records import Record
from scf_local.replay import EXPECTED, OUTCOMES, Case, is_outcome
from scf_local.terminal_text import printable

Entry = dict[str, Any]

_JSON_LINES = (".jsonl", ".ndjson")
_SUFFIXES = (".json", *_JSON_LINES)
"""The files that are read in a folder."""
_MEMBERS = ("Outcome", "Codes", "Result")
"""Of an entry in `expected.json`."""
STDIN = Path("-")


@dataclass
class Cases:
    """The events that were read; `problems` are messages about runs that cannot be replayed."""

    events: list[Case] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def only(self, patterns: Iterable[str]) -> list[Case]:
        """The events that match a pattern: number, name, glob, request id or function; else all.

        Raises:
            ValueError: a pattern matches no event.
        """
        patterns = list(patterns)
        selected: set[int] = set()
        for pattern in patterns:
            matches = {case.number for case in self.events if _matches(case, pattern)}
            if not matches:
                raise ValueError(self._no_match(pattern))
            selected |= matches
        return [case for case in self.events if case.number in selected or not patterns]

    def _no_match(self, pattern: str) -> str:
        names = [printable(name) for case in self.events for name in _names(case)]
        return (
            f"--only {pattern[:80]!r} matches no event; use a number up to {len(self.events)}, a "
            "name as --list shows it (wildcards: * and ?), a request id or the name of a function"
            f"{nearest(pattern, names)}"
        )


def read_cases(paths: Iterable[Path], region: str = "ap-guangzhou") -> Cases:
    """The events in files, folders (their `*.json`, `*.jsonl` and `*.ndjson`, by name) and `STDIN`.

    `region` is the function's, for events that are rebuilt from its log.

    Raises:
        ValueError: the errors of all unreadable files and lines, one per line.
    """
    cases = Cases()
    errors: list[str] = []
    expected_in = cache(read_expected)
    paths = list(paths)
    if paths.count(STDIN) > 1:
        raise ValueError("- is given twice, but standard input can be read only once")
    files = (_files_in(path) if path.is_dir() else [path] for path in paths)
    for path in chain.from_iterable(files):
        try:
            new = list(_read_file(path, region, cases.problems))
            _add(cases, new, {} if path == STDIN else expected_in(path.parent))
        except ValueError as error:  # noqa: PERF203 - reports every error
            errors.append(str(error))
        except OSError as error:
            errors.append(f"{path}: {error.strerror}")
    if errors:
        raise ValueError("\n".join(dict.fromkeys(errors)))  # those of a folder once
    if not cases.events:
        raise ValueError("\n".join([*cases.problems, _NO_EVENTS]))
    labels = Counter(case.label for case in cases.events)
    cases.events = [replace(c, is_alone=labels[c.label] == 1) for c in cases.events]
    return cases


_NO_EVENTS = (
    "no events found; an event is a *.json file directly in a folder, a line of a *.jsonl file, or "
    "a run in a log; logs in a folder are not read, so pass the path of the log itself"
)


def _add(cases: Cases, new: list[Case], expected: dict[str, Entry]) -> None:
    """Add the events of one file with their numbers and expected outcomes."""
    entries = _entries_of(expected, new[0].path, new) if new else {}
    for case in new:
        if not case.logged and (problem := log_records.why_not_event(case.event)):
            raise ValueError(f"{case.name}: {problem}")
        entry = entries.get(case.event_id, expected.get(case.path.name))
        cases.events.append(replace(case, expected=entry, number=len(cases.events) + 1))


def _read_file(path: Path, region: str, problems: list[str]) -> Iterator[Case]:
    if path.name == EXPECTED:
        raise ValueError(f"{path}: not an event; it holds the expected outcomes of a folder")
    data, is_stdin = read_input(str(path), "log"), path == STDIN
    path = Path("stdin") if is_stdin else path
    records, line_errors = log_records.read(data, str(path))
    if records:
        problems += line_errors  # the other lines can still be replayed
        return _read_log(path, records, region, problems)
    value: Any = json_files.sequence(data)
    if path.suffix in _JSON_LINES and not value:
        return _read_lines(path, data)
    try:
        value = value or json_files.parse(data, str(path))
    except ValueError as error:
        if path.suffix == ".json":
            raise
        if is_stdin and data.strip():
            with suppress(ValueError):
                return _read_lines(path, data)
        raise ValueError(f"{error}; nor is it a log: no line has a request id") from None
    if isinstance(value, list) and value and all(isinstance(event, dict) for event in value):
        return (Case(path, event, event_id=str(i)) for i, event in enumerate(value, 1))
    return iter([Case(path, value)])


def _read_lines(path: Path, data: bytes) -> Iterator[Case]:
    """The events of JSON Lines."""
    lines = list(json_files.parsed_lines(io.BytesIO(data), str(path)))
    if errors := [error for *_, error in lines if error]:
        raise ValueError("\n".join(errors))
    return (Case(path, value, event_id=str(number)) for number, _, value, _ in lines)


def _read_log(
    path: Path, records: list[Record], region: str, problems: list[str]
) -> Iterator[Case]:
    functions = sorted({printable(record.function, 64) for record in records if record.function})
    if len(functions) > 1:
        problems.append(
            f"{path}: contains runs of {len(functions)} functions: {', '.join(functions)}; "
            f"use --only {functions[0]} to replay those of one"
        )
    if not any(record.request_id for record in records):
        problems.append(f"{path}: no record has a request id; export SCF_RequestId too")
    problems += (
        f"{path}: {printable(text)}; not replayed" for text in logged_runs.swallowed(records)
    )
    for run in logged_runs.runs(records):
        try:
            event = run.event(region)
        except ValueError as error:  # noqa: PERF203 - reports every error
            name = f"run {printable(run.request_id, 64)} (outcome {run.summary.outcome})"
            problems.append(f"{path}: {name} cannot be replayed: {printable(error, 500)}")
        else:
            yield Case(path, event, event_id=run.request_id, logged=run.summary)


def _names(case: Case) -> tuple[str, ...]:
    function = case.logged.function if case.logged else ""
    return tuple(filter(None, (case.label, case.path.name, case.name, case.request_id, function)))


def _matches(case: Case, pattern: str) -> bool:
    is_id = case.request_id and log_records.by_prefix([case.request_id], pattern)
    names = (str(case.number), *_names(case))
    return bool(is_id) or pattern in names or any(fnmatchcase(name, pattern) for name in names)


def read_expected(folder: Path) -> dict[str, Entry]:
    """The entries of a folder's `expected.json`, by event; empty if there is no such file.

    Raises:
        ValueError: it is not `{"<file>": {"Outcome": "…", "Codes": ["…"], "Result": {…}}}` with at
            least one member in each entry, or a file is missing.
    """
    path = folder / EXPECTED
    expected = json_files.read(path) if path.is_file() else {}
    if not isinstance(expected, dict):
        raise ValueError(f'{path}: must be an object {{"<file>": {{"Outcome": "applied"}}}}')  # noqa: TRY004 - callers expect ValueError
    for name, entry in expected.items():
        if violation := _violation_of(folder, name, entry):
            raise ValueError(f"{path}: {name}: {violation}")
    return expected


def _entries_of(expected: dict[str, Entry], path: Path, events: list[Case]) -> dict[str, Entry]:
    """The entries for single events of a file, by the events' ids.

    Raises:
        ValueError: the id in an entry is not that of one event, or begins those of several.
    """
    event_ids = dict.fromkeys(event.event_id for event in events)
    entries = {}
    for name, entry in expected.items():
        file, colon, given = name.rpartition(":")
        if colon and file == path.name:
            ids = log_records.by_prefix(event_ids, given)
            if len(ids) != 1:
                near = nearest(name, [f"{file}:{known}".rstrip(":") for known in ids or event_ids])
                problem = f"begins {len(ids)} request ids" if ids else "event not found"
                raise ValueError(f"{path.parent / EXPECTED}: {name}: {problem}{near}")
            entries[ids[0]] = entry
    return entries


def _files_in(folder: Path) -> list[Path]:
    """The files in a folder that may contain events."""
    files = (file for file in folder.iterdir() if file.suffix in _SUFFIXES)
    return sorted(file for file in files if file.name != EXPECTED)


def _violation_of(folder: Path, name: str, entry: Any) -> str:  # noqa: ANN401 - any JSON value
    if not any((folder / file).is_file() for file in (name, name.rpartition(":")[0] or name)):
        return f"event not found{nearest(name, [file.name for file in _files_in(folder)])}"
    if not isinstance(entry, dict) or not entry or (wrong := entry.keys() - set(_MEMBERS)):
        near = nearest(min(wrong), _MEMBERS) if isinstance(entry, dict) and entry else ""
        return f"is {shown(entry)}; must be an object with Outcome, Codes or Result{near}"
    outcome, codes = entry.get("Outcome", OUTCOMES[0]), entry.get("Codes", [])
    if not is_outcome(outcome):
        near = nearest(outcome, OUTCOMES)
        return (
            f"Outcome {shown(outcome)} is not one of {', '.join(OUTCOMES)}, nor the class of an "
            f"exception, such as ValueError{near}"
        )
    is_valid = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    return "" if is_valid else f"Codes is {shown(codes)}; must be a list of strings"
