"""What the emulated cloud knows: images, objects, and the calls it was asked."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import dataclass, field
from threading import RLock
from typing import TYPE_CHECKING, Any

from scf_local import json_files
from scf_local.cloud import seed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from scf_local.cloud.seed import Image, Object


@dataclass
class State:
    """Images by region, objects by bucket, calls in order; hold `lock` to touch them.

    `images` may be sparse: members left out get defaults. `calls` holds, for each request,
    `Time` (epoch seconds), `Action`, `Region` and `Outcome` ("ok" or the error code); COS requests
    are the actions GetObject, HeadObject and PutObject. The writes are the calls whose action is
    one of `WRITES` and whose outcome is "ok". A faulted call has a `Fault`, the fault's name, too:
    its outcome is what happened here, whatever the client was told, and `fault:<name>` if nothing
    did and the client was sent no code.

    Raises:
        SeedError: an image that the API could not send.
    """

    images: dict[str, list[Image]] = field(default_factory=dict)
    objects: dict[str, dict[str, Object]] = field(default_factory=dict)
    calls: list[dict[str, Any]] = field(default_factory=list)
    lock: RLock = field(default_factory=RLock, repr=False)

    def __post_init__(self) -> None:
        self._counts = Counter(call["Action"] for call in self.calls)
        self.images = seed.completed(self.images)
        self.objects = {bucket: dict(objects) for bucket, objects in self.objects.items()}

    @classmethod
    def from_folder(cls, folder: Path) -> State:
        """Read `images.json` and, if there, `objects/<bucket-appid>/<key...>`.

        Raises:
            ValueError: naming the file and the place in it.
        """
        path = folder / "images.json"
        images, objects = json_files.read(path), seed.read_objects(folder / "objects")
        try:
            return cls(images, objects)
        except seed.SeedError as error:
            raise seed.SeedError(f"{path}: {error}") from None

    def find(self, region: str, image_id: str) -> Image | None:
        """The live image itself, or None."""
        images = self.images.get(region, [])
        return next((image for image in images if image["ImageId"] == image_id), None)

    def image(self, region: str, image_id: str) -> Image:
        """A copy of an image, for a look from outside.

        Raises:
            KeyError: no such image.
        """
        with self.lock:
            image = self.find(region, image_id)
            if image is None:
                raise KeyError(f"{region} has no image {image_id}")
            return copy.deepcopy(image)

    def record(self, call: Mapping[str, Any]) -> int:
        """Append a call; how many of its action there are now."""
        with self.lock:
            self.calls.append(dict(call))
            self._counts[call["Action"]] += 1
            return self._counts[call["Action"]]

    def count(self, action: str) -> int:
        """How many calls of an action are on record."""
        with self.lock:
            return self._counts[action]

    def writes(self) -> list[dict[str, Any]]:
        """The calls that changed something."""
        with self.lock:
            return [
                dict(call)
                for call in self.calls
                if call["Action"] in WRITES and call["Outcome"] == "ok"
            ]

    def snapshot(self) -> dict[str, Any]:
        """The answer of `GET /_state`: `Images`, `Objects` (keys only) and `Calls`."""
        with self.lock:
            return {
                "Images": copy.deepcopy(self.images),
                "Objects": {bucket: sorted(keys) for bucket, keys in self.objects.items()},
                "Calls": copy.deepcopy(self.calls),
            }


WRITES = frozenset(
    ("ModifyImageAttribute", "ModifyResourceTags", "TagResources", "UnTagResources", "PutObject")
)
