"""Work that is larger than the memory: from coarse to fine with fewer active pixels each time, and in parts.

Cascade (SparseMat §3.3): the picture is refined at 0.25, 0.5 and 1.0 of its size, and each result decides what is still
open at the next. Unlike the release it always ends at 1.0: what does not fit there, or at any scale, is done in parts,
which changes nothing but the time. Foreground and background colours stay those of the working size, so that no map of
three channels grows with the scale.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np

from uhrmat.core.errors import MemoryBudgetError
from uhrmat.core.units import format_bytes, suggest_limit
from uhrmat.media.resample import downsample_mask, downsample_picture, downsample_trimap
from uhrmat.refine.fuse import apply_trimap, upsampled_prior
from uhrmat.refine.memory.budget import MINIMUM, Cost, retry_with_less_memory
from uhrmat.refine.memory.parts import Run, count_cells, cut, refine_parts
from uhrmat.refine.pyramid import RefineLevel
from uhrmat.refine.refiner import RefineInput, Refiner
from uhrmat.sparsity.spatial import remaining_active

SCALES = (0.25, 0.5)
MODES = ("cascade", "parts")


@runtime_checkable
class TileableRefiner(Protocol):
    """A refiner whose work can be divided. reach: pixels of its receptive field's radius; cost: its memory."""

    reach: int
    cost: Cost

    def prepared(self, job: RefineInput, alpha: np.ndarray) -> Run:
        """What refines the active pixels of a window, with all that is common to the windows done once."""

    def finish(self, job: RefineInput, alpha: np.ndarray) -> None:
        """What is done to the whole, in place, once every window is refined."""


@runtime_checkable
class PyramidRefiner(TileableRefiner, Protocol):
    """A divisible refiner that goes by small factors."""

    def refine_pyramid(self, job: RefineInput, alpha: np.ndarray, attempt: RefineLevel) -> np.ndarray:
        """All its steps, each one by `attempt`; returns (H, W) bool, what the last one refined."""


@dataclass(frozen=True)
class RefineStep:
    """What was done at one scale. load and capacity: see `budget.Cost`."""

    scale: float
    active: int
    load: int
    parts: int


@dataclass
class RefineOutcome:
    """active: (H, W) bool, what was refined at full size; steps: scale by scale; notes: lines for the user."""

    active: np.ndarray
    steps: list[RefineStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def refine_within(refiner: Refiner, job: RefineInput, alpha: np.ndarray, mode: str, limit: int) -> RefineOutcome:
    """Refines `alpha` in place with at most `limit` bytes beside what is held already.

    mode: "cascade" or "parts", used only where one shot needs more. Raises MemoryBudgetError where the limit is below
    what the smallest parts need.
    """
    if not isinstance(refiner, TileableRefiner):
        refiner.refine(job, alpha)
        return RefineOutcome(job.active)
    if isinstance(refiner, PyramidRefiner):
        return _climb_within(refiner, job, alpha, limit)
    return _within(refiner, job, alpha, mode, limit)


def _climb_within(refiner: PyramidRefiner, job: RefineInput, alpha: np.ndarray, limit: int) -> RefineOutcome:
    """Every step of the climb within the limit beside the smaller copies, in parts where it needs more."""
    done = RefineOutcome(job.active)

    def attempt(step: RefineInput, found: np.ndarray) -> None:
        outcome = _within(refiner, step, found, "parts", limit - _copies(job))
        scale = step.size[0] / job.size[0]
        done.steps += [replace(one, scale=scale) for one in outcome.steps]
        done.notes += [f"level {step.size[1]} x {step.size[0]}: {note}" for note in outcome.notes]

    done.active = refiner.refine_pyramid(job, alpha, attempt)
    return done


def _within(refiner: TileableRefiner, job: RefineInput, alpha: np.ndarray, mode: str, limit: int) -> RefineOutcome:
    """`refine_within` for one job of a divisible refiner."""
    cost: Cost = refiner.cost
    load = cost.load(count_cells(job.active)) if job.active.any() else 0
    if not load:
        return RefineOutcome(job.active)
    whole, least = cost.bytes(load), cost.bytes(MINIMUM)
    if limit < min(whole, least):
        missing = min(whole, least) - limit
        raise MemoryBudgetError(
            f"The memory budget leaves the refiner {format_bytes(max(0, limit))}; it needs {format_bytes(least)}.",
            f"Raise --max-memory by {suggest_limit(missing)} or more.",
        )

    def attempt(budget: int) -> RefineOutcome:
        return refine_with_budget(refiner, job, alpha, mode, budget)

    return retry_with_less_memory(attempt, min(limit, whole), min(whole, least), _restoring(job, alpha))


def _restoring(job: RefineInput, alpha: np.ndarray) -> Callable[[], None]:
    """What puts back every pixel of `alpha` that an attempt may write: active ones, and, in a cascade, unknown ones."""
    written = np.ones(job.size, bool) if job.trimap is None else job.active | (job.trimap == 128)
    before = alpha[written]

    def restore() -> None:
        alpha[written] = before

    return restore


def refine_with_budget(
    refiner: TileableRefiner, job: RefineInput, alpha: np.ndarray, mode: str, budget: int
) -> RefineOutcome:
    """One attempt within `budget` bytes: in one shot if it fits, else as `mode` says."""
    cost = refiner.cost
    capacity = cost.capacity(budget)
    if cost.load(count_cells(job.active)) <= capacity:
        return RefineOutcome(job.active, [_refine(refiner, job, alpha, capacity, 1.0)])
    steps: list[RefineStep] = []
    beside_copies = cost.capacity(budget - _copies(job))
    if mode == "cascade" and beside_copies >= min(capacity // 2, MINIMUM):
        job, steps = _coarse_scales(refiner, job, alpha, beside_copies)
    steps.append(_refine(refiner, job, alpha, capacity, 1.0))
    return RefineOutcome(job.active, steps, [describe(steps, capacity, cost)])


def _coarse_scales(
    refiner: TileableRefiner, job: RefineInput, alpha: np.ndarray, capacity: int
) -> tuple[RefineInput, list[RefineStep]]:
    """The scales below 1; returns the job at 1 with what is still open, and `alpha` fused from the last result.

    A result says what is still open, and stands where nothing is. What is open is refined from the prior itself: the
    network knows the prior's errors, and taken for a prior its own would add up.
    """
    steps: list[RefineStep] = []
    trimap = np.full(job.size, 128, np.uint8) if job.trimap is None else job.trimap
    prior, active = job.prior, job.active
    for scale in SCALES:
        shape = (round(job.size[0] * scale), round(job.size[1] * scale))
        if min(shape) <= min(job.prior.shape):
            continue
        known = downsample_trimap(trimap, shape)
        found = remaining_active(downsample_mask(job.active, shape), prior, refined=bool(steps))
        small_job = RefineInput(downsample_picture(job.picture, shape), job.small, job.prior, known, found)
        result = upsampled_prior(prior, known)
        steps.append(_refine(refiner, small_job, result, capacity, scale))
        apply_trimap(result, known)
        prior = result
    if steps:
        active = remaining_active(job.active, prior, refined=True)
        upsampled_prior(prior, trimap, out=alpha)
    return replace(job, active=active), steps


def _refine(refiner: TileableRefiner, job: RefineInput, alpha: np.ndarray, capacity: int, scale: float) -> RefineStep:
    cells = count_cells(job.active)
    parts = list(cut(cells, job.size, refiner.reach, lambda window: refiner.cost.load(window) <= capacity))
    if parts:
        refine_parts(refiner.prepared(job, alpha), job.active, alpha, parts)
        refiner.finish(job, alpha)
    return RefineStep(scale, int(cells.sum(dtype=np.int64)), refiner.cost.load(cells), len(parts))


def _copies(job: RefineInput) -> int:
    """Bytes of the half-size copies: picture, trimap, masks, prior and result."""
    return job.picture.height * job.picture.width // 4 * (3 * job.picture.pixels.dtype.itemsize + 1 + 3 + 8)


def describe(steps: list[RefineStep], capacity: int, cost: Cost) -> str:
    """`memory budget: about 4,300,000 active pixels at once; cascade 0.25: 560,000, …, 1.0: 6,000,000 in 2 parts`."""
    last = max(steps, key=lambda step: step.load)
    room = round(capacity * last.active / max(1, last.load))
    words = [
        f"{step.scale:g}: {step.active:,} active" + (f" in {step.parts} parts" if step.parts > 1 else "")
        for step in steps
    ]
    kind = "cascade" if len(steps) > 1 else "parts"
    guess = ", estimated" if cost.estimated else ""
    return f"memory budget of about {room:,} active pixels{guess}: {kind} at " + ", ".join(words)
