"""Records a replay for its report, and writes the report to its file."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from scf_local import cloud_client, network, output_files
from scf_local.console import usage_errors
from scf_local.environment import FunctionConfig
from scf_local.replay import ReplayedCase

MAX_LOG_BYTES = 256 * 1024
"""Of one event's log that is kept; the page shows less."""


@contextmanager
def reporting(
    path: Path | None, function: FunctionConfig
) -> Iterator[Callable[[ReplayedCase, bytes], None]]:
    """Yield a function that records an event and its log; write the report as the command ends.

    Only then, so that the table is printed even if the file cannot be written. Without a `path`
    nothing is recorded, and without an event no file is written.
    """
    if path is None:
        yield lambda _replayed, _log: None
        return
    with usage_errors():
        output_files.check_writable(path)
    replayed: list[ReplayedCase] = []
    logs: list[bytes] = []

    def record(event: ReplayedCase, log: bytes) -> None:
        replayed.append(event)
        logs.append(log[:MAX_LOG_BYTES])

    started = time.time()
    yield record
    ended = time.time()
    is_elsewhere = "STEWARD_API_ENDPOINT" in function.variables
    endpoint = function.cloud[network.ENDPOINT]
    calls = None if is_elsewhere else cloud_client.calls(endpoint, started)
    ended = max([ended, *(call["Time"] for call in calls or ())])  # its clock may be moved

    def write() -> None:
        from scf_local.report.page import Replay, page_of  # noqa: PLC0415 - only a report pays for Jinja2

        output_files.write(path, page_of(Replay(function, replayed, logs, calls, started, ended)))

    if replayed:
        click.get_current_context().call_on_close(write)
