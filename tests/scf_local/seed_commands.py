"""The command `scf-local seed`, which makes a seed folder."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from scf_local.console import emit, example, usage_errors
from scf_local.options import NEW_DIRECTORY, elsewhere, elsewhere_options

if TYPE_CHECKING:
    from scf_local.cloud.seed import Buckets, Images


@click.command(
    epilog=example(
        "scf-local seed new --from reply.json --from manifests-1250000000/",
        "scf-local seed new --real",
        "scf-local seed new --real --from cos://manifests-1250000000/requests/rename.json",
    )
)
@click.argument("folder", metavar="DIR", type=NEW_DIRECTORY)
@click.option("--from", "sources", multiple=True, metavar="SOURCE", help="See above; repeatable.")
@click.option("--region", help="Region of replies, and to read from; else as for `invoke`.")
@elsewhere_options
def seed(folder: Path, *, sources: tuple[str, ...], **options: Any) -> None:  # noqa: ANN401 - see elsewhere
    """Make a folder for --seed, or add to one.

    SOURCE is a file with replies of DescribeImages, as `tccli` prints them, or with images by
    region; - for stdin; a folder of objects named like a bucket, or with such folders in it; or
    another seed. With --real or --endpoint, it can also be cos://BUCKET/KEY; without any, all
    private and shared images of the region are read. Account ids in replies are replaced.

    Images of the same id and objects of the same key are replaced. Nothing is written if a source
    cannot be used.

    Exit status: 0 success, 2 usage error.
    """
    from image_steward.cloud.transport import silence_loggers  # noqa: PLC0415 - takes 0.1 s
    from scf_local import seed_folder, seed_sources  # noqa: PLC0415 - takes 0.2 s: the SDKs
    from scf_local.entries import counted  # noqa: PLC0415 - see above

    silence_loggers()
    images: Images = defaultdict(list)
    buckets: Buckets = defaultdict(dict)
    with usage_errors():
        _, region, cloud = elsewhere(**options)
        if not (sources or cloud):
            raise ValueError("nothing to read; add --from SOURCE, or --real for your own images")
        try:
            read = [seed_sources.read(source, region, cloud) for source in sources]
            if cloud and not sources:
                read = [(seed_sources.read_region(region, cloud), {})]
        except seed_sources.ERRORS as error:
            raise ValueError(f"cannot read from the cloud: {error}") from None
        for some_images, some_buckets in read:
            for name, entries in some_images.items():
                images[name] += entries
            for bucket, objects in some_buckets.items():
                buckets[bucket] |= objects
        seed_folder.write(folder, images, buckets)
    parts = [
        f"{counted(len({entry['ImageId'] for entry in entries}), 'image')} in {name}"
        for name, entries in images.items()
    ]
    number = sum(map(len, buckets.values()))
    emit(f"{folder}: {', '.join([*parts, counted(number, 'object')])}")
