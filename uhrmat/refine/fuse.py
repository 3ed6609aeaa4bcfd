"""The alpha that refiners start from, and what is done to it when they are through. Strip by strip, in place."""

from __future__ import annotations

import numpy as np

from uhrmat.sparsity.spatial import upsampled_rows

_STRIP = 512


def upsampled_prior(prior: np.ndarray, trimap: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    """(H, W) float32: the upsampled prior in the unknown region, 0 and 1 in the known ones."""
    alpha = np.empty(trimap.shape, np.float32) if out is None else out
    for top in range(0, len(alpha), _STRIP):
        rows = trimap[top : top + _STRIP]
        alpha[top : top + _STRIP] = rows == 255
        unknown = rows == 128
        if unknown.any():
            alpha[top : top + _STRIP][unknown] = upsampled_rows(prior, trimap.shape, top, top + len(rows))[unknown]
    return alpha


def apply_trimap(alpha: np.ndarray, trimap: np.ndarray) -> None:
    """Clips the alpha to [0, 1] and puts known pixels back to exactly 0 and 1, in place."""
    for top in range(0, len(alpha), _STRIP):
        rows, known = alpha[top : top + _STRIP], trimap[top : top + _STRIP]
        np.clip(rows, 0, 1, out=rows)
        np.nan_to_num(rows, copy=False, nan=0.5)
        rows[known == 0] = 0
        rows[known == 255] = 1
