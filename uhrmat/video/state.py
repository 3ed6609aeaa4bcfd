"""What a clip remembers between two frames, and how long."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import cv2
import numpy as np

from uhrmat.sparsity.spatial import dilate
from uhrmat.sparsity.temporal import (
    TEMPORAL_SPARSITY,
    is_cut,
    noise_level,
    noise_samples,
    noise_scale,
    thumbnail,
    thumbnail_difference,
)

NEVER = -1
"""Age of a pixel that no refiner has computed in this shot."""
PRIOR_KEEP = 0.75
"""Share of the last prior where the small picture did not change."""
_PRIOR_STEP = 0.02
_HISTORY = 8


@dataclass
class LastComputed:
    """Every pixel as it was when it was last computed.

    alpha: (H, W) float32 of the last frame; colours: (H, W, 3) in the stored type and number: (H, W) int16, frames
    since the shot began or NEVER, both of the frame in which the pixel was last computed.
    """

    alpha: np.ndarray
    colours: np.ndarray
    number: np.ndarray

    def update(self, alpha: np.ndarray, pixels: np.ndarray, spatial: np.ndarray, active: np.ndarray, now: int) -> None:
        """After frame `now`: what was computed is new, what the prior decides counts as never computed."""
        self.alpha = alpha
        cv2.copyTo(pixels, active.view(np.uint8), self.colours)
        self.number[active] = now
        self.number[~spatial] = NEVER


class SmoothedPrior:
    """The prior smoothed in time where the small picture stands still; where it moves, it follows at once."""

    def __init__(self) -> None:
        self.alpha: np.ndarray | None = None
        self._seen = np.empty(0, np.float32)

    def __call__(
        self, small: np.ndarray, alpha: np.ndarray, sure: np.ndarray, noise: float, scale: float
    ) -> np.ndarray:
        """(h, w) float32. small: (h, w, 3); alpha: of this frame; sure: (h, w) bool, where it is no guess; noise: of
        the picture, which is `scale` times as large. A pixel is compared with the small picture at which it last
        followed."""
        if self.alpha is None or self.alpha.shape != alpha.shape:
            self.alpha, self._seen = alpha, small.copy()
            return alpha
        step = max(_PRIOR_STEP * noise_scale(noise), TEMPORAL_SPARSITY.sigmas * noise / scale)
        moved = dilate(np.abs(small - self._seen).max(2) > step, 5) | sure
        self._seen[moved] = small[moved]
        self.alpha = np.where(moved, alpha, PRIOR_KEEP * self.alpha + (1 - PRIOR_KEEP) * alpha).astype(np.float32)
        return self.alpha


@dataclass
class ClipMonitor:
    """Noise and cuts, from one frame to the next."""

    samples: np.ndarray | None = None
    thumb: np.ndarray | None = None
    levels: deque[float] = field(default_factory=lambda: deque(maxlen=2 * _HISTORY + 1))
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    @property
    def noise(self) -> float:
        """Standard deviation in [0, 1], the median of the last frames; 0 before there were two."""
        return float(np.median(self.levels)) if self.levels else 0.0

    def update(self, pixels: np.ndarray) -> bool:
        """Looks at the next frame (H, W, 3); True where it begins a new shot. The first frame never does."""
        samples, thumb = noise_samples(pixels), thumbnail(pixels)
        cut = False
        if self.thumb is not None and self.samples is not None and self.samples.shape == samples.shape:
            cut = is_cut(thumb, self.thumb, float(np.median(self.changes)) if self.changes else 0.0)
            if cut:
                self.changes.clear()
            else:
                self.changes.append(thumbnail_difference(thumb, self.thumb))
                self.levels.append(noise_level(samples, self.samples))
        self.samples, self.thumb = samples, thumb
        return cut
