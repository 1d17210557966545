"""What an instance has written recently: reads may lag behind it."""

from typing import NamedTuple, TypeVar

from image_steward.clock import Clock
from image_steward.errors import ApiError
from image_steward.model import Image, Value, Values

T = TypeVar("T", Image, "Image | ApiError")

LAG_SECONDS = 30.0
"""Until then a read that shows an older value is taken to be late."""


class _Write(NamedTuple):
    value: Value
    replaced: tuple[tuple[Value, float], ...]
    """Older values, each with the moment at which it was replaced."""


class RecentWrites:
    """The values written in the last 30 s. Thread-safe: each value has one writer at a time.

    They count over a read that shows what they replaced. Any third value is somebody else's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._writes: dict[tuple[str, str], dict[str, _Write]] = {}

    def add(self, region: str, before: Image, values: Values) -> None:
        """Note what was written to an image, which was read as `before`."""
        now = self._clock.monotonic()
        # Attributes and tags of an image may be written at the same moment.
        writes = self._writes.setdefault((region, before.image_id), {})
        for name, value in values.items():
            earlier = writes.get(name)
            older = ((earlier.value, now), *self._recent(earlier)) if earlier else ()
            replaced = ((before.values.get(name), now), *older)
            writes[name] = _Write(value, tuple(pair for pair in replaced if pair[0] != value))

    def apply(self, region: str, images: dict[str, T]) -> dict[str, T]:
        """The images, with what was written wherever the read shows a value that it replaced."""
        applied = dict(images)
        for (written_region, image_id), writes in list(self._writes.items()):
            image = images.get(image_id)
            if written_region != region or not isinstance(image, Image):
                continue
            late: dict[str, Value] = {}
            for name, write in list(writes.items()):
                value = image.values.get(name)
                if value in {older for older, _ in self._recent(write)}:
                    late[name] = write.value
                elif value != write.value:  # whatever comes next is somebody else's, too
                    writes.pop(name, None)
            applied[image_id] = image.with_values(late)
        return applied

    def expire(self) -> None:
        """Forget the writes that are older."""
        images = self._writes.items()
        self._writes = {key: w for key, w in images if any(map(self._recent, w.values()))}

    def _recent(self, write: _Write) -> list[tuple[Value, float]]:
        since = self._clock.monotonic() - LAG_SECONDS
        return [(value, moment) for value, moment in write.replaced if moment >= since]
