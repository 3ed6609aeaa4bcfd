"""OpenEXR, by the Academy's own package `OpenEXR` (wheels since 3.3): cv2's PyPI build has no EXR at all, imageio's
reader comes with FreeImage and its unmaintained codecs. Scene-linear, Rec. 709 primaries assumed, ZIP by default.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.errors import InputError
from uhrmat.media.files import PathLike, atomic
from uhrmat.media.picture import check_finite
from uhrmat.media.source import Array, Decoded, Source, damaged, unsupported

ALPHA_ATTRIBUTE = "uhrmat:alpha"
_HALF = 1


def open_exr_source(path: Path) -> Source:
    """Header of an EXR's first part: R, G, B or Y, and A if it is there; half or float."""
    header, kinds = _header(path)
    names = _channel_names(path, set(kinds))
    low, high = (np.asarray(corner, np.int64) for corner in header["displayWindow"])
    width, height = (int(n) for n in high - low + 1)
    depth = 16 if all(kinds[name] == _HALF for name in names) else 32
    decode = partial(_decode, path, names, "A" in kinds)
    return Source(width, height, "float32", depth, "A" in kinds, decode, linear=True)


def _header(path: Path) -> tuple[dict[str, Any], dict[str, int]]:
    """The first part's attributes, and its channels' types: 0 integer, 1 half, 2 float."""
    import OpenEXR

    try:
        with OpenEXR.File(str(path), header_only=True) as file:
            return dict(file.header()), _channel_types(path)
    except Exception as error:  # the binding raises whatever the C++ library threw, RuntimeError in most cases
        raise damaged(path, "EXR") from error


def _channel_types(path: Path) -> dict[str, int]:
    """Straight from the file's `chlist` attribute: the binding tells types only after reading every pixel."""
    with open(path, "rb") as file:
        head = file.read(1 << 16)
    position = head.index(b"channels\x00chlist\x00") + len(b"channels\x00chlist\x00") + 4
    types: dict[str, int] = {}
    while head[position]:
        end = head.index(b"\x00", position)
        types[head[position:end].decode()] = int.from_bytes(head[end + 1 : end + 5], "little")
        position = end + 17
    return types


def _channel_names(path: Path, present: set[str]) -> tuple[str, ...]:
    if {"R", "G", "B"} <= present:
        return ("R", "G", "B")
    if "Y" in present and not {"RY", "BY"} & present:
        return ("Y",)
    if present == {"A"}:
        return ("A",)
    listed = ", ".join(sorted(present)[:8])
    raise InputError(
        f"'{path}' has the channels {listed}, but R, G, B or Y are needed.", "Export the layer as plain RGB or RGBA."
    )


def _decode(path: Path, names: tuple[str, ...], has_alpha: bool) -> Decoded:
    import OpenEXR

    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            header, planes = file.header(), file.channels()
            window = header["dataWindow"], header["displayWindow"]
            wanted = [_placed(planes[name].pixels, *window) for name in names]
            alpha = _placed(planes["A"].pixels, *window) if has_alpha else None
    except Exception as error:  # as above
        raise damaged(path, "EXR") from error
    if any(plane.dtype.kind != "f" for plane in wanted):
        raise unsupported(path, "an EXR of integer channels")
    colour = np.empty((*wanted[0].shape, len(wanted)), np.float32)
    for index, plane in enumerate(wanted):
        colour[..., index] = plane
    check_finite(colour, f"'{path}'")
    if alpha is not None:
        alpha = alpha.astype(np.float32)
        check_finite(alpha, f"'{path}'")
    return (colour[..., 0] if len(wanted) == 1 else colour), alpha


def _placed(plane: Array, data: Any, display: Any) -> Array:
    """A channel cut or padded with zeros from its data window to the display window, which is the picture."""
    (dx, dy), (ox, oy) = np.asarray(data[0], np.int64), np.asarray(display[0], np.int64)
    width, height = (int(n) for n in np.asarray(display[1], np.int64) - display[0] + 1)
    if (dx, dy) == (ox, oy) and plane.shape == (height, width):
        return plane
    out = np.zeros((height, width), plane.dtype)
    y0, x0 = max(dy, oy), max(dx, ox)
    y1, x1 = min(dy + plane.shape[0], oy + height), min(dx + plane.shape[1], ox + width)
    if y1 > y0 and x1 > x0:
        out[y0 - oy : y1 - oy, x0 - ox : x1 - ox] = plane[y0 - dy : y1 - dy, x0 - dx : x1 - dx]
    return out


def write_exr(path: PathLike, pixels: Array, attributes: dict[str, str] | None = None) -> None:
    """Write float16 or float32 (H, W) as `Y`, (H, W, 3) as `RGB` or (H, W, 4) as `RGBA`; ZIP, atomic."""
    import OpenEXR

    name = {2: "Y"}.get(pixels.ndim) or {3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage, **(attributes or {})}
    with atomic(path) as temporary:
        try:
            with OpenEXR.File(header, {name: np.ascontiguousarray(pixels)}) as file:
                file.write(str(temporary))
        except RuntimeError as error:
            raise OSError(str(error)) from error
