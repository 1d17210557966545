"""Expected outcomes of events, from a folder's `expected.json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from image_steward.messages import nearest, shown
from scf_local import json_files
from scf_local.log_records import by_prefix
from scf_local.replay import EXPECTED, OUTCOMES, is_outcome

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

    Entry = dict[str, Any]

SUFFIXES = (".json", ".jsonl", ".ndjson")
"""The files that are read in a folder."""
_FORM = "an object with Outcome, Codes or Result"


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


def of_events(
    expected: dict[str, Entry], path: Path, event_ids: Collection[str]
) -> dict[str, Entry]:
    """The entries for single events of a file, by their ids.

    Raises:
        ValueError: the id in an entry is not that of one event, or begins those of several.
    """
    entries = {}
    for name, entry in expected.items():
        file, colon, given = name.rpartition(":")
        if colon and file == path.name:
            ids = by_prefix(event_ids, given)
            if len(ids) != 1:
                near = nearest(name, [f"{file}:{known}".rstrip(":") for known in ids or event_ids])
                problem = f"begins {len(ids)} request ids" if ids else "event not found"
                raise ValueError(f"{path.parent / EXPECTED}: {name}: {problem}{near}")
            entries[ids[0]] = entry
    return entries


def files_of(folder: Path) -> list[Path]:
    """The files in a folder that may contain events."""
    files = (file for file in folder.iterdir() if file.suffix in SUFFIXES)
    return sorted(file for file in files if file.name != EXPECTED)


def _violation_of(folder: Path, name: str, entry: Any) -> str:  # noqa: ANN401 - any JSON value
    if not any((folder / file).is_file() for file in (name, name.rpartition(":")[0] or name)):
        return f"event not found{nearest(name, [file.name for file in files_of(folder)])}"
    if not (isinstance(entry, dict) and entry and entry.keys() <= {"Outcome", "Codes", "Result"}):
        return f"is {shown(entry)}; must be {_FORM}"
    outcome, codes = entry.get("Outcome", OUTCOMES[0]), entry.get("Codes", [])
    if not is_outcome(outcome):
        near = nearest(outcome, OUTCOMES)
        return (
            f"Outcome {shown(outcome)} is not one of {', '.join(OUTCOMES)}, nor the class of an "
            f"exception, such as ValueError{near}"
        )
    is_valid = isinstance(codes, list) and all(isinstance(code, str) for code in codes)
    return "" if is_valid else f"Codes is {shown(codes)}; must be a list of strings"
