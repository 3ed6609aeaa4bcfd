"""Optical flow between two small pictures: OpenCV's DIS (Kroeger et al., ECCV 2016)."""

from __future__ import annotations

import cv2
import numpy as np


def optical_flow(start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """(h, w, 2) float32: where each pixel of `start` (h, w, 3) in [0, 1] lies in `end`, as (x, y) in pixels."""
    pair = [cv2.cvtColor(np.rint(x * 255).astype(np.uint8), cv2.COLOR_RGB2GRAY) for x in (start, end)]
    if min(pair[0].shape) < 16:  # smaller than the patches that DIS compares
        return np.zeros((*pair[0].shape, 2), np.float32)
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    search.setFinestScale(0)
    return np.asarray(search.calc(pair[0], pair[1], None), np.float32)


def warp(image: np.ndarray, move: np.ndarray) -> np.ndarray:
    """`image` (h, w[, C]) read at each pixel's place plus `move` (h, w, 2); edges repeated."""
    ys, xs = np.indices(move.shape[:2], np.float32)
    return np.asarray(
        cv2.remap(image, xs + move[..., 0], ys + move[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    )
