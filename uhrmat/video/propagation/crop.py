"""Crops around the subject, which the network sees in place of whole frames.

A small subject then fills as much of the network's picture as a large one, and look-alikes far from it are outside.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from uhrmat.video.propagation.params import TRACKING, TrackingParams

_LEAST_PIXELS = 4
"""A mask of fewer pixels has no place: its crop is the whole frame."""


class Crop(NamedTuple):
    """A rectangle of a frame with the frame's aspect ratio, in pixels of the frame at the network's size."""

    left: float
    top: float
    width: float
    height: float

    def within(self, outer: Crop, shape: tuple[int, ...]) -> Crop:
        """The same rectangle in pixels of the cut-out of `outer`, which has the frame's shape (h, w)."""
        x, y = shape[1] / outer.width, shape[0] / outer.height
        return Crop((self.left - outer.left) * x, (self.top - outer.top) * y, self.width * x, self.height * y)


def subject_crop(
    mask: np.ndarray, factor: float, key_area: float = 0.0, params: TrackingParams = TRACKING
) -> Crop:  # fmt: skip
    """The crop around a mask, inside the frame.

    Args:
        mask: (h, w) in [0, 1].
        factor: sides of the crop against those of the mask's bounding box.
        key_area: area of the subject in the key frame, pixels: the crop does not shrink with a mask that is being lost.
        params: see there.
    """
    height, width = mask.shape
    aspect = width / height
    rows, columns = np.nonzero(mask > 0.5)
    if len(rows) < _LEAST_PIXELS:
        return Crop(0.0, 0.0, float(width), float(height))
    edge = 100 * params.crop_trim
    top, bottom = np.percentile(rows, [edge, 100 - edge])
    left, right = np.percentile(columns, [edge, 100 - edge])
    extent = max(bottom - top + 1, (right - left + 1) / aspect, params.crop_key * key_area**0.5)
    tall = float(min(height, max(factor * extent, params.crop_least * height)))
    wide = tall * aspect
    return Crop(
        float(min(max((left + right - wide) / 2, 0), width - wide)),
        float(min(max((top + bottom - tall) / 2, 0), height - tall)), wide, tall,
    )  # fmt: skip


def cut_out(image: np.ndarray, crop: Crop) -> np.ndarray:
    """The crop of `image` (h, w[, C]) float32, enlarged bilinearly to the size of `image`."""
    height, width = image.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    placed = _matrix(crop, image.shape)
    return np.asarray(cv2.warpAffine(image, placed, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE))


def put_back(mask: np.ndarray, crop: Crop) -> np.ndarray:
    """A mask (h, w) float32 of a crop at its place in the frame, 0 outside of it; the inverse of `cut_out`."""
    height, width = mask.shape
    return np.asarray(cv2.warpAffine(mask, _matrix(crop, mask.shape), (width, height), flags=cv2.INTER_LINEAR))


def _matrix(crop: Crop, shape: tuple[int, ...]) -> np.ndarray:
    """Pixels of the enlarged crop to pixels of the frame, with pixel centres at half integers."""
    x, y = crop.width / shape[1], crop.height / shape[0]
    return np.array([[x, 0, crop.left + (x - 1) / 2], [0, y, crop.top + (y - 1) / 2]], np.float64)
