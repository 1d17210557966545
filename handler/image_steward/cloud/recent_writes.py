"""What an instance has written recently: reads may lag behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple, TypeAlias

from image_steward.clock import Clock
from image_steward.model import Attributes, Image, TagChanges, by_name

LAG_SECONDS = 30.0
"""Until then a read that shows an older value is taken to be late."""

Value: TypeAlias = "str | bool | None"
"""Of an attribute, or of a tag: None if it is not bound."""


class _Write(NamedTuple):
    moment: float
    value: Value
    older: tuple[Value, ...]


class RecentWrites:
    """The values written in the last 30 s. Thread-safe: each value has one writer at a time.

    They count over a read that shows what was there before. Any third value is somebody else's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._writes: dict[tuple[str, str], dict[str, _Write]] = {}

    def add(self, region: str, before: Image, attributes: Attributes, tags: TagChanges) -> None:
        """Note what was written to an image, which was read as `before`."""
        # Attributes and tags of an image may be written at the same moment.
        writes = self._writes.setdefault((region, before.image_id), {})
        for name, value in by_name(attributes, tags).items():
            earlier = writes.get(name)
            chain = (earlier.value, *earlier.older) if earlier else ()
            older = (before.values.get(name), *chain)
            writes[name] = _Write(
                self._clock.monotonic(), value, tuple(v for v in older if v != value)
            )

    def apply(self, region: str, image: Image) -> Image:
        """The image, with what was written wherever the read shows an older value."""
        writes = self._writes.get((region, image.image_id))
        if not writes:
            return image
        since = self._clock.monotonic() - LAG_SECONDS
        seen = image.values
        late = {
            name: write.value
            for name, write in writes.items()
            if write.moment >= since and seen.get(name) in write.older
        }
        values = {**seen, **late}
        tags = {n[4:]: str(v) for n, v in values.items() if n.startswith("Tag.") and v is not None}
        attributes: Attributes = {n: values[n] for n in image.attributes}  # type: ignore[misc]  # only tags may be None
        return replace(image, attributes=attributes, tags=tags)

    def expire(self) -> None:
        """Forget the writes that are older."""
        since = self._clock.monotonic() - LAG_SECONDS
        for image_key, writes in list(self._writes.items()):
            if all(write.moment < since for write in writes.values()):
                del self._writes[image_key]
