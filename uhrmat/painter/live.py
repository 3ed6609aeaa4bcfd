"""The matte while it is painted: solved coarse to fine and refined where it is seen, in a thread of its own.

After every change the low-resolution alpha is solved again from the coarsest size up, each size shown as soon as it is
there, and the visible part is refined at full resolution, tile by tile from the middle. A further change makes what is
being computed stale: it is dropped at the next size or tile. What is saved is computed by `save`, not here; here the
prior stops at `LiveParams.working_size` and each tile is refined by itself.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import UhrmatError
from uhrmat.media import Picture
from uhrmat.media.coding import FOREGROUND, UNKNOWN
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.small import SmallTrimap
from uhrmat.painter.strokes import Box
from uhrmat.painter.tiles import crop_low_res, full_box, tile_box
from uhrmat.pipeline import StillPipeline
from uhrmat.prior.base import working_shape
from uhrmat.prior.closed_form.coarse_to_fine import CoarseToFineParams, solve_coarse_to_fine
from uhrmat.prior.closed_form.problem import REPEATED_KNN, Solver
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.refine.base import RefineInput
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.sparsity.spatial import trimap_from_scribbles, trimap_mask

Alpha = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class LiveParams:
    """Parameters of the live matte. None of them changes what is saved.

    Attributes:
        working_size: short side of the finest low-resolution alpha, pixels. Half of what `uhrmat image` takes: a
            stroke's effect is seen in about a quarter of the time.
        cell: side of the squares that are refined one after the other, pixels; a divisor of `tiles.TILE`. Smaller
            ones waste less beyond the visible part, larger ones less on their halos.
        halo: pixels around a square that are refined with it and dropped.
        kept: refined squares that are kept; more are visible on no screen.
        unseen: a square is not refined again where its low-resolution alpha has changed by no more than this since it
            was, and nothing is painted in it. Half a step of 8 bits: nobody sees it. Not tuned.
    """

    working_size: int = 384
    cell: int = 256
    halo: int = 32
    kept: int = 1024
    unseen: float = 0.5 / 255


LIVE = LiveParams()


class _Stale(Exception):
    """Something has changed, so that what is being computed is no longer wanted."""


@dataclass(frozen=True)
class View:
    """What a page shows: a box in pixels of the picture, and device pixels per pixel of the picture."""

    box: Box
    zoom: float


@dataclass(frozen=True)
class Solution:
    """A low-resolution alpha: (h, w) float32 in [0, 1], the canvas's revision that it belongs to, and notes."""

    alpha: Alpha
    revision: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Tile:
    """A refined square: the revision that it is right for, its alpha, and what it was made from: the low-resolution
    alpha of its surroundings, and a digest of what is painted there."""

    revision: int
    alpha: Alpha
    prior: Alpha
    painted: bytes


class LiveMatte:
    """The background thread and what it has computed. Close it at the end.

    Args:
        picture: the photograph.
        canvas: what is painted.
        solver: of affinity priors, `PriorProcess.solve`.
        load: makes the pipeline whose refiner is used; called once, in the thread.
        first: a low-resolution alpha to show before anything is painted, or None.
        params: see there.
    """

    def __init__(
        self, picture: Picture, canvas: Canvas, solver: Solver, load: Callable[[], StillPipeline],
        first: Alpha | None = None, params: LiveParams = LIVE,
    ) -> None:  # fmt: skip
        self._picture, self._canvas, self._solver, self._load, self._params = picture, canvas, solver, load, params
        self._small = downsample_picture(picture, working_shape(*canvas.size, params.working_size))
        self._known = SmallTrimap(canvas, (self._small.shape[0], self._small.shape[1]))
        self._changed = threading.Condition()
        self._views: dict[str, View] = {}
        self._solution = None if first is None else Solution(first, 0)
        self._complete = 0 if first is not None else -1
        self._tiles: dict[tuple[int, int], _Tile] = {}
        self._closed, self._failed, self._refining = False, -1, 0.0
        self._pipeline: StillPipeline | None = None
        self.version, self.shown = 0, 0
        """Count up with whatever a page should know, and with every change of the alpha."""
        self.busy, self.error, self.seconds = "", "", {"prior": 0.0, "refine": 0.0}
        """What is being computed ("prior", "refine"); what went wrong last; what the last solution and window took."""
        self._thread = threading.Thread(target=self._run, name="live matte", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------------------------------------- for the server
    def notify(self, alpha: bool = True) -> None:
        """Tell the thread, and the pages that wait, that the canvas or something that they show has changed."""
        with self._changed:
            self.version += 1
            self.shown += alpha
            self._changed.notify_all()

    def show(self, page: str, view: View | None) -> None:
        """Set what a page shows, None where it is gone."""
        with self._changed:
            if view is None:
                self._views.pop(page, None)
            else:
                self._views[page] = view
            self._changed.notify_all()

    def wait(self, version: int, seconds: float) -> int:
        """Wait until `version` differs from the present one, at most `seconds`; returns the present one."""
        with self._changed:
            self._changed.wait_for(lambda: self.version != version or self._closed, seconds)
            return self.version

    @property
    def solution(self) -> Solution | None:
        """The latest low-resolution alpha, of whatever size."""
        return self._solution

    def tile(self, level: int, x: int, y: int) -> npt.NDArray[np.uint8]:
        """The alpha of a tile as uint8; where nothing is solved yet, what is painted as foreground."""
        size, box = self._canvas.size, tile_box(self._canvas.size, level, x, y)
        full, shape = full_box(box, level, size), (box[3] - box[1], box[2] - box[0])
        solution = self._solution
        known = self._canvas.trimap[full[1] : full[3] : 1 << level, full[0] : full[2] : 1 << level].copy()
        alpha = np.zeros(shape, np.float32) if solution is None else crop_low_res(solution.alpha, size, full, shape)
        if solution is not None and level <= 1:
            self._paste_tiles(alpha, full, level, solution.revision)
        alpha = np.where(known == UNKNOWN, alpha, known == FOREGROUND)
        return np.asarray(np.rint(alpha.clip(0, 1) * 255).astype(np.uint8))

    def close(self) -> None:
        """Stop the thread: it ends after the size or tile that it is at."""
        with self._changed:
            self._closed = True
            self.version += 1
            self._changed.notify_all()
        self._thread.join()

    def _paste_tiles(self, alpha: Alpha, full: Box, level: int, revision: int) -> None:
        """Put the refined tiles of a revision into the alpha of a box, at level 0 or 1."""
        step, cell = 1 << level, self._params.cell
        for (x, y), kept in list(self._tiles.items()):
            left, top, refined = x * cell, y * cell, kept.alpha
            if kept.revision != revision or not (full[0] <= left < full[2] and full[1] <= top < full[3]):
                continue
            h, w = -(-refined.shape[0] // step), -(-refined.shape[1] // step)
            part = refined if level == 0 else cv2.resize(refined, (w, h), interpolation=cv2.INTER_AREA)
            target = alpha[(top - full[1]) // step :, (left - full[0]) // step :][:h, :w]
            target[:] = part[: target.shape[0], : target.shape[1]]

    # -------------------------------------------------------------------------------------------------- in the thread
    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._wanted() is not None)
                if self._closed:
                    return
                wanted, revision = self._wanted(), self._canvas.revision
            try:
                if wanted == "prior":
                    self._solve()
                elif wanted is not None:
                    self._refine(*wanted)
                if self._wanted() is None:
                    self._set_busy("")
            except _Stale:
                continue
            except Exception as error:  # shown on the page; the next change tries again
                self._failed = revision
                self._complete = revision if wanted == "prior" else self._complete
                text = str(error) if isinstance(error, UhrmatError) else f"{type(error).__name__}: {error}"
                self._set_busy("", text)

    def _wanted(self) -> str | tuple[int, int] | None:
        """What is to be computed next: the prior, a tile, or nothing."""
        revision = self._canvas.revision
        if self._complete != revision:
            return "prior"
        if self._solution is None or self._failed == revision:
            return None
        for place in self._visible():
            tile = self._tiles.get(place)
            if tile is None or tile.revision != revision:
                return place
        return None

    def _visible(self) -> list[tuple[int, int]]:
        """Squares (x, y) that pages show at about half size or larger, those in the middle first."""
        tiles: dict[tuple[int, int], float] = {}
        cell = self._params.cell
        height, width = self._canvas.size
        for view in self._views.values():
            if view.zoom < 0.4:
                continue
            left, top, right, bottom = view.box
            middle = (left + right) / 2 / cell - 0.5, (top + bottom) / 2 / cell - 0.5
            for y in range(max(0, top // cell), -(-min(bottom, height) // cell)):
                for x in range(max(0, left // cell), -(-min(right, width) // cell)):
                    tiles[x, y] = min(tiles.get((x, y), np.inf), np.hypot(x - middle[0], y - middle[1]))
        return sorted(tiles, key=lambda tile: tiles[tile])[: self._params.kept]

    def _set_busy(self, what: str, error: str = "") -> None:
        if (self.busy, self.error) != (what, error):
            self.busy, self.error = what, error
            self.notify(alpha=False)

    def _solve(self) -> None:
        """Solve the low-resolution alpha of the canvas, showing each size. Raises `_Stale`."""
        start = time.perf_counter()
        self._set_busy("prior")
        shape = self._small.shape[0], self._small.shape[1]
        revision, known = self._known.update()
        sides = {int(value) for value in np.unique(known)} - {UNKNOWN}
        if not sides:  # nothing is painted yet
            self._publish(Solution(np.zeros(shape, np.float32), revision))
        else:
            inverted = sides == {FOREGROUND}  # one side alone: its outline decides, see `AffinityPrior`
            if inverted:
                known = np.where(known == FOREGROUND, 0, known).astype(np.uint8)

            def level(small: np.ndarray, constraint: np.ndarray) -> tuple[np.ndarray, list[str]]:
                self._check(revision)
                alpha, notes = self._solver(small, constraint, REPEATED_KNN)
                self._check(revision)
                self._publish(Solution(1 - alpha if inverted else alpha, revision))
                return alpha, notes

            alpha, notes = solve_coarse_to_fine(self._small, known, level, CoarseToFineParams())
            self._check(revision)
            self._publish(Solution(1 - alpha if inverted else alpha, revision, tuple(notes)))
        self.seconds["prior"], self._complete = time.perf_counter() - start, revision
        self._refining = time.perf_counter()

    def _publish(self, solution: Solution) -> None:
        self._solution = solution
        self.notify()

    def _check(self, revision: int) -> None:
        if self._closed or self._canvas.revision != revision:
            raise _Stale

    def _refine(self, x: int, y: int) -> None:
        """Refine one square. Raises `_Stale`."""
        solution = self._solution
        assert solution is not None
        self._set_busy("refine")
        if self._pipeline is None:
            self._pipeline = self._load()
        size, halo = self._canvas.size, self._params.halo
        left, top = x * self._params.cell, y * self._params.cell
        right, bottom = min(size[1], left + self._params.cell), min(size[0], top + self._params.cell)
        window = max(0, left - halo), max(0, top - halo), min(size[1], right + halo), min(size[0], bottom + halo)
        with self._canvas.lock:
            self._check(solution.revision)
            known = self._canvas.trimap[window[1] : window[3], window[0] : window[2]].copy()
        low = self._small.shape[0] / size[0]
        shape = max(1, round(known.shape[0] * low)), max(1, round(known.shape[1] * low))
        prior = crop_low_res(solution.alpha, size, window, shape)
        painted = hashlib.sha256(known.tobytes()).digest()
        kept = self._tiles.get((x, y))
        if kept is not None and kept.painted == painted and np.abs(kept.prior - prior).max() <= self._params.unseen:
            self._keep((x, y), replace(kept, revision=solution.revision))  # the change does not reach here
            return
        trimap = trimap_from_scribbles(prior, known)
        alpha = upsampled_prior(prior, trimap)
        active = trimap_mask(trimap)
        if active.any():
            pixels = np.ascontiguousarray(self._picture.pixels[window[1] : window[3], window[0] : window[2]])
            info = replace(self._picture.info, height=known.shape[0], width=known.shape[1])
            part = Picture(pixels, None, info)
            small = crop_low_res(self._small, size, window, shape)
            self._pipeline.refine(RefineInput(part, small, prior, trimap, active), alpha, foreground=False)
        apply_trimap(alpha, trimap)
        self._check(solution.revision)
        inner = alpha[top - window[1] : bottom - window[1], left - window[0] : right - window[0]]
        self._keep((x, y), _Tile(solution.revision, inner.copy(), prior, painted))

    def _keep(self, place: tuple[int, int], tile: _Tile) -> None:
        self._tiles.pop(place, None)  # to the end: the oldest come first
        self._tiles[place] = tile
        while len(self._tiles) > self._params.kept:
            self._tiles.pop(next(iter(self._tiles)))
        self.seconds["refine"] = time.perf_counter() - self._refining
        self.notify()
