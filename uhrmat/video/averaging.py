"""Temporal averaging of static regions: a new alpha is averaged with the alpha before where the foreground is static.

A refiner that sees one frame at a time gives a static hair another alpha in each frame, with the noise and with what
passes behind it. These errors differ from frame to frame, so that their mean is nearer to the truth. Where the
foreground moves the new alpha is used alone: the last one, warped by the flow, would cost more detail than it brings.

Two cases are distinguished by how much the background changes. Before a static background, static foreground shows the
same colours again, pixel by pixel (`unchanged_colours`). Before a moving background every colour changes, and the flow
of the opaque foreground nearby decides (`foreground_motion`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from uhrmat.media import Picture
from uhrmat.refine.base import RefineInput
from uhrmat.sparsity.spatial import SPATIAL_SPARSITY, nonempty_strips, upsampled_rows
from uhrmat.sparsity.temporal import display_pair
from uhrmat.video.flow import optical_flow


@dataclass(frozen=True, kw_only=True)
class AveragingParams:
    """Parameters of temporal averaging. Colours, alphas and noise are in [0, 1].

    Chosen by `python -m benchmarks.clip --modes "frame by frame" on` (dtSSD and MAD on synthetic clips) unless marked
    "not tuned". All may be changed; no trained weights depend on them.

    Attributes:
        max_weight: weight of the last alpha where nothing moved. Larger: steadier, but slower to follow.
        agreement: difference of two alphas at which the weight has fallen to 1 / e.
        motion: motion of the foreground, in pixels of the picture per frame, at which the weight has fallen to 1 / e
            for a background that changes by 1. It grows with that change: the more the background changes, the more
            averaging gains.
        background: change of the low-resolution picture from which on the background counts as moving; about a grey
            level of 8 bits.
        colour_sigmas: change of the mean of 3 x 3 pixels at which the weight has fallen to 1 / e, in standard
            deviations of the noise.
        min_colour_change: that change is never below this.
        near, far: standard deviations, as shares of the short side, of the Gaussians that spread the motion of opaque
            foreground to its hair; `far` is used only where nothing is near. Not tuned.
        stride: pixels of the low-resolution picture per pixel of the grid on which they are applied. It must be much
            smaller than `near` in pixels. Not tuned.
        flow_side: short side, in pixels, below which no level of the flow's pyramid lies except for the picture itself.
            The motion is spread over `near` anyway: at 512 pixels all levels take 10 times as long, for the same MAD
            and dtSSD to 0.1 %.
        epsilon: weight of what is far, and motion in pixels that always counts as none. Not tuned.
    """

    max_weight: float = 0.7
    agreement: float = 0.3
    motion: float = 20.0
    background: float = 0.004
    colour_sigmas: float = 3.0
    min_colour_change: float = 0.1 / 255
    near: float = 0.02
    far: float = 0.08
    stride: int = 4
    flow_side: int = 128
    epsilon: float = 1e-3


AVERAGING = AveragingParams()


@dataclass(frozen=True)
class FramePair:
    """A refined frame that is not averaged yet, and the frame before it.

    Attributes:
        now, before: refiner inputs of both, of one size (H, W).
        where: (H, W) bool, pixels computed now that have a last alpha of the same shot.
        noise: standard deviation of a frame's noise, in [0, 1].
    """

    now: RefineInput
    before: RefineInput
    where: np.ndarray
    noise: float


def static_weight(pair: FramePair, params: AveragingParams = AVERAGING) -> np.ndarray:
    """How static the foreground is at each pixel that may be averaged. Depends on no alpha of full resolution, so that
    it can be computed while the frame is refined.

    Args:
        pair: the frame and the one before it.
        params: see there.

    Returns:
        (n,) float32 in [0, 1] for the n pixels of `pair.where`, row by row.
    """
    now, before = pair.now, pair.before
    scale = now.size[0] / len(now.small)
    either = np.maximum(before.prior, now.prior)
    change = background_change(before.small, now.small, either, pair.noise / scale, params)
    same = unchanged_colours(now.picture, before.picture, pair.noise, pair.where, params)
    motion = np.zeros_like(change)
    if change.max() > params.background / 3:  # below it the motion would weigh less than 1 / 27
        motion = now.size[0] / len(change) * foreground_motion(before.small, now.small, now.prior, params)[..., 2]
    return weight_of_maps(pair.where, motion, change, same, params)


def foreground_motion(
    before: np.ndarray, now: np.ndarray, alpha: np.ndarray, params: AveragingParams = AVERAGING
) -> np.ndarray:
    """Motion of the foreground near each pixel. Flow counts where the foreground is opaque: in hair it is often that of
    the background.

    Args:
        before, now: (h, w, 3) float32 RGB in [0, 1], low-resolution pictures.
        alpha: (h, w) float32 in [0, 1], of `now`.
        params: spread of the motion.

    Returns:
        (h, w, 3) float32, in pixels: mean (x, y) from the place in `now` to that in `before`, and the mean length.
    """
    level = max(0, (min(alpha.shape) // params.flow_side).bit_length() - 1)
    move = optical_flow(now, before, level)
    return _spread(np.dstack([move, np.linalg.norm(move, axis=2)]), np.power(alpha, 4, dtype=np.float32), params)


def background_change(
    before: np.ndarray, now: np.ndarray, alpha: np.ndarray, noise: float, params: AveragingParams = AVERAGING
) -> np.ndarray:
    """Change of the background near each pixel, less the noise.

    Args:
        before, now: (h, w, 3) float32 RGB in [0, 1], low-resolution pictures.
        alpha: (h, w) float32, the larger alpha of both frames. Pixels count that hold no foreground and have none
            beside them; else hair that moves would be taken for a background that does.
        noise: standard deviation of the noise of `before` and `now`, in [0, 1].
        params: spread of the change.

    Returns:
        (h, w) float32 in [0, 1].
    """
    empty = cv2.erode((alpha < SPATIAL_SPARSITY.low).astype(np.float32), np.ones((5, 5)))
    change = _spread(np.abs(now - before).mean(2, keepdims=True), empty, params)[..., 0]
    return np.asarray((change - np.float32(2 / math.sqrt(math.pi) * noise)).clip(min=0))


def _spread(values: np.ndarray, weight: np.ndarray, params: AveragingParams) -> np.ndarray:
    """(h, w, C): weighted mean of `values` (h, w, C) nearby, or far away where nothing is near. weight: (h, w)."""
    height, width = weight.shape
    stride, epsilon = params.stride, params.epsilon
    parts = np.dstack([values * weight[..., None], weight + np.float32(1e-6)])
    coarse = cv2.resize(parts, (-(-width // stride), -(-height // stride)), interpolation=cv2.INTER_AREA)
    near, far = (cv2.GaussianBlur(coarse, (0, 0), s * min(weight.shape) / stride) for s in (params.near, params.far))
    mean = (near[..., :-1] + epsilon * far[..., :-1] / far[..., -1:]) / (near[..., -1:] + epsilon)
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR)).reshape(values.shape)


def unchanged_colours(
    now: Picture, before: Picture, noise: float, where: np.ndarray, params: AveragingParams = AVERAGING
) -> np.ndarray:
    """How far each pixel and its neighbours show the colours of the frame before, apart from noise.

    Args:
        now, before: pictures of one size (H, W).
        noise: standard deviation of a frame's noise, in [0, 1].
        where: (H, W) bool, the pixels that are compared.
        params: how much change is accepted.

    Returns:
        (H, W) uint8: 255 where nothing changed, 0 outside of `where`.
    """
    similarity = np.zeros(where.shape, np.uint8)
    limit = max(params.min_colour_change, params.colour_sigmas * noise * float(np.sqrt(2)) / 3)
    for rows in nonempty_strips(where):
        left, _, width, _ = cv2.boundingRect(where[rows].view(np.uint8))
        box = rows, slice(left, left + width)
        around = tuple(slice(max(0, side.start - 1), side.stop + 1) for side in box)
        shown, earlier, scale = display_pair(now.pixels[around], before.pixels[around], now.info.linear)
        change = cv2.blur(cv2.subtract(shown, earlier, dtype=cv2.CV_32F), (3, 3), borderType=cv2.BORDER_REPLICATE)
        first, second, third = (np.abs(plane) for plane in cv2.split(change))
        most = cv2.max(cv2.max(first, second), third)
        inside = where[box]
        top, start = (side.start - wide.start for side, wide in zip(box, around, strict=True))
        most = most[top : top + len(inside), start : start + width][inside]
        similarity[box][inside] = np.rint(255 * np.exp(-np.square(most / np.float32(limit * scale))))
    return similarity


def weight_of_maps(
    where: np.ndarray, motion: np.ndarray, change: np.ndarray, same: np.ndarray, params: AveragingParams = AVERAGING
) -> np.ndarray:
    """`static_weight` from maps of the frame.

    Args:
        where: (H, W) bool, the n pixels that are averaged.
        motion: (h, w), lengths of `foreground_motion` in pixels of the picture.
        change: (h, w), of `background_change`.
        same: (H, W) uint8, of `unchanged_colours`.
        params: see there.

    Returns:
        (n,) float32 in [0, 1].
    """
    parts = [np.zeros(0, np.float32)]
    for rows in nonempty_strips(where):
        inside = where[rows]
        moved, changed = (upsampled_rows(x, where.shape, rows.start, rows.stop)[inside] for x in (motion, change))
        moving = ((changed / params.background) ** 3).clip(max=1)
        by_motion = math.e ** -((moved / (params.motion * changed + params.epsilon)) ** 2)
        parts.append(moving * by_motion + (1 - moving) * (same[rows][inside] / np.float32(255)))
    return np.concatenate(parts)


def average_alphas(
    alpha: np.ndarray, last: np.ndarray, where: np.ndarray, static: np.ndarray, params: AveragingParams = AVERAGING
) -> None:
    """Average `alpha` with `last`, in place, at the pixels `where`.

    The weight of the last alpha falls with the difference of the two.

    Args:
        alpha: (H, W) float32, the new alpha; at those pixels it is clipped to [0, 1].
        last: (H, W) float32 in [0, 1], the alpha of the frame before.
        where: (H, W) bool, n pixels.
        static: (n,) float32, of `static_weight`.
        params: see there.
    """
    done = 0
    for rows in nonempty_strips(where):
        inside = where[rows]
        new = alpha[rows][inside].clip(0, 1)
        step = last[rows][inside] - new
        here = static[done : done + len(new)]
        done += len(new)
        weight = params.max_weight * here * math.e ** -((step / params.agreement) ** 2)
        alpha[rows][inside] = new + step * weight
