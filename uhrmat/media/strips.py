"""Processes the rows of a picture in strips on a few threads, with results in order and a bounded number in memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
_THREADS, _PENDING = 4, 8
"""Threads at most, and strips that may wait for their results to be taken."""
MakeRows = Callable[[int, int], npt.NDArray[Any]]
"""`make(y0, y1)` gives rows y0 up to y1 of a picture; it is called on several threads."""


def map_strips(work: Callable[[int, int], T], rows: int, step: int) -> Iterator[T]:
    """Call a function on strips of rows by up to four threads.

    Args:
        work: `work(y0, y1)` processes rows y0 up to y1.
        rows: How many rows there are.
        step: Rows of a strip.

    Yields:
        The results in order. At most a dozen strips are in memory at a time.
    """
    pool = ThreadPoolExecutor(max_workers=min(_THREADS, os.cpu_count() or 1), thread_name_prefix="strips")
    pending: deque[Future[T]] = deque()
    try:
        for y in range(0, rows, step):
            pending.append(pool.submit(work, y, min(rows, y + step)))
            if len(pending) > _PENDING:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def horizontal_differences(rows: npt.NDArray[Any], pixel: int, out: npt.NDArray[Any]) -> None:
    """Write the differences of each sample to the one a pixel to the left, modulo the type.

    Args:
        rows: (n, samples) integers.
        pixel: Samples of a pixel; the first pixel of each row is copied.
        out: (n, samples) of the same type.
    """
    out[:, :pixel] = rows[:, :pixel]
    np.subtract(rows[:, pixel:], rows[:, :-pixel], out=out[:, pixel:])
