"""What a page shows: an exhibit is one picture with one or two mattes of it, and what is known about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from uhrmat.media import Picture, PictureInfo
from uhrmat.metrics import as_unit

if TYPE_CHECKING:
    from uhrmat.pipeline import StillResult

Array = npt.NDArray[Any]
Table = list[list[str]]
"""Rows of texts, the first being the header."""


@dataclass(frozen=True)
class Side:
    """One matte. alpha: (H, W) float32 in [0, 1]; colour: (H, W, 3) straight foreground colours in the type of `info`,
    None where only the alpha is known; active: (H, W) bool, the pixels that were refined, or None."""

    name: str
    alpha: npt.NDArray[np.float32]
    colour: Array | None = None
    active: Array | None = None
    info: PictureInfo | None = None


@dataclass(frozen=True)
class Exhibit:
    """One picture on the page. photo: (H, W, 3) with its `info`, or None; sides: one matte, or two to compare; truth:
    (H, W) float32 alpha or None; table: what is told below it; frame: of a clip, its number."""

    title: str
    sides: tuple[Side, ...]
    photo: Array | None = None
    info: PictureInfo | None = None
    truth: npt.NDArray[np.float32] | None = None
    table: Table = field(default_factory=list)
    frame: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        height, width = self.sides[0].alpha.shape
        return height, width


@dataclass(frozen=True)
class ClipFigures:
    """What is plotted along a clip. numbers: of the frames; series: a title and a value for every frame; cuts: the
    numbers of frames at which a new shot begins."""

    numbers: list[int]
    series: dict[str, list[float]]
    cuts: list[int] = field(default_factory=list)


def make_exhibit(matte: StillResult, title: str, table: list[tuple[str, str]]) -> Exhibit:
    """An exhibit of one matte. title: for people, like the photograph's name; table: names and values below it."""
    info = matte.picture.info
    side = Side("uhrmat", matte.alpha, matte.foreground, matte.active, info)
    rows = [["", "value"], *([name, value] for name, value in table)]
    return Exhibit(title, (side,), matte.picture.pixels, info, table=rows)


def read_side(content: str, made: Picture, premultiplied: bool | None = None) -> Side:
    """The matte in a file that uhrmat wrote. content: "alpha", else colours with or without an alpha; premultiplied:
    whether the colours were multiplied by it, None: what the file says."""
    if content == "alpha":
        return Side("uhrmat", as_unit(made.pixels[..., 1]).clip(0, 1))
    if made.alpha is None:
        return Side(content, np.ones(made.pixels.shape[:2], np.float32), made.pixels, info=made.info)
    alpha = as_unit(made.alpha).clip(0, 1)
    divide = made.info.premultiplied if premultiplied is None else premultiplied
    return Side("uhrmat", alpha, unpremultiply(made.pixels, alpha) if divide else made.pixels, info=made.info)


def unpremultiply(pixels: Array, alpha: Array) -> Array:
    """Colours as they were before they were multiplied by alpha, in their own type."""
    straight = pixels / np.maximum(alpha, np.float32(1e-3))[..., None]
    if pixels.dtype.kind == "f":
        return straight
    return np.rint(straight).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
