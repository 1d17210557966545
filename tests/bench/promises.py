"""The promises about speed, size and memory; `make bench` measures all of them in one run."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Promise:
    """A figure and its lower or upper bound; without a bound it is for information only."""

    name: str
    at_least: float | None = None
    at_most: float | None = None

    def is_kept_by(self, figure: float) -> bool:
        """Whether a measured figure is within the bound."""
        return (self.at_least is None or figure >= self.at_least) and (
            self.at_most is None or figure <= self.at_most
        )


ALONE = Promise("120 changes, 80 ms latency: share of the rate limit", at_least=0.93)
ALONE_THROTTLES = Promise("120 changes, 80 ms latency: throttled calls", at_most=0)
THREE_REGIONS = Promise(
    "three regions at once: share of the rate limit, lowest region", at_least=0.9
)
NEIGHBOUR = Promise("another client uses half of the rate limit: function's share", at_least=0.4)
NEIGHBOUR_LOST = Promise("another client uses half of the rate limit: changes lost", at_most=0)
"""With the emulated cloud's sliding window of one second; how the API counts is not published."""
ALONE_CALLS = Promise("120 changes: calls, ratio to naive", at_most=0.55)

TWO = Promise("two instances at once, 120 changes each: share of the rate limit", at_least=0.6)
TWO_THROTTLES = Promise("two instances at once: throttled calls per change", at_most=0.3)
TEN = Promise("ten instances at once, 24 changes each: share of the rate limit")
TEN_THROTTLES = Promise("ten instances at once: throttled calls per change")
LOST = Promise("two and ten instances at once: changes lost", at_most=0)
"""Instances know nothing of each other; serverless.yml limits their number."""

CALLS_PER_THOUSAND = Promise("1,000 images that need no change: calls", at_most=10)
CALLS_SHARE = Promise("1,000 images that need no change: calls, ratio to naive", at_most=0.01)

PLANNING_LESS = Promise("planning 10,000 images: CPU, ratio to reading them", at_most=8)
PLANNING_LESS_SECONDS = Promise("planning 10,000 images: CPU seconds")
PLANNING = Promise("planning 100,000 images: CPU, ratio to reading them", at_most=8)
PLANNING_SECONDS = Promise("planning 100,000 images: CPU seconds")
"""With a policy that reads what it writes and changes all images; the best of several each.

Reading is what takes as long for each image, however many there are.
"""
DERIVING = Promise("planning 10,000 images with five Derive steps: CPU, ratio to none", at_most=3)
DERIVING_SECONDS = Promise("planning 10,000 images with five Derive steps: CPU seconds")
PATTERN = Promise("the worst patterns against 256 characters: CPU ms", at_most=20)
"""The patterns of tests/hostile.py; the best of three each."""

HOSTILE_IMAGES = Promise(
    "1,000 images, worst texts and templates: CPU, ratio to planning 10,000 images", at_most=3
)
HOSTILE_IMAGES_SECONDS = Promise("1,000 images, worst texts and templates: CPU seconds")
HOSTILE_DOCUMENT = Promise(
    "a document of 1 MiB, the worst: CPU, ratio to planning 10,000 images", at_most=3
)
HOSTILE_DOCUMENT_SECONDS = Promise("a document of 1 MiB, the worst: CPU seconds")
"""10,000 images take a third of a second where nothing else runs, so these take one second."""
HOSTILE_PEAK = Promise("a rejected document of 1 MiB, the worst: peak MB", at_most=64)
"""The documents and images of tests/hostile.py; the memory is that of the whole process."""

INVOKE = Promise(
    "scf-local invoke of a trivial function: overhead, ratio to a cold start of naive", at_most=0.35
)
INVOKE_SECONDS = Promise("scf-local invoke of a trivial function: seconds of overhead")
"""More than `python -c` takes; the best of several runs each."""

REPLAY = Promise("replaying 10,000 events, trivial function: events per second", at_least=2000)
REPLAY_STEWARD = Promise("replaying 10,000 events that Image Steward ignores: events per second")
REPLAY_RATIO = Promise(
    "replaying 10,000 events that Image Steward ignores: ratio to calling it in a loop", at_most=5
)
REPLAY_GROWTH = Promise(
    "replaying 10,000 events that Image Steward ignores: MB of growth after 1,000", at_most=2
)
"""Of the harness's process; the function's process has its own limit."""

UPLOADS_LOST = Promise("1,000 uploads that fire a function in the emulated cloud: lost", at_most=0)
UPLOADS_RATE = Promise("1,000 uploads that fire a function in the emulated cloud: runs per second")
UPLOADS_GROWTH = Promise(
    "1,000 uploads that fire a function in the emulated cloud: MB of growth after 200", at_most=8
)
"""Of the peak of the emulated cloud's process, which keeps the objects, calls and runs."""

UNDO = Promise("undo from 70 MB of log: CPU, ratio to planning 10,000 images", at_most=30)
UNDO_SECONDS = Promise("undo from 70 MB of log: CPU seconds")
UNDO_PEAK = Promise("undo from 70 MB of log: peak MB", at_most=100)
"""An export of CLS in JSON Lines, a third of them image.before; of the whole process."""

ZIP = Promise("bundle size: MB", at_most=2.5)
COLD_COS = Promise("cold COS event, process start to result: ratio to naive", at_most=0.37)
COLD_BY_HAND = Promise(
    "cold COS event with a journal: ratio to a handler made by hand", at_most=1.06
)
COLD_MS = Promise("cold COS event: ms")
COLD_TLS = Promise(
    "cold COS event over https, by the emulated cloud's names: ratio to plain HTTP", at_most=1.35
)
COLD_REJECTED = Promise("cold event with a rejected document: ratio to naive", at_most=0.22)
COLD_UNCHANGED = Promise("cold event that changes nothing: ratio to naive", at_most=0.4)
WARM = Promise("warm COS event with a rejected document: ratio to naive", at_most=0.75)
PEAK = Promise("cold COS event: peak MB", at_most=48)
MEMORY = Promise("10,000 images that need no change: peak MB", at_most=96)
"""`naive` and `by_hand` are the handlers beside this file, measured in the same run."""
