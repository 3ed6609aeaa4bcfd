"""Chroma key: the less of the screen's colour is in a pixel, the more of the subject is.

With the screen B known everywhere (`screen_field`) and the subject F extended from its inside, alpha is where the
pixel's colour difference e (`media.chroma.key_excess`; Vlahos, 1971) lies between those of B and F:

    alpha = (e(B) - e(I)) / (e(B) - e(F))

Noise and unevenness of the screen, measured where it is seen, are subtracted at the alpha of 0; spill, the screen's
light on the subject, is in e(F).
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media.chroma import hue_axes, key_excess
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.chroma_key.params import CHROMA_KEY_DEFAULTS, ChromaKeyParams
from uhrmat.prior.chroma_key.screen import find_screen_colour, screen_field, screen_share
from uhrmat.prior.pull_push import pull_push

SCREEN_NOT_SEEN = "no screen is seen"
"""The note of a frame in which the clip's screen is not seen."""


class KeyPrior:
    """A coloured screen as a prior. Without a key among the hints its colour is found in the picture.

    Args:
        screen: the screen's colour, RGB in [0, 1], where it is known already, as for the frames of a clip. A picture in
            which it is not seen is keyed all the same, with the note `SCREEN_NOT_SEEN`.
        params: of the chroma key.
    """

    name = "key"
    working_size: int | None = None

    def __init__(self, screen: tuple[float, ...] | None = None, params: ChromaKeyParams = CHROMA_KEY_DEFAULTS) -> None:
        self._screen = None if screen is None else np.array(screen, np.float32)
        self._params = params

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        params = self._params
        colour = find_screen_colour(small, hints.key or "auto", params) if self._screen is None else self._screen
        if self._screen is None or screen_share(small, colour, params) >= params.least_share:
            field, certain = screen_field(small, colour, params)
            note = f"screen {hex_colour(colour)}, brighter and darker by {_unevenness(field):.0%} across the picture"
        else:
            field, certain = np.broadcast_to(colour, small.shape), np.zeros(small.shape[:2], bool)
            note = SCREEN_NOT_SEEN
        alpha = constrain_alpha(chroma_key_alpha(small, field, certain, hue_axes(colour), params), hints.trimap)
        return PriorResult(alpha, self.name, [note], screen=tuple(float(c) for c in colour))


def hex_colour(colour: np.ndarray) -> str:
    """A colour (3,) in [0, 1] as `#rrggbb`."""
    return "#" + "".join(f"{round(255 * float(c)):02x}" for c in colour)


def chroma_key_alpha(
    picture: np.ndarray, field: np.ndarray, certain: np.ndarray, axes: np.ndarray,
    params: ChromaKeyParams = CHROMA_KEY_DEFAULTS,
) -> np.ndarray:  # fmt: skip
    """Alpha of a picture before a known screen.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        field: (h, w, 3) float32 in [0, 1], the screen without its subject.
        certain: (h, w) bool, where the screen is seen; the alpha there is its noise.
        axes: of the screen's hue, see `media.chroma.hue_axes`.
        params: of the chroma key.

    Returns:
        (h, w) float32 in [0, 1].
    """
    amount, full = key_excess(picture, axes), np.maximum(key_excess(field, axes), params.least_full)
    share = amount / full
    core = _core(share, params)
    if not core.any():
        core = share < params.flat_core
    inside = pull_push(amount[..., None], core.astype(np.float32))[..., 0] if core.any() else 0
    subject = np.minimum(inside, params.most_spill * full)
    alpha = (full - amount) / (full - subject)
    noise = float(np.quantile(alpha[certain], params.noise_quantile)) if certain.any() else 0.0
    floor = min(max(params.clear, params.noise_factor * noise), params.most_clear)
    alpha = np.clip((alpha - floor) / (params.solid - floor), 0, 1)
    alpha[core] = 1
    return np.asarray(alpha.astype(np.float32))


def _core(share: np.ndarray, params: ChromaKeyParams) -> np.ndarray:
    """(h, w) bool: further inside the subject than its soft edge reaches; small greenish spots in there count too."""
    radius = max(params.least_core_depth, params.core_depth * min(share.shape))
    blurred = cv2.GaussianBlur(share.astype(np.float32), (0, 0), 1.0)
    inside = (blurred < params.core_edge).astype(np.uint8)
    if inside.all():
        return np.asarray(inside.astype(bool))
    depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)
    return np.asarray((depth > radius) & (share < params.core_share))


def _unevenness(field: np.ndarray) -> float:
    """Half the range of the screen's brightness, as a share of its mean."""
    bright = field.max(-1)
    low, high = np.quantile(bright, [0.02, 0.98])
    return float((high - low) / max(high + low, 1e-6))
