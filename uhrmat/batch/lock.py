"""One run at a time in an output folder, or in one shard of it; see `core.lock` for when a lock counts no more."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from uhrmat.batch.manifest import FOLDER
from uhrmat.core import lock

_NAME = re.compile(r"lock-(\d+)of(\d+)\.json")


def part_name(shard: tuple[int, int]) -> str:
    """`2of8`, for names of files."""
    return f"{shard[0]}of{shard[1]}"


@contextmanager
def locked(out: Path, shard: tuple[int, int] = (1, 1)) -> Iterator[Callable[[], bool]]:
    """Holds the lock of a shard of the output folder, which is made. Yields what says whether no other shard is held.

    Shards of one number go side by side; anything else is refused with OutputError that names who is at work.
    """
    mine = out / FOLDER / f"lock-{part_name(shard)}"
    with lock.hold_lock(mine, out):
        _only(mine, out, shard[1])
        yield partial(_only, mine, out, shard[1])


def _only(mine: Path, out: Path, parts: int) -> bool:
    """Whether no other lock is held. Raises OutputError for one that cannot be held beside ours."""
    alone = True
    for owner_file in sorted(mine.parent.glob("lock-*.json")):
        path, match = owner_file.with_suffix(""), _NAME.fullmatch(owner_file.name)
        if path == mine or match is None or (held := lock.find_holder(path)) is None:
            continue
        if int(match[2]) != parts:
            raise lock.lock_error(held, out)
        alone = False
    return alone
