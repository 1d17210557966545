"""Seeds of the emulated cloud: validates sparse images and fills in the missing members."""

from __future__ import annotations

import copy
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from image_steward.messages import nearest, shown
from image_steward.regions import is_region
from image_steward.settings import BUCKET
from scf_local.cloud.parameters import KINDS
from scf_local.environment import UIN

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

ImageEntry = dict[str, Any]
"""An image as DescribeImages returns it."""


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


IMAGE_ID = re.compile(r"img-[0-9a-z]{8,}")
"""The documents show 8 characters, and 9 once (document/api/213/15716)."""
MAX_NAME = 60
"""Characters (document/api/213/15713)."""

_STATES = ("CREATING", "NORMAL", "CREATEFAILED", "SYNCING", "IMPORTING", "IMPORTFAILED")
_IMAGE_TYPES = ("PRIVATE_IMAGE", "SHARED_IMAGE", "PUBLIC_IMAGE")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|\+00:00)")
_DEFAULTS: ImageEntry = {
    # document/api/213/15753#Image; CdcCacheStatus is left out, which real replies may do, too
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
    # undocumented
    "CreatePercent": 100,
    "isSupportCloudinit": True,
    "IsSupportAutoInstallGPUDriver": False,
    "GPUDriverList": [],
    "ImageFormat": "qcow2",
    "_ImageClass": "SystemImage",
}
_TYPES_OF_MEMBERS = {name: type(value) for name, value in _DEFAULTS.items() if value is not None}
_TYPES_OF_MEMBERS |= {"SyncPercent": int, "CdcCacheStatus": str}


class SeedError(ValueError):
    """An invalid seed; the message has the path and the reason."""


def read_objects(folder: Path) -> dict[str, dict[str, Object]]:
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
        files = (path for path in sorted(bucket.rglob("*")) if path.is_file())
        buckets[bucket.name] = {
            path.relative_to(bucket).as_posix(): Object(
                path.read_bytes(), modified=path.stat().st_mtime
            )
            for path in files
        }
    return buckets


def complete(images: object) -> dict[str, list[ImageEntry]]:
    """Return copies of all images with every member that the API returns.

    A member that is null in the seed is missing in replies (real images may lack `SnapshotSet`);
    only `SyncPercent` may be null in replies.

    Raises:
        SeedError: has the JSON Pointer of the violation.
    """
    if not isinstance(images, dict):
        raise SeedError('must be {"<region>": [{"ImageId": ...}, ...]}')
    for region, entries in images.items():
        if not is_region(region):
            raise SeedError(f"/{region}: must be a region name such as ap-guangzhou")
        if not isinstance(entries, list):
            raise SeedError(f"/{region}: must be a list of images")
    regions = {
        region: [_complete(entry, f"/{region}/{index}") for index, entry in enumerate(entries)]
        for region, entries in images.items()
    }
    for region, entries in regions.items():
        _check_unique(region, "ImageId", entries)
        private = [image for image in entries if image["ImageType"] == "PRIVATE_IMAGE"]
        _check_unique(region, "ImageName", private)  # in a region, as ModifyImageAttribute checks
    return regions


def _check_unique(region: str, name: str, images: list[ImageEntry]) -> None:
    for value, number in Counter(image[name] for image in images).most_common(1):
        if number > 1:
            raise SeedError(f"/{region}: {name} {shown(value)} appears {number} times")


def _complete(given: object, path: str) -> ImageEntry:
    if not isinstance(given, dict):
        raise SeedError(f"{path}: must be an object with the members of an image")
    for name, value in given.items():
        _check(name, value, f"{path}/{name}")
    image_id = given.get("ImageId", "")
    if not IMAGE_ID.fullmatch(image_id):
        raise SeedError(f"{path}/ImageId: is {shown(image_id)}; must be an id such as img-6pb6lrmy")
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


def _check(name: str, value: object, path: str) -> None:
    kind = _TYPES_OF_MEMBERS.get(name)
    if kind is None:
        raise SeedError(f"{path}: unknown member{nearest(name, _TYPES_OF_MEMBERS)}")
    if value is None and name not in {"ImageId", "ImageName", "ImageType", "ImageState"}:
        return
    if type(value) is not kind:
        raise SeedError(f"{path}: is {shown(value)}; must be {KINDS[kind]}")
    allowed = {"ImageType": _IMAGE_TYPES, "ImageState": _STATES}.get(name)
    if allowed and value not in allowed:
        hint = nearest(value, allowed)
        raise SeedError(f"{path}: is {shown(value)}; must be one of {', '.join(allowed)}{hint}")
    if name == "ImageName" and len(str(value)) > MAX_NAME:
        raise SeedError(f"{path}: has {len(str(value))} characters; at most {MAX_NAME} are allowed")
    if name == "CreatedTime" and not _TIME.fullmatch(str(value)):
        raise SeedError(f"{path}: is {shown(value)}; must be a time such as 2026-11-01T00:00:00Z")
    if name == "Tags" and isinstance(value, list):
        for index, tag in enumerate(value):
            pair = [tag.get("Key"), tag.get("Value")] if isinstance(tag, dict) else []
            if [type(text) for text in pair] != [str, str]:
                raise SeedError(f'{path}/{index}: must be {{"Key": "...", "Value": "..."}}')


def tags_of(image: ImageEntry) -> dict[str, str]:
    """Return an image's tags by key."""
    return {tag["Key"]: tag["Value"] for tag in image["Tags"]}


def set_tags(image: ImageEntry, tags: dict[str, str]) -> None:
    """Replace an image's tags; in replies each tag has its members in both spellings."""
    image["Tags"] = [
        {"Key": key, "Value": value, "tagKey": key, "tagValue": value}
        for key, value in tags.items()
    ]
