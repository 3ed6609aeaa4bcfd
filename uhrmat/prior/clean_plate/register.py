"""A clean plate brought into line with a picture: small shift and turn, exposure and white balance.

Shift: phase correlation of high-passed logarithms, which knows neither exposure nor colour cast; refined by ECC
(Evangelidis, Psarakis, TPAMI 2008) with a Euclidean motion. Exposure: one factor per channel in linear light, at the
mode of the ratios, which stays with the background even where the subject covers more than half of the picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media import srgb_decode, srgb_encode

REACH = 0.06
"""Largest shift looked for, as a share of the short side."""
SIDE = 320
"""Short side at which the motion is looked for: ECC finds it to a small part of a pixel."""
GAIN = 2.5
"""Largest exposure or white balance factor looked for, either way."""
_DARK = 0.004


def register_plate(picture: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, list[str]]:
    """The plate (h, w, 3) as the picture's camera would have seen it, in [0, 1], and notes for the user.

    picture: (h, w, 3) float32 in [0, 1], of the same size. A motion is kept only where it explains the picture better.
    """
    best, gains = _exposed(picture, plate)
    error, moved = _misfit(picture, best), np.eye(2, 3, dtype=np.float32)
    for motion in _motions(picture, plate):
        candidate, factors = _exposed(picture, _moved(plate, motion))
        misfit = _misfit(picture, candidate)
        if misfit < 0.97 * error:
            best, gains, error, moved = candidate, factors, misfit, motion
    return best, _notes(gains, moved)


def _motions(picture: np.ndarray, plate: np.ndarray) -> list[np.ndarray]:
    """Candidates (2, 3) from plate to picture: the shift, then the shift and turn that it leads to."""
    scale = min(1.0, SIDE / min(picture.shape[:2]))
    if scale < 1:
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture, plate = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (picture, plate))
    return [_enlarged(motion, scale) for motion in _motions_small(picture, plate)]


def _enlarged(motion: np.ndarray, scale: float) -> np.ndarray:
    """A motion (2, 3) found on copies scaled by `scale`, for pixels whose centres lie at halves."""
    turn, shift = motion[:, :2], motion[:, 2]
    centre = np.full(2, 0.5)
    moved = (shift + centre - turn @ centre) / scale
    return np.column_stack([turn, moved - centre + turn @ centre]).astype(np.float32)


def _motions_small(picture: np.ndarray, plate: np.ndarray) -> list[np.ndarray]:
    ours, theirs = (_textured(x) for x in (picture, plate))
    window = cv2.createHanningWindow(ours.shape[::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(ours, theirs, window)
    reach = REACH * min(ours.shape)
    start = np.eye(2, 3, dtype=np.float32)
    if np.hypot(x, y) <= reach:
        start[:, 2] = x, y
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 30, 1e-4)
    near = _agree(picture, _exposed(picture, _moved(plate, start))[0])
    try:
        _, found = cv2.findTransformECC(ours, theirs, start.copy(), cv2.MOTION_EUCLIDEAN, stop, near, 3)
    except cv2.error:  # it does not converge where there is nothing to hold on to
        return [start]
    far = np.hypot(*found[:, 2]) > 2 * reach or abs(found[0, 1]) > 0.05
    return [start] if far else [start, found.astype(np.float32)]


def _textured(pixels: np.ndarray) -> np.ndarray:
    """(h, w) logarithm of the luminance without its slow changes."""
    grey = np.log(pixels.mean(-1) + np.float32(0.05))
    return grey - cv2.GaussianBlur(grey, (0, 0), 8)


def _moved(plate: np.ndarray, motion: np.ndarray) -> np.ndarray:
    size = plate.shape[1::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(plate, motion, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)


def _exposed(picture: np.ndarray, plate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The plate with the picture's exposure and white balance, and the three factors."""
    ours, theirs = srgb_decode(picture), srgb_decode(plate)
    gains = np.array([_mode_ratio(ours[..., c], theirs[..., c]) for c in range(3)], np.float32)
    return srgb_encode(theirs * gains), gains


def _mode_ratio(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The most frequent ratio of two (h, w) planes in linear light, then the median of the ratios near it."""
    usable = (theirs > _DARK) & (ours > _DARK) & (theirs < 0.95) & (ours < 0.95)
    if np.count_nonzero(usable) < 64:
        return 1.0
    ratios = np.log(ours[usable] / theirs[usable])
    limit = np.log(GAIN)
    counts, edges = np.histogram(ratios, bins=256, range=(-limit, limit))
    smooth = np.convolve(counts, np.hanning(11), "same")
    peak = edges[:-1][smooth.argmax()] + (edges[1] - edges[0]) / 2
    near = ratios[np.abs(ratios - peak) < 0.06]
    return float(np.exp(np.median(near))) if near.size else 1.0


def _misfit(picture: np.ndarray, plate: np.ndarray) -> float:
    """How badly the two agree, capped so that the subject counts the same wherever the plate lies.

    Blurred first: moving a plate smooths its noise, which is no reason to move it.
    """
    off = cv2.GaussianBlur(picture - plate, (0, 0), 2.0)
    return float(np.minimum(np.abs(off).max(-1), 0.1).mean())


def _agree(picture: np.ndarray, plate: np.ndarray) -> np.ndarray:
    """(h, w) uint8: 255 where the two are alike enough to be the same surface."""
    off = cv2.blur(np.abs(picture - plate).max(-1), (5, 5))
    return ((off < max(0.05, 2 * float(np.median(off)))) * 255).astype(np.uint8)


def _notes(gains: np.ndarray, motion: np.ndarray) -> list[str]:
    shift, turn = motion[:, 2], np.degrees(np.arctan2(motion[1, 0], motion[0, 0]))
    said = []
    if np.hypot(*shift) > 0.2 or abs(turn) > 0.02:
        said.append(f"moved by {shift[0]:.1f}, {shift[1]:.1f} small pixels and {turn:.2f}°")
    if np.abs(np.log(gains)).max() > 0.02:
        said.append("exposure × " + ", ".join(f"{gain:.2f}" for gain in gains))
    return ["plate: " + "; ".join(said)] if said else []
