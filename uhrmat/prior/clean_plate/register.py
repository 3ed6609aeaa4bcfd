"""Registration of a clean plate to a picture: small shift and rotation, exposure and white balance.

Shift: phase correlation of high-passed logarithms, on which neither exposure nor colour cast has an influence; refined
by ECC (Evangelidis, Psarakis, "Parametric Image Alignment Using Enhanced Correlation Coefficient Maximization", TPAMI
2008, https://doi.org/10.1109/TPAMI.2008.113) with a Euclidean motion. Exposure: one factor per channel in linear light,
at the mode of the ratios, which is the background's even where the subject covers more than half of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media import srgb_decode, srgb_encode


@dataclass(frozen=True, kw_only=True)
class RegistrationParams:
    """Parameters of the registration. Not tuned by a command; `tests/prior/test_plate.py` moves, turns and exposes
    plates.

    All may be changed.

    Attributes:
        max_shift: largest shift that is searched, as a share of the short side.
        max_rotation: largest rotation that is accepted, radians.
        short_side: of the copies on which the motion is searched, pixels: ECC finds it to a small part of a pixel.
        high_pass: standard deviation of the blur that is subtracted from the logarithm of the luminance, pixels.
        ecc_steps: steps of ECC.
        ecc_accuracy: change of the correlation at which ECC stops.
        max_gain: largest factor of exposure and white balance, either way.
        dark: linear light up to which a pixel is too dark for a ratio, in [0, 1].
        bright: linear light from which on a pixel may be clipped, in [0, 1].
        least_ratios: with fewer usable pixels than this a channel keeps its exposure.
        gain_spread: natural logarithm by which ratios are off the mode and still averaged.
        least_gain: a motion is accepted only if it leaves at most this share of the misfit.
        misfit_blur: standard deviation of the blur before two pictures are compared, pixels: moving a plate smooths
            its noise, which must not speak for the motion.
        misfit_cap: difference of a channel beyond which a pixel counts no more, in [0, 1]: the subject then counts the
            same wherever the plate lies.
        agreement: difference below which two pixels are the same surface, in [0, 1]; at least twice the median.
    """

    max_shift: float = 0.06
    max_rotation: float = 0.05
    short_side: int = 320
    high_pass: float = 8.0
    ecc_steps: int = 30
    ecc_accuracy: float = 1e-4
    max_gain: float = 2.5
    dark: float = 0.004
    bright: float = 0.95
    least_ratios: int = 64
    gain_spread: float = 0.06
    least_gain: float = 0.97
    misfit_blur: float = 2.0
    misfit_cap: float = 0.1
    agreement: float = 0.05


REGISTRATION_DEFAULTS = RegistrationParams()


def register_plate(
    picture: np.ndarray, plate: np.ndarray, params: RegistrationParams = REGISTRATION_DEFAULTS
) -> tuple[np.ndarray, list[str]]:
    """The plate as the picture's camera would have seen it. A motion is kept only where it explains the picture better.

    Args:
        picture: (h, w, 3) float32 in [0, 1].
        plate: the same, of the same size.
        params: of the registration.

    Returns:
        (h, w, 3) float32 in [0, 1]; and notes for the user.
    """
    best, gains = _match_exposure(picture, plate, params)
    error, kept = _misfit(picture, best, params), np.eye(2, 3, dtype=np.float32)
    for motion in _motions(picture, plate, params):
        candidate, factors = _match_exposure(picture, _move(plate, motion), params)
        misfit = _misfit(picture, candidate, params)
        if misfit < params.least_gain * error:
            best, gains, error, kept = candidate, factors, misfit, motion
    return best, _notes(gains, kept)


def _motions(picture: np.ndarray, plate: np.ndarray, params: RegistrationParams) -> list[np.ndarray]:
    """Candidates (2, 3) from plate to picture: a shift, then the shift and rotation to which ECC refines it."""
    scale = min(1.0, params.short_side / min(picture.shape[:2]))
    if scale < 1:
        size = (round(picture.shape[1] * scale), round(picture.shape[0] * scale))
        picture, plate = (cv2.resize(x, size, interpolation=cv2.INTER_AREA) for x in (picture, plate))
    return [_scale_motion(motion, scale) for motion in _motions_small(picture, plate, params)]


def _scale_motion(motion: np.ndarray, scale: float) -> np.ndarray:
    """At full size the motion (2, 3) of copies scaled by `scale`, for pixels whose centres lie at halves."""
    turn, shift = motion[:, :2], motion[:, 2]
    centre = np.full(2, 0.5)
    moved = (shift + centre - turn @ centre) / scale
    return np.column_stack([turn, moved - centre + turn @ centre]).astype(np.float32)


def _motions_small(picture: np.ndarray, plate: np.ndarray, params: RegistrationParams) -> list[np.ndarray]:
    """The same at the size of both pictures."""
    ours, theirs = (_high_pass(x, params.high_pass) for x in (picture, plate))
    window = cv2.createHanningWindow(ours.shape[::-1], cv2.CV_32F)
    (x, y), _ = cv2.phaseCorrelate(ours, theirs, window)
    reach = params.max_shift * min(ours.shape)
    start = np.eye(2, 3, dtype=np.float32)
    if np.hypot(x, y) <= reach:
        start[:, 2] = x, y
    stop = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, params.ecc_steps, params.ecc_accuracy)
    near = _agreement(picture, _match_exposure(picture, _move(plate, start), params)[0], params)
    try:
        _, motion = cv2.findTransformECC(ours, theirs, start.copy(), cv2.MOTION_EUCLIDEAN, stop, near, 3)
    except cv2.error:  # no convergence: there is no texture
        return [start]
    far = np.hypot(*motion[:, 2]) > 2 * reach or abs(motion[0, 1]) > params.max_rotation
    return [start] if far else [start, motion.astype(np.float32)]


def _high_pass(pixels: np.ndarray, sigma: float) -> np.ndarray:
    """(h, w) logarithm of the luminance without its slow changes."""
    grey = np.log(pixels.mean(-1) + np.float32(0.05))
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), sigma))


def _move(plate: np.ndarray, motion: np.ndarray) -> np.ndarray:
    size = plate.shape[1::-1]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(plate, motion, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def _match_exposure(
    picture: np.ndarray, plate: np.ndarray, params: RegistrationParams
) -> tuple[np.ndarray, np.ndarray]:
    """The plate with the picture's exposure and white balance, and the three factors."""
    ours, theirs = srgb_decode(picture), srgb_decode(plate)
    gains = np.array([_mode_ratio(ours[..., c], theirs[..., c], params) for c in range(3)], np.float32)
    return srgb_encode(theirs * gains), gains


def _mode_ratio(ours: np.ndarray, theirs: np.ndarray, params: RegistrationParams) -> float:
    """The most frequent ratio of two (h, w) planes in linear light, then the median of the ratios near it."""
    usable = (theirs > params.dark) & (ours > params.dark) & (theirs < params.bright) & (ours < params.bright)
    if np.count_nonzero(usable) < params.least_ratios:
        return 1.0
    ratios = np.log(ours[usable] / theirs[usable])
    limit = np.log(params.max_gain)
    counts, edges = np.histogram(ratios, bins=256, range=(-limit, limit))
    smooth = np.convolve(counts, np.hanning(11), "same")
    peak = edges[:-1][smooth.argmax()] + (edges[1] - edges[0]) / 2
    near = ratios[np.abs(ratios - peak) < params.gain_spread]
    return float(np.exp(np.median(near))) if near.size else 1.0


def _misfit(picture: np.ndarray, plate: np.ndarray, params: RegistrationParams) -> float:
    """Mean difference of the two after a blur, capped."""
    off = cv2.GaussianBlur(picture - plate, (0, 0), params.misfit_blur)
    return float(np.minimum(np.abs(off).max(-1), params.misfit_cap).mean())


def _agreement(picture: np.ndarray, plate: np.ndarray, params: RegistrationParams) -> np.ndarray:
    """(h, w) uint8: 255 where the two are alike enough to be the same surface."""
    off = cv2.blur(np.abs(picture - plate).max(-1), (5, 5))
    return np.asarray(((off < max(params.agreement, 2 * float(np.median(off)))) * 255).astype(np.uint8))


def _notes(gains: np.ndarray, motion: np.ndarray) -> list[str]:
    shift, turn = motion[:, 2], np.degrees(np.arctan2(motion[1, 0], motion[0, 0]))
    parts = []
    if np.hypot(*shift) > 0.2 or abs(turn) > 0.02:
        parts.append(f"moved by {shift[0]:.1f}, {shift[1]:.1f} small pixels and {turn:.2f}°")
    if np.abs(np.log(gains)).max() > 0.02:
        parts.append("exposure × " + ", ".join(f"{gain:.2f}" for gain in gains))
    return ["plate: " + "; ".join(parts)] if parts else []
