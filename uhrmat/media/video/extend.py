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

    from uhrmat.media.resample import halve  # loads cv2

    if known.all():
        return rgb
    mask = known.astype(np.uint8)
    total, share = halve(cv2.copyTo(rgb, mask)).astype(np.float32), halve(mask * np.uint8(255)) / np.float32(255)
    levels = [(total, share)]
    while max(share.shape) > 1:
        total, share = halve(total), halve(share)
        levels.append((total, share))
    filled = np.zeros((1, 1, 3), np.float32)
    for total, share in reversed(levels):
        mean = total / np.maximum(share, np.float32(1e-6))[..., None]
        filled = np.where((share > 0)[..., None], mean, _resize(filled, share.shape))
    top = np.iinfo(rgb.dtype).max
    wide = _resize(np.clip(filled + np.float32(0.5), 0, top).astype(rgb.dtype), known.shape)
    return np.asarray(cv2.copyTo(rgb, mask, wide))


def _resize(picture: Array, shape: tuple[int, ...]) -> Array:
    import cv2

    return np.asarray(cv2.resize(picture, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR))
