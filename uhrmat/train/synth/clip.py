"""Synthetic clips with exact alpha: a subject whose hair moves in gusts, before a background that stands or pans.

A scene's subject is drawn once, with its colour premultiplied, and bent frame by frame by a smooth displacement; the
bent alpha is the true alpha of what is then composed. Noise, cuts and fades are those of a camera and an editor.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.train.synth.noise import fractal
from uhrmat.train.synth.photos import crop
from uhrmat.train.synth.scene import compose, render_scene
from uhrmat.train.synth.stage import Bytes, Floats, Stage

_OPEN = 0.5 / 255


@dataclass(frozen=True)
class ClipRecipe:
    """What a clip shows. Lengths in pixels, times in frames.

    kind: of `KINDS`; gust: how far hair bends; sway: how far the subject moves to and fro as a whole; pan: how far the
    background moves per frame; noise: standard deviation in grey levels of 255; cut: frame at which another subject
    stands before another background; fade: (first, last) frame of a fade to `fade_to` of the light; margin: of the
    trimap, as a share of the side; backgrounds: photographs, generated ones where there are none.
    """

    height: int
    width: int
    frames: int
    seed: int = 0
    kind: str = "hair"
    gust: float = 6.0
    sway: float = 0.0
    pan: float = 0.0
    noise: float = 0.0
    cut: int | None = None
    fade: tuple[int, int] | None = None
    fade_to: float = 0.5
    margin: float = 0.008
    period: float = 24.0
    backgrounds: Sequence[str | Path] = field(default_factory=tuple)


@dataclass
class ClipFrame:
    """image: (H, W, 3) uint8 RGB, with noise; alpha: (H, W) float32, exact; trimap: (H, W) uint8 {0, 128, 255}."""

    number: int
    image: Bytes
    alpha: Floats
    trimap: Bytes


def render_clip(recipe: ClipRecipe) -> Iterator[ClipFrame]:
    """The frames of a clip in order; the same recipe gives the same frames. Raises InputError for an empty one."""
    if recipe.frames < 1:
        raise InputError("A clip of no frames was asked for.", "Ask for at least one.")
    shot = _Shot(recipe, recipe.seed)
    for number in range(recipe.frames):
        if number == recipe.cut:
            shot = _Shot(recipe, recipe.seed + 1)
        yield shot.frame(number)


class _Shot:
    """One subject before one background."""

    def __init__(self, recipe: ClipRecipe, seed: int) -> None:
        self.recipe = recipe
        size = recipe.height, recipe.width
        scene = render_scene(seed, *size, kind=recipe.kind, backgrounds=recipe.backgrounds, camera=False, size=0.8)
        self._layer = np.dstack([scene.foreground * scene.alpha[..., None], scene.alpha]).astype(np.float32)
        travel = int(np.ceil(abs(recipe.pan) * recipe.frames)) + 2
        self._wide = _backdrop(recipe, seed, scene.background, travel)
        rng = np.random.default_rng([seed, 77])
        cell = 0.2 * float(np.sqrt(size[0] * size[1]))
        self._bend = np.stack([fractal(rng, *size, cell=cell, octaves=1) for _ in range(2)])
        self._gusts = np.stack([fractal(rng, *size, cell=1.5 * cell, octaves=1) for _ in range(2)])
        solid = cv2.distanceTransform((scene.alpha > 0.98).astype(np.uint8), cv2.DIST_L2, 5)
        self._loose = np.exp(-solid / (0.02 * cell * 5)).astype(np.float32)

    def frame(self, number: int) -> ClipFrame:
        recipe, height, width = self.recipe, self.recipe.height, self.recipe.width
        layer = self._bent(number)
        alpha = layer[..., 3].clip(0, 1)
        alpha[alpha < _OPEN] = 0
        alpha[alpha > 1 - _OPEN] = 1
        foreground = (layer[..., :3] / np.maximum(layer[..., 3:], 1e-4)).clip(0, 1)
        shift = np.array([[1, 0, abs(recipe.pan) * number], [0, 1, 0]], np.float32)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        background = cv2.warpAffine(self._wide, shift, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
        image = compose(alpha, foreground, background) * np.float32(_light(recipe, number))
        return ClipFrame(number, _noisy(recipe, image, number), alpha, clip_trimap(alpha, recipe.margin))

    def _bent(self, number: int) -> Floats:
        """The layer displaced: loose parts follow gusts that come and go in places, all of it sways."""
        recipe = self.recipe
        phase = 2 * np.pi * number / recipe.period
        blow = np.clip(self._gusts[0] * np.cos(phase / 4) + self._gusts[1] * np.sin(phase / 4) - 0.15, 0, 0.5)
        reach = blow * self._loose * np.float32(8 * recipe.gust)
        ys, xs = np.indices(blow.shape, np.float32)
        xs += reach * self._bend[0] * np.float32(np.sin(phase)) - np.float32(recipe.sway * np.sin(phase / 3))
        ys += reach * self._bend[1] * np.float32(np.cos(phase))
        return np.asarray(cv2.remap(self._layer, xs, ys, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)


def _backdrop(recipe: ClipRecipe, seed: int, background: Floats, travel: int) -> Floats:
    """A background that is wider than the picture by what the camera pans: (H, W + travel, 3)."""
    if not recipe.pan:
        return background
    if recipe.backgrounds:
        photos = tuple(Path(p) for p in recipe.backgrounds)
        stage = Stage(np.random.default_rng([seed, 5]), recipe.height, recipe.width + travel, photos=photos)
        return crop(stage, photos, recipe.height, recipe.width + travel)
    return np.asarray(np.pad(background, ((0, 0), (0, travel), (0, 0)), mode="symmetric"), np.float32)


def _light(recipe: ClipRecipe, number: int) -> float:
    if recipe.fade is None:
        return 1.0
    first, last = recipe.fade
    return 1 + (recipe.fade_to - 1) * float(np.clip((number - first) / max(1, last - first), 0, 1))


def _noisy(recipe: ClipRecipe, image: Floats, number: int) -> Bytes:
    """8 bits, with noise that differs from frame to frame."""
    levels = image * np.float32(255)
    if recipe.noise:
        rng = np.random.default_rng([recipe.seed, number, 9])
        levels += rng.standard_normal(levels.shape, dtype=np.float32) * np.float32(recipe.noise)
    result: Bytes = np.rint(levels.clip(0, 255)).astype(np.uint8)
    return result


def clip_trimap(alpha: Floats, margin: float) -> Bytes:
    """Trimap uint8 {0, 128, 255} of an exact alpha (H, W): what is open, and hard edges, widened by `margin` x side."""
    side = float(np.sqrt(alpha.size))
    cross = np.ones((3, 3), np.uint8)
    solid, empty = (alpha >= 1).astype(np.uint8), (alpha <= 0).astype(np.uint8)
    edge = ((alpha > 0) & (alpha < 1)) | ((cv2.dilate(solid, cross) > 0) & (cv2.dilate(empty, cross) > 0))
    k = 2 * max(1, round(margin * side)) + 1
    unknown = cv2.dilate(edge.astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (k, k))) > 0
    return np.where(unknown, 128, np.where(solid > 0, 255, 0)).astype(np.uint8)
