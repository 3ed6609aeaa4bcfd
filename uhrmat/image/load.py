"""Read the files of photographs: each one's while the one before it is matted, the first one's prior while torch loads.

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
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.prior.prefetch import PrefetchedPrior, prefetch_prior, solve_prefetched


@dataclass(frozen=True)
class LoadedImage:
    """What the files of an image task hold.

    Attributes:
        picture: the photograph.
        hints: of the picture's size.
        seconds: that reading took.
        prefetched: the prior's input, where it was prepared ahead.
    """

    picture: Picture
    hints: Hints
    seconds: float
    prefetched: PrefetchedPrior | None = None


def load(task: ImageTask, resize: bool = False, max_pixels: int = MAX_PIXELS) -> LoadedImage:
    """Read a photograph, with what an EXR holds beyond its display window, and its hints.

    Args:
        task: the photograph and its hints.
        resize: whether trimaps of another size and masks of other proportions are resampled.
        max_pixels: more are refused.

    Raises:
        InputError: for files that cannot be used.
        MemoryBudgetError: where decoding would take more memory than is left of the budget.
    """
    start = time.perf_counter()
    picture = read_picture(task.photo, max_pixels, overscan=True)
    size = display_size(picture.info)
    hints = read_hints(
        size, task.trimap, task.mask, plate=task.plate, key=task.key, alpha=task.alpha,
        resize=resize, max_pixels=max_pixels, radius=task.radius,
        picture=picture if size == (picture.height, picture.width) else None, prompts=task.prompts,
        recognise=task.recognise, widen=True,
    )  # fmt: skip
    return LoadedImage(picture, _extend_to_data_window(hints, picture.info), time.perf_counter() - start)


def _extend_to_data_window(hints: Hints, info: PictureInfo) -> Hints:
    """Hints of an EXR's display window, extended to all pixels that the file holds."""
    if info.exr is None or info.exr.data == info.exr.display:
        return hints
    given = {"trimap": hints.trimap, "mask": hints.mask, "alpha": hints.alpha}
    arrays = {name: extend_over_overscan(array, info) for name, array in given.items() if array is not None}
    plate = None if hints.plate is None else extend_picture_over_overscan(hints.plate, info)
    rows, columns = info.exr.shown
    prompts = hints.prompts and hints.prompts.moved(rows.start, columns.start, (info.height, info.width))
    hints = replace(hints, prompts=prompts)
    return replace(hints, plate=plate, trimap=arrays.get("trimap"), mask=arrays.get("mask"), alpha=arrays.get("alpha"))


class Prefetcher:
    """Reads the files of each task while the task before it is matted. Close it at the end.

    Args:
        tasks: in the order in which they will be taken.
        resize, max_pixels: as for `load`.
    """

    def __init__(self, tasks: Sequence[ImageTask], resize: bool = False, max_pixels: int = MAX_PIXELS) -> None:
        self._tasks, self._reading = list(tasks), (resize, max_pixels)
        self._pool = ThreadPoolExecutor(1)
        self._next = self._submit()
        self._prefetched: Future[PrefetchedPrior | None] | None = None

    def _submit(self) -> Future[LoadedImage]:
        """Start reading the next task's files in the pool, within the caller's memory limit."""
        return self._pool.submit(copy_context().run, partial(load, self._tasks[0], *self._reading))

    def prefetch_prior(
        self, name: str, side: int | None, solver: Solver, halved: bool = False
    ) -> Future[PrefetchedPrior | None]:
        """Start the prior of the first photograph, see `prior.prefetch`.

        Returns:
            A future that is done when the photograph is read and `solver` has been called. Errors are left to the
            pipeline, which meets them again.
        """
        first = self._next

        def prepare() -> PrefetchedPrior | None:
            with suppress(Exception):
                loaded = first.result()
                return prefetch_prior(loaded.picture, loaded.hints, name, side, halved)
            return None

        def solve(prepared: Future[PrefetchedPrior | None]) -> None:
            with suppress(Exception):
                if (prefetched := prepared.result()) is not None:
                    solve_prefetched(prefetched, solver)

        self._prefetched = self._pool.submit(prepare)
        self._pool.submit(solve, self._prefetched)
        return self._prefetched

    def take(self, task: ImageTask) -> LoadedImage:
        """Return what the files of the next task hold; tasks are taken in their order. Raises what `load` does."""
        if self._tasks.pop(0) is not task:
            raise ValueError("tasks are taken in the order in which they were given")
        current, prefetched, self._prefetched = self._next, self._prefetched, None
        try:
            loaded = current.result()
        except MemoryBudgetError:  # it did not fit beside the photograph before it, which is finished now
            loaded = load(task, *self._reading)
        if self._tasks:
            self._next = self._submit()
        return loaded if prefetched is None else replace(loaded, prefetched=prefetched.result())

    def close(self) -> None:
        """Drop what has not been taken."""
        self._pool.shutdown(wait=False, cancel_futures=True)
