"""Optical flow between two low-resolution pictures, by OpenCV's DIS.

Kroeger, Timofte, Dai, Van Gool: "Fast Optical Flow using Dense Inverse Search", ECCV 2016,
https://arxiv.org/abs/1603.03590
"""

from __future__ import annotations

import cv2
import numpy as np


def optical_flow(start: np.ndarray, end: np.ndarray, finest: int = 0) -> np.ndarray:
    """Where each pixel of `start` lies in `end`.

    Args:
        start, end: (h, w, 3) float32 RGB in [0, 1].
        finest: finest level of the pyramid that is searched: 0 is the picture, each next one half as large, with a
            quarter of the work and less detail.

    Returns:
        (h, w, 2) float32, (x, y) in pixels; 0 for pictures with a side below 16 pixels.
    """
    pair = [cv2.cvtColor(np.rint(x * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for x in (start, end)]
    if min(pair[0].shape) < 16:  # smaller than the patches that DIS compares
        return np.zeros((*pair[0].shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(finest)
    return np.asarray(search.calc(pair[0], pair[1], None), np.float32)


def warp(image: np.ndarray, move: np.ndarray) -> np.ndarray:
    """`image` (h, w[, C]) sampled bilinearly at each pixel's place plus `move` (h, w, 2), in pixels; edges repeated."""
    ys, xs = np.indices(move.shape[:2], np.float32)
    return np.asarray(
        cv2.remap(image, xs + move[..., 0], ys + move[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
