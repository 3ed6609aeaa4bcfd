"""Content of a page: an exhibit is one picture with one or two mattes, and a table of figures."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from uhrmat.media import Picture, PictureInfo
from uhrmat.metrics import as_unit

if TYPE_CHECKING:  # importing uhrmat.pipeline loads torch, which pages of stored mattes do without
    from uhrmat.pipeline import StillResult

Array = npt.NDArray[Any]
Table = list[list[str]]
"""Rows of texts, the first being the header."""


@dataclass(frozen=True)
class Side:
    """One matte.

    Attributes:
        name: Shown on the page.
        alpha: (H, W) float32 in [0, 1].
        colour: (H, W, 3) straight foreground colours in the type of `info`, or None.
        active: (H, W) bool, the pixels that were refined, or None.
        info: Type and colour space of `colour`, or None.
    """

    name: str
    alpha: npt.NDArray[np.float32]
    colour: Array | None = None
    active: Array | None = None
    info: PictureInfo | None = None


@dataclass(frozen=True, kw_only=True)
class Exhibit:
    """One picture on the page.

    Attributes:
        title: Shown above it.
        sides: One matte, or two to compare.
        photo: (H, W, 3) photograph, or None.
        info: Type and colour space of `photo`, or None.
        truth: (H, W) float32 alpha, or None.
        table: Shown below it.
        frame: Number of a clip's frame, or None.
    """

    title: str
    sides: tuple[Side, ...]
    photo: Array | None = None
    info: PictureInfo | None = None
    truth: npt.NDArray[np.float32] | None = None
    table: Table = field(default_factory=list)
    frame: int | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(H, W) in pixels."""
        height, width = self.sides[0].alpha.shape
        return height, width


@dataclass(frozen=True)
class ClipFigures:
    """Figures along a clip.

    Attributes:
        numbers: Of the frames.
        series: A value for every frame, by title.
        cuts: Numbers of the frames at which a new shot begins.
        doubtful, lost: Numbers of the frames whose propagated mask is doubtful, and of those without the subject.
        best: Number of the frame on which a hint would help most, or None.
        thumbnails: Number of a frame → its small copy over a colour as a data URL, see `encode.encode_thumbnail`.
    """

    numbers: list[int]
    series: dict[str, list[float]]
    cuts: list[int] = field(default_factory=list)
    doubtful: list[int] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    best: int | None = None
    thumbnails: dict[int, str] = field(default_factory=dict)


def make_exhibit(matte: StillResult, title: str, table: list[tuple[str, str]]) -> Exhibit:
    """Make an exhibit of one matte.

    Args:
        matte: A result of the pipeline.
        title: Shown above it, like the photograph's name.
        table: Names and values shown below it.
    """
    info = matte.picture.info
    side = Side("uhrmat", matte.alpha, matte.foreground, matte.active, info)
    rows = [["", "value"], *([name, value] for name, value in table)]
    return Exhibit(title=title, sides=(side,), photo=matte.picture.pixels, info=info, table=rows)


def read_side(content: str, picture: Picture, premultiplied: bool | None = None) -> Side:
    """Make a side from a picture that uhrmat wrote.

    Args:
        content: "alpha", else colours with or without an alpha.
        picture: As read.
        premultiplied: Whether the colours are multiplied by alpha; None takes what the file states.
    """
    if content == "alpha":
        return Side("uhrmat", as_unit(picture.pixels[..., 1]).clip(0, 1))
    if picture.alpha is None:
        return Side(content, np.ones(picture.pixels.shape[:2], np.float32), picture.pixels, info=picture.info)
    alpha = as_unit(picture.alpha).clip(0, 1)
    divide = picture.info.premultiplied if premultiplied is None else premultiplied
    return Side("uhrmat", alpha, unpremultiply(picture.pixels, alpha) if divide else picture.pixels, info=picture.info)


def unpremultiply(pixels: Array, alpha: Array) -> Array:
    """Divide premultiplied colours (H, W, 3) by alpha (H, W) in [0, 1]; the type stays."""
    straight = pixels / np.maximum(alpha, np.float32(1e-3))[..., None]
    if pixels.dtype.kind == "f":
        return np.asarray(straight)
    return np.rint(straight).clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
