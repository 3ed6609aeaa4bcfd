"""A picture's rows worked on in strips by a few threads, handed back in order, never far ahead of their taker."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T")
MakeRows = Callable[[int, int], npt.NDArray[Any]]
"""`make(y0, y1)` gives rows y0..y1 of a picture; it is called on several threads."""


def map_strips(work: Callable[[int, int], T], rows: int, step: int) -> Iterator[T]:
    """`work(y0, y1)` for strips of `step` rows, results in order. At most a dozen strips are in memory at a time."""
    pool = ThreadPoolExecutor(max_workers=min(4, os.cpu_count() or 1), thread_name_prefix="strips")
    pending: deque[Future[T]] = deque()
    try:
        for y in range(0, rows, step):
            pending.append(pool.submit(work, y, min(rows, y + step)))
            if len(pending) > 8:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def horizontal_differences(rows: npt.NDArray[Any], pixel: int, out: npt.NDArray[Any]) -> None:
    """Into `out`: (n, samples) rows minus the samples `pixel` places to the left, modulo the type; the first stay."""
    out[:, :pixel] = rows[:, :pixel]
    np.subtract(rows[:, pixel:], rows[:, :-pixel], out=out[:, pixel:])
