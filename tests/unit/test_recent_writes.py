"""Recent writes: they count over a read that shows what was there before."""

from __future__ import annotations

from collections.abc import Callable

from clocks import FakeClock
from image_steward.cloud.recent_writes import LAG_SECONDS, RecentWrites
from image_steward.model import Image
from region import REGION, image

OLD = image("img-a", "old", Tags={"k": "1"})
NEW = image("img-a", "new", Tags={"k": "2"})


def applied(recent: RecentWrites, region: str, read: Image) -> Image:
    """Return an image as it is taken to be after this read."""
    return recent.apply(region, {read.image_id: read})[read.image_id]


def test_late_read() -> None:
    """A read that shows the former values is taken to be late; another image is not."""
    recent = RecentWrites(FakeClock())
    recent.add(REGION, OLD, {"ImageName": "new", "Tag.k": "2"})
    assert applied(recent, REGION, OLD) == NEW
    assert applied(recent, REGION, NEW) == NEW
    assert applied(recent, "ap-tokyo", OLD) == OLD


def test_tag_bound_and_unbound() -> None:
    """A tag that was unbound is not there, and one that was bound is, though a read is late."""
    recent = RecentWrites(FakeClock())
    recent.add(REGION, OLD, {"Tag.k": None, "Tag.n": "1"})
    assert applied(recent, REGION, OLD).tags == {"n": "1"}


def test_every_older_value_is_late() -> None:
    """A read may lag behind several writes; a write back to a former value counts as well."""
    recent = RecentWrites(FakeClock())
    recent.add(REGION, OLD, {"ImageName": "tmp"})
    recent.add(REGION, OLD, {"ImageName": "new"})
    for name in ("old", "tmp", "new"):
        assert applied(recent, REGION, image("img-a", name)).name == "new"
    recent.add(REGION, NEW, {"ImageName": "old"})
    assert applied(recent, REGION, image("img-a", "new")).name == "old"


def test_time_is_over() -> None:
    """After 30 s a read counts, whatever it shows; what is older is forgotten."""
    clock = FakeClock()
    recent = RecentWrites(clock)
    recent.add(REGION, OLD, {"ImageName": "new"})
    clock.now += LAG_SECONDS
    recent.expire()
    recent.add(REGION, OLD, {"Tag.k": "2"})
    assert applied(recent, REGION, OLD) == NEW
    clock.now += 0.5
    recent.expire()
    assert applied(recent, REGION, OLD) == image("img-a", "old", Tags={"k": "2"})
    clock.now += LAG_SECONDS
    recent.expire()
    assert applied(recent, REGION, OLD) == OLD
    assert recent._writes == {}


def test_value_replaced_long_ago() -> None:
    """A value that was replaced more than 30 s ago is somebody's, though others are recent."""
    clock = FakeClock()
    recent = RecentWrites(clock)
    for name in ("a", "b", "c"):
        recent.add(REGION, image("img-a", "old"), {"ImageName": name})
        clock.now += LAG_SECONDS - 5
    assert applied(recent, REGION, image("img-a", "b")).name == "c"
    assert applied(recent, REGION, image("img-a", "a")).name == "a"


def test_back_by_somebody_else() -> None:
    """Once a third value was read, a former value is somebody's, too."""
    recent = RecentWrites(FakeClock())
    recent.add(REGION, OLD, {"ImageName": "new"})
    assert applied(recent, REGION, image("img-a", "theirs")).name == "theirs"
    assert applied(recent, REGION, image("img-a", "old")).name == "old"


class Interrupted(FakeClock):
    """A clock that lets something else happen when it is first asked for the time."""

    happens: Callable[[], None] | None = None

    def monotonic(self) -> float:
        """The time."""
        happens, self.happens = self.happens, None
        if happens:
            happens()
        return super().monotonic()


def test_name_and_tags_at_the_same_moment() -> None:
    """A name and a tag of one image, written side by side, are both known afterwards."""
    clock = Interrupted()
    recent = RecentWrites(clock)
    clock.happens = lambda: recent.add(REGION, OLD, {"Tag.k": "2"})
    recent.add(REGION, OLD, {"ImageName": "new"})
    assert applied(recent, REGION, OLD) == NEW
