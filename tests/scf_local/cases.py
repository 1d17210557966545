"""From files and folders to the events to replay: JSON, JSON Lines, logs; and which of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from image_steward.messages import nearest
from scf_local import json_files, log_records, logged_runs
from scf_local.cells import printable
from scf_local.replay import EXPECTED, OUTCOMES, Case

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from scf_local.log_records import Record

LINES = (".jsonl", ".ndjson")
_EVENTS = (".json", *LINES)
"""What is taken from a folder, by suffix."""
_MIN_ID = 6
"""Characters of a request id from which on it may be cut short."""


@dataclass
class Cases:
    """The events found, and sentences about those that a log tells of but does not hold."""

    events: list[Case] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def only(self, wanted: Iterable[str]) -> list[Case]:
        """The events that any of the texts name: number, glob of the name, request id, function.

        Raises:
            ValueError: a text names none.
        """
        wanted = list(wanted)
        chosen: set[int] = set()
        for text in wanted:
            found = {case.number for case in self.events if _is_named(case, text)}
            if not found:
                raise ValueError(self._none(text))
            chosen |= found
        return [case for case in self.events if case.number in chosen] if wanted else self.events

    def _none(self, text: str) -> str:
        names = [name for case in self.events for name in _names(case)]
        return (
            f"--only {text[:80]!r} names none of the {len(self.events):,} events; allowed are a "
            f"number from 1 to {len(self.events)}, a name as --list shows it (* and ? stand for "
            f"anything), a request id or a function's name{nearest(text, names)}"
        )


def read_cases(paths: Iterable[Path], region: str = "ap-guangzhou") -> Cases:
    """The events of files, and of folders (their `*.json`, `*.jsonl` and `*.ndjson`, by name).

    `region` is the function's, for events that are rebuilt from its log.

    Raises:
        ValueError: a line for each file, or line of a file, that cannot be read.
    """
    found = Cases()
    wrong: list[str] = []
    expected: dict[Path, dict[str, dict[str, Any]]] = {}
    for path in (file for given in paths for file in _files(given)):
        try:
            if path.parent not in expected:
                expected[path.parent] = {}  # a wrong one is named once
                expected[path.parent] = read_expected(path.parent)
            _add(found, _of_file(path, region, found.trouble), expected[path.parent])
        except ValueError as error:  # noqa: PERF203 - every wrong one is to be named
            wrong.append(str(error))
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
    if wrong:
        raise ValueError("\n".join(wrong))
    if not found.events:
        raise ValueError("\n".join([*found.trouble, _NOTHING]))
    return found


_NOTHING = (
    "no events there; an event is a file *.json directly in a folder, a line of a file *.jsonl, "
    "or in a log, which is given by its name"
)


def read_expected(folder: Path) -> dict[str, dict[str, Any]]:
    """What `expected.json` of a folder says, by event; nothing if there is none.

    Raises:
        ValueError: it is not `{"<file>": {"Outcome": "…", "Codes": ["…"]}}`, or a file is none.
    """
    path = folder / EXPECTED
    expected = json_files.read(path) if path.is_file() else {}
    if not isinstance(expected, dict):
        raise ValueError(f'{path}: is no object {{"<file>": {{"Outcome": "applied"}}}}')  # noqa: TRY004 - callers know one error
    for name, entry in expected.items():
        wrong = _violation_of(folder, name, entry)
        if wrong:
            raise ValueError(f"{path}: {name}: {wrong}")
    return expected


def _add(found: Cases, cases: Iterable[Case], expected: dict[str, dict[str, Any]]) -> None:
    """Number the events of one file and join what is expected of them."""
    places = set()
    path = None
    for case in cases:
        path = case.path
        places.add(case.place)
        entry = expected.get(f"{path.name}:{case.place}", expected.get(path.name))
        found.events.append(replace(case, expected=entry, number=len(found.events) + 1))
    for name in expected if path else ():
        file, colon, place = name.rpartition(":")
        if colon and path and file == path.name and place not in places:
            near = nearest(name, [f"{file}:{each}" for each in places])
            raise ValueError(f"{path.parent / EXPECTED}: {name}: no such event{near}")


def _files(path: Path) -> list[Path]:
    return _folder(path) if path.is_dir() else [path]


def _folder(folder: Path) -> list[Path]:
    files = (file for file in folder.iterdir() if file.suffix in _EVENTS)
    return sorted(file for file in files if file.name != EXPECTED)


def _of_file(path: Path, region: str, trouble: list[str]) -> Iterator[Case]:
    if path.name == EXPECTED:
        raise ValueError(f"{path}: is no event; it says what is expected of those beside it")
    data = path.read_bytes()
    if path.suffix in LINES and not log_records.is_log_of_lines(data):
        return _of_lines(path, data)
    records, wrong = log_records.read(data, str(path))
    if records:
        trouble += wrong  # a line that was cut is one line less
        return _of_log(path, records, region, trouble)
    try:
        value = json_files.parse(data, str(path))
    except ValueError as error:
        if path.suffix == ".json":
            raise
        raise ValueError(
            f"{error}; and no line of it names a request, as those of a log do"
        ) from None
    if isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        return (Case(path, each, place=str(i)) for i, each in enumerate(value, 1))
    return iter([Case(path, value)])


def _of_lines(path: Path, data: bytes) -> Iterator[Case]:
    """An event a line."""
    values: list[tuple[int, Any]] = []
    wrong: list[str] = []
    for number, line in enumerate(data.splitlines(), 1):
        try:
            if line.strip():
                value = json_files.parse(line, str(path), line=number)
                values.append((number, value))
        except ValueError as error:  # noqa: PERF203 - every wrong one is to be named
            wrong.append(str(error))
    if wrong:
        raise ValueError("\n".join(wrong))
    return (Case(path, value, place=str(number)) for number, value in values)


def _of_log(path: Path, records: list[Record], region: str, trouble: list[str]) -> Iterator[Case]:
    functions = sorted({record.function for record in records if record.function})
    if len(functions) > 1:
        trouble.append(
            f"{path}: holds runs of {len(functions)} functions: {', '.join(functions)}; "
            f"--only {functions[0]} replays those of one"
        )
    for run in logged_runs.runs(records):
        try:
            event = run.event(region)
        except ValueError as error:  # noqa: PERF203 - every one is to be named
            then = run.then.outcome
            trouble.append(
                f"{path}: run {printable(run.request_id, 64)} ({then}) cannot be replayed: {error}"
            )
        else:
            yield Case(path, event, place=run.request_id, then=run.then)


def _names(case: Case) -> tuple[str, ...]:
    function = case.then.function if case.then else ""
    return tuple(filter(None, (case.label, case.path.name, case.name, case.request_id, function)))


def _is_named(case: Case, text: str) -> bool:
    is_id = len(text) >= _MIN_ID and case.request_id.startswith(text)
    names = (str(case.number), *_names(case))
    return is_id or text in names or any(fnmatchcase(name, text) for name in names)


def _violation_of(folder: Path, name: str, entry: Any) -> str:  # noqa: ANN401 - any JSON value
    if not any((folder / each).is_file() for each in (name, name.rpartition(":")[0] or name)):
        return f"no such event{nearest(name, [file.name for file in _folder(folder)])}"
    if not isinstance(entry, dict) or not entry.keys() <= {"Outcome", "Codes"}:
        return f"{entry!r} is not allowed; allowed are the members Outcome and Codes"
    if entry.get("Outcome") not in OUTCOMES:
        near = nearest(entry.get("Outcome"), OUTCOMES)
        return f"Outcome {entry.get('Outcome')!r} is none of {', '.join(OUTCOMES)}{near}"
    codes = entry.get("Codes", [])
    fine = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    return "" if fine else f"Codes is {codes!r}; allowed is a list of texts"
