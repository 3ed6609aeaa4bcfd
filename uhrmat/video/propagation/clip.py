"""Propagation of a clip's masks by its network: training, backward passes, and the forward pass frame by frame."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.read import Hints
from uhrmat.media.resample import area_average
from uhrmat.media.video import ClipReader, Frame
from uhrmat.prior.base import PriorMethod
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.video.hints import ClipHints, key_hints
from uhrmat.video.key_trimap import solve_key_trimap
from uhrmat.video.propagation.guide import SubjectGuide
from uhrmat.video.propagation.memory import SubjectMemory, recalls
from uhrmat.video.propagation.network import MaskNet, load_network, network_shape, save_network, train_network
from uhrmat.video.propagation.pairs import KeyFrame, key_crop
from uhrmat.video.propagation.params import TRACKING, TRAINING, PropagationTrainingParams, TrackingParams
from uhrmat.video.propagation.states import (
    Direction,
    TrackedMask,
    blend_directions,
    key_trust,
    network_file,
    read_state,
    write_state,
)
from uhrmat.video.propagation.track import next_mask
from uhrmat.video.segments import Segment

_CHUNK = 32
"""Frames that a backward pass decodes and keeps at a time, at the network's size."""


class ClipTracker:
    """Tracks a clip's masks with its network, one segment after the other.

    Args:
        reader: of the clip.
        hints: key frames of the clip.
        method: the prior, for the alpha of key frames whose hint is a trimap.
        folder: of the propagated alphas; the network and every tracked mask are kept there, so that a run that goes on
            after a stop, and every other machine, uses the same ones.
        device: torch device of the network.
        training, tracking: see there.
    """

    def __init__(
        self, reader: ClipReader, hints: ClipHints, method: PriorMethod, folder: Path, *, device: str = "cpu",
        training: PropagationTrainingParams = TRAINING, tracking: TrackingParams = TRACKING,
    ) -> None:  # fmt: skip
        self._reader, self._hints, self._method, self._folder = reader, hints, method, folder
        self._device, self._training, self._tracking = device, training, tracking
        self._net: MaskNet | None = None
        self._guide = SubjectGuide.bundled(device, tracking)
        self._memory: SubjectMemory | None = None
        self._last: tuple[np.ndarray, TrackedMask] | None = None

    def begin(self, segment: Segment, stop: threading.Event | None = None) -> bool:
        """Get ready for the frames of a segment; the segments before it must have been tracked.

        Returns:
            False where it was stopped.

        Raises:
            InputError: a frame or hint cannot be read.
            WeightsError: the bundled weights or the clip's are damaged.
        """
        self._net = self._network(stop)
        if self._net is None:
            return False
        self._last, self._memory = None, None
        tracked = None if segment.start in self._hints.keys else read_state(self._folder, "forward", segment.start - 1)
        if tracked is not None:
            self._last = self._picture(self._frame(segment.start - 1)), tracked
            self._memory = self._recalled("forward", segment.start - 1, tracked)
        keys = sorted(self._hints.keys)
        for before, key in zip([-1, *keys], keys, strict=False):
            first = max(before + 1, segment.start)
            if first < key and before < segment.stop - 1 and not self._track_backward(key, first, stop):
                return False
        return True

    def track(self, frame: Frame, static: bool) -> TrackedMask:
        """The mask of the next frame of the segment, from all directions that there are.

        Args:
            frame: in order.
            static: the frame looks like the one before, whose mask is reused.

        Raises:
            InputError: a hint cannot be read.
        """
        assert self._net is not None
        picture = self._picture(frame)
        forward: TrackedMask | None = None
        if frame.index in self._hints.keys:
            forward = self._key_mask(frame)
            self._memory = SubjectMemory(self._guide, picture, forward, self._tracking)
        elif self._last is not None:
            assert self._memory is not None
            before, last = self._last
            forward = (
                replace(last, distance=last.distance + 1)
                if static
                else next_mask(self._net, self._memory, before, last, picture, self._tracking)
            )
            self._memory.remember(picture, forward)
        backward = read_state(self._folder, "backward", frame.index)
        if forward is not None:
            write_state(self._folder, "forward", frame.index, forward)
            self._last = picture, forward
        blended = blend_directions(forward, backward, self._tracking)
        assert blended is not None
        return blended

    def _network(self, stop: threading.Event | None) -> MaskNet | None:
        """The clip's network: from the work folder, else trained; None where it was stopped."""
        path = network_file(self._folder)
        if not path.is_file():
            trained = train_on_keys(
                sorted(self._hints.keys), lambda index: self._key_frame(self._frame(index)), self._device,
                self._training, stop, self._tracking,
            )  # fmt: skip
            if trained is None:
                return None
            if not path.is_file():  # else another machine was quicker
                save_network(trained, path)
        return load_network(path, self._device)

    def _track_backward(self, key: int, first: int, stop: threading.Event | None) -> bool:
        """Track from the key frame `key` back to the frame `first`; False where it was stopped."""
        assert self._net is not None
        index = key - 1
        last: tuple[np.ndarray, TrackedMask] | None = None
        memory: SubjectMemory | None = None
        while index >= first:
            tracked = read_state(self._folder, "backward", index)
            if tracked is not None:
                last, memory, index = None, None, index - 1
                continue
            low = max(first, index + 1 - _CHUNK)
            pictures = [self._picture(frame) for frame in self._reader.frames(low, index + 1)]
            if len(pictures) != index + 1 - low:
                raise _undecodable(low + len(pictures))
            if last is None:
                after = self._frame(index + 1)
                if index + 1 == key:
                    known = self._key_mask(after)
                else:
                    state = read_state(self._folder, "backward", index + 1)
                    assert state is not None
                    known = state
                last = self._picture(after), known
                memory = self._recalled("backward", index + 1, known)
            assert memory is not None
            for at, picture in zip(range(index, low - 1, -1), reversed(pictures), strict=True):
                if stop is not None and stop.is_set():
                    return False
                tracked = next_mask(self._net, memory, *last, picture, self._tracking)
                memory.remember(picture, tracked)
                write_state(self._folder, "backward", at, tracked)
                last = picture, tracked
            index = low - 1
        return True

    def _recalled(self, direction: Direction, index: int, tracked: TrackedMask) -> SubjectMemory:
        """The memory of a direction after the frame `index`, whose mask is `tracked`, from the files of its frames."""
        toward_key = -1 if direction == "forward" else 1
        kept: list[tuple[int, TrackedMask]] = []
        for at in range(min(tracked.distance, self._tracking.recall_span)):
            state = read_state(self._folder, direction, index + toward_key * at)
            if state is not None and recalls(state, self._tracking):
                kept.append((index + toward_key * at, state))
        kept = kept[: self._tracking.recall_frames]
        key = index + toward_key * tracked.distance
        frames = self._frames([key, *(at for at, _ in kept)])
        memory = SubjectMemory(
            self._guide, self._picture(frames[key]), self._key_mask(frames[key]), self._tracking
        )  # fmt: skip
        for at, state in reversed(kept):
            memory.remember(self._picture(frames[at]), state)
        return memory

    def _key_mask(self, frame: Frame) -> TrackedMask:
        return TrackedMask.of_key(self._key_frame(frame).alpha, key_trust(self._hints, frame.index, self._tracking))

    def _key_frame(self, frame: Frame) -> KeyFrame:
        """A key frame at the network's size, its alpha from the mask, or from the trimap by the prior."""
        picture = self._picture(frame)
        given = key_hints(self._hints, frame.index, (frame.picture.height, frame.picture.width))
        return KeyFrame(picture, self._key_alpha(given, picture))

    def _key_alpha(self, given: Hints, picture: np.ndarray) -> np.ndarray:
        shape = picture.shape[:2]
        for soft in (given.alpha, given.mask):
            if soft is not None:
                return np.asarray(area_average(soft, shape), np.float32)
        assert given.trimap is not None
        return solve_key_trimap(picture, given.trimap, self._method)

    def _frame(self, index: int) -> Frame:
        return self._frames([index])[index]

    def _frames(self, indices: Iterable[int]) -> dict[int, Frame]:
        """Frames by index; those of a stream that lie near each other are decoded in one pass, after one seek."""
        wanted, span = sorted(set(indices)), self._tracking.recall_span if not self._reader.info.numbers else 0
        frames: dict[int, Frame] = {}
        while wanted:
            near = [at for at in wanted if at - wanted[0] <= span]
            wanted = wanted[len(near) :]
            decoded = self._reader.frames(near[0], near[-1] + 1)
            frames |= {frame.index: frame for frame in decoded if frame.index in near}
            missing = [at for at in near if at not in frames]
            if missing:
                raise _undecodable(missing[0])
        return frames

    def _picture(self, frame: Frame) -> np.ndarray:
        """(h, w, 3) float32 in [0, 1] at the network's size."""
        shape = network_shape(frame.picture.height, frame.picture.width, self._training.side)
        return downsample_picture(frame.picture, shape)


def train_on_keys(
    keys: Sequence[int], key_frame: Callable[[int], KeyFrame], device: str, training: PropagationTrainingParams,
    stop: threading.Event | None, tracking: TrackingParams = TRACKING,
) -> MaskNet | None:  # fmt: skip
    """Train a clip's network on its key frames, evenly spaced ones where there are many.

    Args:
        keys: their frame numbers, ascending, at least one.
        key_frame: gives the key frame of a number.
        device: torch device.
        training, tracking: see there.
        stop: ends the work early when it is set.

    Returns:
        The network; None where it was stopped.
    """
    count = min(len(keys), training.max_key_frames)
    chosen = [keys[at] for at in np.linspace(0, len(keys) - 1, count).round().astype(int)]
    whole = [key_frame(index) for index in chosen]
    pairs = [key_crop(key, factor, tracking) for key in whole for factor in tracking.crops]
    return train_network(pairs, device, training, stop, steps=training.total_steps(count))


def _undecodable(index: int) -> InputError:
    return InputError(f"Frame {index} cannot be decoded, and hints are propagated over it.", "Repair the clip.")
