"""Seeds: sparse images completed, and every mistake in them named with its place."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from image_steward.messages import nearest
from image_steward.regions import is_region
from image_steward.settings import BUCKET
from scf_local.environment import UIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

Image = dict[str, Any]


@dataclass(frozen=True)
class Object:
    """An object in a bucket: its content, the headers kept with it, and when it was stored."""

    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    modified: float = 1793491200.0  # 2026-11-01T00:00:00Z, as images of which it is not told


IMAGE_ID = re.compile(r"img-[0-9a-z]{8,}")
"""Documents show 8 characters, and once 9 (document/api/213/15716)."""
MAX_NAME = 60
"""Characters (document/api/213/15713)."""

_STATES = ("CREATING", "NORMAL", "CREATEFAILED", "SYNCING", "IMPORTING", "IMPORTFAILED")
_TYPES = ("PRIVATE_IMAGE", "SHARED_IMAGE", "PUBLIC_IMAGE")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)")
_DEFAULTS: Image = {
    # document/api/213/15753#Image; CdcCacheStatus is left out, as it may be on the wire
    "ImageId": "",
    "OsName": "TencentOS Server 4 for x86_64",
    "ImageType": "PRIVATE_IMAGE",
    "CreatedTime": "2026-11-01T00:00:00Z",
    "ImageName": "",
    "ImageDescription": "",
    "ImageSize": 50,
    "Architecture": "x86_64",
    "ImageState": "NORMAL",
    "Platform": "TencentOS",
    "ImageCreator": UIN,
    "ImageSource": "CREATE_IMAGE",
    "SyncPercent": None,
    "IsSupportCloudinit": True,
    "SnapshotSet": [],
    "Tags": [],
    "LicenseType": "TencentCloud",
    "ImageFamily": "",
    "ImageDeprecated": False,
    # sent without being documented
    "CreatePercent": 100,
    "isSupportCloudinit": True,
    "IsSupportAutoInstallGPUDriver": False,
    "GPUDriverList": [],
    "ImageFormat": "qcow2",
    "_ImageClass": "SystemImage",
}
_KINDS = {name: type(value) for name, value in _DEFAULTS.items() if value is not None}
_KINDS |= {"SyncPercent": int, "CdcCacheStatus": str}


class SeedError(ValueError):
    """A seed that cannot be used; the message says where and why."""


def read_objects(folder: Path) -> dict[str, dict[str, Object]]:
    """`{"<bucket-appid>": {"<key>": Object}}` from `<folder>/<bucket-appid>/<key...>`.

    Raises:
        SeedError: a folder that is no full bucket name.
    """
    buckets = {}
    for bucket in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not BUCKET.fullmatch(bucket.name) or not bucket.is_dir():
            raise SeedError(
                f"{bucket}: allowed are folders named by a full bucket name, "
                "such as manifests-1250000000"
            )
        files = (path for path in sorted(bucket.rglob("*")) if path.is_file())
        buckets[bucket.name] = {
            path.relative_to(bucket).as_posix(): Object(path.read_bytes()) for path in files
        }
    return buckets


def completed(images: object) -> dict[str, list[Image]]:
    """Copies of all images with every member the API sends.

    A member that is null in the seed is left out on the wire (a real image may lack
    `SnapshotSet`); only `SyncPercent` may be null there.

    Raises:
        SeedError: with the JSON Pointer of what is wrong.
    """
    if not isinstance(images, dict):
        raise SeedError('/: allowed is {"<region>": [Image, ...]}')
    for region, entries in images.items():
        if not is_region(region):
            raise SeedError(f"/{region}: no region's name, such as ap-guangzhou")
        if not isinstance(entries, list):
            raise SeedError(f"/{region}: allowed is a list of images")
    whole = {
        region: [_completed(entry, f"/{region}/{at}") for at, entry in enumerate(entries)]
        for region, entries in images.items()
    }
    for region, entries in whole.items():
        _check_unique(region, "ImageId", entries)
        private = [image for image in entries if image["ImageType"] == "PRIVATE_IMAGE"]
        _check_unique(region, "ImageName", private)  # of a region, as ModifyImageAttribute has it
    return whole


def _check_unique(region: str, name: str, images: list[Image]) -> None:
    for value, number in Counter(image[name] for image in images).most_common(1):
        if number > 1:
            raise SeedError(f"/{region}: {name} {value!r} is there twice")


def _completed(given: object, place: str) -> Image:
    if not isinstance(given, dict):
        raise SeedError(f"{place}: allowed is an image, a JSON object")
    for name, value in given.items():
        _check(name, value, f"{place}/{name}")
    image_id = given.get("ImageId", "")
    if not IMAGE_ID.fullmatch(image_id):
        raise SeedError(f"{place}/ImageId: {image_id!r}; allowed is a form such as img-6pb6lrmy")
    size = given.get("ImageSize", _DEFAULTS["ImageSize"])
    snapshot = {"SnapshotId": f"snap-{image_id[4:]}", "DiskUsage": "SYSTEM_DISK", "DiskSize": size}
    public = given.get("ImageType") == "PUBLIC_IMAGE"
    image = copy.deepcopy(
        _DEFAULTS
        | {"ImageName": image_id, "SnapshotSet": [snapshot]}
        | ({"ImageSource": "OFFICIAL", "ImageCreator": "", "SnapshotSet": []} if public else {})
        | {"isSupportCloudinit": given.get("IsSupportCloudinit", True)}
        | given
    )
    set_tags(image, {tag["Key"]: tag["Value"] for tag in image["Tags"] or ()})
    return {
        name: value for name, value in image.items() if value is not None or name == "SyncPercent"
    }


def _check(name: str, value: object, place: str) -> None:
    kind = _KINDS.get(name)
    if kind is None:
        raise SeedError(f"{place}: no member of an image{nearest(name, _KINDS)}")
    if value is None and name not in {"ImageId", "ImageName", "ImageType", "ImageState"}:
        return
    if type(value) is not kind:
        raise SeedError(f"{place}: {value!r}; allowed is a value of type {kind.__name__}")
    allowed = {"ImageType": _TYPES, "ImageState": _STATES}.get(name)
    if allowed and value not in allowed:
        told = f"{value!r}{nearest(value, allowed)}"
        raise SeedError(f"{place}: {told}; allowed are {', '.join(allowed)}")
    if name == "ImageName" and len(str(value)) > MAX_NAME:
        raise SeedError(f"{place}: {len(str(value))} characters; allowed are {MAX_NAME}")
    if name == "CreatedTime" and not _TIME.fullmatch(str(value)):
        raise SeedError(f"{place}: {value!r}; allowed is a form such as 2026-11-01T00:00:00Z")
    if name == "Tags" and isinstance(value, list):
        for at, tag in enumerate(value):
            pair = [tag.get("Key"), tag.get("Value")] if isinstance(tag, dict) else []
            if [type(part) for part in pair] != [str, str]:
                raise SeedError(f'{place}/{at}: allowed is {{"Key": "...", "Value": "..."}}')


def tags_of(image: Image) -> dict[str, str]:
    """An image's tags by key."""
    return {tag["Key"]: tag["Value"] for tag in image["Tags"]}


def set_tags(image: Image, tags: dict[str, str]) -> None:
    """Replace an image's tags; the wire names each member twice."""
    image["Tags"] = [
        {"Key": key, "Value": value, "tagKey": key, "tagValue": value}
        for key, value in tags.items()
    ]
