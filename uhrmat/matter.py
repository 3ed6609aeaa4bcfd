"""One picture, the whole path: hints, prior, sparsity, refiner, fusion, foreground."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.ahead import small_problem
from uhrmat.devices import peak_memory, pick_device, pick_precision, set_threads
from uhrmat.errors import InputError
from uhrmat.foreground import estimate_foreground
from uhrmat.hints import Hints, read_hints
from uhrmat.media import Picture, read_picture
from uhrmat.prior.affinity import AffinityPrior, Solver
from uhrmat.prior.base import Prior
from uhrmat.refine.budget import check_total, refiner_limit
from uhrmat.refine.fuse import fused_prior, settle
from uhrmat.refine.overflow import MODES, refine_within
from uhrmat.refine.refiner import Job, make_refiner
from uhrmat.sparsity import trimap_band

ImageLike = Picture | np.ndarray | str | Path


@dataclass(frozen=True)
class Stats:
    """What was done and what it cost. seconds: by stage; peak_memory: bytes, see `devices.peak_memory`;
    working_size: (h, w) of the prior; notes: lines for the user."""

    width: int
    height: int
    active_pixels: int
    active_share: float
    prior: str
    refiner: str
    engine: str
    device: str
    precision: str
    working_size: tuple[int, int]
    seconds: dict[str, float]
    peak_memory: int
    notes: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


@dataclass
class Matte:
    """alpha: (H, W) float32 in [0, 1]; foreground: (H, W, 3) straight colour in the picture's dtype, or None;
    prior_alpha: (h, w) float32; active: (H, W) bool, the pixels refined; trimap: (H, W) uint8 {0, 128, 255}."""

    alpha: np.ndarray
    foreground: np.ndarray | None
    prior_alpha: np.ndarray
    active: np.ndarray
    trimap: np.ndarray | None
    stats: Stats
    picture: Picture


class Matter:
    """Mattes pictures. Options are checked here, weights are loaded once.

    prior: "auto" or a method of `prior.affinity.METHODS`; refiner: one of `refine.refiner.REFINERS`; working_size:
    short side of the small copy; engine: one of `sparse.ENGINES`; device: "auto", "cpu", "cuda[:n]", "mps"; precision:
    "auto", "fp32", "bf16", "fp16"; threads: of the CPU; max_memory: bytes, of this process
    on the CPU (the prior's own process is not in it), of the device on CUDA, None: a share of what is free; overflow:
    "cascade" or "parts", what to do where one shot needs more; weights: of the refiner, a name or a .safetensors file;
    solver: of the prior, see `prior.worker`. Raises InputError or WeightsError; `matte` also MemoryBudgetError.
    """

    def __init__(
        self, prior: str = "auto", refiner: str = "shm", *, working_size: int | None = None, engine: str = "auto",
        device: str = "auto", precision: str = "auto", threads: int | None = None,
        max_memory: int | None = None, overflow: str = "cascade", weights: str | None = None,
        solver: Solver | None = None,
    ) -> None:  # fmt: skip
        if overflow not in MODES:
            raise InputError(f"There is no overflow called {overflow!r}.", f"Choose one of {', '.join(MODES)}.")
        set_threads(threads)
        self.working_size = working_size
        self.device = pick_device(device)
        self.precision, dtype = pick_precision(precision, self.device)
        self.prior = AffinityPrior("closed-form" if prior == "auto" else prior, solver)
        self.refiner = make_refiner(refiner, weights, engine, dtype, self.device)
        self.max_memory, self.overflow = max_memory, overflow

    def matte(
        self, image: ImageLike, *, trimap: np.ndarray | str | Path | None = None,
        mask: np.ndarray | str | Path | None = None, foreground: bool = True,
    ) -> Matte:  # fmt: skip
        """Alpha, and with `foreground` the straight foreground colour, of one picture.

        image: a Picture, an array (see `Picture.from_array`) or a path. One hint is needed: trimap, (H, W) uint8 or a
        path, known pixels come out exactly 0 or 1; or mask, (H, W) in [0, 1] or a path. Raises InputError.
        """
        clock = Clock()
        with clock("read"):
            picture = _as_picture(image)
            hints = read_hints((picture.height, picture.width), trimap, mask)
        with clock("prior"):
            small, prior = self._prior(picture, hints)
        with clock("refine"):
            job = Job(picture, small, prior.alpha, hints.trimap, trimap_band(hints.trimap))
            alpha = fused_prior(prior.alpha, hints.trimap)
            if foreground:
                check_total(self.device, self.max_memory, foreground_bytes(picture), "the foreground")
            limit = refiner_limit(self.device, self.max_memory)
            done = refine_within(self.refiner, job, alpha, self.overflow, limit)
            settle(alpha, hints.trimap)
        colours = None
        if foreground:
            with clock("foreground"):
                colours = estimate_foreground(picture.pixels, alpha)
        active = done.active
        count = int(np.count_nonzero(active))
        stats = Stats(
            picture.width, picture.height, count, count / active.size, prior.name, self.refiner.name,
            self.refiner.engine, self.device, self.precision, prior.alpha.shape[:2], clock.seconds,
            peak_memory(self.device), [*hints.notes, *prior.notes, *done.notes],
        )  # fmt: skip
        return Matte(alpha, colours, prior.alpha, active, hints.trimap, stats, picture)

    def _prior(self, picture: Picture, hints: Hints) -> tuple[np.ndarray, Prior]:
        small, trimap = small_problem(picture, hints.trimap, self.working_size)
        return small, self.prior(small, trimap)


class Clock:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start


def _as_picture(image: ImageLike) -> Picture:
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, Path)):
        return read_picture(image)
    if isinstance(image, np.ndarray):
        return Picture.from_array(image)
    kind = type(image).__name__
    raise InputError(f"A {kind} is no picture.", "Give a path, a numpy array or a uhrmat.media.Picture.")


def foreground_bytes(picture: Picture) -> int:
    """What `estimate_foreground` takes beside the picture: the colours, and three masks of a byte."""
    return picture.height * picture.width * (3 * picture.pixels.dtype.itemsize + 3)
