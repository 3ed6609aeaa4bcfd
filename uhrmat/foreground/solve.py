"""The colour of the foreground without the background's, solved only in the band where alpha is fractional.

A pixel shows I = αF + (1 − α)B: three equations, six unknowns. As in Germer, Uelwer, Conrad, Harmeling, "Fast
Multi-Level Foreground Estimation", ICPR 2020 (https://arxiv.org/abs/2006.14970), F and B are solved from a tiny
picture to the full one, each level starting from the one below. As in Forte, "Approximate Fast Foreground Colour
Estimation", ICIP 2021 (blur-fusion, https://doi.org/10.1109/ICIP42928.2021.9506164), a level is smoothed by a box
blur weighted with α and 1 − α, and what is then left of I is shared out between F and B:

    r = I − αF − (1 − α)B,    F += α r / (α² + (1 − α)² + λ),    B += (1 − α) r / (α² + (1 − α)² + λ)

λ is the camera's noise and texture that F and B do not predict. Small levels are solved whole; finer ones only in
blocks that meet the band, with halos wide enough that the blocks' grid makes no difference. So time and memory follow
the band, and no float copy of the picture is made.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from uhrmat.core.errors import InputError
from uhrmat.media.resample import downsample, halve

Floats = NDArray[np.float32]
Array = NDArray[Any]
Box = tuple[int, int, int, int]  # y0, y1, x0, x1

_TOPS = {"uint8": 255.0, "uint16": 65535.0, "float32": 1.0}


@dataclass(frozen=True, kw_only=True)
class ForegroundParams:
    """Parameters of the foreground's colour. All may be changed. Not tuned by a command.

    Attributes:
        noise: λ above: a larger one smooths colours more and leaves more of the residual. Relative to α² + (1 − α)².
        blur: side of the box blur, pixels of each level, odd.
        floor: weight of a colour where its layer is invisible, so that it still spreads there; positive.
        whole_pixels: levels of up to so many pixels are solved whole, finer ones in blocks. Changes memory, and colours
            a little.
        passes: most passes over a level that is solved whole: far colours reach across wide bands.
        pass_pixels: passes times the longer side of such a level, pixels: fewer passes where they cost more.
    """

    noise: float = 0.03
    blur: int = 5
    floor: float = 1e-3
    whole_pixels: int = 1 << 18
    passes: int = 20
    pass_pixels: int = 1536


FOREGROUND_DEFAULTS = ForegroundParams()


def estimate_foreground(
    pixels: Array,
    alpha: Floats,
    active: NDArray[np.bool_] | None = None,
    *,
    spread: int = 8,
    tile: int = 0,
    threads: int | None = None,
    params: ForegroundParams = FOREGROUND_DEFAULTS,
) -> Array:
    """Straight (unpremultiplied) colour of the foreground.

    Args:
        pixels: (H, W, 3) uint8, uint16 or float32, in any colour space.
        alpha: (H, W) float32 in [0, 1].
        active: (H, W) bool, pixels that get a colour even where alpha is 0.
        spread: pixels around fractional alpha that get a colour, so that a compositor that interpolates straight colour
            finds no foreign colour beside the edge.
        tile: side of the blocks, pixels; 0 for one chosen by size. Changes speed, not colours.
        threads: None for one per core.
        params: of the solution.

    Returns:
        (H, W, 3) in the dtype of `pixels`: the picture's own colour, bit by bit, where alpha is 1 to the precision of
        the dtype; the estimate where alpha is between 0 and 1, within `spread` of that or in `active`; 0 elsewhere,
        which holds nothing of the background and compresses well.

    Raises:
        InputError: shapes or dtypes do not fit together.
    """
    _check(pixels, alpha, active)
    out = np.zeros(pixels.shape, pixels.dtype)
    half_step = 0.5 / (255.0 if pixels.dtype == np.uint8 else 65535.0)
    solid = cv2.inRange(alpha, 1.0 - half_step, np.inf)
    cv2.copyTo(pixels, solid, out)
    band = _band(alpha, solid, active, half_step, spread)
    if not band.any():
        return out
    solver = _prepare(pixels, alpha, params)
    step = solver.factor
    side = -(-(tile or max(128, 16 * step)) // step) * step

    def paint(box: Box) -> None:
        y0, y1, x0, x1 = box
        _store(out[y0:y1, x0:x1], solver.block(box), band[y0:y1, x0:x1])

    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        for _ in pool.map(paint, _blocks(band, side, step)):
            pass
    return out


def _check(pixels: Array, alpha: Floats, active: NDArray[np.bool_] | None) -> None:
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.size == 0 or pixels.dtype.name not in _TOPS:
        raise InputError(
            f"The picture is an array {pixels.shape} of {pixels.dtype}, not (H, W, 3) of uint8, uint16 or float32.",
            "Convert it to RGB in one of these types.",
        )
    for name, other in (("alpha", alpha), ("active mask", active)):
        if other is not None and other.shape != pixels.shape[:2]:
            sizes = f"The {name} is {other.shape}, the picture {pixels.shape[:2]}."
            raise InputError(sizes, "Both need the same size.")


def _band(
    alpha: Floats, solid: NDArray[np.uint8], active: NDArray[np.bool_] | None, half_step: float, spread: int
) -> NDArray[np.uint8]:
    """Pixels whose colour is estimated: 255 where alpha is fractional, dilated by `spread`, without the solid ones."""
    band = cv2.inRange(alpha, half_step, 1.0)
    cv2.bitwise_and(band, cv2.bitwise_not(solid), dst=band)
    if spread:
        cv2.dilate(band, np.ones((2 * spread + 1, 2 * spread + 1), np.uint8), dst=band)
    if active is not None:
        cv2.bitwise_or(band, np.ascontiguousarray(active).view(np.uint8) * np.uint8(255), dst=band)
    band[solid > 0] = 0
    return np.asarray(band)


def _blocks(band: NDArray[np.uint8], side: int, step: int) -> Iterator[Box]:
    """Boxes on a grid of `side` pixels that hold all of the band, each cut down to it in multiples of `step`."""
    height, width = band.shape
    for y in range(0, height, side):
        row = band[y : y + side]
        if not row.any():
            continue
        for x in range(0, width, side):
            cell = row[:, x : x + side]
            rows, columns = np.flatnonzero(cell.any(1)), np.flatnonzero(cell.any(0))
            if rows.size:
                y0, x0 = y + rows[0] // step * step, x + columns[0] // step * step
                yield int(y0), int(y + rows[-1] + 1), int(x0), int(x + columns[-1] + 1)


def _store(out: Array, planes: Floats, band: NDArray[np.uint8]) -> None:
    colours = cv2.merge([planes[0], planes[1], planes[2]])
    if out.dtype != np.float32:
        colours = np.rint(colours, out=colours)
    np.copyto(out, colours.astype(out.dtype, copy=False), where=band[..., None] > 0)


@dataclass(frozen=True, kw_only=True)
class Solution:
    """The levels by which a picture is solved.

    Attributes:
        levels: Number of levels that are finer than the one that is solved whole.
        params: Of the solution.
    """

    levels: int
    params: ForegroundParams

    @classmethod
    def plan(cls, size: tuple[int, int], params: ForegroundParams) -> Solution:
        """The levels of a picture of (H, W) pixels."""
        levels = 0
        while (-(-size[0] >> levels)) * (-(-size[1] >> levels)) > params.whole_pixels:
            levels += 1
        return cls(levels=levels, params=params)

    @property
    def factor(self) -> int:
        """Pixels of the picture per side of a pixel of the coarsest level."""
        return int(2**self.levels)

    def halo(self, level: int) -> int:
        """Pixels around a block that a level needs: after blur and enlarging the next is right in its own halo."""
        blur = self.params.blur
        return min(2 * level + blur // 2, blur + 1)


@dataclass(frozen=True, kw_only=True)
class _Solver(Solution):
    """F and B of the coarsest level, and how any block of the full picture is solved from them.

    Colours are (2, 3, h, w) float32, F before B, in the units of the picture and at most `top`; alphas (h, w).
    """

    pixels: Array
    alpha: Floats
    top: float
    colours: Floats
    coarse_alpha: Floats

    def block(self, box: Box) -> Floats:
        """F (3, y1 − y0, x1 − x0) of the box, whose y0 and x0 are multiples of `factor`."""
        y0, y1, x0, x1 = box
        colours, alpha = self._start(box)
        images = self._images(box)
        for level in range(self.levels - 1, -1, -1):
            image, finer = images[level]
            colours = _enlarge(colours, alpha, 2 * alpha.shape[0], 2 * alpha.shape[1], self.params.floor)
            cut = 2 * self.halo(level + 1) - self.halo(level)
            colours = colours[:, :, cut : cut + finer.shape[0], cut : cut + finer.shape[1]]
            colours, alpha = _fuse(image, finer, colours, self.top, self.params), finer
        edge = self.halo(0)
        return colours[0, :, edge : edge + y1 - y0, edge : edge + x1 - x0]

    def _start(self, box: Box) -> tuple[Floats, Floats]:
        """Colours and alpha of the small copy under the box and its halo, repeated at the picture's border."""
        y0, y1, x0, x1 = box
        halo, step = self.halo(self.levels), self.factor
        height, width = self.coarse_alpha.shape
        rows = np.arange(y0 // step - halo, -(-y1 // step) + halo).clip(0, height - 1)[:, None]
        columns = np.arange(x0 // step - halo, -(-x1 // step) + halo).clip(0, width - 1)
        return self.colours[:, :, rows, columns], self.coarse_alpha[rows, columns]

    def _images(self, box: Box) -> list[tuple[Floats, Floats]]:
        """Picture (3, h, w) and alpha (h, w) of the box with its halo at each finer level, finest first."""
        if not self.levels:
            return []
        y0, y1, x0, x1 = box
        step, top_level = self.factor, self.levels - 1
        reach = self.halo(top_level) << top_level
        crop = (y0 - reach, -(-y1 // step) * step + reach, x0 - reach, -(-x1 // step) * step + reach)
        image, alpha = _planes(_crop(self.pixels, crop)), _crop(self.alpha, crop)
        images = []
        for level in range(self.levels):
            cut = (reach >> level) - self.halo(level)
            inner = slice(cut, -cut or None)
            images.append((image[:, inner, inner], alpha[inner, inner]))
            if level < top_level:
                image, alpha = _halve(image), _halve(alpha[None])[0]
        return images


def _prepare(pixels: Array, alpha: Floats, params: ForegroundParams) -> _Solver:
    levels = Solution.plan((alpha.shape[0], alpha.shape[1]), params).levels
    top = _TOPS[pixels.dtype.name]
    if pixels.dtype == np.float32:
        top = max(top, float(pixels.max()))  # highlights of scene-linear pictures
    image = _planes(_shrink(pixels, levels))
    coarse = _shrink(alpha, levels)
    return _Solver(
        pixels=pixels, alpha=alpha, top=top, levels=levels, colours=_whole(image, coarse, top, params),
        coarse_alpha=coarse, params=params,
    )  # fmt: skip


def _shrink(array: Array, levels: int) -> Array:
    """Area average by exactly 2^levels; the last rows and columns are repeated up to a multiple of that."""
    step = 1 << levels
    height, width = array.shape[:2]
    rows, columns = -(-height // step), -(-width // step)
    shrunk = np.empty((rows, columns, *array.shape[2:]), array.dtype)
    for row in range(0, rows, 64):
        end = min(rows, row + 64)
        strip = _crop(array, (row * step, end * step, 0, columns * step))
        shrunk[row:end] = downsample(strip, (end - row, columns))
    return shrunk


def _crop(array: Array, box: Box) -> Array:
    """The box of an array, repeated beyond its border."""
    (y0, y1, x0, x1), (height, width) = box, array.shape[:2]
    inside = array[max(y0, 0) : y1, max(x0, 0) : x1]
    outside = (max(-y0, 0), max(y1 - height, 0), max(-x0, 0), max(x1 - width, 0))
    return cv2.copyMakeBorder(inside, *outside, cv2.BORDER_REPLICATE) if any(outside) else inside


def _planes(pixels: Array) -> Floats:
    """(h, w, 3) of any dtype as float32 (3, h, w), in the same units."""
    return np.stack([plane.astype(np.float32, copy=False) for plane in cv2.split(pixels)])


def _whole(image: Floats, alpha: Floats, top: float, params: ForegroundParams) -> Floats:
    """F and B of a small picture, from a handful of pixels upwards."""
    height, width = alpha.shape
    if max(height, width) <= 4:
        weights = _weights(alpha, params.floor)[:, None]
        means = (image * weights).sum((2, 3), keepdims=True) / weights.sum((2, 3), keepdims=True)
        colours = np.broadcast_to(means, (2, *image.shape))
    else:
        smaller = _halve(alpha[None])[0]
        coarse = _whole(_halve(image), smaller, top, params)
        colours = _enlarge(coarse, smaller, height, width, params.floor)
    for _ in range(max(1, min(params.passes, params.pass_pixels // max(height, width)))):
        colours = _fuse(image, alpha, colours, top, params)
    return colours


def _weights(alpha: Floats, floor: float) -> Floats:
    """(2, h, w): weights of the foreground's and the background's colour."""
    return np.stack([alpha + floor, (1.0 + floor) - alpha])


def _each_plane(planes: Floats, function: Callable[[Floats], Floats]) -> Floats:
    """`function` on every (h, w) of (..., h, w); planes, because OpenCV and NumPy are both fastest on them."""
    flat = planes.reshape(-1, *planes.shape[-2:])
    done = np.stack([function(plane) for plane in flat])
    return done.reshape(*planes.shape[:-2], *done.shape[-2:])


def _halve(planes: Floats) -> Floats:
    return _each_plane(planes, halve)


def _enlarge(colours: Floats, alpha: Floats, height: int, width: int, floor: float) -> Floats:
    """Colours bilinearly at (height, width), weighted so that a layer's visible pixels decide."""
    weights = _weights(alpha, floor)
    grown, sums = (
        _each_plane(planes, lambda plane: cv2.resize(plane, (width, height), interpolation=cv2.INTER_LINEAR))
        for planes in (colours * weights[:, None], weights)
    )
    grown /= sums[:, None]
    return grown


def _fuse(image: Floats, alpha: Floats, colours: Floats, top: float, params: ForegroundParams) -> Floats:
    """One level: the picture's share, the weighted blur, the picture's share again. All (…, h, w)."""
    layers = np.stack([alpha, 1.0 - alpha])[:, None]
    gains = layers / (np.square(layers).sum(0) + params.noise)
    colours = _share(image, layers, gains, colours, top)
    weights, side = _weights(alpha, params.floor), (params.blur, params.blur)
    blurred, sums = (
        _each_plane(planes, lambda plane: cv2.blur(plane, side, borderType=cv2.BORDER_REPLICATE))
        for planes in (colours * weights[:, None], weights)
    )
    blurred /= sums[:, None]
    return _share(image, layers, gains, blurred, top)


def _share(image: Floats, layers: Floats, gains: Floats, colours: Floats, top: float) -> Floats:
    """Colours with the residual of the picture shared out between the layers."""
    shown = colours * layers
    residual = image - shown[0]
    residual -= shown[1]
    shared = np.multiply(gains, residual, out=shown)
    shared += colours
    return np.asarray(np.clip(shared, 0.0, top, out=shared))
