"""Many events, what is expected of each, and how the answers compare."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.table import Table

from harness import json_files
from harness.cells import cell
from harness.environment import trigger_of
from harness.nearest import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.invocation import Invocation

EXPECTED = "expected.json"
OUTCOMES = (
    "applied", "planned", "partial", "rejected", "ignored", "returned",
    "raised", "timeout", "memory", "exited",
)  # fmt: skip
_WIDE = 100
"""Columns from which on a table has room for everything."""


@dataclass(frozen=True)
class Case:
    """One event to replay, and its entry of `expected.json`."""

    path: Path
    event: Any
    expected: dict[str, Any] | None = None


@dataclass(frozen=True)
class Replayed:
    """A case and what came of it."""

    case: Case
    done: Invocation

    @property
    def as_expected(self) -> bool:
        """Without an expectation: whether `scf-local invoke` would exit with status 0."""
        expected = self.case.expected
        if expected is None:
            return self.done.exit_status == 0
        codes = expected.get("Codes")
        codes_fit = codes is None or set(codes) == codes_of(self.done.result)
        return expected["Outcome"] == self.done.outcome and codes_fit


def read_event(data: bytes, name: str) -> Any:  # noqa: ANN401 - any JSON value may be an event
    """An event from a file's bytes: JSON, never anything that is evaluated.

    Raises:
        ValueError: it is no JSON; begins with the file's `name`.
    """
    return json_files.parse(data, name, unique=False)


def read_cases(paths: Iterable[Path]) -> list[Case]:
    """The events of files, and of folders (their `*.json`, by name).

    Raises:
        ValueError: a line for each file that cannot be read.
    """
    found: list[Case] = []
    wrong: list[str] = []
    expected: dict[Path, dict[str, dict[str, Any]]] = {}
    for path in (file for given in paths for file in _files(given)):
        try:
            if path.parent not in expected:
                expected[path.parent] = {}  # a wrong one is named once
                expected[path.parent] = read_expected(path.parent)
            entry = expected[path.parent].get(path.name)
            found.append(Case(path, _event(path), entry))
        except ValueError as error:  # noqa: PERF203 - every wrong file is to be named
            wrong.append(str(error))
        except OSError as error:
            wrong.append(f"{path}: {error.strerror}")
    if wrong:
        raise ValueError("\n".join(wrong))
    if not found:
        raise ValueError("no events there; an event is a file *.json directly in a folder")
    return found


def read_expected(folder: Path) -> dict[str, dict[str, Any]]:
    """What `expected.json` of a folder says, by file name; nothing if there is none.

    Raises:
        ValueError: it is not `{"<file>": {"Outcome": "…", "Codes": ["…"]}}`, or a file is none.
    """
    path = folder / EXPECTED
    expected = json_files.read(path) if path.is_file() else {}
    if not isinstance(expected, dict):
        raise ValueError(f'{path}: is no object {{"<file>": {{"Outcome": "applied"}}}}')  # noqa: TRY004 - callers know one error
    for name, entry in expected.items():
        wrong = _breach(folder, name, entry)
        if wrong:
            raise ValueError(f"{path}: {name}: {wrong}")
    return expected


def codes_of(result: object) -> frozenset[str]:
    """Every `Code` in the `Errors` and `Images` of a result."""
    entries = [*entries_of(result, "Errors"), *entries_of(result, "Images")]
    return frozenset(str(entry["Code"]) for entry in entries if "Code" in entry)


def entries_of(value: object, name: str) -> list[dict[str, Any]]:
    """The objects in a member of a result that should be a list of them; never an error."""
    entries = value.get(name) if isinstance(value, dict) else None
    return [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []


def table_of(replayed: Sequence[Replayed], width: int) -> Table:
    """The replay for people, of whom some have few columns."""
    counts = ("Changed", "Unchanged", "Failed")
    names = Counter(each.case.path.name for each in replayed)
    wide = width >= _WIDE
    table = Table()
    table.add_column("Event", overflow="fold")
    if wide:
        table.add_column("Trigger")
    table.add_column("Outcome", overflow="fold", min_width=max(map(len, OUTCOMES)))
    for count in counts if wide else ():
        table.add_column(count, justify="right")
    table.add_column("As expected?", overflow="fold", min_width=len("As expected?"))
    table.add_column("First error or note", ratio=1, overflow="fold")
    for each in replayed:
        path = each.case.path
        result = each.done.result
        summary = result.get("Summary") if isinstance(result, dict) else None
        summary = summary if isinstance(summary, dict) else {}
        table.add_row(
            cell(path.name if names[path.name] == 1 else path),
            *([trigger_of(each.case.event)] if wide else []),
            cell(each.done.outcome),
            *(cell(summary.get(count, "")) for count in counts if wide),
            "yes" if each.as_expected else cell(_wanted(each.case)),
            cell(_note(each.done)),
            style="" if each.as_expected else "red",
        )
    return table


def document_of(replayed: Iterable[Replayed]) -> list[dict[str, Any]]:
    """The replay for programs."""
    return [
        {
            "Event": str(each.case.path),
            "Outcome": each.done.outcome,
            "Expected": each.case.expected,
            "AsExpected": each.as_expected,
            **({"Error": each.done.error} if each.done.error else {"Result": each.done.result}),
            "DurationMs": round(each.done.duration_ms, 1),
        }
        for each in replayed
    ]


def _event(path: Path) -> Any:  # noqa: ANN401 - any JSON value
    if path.name == EXPECTED:
        raise ValueError(f"{path}: is no event; it says what is expected of those beside it")
    if path.suffix == ".jsonl":
        raise ValueError(f"{path}: JSON Lines are not supported yet; give each event its own file")
    return read_event(path.read_bytes(), str(path))


def _files(path: Path) -> list[Path]:
    return _folder(path) if path.is_dir() else [path]


def _folder(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.json") if file.name != EXPECTED)


def _breach(folder: Path, name: str, entry: Any) -> str:  # noqa: ANN401 - any JSON value
    if not (folder / name).is_file():
        return f"no such event{nearest(name, [file.name for file in _folder(folder)])}"
    if not isinstance(entry, dict) or not entry.keys() <= {"Outcome", "Codes"}:
        return f"{entry!r} is not allowed; allowed are the members Outcome and Codes"
    if entry.get("Outcome") not in OUTCOMES:
        near = nearest(entry.get("Outcome"), OUTCOMES)
        return f"Outcome {entry.get('Outcome')!r} is none of {', '.join(OUTCOMES)}{near}"
    codes = entry.get("Codes", [])
    fine = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    return "" if fine else f"Codes is {codes!r}; allowed is a list of texts"


def _wanted(case: Case) -> str:
    expected = case.expected or {"Outcome": "no error"}
    return f"no: {expected['Outcome']} {', '.join(expected.get('Codes', []))}".rstrip()


def _note(done: Invocation) -> str:
    if done.error is not None:
        lines = str(done.error.get("stackTrace") or done.error["errorMessage"]).splitlines()
        return lines[-1] if lines else ""
    for entry in (*entries_of(done.result, "Errors"), *entries_of(done.result, "Images")):
        if "Code" in entry:
            return f"{entry['Code']}: {entry.get('Message', '')}"
    return ""
