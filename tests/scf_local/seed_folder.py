"""A seed folder, to which commands add images and objects."""

from __future__ import annotations

import json
import os
from shlex import quote
from typing import TYPE_CHECKING

from scf_local import json_files, output_files
from scf_local.cloud import seed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from scf_local.cloud.seed import Buckets, Images

_MAX_ADVICE = 20


def write(folder: Path, images: Images, buckets: Buckets) -> list[Path]:
    """Put images and objects where a seed has them, in place of those of the same id or key.

    Returns the files of the objects. Nothing is written if a file cannot be.

    Raises:
        ValueError: no file can hold a key, or an image contradicts another one.
        OSError: a file cannot be written.
    """
    path, objects = folder / "images.json", folder / "objects"
    files = {
        _file_of(objects / bucket, key): stored
        for bucket, keys in buckets.items()
        for key, stored in keys.items()
    }
    for file in files:
        if file.is_dir() or any(up.is_file() or up in files for up in file.parents):
            raise ValueError(f"no file can hold its key: {file} would be a file and a folder")
    merged = _merged(path, images)
    for file in (*files, *([path] if images else ())):
        if file.resolve() != folder.resolve() / file.relative_to(folder):
            raise ValueError(f"{file}, or a folder above it, is a link")
        output_files.check_writable(file)
    for bucket in buckets:
        (objects / bucket).mkdir(parents=True, exist_ok=True)
    for file, stored in files.items():
        output_files.write(file, [stored.content])
        os.utime(file, (stored.modified, stored.modified))
    if images:
        output_files.write(path, [json.dumps(merged, ensure_ascii=False, indent=1), "\n"])
    return [*files]


def _file_of(bucket: Path, key: str) -> Path:
    parts, error = key.split("/"), f"no file can hold key {key!r}: "
    limit = os.pathconf(
        next(each for each in bucket.absolute().parents if each.exists()), "PC_NAME_MAX"
    )
    if "\0" in key or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"{error}it has a NUL character, or an empty part, . or ..")
    if max(len(os.fsencode(part)) for part in parts) > limit:
        raise ValueError(f"{error}a part is longer than {limit} bytes")
    return bucket / key


def _merged(path: Path, images: Images) -> Images:
    try:
        merged: Images = json_files.read(path) if path.exists() else {}
        seed.complete(merged)
        for region, added in images.items():
            entries = {entry["ImageId"]: entry for entry in (*merged.get(region, ()), *added)}
            merged[region] = [*entries.values()]
        seed.complete(merged)
    except seed.SeedError as error:
        raise seed.SeedError(f"{path}: {error}") from None
    return merged


def advice(missing: Sequence[dict[str, str]], given: Path | None) -> list[str]:
    """Messages about what was asked for in vain, and how it gets into a seed."""
    if not missing:
        return []
    lines = [f"not in the emulated cloud: {_name(what)}" for what in missing[:_MAX_ADVICE]]
    if len(missing) > _MAX_ADVICE:
        lines.append(f"… {len(missing):,} in total")
    folder = given if given and given.is_dir() else "seed"
    command = f"scf-local seed {quote(str(folder))} --real --region {missing[0]['Region']}"
    if missing[0].get("Key"):
        command += f" --from {quote('cos://{Bucket}/{Key}'.format(**missing[0]))}"
    return [*lines, f"put it into a folder for --seed (docs/seeds.md), or get it with `{command}`"]


def _name(what: dict[str, str]) -> str:
    if "ImageId" in what:
        return f"image {what['ImageId']} in {what['Region']}"
    return f"objects/{what['Bucket']}/{what['Key']}"
