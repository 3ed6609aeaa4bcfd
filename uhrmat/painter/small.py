"""The painted trimap at working size, downsampled again only in the rows that a stroke has changed."""

from __future__ import annotations

import numpy as np

from uhrmat.hints.scribbles import SCRIBBLES, ScribbleParams, from_shares
from uhrmat.media.coding import BACKGROUND, FOREGROUND
from uhrmat.media.resample import Shape, area_average
from uhrmat.painter.canvas import Canvas, Trimap


class SmallTrimap:
    """`downsample_scribbles` of a canvas, kept up to date.

    Args:
        canvas: what is painted.
        shape: (h, w), not larger.
        params: how much of a small pixel a stroke must cover.
    """

    def __init__(self, canvas: Canvas, shape: Shape, params: ScribbleParams = SCRIBBLES) -> None:
        self._canvas, self._shape, self._params = canvas, shape, params
        self._revision = -1
        height = canvas.size[0]
        self._narrow = {side: np.zeros((height, shape[1]), np.float32) for side in (BACKGROUND, FOREGROUND)}

    def update(self) -> tuple[int, Trimap]:
        """The canvas's revision, and its trimap (h, w) uint8 {0, 128, 255}."""
        with self._canvas.lock:
            first, last = self._canvas.changed_rows(self._revision)
            self._revision = self._canvas.revision
            rows = self._canvas.trimap[first:last].copy()
        if len(rows):
            for side, narrow in self._narrow.items():
                narrow[first:last] = area_average(rows == side, (len(rows), self._shape[1]))
        back, front = (area_average(narrow, self._shape) for narrow in self._narrow.values())
        return self._revision, from_shares(back, front, self._params)
