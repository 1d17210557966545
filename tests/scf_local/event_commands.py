"""The commands `scf-local event`: events as SCF delivers them."""

from __future__ import annotations

from pathlib import Path

import click

from scf_local import events, json_files
from scf_local.console import emit_json, example, usage_errors

UPLOAD = "scf-local event cos --bucket manifests-1250000000 --key requests/rename.json"
"""What others go on from, in their examples."""


@click.group(
    epilog=example(
        'scf-local event timer --message \'{"ImageId": "img-6pb6lrmy", "ImageName": "sample"}\' '
        "| scf-local invoke -"
    )
)
def event() -> None:
    """Print an event as SCF delivers it."""


@event.command(epilog=example(UPLOAD))
@click.option("--bucket", required=True, metavar="B-APPID", help="Full name, <bucket>-<appid>.")
@click.option("--key", required=True, help="Name of the uploaded object.")
@click.option("--region", default="ap-guangzhou", show_default=True)
@click.option(
    "--shape",
    type=click.Choice(events.SHAPES),
    default="2021",
    show_default=True,
    help="2018 is what the documentation prints, 2021 what is delivered since.",
)
@click.option(
    "--event-name",
    type=click.Choice(events.COS_EVENT_NAMES),
    metavar="NAME",
    default="cos:ObjectCreated:Put",
    show_default=True,
)
def cos(bucket: str, key: str, region: str, shape: str, event_name: str) -> None:
    """An upload to a COS bucket."""
    with usage_errors():
        made = events.cos_event(bucket, key, region=region, shape=shape, event_name=event_name)
    emit_json(made)


@event.command(epilog=example("scf-local event timer --message @policy.json"))
@click.option("--message", default="", metavar="TEXT|@FILE", help="The trigger's argument.")
@click.option("--name", default="EveryDay", show_default=True, help="The trigger's name.")
def timer(message: str, name: str) -> None:
    """A timer that fires."""
    with usage_errors():
        if message.startswith("@"):
            message = json_files.decode(Path(message[1:]).read_bytes(), message[1:])
        made = events.timer_event(message, name=name)
    emit_json(made)
