"""The screen behind a subject: its colour, found in the picture, and how it changes across it."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.key_colour import key_rgb
from uhrmat.media.chroma import chroma, hue_axes, key_excess
from uhrmat.prior.pull_push import pull_push

HUES = {"green": 0.0, "blue": -120.0}
"""Degrees in the chroma plane, green being 0 and red 120."""
NEAR = 50.0
"""Degrees that a named hue may be off."""
LEAST_CHROMA, LEAST_SHARE = 0.08, 0.02
"""A screen is at least this saturated, and takes at least this share of the picture."""
_BINS, _RING = 72, 0.04


def find_screen_colour(picture: np.ndarray, key: str) -> np.ndarray:
    """(3,) float32: the screen's colour in a picture (h, w, 3) in [0, 1]; key: see `parse_key`.

    The hue that saturated pixels have most often, those at the border counting most; its median colour. Raises
    InputError where no such screen is seen.
    """
    plane = chroma(picture)
    strength = np.hypot(plane[..., 0], plane[..., 1])
    hue = np.degrees(np.arctan2(plane[..., 1], plane[..., 0]))
    allowed = strength > LEAST_CHROMA
    asked = key_rgb(key)
    wanted = HUES.get(key)
    if asked is not None:
        centre = chroma(np.array(asked, np.float32))
        if np.hypot(*centre) < LEAST_CHROMA:
            raise InputError(f"The screen colour {key} is grey.", "Give the colour of a green, blue or red screen.")
        wanted = float(np.degrees(np.arctan2(centre[1], centre[0])))
    if wanted is not None:
        allowed &= np.abs(_turned(hue - wanted)) < NEAR
    if np.count_nonzero(allowed) < LEAST_SHARE * allowed.size:
        raise InputError(
            f"There is no {key if wanted is not None else 'saturated'} screen in the picture.",
            "Give its colour, --key '#rrggbb', or another hint.",
        )
    peak = _peak(hue, strength * allowed * _ring(allowed.shape))
    near = allowed & (np.abs(_turned(hue - peak)) < 20)
    colours = picture[near]
    strong = key_excess(colours, hue_axes(np.median(colours, 0)))
    return np.median(colours[strong >= 0.6 * np.quantile(strong, 0.9)], 0).astype(np.float32)


def screen_share(picture: np.ndarray, colour: np.ndarray) -> float:
    """Share of a picture (h, w, 3) in [0, 1] that may be a screen of that `colour` (3,)."""
    axes = hue_axes(colour)
    level = max(float(key_excess(colour, axes)), 1e-3)
    return float((key_excess(picture, axes) > 0.55 * level).mean())


def screen_field(picture: np.ndarray, colour: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The screen as it would look without its subject, (h, w, 3), and (h, w) bool, where it is seen for certain.

    A quadratic in x and y fitted to what is surely screen, and what remains of it spread from there: light falls off,
    cloth has folds. Certain are pixels whose excess stays within their neighbourhood's.
    """
    axes = hue_axes(colour)
    strength = key_excess(picture, axes)
    level = max(float(key_excess(colour, axes)), 1e-3)
    seen = strength > 0.55 * level
    for _ in range(3):
        field = _quadratic(picture, seen)
        expected = np.maximum(key_excess(field, axes), 0.25 * level)
        seen = (strength > 0.75 * expected) & (np.abs(picture - field).max(-1) < 0.25)
        if not seen.any():
            seen = strength > 0.55 * level
            break
    sure = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    sure = sure if sure.any() else seen
    field = _quadratic(picture, sure)
    weight = sure.astype(np.float32)
    rest = pull_push(cv2.blur((picture - field) * weight[..., None], (5, 5)), cv2.blur(weight, (5, 5)) * weight)
    return np.clip(field + rest, 0, 1).astype(np.float32), sure


def _quadratic(picture: np.ndarray, where: np.ndarray, steps: int = 3) -> np.ndarray:
    """(h, w, 3): least squares with outliers given less say each time; a constant where there is little to fit."""
    height, width = where.shape
    ys, xs = np.mgrid[:height, :width].astype(np.float32)
    ys, xs = ys / height - 0.5, xs / width - 0.5
    terms = np.stack([np.ones_like(xs), xs, ys, xs * ys, xs * xs, ys * ys], -1)
    if np.count_nonzero(where) < 64:
        terms = terms[..., :1]
    chosen = np.flatnonzero(where)
    chosen = chosen[:: max(1, len(chosen) // 20_000)]
    inputs, colours = terms.reshape(-1, terms.shape[-1])[chosen], picture.reshape(-1, 3)[chosen]
    weights = np.ones(len(chosen), np.float32)
    fit = np.zeros((terms.shape[-1], 3), np.float32)
    for _ in range(steps):
        weighted = inputs * weights[:, None]
        fit = np.linalg.lstsq(weighted, colours * weights[:, None], rcond=None)[0]
        off = np.abs(colours - inputs @ fit).max(-1)
        weights = 1 / (1 + np.square(off / max(2 * float(np.median(off)), 0.01)))
    return (terms @ fit).astype(np.float32)


def _peak(hue: np.ndarray, weight: np.ndarray) -> float:
    counts, edges = np.histogram(hue, bins=_BINS, range=(-180, 180), weights=weight)
    kernel = np.array([0.25, 0.5, 1.0, 0.5, 0.25])
    smooth = np.convolve(np.pad(counts, 2, mode="wrap"), kernel, "valid")
    return float(edges[smooth.argmax()] + 180 / _BINS)


def _ring(shape: tuple[int, ...]) -> np.ndarray:
    """1 inside, 8 along the border: subjects seldom reach around it."""
    weight = np.ones(shape, np.float32)
    width = max(1, round(_RING * min(shape)))
    weight[:width], weight[-width:], weight[:, :width], weight[:, -width:] = 8, 8, 8, 8
    return weight


def _turned(degrees: np.ndarray) -> np.ndarray:
    return (degrees + 180) % 360 - 180
