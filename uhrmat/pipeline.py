"""The path of one picture: hints, low-resolution prior, sparsity mask, refiner, alpha, foreground."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.children import refuse_fork
from uhrmat.core.devices import compute_exactly, device_note, peak_memory, pick_device, pick_precision, set_threads
from uhrmat.core.errors import InputError
from uhrmat.core.memory import memory_limit
from uhrmat.core.options import ModelOptions
from uhrmat.core.timing import OnStage, StageTimer
from uhrmat.foreground.despill import despill
from uhrmat.foreground.on_device import foreground_bytes, try_foreground
from uhrmat.foreground.within_budget import estimate_within_budget, host_bytes
from uhrmat.hints.files import ArrayOrPath
from uhrmat.hints.prompts import Prompts
from uhrmat.hints.radius import Radius
from uhrmat.hints.read import Hints, PlateLike, read_hints
from uhrmat.hints.scribbles import are_scribbles
from uhrmat.hints.widen import widened_trimap
from uhrmat.media import Picture, read_picture
from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, RecurrentPrior, require_finite
from uhrmat.prior.closed_form.problem import Solver
from uhrmat.prior.networks.confidence import doubt_notes, require_subject
from uhrmat.prior.prefetch import PrefetchedPrior, prior_inputs
from uhrmat.prior.registry import PriorRegistry
from uhrmat.refine.back_projection import back_project, estimate_blur
from uhrmat.refine.base import PyramidRefiner, RefineInput
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.memory.budget import check_total, refiner_limit
from uhrmat.refine.registry import LEARNED, make_refiner
from uhrmat.refine.resident.run import EstimateColours, HostPlanes, HostResult, refine_on_device, stays_on_device
from uhrmat.refine.runner import MODES, RefineOutcome, refine_within
from uhrmat.refine.sparse_refiner import SparseRefiner
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, trimap_from_alpha, trimap_from_scribbles, trimap_mask

ImageLike = Picture | np.ndarray | str | Path
RunPrior = Callable[[PriorMethod, np.ndarray, LowResHints], PriorResult]
"""Runs a prior on the small copy and the small hints, or returns a result that is known already."""
_WARM_UP_SIDE = 64
"""Side of the synthetic picture that `StillPipeline.warm_up` refines, in pixels."""


@dataclass(frozen=True, kw_only=True)
class MattingStats:
    """What one matte took.

    Attributes:
        width, height: of the picture, in pixels.
        active_pixels: pixels that the refiner computed at full resolution.
        active_share: the same as a share of the picture, in [0, 1].
        prior, refiner, engine, device, precision: what was used.
        working_size: (h, w) of the low-resolution alpha.
        seconds: by stage.
        peak_memory: in bytes, see `core.devices.peak_memory`.
        notes: lines for the user.
        warnings: those notes that say that the result may not be what was intended.
    """

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
        """Return the fields as JSON takes them."""
        return asdict(self)


@dataclass(kw_only=True)
class StillResult:
    """The matte of one picture.

    Attributes:
        alpha: (H, W) float32 in [0, 1].
        foreground: (H, W, 3) straight (not premultiplied) colour in the picture's dtype, or None.
        prior_alpha: (h, w) float32 in [0, 1], the low-resolution alpha.
        active: (H, W) bool, the pixels that were refined.
        trimap: (H, W) uint8 {0, 128, 255}: the user's, or the one made from the low-resolution alpha; of scribbles
            (more than half of the picture unknown) both: the strokes, and what the low-resolution alpha makes certain.
        stats: what it took.
        picture: the picture as read.
        given: names of the hints, of `hints.compatibility.HINT_NAMES`.
    """

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
    """What the low-resolution stage hands to the refiner.

    Attributes:
        small: (h, w, 3) float32 in [0, 1], the small copy of the picture.
        prior: the low-resolution alpha with its notes.
        known: (H, W) uint8 {0, 128, 255}, the trimap where hints give one, else None.
        notes: lines for the user.
        size: (H, W) of the picture.
    """

    small: np.ndarray
    prior: PriorResult
    known: np.ndarray | None
    notes: list[str]
    size: tuple[int, int]

    @cached_property
    def trimap(self) -> np.ndarray:
        """(H, W) uint8 {0, 128, 255}; known pixels are exactly 0 or 1 in the final alpha."""
        return trimap_from_alpha(self.prior.alpha, self.size) if self.known is None else self.known


class StillPipeline:
    """Mattes one picture after another. Options are checked and weights are loaded when it is made.

    Args:
        prior: "auto" (the hints decide), a name in `prior.choose.REQUIRED_HINTS`, a network, or a `PriorMethod`.
        refiner: one of `refine.registry.REFINERS`.
        working_size: short side of the small copy in pixels; None: the prior's own.
        engine: one of `sparse.ENGINES`.
        device: "auto", "cpu", "cuda[:n]" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: of the CPU; None: torch's default.
        max_memory: in bytes, on the CPU of this process and its children, on CUDA of the device; None: a share of what
            is free.
        overflow: what to do where one pass needs more memory: "cascade" (coarse to fine) or "parts" (tiles).
        weights: of the refiner, a name or a .safetensors file; None: the default of the refiner.
        solver: computes affinity priors elsewhere, see `prior.worker`; None: in this process.

    Raises:
        InputError: for an option that does not exist.
        WeightsError: for weights that are missing or of another network.
    """

    def __init__(
        self, prior: str | PriorMethod = "auto", refiner: str = "shm", *, working_size: int | None = None,
        engine: str = "auto", device: str = "auto", precision: str = "auto", threads: int | None = None,
        max_memory: int | None = None, overflow: str = "cascade", weights: str | None = None,
        solver: Solver | None = None,
    ) -> None:  # fmt: skip
        if overflow not in MODES:
            raise InputError(f"There is no overflow mode {overflow!r}.", f"Choose one of {', '.join(MODES)}.")
        refuse_fork()
        set_threads(threads)
        self.working_size = working_size
        self.device = pick_device(device)
        self.notes = [note for note in (device_note(device),) if note]
        self.precision, dtype = pick_precision(precision, self.device)
        compute_exactly(self.device)
        self.priors = PriorRegistry(prior, solver, self.device, threads, max_memory)
        self._learned = refiner in LEARNED
        self.refiner = make_refiner(refiner, weights, engine, dtype, self.device)
        self.notes += getattr(self.refiner, "notes", [])
        self.halved = working_size is None and isinstance(self.refiner, PyramidRefiner)
        self.max_memory, self.overflow = max_memory, overflow

    @classmethod
    def from_options(cls, options: ModelOptions, *, solver: Solver | None = None) -> StillPipeline:
        """Make a pipeline of these options; solver and errors as for the constructor."""
        return cls(**asdict(options), solver=solver)

    def matte(
        self, image: ImageLike, *, trimap: ArrayOrPath | None = None, mask: ArrayOrPath | None = None,
        plate: PlateLike | None = None, key: str | None = None, alpha: ArrayOrPath | None = None,
        radius: Radius = None, prompts: Prompts | None = None, hints: Hints | None = None, foreground: bool = True,
        prefetched: PrefetchedPrior | None = None, on_stage: OnStage | None = None,
        keep_empty: bool = False,
    ) -> StillResult:  # fmt: skip
        """Compute the alpha of one picture, and with `foreground` its straight foreground colour.

        Args:
            image: a Picture, an array (see `Picture.from_array`) or a path.
            trimap, mask, plate, key, alpha: hints as `hints.read_hints` takes them: arrays or paths. The known pixels
                of a trimap come out exactly 0 or 1.
            radius: half the width in pixels of the unknown band that a mask gets; None: by the picture's size;
                "auto": less where the mask's edge fits the picture.
            prompts: points and boxes, see `hints.prompts.parse_prompts`. A mask of filled rectangles or thin strokes is
                taken as such, unless a radius is given.
            hints: hints that are read already, instead of the seven above.
            foreground: whether the colours are estimated.
            prefetched: the prior's input for this picture and these hints, from `prior.prefetch`.
            on_stage: called with the name of a stage when it begins: "read", "prior", "refine", "foreground".
            keep_empty: whether a picture in which a network without hints finds no subject is matted all the same.

        Raises:
            NoSubjectError: there is no subject, see `keep_empty`.
            InputError: for a picture or hints that cannot be used.
            MemoryBudgetError: where the budget is too small for the smallest part.
        """
        timer = StageTimer(on_stage)
        with timer("read"), memory_limit(self.max_memory, self.device):
            picture = _as_picture(image)
            if hints is None:
                hints = read_hints(
                    (picture.height, picture.width), trimap=trimap, mask=mask, plate=plate, key=key, alpha=alpha,
                    radius=radius, picture=picture, prompts=prompts, recognise=self.priors.takes_prompts, widen=True,
                )  # fmt: skip
        with timer("prior"):
            stage = self.run_prior(picture, hints, fresh=True, prefetched=prefetched)
            if not keep_empty:
                require_subject(stage.prior.confidence)
        with timer("refine"):
            done, finished = self._refine_still(picture, stage, foreground)
            fused, trimap, outcome, colours = done.alpha, done.trimap, done.outcome, done.colours
            blur = self.find_matte_blur(fused, outcome.active, hints, stage.prior)
            if blur is not None:
                back_project(fused, outcome.active, stage.prior.alpha, blur)
            if not finished:
                apply_trimap(fused, trimap)
        if foreground:
            with timer("foreground"):
                colours = self.estimate_foreground(picture, fused, stage.prior, colours)
        count = int(np.count_nonzero(outcome.active))
        empty = [*doubt_notes(stage.prior.confidence), *empty_note(fused)]
        stats = MattingStats(
            width=picture.width, height=picture.height, active_pixels=count, active_share=count / outcome.active.size,
            prior=stage.prior.name, refiner=self.refiner.name, engine=self.refiner.engine, device=self.device,
            precision=self.precision, working_size=stage.prior.alpha.shape[:2], seconds=timer.seconds,
            peak_memory=peak_memory(self.device), notes=[*stage.notes, *outcome.notes, *empty],
            warnings=[*picture.info.notes, *hints.warnings, *empty],
        )  # fmt: skip
        return StillResult(
            alpha=fused, foreground=colours, prior_alpha=stage.prior.alpha, active=outcome.active,
            trimap=trimap, stats=stats, picture=picture, given=hints.given,
        )  # fmt: skip

    def warm_up(self) -> None:
        """Refine a small synthetic picture, so that what libraries do at their first call is done before it counts."""
        trimap = np.full((_WARM_UP_SIDE, _WARM_UP_SIDE), 128, np.uint8)
        small = np.zeros((_WARM_UP_SIDE // 2, _WARM_UP_SIDE // 2, 3), np.float32)
        picture = Picture.from_array(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8))
        inputs = RefineInput(picture, small, small[..., 0] + np.float32(0.5), trimap, trimap == 128)
        self.refiner.refine(inputs, upsampled_prior(inputs.prior, trimap))

    def prepare(self, given: frozenset[str]) -> None:
        """Make the prior for these hints (of `hints.compatibility.HINT_NAMES`) now, so that errors come early."""
        self.priors.choose(given)

    def run_prior(
        self, picture: Picture, hints: Hints, *, fresh: bool, run: RunPrior | None = None,
        prefetched: PrefetchedPrior | None = None,
    ) -> PriorStage:  # fmt: skip
        """Run the low-resolution stage.

        Args:
            picture, hints: of one size.
            fresh: whether the picture before has nothing to do with it (a still, a cut); resets a recurrent prior.
            run: called in the prior's place, with the prior, the small copy and the small hints.
            prefetched: see `matte`.

        Raises:
            InputError: where the hints do not go with the prior.
            UhrmatError: where the prior returns values that are not finite.
        """
        refuse_fork()
        method, choice = self.priors.choose(hints.given)
        if fresh and isinstance(method, RecurrentPrior):
            method.reset()
        working_size = self.working_size or method.working_size
        if prefetched is not None and (prefetched.working_size, prefetched.halved) == (working_size, self.halved):
            small, low_res_hints = prefetched.inputs
            method = self.priors.as_prefetched(method)
        else:
            small, low_res_hints = prior_inputs(picture, hints, working_size, self.halved)
        prior = require_finite(method(small, low_res_hints) if run is None else run(method, small, low_res_hints))
        known = hints.trimap
        if known is not None and are_scribbles(known):
            known = trimap_from_scribbles(prior.alpha, known)
        elif known is not None and low_res_hints.trimap is not None and prior.trimap is not None:
            known = widened_trimap(known, low_res_hints.trimap, prior.trimap)
        choice_note = [choice.note] if choice.note else []
        notes = [
            *self.notes, *picture.info.notes, *choice_note, *hints.choices, *hints.warnings, *prior.notes,
        ]  # fmt: skip
        return PriorStage(small, prior, known, notes, (picture.height, picture.width))

    def refine(
        self, inputs: RefineInput, alpha: np.ndarray, foreground: bool, final: bool = False
    ) -> tuple[RefineOutcome, np.ndarray | None]:
        """Refine the active pixels of `alpha`, (H, W) float32, in place, within the memory budget.

        Args:
            inputs: the picture with its prior.
            alpha: the upsampled prior.
            foreground: whether its colours are estimated afterwards; that there is memory for them is checked now.
            final: whether nothing but the trimap is applied to alpha before the colours are estimated: a GPU then does
                both at once.

        Returns:
            What the refiner did, and the colours as far as they are estimated already, see `estimate_foreground`.
        """
        limit = self._refiner_limit(inputs.picture, foreground)
        if isinstance(self.refiner, SparseRefiner) and stays_on_device(self.refiner, inputs.picture, limit):
            host = HostPlanes(inputs.picture, inputs.small, inputs.prior, inputs.trimap, inputs.active, alpha)
            colours = self._colours_there(inputs.picture, foreground and final, limit)
            done = refine_on_device(self.refiner, host, self.overflow, limit, final, colours)
            np.copyto(alpha, done.alpha)
            return done.outcome, done.colours
        return refine_within(self.refiner, inputs, alpha, self.overflow, limit), None

    def _refine_still(self, picture: Picture, stage: PriorStage, foreground: bool) -> tuple[HostResult, bool]:
        """Alpha, trimap and outcome, and whether the trimap is applied to alpha.

        On a GPU everything between prior and alpha happens there, see `refine.resident`, and if there is memory for
        them the colours are estimated before anything comes back.
        """
        limit = self._refiner_limit(picture, foreground)
        if isinstance(self.refiner, SparseRefiner) and stays_on_device(self.refiner, picture, limit):
            host = HostPlanes(picture, stage.small, stage.prior.alpha, stage.known)
            finished = stage.prior.name != "alpha"  # such a matte is back-projected first
            colours = self._colours_there(picture, foreground and finished, limit)
            return refine_on_device(self.refiner, host, self.overflow, limit, finished, colours), finished
        alpha = upsampled_prior(stage.prior.alpha, stage.trimap)
        inputs = RefineInput(picture, stage.small, stage.prior.alpha, stage.trimap, trimap_mask(stage.trimap))
        outcome = refine_within(self.refiner, inputs, alpha, self.overflow, limit)
        return HostResult(alpha, stage.trimap, outcome), False

    @staticmethod
    def _colours_there(picture: Picture, wanted: bool, limit: int) -> EstimateColours | None:
        """What estimates colours while a picture is on the device, if half of the limit in bytes holds them."""
        return try_foreground if wanted and foreground_bytes(picture.pixels) <= limit // 2 else None

    def _refiner_limit(self, picture: Picture, foreground: bool) -> int:
        """Bytes that the refiner may take; that there is memory for the foreground is checked."""
        if foreground:
            check_total(self.device, self.max_memory, host_bytes(picture.pixels), "the foreground")
        return refiner_limit(self.device, self.max_memory)

    def find_matte_blur(self, alpha: np.ndarray, active: np.ndarray, hints: Hints, prior: PriorResult) -> float | None:
        """How soft the finished matte is that a refined alpha (H, W) is to agree with, see `refine.back_projection`.

        None where the user gave no matte, or where it is not used: baselines are what their names say.
        """
        if hints.alpha is None or hints.propagated or prior.name != "alpha" or not self._learned:
            return None
        return estimate_blur(alpha, active, prior.alpha)

    def estimate_foreground(
        self, picture: Picture, alpha: np.ndarray, prior: PriorResult, colours: np.ndarray | None = None
    ) -> np.ndarray:
        """Return the straight foreground colours (H, W, 3) in the picture's dtype, without a key screen's spill.

        colours: where they are estimated already.
        """
        if colours is None:
            colours = estimate_within_budget(picture.pixels, alpha, self.device, self.max_memory)
        if prior.screen is not None:
            despill(colours, prior.screen)
        return colours


def empty_note(alpha: np.ndarray) -> list[str]:
    """Return a note where a matte (H, W) holds nothing or everything, else an empty list."""
    if float(alpha.max()) < SPATIAL_SPARSITY.low:
        return ["the alpha is empty: nothing in the picture was found to be foreground"]
    if float(alpha.min()) > SPATIAL_SPARSITY.high:
        return ["the alpha is full: nothing in the picture was found to be background"]
    return []


def _as_picture(image: ImageLike) -> Picture:
    if isinstance(image, Picture):
        return image
    if isinstance(image, (str, Path)):
        return read_picture(image)
    if isinstance(image, np.ndarray):
        return Picture.from_array(image)
    kind = type(image).__name__
    raise InputError(f"A {kind} is no picture.", "Give a path, a numpy array or a uhrmat.media.Picture.")
