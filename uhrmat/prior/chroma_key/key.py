"""Chroma key: the less of the screen's colour is in a pixel, the more of the subject is.

The screen B is known everywhere (`screen_field`). A pixel's colour difference e (`media.chroma.key_excess`; Vlahos,
1971), as a share of the screen's, says where screen and subject plainly are, and gives a first alpha, 1 - e(I) / e(B).
Between them the subject's colours are taken from its inside nearby, spill included, and alpha is solved from all three
channels (`matched_filter`), twice, the second time with colours from nearer the edge. What is left of the screen's
noise is distinguished from thin hair by averages over a few pixels: faint hair is kept where a threshold would cut it.
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media.chroma import hue_axes, key_excess, pure_key_colour
from uhrmat.prior.base import LowResHints, PriorResult, constrain_alpha
from uhrmat.prior.chroma_key.matched_filter import covariance, diagonal, local_statistics, matched_alpha, sample
from uhrmat.prior.chroma_key.params import CHROMA_KEY_DEFAULTS, ChromaKeyParams
from uhrmat.prior.chroma_key.screen import far_from_subject, find_screen_colour, screen_field, screen_share

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
    full = np.maximum(key_excess(field, axes), params.least_full)
    share = key_excess(picture, axes) / full
    depth = _depth(share, params)
    short = min(share.shape)
    deep = depth > max(params.least_core_depth, params.core_depth * short)
    core = deep & (share < params.core_share)
    shallow = depth > max(params.least_core_depth, params.shallow_depth * short)
    core |= shallow & (share < params.shallow_share) & _smooth(share, params)
    sources = deep & (share < params.colour_share)
    if not sources.any():
        sources = share < params.flat_core
    first = np.clip(1 - share, 0, 1).astype(np.float32)
    alpha = first.copy()
    faded = _fade_noise(share, certain, params)
    undecided = (faded > 0) & ~core
    if sources.any() and undecided.any():
        known = picture[undecided], field[undecided], full[undecided], first[undecided]
        noise = covariance((picture - field)[certain]) + diagonal(params.least_noise)
        for number in range(params.rounds):
            if number:
                average = cv2.GaussianBlur(np.where(core, 1, alpha).astype(np.float32), (0, 0), params.inside_blur)
                nearer = (average > params.inside) & (alpha > params.inside - 0.1) & (faded >= 1)
                sources = sources | (nearer & (share < params.most_spill))
            alpha[undecided] = _solve(picture, sources, undecided, known, noise, axes, params)
    alpha[core] = 1
    solid = cv2.GaussianBlur(alpha, (0, 0), params.strand_blur)
    solid = np.clip((solid - params.solid) / (params.solid_full - params.solid), 0, 1)
    alpha = (alpha + (1 - alpha) * solid) * faded
    alpha[alpha < params.clear] = 0
    alpha[alpha > 1 - params.clear] = 1
    return np.asarray(alpha, np.float32)


def _solve(
    picture: np.ndarray, sources: np.ndarray, undecided: np.ndarray, known: tuple[np.ndarray, ...], noise: np.ndarray,
    axes: np.ndarray, params: ChromaKeyParams,
) -> np.ndarray:  # fmt: skip
    """Alpha (n,) in [0, 1] of the undecided pixels; the first one where other colours are seen than theirs.

    known: their colours, screen, excess of it and first alpha.
    """
    colours, screen, full, first = known
    shape = undecided.shape[0], undecided.shape[1]
    maps = local_statistics(picture, sources, params.colour_factor, params.colour_blur)
    mean, spread = (sample(x, shape, undecided) for x in maps)
    spilt = np.maximum(key_excess(mean, axes) - params.most_spill * full, 0)
    mean = mean - spilt[:, None] * pure_key_colour(axes)
    spread = spread + diagonal(params.least_spread)
    alpha, misfit = matched_alpha(colours, screen, mean, spread, noise, first, params.steps)
    foreign = np.clip(misfit / params.misfit - 1, 0, 1)
    return np.asarray(np.clip(alpha + foreign * (first - alpha), 0, 1))


def _fade_noise(share: np.ndarray, certain: np.ndarray, params: ChromaKeyParams) -> np.ndarray:
    """(h, w) float32: 0 where the average over a few pixels is no more than the screen's noise, 1 well above it."""
    average = cv2.GaussianBlur((1 - share).astype(np.float32), (0, 0), params.strand_blur)
    low = params.clear
    if certain.any():
        seen = average[certain]
        middle = float(np.median(seen))
        low = max(low, middle + params.noise_factor * 1.4826 * float(np.median(np.abs(seen - middle))))
        far = certain & far_from_subject(share, params)
        if np.count_nonzero(far) >= params.least_fitted:
            low = max(low, float(np.quantile(average[far], params.fold_quantile)))
        low = min(low, params.most_clear)
    return np.asarray(np.clip(average / low - 1, 0, 1), np.float32)


def _smooth(share: np.ndarray, params: ChromaKeyParams) -> np.ndarray:
    """(h, w) bool: no strands with gaps between them are around."""
    bounded = np.clip(share, -1, 1).astype(np.float32)
    mean, square = (cv2.GaussianBlur(x, (0, 0), params.smooth_blur) for x in (bounded, bounded * bounded))
    return np.asarray(square - mean * mean < params.smooth_deviation**2)


def _depth(share: np.ndarray, params: ChromaKeyParams) -> np.ndarray:
    """(h, w) float32: pixels to the subject's edge, 0 outside it; all deep where there is no edge."""
    inside = cv2.GaussianBlur(share.astype(np.float32), (0, 0), 1.0) < params.core_edge
    if inside.all():
        return np.full(share.shape, np.inf, np.float32)
    return np.asarray(cv2.distanceTransform(inside.astype(np.uint8), cv2.DIST_L2, 3))


def _unevenness(field: np.ndarray) -> float:
    """Half the range of the screen's brightness, as a share of its mean."""
    bright = field.max(-1)
    low, high = np.quantile(bright, [0.02, 0.98])
    return float((high - low) / max(high + low, 1e-6))
