"""Colour where there is no foreground: the nearest foreground's, so that lossy codecs have no edge to blur there."""

from __future__ import annotations

import numpy as np

from uhrmat.media.video.types import Array


def extend_colour(rgb: Array, known: Array) -> Array:
    """RGB (H, W, 3), uint8 or uint16, with every pixel outside `known` (H, W) replaced by colour from around.

    Push-pull over a pyramid of means (Gortler et al., The Lumigraph, SIGGRAPH 1996, section 3.4.2): what is unknown at
    one size takes the mean of what is known at half that size. Nothing of the hidden background remains. Black where
    nothing is known at all.
    """
    import cv2

    if known.all():
        return rgb
    weight = known.astype(np.float32)
    levels = [(rgb * weight[..., None], weight)]
    while min(levels[-1][1].shape) > 1:
        size = (-(-levels[-1][1].shape[1] // 2), -(-levels[-1][1].shape[0] // 2))
        levels.append(
            (
                cv2.resize(levels[-1][0], size, interpolation=cv2.INTER_AREA),
                cv2.resize(levels[-1][1], size, interpolation=cv2.INTER_AREA),
            )
        )
    filled = levels[-1][0] / np.maximum(levels[-1][1], 1e-9)[..., None]
    for total, share in reversed(levels[1:-1]):
        size = (share.shape[1], share.shape[0])
        wide = cv2.resize(filled, size, interpolation=cv2.INTER_LINEAR)
        filled = np.where((share > 0)[..., None], total / np.maximum(share, 1e-9)[..., None], wide)
    wide = cv2.resize(filled, (rgb.shape[1], rgb.shape[0]), interpolation=cv2.INTER_LINEAR)
    return np.where(known[..., None], rgb, np.floor(wide + 0.5).astype(rgb.dtype))
