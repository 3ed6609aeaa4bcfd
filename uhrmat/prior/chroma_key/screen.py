"""The screen behind a subject: its colour, as found in the picture, and how it changes across it."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.key_colour import key_rgb
from uhrmat.media.chroma import chroma, hue_axes, key_excess
from uhrmat.prior.chroma_key.params import CHROMA_KEY_DEFAULTS, ChromaKeyParams
from uhrmat.prior.pull_push import pull_push


def find_screen_colour(picture: np.ndarray, key: str, params: ChromaKeyParams = CHROMA_KEY_DEFAULTS) -> np.ndarray:
    """Find the screen's colour in a picture: the median colour of its most frequent saturated hue.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        key: "auto", "green", "blue" or "#rrggbb", see `hints.key_colour.parse_key`.
        params: what counts as screen.

    Returns:
        (3,) float32, RGB in [0, 1].

    Raises:
        InputError: no such screen is seen, or the given colour is grey.
    """
    plane = chroma(picture)
    strength = np.hypot(plane[..., 0], plane[..., 1])
    hue = np.degrees(np.arctan2(plane[..., 1], plane[..., 0]))
    allowed = strength > params.least_chroma
    given = key_rgb(key)
    wanted = {"green": params.green_hue, "blue": params.blue_hue}.get(key)
    if given is not None:
        centre = chroma(np.array(given, np.float32))
        if np.hypot(*centre) < params.least_chroma:
            raise InputError(f"The screen colour {key} is grey.", "Give the colour of a green, blue or red screen.")
        wanted = float(np.degrees(np.arctan2(centre[1], centre[0])))
    if wanted is not None:
        allowed &= np.abs(_wrap_degrees(hue - wanted)) < params.hue_tolerance
    if np.count_nonzero(allowed) < params.least_share * allowed.size:
        raise InputError(
            f"There is no {key if wanted is not None else 'saturated'} screen in the picture.",
            "Give its colour as the key '#rrggbb', or another hint.",
        )
    peak = _peak(hue, strength * allowed * _border_weights(allowed.shape, params), params.hue_bins)
    near = allowed & (np.abs(_wrap_degrees(hue - peak)) < params.screen_hue_tolerance)
    colours = picture[near]
    strong = key_excess(colours, hue_axes(np.median(colours, 0)))
    strongest = strong >= params.strongest * np.quantile(strong, 0.9)
    return np.asarray(np.median(colours[strongest], 0).astype(np.float32))


def screen_share(picture: np.ndarray, colour: np.ndarray, params: ChromaKeyParams = CHROMA_KEY_DEFAULTS) -> float:
    """Share of a picture (h, w, 3) in [0, 1] that may be a screen of that `colour` (3,)."""
    axes = hue_axes(colour)
    level = max(float(key_excess(colour, axes)), 1e-3)
    return float((key_excess(picture, axes) > params.seen * level).mean())


def screen_field(
    picture: np.ndarray, colour: np.ndarray, params: ChromaKeyParams = CHROMA_KEY_DEFAULTS
) -> tuple[np.ndarray, np.ndarray]:
    """Estimate the screen as it would look without its subject.

    A quadratic in x and y is fitted to what is certainly screen, since light falls off; what remains there is extended
    to the rest by hole filling, since cloth has folds. Near the subject only pixels count that hold no thin hair.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        colour: (3,) float32 in [0, 1], the screen's.
        params: what counts as screen.

    Returns:
        (h, w, 3) float32 in [0, 1]; and (h, w) bool, where the screen is certainly seen.
    """
    axes = hue_axes(colour)
    strength = key_excess(picture, axes)
    level = max(float(key_excess(colour, axes)), 1e-3)
    seen = strength > params.seen * level
    for _ in range(params.fit_rounds):
        field = _fit_quadratic(picture, seen, params)
        expected = np.maximum(key_excess(field, axes), params.least_expected * level)
        near = np.abs(picture - field).max(-1) < params.colour_distance
        seen = (strength > params.certain * expected) & near
        if not seen.any():
            seen = strength > params.seen * level
            break
    certain = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    certain = certain if certain.any() else seen
    field = _extend(picture, certain, params)
    for _ in range(params.clean_rounds):
        clean = _without_strands(picture, field, certain, strength, axes, params)
        if np.count_nonzero(clean) < params.least_fitted:
            break
        field = _extend(picture, clean, params)
    return field, certain


def _extend(picture: np.ndarray, certain: np.ndarray, params: ChromaKeyParams) -> np.ndarray:
    """(h, w, 3): the quadratic through what is screen, and by hole filling what of the screen it leaves."""
    fit = _fit_quadratic(picture, certain, params)
    weight = certain.astype(np.float32)
    rest = pull_push(cv2.blur((picture - fit) * weight[..., None], (5, 5)), cv2.blur(weight, (5, 5)) * weight)
    rest = cv2.GaussianBlur(rest, (0, 0), max(params.smoothing * min(certain.shape), 0.5))
    return np.asarray(np.clip(fit + rest, 0, 1), np.float32)


def _without_strands(
    picture: np.ndarray, field: np.ndarray, certain: np.ndarray, strength: np.ndarray, axes: np.ndarray,
    params: ChromaKeyParams,
) -> np.ndarray:  # fmt: skip
    """(h, w) bool: of what is `certain`, what lies far from the subject or is as even as the screen's noise.

    Thin hair takes so little of the screen's excess that it is taken for screen, and would darken it just where it is
    needed. Averaged over a few pixels it stands out of the noise; folds and shadows do too, but most lie elsewhere.
    """
    share = strength / np.maximum(key_excess(field, axes), params.least_full)
    taken, brightness = (
        cv2.GaussianBlur(x, (0, 0), params.strand_blur) for x in (1 - share, (picture - field).mean(-1))
    )
    even = np.abs(taken - np.median(taken[certain])) < params.strand_factor * _deviation(taken[certain])
    even &= np.abs(brightness - np.median(brightness[certain])) < params.strand_factor * _deviation(brightness[certain])
    even = cv2.erode(cv2.morphologyEx(even.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3))), np.ones((3, 3))) > 0
    return np.asarray(certain & (even | far_from_subject(share, params)))


def far_from_subject(share: np.ndarray, params: ChromaKeyParams = CHROMA_KEY_DEFAULTS) -> np.ndarray:
    """(h, w) bool: farther from the subject than its thin hair reaches. share: (h, w) of the screen's excess."""
    subject = cv2.GaussianBlur(share.astype(np.float32), (0, 0), 1.0) < params.core_edge
    if not subject.any():
        return np.ones(share.shape, bool)
    away = cv2.distanceTransform((~subject).astype(np.uint8), cv2.DIST_L2, 3)
    return np.asarray(away > params.hair_reach * min(share.shape))


def _deviation(values: np.ndarray) -> float:
    """Standard deviation of what lies below the median: noise alone, since hair only adds. Values (n,)."""
    median = np.median(values)
    return 1.4826 * float(np.median(median - values[values <= median]))


def _fit_quadratic(picture: np.ndarray, where: np.ndarray, params: ChromaKeyParams) -> np.ndarray:
    """(h, w, 3): least squares, outliers weighted down at each step; a constant where there is little to fit."""
    height, width = where.shape
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    ys, xs = ys / height - 0.5, xs / width - 0.5
    terms = np.stack([np.ones_like(xs), xs, ys, xs * ys, xs * xs, ys * ys], -1)
    if np.count_nonzero(where) < params.least_fitted:
        terms = terms[..., :1]
    chosen = np.flatnonzero(where)
    chosen = chosen[:: max(1, len(chosen) // params.fit_pixels)]
    inputs, colours = terms.reshape(-1, terms.shape[-1])[chosen], picture.reshape(-1, 3)[chosen]
    weights = np.ones(len(chosen), np.float32)
    fit = np.zeros((terms.shape[-1], 3), np.float32)
    for _ in range(params.fit_steps):
        weighted = inputs * weights[:, None]
        fit = np.linalg.lstsq(weighted, colours * weights[:, None], rcond=None)[0]
        off = np.abs(colours - inputs @ fit).max(-1)
        weights = 1 / (1 + np.square(off / max(2 * float(np.median(off)), 0.01)))
    return np.asarray((terms @ fit).astype(np.float32))


def _peak(hue: np.ndarray, weight: np.ndarray, bins: int) -> float:
    """The most frequent hue, degrees."""
    counts, edges = np.histogram(hue, bins=bins, range=(-180, 180), weights=weight)
    kernel = np.array([0.25, 0.5, 1.0, 0.5, 0.25])
    smooth = np.convolve(np.pad(counts, 2, mode="wrap"), kernel, "valid")
    return float(edges[smooth.argmax()] + 180 / bins)


def _border_weights(shape: tuple[int, ...], params: ChromaKeyParams) -> np.ndarray:
    """1 inside, `border_weight` along the border."""
    weight = np.ones(shape, np.float32)
    width = max(1, round(params.border * min(shape)))
    for edge in (np.s_[:width], np.s_[-width:], np.s_[:, :width], np.s_[:, -width:]):
        weight[edge] = params.border_weight
    return weight


def _wrap_degrees(degrees: np.ndarray) -> np.ndarray:
    """Angles in [-180, 180)."""
    return np.asarray((degrees + 180) % 360 - 180)
