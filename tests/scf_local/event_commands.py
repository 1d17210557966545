"""The commands `scf-local event …`, which print events as SCF delivers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from scf_local import events, json_files
from scf_local.console import emit_json, example, usage_errors

UPLOAD_EXAMPLE = "scf-local event cos --bucket manifests-1250000000 --key requests/rename.json"
"""An event to pipe into other commands."""


@click.group(
    epilog=example(
        'scf-local event timer --message \'{"ImageId": "img-6pb6lrmy", "ImageName": "sample"}\' '
        "| scf-local invoke -"
    )
)
def event() -> None:
    """Print an event as SCF delivers it."""


@event.command(epilog=example(UPLOAD_EXAMPLE))
@click.option("--bucket", required=True, metavar="NAME-APPID", help="Full name of the bucket.")
@click.option("--key", required=True, help="Key of the uploaded object.")
@click.option("--region", default="ap-guangzhou", help="Region of the bucket.")
@click.option(
    "--shape",
    type=click.Choice(events.SHAPES),
    default="2021",
    help="Format of the event: as documented in 2018, or as delivered since 2021.",
)
@click.option(
    "--event-name",
    type=click.Choice(events.COS_EVENT_NAMES),
    metavar="NAME",
    default="cos:ObjectCreated:Put",
    help="Type of the COS event.",
)
@click.option("--version-id", default="", help="Version id of the object (vid).")
@click.option("--etag", default="", help="ETag of the object.")
def cos(bucket: str, key: str, **parts: Any) -> None:  # noqa: ANN401 - of the event
    """Print the event of an upload to a COS bucket."""
    with usage_errors():
        payload = events.cos_event(bucket, key, **parts)
    emit_json(payload)


@event.command(epilog=example("scf-local event timer --message @policy.json"))
@click.option("--message", default="", metavar="TEXT|@FILE", help="The timer's argument (Message).")
@click.option("--name", default="EveryDay", help="Name of the trigger.")
def timer(message: str, name: str) -> None:
    """Print the event of a timer."""
    with usage_errors():
        if message.startswith("@"):
            data = json_files.unpacked(Path(message[1:]).read_bytes(), message[1:])
            message = json_files.decode(data, message[1:])
        payload = events.timer_event(message, name=name)
    emit_json(payload)
