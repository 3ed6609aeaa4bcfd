"""What `StillPipeline` is made from, as plain values: they travel to other processes and machines. Loads no torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Networks, device and memory of a `StillPipeline` (see there for what is checked, and when).

    Attributes:
        prior: low-resolution method: "auto" (the hints decide), a name in `prior.choose.REQUIRED_HINTS`, a network of
            `uhrmat models list`, a file, a folder or owner/repository.
        refiner: one of `refine.registry.REFINERS`.
        weights: of the refiner, a name or a .safetensors file; None: those that belong to it.
        working_size: short side of the small copy that the prior sees, in pixels; None: the prior's own.
        engine: sparse convolutions, "auto" or one of `sparse.ENGINES`.
        device: "auto", "cpu", "cuda", "cuda:N" or "mps".
        precision: "auto", "fp32", "bf16" or "fp16".
        threads: of the CPU; None: what torch chooses.
        max_memory: budget in bytes, on the CPU of the process and its children, on CUDA of the device; None: a share of
            what is free.
        overflow: what is done where one pass needs more than the budget: "cascade" (coarse to fine) or "parts" (tiles,
            exact).
    """

    prior: str = "auto"
    refiner: str = "shm"
    weights: str | None = None
    working_size: int | None = None
    engine: str = "auto"
    device: str = "auto"
    precision: str = "auto"
    threads: int | None = None
    max_memory: int | None = None
    overflow: str = "cascade"
