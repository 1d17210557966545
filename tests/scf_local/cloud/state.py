"""The state of the emulated cloud: images, objects, and the calls made so far."""

from __future__ import annotations

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from threading import RLock
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from scf_local.cloud import seed
from scf_local.cloud.cam.model import Access
from scf_local.cloud.cls.model import Topics
from scf_local.cloud.scf import functions
from scf_local.cloud.scf.model import Functions
from scf_local.cloud.seed import ImageEntry, Object

if TYPE_CHECKING:
    from scf_local.cloud.cos_uploads import Upload

_NO_WRITES = ("Assume", "Describe", "Get", "Head", "Invoke", "List", "Search")
"""How the names of the other actions begin."""


@dataclass
class Bucket:
    """What a bucket has besides objects; any region is that of a seeded bucket, which has none.

    `versioning` is `Enabled` or `Suspended`, or empty if the bucket has no versions.
    """

    region: str = ""
    acl: str = "private"
    versioning: str = ""


@dataclass
class State:
    """Images by region, objects by bucket, calls in order; hold `lock` to read or change them.

    `images` and `buckets` may be sparse: what is missing gets defaults. `uploads` in parts are by
    id. `calls` holds, for each request, `Time` (epoch seconds), `Action`, `Region` and `Outcome`
    ("ok" or the error code); `cos.ACTIONS` has those of COS. If a fault was injected, `Fault` is
    its name. Then `Outcome` is what happened in the cloud, whatever reply the client got. If the
    action was not performed, it is the code that was sent, or `fault:<name>` if none was.

    Raises:
        SeedError: an image that the API could not return.
    """

    images: dict[str, list[ImageEntry]] = field(default_factory=dict)
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    buckets: dict[str, Bucket] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    lock: RLock = field(default_factory=RLock, repr=False)
    functions: Functions = field(default_factory=Functions)
    access: Access = field(default_factory=Access)
    topics: Topics = field(default_factory=Topics)
    moved: float = 0.0
    """Seconds that `POST /_clock` has moved the time on."""
    missing: dict[str, str | None] = field(default_factory=dict)
    """What was asked for in vain, with the options of `scf-local seed` that get it.

    They are empty if it cannot be got, and None for an object that a call has stored or deleted.
    """

    def __post_init__(self) -> None:
        self._counts = Counter(call["Action"] for call in self.calls)
        self.images = seed.complete(self.images)
        images = (image for each in self.images.values() for image in each)
        self._unfinished = [(image.pop(seed.NORMAL_AFTER, math.inf), image) for image in images]
        self._unfinished = [each for each in self._unfinished if each[0] < math.inf]
        self.objects = {bucket: dict(objects) for bucket, objects in self.objects.items()}
        self.buckets = defaultdict(Bucket, self.buckets)

    @classmethod
    def from_folder(cls, folder: Path | str) -> State:
        """Read `images.json` and `objects/<bucket-appid>/<key...>`; one of them may be missing.

        Raises:
            ValueError: names the file and the path in it; or both are missing.
        """
        found = seed.read_folder(Path(folder))
        if found is None:
            raise seed.SeedError(f"{folder}: not a seed; it has neither images.json nor objects/")
        return cls(*found)

    @classmethod
    def from_path(cls, path: Path, region: str) -> State:
        """Read a seed folder, or a file with the images of a region.

        Raises:
            ValueError: names the file.
        """
        if path.is_dir():
            return cls.from_folder(path)
        return cls(seed.read_images(path.read_bytes(), str(path), region))

    def finish_images(self, seconds: float) -> None:
        """Let images become NORMAL that do so up to `seconds` after the start."""
        for after, image in self._unfinished:
            if after <= seconds:
                image.update(ImageState="NORMAL", SyncPercent=None, CreatePercent=100)
        self._unfinished = [each for each in self._unfinished if each[0] > seconds]

    def find(self, region: str, image_id: str) -> ImageEntry | None:
        """Return the image itself, not a copy, or None."""
        images = self.images.get(region, [])
        return next((image for image in images if image["ImageId"] == image_id), None)

    def image(self, region: str, image_id: str) -> ImageEntry:
        """Return a copy of an image.

        Raises:
            KeyError: the image does not exist.
        """
        with self.lock:
            image = self.find(region, image_id)
            if image is None:
                raise KeyError(f"{region} has no image {image_id}")
            return copy.deepcopy(image)

    def objects_in(self, region: str, bucket: str) -> dict[str, Object] | None:
        """Return the objects of a bucket by key; None if there is no such bucket in a region."""
        is_here = bucket in self.objects and self.buckets[bucket].region in {"", region}
        return self.objects[bucket] if is_here else None

    def miss_object(self, region: str, bucket: str, key: str) -> None:
        """Note that an object, or the bucket if `key` is empty, was asked for in vain.

        A key that is there without URL encoding is not missing: functions try both.
        """
        options = f"--region {region} --from {quote(f'cos://{bucket}/{key}')}" if key else ""
        if unquote(key) not in self.objects.get(bucket, {}):
            self.missing.setdefault(f"objects/{bucket}/{key}", options)

    def record(self, call: Mapping[str, Any]) -> int:
        """Append a call, and return the number of calls of its action so far."""
        with self.lock:
            self.calls.append(dict(call))
            self._counts[call["Action"]] += 1
            return self._counts[call["Action"]]

    def count(self, action: str) -> int:
        """Return the number of calls of an action so far."""
        with self.lock:
            return self._counts[action]

    def writes(self) -> list[dict[str, Any]]:
        """Return the calls that changed something: those that `is_write`, with the outcome "ok"."""
        with self.lock:
            done = (call for call in self.calls if call["Outcome"] == "ok")
            return [dict(call) for call in done if is_write(call["Action"])]

    def snapshot(self, now: float = math.inf) -> dict[str, Any]:
        """Return the reply to `GET /_state` at a time, in epoch seconds.

        It has `Images`, `Objects` (keys only), `Buckets` (by name), `Functions` (by region, then
        name), the `Queue` of their events, `Roles` (by name: the names of their policies), and
        `Calls`.
        """
        with self.lock:
            return {
                "Images": copy.deepcopy(self.images),
                "Objects": {
                    bucket: sorted(key for key in keys if not keys[key].is_delete_marker)
                    for bucket, keys in self.objects.items()
                },
                "Buckets": {
                    name: {"Region": each.region, "ACL": each.acl, "Versioning": each.versioning}
                    for name, each in ((name, self.buckets[name]) for name in self.objects)
                },
                "Functions": copy.deepcopy(functions.by_region(self.functions, now)),
                "Queue": [each.described() for each in self.functions.queue],
                "Roles": {
                    name: [policy.name for policy in role.attached]
                    for name, role in self.access.roles.items()
                },
                "Calls": copy.deepcopy(self.calls),
            }


def is_write(action: str) -> bool:
    """Whether an action changes something, by its name."""
    return not action.startswith(_NO_WRITES)
