"""What a replay leaves for its report, and the file that the report becomes."""

from __future__ import annotations

import json
import os
import tempfile
import time
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from scf_local.console import usage_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from scf_local.environment import FunctionConfig
    from scf_local.replay import ReplayedCase

MAX_LOG_BYTES = 256 * 1024
"""Of one event's log; the page shows less."""

_SECONDS = 30


@contextmanager
def reporting(
    path: Path | None, function: FunctionConfig
) -> Iterator[Callable[[ReplayedCase, bytes], None]]:
    """Take each event with its log, and write their report when the command ends.

    Then, not here: the table is printed first, whatever happens to the file. Without a `path`
    nothing is kept, and without an event no file is written.
    """
    if path is None:
        yield lambda _replayed, _log: None
        return
    with usage_errors():
        path = path.resolve()  # a link stays one
        _check(path)
    replayed: list[ReplayedCase] = []
    logs: list[bytes] = []

    def keep(each: ReplayedCase, log: bytes) -> None:
        replayed.append(each)
        logs.append(log[:MAX_LOG_BYTES])

    started = time.time()
    yield keep
    ended = time.time()
    calls = _calls(function.variables.get("STEWARD_API_ENDPOINT", ""), started)

    def write() -> None:
        from scf_local.report.page import Replay, page_of  # noqa: PLC0415 - only a report pays for Jinja2

        _write(path, page_of(Replay(function, replayed, logs, calls, started, ended)))

    if replayed:
        click.get_current_context().call_on_close(write)


def _check(path: Path) -> None:
    """Find out before the replay whether the file can be written after it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file():
        raise ValueError(f"{path}: is no file that could be replaced")
    tempfile.TemporaryFile(dir=path.parent).close()


def _write(path: Path, pieces: Iterable[str]) -> None:
    """Write a file that is whole or not there."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        # Half a surrogate pair has no UTF-8; the replacement is the very escape that JSON writes.
        with unfinished.open(
            "w", encoding="utf-8", errors="backslashreplace", newline="\n"
        ) as file:
            file.writelines(pieces)
        unfinished.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        unfinished.unlink(missing_ok=True)


def _calls(endpoint: str, since: float) -> list[dict[str, Any]] | None:
    """What the emulated cloud was asked since then; None if another one, or none, is there."""
    if not endpoint.startswith("http://") or "{" in endpoint:
        return None
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(f"{endpoint}/_state", timeout=_SECONDS) as reply:
            calls = json.load(reply)["Calls"]
        return [call for call in calls if call["Time"] >= since]
    except (OSError, ValueError, LookupError, TypeError):
        return None
