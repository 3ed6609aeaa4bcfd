"""Frames of a clip in any order, decoded when they are wanted; those looked at last are kept."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import InputError
from uhrmat.media import Picture
from uhrmat.media.display import Screen
from uhrmat.media.resample import area_average
from uhrmat.media.video import Frame, open_clip
from uhrmat.painter.tiles import PhotoTiles
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.video.plan import count_frames

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class FrameCacheParams:
    """What is kept of a clip's frames while one looks at them.

    Attributes:
        kept_bytes: of decoded frames at full resolution; the one in view and the one before are kept in any case.
        small_bytes: of frames at the size of the propagation's network.
        skip: a frame at most so far ahead of the last one is reached by decoding on, one farther by seeking.
        chunk: small frames that are decoded together, forward or backward.
        thumbnail: height of the timeline's pictures, pixels.
    """

    kept_bytes: int = 400 << 20
    small_bytes: int = 128 << 20
    skip: int = 12
    chunk: int = 16
    thumbnail: int = 64


FRAME_CACHE = FrameCacheParams()


class ClipFrames:
    """Decodes a clip's frames by index. All methods may be called from any thread.

    Args:
        source: a video file, a folder of numbered frames or a pattern.
        params: see there.

    Raises:
        InputError: there is no clip, or nothing in it.
    """

    def __init__(self, source: Path, params: FrameCacheParams = FRAME_CACHE) -> None:
        self.source, self._params = source, params
        self._reader = open_clip(source)
        self.info = self._reader.info
        self.count = count_frames(self._reader)
        if self.count < 1:
            raise InputError(f"'{source}' holds no frame.", "Give another clip.")
        self.size = self.info.height, self.info.width
        self._lock, self._kept = threading.Lock(), dict[int, tuple[Picture, PhotoTiles]]()
        self._running: tuple[int, Iterator[Frame]] | None = None

    @property
    def numbers(self) -> tuple[int, ...] | range:
        """The number of each frame in file names: those of a sequence's files; of a video file they count from 0."""
        return self.info.numbers or range(self.count)

    def check(self, index: int) -> int:
        """Return the index. Raises InputError where the clip has no such frame."""
        if not 0 <= index < self.count:
            raise InputError(
                f"The clip has no frame {index}.", f"Choose one from 0 to {self.count - 1}; they are counted from 0."
            )
        return index

    def picture(self, index: int) -> Picture:
        """A frame at full resolution. Raises InputError where it cannot be decoded."""
        return self._get(index)[0]

    def tiles(self, index: int) -> PhotoTiles:
        """The tiles of a frame. Raises InputError where it cannot be decoded."""
        return self._get(index)[1]

    def thumbnail(self, index: int) -> bytes:
        """A small copy of a frame as JPEG. Raises InputError where it cannot be decoded."""
        picture = self._decode(self._reader.frames(self.check(index), index + 1), index)
        height = min(self._params.thumbnail, picture.height)
        shape = height, max(1, round(picture.width * height / picture.height))
        shown = np.asarray(Screen(picture.info)(picture.pixels), np.float32)
        small = np.rint(area_average(shown, shape)).clip(0, 255).astype(np.uint8)
        return cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()

    def small(self, shape: tuple[int, int]) -> SmallFrames:
        """The frames at a size (h, w)."""
        return SmallFrames(self, shape, self._params)

    def read(self, start: int, stop: int) -> Iterator[Frame]:
        """Frames of a range in order, apart from what is kept here; those that cannot be decoded are left out."""
        return self._reader.frames(start, stop)

    def _get(self, index: int) -> tuple[Picture, PhotoTiles]:
        self.check(index)
        with self._lock:
            kept = self._kept.pop(index, None)
            if kept is None:
                picture = self._next(index)
                kept = picture, PhotoTiles(picture)
            self._kept[index] = kept  # at the end: the least recently used come first
            while (
                len(self._kept) > 2 and sum(p.pixels.nbytes for p, _ in self._kept.values()) > self._params.kept_bytes
            ):
                self._kept.pop(next(iter(self._kept)))
            return kept

    def _next(self, index: int) -> Picture:
        """Decode a frame, going on from the last one where it is near."""
        if self._running is None or not self._running[0] <= index < self._running[0] + self._params.skip:
            self._running = index, self._reader.frames(index)
        frames = self._running[1]
        self._running = None  # where decoding fails
        picture = self._decode(frames, index)
        self._running = index + 1, frames
        return picture

    def _decode(self, frames: Iterator[Frame], index: int) -> Picture:
        frame = next((frame for frame in frames if frame.index >= index), None)
        if frame is None or frame.index != index:
            raise InputError(f"Frame {index} of '{self.source}' cannot be decoded.", "Paint on another frame.")
        return frame.picture


class SmallFrames:
    """A clip's frames at one small size; those used last are kept. For one thread.

    Args:
        frames: of the clip.
        shape: (h, w) in pixels.
        params: see there.
    """

    def __init__(self, frames: ClipFrames, shape: tuple[int, int], params: FrameCacheParams = FRAME_CACHE) -> None:
        self.shape, self._frames, self._params = shape, frames, params
        self._most = max(4 * params.chunk, params.small_bytes // (3 * shape[0] * shape[1]))
        self._kept = dict[int, Bytes]()

    def __call__(self, index: int, step: int = 1) -> npt.NDArray[np.float32]:
        """A frame, (h, w, 3) float32 RGB in [0, 1].

        Args:
            index: of the frame.
            step: 1 or -1, the direction in which others follow: they are decoded with it.

        Raises:
            InputError: it cannot be decoded.
        """
        if index not in self._kept:
            first = index if step > 0 else max(0, index + 1 - self._params.chunk)
            for frame in self._frames.read(first, first + self._params.chunk if step > 0 else index + 1):
                small = downsample_picture(frame.picture, self.shape)
                self._kept[frame.index] = np.rint(small * 255).clip(0, 255).astype(np.uint8)
        if index not in self._kept:
            raise InputError(f"Frame {index} of '{self._frames.source}' cannot be decoded.", "Repair the clip.")
        kept = self._kept.pop(index)
        self._kept[index] = kept
        while len(self._kept) > self._most:
            self._kept.pop(next(iter(self._kept)))
        return kept.astype(np.float32) / np.float32(255)
