"""Seeds of the emulated cloud: validates sparse images and fills in the missing members."""

from __future__ import annotations

import copy
import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from image_steward.messages import nearest, shown
from image_steward.regions import is_region
from image_steward.settings import BUCKET
from scf_local import json_files
from scf_local.cloud.parameters import KINDS
from scf_local.console import note
from scf_local.entries import counted
from scf_local.environment import UIN

ImageEntry = dict[str, Any]
"""An image as DescribeImages returns it."""
Images = dict[str, list[ImageEntry]]
"""Images by region."""
Buckets = dict[str, dict[str, "Object"]]
"""Objects by bucket and key."""


@dataclass(frozen=True)
class Object:
    """An object in a bucket: its content, the headers stored with it, and its modification time.

    `version` is its version id; `older` are its other versions, the newest first. `etag` is set if
    the ETag is not the MD5 of the content. A delete marker has no content.
    """

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    modified: float = 1793491200.0  # 2026-11-01T00:00:00Z, the default of CreatedTime
    version: str = "null"
    older: tuple[Object, ...] = ()
    etag: str = ""
    is_delete_marker: bool = False

    @cached_property
    def md5(self) -> str:
        """The MD5 of the content, in hex."""
        return hashlib.md5(self.content).hexdigest()


IMAGE_ID = re.compile(r"img-[0-9a-z]{8,}")
"""The documents show 8 characters, and 9 once (document/api/213/15716)."""
MAX_NAME = 60
"""Characters (document/api/213/15713)."""

OTHER_UIN = "100000000002"
"""The made-up account that shares images with that of the emulated cloud."""

_STATES = ("CREATING", "NORMAL", "CREATEFAILED", "SYNCING", "IMPORTING", "IMPORTFAILED")
_OF_TYPES: dict[str, ImageEntry] = {
    "PRIVATE_IMAGE": {"ImageCreator": UIN},
    "SHARED_IMAGE": {"ImageCreator": OTHER_UIN},
    "PUBLIC_IMAGE": {"ImageSource": "OFFICIAL", "ImageCreator": "", "SnapshotSet": []},
}
"""By ImageType: what is different from the defaults."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)?")
_REQUIRED = ("ImageId", "ImageName", "ImageType", "ImageState")
_DEFAULTS: ImageEntry = json_files.read(Path(__file__).with_name("image.json"))
"""Of document/api/213/15753#Image, without CdcCacheStatus, which real replies may leave out, too.

What follows ImageDeprecated is undocumented.
"""
_TYPES_OF_MEMBERS = {name: type(value) for name, value in _DEFAULTS.items() if value is not None}
_TYPES_OF_MEMBERS |= {"SyncPercent": int, "CdcCacheStatus": str}
NORMAL_AFTER = "NormalAfter"
"""A member of seeds only: seconds until the image is NORMAL, from the start of the cloud."""
_TYPES_IN_SEEDS = _TYPES_OF_MEMBERS | {NORMAL_AFTER: int}


class SeedError(ValueError):
    """An invalid seed; the message has the path and the reason."""


def read_objects(folder: Path) -> Buckets:
    """Read `<folder>/<bucket-appid>/<key...>` as `{"<bucket-appid>": {"<key>": Object}}`.

    Raises:
        SeedError: a folder whose name is not a full bucket name.
    """
    buckets = {}
    for bucket in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not BUCKET.fullmatch(bucket.name) or not bucket.is_dir():
            raise SeedError(
                f"{bucket}: must be a folder with a full bucket name such as manifests-1250000000"
            )
        buckets[bucket.name] = read_bucket(bucket)
    return buckets


def read_folder(folder: Path) -> tuple[Images, Buckets] | None:
    """Read `images.json` and `objects/` of a seed, of which one may be missing; else None.

    Raises:
        ValueError: as `read_images` and `read_objects`.
    """
    path, objects = folder / "images.json", folder / "objects"
    if not path.exists() and not objects.is_dir():
        return None
    images = read_images(path.read_bytes(), str(path)) if path.exists() else {}
    return images, read_objects(objects)


def read_bucket(folder: Path) -> dict[str, Object]:
    """Read the files in a folder and below it as objects by key."""
    return {
        path.relative_to(folder).as_posix(): Object(path.read_bytes(), {}, path.stat().st_mtime)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def read_images(data: bytes, name: str, region: str = "") -> Images:
    """Read images by region; or, with a `region`, also DescribeImages replies with its images.

    Replies may be one, a list, or one after another. Returns images as a seed has them, and prints
    notes about what was left out of replies.

    Raises:
        ValueError: it is neither; begins with the file's `name`.
    """
    data = json_files.unpacked(data, name)
    value = (json_files.sequence(data) or json_files.parse(data, name)) if region else {}
    try:
        if isinstance(value, dict) and all(map(is_region, value)):
            images: Images = json_files.loads(data, name)
        else:
            images = {region: images_of(value if isinstance(value, list) else [value], name)}
        complete(images)
    except SeedError as error:
        raise SeedError(f"{name}: {error}") from None
    return images


def images_of(replies: list[Any], name: str) -> list[ImageEntry]:
    """Return the images of replies, without account ids; prints notes about what was left out.

    A member that is missing becomes null; one that a seed cannot have is left out.

    Raises:
        SeedError: they are not replies of DescribeImages.
    """
    images: dict[str, ImageEntry] = {}
    problems: Counter[str] = Counter()
    total = 0
    for value in replies:
        reply = value.get("Response", value) if isinstance(value, dict) else {}
        entries = reply.get("ImageSet") if isinstance(reply, dict) else None
        if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
            raise SeedError(f"must be DescribeImages replies, with ImageSet; is {shown(value)}")
        count = reply.get("TotalCount")
        total = max(total, count if isinstance(count, int) else 0)
        for entry in entries:
            wrong = {n: problem for n, value in entry.items() if (problem := _problem(n, value))}
            problems.update(f"{member}{problem}" for member, problem in wrong.items())
            image = {n: None if n in wrong else entry.get(n) for n in _TYPES_OF_MEMBERS}
            del image["ImageCreator"]  # an account; complete images have made-up ones
            given: ImageEntry = {
                n: v for n, v in image.items() if v is not None or n not in _REQUIRED
            }
            images[given.get("ImageId", "")] = given
    for problem, number in problems.items():
        note(f"{name}: {problem}; left out of {counted(number, 'image')}")
    if total > len(images):
        note(f"{name}: has {len(images)} of {counted(total, 'image')}; add the other pages")
    return [*images.values()]


def complete(images: object) -> dict[str, list[ImageEntry]]:
    """Return copies of all images with every member that the API returns.

    A member that is null in the seed is missing in replies (real images may lack `SnapshotSet`);
    only `SyncPercent` may be null in replies.

    Raises:
        SeedError: has the JSON Pointer of the violation.
    """
    if not isinstance(images, dict):
        raise SeedError('must be {"<region>": [{"ImageId": ...}, ...]}')
    regions = {}
    for region, given in images.items():
        if not is_region(region):
            raise SeedError(f"/{region}: must be a region name such as ap-guangzhou")
        if not isinstance(given, list):
            raise SeedError(f"/{region}: must be a list of images")
        entries = [_complete(entry, f"/{region}/{index}") for index, entry in enumerate(given)]
        # Names as ModifyImageAttribute checks them: in a region.
        private = [image for image in entries if image["ImageType"] == "PRIVATE_IMAGE"]
        uses = Counter(("ImageId", image["ImageId"]) for image in entries)
        uses.update(("ImageName", image["ImageName"]) for image in private)
        for (name, value), number in uses.items():
            if number > 1:
                raise SeedError(f"/{region}: {name} {shown(value)} appears {number} times")
        regions[region] = entries
    return regions


def _complete(given: object, path: str) -> ImageEntry:
    if not isinstance(given, dict):
        raise SeedError(f"{path}: must be an object with the members of an image")
    for name, value in given.items():
        if problem := _problem(name, value):
            raise SeedError(f"{path}/{name}{problem}")
    image_id = given.get("ImageId", "")
    if not IMAGE_ID.fullmatch(image_id):
        raise SeedError(f"{path}/ImageId: is {shown(image_id)}; must be an id such as img-6pb6lrmy")
    size = given.get("ImageSize", _DEFAULTS["ImageSize"])
    snapshot = {"SnapshotId": f"snap-{image_id[4:]}", "DiskUsage": "SYSTEM_DISK", "DiskSize": size}
    merged = (
        _DEFAULTS
        | {"ImageName": image_id, "SnapshotSet": [snapshot]}
        | _OF_TYPES[given.get("ImageType") or "PRIVATE_IMAGE"]
        | {"isSupportCloudinit": given.get("IsSupportCloudinit", True)}
        | given
    )
    # Only lists can change; to look at all else takes longer than all the rest.
    image = {n: copy.deepcopy(v) if isinstance(v, list) else v for n, v in merged.items()}
    set_tags(image, {tag["Key"]: tag["Value"] for tag in image["Tags"] or ()})
    return {
        name: value for name, value in image.items() if value is not None or name == "SyncPercent"
    }


def _problem(name: str, value: object) -> str:  # noqa: PLR0911 - one for each rule
    """Return why a member or its value is not allowed; begins with what follows its path."""
    kind = _TYPES_IN_SEEDS.get(name)
    if kind is None:
        return f": unknown member{nearest(name, _TYPES_IN_SEEDS)}"
    if value is None and name not in _REQUIRED:
        return ""
    if type(value) is not kind:
        return f": is {shown(value)}; must be {KINDS[kind]}"
    allowed = {"ImageType": (*_OF_TYPES,), "ImageState": _STATES}.get(name)
    # Real replies may have other states; only what is almost a known one is a typing error.
    is_other = name == "ImageState" and not nearest(value, _STATES, 0.85)
    if allowed and value not in allowed and not is_other:
        return f": is {shown(value)}; must be one of {', '.join(allowed)}{nearest(value, allowed)}"
    if name == "ImageName" and len(str(value)) > MAX_NAME:
        return f": has {len(str(value))} characters; at most {MAX_NAME} are allowed"
    if name == "CreatedTime" and not _TIME.fullmatch(str(value)):
        return f": is {shown(value)}; must be a time such as 2026-11-01T00:00:00Z"
    for index, tag in enumerate(value if name == "Tags" and isinstance(value, list) else ()):
        pair = [tag.get("Key"), tag.get("Value")] if isinstance(tag, dict) else []
        if [type(text) for text in pair] != [str, str]:
            return f'/{index}: must be {{"Key": "...", "Value": "..."}}'
    return ""


def tags_of(image: ImageEntry) -> dict[str, str]:
    """Return an image's tags by key."""
    return {tag["Key"]: tag["Value"] for tag in image["Tags"]}


def set_tags(image: ImageEntry, tags: dict[str, str]) -> None:
    """Replace an image's tags; in replies each tag has its members in both spellings."""
    image["Tags"] = [
        {"Key": key, "Value": value, "tagKey": key, "tagValue": value}
        for key, value in tags.items()
    ]
