"""Propagation of a clip's masks by a promptable network, SAM 2.1 or EdgeTAM, instead of one trained on the clip.

The network remembers key frames and the frames before. At the beginning of a segment it is given its key frames and the
stored mask of the frame before anew, so that a segment depends on files alone: a run that goes on after a stop, and
every other machine, gets the same masks.
"""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hub import resolve
from uhrmat.media.resample import area_average
from uhrmat.media.video import ClipReader, Frame
from uhrmat.prior.base import PriorMethod, working_shape
from uhrmat.prior.networks.promptable import PromptableNetwork, PromptSession
from uhrmat.prior.networks.registry import promptable_loader
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.video.hints import ClipHints, key_hints
from uhrmat.video.key_trimap import solve_key_trimap
from uhrmat.video.propagation.states import TrackedMask, blend_directions, read_state, write_state
from uhrmat.video.segments import Segment

_CHUNK = 16
"""Frames that a backward pass decodes and keeps at a time."""
_MASK_STRIDE = 4
"""Pixels of the network's input for each of its mask."""


class PromptableTracker:
    """Tracks a clip's masks with a promptable network, one segment after the other.

    Args:
        reader: of the clip.
        hints: key frames of the clip.
        method: the prior, for the alpha of key frames whose hint is a trimap.
        folder: of the propagated alphas, where every tracked mask is kept.
        network: a name of the catalogue, a folder or a repository.
        device: torch device of the network.

    Raises:
        InputError: a library that runs it is not installed.
        WeightsError: it cannot be fetched, or is none.
    """

    def __init__(
        self, reader: ClipReader, hints: ClipHints, method: PriorMethod, folder: Path, network: str, *,
        device: str = "cpu",
    ) -> None:  # fmt: skip
        self._reader, self._hints, self._method, self._folder = reader, hints, method, folder
        weights = resolve(network)
        self._network = PromptableNetwork(weights.path, promptable_loader(weights), device)
        info = reader.info
        self._size = working_shape(info.height, info.width, self._network.side)
        self._mask_size = working_shape(info.height, info.width, max(1, self._network.side // _MASK_STRIDE))
        self._session: PromptSession | None = None
        self._last: TrackedMask | None = None

    def begin(self, segment: Segment, stop: threading.Event | None = None) -> bool:
        """Get ready for the frames of a segment; the segments before it must have been tracked.

        Returns:
            False where it was stopped.

        Raises:
            InputError: a frame or hint cannot be read.
        """
        self._session, self._last = None, None
        keys = sorted(self._hints.keys)
        for before, key in zip([-1, *keys], keys, strict=False):
            first = max(before + 1, segment.start)
            if first < key and before < segment.stop - 1 and not self._track_backward(key, first, stop):
                return False
        earlier = [key for key in keys if key < segment.start]
        if segment.start in self._hints.keys or not earlier:
            return True
        self._session = self._network.session(self._mask_size)
        self._remember(self._session, earlier[-1], self._key_mask(self._frame(earlier[-1])))
        self._last = self._fitted(read_state(self._folder, "forward", segment.start - 1))
        if self._last is not None and segment.start - 1 != earlier[-1] and not self._last.is_lost():
            self._remember(self._session, segment.start - 1, self._last)
        return True

    def track(self, frame: Frame, static: bool) -> TrackedMask:
        """The mask of the next frame of the segment, from both directions that there are.

        Args:
            frame: in order.
            static: the frame looks like the one before, whose mask is reused.

        Raises:
            InputError: a hint cannot be read.
        """
        forward: TrackedMask | None = None
        if frame.index in self._hints.keys:
            forward = self._key_mask(frame)
            self._session = self._session or self._network.session(self._mask_size)
            self._remember(self._session, frame.index, forward, self._picture(frame))
        elif self._session is not None and self._last is not None:
            forward = (
                replace(self._last, distance=self._last.distance + 1)
                if static
                else self._next(self._session, frame.index, self._picture(frame), self._last)
            )
        if forward is not None:
            write_state(self._folder, "forward", frame.index, forward)
            self._last = forward
        blended = blend_directions(forward, read_state(self._folder, "backward", frame.index))
        assert blended is not None
        return blended

    def _fitted(self, tracked: TrackedMask | None) -> TrackedMask | None:
        """A tracked mask at the network's size, if it is of another, as where another method tracked it."""
        if tracked is None or tracked.mask.shape == self._mask_size:
            return tracked
        alpha = np.asarray(area_average(tracked.alpha, self._mask_size), np.float32)
        return replace(TrackedMask.of_key(alpha), confidence=tracked.confidence, distance=tracked.distance)

    def _next(
        self, session: PromptSession, index: int, picture: np.ndarray, last: TrackedMask, reverse: bool = False
    ) -> TrackedMask:
        mask, there = session.step(index, picture, reverse=reverse)
        total = float(mask.sum())
        certain = float(np.square(mask).sum()) / total if total else 1.0
        return TrackedMask(
            mask=np.rint(mask * 255).astype(np.uint8), confidence=there * certain, distance=last.distance + 1,
            key_area=last.key_area,
        )  # fmt: skip

    def _remember(
        self, session: PromptSession, index: int, mask: TrackedMask, picture: np.ndarray | None = None
    ) -> None:
        """Give the network a frame with its mask."""
        session.add_mask(index, mask.alpha)
        session.step(index, self._picture(self._frame(index)) if picture is None else picture)

    def _track_backward(self, key: int, first: int, stop: threading.Event | None) -> bool:
        """Track from the key frame `key` back to the frame `first`; False where it was stopped."""
        if all(read_state(self._folder, "backward", index) is not None for index in range(first, key)):
            return True
        last, session = self._key_mask(self._frame(key)), self._network.session(self._mask_size)
        self._remember(session, key, last)
        for high in range(key, first, -_CHUNK):
            low = max(first, high - _CHUNK)
            pictures = [self._picture(frame) for frame in self._reader.frames(low, high)]
            if len(pictures) != high - low:
                raise _undecodable(low + len(pictures))
            for index, picture in zip(range(high - 1, low - 1, -1), reversed(pictures), strict=True):
                if stop is not None and stop.is_set():
                    return False
                last = self._next(session, index, picture, last, reverse=True)
                write_state(self._folder, "backward", index, last)
        return True

    def _key_mask(self, frame: Frame) -> TrackedMask:
        """The mask of a key frame at the network's size: from the mask, or from the trimap by the prior."""
        given = key_hints(self._hints, frame.index, (frame.picture.height, frame.picture.width))
        soft = given.mask if given.alpha is None else given.alpha
        if soft is None:
            assert given.trimap is not None
            small = downsample_picture(frame.picture, self._mask_size)
            soft = solve_key_trimap(small, given.trimap, self._method)
        return TrackedMask.of_key(np.asarray(area_average(soft, self._mask_size), np.float32))

    def _frame(self, index: int) -> Frame:
        frame = next(iter(self._reader.frames(index, index + 1)), None)
        if frame is None:
            raise _undecodable(index)
        return frame

    def _picture(self, frame: Frame) -> np.ndarray:
        """(h, w, 3) float32 in [0, 1], near the network's size."""
        return downsample_picture(frame.picture, self._size)


def _undecodable(index: int) -> InputError:
    return InputError(f"Frame {index} cannot be decoded, and hints are propagated over it.", "Repair the clip.")
