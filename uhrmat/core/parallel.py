"""Two pieces of work on two threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

First = TypeVar("First")
Second = TypeVar("Second")


def side_by_side(
    first: Callable[[], First], second: Callable[[], Second], *, threads: bool = True
) -> tuple[First, Second]:
    """Two pieces of work that do not depend on each other, at the same time.

    Args:
        first: is done in this thread.
        second: in another one, which ends with it.
        threads: False: one after the other, in this thread.

    Returns:
        Both results.

    Raises:
        Exception: what either raised, that of `first` before that of `second`; both have ended then.
    """
    if not threads:
        return first(), second()
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(second)
        return first(), other.result()
