"""Work side by side, in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

T = TypeVar("T")


class SideBySide(Protocol):
    """Does works, and gives what they return, in their order, each as soon as it is there."""

    def __call__(self, works: Sequence[Callable[[], T]], most: int = ...) -> Iterator[T]:
        """Do the works, at most so many at a time."""


def in_threads(works: Sequence[Callable[[], T]], most: int) -> Iterator[T]:
    """A `SideBySide` that does each work in a thread."""
    with ThreadPoolExecutor(min(len(works), most)) as pool:
        for future in [pool.submit(work) for work in works]:
            yield future.result()
