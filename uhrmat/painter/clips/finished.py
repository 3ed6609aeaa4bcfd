"""The finished matte of a clip on its page: what a run has written, until something is painted."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from uhrmat.core.errors import UhrmatError
from uhrmat.media.resample import area_average
from uhrmat.painter.clips.request import ClipRequest
from uhrmat.painter.tiles import full_box, tile_box
from uhrmat.video.existing import ExistingOutput, find_outputs
from uhrmat.video.plan import plan_clip

_KEPT = 2
"""Mattes that are kept decoded: of the frame in view, and of the one before."""


class FinishedMatte:
    """The mattes of a run's output, decoded when they are looked at. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._output: ExistingOutput | None = None
        self._versions: Mapping[int, int] = {}
        self._kept = dict[int, npt.NDArray[np.float32]]()

    def take(self, request: ClipRequest, versions: Mapping[int, int]) -> None:
        """Take in what a run has written; nothing is shown where it cannot be read.

        Args:
            request: of the run.
            versions: of the painted frames when it began.
        """
        try:
            plan = plan_clip(replace(request, redo=None, replace=True).spec, overwrite=True)
            outputs = [one for one in find_outputs(plan) if one.target.content != "composite"]
        except UhrmatError:  # moved away since: the page shows what is propagated, as before
            outputs = []
        with self._lock:
            self._kept.clear()
            self._output, self._versions = next(iter(outputs), None), dict(versions)

    def shown(self, versions: Mapping[int, int]) -> bool:
        """Whether there is one, and nothing has been painted since. versions: of the painted frames now."""
        return self._output is not None and dict(versions) == self._versions

    def tile(self, frame: int, size: tuple[int, int], level: int, x: int, y: int) -> npt.NDArray[np.uint8] | None:
        """A tile of a frame's matte as uint8; None where the frame cannot be read. size: (H, W) of the frames."""
        with self._lock:
            alpha = self._alpha(frame)
        if alpha is None or alpha.shape != size:
            return None
        box = tile_box(size, level, x, y)
        left, top, right, bottom = full_box(box, level, size)
        part = area_average(np.ascontiguousarray(alpha[top:bottom, left:right]), (box[3] - box[1], box[2] - box[0]))
        return np.asarray(np.rint(part * 255).clip(0, 255), np.uint8)

    def _alpha(self, frame: int) -> npt.NDArray[np.float32] | None:
        if frame not in self._kept and self._output is not None:
            try:
                self._kept[frame] = np.asarray(self._output.alpha(frame), np.float32)
            except (UhrmatError, KeyError):
                return None
            while len(self._kept) > _KEPT:
                self._kept.pop(next(iter(self._kept)))
        return self._kept.get(frame)
