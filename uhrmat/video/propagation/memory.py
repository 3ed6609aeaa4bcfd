"""What subject and background looked like in the key frame and in recent frames, and which of them a frame resembles.

Each cell of a frame's features is compared with all cells remembered of the subject and of the background: the mean of
the largest cosine similarities with the one, less that with the other. Matching by features to the first frame and a
recent one goes back to VideoMatch (Hu et al., ECCV 2018, https://arxiv.org/abs/1809.01123) and FEELVOS (Voigtlaender et
al., CVPR 2019, https://arxiv.org/abs/1902.09513); here the features are those of a network for stills, and the
similarity corrects the mask that another network predicts.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import torch
from torch import Tensor

from uhrmat.core.devices import one_thread
from uhrmat.video.propagation.crop import cut_out, subject_crop
from uhrmat.video.propagation.guide import Look, SubjectGuide
from uhrmat.video.propagation.params import TRACKING, TrackingParams
from uhrmat.video.propagation.states import TrackedMask


class _Cells(NamedTuple):
    """Features (n, C) of the cells that lie inside the subject, and of those in the background."""

    subject: Tensor
    background: Tensor


class SubjectMemory:
    """The memory of one direction from a key frame.

    Args:
        guide: computes the features.
        picture: (h, w, 3) float32 RGB in [0, 1] of the key frame at the network's size.
        key: its mask.
        params: see there.
    """

    def __init__(
        self, guide: SubjectGuide, picture: np.ndarray, key: TrackedMask, params: TrackingParams = TRACKING
    ) -> None:
        self.guide, self._params = guide, params
        self._key = self._cells(picture, key)
        self._recent: list[tuple[int, _Cells]] = []
        self._unseen: tuple[np.ndarray, TrackedMask] | None = None

    def remember(self, picture: np.ndarray, tracked: TrackedMask) -> None:
        """Take in a tracked frame, in order from the key frame; most are passed over (`recalls`).

        Its features are computed by `catch_up`.
        """
        if recalls(tracked, self._params):
            self.catch_up()
            self._unseen = picture, tracked

    def catch_up(self) -> None:
        """Compute the features of the frame that was remembered last, if that is still to be done.

        `track.next_mask` calls it beside the flow of the next frame, `similarity` in any case. Not for use from several
        threads at once.
        """
        if self._unseen is not None:
            (picture, tracked), self._unseen = self._unseen, None
            self._recent = [*self._recent, (tracked.distance, self._cells(picture, tracked))]
            self._recent = self._recent[-self._params.recall_frames :]

    def similarity(self, look: Look, distance: int) -> np.ndarray:
        """Of a frame, how much more each pixel resembles the subject than the background.

        Args:
            look: at the frame, or at a crop of it.
            distance: frames from the key frame; those remembered longer ago than `recall_span` do not count.

        Returns:
            (h, w) float32 in [-2, 2], 0 where the subject or the background has too few cells.
        """
        self.catch_up()
        far = distance - self._params.recall_span
        remembered = [self._key, *(cells for at, cells in self._recent if at >= far)]
        subject = torch.cat([cells.subject for cells in remembered])
        background = torch.cat([cells.background for cells in remembered])
        count = self._params.match_neighbours
        height, width = look.planes.shape[:2]
        if min(len(subject), len(background)) < count:
            return np.zeros((height, width), np.float32)
        with one_thread():
            near, far_off = ((look.features @ cells.T).topk(count, 1).values.mean(1) for cells in (subject, background))
        grid = (near - far_off).reshape(look.grid).cpu().numpy()
        return np.asarray(cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)

    def _cells(self, picture: np.ndarray, tracked: TrackedMask) -> _Cells:
        """The cells around a mask that lie inside of it, and those outside; cells at its edge are neither."""
        params = self._params
        crop = subject_crop(tracked.alpha, params.guide_crop, tracked.key_area, params)
        look = self.guide.look(cut_out(picture, crop))
        mask = cv2.resize(cut_out(tracked.alpha, crop), look.grid[::-1], interpolation=cv2.INTER_AREA).ravel()
        inside, outside = (
            look.features.index_select(0, torch.from_numpy(np.flatnonzero(cells)).to(look.features.device))
            for cells in (mask > params.subject_cell, mask < params.background_cell)
        )
        return _Cells(inside, outside)


def recalls(tracked: TrackedMask, params: TrackingParams = TRACKING) -> bool:
    """Whether a tracked frame is remembered: every few frames, and only if its mask is sure."""
    return tracked.distance % params.recall_every == 0 and tracked.confidence >= params.recall_confidence
