"""Reading ahead: the next photograph's files while this one is matted, the first one's prior while torch loads.

Nothing here imports torch.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass, replace
from functools import partial

from uhrmat.core.errors import MemoryBudgetError
from uhrmat.hints.read import Hints, read_hints
from uhrmat.image.plan import ImageTask
from uhrmat.media import MAX_PIXELS, Picture, PictureInfo, read_picture
from uhrmat.media.overscan import display_size, extend_over_overscan, extend_picture_over_overscan
from uhrmat.prior.closed_form.affinity import Solver
from uhrmat.prior.prefetch import PrefetchedPrior, prefetch_prior, solve_prefetched


@dataclass(frozen=True)
class Loaded:
    """What a job's files hold, and how many seconds reading them took. begun: the prior, where it was begun."""

    picture: Picture
    hints: Hints
    seconds: float
    begun: PrefetchedPrior | None = None


def load(job: ImageTask, resize: bool = False, max_pixels: int = MAX_PIXELS) -> Loaded:
    """Reads the photograph, with what an EXR holds beyond its display window, and its hints. Raises InputError."""
    start = time.perf_counter()
    picture = read_picture(job.photo, max_pixels, overscan=True)
    hints = read_hints(
        display_size(picture.info), job.trimap, job.mask, plate=job.plate, key=job.key, alpha=job.alpha,
        resize=resize, max_pixels=max_pixels,
    )  # fmt: skip
    return Loaded(picture, _over_all(hints, picture.info), time.perf_counter() - start)


def _over_all(hints: Hints, info: PictureInfo) -> Hints:
    """Hints of what is shown of a picture, continued over all of it."""
    if info.exr is None or info.exr.data == info.exr.display:
        return hints
    given = {"trimap": hints.trimap, "mask": hints.mask, "alpha": hints.alpha}
    arrays = {name: extend_over_overscan(array, info) for name, array in given.items() if array is not None}
    plate = None if hints.plate is None else extend_picture_over_overscan(hints.plate, info)
    return replace(hints, plate=plate, trimap=arrays.get("trimap"), mask=arrays.get("mask"), alpha=arrays.get("alpha"))


class Prefetcher:
    """Reads each job's files while the job before it is matted; of the first, begins the prior too. Close it."""

    def __init__(self, jobs: Sequence[ImageTask], resize: bool = False, max_pixels: int = MAX_PIXELS) -> None:
        self._jobs, self._reading = list(jobs), (resize, max_pixels)
        self._pool = ThreadPoolExecutor(1)
        self._next = self._begin()
        self._begun: Future[PrefetchedPrior | None] | None = None

    def _begin(self) -> Future[Loaded]:
        """Reads the next job's files in the pool, within the caller's memory limit."""
        return self._pool.submit(copy_context().run, partial(load, self._jobs[0], *self._reading))

    def prefetch_prior(
        self, name: str, side: int | None, solver: Solver, halved: bool = False
    ) -> Future[PrefetchedPrior | None]:
        """See `prior.prefetch`; what is returned is done when the first photograph is read and `solver` is being
        asked. What goes wrong in it goes wrong again, and is told, in the matter."""
        first = self._next

        def begin() -> PrefetchedPrior | None:
            with suppress(Exception):
                loaded = first.result()
                return prefetch_prior(loaded.picture, loaded.hints, name, side, halved)
            return None

        def solve(begun: Future[PrefetchedPrior | None]) -> None:
            with suppress(Exception):
                if (found := begun.result()) is not None:
                    solve_prefetched(found, solver)

        self._begun = self._pool.submit(begin)
        self._pool.submit(solve, self._begun)
        return self._begun

    def take(self, job: ImageTask) -> Loaded:
        """What the files of the next job hold; jobs are taken in their order. Raises what reading them raised."""
        if self._jobs.pop(0) is not job:
            raise ValueError("jobs are taken in the order in which they were given")
        current, begun, self._begun = self._next, self._begun, None
        try:
            loaded = current.result()
        except MemoryBudgetError:  # beside the photograph before it; that is finished now
            loaded = load(job, *self._reading)
        if self._jobs:
            self._next = self._begin()
        return loaded if begun is None else replace(loaded, begun=begun.result())

    def close(self) -> None:
        """Drops what nobody waits for any more."""
        self._pool.shutdown(wait=False, cancel_futures=True)
