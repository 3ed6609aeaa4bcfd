"""The alpha before and after a refiner: the upsampled prior, and the known pixels of the trimap."""

from __future__ import annotations

import numpy as np

from uhrmat.sparsity.spatial import upsampled_rows

_STRIP = 64
"""Rows handled at a time: their temporaries stay in the processor's cache. Changes no result."""


def upsampled_prior(prior: np.ndarray, trimap: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """Upsample the prior in the unknown region; known pixels are 0 and 1.

    Args:
        prior: Low-resolution alpha, (h, w) float32 in [0, 1].
        trimap: (H, W) uint8 {0, 128, 255}.
        out: (H, W) float32 to write into, or None for a new array.

    Returns:
        (H, W) float32.
    """
    alpha = np.empty(trimap.shape, np.float32) if out is None else out
    for top in range(0, len(alpha), _STRIP):
        rows = trimap[top : top + _STRIP]
        alpha[top : top + _STRIP] = rows == 255
        unknown = rows == 128
        if unknown.any():
            enlarged = upsampled_rows(prior, trimap.shape, top, top + len(rows))
            np.copyto(alpha[top : top + _STRIP], enlarged, where=unknown)
    return alpha


def apply_trimap(alpha: np.ndarray, trimap: np.ndarray) -> None:
    """Clip alpha to [0, 1] and set known pixels to exactly 0 and 1, in place. NaN becomes 0.5.

    Args:
        alpha: (H, W) float32.
        trimap: (H, W) uint8 {0, 128, 255}.
    """
    for top in range(0, len(alpha), _STRIP):
        rows, known = alpha[top : top + _STRIP], trimap[top : top + _STRIP]
        np.clip(rows, 0, 1, out=rows)
        np.copyto(rows, 0.5, where=np.isnan(rows))
        np.copyto(rows, 0, where=known == 0)
        np.copyto(rows, 1, where=known == 255)
