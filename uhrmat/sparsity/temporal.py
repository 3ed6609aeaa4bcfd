"""Which pixels changed: temporal sparsity, as pure functions on arrays.

SparseMat §3.2 activates a pixel where two neighbouring frames differ by more than 0.05. Here a pixel is compared with
the frame in which it was last computed, so that slow drift cannot pile up, and the threshold never lies below the
clip's own noise. Eq. 2 joins what is new, what is kept and what the prior decides.
"""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from uhrmat.media.colour import srgb_encode
from uhrmat.media.picture import FULL_SCALE
from uhrmat.sparsity.spatial import K, filled_strips, widen

THRESHOLD = 0.05
"""Change of any channel, in [0, 1], that makes a pixel active (SparseMat §3.2)."""
SIGMAS = 6.0
"""Thresholds are at least this many standard deviations of the noise of one frame: 4.2 of a difference of two."""
RELEASE = 0.5
"""A pixel computed in the frame before stays active down to this share of the threshold."""
CUT, CUT_RATIO = 0.06, 4.0
"""Mean change of the thumbnail that makes a cut, and how many times the usual change it must be."""
_BLOCK, _BLOCKS, _ROWS = 16, 16, 256
_QUANTILE = 0.25
_MOST_NOISE = 0.04


CLEAN, RISE = 0.003, 12.0
"""The threshold of a clip without noise, and how fast it rises from there with the noise: a grey level of 255 makes it
THRESHOLD. Without noise every change is the subject's, and this is less than a grey level."""


def watchfulness(noise: float) -> float:
    """What share of their value small limits keep at a noise with this standard deviation, in [0, 1]: almost
    nothing without noise, all from a grey level on."""
    return min(1.0, (CLEAN + RISE * noise) / THRESHOLD)


def thresholds(threshold: float, noise: float) -> tuple[float, float]:
    """(low, high) in [0, 1]: where a pixel stays active and where it becomes so. threshold: the high one
    where noise asks for no higher one, and is not so low that less will do; noise: standard deviation, [0, 1]."""
    floor, threshold = SIGMAS * noise, min(threshold, CLEAN + RISE * noise)
    return max(RELEASE * threshold, floor), max(threshold, floor)


def changed(
    now: np.ndarray, then: np.ndarray, low: float, high: float, held: np.ndarray, within: np.ndarray,
    *, linear: bool = False,
) -> np.ndarray:  # fmt: skip
    """(H, W) bool: pixels inside `within` of which a channel differs by more than `high`, or than `low` where `held`.

    now, then: (H, W, 3) of one stored type; low, high: in [0, 1]; held, within: (H, W) bool; linear: the pixels are
    scene-linear and compared as a screen shows them.
    """
    found = np.zeros(within.shape, bool)
    for rows in filled_strips(within):
        inside = within[rows]
        shown, earlier, scale = as_shown(now[rows], then[rows], linear)
        delta = cv2.absdiff(shown, earlier)
        strong, weak = (_exceeds(delta, value * scale) for value in (high, low))
        found[rows] = (strong | (weak & held[rows])) & inside
    return found


def as_shown(now: np.ndarray, then: np.ndarray, linear: bool) -> tuple[np.ndarray, np.ndarray, float]:
    """Pixels of two frames as a screen shows them, and what is 1 there. linear: they are scene-linear."""
    if linear:
        return srgb_encode(now), srgb_encode(then), 1.0
    return now, then, FULL_SCALE[now.dtype.name]


def _exceeds(delta: np.ndarray, limit: float) -> np.ndarray:
    """(h, w) bool: any channel of `delta` (h, w, 3) above `limit`."""
    most = limit if delta.dtype == np.float32 else float(np.floor(limit))
    return np.asarray(cv2.inRange(delta, (0.0,) * 3, (most,) * 3)) == 0


def active_pixels(spatial: np.ndarray, moved: np.ndarray, unknown: np.ndarray, k: int = K) -> np.ndarray:
    """M = M_s and M_t, (H, W) bool. moved: of `changed`, widened like the spatial mask; unknown: never computed."""
    return (widen(moved, k) | unknown) & spatial


def fuse(alpha: np.ndarray, last: np.ndarray, spatial: np.ndarray, active: np.ndarray) -> None:
    """SparseMat's Eq. 2 as printed, in place: (1 - M)(1 - M_s) prior + (1 - M) M_s last + M new.

    alpha: (H, W) float32, the prior where M_s is not and new values where M is; last: the alpha of the frame before.
    """
    for rows in _strips(len(alpha)):
        kept = spatial[rows] & ~active[rows]
        if kept.any():
            np.copyto(alpha[rows], last[rows], where=kept)


def noise_samples(pixels: np.ndarray) -> np.ndarray:
    """(n, b, b, 3) float32 in [0, 1]: blocks spread evenly over a picture (H, W, 3) of a stored type."""
    height, width = pixels.shape[:2]
    side = min(_BLOCK, height, width)
    tops, lefts = (
        np.unique(np.linspace(0, n - side, max(1, min(_BLOCKS, n // side))).astype(int)) for n in (height, width)
    )
    blocks = [pixels[y : y + side, x : x + side] for y in tops for x in lefts]
    return np.stack(blocks).astype(np.float32) / np.float32(FULL_SCALE[pixels.dtype.name])


def noise_level(now: np.ndarray, then: np.ndarray) -> float:
    """Standard deviation of one frame's noise, in [0, 1], from the `noise_samples` of two neighbouring frames.

    Each block's mean absolute temporal difference, of which the lower quartile stands for what does not move; where
    everything moves, the same of second differences in space (Immerkær 1996), which texture only makes larger: the
    smaller of both.
    """
    gauss = float(np.sqrt(np.pi / 2))
    temporal = np.abs(now - then).mean((1, 2, 3)) * gauss / np.sqrt(2)
    found = float(np.quantile(temporal, _QUANTILE))
    if min(now.shape[1:3]) >= 3:
        second = now[:, :-2] - 2 * now[:, 1:-1] + now[:, 2:]
        second = second[:, :, :-2] - 2 * second[:, :, 1:-1] + second[:, :, 2:]
        found = min(found, float(np.quantile(np.abs(second).mean((1, 2, 3)) * gauss / 6, _QUANTILE)))
    return min(found, _MOST_NOISE)


def thumbnail(pixels: np.ndarray) -> np.ndarray:
    """(24, 32, 3) float32 in [0, 1]: a picture (H, W, 3) of a stored type, averaged until moving edges hardly count."""
    small = cv2.resize(pixels, (32, 24), interpolation=cv2.INTER_AREA).astype(np.float32)
    return small.clip(0, None) / np.float32(FULL_SCALE[pixels.dtype.name])


def is_cut(now: np.ndarray, then: np.ndarray, usual: float) -> bool:
    """Whether a new shot begins, by the thumbnails of two neighbouring frames. usual: `change` of late, or 0."""
    return change(now, then) > max(CUT, CUT_RATIO * usual)


def change(now: np.ndarray, then: np.ndarray) -> float:
    """Mean absolute difference of two thumbnails."""
    return float(np.abs(now - then).mean())


def _strips(height: int) -> Iterator[slice]:
    return (slice(top, min(top + _ROWS, height)) for top in range(0, height, _ROWS))
