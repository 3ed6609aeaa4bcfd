"""Mask propagation: the mask of each frame from those of its neighbours, and the prior solves what is unknown then.

The mask is tracked by a network that was trained on the clip's key frames (`video.propagation`), or the last alpha is
warped by optical flow alone.

Runs on low-resolution pictures, frame by frame, before the matting, and writes one low-resolution alpha per frame, so
that every segment finds its hints in files, on whichever machine it is matted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_alpha
from uhrmat.media import write_alpha
from uhrmat.media.resample import area_average
from uhrmat.media.video import ClipReader, Frame
from uhrmat.prior.base import LowResHints, PriorResult, working_shape
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.sparsity.spatial import dilate
from uhrmat.sparsity.temporal import is_cut, thumbnail
from uhrmat.video.evidence import combine_with_mask
from uhrmat.video.flow import optical_flow, warp
from uhrmat.video.hints import ClipHints, key_hints, propagated_file
from uhrmat.video.key_trimap import solve_key_trimap
from uhrmat.video.propagation.network import network_shape
from uhrmat.video.propagation.params import TRACKING, PropagationTrainingParams, TrackingParams
from uhrmat.video.propagation.states import TrackedMask, write_state
from uhrmat.video.reuse import unchanged
from uhrmat.video.segments import Segment

Method = Callable[[np.ndarray, LowResHints], PriorResult]


class MaskTracker(Protocol):
    """Tracks the masks of a clip by a network, segment by segment; see `propagation.clip.ClipTracker`."""

    def begin(self, segment: Segment, stop: threading.Event | None = None) -> bool:
        """Get ready for the frames of a segment; False where it was stopped."""

    def track(self, frame: Frame, static: bool) -> TrackedMask:
        """The mask of the next frame of the segment. static: it looks like the frame before."""


@dataclass(frozen=True, kw_only=True)
class PropagationParams:
    """Parameters of mask propagation. Chosen by `python -m benchmarks.davis FOLDER` (IoU); may be changed.

    Attributes:
        known: a warped alpha this close to 0 or 1 counts as known, away from edges. In [0, 0.5).
        key_weight: weight of a given mask against the prior where the colours are no evidence, in [0, 1].
        flow_weight: the same for a warped alpha.
        margin: width of the unknown band on either side of an edge, as a share of the short side.
        near: the flow is checked this near to an edge only, as a share of the short side.
        fold: disagreement between forward and backward flow, in pixels, that makes a pixel unknown.
        fold_share: and as a share of the motion's length, added to `fold`.
        colour: difference between the warped colour and the frame's, in [0, 1], that makes a pixel unknown.
    """

    known: float = 0.05
    key_weight: float = 0.9
    flow_weight: float = 0.75
    margin: float = 1 / 128
    near: float = 0.05
    fold: float = 1.0
    fold_share: float = 0.1
    colour: float = 0.15


PROPAGATION = PropagationParams()


def propagate_segment(
    reader: ClipReader, segment: Segment, hints: ClipHints, method: Method, side: int, folder: Path,
    stop: threading.Event | None = None, tracker: MaskTracker | None = None,
) -> list[str]:  # fmt: skip
    """Write the propagated alpha of each frame of a segment.

    Depends on files alone, so that going on after a stop changes nothing.

    Args:
        reader: of the clip.
        segment: the frames. Unless it begins with a key frame, the frame before it must have been propagated.
        hints: key frames of the clip.
        method: the prior.
        side: short side of the low-resolution pictures, pixels.
        folder: for the alphas, see `hints.propagated_file`.
        stop: ends the work early when it is set.
        tracker: tracks the masks by a network; None: by optical flow alone.

    Returns:
        Notes for the user.

    Raises:
        InputError: a hint or the frame before the segment cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    if tracker is not None and not tracker.begin(segment, stop):
        return notes
    first = segment.start in hints.keys or (tracker is not None and not any(key < segment.start for key in hints.keys))
    last = None if first else _PropagatedFrame.read(reader, segment.start - 1, side, folder)
    solved = last
    solving: Future[np.ndarray] | None = None
    with ThreadPoolExecutor(1) as pool:  # while the edges of a tracked mask are solved, the next one is tracked
        for frame in reader.frames(segment.start, segment.stop):
            if stop is not None and stop.is_set():
                break
            here = _PropagatedFrame.of(frame, side)
            key = frame.index in hints.keys
            static = (
                not key and last is not None and solved is not None
                and unchanged(here.small, solved.small, last.small)
            )  # fmt: skip
            if not key and last is not None and is_cut(here.thumb, last.thumb, 0.0):
                notes.append(
                    f"frame {frame.index} looks like a cut: hints propagated over it are a guess, give one for it"
                )
            tracked = None if tracker is None else tracker.track(frame, static)
            if solving is not None:
                assert last is not None
                last.write(folder, solving.result())
                solving = None
            if tracked is not None and not key and not static:
                solving, solved = pool.submit(_solve_tracked, tracked.alpha, here, method), here
            else:
                if key:
                    alpha, solved = _solve_key_frame(frame, here, hints, method, notes), here
                elif static:
                    assert last is not None
                    alpha = last.alpha
                else:
                    assert last is not None
                    alpha, solved = _solve_next(last, here, method), here
                here.write(folder, alpha)
            last = here
        if solving is not None:
            assert last is not None
            last.write(folder, solving.result())
    return notes


def begin_after(
    folder: Path, index: int, alpha: np.ndarray, side: int, training: PropagationTrainingParams | None,
    trust: float = 1.0,
) -> None:  # fmt: skip
    """Let the propagation go on from a finished matte, as if it had come to that frame by itself.

    Args:
        folder: of the propagated alphas, see `propagate_segment`.
        index: of the frame; the next one begins a segment.
        alpha: its matte, (H, W) float32 in [0, 1].
        side: short side of the low-resolution pictures, pixels.
        training: of the clip's network; None: by optical flow alone.
        trust: in the matte, see `TrackedMask`.
    """
    height, width = alpha.shape
    folder.mkdir(parents=True, exist_ok=True)
    small = area_average(alpha, working_shape(height, width, side))
    write_alpha(propagated_file(folder, index), np.asarray(small, np.float32))
    if training is not None:
        tracked = area_average(alpha, network_shape(height, width, training.side))
        write_state(folder, "forward", index, TrackedMask.of_key(np.asarray(tracked, np.float32), trust))


def _solve_key_frame(
    frame: Frame, here: _PropagatedFrame, hints: ClipHints, method: Method, notes: list[str]
) -> np.ndarray:
    """The alpha (h, w) of a key frame: the prior's, combined with the mask where the colours do not support it."""
    size, shape = (frame.picture.height, frame.picture.width), here.small.shape[:2]
    given = key_hints(hints, frame.index, size)
    notes += [*given.choices, *given.warnings]
    assert given.trimap is not None
    alpha = solve_key_trimap(here.small, given.trimap, method)
    if given.mask is None:
        return alpha
    return combine_with_mask(here.small, alpha, area_average(given.mask, shape), PROPAGATION.key_weight)


def _solve_next(last: _PropagatedFrame, here: _PropagatedFrame, method: Method) -> np.ndarray:
    """The alpha (h, w) of the frame after `last`; where the flow is unreliable, the prior's alone."""
    trimap, warped, unreliable = propagate_trimap(last.small, last.alpha, here.small)
    alpha = method(here.small, LowResHints(trimap)).alpha
    combined = combine_with_mask(here.small, alpha, warped, PROPAGATION.flow_weight)
    return np.where(unreliable, alpha, combined).astype(np.float32)


def _solve_tracked(mask: np.ndarray, here: _PropagatedFrame, method: Method) -> np.ndarray:
    """The alpha (h, w) of a frame from its tracked mask, of the network's size."""
    mask = np.clip(cv2.resize(mask, here.small.shape[1::-1], interpolation=cv2.INTER_CUBIC), 0, 1)
    mask = scaled_to_certain(mask)
    trimap = trimap_of_tracked(mask)
    if (trimap == trimap[0, 0]).all() and trimap[0, 0] != 128:  # nothing is unknown
        return np.full(mask.shape, trimap[0, 0] / 255, np.float32)
    alpha = method(here.small, LowResHints(trimap)).alpha
    return combine_with_mask(here.small, alpha, mask, TRACKING.weight)


def scaled_to_certain(mask: np.ndarray, params: TrackingParams = TRACKING) -> np.ndarray:
    """A tracked mask (h, w) in [0, 1], scaled so that its surest part is 1.

    Where the network's views disagree on a frame the average reaches 1 nowhere, and nothing would be known foreground.
    A mask that is nowhere above 0.5 is left as it is.
    """
    inside = mask[mask > 0.5]
    if not inside.size:
        return mask
    return np.minimum(mask / np.float32(np.quantile(inside, params.surest)), np.float32(1))


def trimap_of_tracked(mask: np.ndarray, params: TrackingParams = TRACKING) -> np.ndarray:
    """The trimap (h, w) uint8 {0, 128, 255} of a tracked mask (h, w) in [0, 1]: unknown are its edges and a margin."""
    side = 2 * max(1, round(min(mask.shape) * params.margin)) + 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    trimap = np.full(mask.shape, 128, np.uint8)
    for value, known in ((0, mask < params.known), (255, mask > 1 - params.known)):
        trimap[cv2.erode(known.astype(np.uint8), shape, borderValue=1) > 0] = value
    return trimap


class _PropagatedFrame:
    """A frame's number, small copy (h, w, 3), thumbnail, and its alpha (h, w) as it was written."""

    def __init__(self, index: int, small: np.ndarray, thumb: np.ndarray, alpha: np.ndarray) -> None:
        self.index, self.small, self.thumb, self.alpha = index, small, thumb, alpha

    @classmethod
    def of(cls, frame: Frame, side: int) -> _PropagatedFrame:
        picture = frame.picture
        small = downsample_picture(picture, working_shape(picture.height, picture.width, side))
        return cls(frame.index, small, thumbnail(picture.pixels), np.empty((0, 0), np.float32))

    def write(self, folder: Path, alpha: np.ndarray) -> None:
        """Write the frame's alpha (h, w) and keep it as it was written."""
        path = propagated_file(folder, self.index)
        write_alpha(path, alpha)
        self.alpha = read_alpha(path)

    @classmethod
    def read(cls, reader: ClipReader, index: int, side: int, folder: Path) -> _PropagatedFrame:
        frame = next(iter(reader.frames(index, index + 1)), None)
        if frame is None:
            raise InputError(f"Frame {index} cannot be decoded, and hints are propagated over it.", "Repair the clip.")
        propagated = cls.of(frame, side)
        propagated.alpha = read_alpha(propagated_file(folder, index))
        return propagated


def propagate_trimap(
    before: np.ndarray, alpha: np.ndarray, now: np.ndarray, params: PropagationParams = PROPAGATION
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A trimap of the next frame from the alpha of the last one.

    Unknown are the edges of the warped alpha, and near them the pixels at which forward and backward flow disagree or
    the warped colour is another.

    Args:
        before: (h, w, 3) float32 RGB in [0, 1], the last frame.
        alpha: (h, w) float32 in [0, 1], its alpha.
        now: (h, w, 3) float32 RGB in [0, 1], the next frame.
        params: see there.

    Returns:
        The trimap (h, w) uint8 {0, 128, 255}, the warped alpha (h, w) float32, and where the flow is unreliable,
        (h, w) bool.
    """
    forth, back = optical_flow(before, now), optical_flow(now, before)
    warped, colours, returned = (warp(x, back) for x in (alpha, before, forth))
    length = np.linalg.norm(back, axis=2)
    unreliable = np.linalg.norm(back + returned, axis=2) > params.fold + params.fold_share * length
    unreliable |= np.abs(colours - now).max(2) > params.colour
    edge = (warped > params.known) & (warped < 1 - params.known)
    edge |= np.abs(cv2.Laplacian(warped, cv2.CV_32F)) > params.known
    unreliable &= dilate(edge, 2 * round(params.near * min(alpha.shape)) + 1)
    side = 2 * max(1, round(min(alpha.shape) * params.margin)) + 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    unreliable = cv2.morphologyEx(unreliable.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    trimap = np.full(alpha.shape, 128, np.uint8)
    for value, known in ((0, warped < params.known), (255, warped > 1 - params.known)):
        eroded = cv2.erode((known & ~unreliable).astype(np.uint8), shape, borderValue=1)
        trimap[eroded > 0] = value
    return trimap, warped, unreliable
