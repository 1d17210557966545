"""The commands `scf-local event …`, which print events as SCF delivers them."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scf_local import environment, events, json_files
from scf_local.console import emit_json, example, note, read_input, usage_errors
from scf_local.options import DIRECTORY, FILE

if TYPE_CHECKING:
    from scf_local.config_file import ConfigFile

UPLOAD_EXAMPLE = "scf-local event cos --bucket manifests-1250000000 --key requests/rename.json"
"""An event to pipe into other commands."""


def _own_function() -> str:
    file: ConfigFile | None = click.get_current_context().find_root().obj
    return (file and file.default_function) or environment.NAME


@click.group(
    epilog=example(
        'scf-local event timer --message \'{"ImageId": "img-6pb6lrmy", "ImageName": "sample"}\' '
        "| scf-local invoke -"
    )
)
def event() -> None:
    """Print an event as SCF delivers it."""


@event.command(epilog=example(UPLOAD_EXAMPLE, f"{UPLOAD_EXAMPLE} --body event.json --seed seed"))
@click.option("--bucket", required=True, metavar="NAME-APPID", help="Full name of the bucket.")
@click.option("--key", required=True, multiple=True, help="Key of the uploaded object; repeatable.")
@click.option("--body", multiple=True, type=FILE, help="Its content, which sets size and ETag.")
@click.option("--etag", multiple=True, help="Its ETag, if not that of --body.")
@click.option("--vid", multiple=True, help="Its version id.")
@click.option("--meta", multiple=True, metavar="NAME=VALUE", help="Its metadata; repeatable.")
@click.option("--seed", type=DIRECTORY, help="Seed to put each --body into, or to take it from.")
@click.option("--region", default=environment.REGION, help="Region of the bucket.")
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
@click.option(
    "--function-name",
    default=_own_function,
    show_default="that of scf-local.toml, else function",
    help="Name of the function.",
)
def cos(bucket: str, key: tuple[str, ...], body: tuple[Path, ...], **parts: Any) -> None:  # noqa: ANN401 - of the event
    """Print the event of an upload to a COS bucket.

    Each --key is a record of the event. --body, --etag and --vid are given for each of them, in
    the same order, or for none. --meta is a header such as Content-Type, or x-cos-meta-NAME.
    """
    seed: Path | None = parts.pop("seed")
    with usage_errors():
        if wrong := [text for text in parts["meta"] if "=" not in text]:
            raise ValueError(f"--meta {wrong[0]!r} must be NAME=VALUE, such as team=web")
        parts["meta"] = dict(text.split("=", 1) for text in parts["meta"])
        bodies = [path.read_bytes() for path in body]
        by_key = {name: parts.pop(name) for name in ("etag", "vid")}
        by_key["body"] = bodies or (_seeded(seed, bucket, key) if seed else ())
        for name, values in by_key.items():
            if len(values) not in {0, len(key)}:
                raise ValueError(f"{len(values)} --{name} for {len(key)} --key; give one for each")
        records: list[Any] = []
        for number, name in enumerate(key):
            own = {part: values[number] for part, values in by_key.items() if values}
            records += events.cos_event(bucket, name, **parts, **own)["Records"]
        if seed and bodies:
            from scf_local import seed_folder  # noqa: PLC0415 - takes 30 ms
            from scf_local.cloud.seed import Object  # noqa: PLC0415 - the same

            new = (Object(content, modified=time.time()) for content in bodies)
            for file in seed_folder.write(seed, {}, {bucket: dict(zip(key, new, strict=True))}):
                note(f"written to {file}")
    emit_json({"Records": records})


@event.command(epilog=example("scf-local event timer --message @policy.json"))
@click.option("--message", default="", metavar="TEXT|@FILE|@-", help="Its argument (Message).")
@click.option("--name", default="EveryDay", help="Name of the trigger.")
def timer(message: str, name: str) -> None:
    """Print the event of a timer."""
    with usage_errors():
        if message.startswith("@"):
            message = json_files.decode(read_input(message[1:], "message"), message[1:])
        payload = events.timer_event(message, name=name)
    emit_json(payload)


def _seeded(seed: Path, bucket: str, keys: tuple[str, ...]) -> list[bytes | None]:
    """The content of each object in a seed; None if it is not there."""
    from scf_local.cloud.seed import read_objects  # noqa: PLC0415 - takes 30 ms

    objects = read_objects(seed / "objects").get(bucket, {})
    return [objects[key].content if key in objects else None for key in keys]
