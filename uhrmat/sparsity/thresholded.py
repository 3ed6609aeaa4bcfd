"""What a prior leaves open, where no trimap says it: SparseMat's spatial rule (Sun et al., CVPR 2023, Eq. 1)."""

from __future__ import annotations

import numpy as np

from uhrmat.sparsity.spatial import HIGH, LOW, upsampled_rows

_ROWS = 512


def trimap_from_alpha(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) uint8 {0, 128, 255}: 128 where a prior (h, w) float32, enlarged, lies strictly between LOW and HIGH.

    Works in strips: the enlarged prior is never held whole.
    """
    found = np.full(size, 128, np.uint8)
    for top in range(0, size[0], _ROWS):
        strip = upsampled_rows(alpha, size, top, min(top + _ROWS, size[0]))
        rows = found[top : top + _ROWS]
        rows[strip <= LOW] = 0
        rows[strip >= HIGH] = 255
    return found
