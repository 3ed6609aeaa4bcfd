"""The cases of each prior: a photograph or composite with its hint and its true alpha, made from folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from uhrmat.foreground.solve import estimate_foreground
from uhrmat.hints.files import read_mask, read_matte, read_trimap
from uhrmat.media import read_picture, srgb_decode, srgb_encode
from uhrmat.media.chroma import hue_axes, key_excess, pure_key_colour
from uhrmat.media.resample import area_average
from uhrmat.train.bench.pictures import BenchPicture, find_items

NOISE, SPILL, UNEVEN = 0.02, 0.12, 0.25
"""Of plates and screens: standard deviation, share of the screen's colour on the subject, fall of its light."""
GREEN = np.float32([0.15, 0.7, 0.2])
EXPOSURE = np.float32([1.2, 1.1, 0.95])
"""How much more light the plate got than the picture, in linear light."""
MOTION = (6.6, 4.4)
"""How far the plate was moved, pixels."""


@dataclass(frozen=True)
class Case:
    """picture: (H, W, 3) uint8; said: hints as the pipeline takes them; truth: (H, W) in [0, 1]; region: (H, W) uint8
    trimap whose unknown pixels are measured, None: all."""

    name: str
    picture: np.ndarray
    said: dict[str, Any]
    truth: np.ndarray
    region: np.ndarray | None


Make = Callable[[], Case]


def with_trimap(item: BenchPicture) -> Case:
    """The photograph with the trimap that came with it."""
    pixels, truth, trimap = _read(item)
    return Case(item.name, pixels, {"trimap": trimap}, truth, trimap)


def with_mask(item: BenchPicture) -> Case:
    """A coarse mask: where the subject covers half of a block of 8 pixels or more."""
    pixels, truth, trimap = _read(item)
    coarse = area_average(truth, tuple(max(1, n // 8) for n in truth.shape)) >= 0.5
    mask = cv2.resize(coarse.astype(np.uint8) * 255, truth.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return Case(item.name, pixels, {"mask": mask}, truth, trimap)


def with_alpha(item: BenchPicture) -> Case:
    """The truth at a quarter of the size, with noise."""
    pixels, truth, trimap = _read(item)
    small = area_average(truth, tuple(n // 4 for n in truth.shape))
    rough = np.clip(small + _rng(item).normal(0, NOISE, small.shape), 0, 1).astype(np.float32)
    return Case(item.name, pixels, {"alpha": rough}, truth, trimap)


def before_plate(item: BenchPicture, backgrounds: list[Path]) -> Case:
    """Composited over a photograph; the plate has noise of its own, is moved and exposed differently."""
    pixels, truth, trimap = _read(item)
    rng = _rng(item)
    path = backgrounds[int(item.name[-2:], 36) % len(backgrounds)]
    behind = area_average(read_picture(path).pixels, truth.shape, 255.0)
    motion = np.array([[1, 0, MOTION[0]], [0, 1, MOTION[1]]], np.float32)
    plate = cv2.warpAffine(behind, motion, truth.shape[::-1], borderMode=cv2.BORDER_REFLECT)
    plate = srgb_encode(srgb_decode(plate) * EXPOSURE)
    shown = truth[..., None] * _subject(pixels, truth) + (1 - truth[..., None]) * behind
    return Case(item.name, _taken(shown, rng), {"plate": _taken(plate, rng)}, truth, trimap)


def before_screen(item: BenchPicture) -> Case:
    """Before an uneven green screen that spills on the subject, whose own green is taken out first; nothing is said."""
    pixels, truth, trimap = _read(item)
    axes, subject = hue_axes(GREEN), _subject(pixels, truth)
    plain = subject - np.maximum(key_excess(subject, axes), 0)[..., None] * pure_key_colour(axes)
    ys, xs = (np.linspace(0, 1, n)[tuple(None if i != axis else slice(None) for i in range(2))]
              for axis, n in enumerate(truth.shape))  # fmt: skip
    light = 1 - UNEVEN * (2 * (xs - 0.6) ** 2 + 2 * (ys - 0.4) ** 2)
    screen = np.clip(GREEN * light[..., None], 0, 1)
    shown = truth[..., None] * (plain + SPILL * GREEN) + (1 - truth[..., None]) * screen
    return Case(item.name, _taken(shown, _rng(item)), {}, truth, trimap)


def with_nothing(photo: Path, mask: Path) -> Case:
    """A photograph of people with their mask as truth, measured everywhere."""
    pixels = read_picture(photo).pixels
    return Case(photo.stem, pixels, {}, read_mask(mask, pixels.shape[:2]), None)


def cases(hint: str, data: Path, people: Path | None, backgrounds: Path | None) -> dict[str, Make]:
    """Cases by name, each made when it is taken. hint: one of HINTS."""
    if hint == "nothing":
        pairs = [] if people is None else [(p, people / "mask" / f"{p.stem}.png") for p in _photos(people / "photo")]
        return {p.stem: lambda p=p, m=m: with_nothing(p, m) for p, m in pairs if p.stem.endswith("7")}  # type: ignore[misc]
    items = find_items(data)
    if hint == "plate":
        behind = [] if backgrounds is None else _photos(backgrounds)
        return {i.name: lambda i=i: before_plate(i, behind) for i in items if behind}  # type: ignore[misc]
    made = {"trimap": with_trimap, "mask": with_mask, "alpha": with_alpha, "key": before_screen}[hint]
    return {i.name: lambda i=i: made(i) for i in items}  # type: ignore[misc]


HINTS = ("trimap", "mask", "alpha", "plate", "key", "nothing")


def _read(item: BenchPicture) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pixels = read_picture(item.picture).pixels
    size = pixels.shape[0], pixels.shape[1]
    return pixels, read_matte(item.truth), read_trimap(item.trimap, size)


def _subject(pixels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(H, W, 3) float32: the subject's own colours."""
    return np.asarray(estimate_foreground(pixels, truth), np.float32) / 255


def _taken(shown: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A photograph of it in 8 bits with noise."""
    return np.rint((shown + rng.normal(0, NOISE, shown.shape)).clip(0, 1) * 255).astype(np.uint8)


def _rng(item: BenchPicture) -> np.random.Generator:
    return np.random.default_rng(list(item.name.encode()))


def _photos(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.jpg"))
