"""Work side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from image_steward.errors import StewardError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

MOST = 16
"""Threads for one set of works; a document may name a thousand regions."""


def attempted(work: Callable[[], T]) -> T | StewardError:
    """What a work returns or raises: trouble with one region is not that of the others."""
    try:
        return work()
    except StewardError as error:
        return error


def side_by_side(works: Sequence[Callable[[], T]]) -> list[T]:
    """What the works return, in their order; each in a thread, unless it is the only one."""
    if len(works) <= 1:
        return [work() for work in works]
    # Imported here: most events change one image and never pay for it.
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - see above

    with ThreadPoolExecutor(min(len(works), MOST)) as pool:
        return [future.result() for future in [pool.submit(work) for work in works]]
