"""Choice of the engine for "auto": the one measured faster on this device, once per process."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from torch import Tensor

from uhrmat.core.devices import on_device
from uhrmat.core.errors import UhrmatError
from uhrmat.sparse.active import ActiveSet
from uhrmat.sparse.engine import Engine
from uhrmat.sparse.select import build_engine
from uhrmat.sparse.spconv_engine import SPCONV_TYPES

SIDE, BAND, CHANNELS = 1024, 48, 32
"""The trial: side of a square picture and width of the active band through it, pixels (about 50,000 are active), and
channels of its layers. Not tuned."""
_REPEATS = 3
"""Runs of a trial after a first one; the shortest counts."""


def candidate_engines(device: torch.device | str, dtype: torch.dtype) -> tuple[str, ...]:
    """Names of the engines that compute correctly on a device and whose cost follows the active pixels.

    On the CPU only `tiles` does: spconv's build is racy above one thread, `dense` computes the whole picture.

    Args:
        device: Like "cpu" or "cuda:0".
        dtype: Of the arithmetic.
    """
    supported = torch.device(device).type == "cuda" and dtype in SPCONV_TYPES
    return ("tiles", "spconv") if supported and importlib.util.find_spec("spconv") else ("tiles",)


@dataclass(frozen=True)
class EngineChoice:
    """The chosen engine.

    Attributes:
        name: Its name.
        note: For the user: why another engine that is installed was left out, or empty.
    """

    name: str
    note: str = ""


@cache
def choose_engine(device: torch.device | str, dtype: torch.dtype) -> EngineChoice:
    """Choose the candidate with the shortest trial.

    A candidate whose trial fails is left out, with a note. Where all fail, the first is chosen: running it raises the
    error.

    Args:
        device: Like "cpu" or "cuda:0".
        dtype: Of the arithmetic.
    """
    names = candidate_engines(device, dtype)
    if len(names) == 1:
        return EngineChoice(names[0])
    seconds, failed = run_trials(names, device, dtype)
    note = "; ".join(f"engine {name} left out, because it cannot run here: {why}" for name, why in failed.items())
    return EngineChoice(fastest_engine(seconds) if seconds else names[0], note)


def make_engine(
    name: str,
    mask_or_active: Tensor | np.ndarray | ActiveSet,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
) -> Engine:
    """Make an engine over one picture; "auto" takes the one that `choose_engine` measures to be faster.

    Args:
        name: One of `select.ENGINES`.
        mask_or_active: The active set, or a mask (H, W) in which non-zero means active.
        dtype: Of features and arithmetic.
        device: Of features and arithmetic.

    Raises:
        InputError: An unknown name, a mask of another shape, or an engine that cannot run here.
    """
    return build_engine(choose_engine(device, dtype).name if name == "auto" else name, mask_or_active, dtype, device)


def run_trials(
    names: Iterable[str], device: torch.device | str, dtype: torch.dtype
) -> tuple[dict[str, float], dict[str, str]]:
    """Time engines.

    Args:
        names: Of the engines.
        device: Like "cpu" or "cuda:0".
        dtype: Of the arithmetic.

    Returns:
        Seconds by name, and for engines that cannot run the reason by name, one line each.
    """
    seconds: dict[str, float] = {}
    failed: dict[str, str] = {}
    for name in names:
        try:
            seconds[name] = time_engine(name, device, dtype)
        except Exception as error:  # whatever a library for GPUs raises where it does not fit its driver or torch
            message = error.message if isinstance(error, UhrmatError) else f"{type(error).__name__}: {error}"
            failed[name] = (message.splitlines() or [type(error).__name__])[0][:160]
    return seconds, failed


def fastest_engine(seconds: dict[str, float]) -> str:
    """The name with the fewest seconds."""
    return min(seconds, key=lambda name: seconds[name])


@torch.inference_mode()
def time_engine(name: str, device: torch.device | str, dtype: torch.dtype) -> float:
    """Seconds that one layer of each kind takes on the trial's band: the least of a few runs after a first one."""
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[:, SIDE // 2 : SIDE // 2 + BAND] = True
    with on_device(device):
        engine = build_engine(name, ActiveSet.from_mask(mask), dtype, device)
        layers = _layers(engine, torch.device(device))
        layers()
        return min(_timed(layers, torch.device(device)) for _ in range(_REPEATS))


def _layers(engine: Engine, device: torch.device) -> Callable[[], object]:
    """A function that runs one layer of each kind."""
    weight = torch.full((CHANNELS, CHANNELS, 3, 3), 1e-3, device=device)
    x = engine.sample(lambda ys, xs: torch.ones((*ys.shape, CHANNELS), device=device))

    def run() -> object:
        y = engine.subm_conv(x, weight, act="relu")
        return engine.inverse_conv(engine.strided_conv(y, weight, act="relu"), weight)

    return run


def _timed(work: Callable[[], object], device: torch.device) -> float:
    start = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
