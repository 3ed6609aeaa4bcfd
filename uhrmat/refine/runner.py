"""Runs a refiner within a memory budget: in one shot where that fits, else as a cascade, in parts or level by level.

A picture whose active pixels do not fit at once is refined at smaller scales first (`memory.cascade`), which leaves
fewer active pixels at full size, or in parts with halos (`memory.tiling`), which changes nothing but the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from uhrmat.core.errors import MemoryBudgetError
from uhrmat.core.units import format_bytes, suggest_limit
from uhrmat.refine.base import PyramidRefiner, RefineInput, Refiner, TileableRefiner
from uhrmat.refine.memory.budget import BUDGET, BudgetParams, retry_with_less_memory
from uhrmat.refine.memory.cascade import RefineStep, bytes_of_copies, refine_at_scale, refine_coarse_scales
from uhrmat.refine.memory.cost import Cost
from uhrmat.refine.planes import Plane, planes_of

MODES = ("cascade", "parts")
"""What to do where one shot needs more memory than there is."""


@dataclass
class RefineOutcome:
    """What a refiner did.

    Attributes:
        active: (H, W) bool, the pixels that were refined at full size.
        steps: Scale by scale.
        notes: Lines for the user.
    """

    active: Plane
    steps: list[RefineStep] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def refine_within(
    refiner: Refiner, inputs: RefineInput, alpha: Plane, mode: str, limit: int, params: BudgetParams = BUDGET
) -> RefineOutcome:
    """Refine `alpha` in place within a memory limit.

    Args:
        refiner: Any refiner; the limit holds for those that are tileable.
        inputs: The picture with its prior.
        alpha: (H, W) float32, the upsampled prior; refined in place.
        mode: One of `MODES`, used only where one shot needs more.
        limit: Bytes beside those that are held already.
        params: The smallest part.

    Raises:
        MemoryBudgetError: The limit is below what the smallest parts need.
    """
    if not isinstance(refiner, TileableRefiner):
        refiner.refine(inputs, alpha)
        return RefineOutcome(inputs.active)
    if isinstance(refiner, PyramidRefiner):
        return _refine_pyramid(refiner, inputs, alpha, limit, params)
    return _refine_tileable(refiner, inputs, alpha, mode, limit, params)


def _refine_pyramid(
    refiner: PyramidRefiner, inputs: RefineInput, alpha: Plane, limit: int, params: BudgetParams
) -> RefineOutcome:
    """Every level within the limit beside the smaller copies, in parts where it needs more."""
    outcome = RefineOutcome(inputs.active)

    def refine_level(level: RefineInput, level_alpha: Plane) -> None:
        done = _refine_tileable(refiner, level, level_alpha, "parts", limit - bytes_of_copies(inputs), params)
        scale = level.size[0] / inputs.size[0]
        outcome.steps += [replace(step, scale=scale) for step in done.steps]
        outcome.notes += [f"level {level.size[1]} x {level.size[0]}: {note}" for note in done.notes]

    outcome.active = refiner.refine_pyramid(inputs, alpha, refine_level)
    return outcome


def _refine_tileable(
    refiner: TileableRefiner, inputs: RefineInput, alpha: Plane, mode: str, limit: int, params: BudgetParams
) -> RefineOutcome:
    """`refine_within` for a tileable refiner at one scale."""
    cost = refiner.cost
    planes = planes_of(alpha)
    load = cost.load(planes.count_cells(inputs))
    if not load:
        return RefineOutcome(inputs.active)
    whole, least = cost.bytes(load), cost.bytes(params.smallest_part)
    if limit < min(whole, least):
        missing = min(whole, least) - limit
        raise MemoryBudgetError(
            f"The memory budget leaves the refiner {format_bytes(max(0, limit))}; it needs {format_bytes(least)}.",
            f"Raise --max-memory by {suggest_limit(missing)} or more.",
        )

    def refine(budget: int) -> RefineOutcome:
        return refine_with_budget(refiner, inputs, alpha, mode, budget, params)

    restore = planes.keep_for_retry(inputs, alpha)
    return retry_with_less_memory(refine, min(limit, whole), min(whole, least), restore)


def refine_with_budget(
    refiner: TileableRefiner, inputs: RefineInput, alpha: Plane, mode: str, budget: int,
    params: BudgetParams = BUDGET,
) -> RefineOutcome:  # fmt: skip
    """Try once within `budget` bytes: in one shot if it fits, else as `mode` says. Arguments as `refine_within`."""
    cost = refiner.cost
    capacity = cost.capacity(budget)
    if cost.load(planes_of(alpha).count_cells(inputs)) <= capacity:
        return RefineOutcome(inputs.active, [refine_at_scale(refiner, inputs, alpha, capacity, 1.0)])
    steps: list[RefineStep] = []
    beside_copies = cost.capacity(budget - bytes_of_copies(inputs))
    if mode == "cascade" and beside_copies >= min(capacity // 2, params.smallest_part):
        inputs, steps = refine_coarse_scales(refiner, inputs, alpha, beside_copies)
    steps.append(refine_at_scale(refiner, inputs, alpha, capacity, 1.0))
    return RefineOutcome(inputs.active, steps, [_describe(steps, capacity, cost)])


def _describe(steps: list[RefineStep], capacity: int, cost: Cost) -> str:
    """Note for the user, like `memory budget of about 4,300,000 active pixels: cascade at 0.25: 560,000 active, …`."""
    last = max(steps, key=lambda step: step.load)
    room = round(capacity * last.active / max(1, last.load))
    texts = [
        f"{step.scale:g}: {step.active:,} active" + (f" in {step.parts} parts" if step.parts > 1 else "")
        for step in steps
    ]
    kind = "cascade" if len(steps) > 1 else "parts"
    guess = ", estimated" if cost.estimated else ""
    return f"memory budget of about {room:,} active pixels{guess}: {kind} at " + ", ".join(texts)
