"""Reads the events to replay from files, folders and logs, and selects some of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from image_steward.messages import nearest, shown
from scf_local import json_files, log_records, logged_runs
from scf_local.replay import EXPECTED, OUTCOMES, Case
from scf_local.terminal_text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from scf_local.log_records import Record

JSON_LINES = (".jsonl", ".ndjson")
_SUFFIXES = (".json", *JSON_LINES)
"""The files that are read in a folder."""
_MIN_ID_LENGTH = 6
"""Minimum length of a shortened request id, in characters."""


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
    """The events in files, and in folders (their `*.json`, `*.jsonl` and `*.ndjson`, by name).

    `region` is the function's, for events that are rebuilt from its log.

    Raises:
        ValueError: the errors of all unreadable files and lines, one per line.
    """
    cases = Cases()
    errors: list[str] = []
    expected: dict[Path, dict[str, dict[str, Any]]] = {}
    files = (file for path in paths for file in (_folder(path) if path.is_dir() else [path]))
    for path in files:
        try:
            if path.parent not in expected:
                expected[path.parent] = {}  # so that its error is reported once
                expected[path.parent] = read_expected(path.parent)
            _add(cases, _read_file(path, region, cases.problems), expected[path.parent])
        except ValueError as error:  # noqa: PERF203 - reports every error
            errors.append(str(error))
        except OSError as error:
            errors.append(f"{path}: {error.strerror}")
    if errors:
        raise ValueError("\n".join(errors))
    if not cases.events:
        raise ValueError("\n".join([*cases.problems, _NO_EVENTS]))
    return cases


_NO_EVENTS = (
    "no events found; an event is a *.json file directly in a folder, a line of a *.jsonl file, or "
    "a run in a log; logs in a folder are not read, so pass the path of the log itself"
)


def read_expected(folder: Path) -> dict[str, dict[str, Any]]:
    """The entries of a folder's `expected.json`, by event; empty if there is no such file.

    Raises:
        ValueError: it is not `{"<file>": {"Outcome": "…", "Codes": ["…"]}}`, or a file is missing.
    """
    path = folder / EXPECTED
    expected = json_files.read(path) if path.is_file() else {}
    if not isinstance(expected, dict):
        raise ValueError(f'{path}: must be an object {{"<file>": {{"Outcome": "applied"}}}}')  # noqa: TRY004 - callers expect ValueError
    for name, entry in expected.items():
        violation = _violation_of(folder, name, entry)
        if violation:
            raise ValueError(f"{path}: {name}: {violation}")
    return expected


def _add(cases: Cases, new: Iterable[Case], expected: dict[str, dict[str, Any]]) -> None:
    """Add the events of one file with their numbers and expected outcomes."""
    event_ids = set()
    path = None
    for case in new:
        path = case.path
        if not case.logged and (problem := log_records.why_not_event(case.event)):
            raise ValueError(f"{case.name}: {problem}")
        event_ids.add(case.event_id)
        entry = expected.get(f"{path.name}:{case.event_id}", expected.get(path.name))
        cases.events.append(replace(case, expected=entry, number=len(cases.events) + 1))
    for name in expected if path else ():
        file, colon, event_id = name.rpartition(":")
        if colon and path and file == path.name and event_id not in event_ids:
            near = nearest(name, [f"{file}:{known}".rstrip(":") for known in event_ids])
            raise ValueError(f"{path.parent / EXPECTED}: {name}: event not found{near}")


def _folder(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix in _SUFFIXES)
    return sorted(file for file in files if file.name != EXPECTED)


def _read_file(path: Path, region: str, problems: list[str]) -> Iterator[Case]:
    if path.name == EXPECTED:
        raise ValueError(f"{path}: not an event; it holds the expected outcomes of a folder")
    data = json_files.unpacked(path.read_bytes(), str(path))
    records, line_errors = log_records.read(data, str(path))
    if records:
        problems += line_errors  # the other lines can still be replayed
        return _read_log(path, records, region, problems)
    value: Any = json_files.sequence(data)
    if path.suffix in JSON_LINES and not value:
        return _read_lines(path, data)
    try:
        value = value or json_files.parse(data, str(path))
    except ValueError as error:
        if path.suffix == ".json":
            raise
        raise ValueError(f"{error}; nor is it a log: no line has a request id") from None
    if isinstance(value, list) and value and all(isinstance(event, dict) for event in value):
        return (Case(path, event, event_id=str(i)) for i, event in enumerate(value, 1))
    return iter([Case(path, value)])


def _read_lines(path: Path, data: bytes) -> Iterator[Case]:
    """The events of JSON Lines."""
    lines = list(json_files.parsed_lines(data, str(path)))
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
    is_id = len(pattern) >= _MIN_ID_LENGTH and case.request_id.startswith(pattern)
    names = (str(case.number), *_names(case))
    return is_id or pattern in names or any(fnmatchcase(name, pattern) for name in names)


def _violation_of(folder: Path, name: str, entry: Any) -> str:  # noqa: ANN401 - any JSON value
    if not any((folder / file).is_file() for file in (name, name.rpartition(":")[0] or name)):
        return f"event not found{nearest(name, [file.name for file in _folder(folder)])}"
    if not isinstance(entry, dict) or not entry.keys() <= {"Outcome", "Codes"}:
        return f"is {shown(entry)}; must be an object with Outcome and, optionally, Codes"
    if entry.get("Outcome") not in OUTCOMES:
        near = nearest(entry.get("Outcome"), OUTCOMES)
        return f"Outcome {shown(entry.get('Outcome'))} is not one of {', '.join(OUTCOMES)}{near}"
    codes = entry.get("Codes", [])
    is_valid = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    return "" if is_valid else f"Codes is {shown(codes)}; must be a list of strings"
