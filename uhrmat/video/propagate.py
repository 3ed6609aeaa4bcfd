"""Carrying a hint from frame to frame: optical flow takes the last alpha along, the prior decides what is then open.

Runs on small pictures, one frame after another, ahead of the matting, and writes one small alpha per frame; so that
every segment finds its hints in files, wherever it is computed. The flow is OpenCV's DIS (Kroeger et al., ECCV 2016).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from uhrmat.core.errors import InputError
from uhrmat.hints.files import read_alpha
from uhrmat.media import write_alpha
from uhrmat.media.resample import area_average, downsample_trimap
from uhrmat.media.video import ClipReader, Frame
from uhrmat.prior.base import LowResHints, PriorResult, working_shape
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.sparsity.spatial import dilate
from uhrmat.sparsity.temporal import is_cut, thumbnail
from uhrmat.video.evidence import combine_with_mask
from uhrmat.video.flow import optical_flow, warp
from uhrmat.video.hints import ClipHints, key_hints, propagated_file
from uhrmat.video.reuse import unchanged
from uhrmat.video.segments import Segment

Method = Callable[[np.ndarray, LowResHints], PriorResult]
SURE = 0.05
"""A propagated alpha this close to 0 or 1 is taken as known, away from its edges."""
GIVEN, TAKEN = 0.9, 0.75
"""Weight, against the prior's word, of a mask that was given and of what the flow has taken along."""
_MARGIN = 1 / 128
"""Width of the open band on either side of an edge, as a share of the short side."""
_NEAR = 0.05
"""Doubts of the flow count this near to an edge, as a share of the short side: far from it the subject stays itself."""
_FOLD, _FOLD_SHARE, _COLOUR = 1.0, 0.1, 0.15


def track_segment(
    reader: ClipReader, segment: Segment, hints: ClipHints, method: Method, side: int, folder: Path,
    stop: threading.Event | None = None,
) -> list[str]:  # fmt: skip
    """Writes the alpha of each frame of `segment` into `folder`; returns notes. `stop` ends it early.

    side: short side of the small pictures. The frame before the segment must have been tracked, unless the segment
    begins with a key frame. Depends on nothing but files, so that going on after a stop changes nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    notes: list[str] = []
    keyed = segment.start in hints.keys
    last = None if keyed else _PropagatedFrame.read(reader, segment.start - 1, side, folder)
    solved = last
    for frame in reader.frames(segment.start, segment.stop):
        if stop is not None and stop.is_set():
            break
        here = _PropagatedFrame.of(frame, side)
        if frame.index in hints.keys:
            alpha, solved = _given(frame, here, hints, method, notes), here
        else:
            assert last is not None and solved is not None
            if is_cut(here.thumb, last.thumb, 0.0):
                notes.append(
                    f"frame {frame.index} looks like a cut: hints propagated over it are a guess, give one for it"
                )
            if unchanged(here.small, solved.small, last.small):
                alpha = last.alpha
            else:
                alpha, solved = _followed(last, here, method), here
        path = propagated_file(folder, frame.index)
        write_alpha(path, alpha)
        here.alpha = read_alpha(path)
        last = here
    return notes


def _given(frame: Frame, here: _PropagatedFrame, hints: ClipHints, method: Method, notes: list[str]) -> np.ndarray:
    """The alpha (h, w) of a key frame: the prior's, and the mask's where the colours do not speak for the prior."""
    size, shape = (frame.picture.height, frame.picture.width), here.small.shape[:2]
    given = key_hints(hints, frame.index, size)
    notes += [*given.choices, *given.warnings]
    assert given.trimap is not None
    alpha = method(here.small, LowResHints(downsample_trimap(given.trimap, shape))).alpha
    return alpha if given.mask is None else combine_with_mask(here.small, alpha, area_average(given.mask, shape), GIVEN)


def _followed(last: _PropagatedFrame, here: _PropagatedFrame, method: Method) -> np.ndarray:
    """The alpha (h, w) propagated on from the last frame: where the flow is in doubt the prior decides alone."""
    known, taken, doubt = propagated(last.small, last.alpha, here.small)
    alpha = method(here.small, LowResHints(known)).alpha
    return np.where(doubt, alpha, combine_with_mask(here.small, alpha, taken, TAKEN)).astype(np.float32)


class _PropagatedFrame:
    """A frame's small copy (h, w, 3), thumbnail, and its alpha (h, w) as it was written."""

    def __init__(self, small: np.ndarray, thumb: np.ndarray, alpha: np.ndarray) -> None:
        self.small, self.thumb, self.alpha = small, thumb, alpha

    @classmethod
    def of(cls, frame: Frame, side: int) -> _PropagatedFrame:
        picture = frame.picture
        small = downsample_picture(picture, working_shape(picture.height, picture.width, side))
        return cls(small, thumbnail(picture.pixels), np.empty((0, 0), np.float32))

    @classmethod
    def read(cls, reader: ClipReader, index: int, side: int, folder: Path) -> _PropagatedFrame:
        frame = next(iter(reader.frames(index, index + 1)), None)
        if frame is None:
            raise InputError(f"Frame {index} cannot be decoded, and hints are propagated over it.", "Repair the clip.")
        found = cls.of(frame, side)
        found.alpha = read_alpha(propagated_file(folder, index))
        return found


def propagated(before: np.ndarray, alpha: np.ndarray, now: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What the last frame's alpha says of this frame: a trimap (h, w) uint8 {0, 128, 255}, the alpha taken along by the
    flow, (h, w) float32, and where that is in doubt, (h, w) bool.

    before, now: (h, w, 3) float32 in [0, 1]; alpha: (h, w) of `before`. Open are the edges of the alpha taken along,
    and whatever the flow there and back does not agree on, or shows in another colour.
    """
    forth, back = optical_flow(before, now), optical_flow(now, before)
    taken, colours, returned = (warp(x, back) for x in (alpha, before, forth))
    length = np.linalg.norm(back, axis=2)
    doubt = np.linalg.norm(back + returned, axis=2) > _FOLD + _FOLD_SHARE * length
    doubt |= np.abs(colours - now).max(2) > _COLOUR
    edge = ((taken > SURE) & (taken < 1 - SURE)) | (np.abs(cv2.Laplacian(taken, cv2.CV_32F)) > SURE)
    doubt &= dilate(edge, 2 * round(_NEAR * min(alpha.shape)) + 1)
    side = 2 * max(1, round(min(alpha.shape) * _MARGIN)) + 1
    shape = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    doubt = cv2.morphologyEx(doubt.astype(np.uint8), cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)) > 0
    found = np.full(alpha.shape, 128, np.uint8)
    for value, sure in ((0, taken < SURE), (255, taken > 1 - SURE)):
        certain = cv2.erode((sure & ~doubt).astype(np.uint8), shape, borderValue=1)
        found[certain > 0] = value
    return found, taken, doubt
