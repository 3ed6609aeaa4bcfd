"""Training pairs from one key frame: its subject, deformed and moved, over its inpainted background."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from uhrmat.video.propagation.crop import cut_out, subject_crop
from uhrmat.video.propagation.params import PAIRS, TRACKING, PairParams, TrackingParams

_CELL = 8
"""Pixels from one random vector of a deformation to the next."""
_SPOTS = 16
"""The same for the spots of a cluttered mask."""


class KeyFrame(NamedTuple):
    """A key frame at the network's size: RGB (h, w, 3) and alpha (h, w), float32 in [0, 1]."""

    picture: np.ndarray
    alpha: np.ndarray


class PairMaker:
    """Makes training pairs from one key frame.

    Args:
        key: the key frame.
        rng: random numbers; nothing else is random.
        params: see there.
        background: (h, w, 3) float32 in [0, 1] to paste the subject on; default the key frame's own, inpainted.
    """

    def __init__(
        self, key: KeyFrame, rng: np.random.Generator, params: PairParams = PAIRS, *,
        background: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        self._key, self._rng, self._params = key, rng, params
        self._shape = key.alpha.shape
        self._ys, self._xs = np.indices(self._shape, np.float32)
        self.background = inpaint_background(key, params) if background is None else background
        ys, xs = np.nonzero(key.alpha > 0.5)
        self._present = len(ys) > 0
        self._centre = (float(xs.mean()), float(ys.mean())) if self._present else (0.0, 0.0)
        self._middle = (float(np.median(xs)), float(np.median(ys))) if self._present else (0.0, 0.0)
        self._extent = float(max(np.ptp(ys), np.ptp(xs)) + 1) if self._present else float(min(self._shape)) / 4

    def pair(self) -> tuple[np.ndarray, np.ndarray]:
        """Input (h, w, 4), RGB and last mask, and target (h, w), both float32 in [0, 1]."""
        params, rng = self._params, self._rng
        picture, target = self._moved_background(), np.zeros(self._shape, np.float32)
        has_mask = rng.random() >= params.empty
        if self._present:
            if has_mask and rng.random() < params.distractor:
                picture, _ = self._paste(picture, self._extent * (1 + rng.random()))
            picture, target = self._paste(picture, 0.0)
        picture = self._lit(picture)
        mask = self._last_mask(target) if has_mask else np.zeros(self._shape, np.float32)
        return np.dstack([picture, mask]).astype(np.float32), target

    def _moved_background(self) -> np.ndarray:
        params, rng, (height, width) = self._params, self._rng, self._shape
        motion = cv2.getRotationMatrix2D(
            (width / 2, height / 2), rng.normal(0, params.camera_rotation), np.exp(rng.normal(0, params.camera_scale))
        )
        motion[:, 2] += rng.normal(0, params.camera_shift * width, 2)
        mirrored = rng.random() < params.background_mirror
        source = np.ascontiguousarray(self.background[:, ::-1]) if mirrored else self.background
        return np.asarray(cv2.warpAffine(source, motion, (width, height), borderMode=cv2.BORDER_REFLECT))

    def _paste(self, picture: np.ndarray, away: float) -> tuple[np.ndarray, np.ndarray]:
        """The subject over `picture` (h, w, 3), moved by `away` pixels besides; and its alpha (h, w)."""
        params, rng, extent = self._params, self._rng, self._extent
        angle, scale = rng.normal(0, params.rotation), np.exp(rng.normal(0, params.scale))
        shift = rng.normal(0, (params.far if rng.random() < 0.5 else params.near) * extent, 2)
        direction = rng.uniform(0, 2 * np.pi)
        shift += away * np.array([np.cos(direction), np.sin(direction)])
        cos, sin = np.cos(angle) / scale, np.sin(angle) / scale
        x, y = self._xs - self._centre[0] - shift[0], self._ys - self._centre[1] - shift[1]
        if rng.random() < params.mirror:
            x = -x
        amount = extent * rng.uniform(0, params.deform)
        from_x = (cos * x + sin * y + self._centre[0] + self._wobble(amount)).astype(np.float32)
        from_y = (cos * y - sin * x + self._centre[1] + self._wobble(amount)).astype(np.float32)
        subject = cv2.remap(self._key.picture, from_x, from_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        alpha = cv2.remap(self._key.alpha, from_x, from_y, cv2.INTER_LINEAR)
        return alpha[..., None] * subject + (1 - alpha[..., None]) * picture, np.asarray(alpha)

    def _lit(self, picture: np.ndarray) -> np.ndarray:
        params, rng = self._params, self._rng
        lit = picture * np.exp(rng.normal(0, params.gain)) + rng.normal(0, params.offset, 3)
        lit = np.clip(lit, 0, 1).astype(np.float32)
        if rng.random() < params.blur:
            lit = cv2.GaussianBlur(lit, (0, 0), rng.uniform(0.3, params.max_blur))
        return np.asarray(lit)

    def _last_mask(self, target: np.ndarray) -> np.ndarray:
        """An imperfect mask of the same subject a little elsewhere, as it arrives from the frame before."""
        params, rng, extent = self._params, self._rng, self._extent
        shift = rng.normal(0, params.mask_shift * extent, 2)
        amount = extent * params.mask_deform
        from_x = (self._xs + shift[0] + self._wobble(amount)).astype(np.float32)
        from_y = (self._ys + shift[1] + self._wobble(amount)).astype(np.float32)
        mask = cv2.remap(target, from_x, from_y, cv2.INTER_LINEAR)
        kind = rng.random()
        if kind < params.halved:
            side = self._xs < self._middle[0] if rng.random() < 0.5 else self._ys < self._middle[1]
            mask = np.where(side, 0, mask)
        elif kind > 1 - params.cluttered:
            height, width = self._shape
            grid = (rng.random((max(1, height // _SPOTS), max(1, width // _SPOTS))) > 0.93).astype(np.float32)
            spots = cv2.resize(cv2.GaussianBlur(grid, (0, 0), 1), (width, height))
            mask = np.maximum(mask, (spots > 0.3).astype(np.float32))
        return np.asarray(mask, np.float32)

    def _wobble(self, amount: float) -> np.ndarray:
        """A smooth random field (h, w) in [-amount, amount]."""
        height, width = self._shape
        grid = self._rng.normal(0, 1, (max(1, height // _CELL), max(1, width // _CELL))).astype(np.float32)
        grid = cv2.GaussianBlur(grid, (0, 0), 3)
        grid /= np.abs(grid).max() + 1e-6
        return np.asarray(cv2.resize(grid, (width, height)) * amount)


def key_crop(key: KeyFrame, factor: float, params: TrackingParams = TRACKING) -> KeyFrame:
    """The crop of a key frame around its subject, see `crop.subject_crop`, at the key frame's size."""
    crop = subject_crop(key.alpha, factor, 0.0, params)
    return KeyFrame(cut_out(key.picture, crop), np.clip(cut_out(key.alpha, crop), 0, 1))


def inpaint_background(key: KeyFrame, params: PairParams = PAIRS) -> np.ndarray:
    """The key frame's background, (h, w, 3) float32 in [0, 1], with the subject inpainted (Telea, 2004)."""
    rim = 2 * max(1, round(params.fill * min(key.alpha.shape))) + 1
    subject = cv2.dilate((key.alpha > 0.02).astype(np.uint8), np.ones((rim, rim), np.uint8))
    if subject.mean() > params.max_cover:
        visible = key.alpha < 0.5
        colour = key.picture[visible].mean(0) if visible.any() else np.full(3, 0.5, np.float32)
        return np.where(subject[..., None] > 0, colour, key.picture).astype(np.float32)
    filled = cv2.inpaint(np.rint(key.picture * 255).astype(np.uint8), subject, 5, cv2.INPAINT_TELEA)
    return np.asarray(filled.astype(np.float32) / np.float32(255))
