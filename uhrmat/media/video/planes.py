"""Between PyAV's frames and arrays: planes as they are, chroma brought to full size, no colour decided by anybody else.

Chroma is up-sampled by swscale (bicubic, at the siting the decoder states; VP9's states none and is taken as centred,
a quarter of a pixel off for streams that are not) and down-sampled here with [1 2 1] / 4
across and [1 1] / 2 down: the left siting that H.264, HEVC, VP9 and MPEG-2 decoders assume. Interlaced frames of half
the chroma's height are taken field by field (see `fields`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.media.video.colour import codes_to_rgb, grey_values, rgb_to_codes
from uhrmat.media.video.fields import full_chroma_by_field, halve_by_field
from uhrmat.media.video.types import UNSPECIFIED, Array, ColourTags, FloatArray

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av import VideoFrame

_TOP = {8: 255.0, 10: 1023.0, 12: 4095.0, 16: 65535.0}


def depth_of(pixel_format: Any) -> int:
    """8, 10, 12 or 16: the depth a `VideoFormat` is worked at."""
    bits = max((c.bits for c in pixel_format.components), default=8)
    return next((b for b in (8, 10, 12, 16) if b >= bits), 16)


def has_alpha(pixel_format: Any) -> bool:
    """Whether a `VideoFormat` has an alpha channel."""
    return any(c.is_alpha for c in pixel_format.components)


def view(frame: VideoFrame, index: int, bits: int, channels: int = 1) -> Array:
    """Plane `index` of a planar frame as a writable (h, w) view, (h, w, channels) for a packed one."""
    plane = frame.planes[index]
    dtype = np.dtype(np.uint8 if bits == 8 else "<u2")
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height]
    flat = rows[:, : plane.width * channels * dtype.itemsize].view(dtype)
    return flat if channels == 1 else flat.reshape(plane.height, plane.width, channels)


def to_rgb(frame: VideoFrame, tags: ColourTags) -> tuple[Array, Array | None]:
    """RGB (H, W, 3) and alpha (H, W) or None: uint8 from 8-bit frames, else uint16 at full scale, rounded."""
    import cv2

    bits = depth_of(frame.format)
    planar = _full_chroma(frame, bits)
    planes = [view(planar, i, bits) for i in range(len(planar.planes))]
    out = 255.0 if bits == 8 else 65535.0
    alpha = _stretch(planes.pop(), out / _TOP[bits], 0.0) if len(planes) in (2, 4) else None
    if len(planes) == 1:
        grey = _stretch(planes[0], *grey_values(tags.range, bits, out))
        return np.asarray(cv2.merge([grey] * 3)), alpha
    if planar.format.name.startswith("gbr"):
        rgb = cv2.merge([planes[2], planes[0], planes[1]])
        return _stretch(rgb, out / _TOP[bits], 0.0), alpha
    return np.asarray(cv2.transform(cv2.merge(planes), codes_to_rgb(tags.matrix, tags.range, bits, out))), alpha


def data_values(frame: VideoFrame, tags: ColourTags, *, alpha: bool) -> FloatArray:
    """One channel (H, W) of a frame as data, float32 in [0, 1]: the alpha, or the luma in its range, or RGB's green.

    Codes of a limited range beyond black and white count as these. Raises IndexError where there is no alpha.
    """
    bits = depth_of(frame.format)
    planar = _full_chroma(frame, bits)
    if alpha and len(planar.planes) not in (2, 4):
        raise IndexError("the frame has no alpha channel")
    codes = view(planar, len(planar.planes) - 1 if alpha else 0, bits)
    grey = not alpha and not planar.format.name.startswith("gbr")
    scale, offset = grey_values(tags.range, bits, 1.0) if grey else (1 / _TOP[bits], 0.0)
    table = np.clip(np.arange(1 << (8 * codes.dtype.itemsize)) * scale + offset, 0.0, 1.0)
    values: FloatArray = table.astype(np.float32)[codes]
    return values


def _full_chroma(frame: VideoFrame, bits: int) -> VideoFrame:
    """The frame as planar 4:4:4, RGB or grey of the same depth and the same code values.

    No colour is decided here, so that codes of a damaged frame that swscale refuses do not count.
    """
    from av.error import FFmpegError
    from av.video.reformatter import Interpolation as Flag

    name = frame.format.name
    depth = "" if bits == 8 else f"{bits}le"
    mark = "a" if has_alpha(frame.format) else ""
    if name.startswith("gray"):
        target = f"gray{depth}"
    elif frame.format.is_rgb or name.startswith(("pal8", "ya", "mono", "bayer")):
        target = f"gbr{mark}p{depth}"
    else:
        target = f"yuv{mark}444p{depth}"
    if name in (target, target.replace("yuv", "yuvj")):
        return frame
    if frame.interlaced_frame and frame.format.chroma_height(frame.height) < frame.height:
        return full_chroma_by_field(frame, target)
    smooth = Flag.BICUBIC | Flag.ACCURATE_RND | Flag.FULL_CHR_H_INP | Flag.FULL_CHR_H_INT
    try:
        return frame.reformat(format=target, interpolation=smooth, src_color_range=2, dst_color_range=2)
    except FFmpegError:
        frame.colorspace = frame.color_primaries = frame.color_trc = UNSPECIFIED
        return frame.reformat(format=target, interpolation=smooth, src_color_range=2, dst_color_range=2)


def _stretch(values: Array, scale: float, offset: float) -> Array:
    """values * scale + offset, rounded and saturated, in the same type; the array itself where that changes nothing."""
    if scale == 1.0 and offset == 0.0:
        return values.copy()
    import cv2

    top = np.iinfo(values.dtype).max
    table = np.arange(top + 1) * scale + offset
    lut = np.clip(np.floor(table + 0.5), 0, top).astype(values.dtype)
    return np.asarray(cv2.LUT(values, lut)) if values.dtype == np.uint8 else lut[values]


def fill_colour(frame: VideoFrame, rgb: Array, tags: ColourTags, bits: int, interlaced: bool = False) -> None:
    """Write RGB (H, W, 3), uint8 or uint16, into the colour planes of a planar or packed BGR frame."""
    import cv2

    name = frame.format.name
    if name in ("bgra", "bgr0"):
        view(frame, 0, 8, 4)[..., :3] = rgb[..., ::-1]
        return
    if name.startswith("gbr"):
        for index, channel in enumerate((1, 2, 0)):
            view(frame, index, bits)[:] = rgb[..., channel]
        return
    if rgb.dtype == np.uint8 and bits > 8:
        rgb = rgb.astype(np.uint16) * np.uint16(257)
    codes = cv2.transform(rgb, rgb_to_codes(tags.matrix, tags.range, bits, float(np.iinfo(rgb.dtype).max)))
    if tags.range == "full" and bits > 8:  # pure red and blue are half a code beyond the last, which x265 wraps
        codes = np.minimum(codes, np.uint16(2**bits - 1))
    for index, plane in enumerate(cv2.split(codes)):
        target = view(frame, index, bits)
        halve = halve_by_field if interlaced else _halve
        target[:] = plane if plane.shape == target.shape else halve(plane)


def fill_plane(frame: VideoFrame, index: int, codes: Array, bits: int) -> None:
    """Write (H, W) codes into one plane, or into the alpha of a packed BGRA frame (index 3)."""
    if frame.format.name == "bgra":
        view(frame, 0, 8, 4)[..., 3] = codes
    else:
        view(frame, index, bits)[:] = codes


def fill_neutral(frame: VideoFrame, bits: int) -> None:
    """Set both chroma planes to grey."""
    for index in (1, 2):
        view(frame, index, bits)[:] = 128 << (bits - 8)


def _halve(plane: Array) -> Array:
    """(H, W) chroma at half size, rounded up, sited at the left of its pair of columns and between its rows."""
    import cv2

    height, width = plane.shape
    padded = cv2.copyMakeBorder(plane, 0, height % 2, 1, 1 + width % 2, cv2.BORDER_REPLICATE).astype(np.uint32)
    across = padded[:, 0:-2:2] + 2 * padded[:, 1:-1:2] + padded[:, 2::2]
    total = across[0::2] + across[1::2]
    return np.asarray((total + 4) // 8).astype(plane.dtype)
