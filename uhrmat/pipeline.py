"""One picture, the whole path: hints, prior, sparsity, refiner, fusion, foreground."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.children import refuse_fork
from uhrmat.core.devices import device_note, peak_memory, pick_device, pick_precision, set_threads
from uhrmat.core.errors import InputError, UhrmatError
from uhrmat.core.memory import memory_limit
from uhrmat.core.options import ModelOptions
from uhrmat.foreground.despill import despill
from uhrmat.foreground.solve import estimate_foreground
from uhrmat.hints.files import ArrayOrPath
from uhrmat.hints.read import Hints, PlateLike, read_hints
from uhrmat.media import Picture, read_picture
from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, RecurrentPrior
from uhrmat.prior.closed_form.affinity import Solver
from uhrmat.prior.prefetch import PrefetchedPrior, prior_inputs
from uhrmat.prior.registry import PriorRegistry
from uhrmat.refine.base import PyramidRefiner, RefineInput
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.memory.budget import check_total, refiner_limit
from uhrmat.refine.registry import make_refiner
from uhrmat.refine.runner import MODES, RefineOutcome, refine_within
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, trimap_from_alpha, trimap_mask

ImageLike = Picture | np.ndarray | str | Path
RunPrior = Callable[[PriorMethod, np.ndarray, LowResHints], PriorResult]
_WARM = 64
"""Side of the picture that `StillPipeline.warm_up` refines."""


@dataclass(frozen=True)
class MattingStats:
    """What was done and what it cost. seconds: by stage; peak_memory: bytes, see `devices.peak_memory`;
    working_size: (h, w) of the prior; notes: lines for the user; warnings: those of them that say that something may
    not be as it was meant."""

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
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return asdict(self)


@dataclass
class StillResult:
    """alpha: (H, W) float32 in [0, 1]; foreground: (H, W, 3) straight colour in the picture's dtype, or None;
    prior_alpha: (h, w) float32; active: (H, W) bool, the pixels refined; trimap: (H, W) uint8 {0, 128, 255}, the
    user's, or what the prior left open; given: names of the hints, see `HINT_NAMES`."""

    alpha: np.ndarray
    foreground: np.ndarray | None
    prior_alpha: np.ndarray
    active: np.ndarray
    trimap: np.ndarray
    stats: MattingStats
    picture: Picture
    given: frozenset[str] = frozenset()


@dataclass(frozen=True)
class PriorStage:
    """A picture's small copy (h, w, 3) with what the prior answered; trimap: (H, W) uint8 {0, 128, 255}, what is
    settled (exactly 0 or 1 in the end) and what is open; notes: lines for the user."""

    small: np.ndarray
    prior: PriorResult
    trimap: np.ndarray
    notes: list[str]


class StillPipeline:
    """Mattes pictures. Options are checked here, weights are loaded once.

    prior: "auto" (hints decide) or one of `prior.choose.REQUIRED_HINTS`; refiner: one of `refine.registry.REFINERS`;
    working_size: short side of the small copy; engine: one of `sparse.ENGINES`; device: "auto", "cpu", "cuda[:n]",
    "mps"; precision: "auto", "fp32", "bf16", "fp16"; threads: of the CPU; max_memory: bytes, on the CPU of this process
    and its children, on CUDA of the device, None: a share of what is free; overflow: "cascade" or "parts", what to do
    where one shot needs more; weights: of the refiner, a name or a .safetensors file; solver: of the prior, see
    `prior.worker`. Raises InputError or WeightsError; `matte` also MemoryBudgetError.
    """

    def __init__(
        self, prior: str = "auto", refiner: str = "shm", *, working_size: int | None = None, engine: str = "auto",
        device: str = "auto", precision: str = "auto", threads: int | None = None,
        max_memory: int | None = None, overflow: str = "cascade", weights: str | None = None,
        solver: Solver | None = None,
    ) -> None:  # fmt: skip
        if overflow not in MODES:
            raise InputError(f"There is no overflow called {overflow!r}.", f"Choose one of {', '.join(MODES)}.")
        refuse_fork()
        set_threads(threads)
        self.working_size = working_size
        self.device = pick_device(device)
        self.notes = [note for note in (device_note(device),) if note]
        self.precision, dtype = pick_precision(precision, self.device)
        self.priors = PriorRegistry(prior, solver, self.device, threads)
        self.refiner = make_refiner(refiner, weights, engine, dtype, self.device)
        self.notes += getattr(self.refiner, "notes", [])
        self.halved = working_size is None and isinstance(self.refiner, PyramidRefiner)
        self.max_memory, self.overflow = max_memory, overflow

    @classmethod
    def from_options(cls, options: ModelOptions, *, solver: Solver | None = None) -> StillPipeline:
        """A pipeline of these options; solver: as for the constructor. Raises what that raises."""
        return cls(**asdict(options), solver=solver)

    def matte(
        self, image: ImageLike, *, trimap: ArrayOrPath | None = None, mask: ArrayOrPath | None = None,
        plate: PlateLike | None = None, key: str | None = None, alpha: ArrayOrPath | None = None,
        hints: Hints | None = None, foreground: bool = True, begun: PrefetchedPrior | None = None,
    ) -> StillResult:  # fmt: skip
        """Alpha, and with `foreground` the straight foreground colour, of one picture.

        image: a Picture, an array (see `Picture.from_array`) or a path; hints as for `hints.read_hints`: arrays or
        paths, or `hints` as it returns them. A trimap's known pixels come out exactly 0 or 1. begun: what
        `prefetch.prefetch_prior` made of this picture and these hints. Raises InputError.
        """
        clock = StageTimer()
        with clock("read"), memory_limit(self.max_memory, self.device):
            picture = _as_picture(image)
            if hints is None:
                hints = read_hints(
                    (picture.height, picture.width), trimap=trimap, mask=mask, plate=plate, key=key, alpha=alpha
                )
        with clock("prior"):
            asked = self.run_prior(picture, hints, fresh=True, begun=begun)
            small, prior, settled = asked.small, asked.prior, asked.trimap
        with clock("refine"):
            found = upsampled_prior(prior.alpha, settled)
            job = RefineInput(picture, small, prior.alpha, settled, trimap_mask(settled))
            done = self.refine(job, found, foreground)
            apply_trimap(found, settled)
        colours = None
        if foreground:
            with clock("foreground"):
                colours = self.colours(picture, found, prior)
        active = done.active
        count = int(np.count_nonzero(active))
        empty = empty_note(found)
        warnings = [*picture.info.notes, *hints.warnings, *empty]
        stats = MattingStats(
            picture.width, picture.height, count, count / active.size, prior.name, self.refiner.name,
            self.refiner.engine, self.device, self.precision, prior.alpha.shape[:2], clock.seconds,
            peak_memory(self.device), [*asked.notes, *done.notes, *empty], warnings,
        )  # fmt: skip
        return StillResult(found, colours, prior.alpha, active, settled, stats, picture, hints.given)

    def warm_up(self) -> None:
        """Refines a few pixels of nothing: what libraries do at a first call is done then, while a prior is at work
        elsewhere."""
        trimap = np.full((_WARM, _WARM), 128, np.uint8)
        small = np.zeros((_WARM // 2, _WARM // 2, 3), np.float32)
        picture = Picture.from_array(np.zeros((_WARM, _WARM, 3), np.uint8))
        job = RefineInput(picture, small, small[..., 0] + np.float32(0.5), trimap, trimap == 128)
        self.refiner.refine(job, upsampled_prior(job.prior, trimap))

    def prepare(self, given: frozenset[str]) -> None:
        """Makes the prior for these hints (see `HINT_NAMES`) now: what cannot be had is refused before any work."""
        self.priors.choose(given)

    def run_prior(
        self,
        picture: Picture,
        hints: Hints,
        *,
        fresh: bool,
        answer: RunPrior | None = None,
        begun: PrefetchedPrior | None = None,
    ) -> PriorStage:
        """The prior's answer for a picture. fresh: the picture before has nothing to do with it (a still, a cut);
        answer: asks the prior, or knows better; begun: see `matte`."""
        refuse_fork()
        method, choice = self.priors.choose(hints.given)
        if fresh and isinstance(method, RecurrentPrior):
            method.reset()
        side = self.working_size or method.working_size
        if begun is not None and (begun.working_size, begun.halved) == (side, self.halved):
            small, known = begun.inputs
        else:
            small, known = prior_inputs(picture, hints, side, self.halved)
        prior = method(small, known) if answer is None else answer(method, small, known)
        if not np.isfinite(prior.alpha).all():
            what = f"The prior {prior.name} gives values that are no numbers (NaN or infinity)."
            raise UhrmatError(what, "If it is a network: its weights or its normalisation are wrong. Use another one.")
        size = (picture.height, picture.width)
        settled = trimap_from_alpha(prior.alpha, size) if hints.trimap is None else hints.trimap
        notes = [
            *self.notes,
            *picture.info.notes,
            *filter(None, [choice.note]),
            *hints.choices,
            *hints.warnings,
            *prior.notes,
        ]
        return PriorStage(small, prior, settled, notes)

    def refine(self, job: RefineInput, alpha: np.ndarray, foreground: bool) -> RefineOutcome:
        """Refines the active pixels of `alpha`, (H, W) float32, in place, within the memory that is allowed.

        foreground: its colours follow; that they find room is checked now.
        """
        if foreground:
            check_total(self.device, self.max_memory, _foreground_bytes(job.picture), "the foreground")
        limit = refiner_limit(self.device, self.max_memory)
        return refine_within(self.refiner, job, alpha, self.overflow, limit)

    def colours(self, picture: Picture, alpha: np.ndarray, prior: PriorResult) -> np.ndarray:
        """The foreground's straight colours (H, W, 3) in the picture's type, without what a screen spilled on them."""
        found = estimate_foreground(picture.pixels, alpha)
        if prior.screen is not None:
            despill(found, prior.screen)
        return found


class StageTimer:
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


def empty_note(alpha: np.ndarray) -> list[str]:
    """A line on a matte (H, W) that holds nothing or everything, whatever led to it."""
    if float(alpha.max()) < SPATIAL_SPARSITY.low:
        return ["the alpha is empty: nothing in the picture was found to be foreground"]
    if float(alpha.min()) > SPATIAL_SPARSITY.high:
        return ["the alpha is full: nothing in the picture was found to be background"]
    return []


def _foreground_bytes(picture: Picture) -> int:
    """What `estimate_foreground` takes beside the picture: the colours, and three masks of a byte."""
    return picture.height * picture.width * (3 * picture.pixels.dtype.itemsize + 3)
