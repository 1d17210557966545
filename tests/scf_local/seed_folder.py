"""A seed folder, to which commands add images and objects."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from shlex import quote

from scf_local import output_files
from scf_local.cloud import seed
from scf_local.cloud.seed import Buckets, Images
from scf_local.terminal_text import listed

_MAX_ADVICE = 20
_MAX_NAME = 255
"""Bytes, on all common file systems."""


def write(folder: Path, images: Images, buckets: Buckets) -> list[Path]:
    """Put images and objects where a seed has them, in place of those of the same id or key.

    Returns the files. Nothing is written if a file cannot be.

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
    if images:
        files[path] = seed.Object(_merged(path, images), modified=time.time())
    folders = [objects / bucket for bucket in buckets]
    for file in (*files, *folders):
        if file.resolve() != folder.resolve() / file.relative_to(folder):
            raise ValueError(f"{file}, or a folder above it, is a link")
    for file in files:
        output_files.check_writable(file)
    for each in folders:
        each.mkdir(parents=True, exist_ok=True)
    for file, stored in files.items():
        output_files.write(file, [stored.content])
        os.utime(file, (stored.modified, stored.modified))
    return [*files]


def _file_of(bucket: Path, key: str) -> Path:
    parts, error = key.split("/"), f"no file can hold key {key!r}: "
    if "\0" in key or not {"", ".", ".."}.isdisjoint(parts):
        raise ValueError(f"{error}it has a NUL character, or an empty part, . or ..")
    if max(len(os.fsencode(part)) for part in parts) > _MAX_NAME:
        raise ValueError(f"{error}a part is longer than {_MAX_NAME} bytes")
    return bucket / key


def _merged(path: Path, images: Images) -> bytes:
    merged = seed.read_images(path.read_bytes(), str(path)) if path.exists() else {}
    for region, added in images.items():
        entries = {entry["ImageId"]: entry for entry in (*merged.get(region, ()), *added)}
        merged[region] = [*entries.values()]
    text = json.dumps(merged, ensure_ascii=False, indent=1)
    data = f"{text}\n".encode("utf-8", "backslashreplace")
    seed.read_images(data, str(path))  # or they contradict
    return data


def advice(missing: Mapping[str, str | None], given: Path | None) -> list[str]:
    """Messages about what was asked for in vain (`State.missing`), and how to seed it."""
    names = [name for name, options in missing.items() if options is not None]
    if not names:
        return []
    lines = listed([f"not in the emulated cloud: {name}" for name in names], _MAX_ADVICE)
    hint = "put them into a folder for --seed (docs/seeds.md)"
    if options := sorted(filter(None, missing.values()), key=lambda o: "--from" not in o):
        folder = quote(str(given if given and given.is_dir() else "seed"))
        region, source, _ = options[0].partition(" --from ")
        # Objects first: a command without any gets all images of the region.
        alike = (option for option in options if option.startswith(f"{region}{source}"))
        sources = [option.removeprefix(region) for option in islice(alike, _MAX_ADVICE)]
        hint += f", or get them with `scf-local seed {folder} --real {region}{''.join(sources)}`"
        hint += f", and replay with --seed {folder}"
    return [*lines, hint]
