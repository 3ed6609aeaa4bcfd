"""Temporal sparsity: which pixels of a frame have changed and are computed again. Pure functions on arrays.

SparseMat (Sun, Tang, Tai, CVPR 2023, §3.2, see `sparsity.spatial` for the link) computes a pixel where two neighbouring
frames differ by more than 0.05. Here a pixel is compared with the frame in which it was last computed, so that slow
drift cannot add up unseen; the threshold never lies below the clip's own noise, and falls with it where there is less
noise than a grey level; pixels computed in the frame before stay active down to a lower threshold (hysteresis).
`fuse_temporal` is SparseMat Eq. 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media.colour import srgb_encode
from uhrmat.media.picture import FULL_SCALE
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, dilate, nonempty_strips

_STRIP_ROWS = 256
_THUMBNAIL = (32, 24)


@dataclass(frozen=True, kw_only=True)
class TemporalParams:
    """Parameters of temporal sparsity. Differences and noise are in [0, 1] of full scale.

    Chosen by `python -m benchmarks.clip --noise 0 1 2 4 --modes off on`, see docs/research/clips.md. All may
    be changed: a larger threshold computes less and keeps more of the last frame's alpha.

    Attributes:
        threshold: difference of any channel from which on a pixel is active. The paper's value. `--threshold` of
            `uhrmat video` replaces it.
        sigmas: the threshold is never below this many standard deviations of the noise of one frame; 6 are 4.2 of the
            difference of two frames.
        release: a pixel that was computed in the frame before stays active down to this share of the threshold.
        clean_threshold: threshold of a clip without noise, less than a grey level of 8 bits: every change there is the
            subject's.
        noise_gain: how fast the threshold rises from `clean_threshold` with the noise's standard deviation. 12 reaches
            `threshold` at a grey level of 8 bits.
        cut: mean difference of two thumbnails from which on a new shot begins. Not tuned.
        cut_ratio: and how many times the usual difference of the clip's thumbnails it must be. Not tuned.
        noise_block: side of the blocks in which noise is measured, pixels. Not tuned.
        noise_blocks: most blocks along a side of the picture. Not tuned.
        noise_quantile: quantile of the blocks' differences that stands for those without motion. Not tuned.
        max_noise: the most that counts as noise; above it there is motion or texture. Not tuned.
    """

    threshold: float = 0.05
    sigmas: float = 6.0
    release: float = 0.5
    clean_threshold: float = 0.003
    noise_gain: float = 12.0
    cut: float = 0.06
    cut_ratio: float = 4.0
    noise_block: int = 16
    noise_blocks: int = 16
    noise_quantile: float = 0.25
    max_noise: float = 0.04


TEMPORAL_SPARSITY = TemporalParams()


def noise_scale(noise: float, params: TemporalParams = TEMPORAL_SPARSITY) -> float:
    """Factor for limits that were set for a noisy clip: nearly 0 without noise, 1 from a grey level of noise on.

    Args:
        noise: standard deviation of one frame's noise, in [0, 1] of full scale.
        params: threshold with and without noise.

    Returns:
        In [0, 1].
    """
    return min(1.0, (params.clean_threshold + params.noise_gain * noise) / params.threshold)


def thresholds(threshold: float, noise: float, params: TemporalParams = TEMPORAL_SPARSITY) -> tuple[float, float]:
    """Both thresholds of the hysteresis for a clip's noise.

    Args:
        threshold: difference from which on a pixel becomes active, where the noise neither demands a higher one nor
            allows a lower one, in [0, 1].
        noise: standard deviation of one frame's noise, in [0, 1].
        params: how thresholds follow the noise.

    Returns:
        (low, high) in [0, 1]: a pixel stays active above `low` and becomes active above `high`.
    """
    floor, threshold = params.sigmas * noise, min(threshold, params.clean_threshold + params.noise_gain * noise)
    return max(params.release * threshold, floor), max(threshold, floor)


def changed_pixels(
    now: np.ndarray, then: np.ndarray, low: float, high: float, held: np.ndarray, within: np.ndarray,
    *, linear: bool = False,
) -> np.ndarray:  # fmt: skip
    """Temporal sparsity mask M_t before its dilation: pixels of which a channel differs by more than a threshold.

    Args:
        now: (H, W, 3) of a stored type, the frame.
        then: the same, each pixel of the frame in which it was last computed.
        low: threshold in [0, 1] where `held`.
        high: threshold in [0, 1] elsewhere.
        held: (H, W) bool, pixels that were computed in the frame before.
        within: (H, W) bool, the only pixels that are looked at.
        linear: the pixels are scene-linear, and compared as a display shows them.

    Returns:
        (H, W) bool.
    """
    changed = np.zeros(within.shape, bool)
    for rows in nonempty_strips(within):
        inside = within[rows]
        shown, earlier, scale = display_pair(now[rows], then[rows], linear)
        delta = cv2.absdiff(shown, earlier)
        strong, weak = (_exceeds(delta, value * scale) for value in (high, low))
        changed[rows] = (strong | (weak & held[rows])) & inside
    return changed


def display_pair(now: np.ndarray, then: np.ndarray, linear: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Pixels of two frames as a display shows them, and their full scale. linear: they are scene-linear."""
    if linear:
        return srgb_encode(now), srgb_encode(then), 1.0
    return now, then, FULL_SCALE[now.dtype.name]


def _exceeds(delta: np.ndarray, limit: float) -> np.ndarray:
    """(h, w) bool: any channel of `delta` (h, w, 3) above `limit`."""
    most = limit if delta.dtype == np.float32 else float(np.floor(limit))
    return np.asarray(np.asarray(cv2.inRange(delta, (0.0,) * 3, (most,) * 3)) == 0)


def temporal_mask(
    spatial: np.ndarray, moved: np.ndarray, unknown: np.ndarray, kernel: int = SPATIAL_SPARSITY.kernel
) -> np.ndarray:
    """Spatio-temporal sparsity mask M = M_s and M_t (SparseMat §3.2).

    Args:
        spatial: (H, W) bool, M_s.
        moved: (H, W) bool, of `changed_pixels`; dilated here like the spatial mask.
        unknown: (H, W) bool, pixels that were never computed.
        kernel: side of the dilation, pixels, odd.

    Returns:
        (H, W) bool, the pixels that are computed.
    """
    return np.asarray((dilate(moved, kernel) | unknown) & spatial)


def fuse_temporal(alpha: np.ndarray, last: np.ndarray, spatial: np.ndarray, active: np.ndarray) -> None:
    """Join prior, last and new alpha, in place: SparseMat Eq. 2, (1 - M)(1 - M_s) prior + (1 - M) M_s last + M new.

    Args:
        alpha: (H, W) float32 in [0, 1]: new values where M is set, the upsampled prior elsewhere. Changed in place.
        last: (H, W) float32 in [0, 1], the alpha of the frame before.
        spatial: (H, W) bool, M_s.
        active: (H, W) bool, M.
    """
    for rows in _strips(len(alpha)):
        kept = spatial[rows] & ~active[rows]
        if kept.any():
            np.copyto(alpha[rows], last[rows], where=kept)


def noise_samples(pixels: np.ndarray, params: TemporalParams = TEMPORAL_SPARSITY) -> np.ndarray:
    """Blocks spread evenly over a frame, for `noise_level`.

    Args:
        pixels: (H, W, 3) of a stored type.
        params: size and number of the blocks.

    Returns:
        (n, b, b, 3) float32 in [0, 1].
    """
    height, width = pixels.shape[:2]
    side = min(params.noise_block, height, width)
    tops, lefts = (
        np.unique(np.linspace(0, n - side, max(1, min(params.noise_blocks, n // side))).astype(int))
        for n in (height, width)
    )
    blocks = [pixels[y : y + side, x : x + side] for y in tops for x in lefts]
    return np.asarray(np.stack(blocks).astype(np.float32) / np.float32(FULL_SCALE[pixels.dtype.name]))


def noise_level(now: np.ndarray, then: np.ndarray, params: TemporalParams = TEMPORAL_SPARSITY) -> float:
    """Standard deviation of one frame's noise.

    Each block's mean absolute difference in time, of which a low quantile stands for the blocks without motion; where
    everything moves, the same of second differences in space (Immerkær, "Fast noise variance estimation", CVIU 1996,
    https://doi.org/10.1006/cviu.1996.0060), which texture only makes larger. The smaller of both.

    Args:
        now: (n, b, b, 3) float32, `noise_samples` of a frame.
        then: the same of the frame before.
        params: the quantile and the most that counts as noise.

    Returns:
        In [0, `params.max_noise`] of full scale.
    """
    gauss = float(np.sqrt(np.pi / 2))
    temporal = np.abs(now - then).mean((1, 2, 3)) * gauss / np.sqrt(2)
    noise = float(np.quantile(temporal, params.noise_quantile))
    if min(now.shape[1:3]) >= 3:
        second = now[:, :-2] - 2 * now[:, 1:-1] + now[:, 2:]
        second = second[:, :, :-2] - 2 * second[:, :, 1:-1] + second[:, :, 2:]
        spatial = np.abs(second).mean((1, 2, 3)) * gauss / 6
        noise = min(noise, float(np.quantile(spatial, params.noise_quantile)))
    return min(noise, params.max_noise)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(24, 32, 3) float32 in [0, 1]: a frame (H, W, 3) of a stored type, so small that moving edges hardly count."""
    small = cv2.resize(pixels, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small.clip(0, None) / np.float32(FULL_SCALE[pixels.dtype.name]))


def is_cut(now: np.ndarray, then: np.ndarray, usual: float, params: TemporalParams = TEMPORAL_SPARSITY) -> bool:
    """Whether a new shot begins.

    Args:
        now: `thumbnail` of a frame.
        then: that of the frame before.
        usual: usual `thumbnail_difference` of the clip so far, 0 where there is none.
        params: what makes a cut.
    """
    return thumbnail_difference(now, then) > max(params.cut, params.cut_ratio * usual)


def thumbnail_difference(now: np.ndarray, then: np.ndarray) -> float:
    """Mean absolute difference of two thumbnails, in [0, 1]."""
    return float(np.abs(now - then).mean())


def _strips(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _STRIP_ROWS, height)) for top in range(0, height, _STRIP_ROWS))
