"""The foreground's colours within the memory budget: by the GPU where its budget holds them, else by the host."""

from __future__ import annotations

import numpy as np
import torch

from uhrmat.foreground.on_device import estimate_foreground_on_device, foreground_bytes
from uhrmat.foreground.solve import estimate_foreground
from uhrmat.refine.memory.budget import is_out_of_memory, refiner_limit


def host_bytes(pixels: np.ndarray) -> int:
    """Bytes that `estimate_foreground` takes beside the picture: the colours, and three masks of one byte a pixel."""
    return int(pixels.shape[0] * pixels.shape[1] * (3 * pixels.dtype.itemsize + 3))


def estimate_within_budget(
    pixels: np.ndarray, alpha: np.ndarray, device: str, max_memory: int | None = None
) -> np.ndarray:
    """Estimate the straight foreground colours, see `solve.estimate_foreground`.

    Args:
        pixels: (H, W, 3) uint8, uint16 or float32.
        alpha: (H, W) float32 in [0, 1].
        device: a CUDA device, which solves them if half of its budget holds them; on any other the host does.
        max_memory: of the device, in bytes; None: a share of what is free.

    Returns:
        (H, W, 3) in the dtype of `pixels`.
    """
    colours = _on_gpu(pixels, alpha, device, max_memory) if device.startswith("cuda") else None
    return estimate_foreground(pixels, alpha) if colours is None else colours


def _on_gpu(pixels: np.ndarray, alpha: np.ndarray, device: str, max_memory: int | None) -> np.ndarray | None:
    """The colours, or None where the budget is short or memory runs out all the same."""
    if foreground_bytes(pixels) > refiner_limit(device, max_memory) // 2:
        return None
    try:
        return estimate_foreground_on_device(pixels, alpha, torch.device(device))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
    return None
