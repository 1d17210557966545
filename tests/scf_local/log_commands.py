"""The command `scf-local logs`, which prints a function's log from the cloud."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import click

from image_steward.clock import utc
from scf_local import network
from scf_local.console import emit, example, note, usage_errors
from scf_local.options import elsewhere, elsewhere_options, regions
from scf_local.terminal_text import escaped

_OF_RUN = ("RequestId", "RetryNum", "StatusCode")


@click.command(
    epilog=example(
        "scf-local logs --function image-steward --real | scf-local replay - --list",
        "scf-local logs --function image-steward --request-id 4f9c2d --real | scf-local undo -",
    )
)
@click.option("--function", required=True, metavar="NAME", help="Function's name.")
@click.option("--since", metavar="PERIOD", show_default="1h; 7d with --request-id",
              help="Period up to now, such as 90s, 15m or 7d.")  # fmt: skip
@click.option("--request-id", metavar="ID", default="", show_default="all runs",
              help="Only this run; the first 6 characters are enough.")  # fmt: skip
@click.option("--region", shell_complete=regions, help="Region of the function, as for `invoke`.")
@elsewhere_options
def logs(function: str, *, since: str | None, request_id: str, **options: Any) -> None:  # noqa: ANN401 - see elsewhere
    """Print what a function has logged: one record of its log topic a line, as JSON.

    `replay` and `undo` read these lines. Add --real, or --endpoint for a function in a running
    emulated cloud.

    Exit status: 0 success, 1 if nothing was found, 2 usage error.
    """
    from image_steward.cloud.transport import silence_loggers  # noqa: PLC0415 - takes 0.1 s
    from scf_local import api_client, cloud_client  # noqa: PLC0415 - takes 0.2 s: the SDK
    from scf_local import logs as reading  # noqa: PLC0415 - the same
    from scf_local.entries import counted  # noqa: PLC0415 - see above

    silence_loggers()
    since = since or ("7d" if request_id else "1h")
    with usage_errors():
        seconds = reading.seconds_of(since)
        _, region, cloud = elsewhere(**options)
        if cloud is None:
            raise ValueError("whose log? Add --real, or --endpoint URL of the emulated cloud")
        call = partial(api_client.call, cloud, region)
        source = reading.Source(call, time.sleep, region, function, request_id)
        url = cloud.get(network.ENDPOINT)
        end = cloud_client.now(url) if url else time.time()
        topic = source.topic()
    start = max(int((end - seconds) * 1000), 0)
    pages = source.pages(topic, start, int(end * 1000) + 1)
    with usage_errors():
        pages = source.of_one_run(pages) if request_id else pages
    printed, runs = _print_pages(pages, start)
    where = f"{function} in {region}, {utc(start / 1000)} to {utc(end)}"
    if printed:
        note(f"{counted(printed, 'record')} of {counted(runs, 'run')} of {where}")
        return
    run = f", request id {request_id}" if request_id else ""
    note(f"no records of {where}{run}, in the topic {topic}")
    late = "" if url else ", or again in a minute: logs are late"
    note(f"try a longer --since than {since}{late}; runs before it had this topic are not there")
    sys.exit(1)


def _print_pages(pages: Iterator[list[dict[str, Any]]], start: int) -> tuple[int, int]:
    """Print all records, and note what is missing; returns the numbers of records and of runs.

    `undo` would take what it gets for all: a record says where others are missing.
    """
    from scf_local.entries import counted  # noqa: PLC0415 - as above
    from scf_local.log_records import CUT, RUNNING, from_json  # noqa: PLC0415 - the same

    printed, left_out, runs = 0, 0, dict[str, bool]()
    """Of each run, whether it began before the period."""
    running, ended = set[tuple[str, str]](), set[tuple[str, str]]()
    while True:
        with usage_errors():
            try:
                page = next(pages, None)
            except ValueError:
                _print([{"SCF_Message": CUT}])
                raise
        if page is None:
            break
        lines = []
        for record in filter(None, page):
            run, retry, status = (str(record.get(f"SCF_{name}")) for name in _OF_RUN)
            if run not in runs:
                first = from_json(record)
                runs[run] = any(x.retry or (x.start or start) < start / 1000 for x in first)
                lines += [{**record, "SCF_Message": CUT}] * runs[run]
            (running if status == str(RUNNING) else ended).add((run, retry))
            lines.append(record)
            printed += 1
        left_out += page.count({})
        _print(lines)
    cut, unended = sum(runs.values()), len(running - ended)
    if cut:
        note(f"{counted(cut, 'run')} began before this period; for all of it, use a longer --since")
    if unended:
        note(f"{counted(unended, 'run')} without an end, which may come in a minute")
    if left_out:
        note(f"{counted(left_out, 'record')} left out, which are not JSON objects")
    if unended or left_out:
        _print([{"SCF_Message": CUT}])
    return printed, len(runs)


def _print(records: list[dict[str, Any]]) -> None:
    lines = (json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    emit(escaped("".join(lines)).encode("utf-8", "backslashreplace"), nl=False)
