"""Functions called in parallel, in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from image_steward.lazy import load

T = TypeVar("T")


class RunParallel(Protocol):
    """The type of `run_parallel`; tests have implementations of their own."""

    def __call__(self, functions: Sequence[Callable[[], T]], limit: int = ..., /) -> Iterator[T]:
        """As `run_parallel`."""


def run_parallel(functions: Sequence[Callable[[], T]], limit: int = 16, /) -> Iterator[T]:
    """Call functions, at most `limit` at a time; yield their results in order, as they arrive.

    The default limit is for work by region. A single function, as in most events, needs no thread.
    """
    if len(functions) <= 1:
        yield from (function() for function in functions)
        return
    with load("concurrent.futures:ThreadPoolExecutor")(min(len(functions), limit)) as pool:
        for future in [pool.submit(function) for function in functions]:
            yield future.result()
