"""Pictures as data URLs: a small copy of each layer, and its full resolution in tiles that are decoded when shown.

A layer is `{"small": URL, "tiles": {"x,y": URL or number}}`, x and y counting tiles. A number stands for a tile
that is 0 or 255 everywhere; a tile that is missing is not stored: where alpha is 0 no colour is visible. Colours are
JPEG (quality 90, no subsampling), which is written and opened several times faster than WebP; alphas are PNG, exact.
The `data` layer of a matte holds alpha in red and active pixels in green.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from uhrmat.media import PictureInfo
from uhrmat.media.display import Screen, downsample_colour, fit_size
from uhrmat.media.resample import downsample
from uhrmat.report.detail_crops import detail_crops
from uhrmat.report.page.exhibit import Array, Exhibit, Side

TILE, SMALL, PLACE = 512, 1600, 900
"""Pixels: side of a tile, longer side of the small copy, largest side of a detail crop."""
THUMBNAIL = 160
"""Pixels: longer side of a thumbnail."""
BACKDROP = (192, 48, 112)
"""Colour behind the matte of a thumbnail, in sRGB: one that skin, hair, leaves and sky do not have."""
Bytes = npt.NDArray[np.uint8]
Layer = dict[str, Any]


def encode(exhibit: Exhibit, *, whole: bool = True, detail: bool = True) -> dict[str, Any]:
    """Encode an exhibit for the page's script.

    Args:
        exhibit: Photograph and mattes.
        whole: Whether all tiles are stored at full resolution, else only those with fractional alpha; the rest is then
            shown from the small copy, which keeps pages with many pictures small.
        detail: Whether any tile is stored, if not `whole`.

    Returns:
        Plain data for JSON.
    """
    height, width = exhibit.size
    size = fit_size(height, width, SMALL)
    place = min(PLACE, -(-height // 3)), min(PLACE, -(-width // 3))
    tiles = [] if size == (height, width) else list(_tiles(height, width))
    if not (whole and detail):
        tiles = [
            tile for tile in tiles if detail and any(_is_fractional(side.alpha[tile[1]]) for side in exhibit.sides)
        ]
    return {
        "title": exhibit.title, "frame": exhibit.frame, "width": width, "height": height, "tile": TILE,
        "small": [size[1], size[0]], "focus": _focus(exhibit.sides[0].alpha),
        "photo": _colours(exhibit.photo, exhibit.info, size, tiles),
        "truth": None if exhibit.truth is None else _layer(
            _png(_grey(downsample(exhibit.truth, size))), tiles, _cut(exhibit.truth, lambda part: _plain(_grey(part)))
        ),
        "sides": [_side(side, size, tiles, exhibit.photo is not None) for side in exhibit.sides],
        "places": [[p.left, p.top, p.width, p.height] for p in detail_crops(exhibit.sides[0].alpha, place)],
        "table": exhibit.table,
    }  # fmt: skip


def encode_thumbnail(exhibit: Exhibit, side: int = THUMBNAIL) -> str:
    """The first matte of an exhibit over `BACKDROP`, its longer side `side` pixels, as a data URL."""
    matte = exhibit.sides[0]
    size = fit_size(*exhibit.size, side)
    alpha = downsample(matte.alpha, size).astype(np.float32)[..., None]
    if matte.colour is not None and matte.info is not None:
        colour = Screen(matte.info)(downsample_colour(matte.colour, matte.alpha, size))
    elif exhibit.photo is not None and exhibit.info is not None:
        colour = Screen(exhibit.info)(downsample(exhibit.photo, size))
    else:
        colour = np.full((*size, 3), 255, np.uint8)
    over = alpha * colour + (1 - alpha) * np.array(BACKDROP, np.float32)
    return _jpeg(np.rint(over.clip(0, 255)).astype(np.uint8), quality=80)


def _focus(alpha: Array) -> float:
    """Column with half of the alpha on its left, as a share of the width; 0.5 where alpha is 0."""
    step = max(1, alpha.shape[0] // 1000)
    passed = np.cumsum(alpha[::step].sum(axis=0, dtype=np.float64))
    return 0.5 if not passed[-1] else round(float(np.searchsorted(passed, passed[-1] / 2) + 0.5) / passed.size, 4)


Tile = tuple[str, tuple[slice, slice]]
Encoded = str | int | None


def _tiles(height: int, width: int) -> Iterator[Tile]:
    for y in range(0, height, TILE):
        for x in range(0, width, TILE):
            yield f"{x // TILE},{y // TILE}", (slice(y, min(y + TILE, height)), slice(x, min(x + TILE, width)))


def _is_fractional(alpha: Array) -> bool:
    return bool(((alpha > 0) & (alpha < 1)).any())


def _layer(small: str, tiles: list[Tile], one: Callable[[tuple[slice, slice]], Encoded]) -> Layer:
    encoded = {key: one(part) for key, part in tiles}
    return {"small": small, "tiles": {key: value for key, value in encoded.items() if value is not None}}


def _cut(array: Array, encoder: Callable[[Array], Encoded]) -> Callable[[tuple[slice, slice]], Encoded]:
    return lambda part: encoder(array[part])


def _colours(pixels: Array | None, info: PictureInfo | None, size: tuple[int, int], tiles: list[Tile]) -> Layer | None:
    if pixels is None or info is None:
        return None
    screen = Screen(info)
    return _layer(_jpeg(screen(downsample(pixels, size))), tiles, _cut(pixels, lambda part: _jpeg(screen(part))))


def _side(side: Side, size: tuple[int, int], tiles: list[Tile], has_photo: bool) -> dict[str, Any]:
    height, width = side.alpha.shape
    active = np.zeros((height, width), np.uint8) if side.active is None else side.active.view(np.uint8) * np.uint8(255)
    small = np.stack([_grey(downsample(side.alpha, size)), downsample(active, size), np.zeros(size, np.uint8)], axis=2)
    data = _layer(_png(small), tiles, lambda part: _packed(_grey(side.alpha[part]), active[part]))
    colour = None
    if side.colour is not None and side.info is not None:
        pixels, screen = side.colour, Screen(side.info)
        visible = _Visible(side.alpha, has_photo)
        colour = _layer(
            _jpeg(screen(downsample_colour(pixels, side.alpha, size))),
            tiles,
            lambda part: _jpeg(screen(pixels[part])) if visible(part) else None,
        )
    return {"name": side.name, "data": data, "colour": colour, "active": side.active is not None}


class _Visible:
    """Whether a tile's own colours are needed: not where alpha is 0, nor where it is 1 over the same photograph."""

    def __init__(self, alpha: Array, has_photo: bool) -> None:
        self._alpha, self._has_photo = alpha, has_photo

    def __call__(self, part: tuple[slice, slice]) -> bool:
        alpha = self._alpha[part]
        return bool(alpha.any()) and not (self._has_photo and bool((alpha >= 1).all()))


def _packed(alpha: Bytes, active: Bytes) -> Encoded:
    """Alpha and active pixels as one PNG, or the number if alpha is 0 or 255 all over and nothing active."""
    single = alpha[0, 0]
    if single in (0, 255) and (alpha == single).all() and not active.any():
        return int(single)
    return _png(np.stack([alpha, active, np.zeros_like(alpha)], axis=2))


def _plain(alpha: Bytes) -> Encoded:
    single = alpha[0, 0]
    return int(single) if single in (0, 255) and (alpha == single).all() else _png(alpha)


def _grey(alpha: Array) -> Bytes:
    return np.rint(alpha.clip(0, 1) * np.float32(255)).astype(np.uint8)


def _png(pixels: Bytes) -> str:
    """(h, w) or (h, w, 3) RGB."""
    import cv2

    return _data_url("png", cv2.imencode(".png", _bgr(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 3])[1])


def _jpeg(pixels: Bytes, quality: int = 90) -> str:
    import cv2

    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _data_url("jpeg", cv2.imencode(".jpg", _bgr(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling])[1])


def _bgr(pixels: Bytes) -> Bytes:
    return np.ascontiguousarray(pixels[..., ::-1]) if pixels.ndim == 3 else pixels


def _data_url(kind: str, encoded: Bytes) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(encoded.tobytes()).decode('ascii')}"
