"""Spatial sparsity: which pixels of a picture the refiner computes. Pure functions on arrays.

SparseMat (Sun, Tang, Tai, "Ultrahigh Resolution Image/Video Matting with Spatio-Temporal Sparsity", CVPR 2023, §3.2,
https://openaccess.thecvf.com/content/CVPR2023/html/Sun_Ultrahigh_Resolution_ImageVideo_Matting_With_Spatio-Temporal_Sparsity_CVPR_2023_paper.html)
computes the pixels whose low-resolution alpha is fractional, dilated by a kernel of 15 pixels. Where there is a trimap,
its unknown region takes the place of the fractional pixels, dilated likewise, so that the refiner sees known colours
beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

_STRIP_ROWS = 512


@dataclass(frozen=True, kw_only=True)
class SpatialSparsityParams:
    """Parameters of the spatial sparsity mask M_s.

    Attributes:
        low: a low-resolution alpha up to this is taken as known background. In [0, 0.5). The value of the authors'
            release; not tuned. A larger one computes fewer pixels and cuts off faint hair. The bundled refiners were
            trained with it.
        high: a low-resolution alpha from this on is taken as known foreground. In (0.5, 1]. As `low`.
        kernel: side of the dilation, pixels of full resolution, odd: 15 reaches 7 pixels to each side. The paper's
            value (§4.4); measured by `python -m benchmarks.ablation --parts dilation`, see docs/research/refiners.md.
            A larger one costs time and memory, a smaller one takes known colours out of the refiner's sight.
    """

    low: float = 0.01
    high: float = 0.99
    kernel: int = 15


SPATIAL_SPARSITY = SpatialSparsityParams()


def dilate(mask: np.ndarray, kernel: int = SPATIAL_SPARSITY.kernel) -> np.ndarray:
    """Dilate a mask by a square: max pooling with stride 1.

    Args:
        mask: (H, W) bool, or numbers of which those other than 0 count as set.
        kernel: side of the square, pixels, odd; up to 1 leaves the mask as it is.

    Returns:
        (H, W) bool. Beyond the border nothing is set.
    """
    if kernel <= 1:
        return mask.astype(bool)
    flags = mask.view(np.uint8) if mask.dtype == bool else mask.astype(np.uint8)
    return np.asarray(cv2.dilate(flags, np.ones((kernel, kernel), np.uint8), borderValue=0)).view(bool)


def trimap_mask(trimap: np.ndarray, kernel: int = SPATIAL_SPARSITY.kernel) -> np.ndarray:
    """Spatial sparsity mask M_s of a trimap: its unknown region, dilated.

    Args:
        trimap: (H, W) uint8 {0, 128, 255}.
        kernel: side of the dilation, pixels, odd.

    Returns:
        (H, W) bool, True where the refiner computes.
    """
    return dilate(trimap == 128, kernel)


def spatial_mask(
    alpha: np.ndarray,
    size: tuple[int, int],
    params: SpatialSparsityParams = SPATIAL_SPARSITY,
    rows: int = _STRIP_ROWS,
) -> np.ndarray:
    """Spatial sparsity mask M_s of a low-resolution alpha (SparseMat §3.2): its fractional pixels, dilated.

    Works in strips of `rows` rows: the upsampled alpha is never held whole.

    Args:
        alpha: (h, w) float32 in [0, 1].
        size: (H, W) of the picture.
        params: bounds of fractional alpha and the dilation.
        rows: rows of a strip; changes memory, not the result.

    Returns:
        (H, W) bool, True where the refiner computes.
    """
    unknown = np.zeros(size, bool)
    for top, strip in _upsampled_strips(alpha, size, rows):
        unknown[top : top + len(strip)] = (strip > params.low) & (strip < params.high)
    return dilate(unknown, params.kernel)


def trimap_from_alpha(
    alpha: np.ndarray, size: tuple[int, int], params: SpatialSparsityParams = SPATIAL_SPARSITY
) -> np.ndarray:
    """Trimap from a thresholded low-resolution alpha, for pictures without a trimap.

    Args:
        alpha: (h, w) float32 in [0, 1].
        size: (H, W) of the picture.
        params: bounds of fractional alpha; the dilation is not used.

    Returns:
        (H, W) uint8: 0 up to `params.low`, 255 from `params.high` on, 128 between them.
    """
    trimap = np.full(size, 128, np.uint8)
    for top, strip in _upsampled_strips(alpha, size, _STRIP_ROWS):
        rows = trimap[top : top + len(strip)]
        rows[strip <= params.low] = 0
        rows[strip >= params.high] = 255
    return trimap


def trimap_from_scribbles(
    alpha: np.ndarray, scribbles: np.ndarray, params: SpatialSparsityParams = SPATIAL_SPARSITY
) -> np.ndarray:
    """Trimap from a low-resolution alpha and the strokes that it was made from, which stay known.

    Args:
        alpha: (h, w) float32 in [0, 1].
        scribbles: (H, W) uint8 {0, 128, 255}, most of it unknown.
        params: bounds of fractional alpha; the dilation is not used.

    Returns:
        (H, W) uint8 {0, 128, 255}: `trimap_from_alpha` where the strokes say nothing. What they contradict of it is
        unknown within the kernel's reach around them.
    """
    trimap = trimap_from_alpha(alpha, (scribbles.shape[0], scribbles.shape[1]), params)
    contradicted = (scribbles != 128) & (trimap != 128) & (trimap != scribbles)
    if contradicted.any():
        trimap[dilate(contradicted, params.kernel)] = 128
    return np.where(scribbles == 128, trimap, scribbles)


def remaining_active(active: np.ndarray, prior: np.ndarray, refined: bool) -> np.ndarray:
    """Active pixels of the next step of a cascade.

    Args:
        active: (H, W) bool.
        prior: (h, w) float32 in [0, 1], the alpha that the step starts from.
        refined: whether a refiner has computed `prior` already.

    Returns:
        (H, W) bool: all of `active` for a first step; for a later one those of them that `prior` leaves fractional.
    """
    return active & spatial_mask(prior, active.shape[:2]) if refined else active


def upsampled_rows(alpha: np.ndarray, size: tuple[int, int], top: int, bottom: int) -> np.ndarray:
    """Some rows of a map that is enlarged bilinearly (pixel centres aligned, edges repeated).

    Args:
        alpha: (h, w) float32.
        size: (H, W) after enlarging.
        top: first row.
        bottom: one past the last row.

    Returns:
        (bottom - top, W) float32.
    """
    height, width = size
    place = np.clip((np.arange(top, bottom) + 0.5) * alpha.shape[0] / height - 0.5, 0, alpha.shape[0] - 1)
    low = place.astype(np.int64)
    share = (place - low).astype(np.float32)[:, None]
    high = np.minimum(low + 1, alpha.shape[0] - 1)
    rows = alpha[low] * (1 - share) + alpha[high] * share
    resized = cv2.resize(rows.astype(np.float32), (width, bottom - top), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized)


def nonempty_strips(mask: np.ndarray, rows: int = 64) -> Iterator[slice]:
    """Strips of a mask's (H, W) rows, top to bottom, in which a pixel is set."""
    for top in range(0, len(mask), rows):
        strip = slice(top, min(top + rows, len(mask)))
        if mask[strip].any():
            yield strip


def _upsampled_strips(alpha: np.ndarray, size: tuple[int, int], rows: int) -> Iterator[tuple[int, np.ndarray]]:
    """The enlarged map strip by strip, each with its first row."""
    for top in range(0, size[0], rows):
        yield top, upsampled_rows(alpha, size, top, min(top + rows, size[0]))
