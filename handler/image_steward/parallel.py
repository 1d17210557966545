"""Work side by side, in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

T = TypeVar("T")

MOST = 16
"""Threads for one set of works; a document may name a thousand regions."""


class SideBySide(Protocol):
    """Does works, and gives what they return, in their order, each as soon as it is there."""

    def __call__(self, works: Sequence[Callable[[], T]], most: int = ...) -> Iterator[T]:
        """Do the works, at most so many at a time."""


def in_threads(works: Sequence[Callable[[], T]], most: int = MOST) -> Iterator[T]:
    """A `SideBySide` that does each work in a thread."""
    with ThreadPoolExecutor(min(len(works), most)) as pool:
        for future in [pool.submit(work) for work in works]:
            yield future.result()
