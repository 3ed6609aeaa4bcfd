"""Reading and writing OpenEXR by the package `OpenEXR`: scene-linear, ZIP, with windows, aspect and chromaticities.

The package is the Academy's own (wheels since 3.3): cv2's PyPI build has no EXR, and imageio's reader needs FreeImage
and its unmaintained codecs.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.core.files import PathLike, atomic_write
from uhrmat.media.decoder_output import capture_decoder_output
from uhrmat.media.exr_header import FLOAT, HALF, Header, Window, read_header, size_of
from uhrmat.media.icc import Chromaticities
from uhrmat.media.names import readable_name, writable_name
from uhrmat.media.picture import ExrFrame, check_finite
from uhrmat.media.source import Array, Decoded, DecodedHeader, damaged_error, unsupported_error

ALPHA_ATTRIBUTE = "uhrmat:alpha"


def open_exr_source(path: Path, overscan: bool = False) -> DecodedHeader:
    """Read the header of an EXR's first part.

    Args:
        path: A file with channels R, G, B or Y, with or without A, half or float.
        overscan: Include the pixels of the data window beyond the display window.

    Raises:
        InputError: The file is damaged, or of a kind that is not read.
    """
    header = read_header(path, ALPHA_ATTRIBUTE)
    names = _channel_names(path, set(header.channels))
    if any(header.channels[name] not in (HALF, FLOAT) for name in (*names, *(["A"] if "A" in header.channels else []))):
        raise unsupported_error(path, "an EXR of integer channels")
    frame = ExrFrame(header.display, _picture_window(header, overscan), header.pixel_aspect)
    width, height = size_of(frame.data)
    has_alpha = "A" in header.channels
    depth = 16 if all(header.channels[name] == HALF for name in names) else 32
    decoded = 4 * width * height * (len(names) + has_alpha)
    return DecodedHeader(
        width=width,
        height=height,
        dtype="float32",
        bit_depth=depth,
        has_alpha=has_alpha,
        decode=partial(_decode, path, names, has_alpha, header.data, frame.data),
        linear=True,
        premultiplied=has_alpha and header.alpha_meaning != "straight",
        chromaticities=header.chromaticities,
        exr=frame,
        stored_pixels=prod(size_of(header.data)),
        decode_bytes=header.stored_bytes + decoded,
    )


def _picture_window(header: Header, overscan: bool) -> Window:
    """The window that the picture covers: the display window, with overscan extended to the data window."""
    (left, top, right, bottom), data = header.display, header.data
    if not overscan:
        return header.display
    return min(left, data[0]), min(top, data[1]), max(right, data[2]), max(bottom, data[3])


def _channel_names(path: Path, present: set[str]) -> tuple[str, ...]:
    """The channels of the picture's colour: R, G, B, or Y, or A of a file that has nothing else."""
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


def _decode(path: Path, names: tuple[str, ...], has_alpha: bool, data: Window, covered: Window) -> Decoded:
    import OpenEXR

    try:
        with (
            capture_decoder_output(),
            readable_name(path) as name,
            OpenEXR.File(name or str(path), separate_channels=True) as file,
        ):
            planes = file.channels()
            colours = [_place(planes[name].pixels, data, covered) for name in names]
            alpha = _place(planes["A"].pixels, data, covered) if has_alpha else None
    except Exception as error:  # the binding raises whatever the C++ library threw, RuntimeError in most cases
        raise damaged_error(path, "EXR") from error
    colour = np.empty((*colours[0].shape, len(colours)), np.float32)
    for index, plane in enumerate(colours):
        colour[..., index] = plane
    check_finite(colour, f"'{path}'")
    if alpha is not None:
        alpha = alpha.astype(np.float32)
        check_finite(alpha, f"'{path}'")
    return (colour[..., 0] if len(colours) == 1 else colour), alpha


def _place(plane: Array, data: Window, covered: Window) -> Array:
    """A channel cut or padded with zeros from its data window to the window that the picture covers."""
    if plane.shape != size_of(data)[::-1]:
        raise ValueError(f"a channel of {plane.shape} in a data window of {size_of(data)}")
    if data == covered:
        return plane
    width, height = size_of(covered)
    out = np.zeros((height, width), plane.dtype)
    x0, y0 = max(data[0], covered[0]), max(data[1], covered[1])
    x1, y1 = min(data[2], covered[2]) + 1, min(data[3], covered[3]) + 1
    if y1 > y0 and x1 > x0:
        inside = plane[y0 - data[1] : y1 - data[1], x0 - data[0] : x1 - data[0]]
        out[y0 - covered[1] : y1 - covered[1], x0 - covered[0] : x1 - covered[0]] = inside
    return out


def write_exr(
    path: PathLike,
    pixels: Array,
    attributes: Mapping[str, str] | None = None,
    frame: ExrFrame | None = None,
    chromaticities: Chromaticities | None = None,
) -> None:
    """Write an EXR file, compressed by ZIP, atomically.

    Args:
        path: The file.
        pixels: float16 or float32, (H, W) as `Y`, (H, W, 3) as `RGB` or (H, W, 4) as `RGBA`.
        attributes: Text attributes of the header.
        frame: Windows and pixel aspect. Windows are written only if `pixels` have the size of its data window.
        chromaticities: Of the colours; None: those of Rec. 709.

    Raises:
        OutputError: The file cannot be written.
    """
    import OpenEXR

    name = {2: "Y"}.get(pixels.ndim) or {3: "RGB", 4: "RGBA"}[pixels.shape[2]]
    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    header |= attributes or {}
    if frame is not None and size_of(frame.data) == (pixels.shape[1], pixels.shape[0]):
        header |= {"dataWindow": _box(frame.data), "displayWindow": _box(frame.display)}
    if frame is not None:
        header["pixelAspectRatio"] = frame.pixel_aspect
    if chromaticities is not None:
        header["chromaticities"] = chromaticities
    with atomic_write(path) as temporary:
        try:
            with writable_name(temporary) as place, OpenEXR.File(header, {name: np.ascontiguousarray(pixels)}) as file:
                file.write(place)
        except RuntimeError as error:
            raise OSError(str(error)) from error


def _box(window: Window) -> tuple[Array, Array]:
    return np.array(window[:2], np.int32), np.array(window[2:], np.int32)
