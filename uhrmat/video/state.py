"""State of a clip between two frames."""

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
"""Number of a pixel that no refiner has computed in this shot."""
_HISTORY = 8
"""Frames over which the usual change is taken; the noise is the median over twice as many and one. Not tuned."""


@dataclass(frozen=True, kw_only=True)
class SmoothingParams:
    """Smoothing of the prior in time. Not tuned; may be changed.

    Attributes:
        keep: weight of the last prior where the low-resolution picture did not change.
        step: change of a colour, in [0, 1], that counts as a change; less does where there is no noise.
        kernel: side of the dilation of what changed, pixels of the low-resolution picture, odd.
    """

    keep: float = 0.75
    step: float = 0.02
    kernel: int = 5


SMOOTHING = SmoothingParams()


@dataclass
class LastComputed:
    """Each pixel of the frame in which it was last computed.

    Attributes:
        alpha: (H, W) float32 in [0, 1], of the last frame.
        colours: (H, W, 3) of the stored type, of the frame in which the pixel was last computed.
        number: (H, W) int16, that frame, counted from the beginning of the shot, or NEVER.
    """

    alpha: np.ndarray
    colours: np.ndarray
    number: np.ndarray

    def update(self, alpha: np.ndarray, pixels: np.ndarray, spatial: np.ndarray, active: np.ndarray, now: int) -> None:
        """Records frame `now` of the shot; pixels outside of the spatial mask count as never computed.

        Args:
            alpha: (H, W) float32, the frame's alpha.
            pixels: (H, W, 3) of the stored type.
            spatial: (H, W) bool, M_s.
            active: (H, W) bool, M.
            now: number of the frame.
        """
        self.alpha = alpha
        cv2.copyTo(pixels, active.view(np.uint8), self.colours)
        self.number[active] = now
        self.number[~spatial] = NEVER


class SmoothedPrior:
    """The prior averaged over time where the low-resolution picture is static; elsewhere the new prior."""

    def __init__(self, params: SmoothingParams = SMOOTHING) -> None:
        self.alpha: np.ndarray | None = None
        self._params = params
        self._reference = np.empty(0, np.float32)

    def __call__(
        self, small: np.ndarray, alpha: np.ndarray, known: np.ndarray, noise: float, scale: float
    ) -> np.ndarray:
        """The smoothed prior of the next frame.

        A pixel is compared with the picture at which it was last replaced.

        Args:
            small: (h, w, 3) float32 RGB in [0, 1].
            alpha: (h, w) float32, this frame's prior.
            known: (h, w) bool, pixels at which the prior is certain: they are never averaged.
            noise: standard deviation of the full picture's noise, in [0, 1].
            scale: full-resolution pixels per low-resolution pixel, along a side.

        Returns:
            (h, w) float32 in [0, 1].
        """
        if self.alpha is None or self.alpha.shape != alpha.shape:
            self.alpha, self._reference = alpha, small.copy()
            return alpha
        keep = self._params.keep
        step = max(self._params.step * noise_scale(noise), TEMPORAL_SPARSITY.sigmas * noise / scale)
        moved = dilate(np.abs(small - self._reference).max(2) > step, self._params.kernel) | known
        self._reference[moved] = small[moved]
        self.alpha = np.where(moved, alpha, keep * self.alpha + (1 - keep) * alpha).astype(np.float32)
        return self.alpha


@dataclass
class ClipMonitor:
    """Measures noise and finds cuts, frame by frame."""

    samples: np.ndarray | None = None
    thumb: np.ndarray | None = None
    levels: deque[float] = field(default_factory=lambda: deque(maxlen=2 * _HISTORY + 1))
    changes: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    @property
    def noise(self) -> float:
        """Standard deviation of a frame's noise in [0, 1], median of the last frames; 0 before there were two."""
        return float(np.median(self.levels)) if self.levels else 0.0

    def update(self, pixels: np.ndarray) -> bool:
        """Takes the next frame, (H, W, 3) of a stored type; returns whether it begins a new shot (the first: False)."""
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
