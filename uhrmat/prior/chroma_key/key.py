"""Chroma key: the less of the screen's colour is in a pixel, the more of the subject is.

With the screen B known everywhere (`screen_field`) and F carried from the subject's inside, alpha is where the pixel's
colour difference (`chroma.key_excess`; Vlahos, 1971) lies between those of B and F:

    alpha = (e(B) - e(I)) / (e(B) - e(F))

Noise and unevenness of the screen, measured where it is seen, are taken off its end; spill, the screen's light on the
subject, is in e(F).
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media.chroma import hue_axes, key_excess
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.chroma_key.screen import LEAST_SHARE, find_screen_colour, screen_field, screen_share
from uhrmat.prior.pull_push import pull_push

CLEAR, SOLID = 0.02, 0.97
"""Alphas up to which a pixel is pure screen, and from which it is pure subject."""
SCREEN_NOT_SEEN = "no screen is seen"
"""The note of a picture that does not show the screen whose colour was settled."""
_CORE = 0.012
"""Depth of the subject's core, as a share of the short side: further in than that is no screen."""


class KeyPrior:
    """A coloured screen as a prior. Without a key among the hints its colour is found in the picture.

    screen: its colour, RGB in [0, 1], where that is settled, as for the frames of a clip; a picture that does not show
    it is then keyed all the same, and a note says so.
    """

    name = "key"
    working_size: int | None = None

    def __init__(self, screen: tuple[float, ...] | None = None) -> None:
        self._screen = None if screen is None else np.array(screen, np.float32)

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        colour = find_screen_colour(small, hints.key or "auto") if self._screen is None else self._screen
        if self._screen is None or screen_share(small, colour) >= LEAST_SHARE:
            field, sure = screen_field(small, colour)
            note = f"screen {hex_colour(colour)}, brighter and darker by {_unevenness(field):.0%} across the picture"
        else:
            field, sure = np.broadcast_to(colour, small.shape), np.zeros(small.shape[:2], bool)
            note = SCREEN_NOT_SEEN
        alpha = chroma_key_alpha(small, field, sure, hue_axes(colour))
        return PriorResult(
            constrain_alpha(alpha, hints.trimap), self.name, [note], screen=tuple(float(c) for c in colour)
        )


def hex_colour(colour: np.ndarray) -> str:
    """A colour (3,) in [0, 1] as `#rrggbb`."""
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in colour)


def chroma_key_alpha(picture: np.ndarray, field: np.ndarray, sure: np.ndarray, axes: np.ndarray) -> np.ndarray:
    """(h, w) float32 alpha of a picture before a screen `field`, both (h, w, 3) in [0, 1], of the key's `axes`.

    sure: (h, w) bool, where the screen is seen; its spread there is what counts as noise.
    """
    amount, full = key_excess(picture, axes), np.maximum(key_excess(field, axes), 0.02)
    share = amount / full
    core = _core(share)
    if not core.any():
        core = share < 0.1
    subject = np.minimum(pull_push(amount[..., None], core.astype(np.float32))[..., 0] if core.any() else 0, 0.5 * full)
    alpha = (full - amount) / (full - subject)
    noise = float(np.quantile(alpha[sure], 0.995)) if sure.any() else 0.0
    floor = min(max(CLEAR, 1.2 * noise), 0.3)
    alpha = np.clip((alpha - floor) / (SOLID - floor), 0, 1)
    alpha[core] = 1
    return alpha.astype(np.float32)


def _core(share: np.ndarray) -> np.ndarray:
    """(h, w) bool: further inside the subject than its soft edge reaches; small greenish spots in there count too."""
    radius = max(2.0, _CORE * min(share.shape))
    inside = (cv2.GaussianBlur(share.astype(np.float32), (0, 0), 1.0) < 0.35).astype(np.uint8)
    if inside.all():
        return inside.astype(bool)
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    return (depth > radius) & (share < 0.5)


def _unevenness(field: np.ndarray) -> float:
    bright = field.max(-1)
    low, high = np.quantile(bright, [0.02, 0.98])
    return float((high - low) / max(high + low, 1e-6))
