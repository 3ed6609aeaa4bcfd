"""Clips that the tests of media.video read: encoded here through PyAV, colours by formulas written down again."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from uhrmat.media import Picture
from uhrmat.media.video import ClipInfo, ColourTags, Frame

LUMA = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
CODE = {"bt601": 6, "bt709": 1, "bt2020": 9}
RATE = Fraction(30000, 1001)
PATCHES = np.array(
    [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255, 255, 255], [0, 0, 0], [180, 90, 40], [30, 160, 200], [128, 128, 128]]
)


def to_codes(rgb: np.ndarray, matrix: str, full: bool, bits: int) -> np.ndarray:
    """RGB in [0, 1] (..., 3) to Y'CbCr codes, by the equations of the recommendations."""
    red, blue = LUMA[matrix]
    luma = red * rgb[..., 0] + (1 - red - blue) * rgb[..., 1] + blue * rgb[..., 2]
    cb, cr = (rgb[..., 2] - luma) / (2 - 2 * blue), (rgb[..., 0] - luma) / (2 - 2 * red)
    top, unit = 2**bits - 1, 2 ** (bits - 8)
    if full:
        planes = [luma * top, cb * top + 128 * unit, cr * top + 128 * unit]
    else:
        planes = [(16 + 219 * luma) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit]
    return np.clip(np.rint(np.stack(planes, -1)), 0, top)


def patches(size: int = 16) -> np.ndarray:
    """(2 size, 4 size, 3) uint8: the eight patches in two rows of four."""
    return np.kron(PATCHES.reshape(2, 4, 3), np.ones((size, size, 1))).astype(np.uint8)


def centres(picture: np.ndarray, size: int = 16) -> np.ndarray:
    """(8, 3) in 255ths: the middles of the patches."""
    top = np.iinfo(picture.dtype).max
    return picture[size // 2 :: size, size // 2 :: size].reshape(-1, 3) / top * 255


def plane(frame: Any, index: int) -> np.ndarray:
    """A plane of a frame, writable."""
    part = frame.planes[index]
    dtype = np.uint8 if frame.format.components[0].bits == 8 else np.uint16
    rows = np.frombuffer(memoryview(part), np.uint8).reshape(-1, part.line_size)[: part.height]
    return rows.view(dtype)[:, : part.width]


def grey_frame(level: int, width: int, height: int, fmt: str = "yuv420p") -> Any:
    """A frame of one luma code, with a ramp across it so that its orientation shows."""
    frame = av.VideoFrame(width, height, fmt)
    for index, value in enumerate((level, 128, 128)[: len(frame.planes)]):
        plane(frame, index)[:] = value
    return frame


def coded_grey(width: int, height: int, fmt: str = "yuv420p10le") -> Any:
    """A frame of 10 bits with a ramp of luma."""
    frame = av.VideoFrame(width, height, fmt)
    plane(frame, 0)[:] = np.linspace(64, 940, width).astype(np.uint16)
    for index in (1, 2):
        plane(frame, index)[:] = 512
    return frame


def encode(
    path: Path,
    frames: Sequence[Any],
    codec: str = "libx264",
    pts: Sequence[int] | None = None,
    *,
    time_base: Fraction = Fraction(1, 30000),
    options: dict[str, str] | None = None,
    tags: tuple[int, int, int, int] = (2, 0, 2, 2),
    rotation: int = 0,
    sound: bool = False,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Encode frames with H.273 `tags` (matrix, range, primaries, transfer), with AAC as long if `sound`."""
    pts = [i * 1001 for i in range(len(frames))] if pts is None else pts
    with av.open(str(path), "w", container_options=container_options or {}) as muxer:
        stream: Any = muxer.add_stream(codec, rate=RATE, options=options or {})
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = frames[0].width, frames[0].height, frames[0].format.name
        context.time_base, context.thread_count = time_base, 1
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        if rotation:
            stream.set_display_rotation(rotation)
        audio = add_sound(muxer) if sound else None
        for frame, stamp in zip(frames, pts, strict=True):
            frame.pts, frame.time_base = stamp, time_base
            frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc = tags
            muxer.mux(stream.encode(frame))
        muxer.mux(stream.encode(None))
        if audio is not None:
            play(muxer, audio, float(pts[-1] * time_base) + 1 / 30)
    return path


def add_sound(muxer: Any, codec: str = "aac") -> Any:
    """An audio stream of 48 kHz, mono."""
    return muxer.add_stream(codec, rate=48000, layout="mono")


def play(muxer: Any, stream: Any, seconds: float) -> None:
    """Mux noise of that length."""
    rng = np.random.default_rng(0)
    for start in range(0, int(48000 * seconds), 1024):
        noise = rng.normal(0, 0.1, (1, 1024)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(noise, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, start
        muxer.mux(stream.encode(frame))
    muxer.mux(stream.encode(None))


def sound_packets(path: Path) -> list[bytes]:
    """The bytes of all audio packets of a file."""
    with av.open(str(path)) as container:
        return [bytes(p) for p in container.demux(audio=0) if p.size]


def stamps(path: Path) -> list[Fraction]:
    """When the frames of a file are shown, in seconds, by PyAV alone."""
    with av.open(str(path)) as container:
        return [f.pts * Fraction(f.time_base) for f in container.decode(video=0)]


def clip_info(width: int, height: int, colour: ColourTags | None = None, **changes: Any) -> ClipInfo:
    """An 8-bit BT.709 clip of 30000/1001 frames per second that exists nowhere."""
    tags = colour or ColourTags(matrix="bt709", range="limited", primaries=1, transfer=1, matrix_code=1)
    fields = {"rate": RATE, "time_base": Fraction(1, 30000), "colour": tags} | changes
    return ClipInfo(path=fields.pop("path", Path("nowhere.mp4")), kind="stream", width=width, height=height, **fields)


def some_frame(index: int, colour: np.ndarray, step: int = 1001, pts: int | None = None) -> Frame:
    """Frame `index` with that picture."""
    stamp = index * step if pts is None else pts
    return Frame(index=index, pts=stamp, time=Fraction(stamp, 30000), picture=Picture.from_array(colour), duration=step)


def soft_alpha(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A disc with a soft edge and strands across it: 0, 1 and everything between, moved by `seed`."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    disc = np.clip((min(height, width) / 3 - np.hypot(x - width / 2 - seed, y - height / 2)) / 6 + 0.5, 0, 1)
    return (disc * (0.8 + 0.2 * np.sin(x + seed))).clip(0, 1).astype(np.float32)


def scenery(height: int, width: int, dtype: str = "uint8") -> np.ndarray:
    """(H, W, 3) smooth colours of the whole range."""
    y, x = np.mgrid[0:height, 0:width] / max(height, width)
    unit = np.stack([x, y, 1 - (x + y) / 2], -1)
    return np.rint(unit * np.iinfo(dtype).max).astype(dtype)
