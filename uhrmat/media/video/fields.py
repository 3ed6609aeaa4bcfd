"""Interlaced frames: two fields, taken one after the other, in the even and the odd rows of one picture.

Chroma at half height belongs to a field, not to the frame: in 4:2:0 the rows alternate between the fields as those of
luma do, a quarter of a field's row below the first row of each pair in the top field, three quarters in the bottom one
(Rec. ITU-R H.262, figure 6-2; H.264, figure 6-2).
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from uhrmat.media.video.types import UNSPECIFIED, Array, FieldOrder

if TYPE_CHECKING:  # importing av takes 90 ms or more, and it is loaded on first use
    from av import VideoFrame

_SCALER = "interl=1:in_range=full:out_range=full:flags=bicubic+accurate_rnd+full_chroma_inp+full_chroma_int"
_STORED = {"top": "tb", "bottom": "bt"}
"""Both fields in one picture, by the field that is shown first, as containers name it."""


def field_order(frame: VideoFrame) -> FieldOrder:
    """Which field of a decoded frame is shown first; "" for progressive frames."""
    if not frame.interlaced_frame:
        return ""
    passed = _filtered(frame, ("select", r"eq(interlace_type\,TOPFIRST)"))
    return "bottom" if passed is None else "top"


def rotate_field_order(order: FieldOrder, rotation: int, height: int) -> FieldOrder:
    """The order of fields in a frame of `height` rows after a rotation: upside down the rows of an even number change
    their fields, and turned to the side there are none."""
    if not order or rotation % 180:
        return ""
    if rotation % 360 == 180 and height % 2 == 0:
        return "bottom" if order == "top" else "top"
    return order


def mark_interlaced(frame: VideoFrame, order: FieldOrder) -> VideoFrame:
    """The same frame, marked as interlaced for the encoder."""
    marked = _filtered(frame, ("setfield", "tff" if order == "top" else "bff"))
    assert marked is not None
    return marked


def full_chroma_by_field(frame: VideoFrame, target: str) -> VideoFrame:
    """The frame in the pixel format `target`, each field's chroma up-sampled within the field; codes as they are.

    The frame loses its colour tags, by which the scaler would convert.
    """
    frame.colorspace = frame.color_primaries = frame.color_trc = UNSPECIFIED
    scaled = _filtered(frame, ("scale", _SCALER), ("format", target))
    assert scaled is not None
    return scaled


def encoder_options(order: FieldOrder) -> dict[str, str]:
    """Encoder options that keep the fields apart and state their order."""
    return {"flags": "+ildct+ilme", "field_order": _STORED[order]} if order else {}


def halve_by_field(plane: Array) -> Array:
    """(H, W) chroma at half size, H even: sited at the left of its pair of columns, rows as in this module."""
    height, width = plane.shape
    out = np.empty((height // 2, (width + 1) // 2), plane.dtype)
    for parity, weights in ((0, (3, 1)), (1, (1, 3))):
        field = plane[parity::2]
        rows = out[parity::2]
        field = np.pad(field, ((0, max(0, 2 * len(rows) - len(field))), (1, 1 + width % 2)), "edge").astype(np.uint32)
        across = field[:, 0:-2:2] + 2 * field[:, 1:-1:2] + field[:, 2::2]
        pairs = weights[0] * across[0 : 2 * len(rows) : 2] + weights[1] * across[1 : 2 * len(rows) : 2]
        rows[:] = (pairs + 8) // 16
    return out


def _filtered(frame: VideoFrame, *steps: tuple[str, str]) -> VideoFrame | None:
    """What FFmpeg's filters make of one frame; None where they drop it."""
    import av
    from av.filter import Graph

    graph = Graph()
    last: Any = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    for name, options in (*steps, ("buffersink", "")):
        step = graph.add(name, options) if options else graph.add(name)
        last.link_to(step)
        last = step
    graph.configure()
    graph.push(frame)
    graph.push(None)
    try:
        return graph.pull()  # type: ignore[return-value]
    except (av.error.EOFError, av.error.BlockingIOError):
        return None
