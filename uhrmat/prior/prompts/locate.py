"""Finds the subject that points, boxes or strokes mark.

Colour models of the picture itself (GrabCut: Rother, Kolmogorov, Blake, SIGGRAPH 2004) work together with a network
that finds salient subjects.

The network says what looks like a subject, from views of several sizes around the marks; the colour models say what
looks like the marked side rather than the other. For a box the two and a GrabCut of the box alone vote; for points and
strokes the view decides in which the marked part is most certain and best contained.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from uhrmat.hints.prompts import Box, Prompts
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints, PriorMethod, PriorResult, working_shape
from uhrmat.prior.prompts.grabcut import BACKGROUND, FOREGROUND, LIKELY_BACKGROUND, LIKELY_FOREGROUND, grabcut

Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
_LEVEL = 0.5


@dataclass(frozen=True, kw_only=True)
class LocatorParams:
    """Parameters of the search for what prompts mark. All may be changed.

    Chosen by a trial at 192 pixels on 61 masks with one large part of train/photos_masked, the other steps of a grid of
    three or four values in brackets; `python -m benchmarks.prompts --train` measures on the same masks. The bundled
    network was trained on these photographs, so that its share may be too large. See docs/research/no-hints.md.

    Attributes:
        side: short side in pixels of what GrabCut and the views are computed on.
        margins: of the network's views around a box, as shares of the box's sides. The whole picture is one more view.
        surroundings: around a box, as a share of its sides: where GrabCut takes the background's colours.
        reach: half the side of the views around points, as shares of the short side of the picture; as well whole.
        spread: the network's alpha in a box is divided by this quantile of it.
        weakest: where that quantile is lower, the strongest view counts alone; where it is lower there too, the network
            sees nothing in the box, and colours alone decide.
        certain: from this alpha on GrabCut may not take a pixel away (0.6, 0.7, 0.8).
        likely: from this alpha on a pixel starts as foreground.
        absent: up to this alpha GrabCut may not add a pixel (0.05, 0.15, 0.25).
        remainder: a part marked as background is removed if the others have at least this share of its area; not
            tuned.
        mark: radius of a point's mark, as a share of the short side.
        least_part: a part around points smaller than this many times the mark does not count; then colours alone
            decide.
        colours: without such a part, points are surrounded by likely foreground of this radius, as a share of the
            short side.
    """

    side: int = 224
    margins: tuple[float, ...] = (0.0, 0.1, 0.3)
    surroundings: float = 0.5
    reach: tuple[float, ...] = (0.6, 0.35, 0.2)
    spread: float = 0.9
    weakest: float = 0.2
    certain: float = 0.9
    likely: float = 0.4
    absent: float = 0.1
    remainder: float = 0.1
    mark: float = 0.02
    least_part: float = 3.0
    colours: float = 0.25


LOCATOR_DEFAULTS = LocatorParams()


@dataclass(frozen=True)
class _Marks:
    """inside, outside: (h, w) bool, pixels that belong to the subject, and that do not."""

    inside: Bools
    outside: Bools

    def crop(self, window: tuple[slice, slice], shape: tuple[int, int]) -> _Marks:
        """The marks of a window of the picture, resized to `shape`."""
        return _Marks(*(area_average(m[window].astype(np.float32), shape) > 0 for m in (self.inside, self.outside)))


class PromptLocator:
    """A coarse alpha of what points, boxes and strokes mark; a prior for `networks.matte.NetworkMatte`.

    Args:
        network: finds subjects in a picture without hints.
        params: see there.
    """

    name = "prompts"
    working_size: int | None = None
    takes_prompts = True

    def __init__(self, network: PriorMethod, params: LocatorParams = LOCATOR_DEFAULTS) -> None:
        self._network, self._params = network, params

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        prompts = hints.prompts or Prompts()
        height, width = small.shape[:2]
        whole = self._view(small, (slice(0, height), slice(0, width)))
        marks = self._marks(prompts, (height, width))
        boxes = [box for box in prompts.boxes if box.foreground]
        if boxes:
            alpha = np.max([self._in_box(small, whole, box, marks) for box in boxes], axis=0)
        elif marks.inside.any():
            alpha = self._around_marks(small, whole, marks)
        else:  # background alone is marked: the network's subject without it
            alpha = self._in_box(small, whole, Box(0, 0, width, height), marks)
        alpha[marks.inside], alpha[marks.outside] = 1, 0
        return PriorResult(alpha, self.name)

    def _marks(self, prompts: Prompts, shape: tuple[int, int]) -> _Marks:
        inside, outside = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        radius = max(1, round(self._params.mark * min(shape)))
        if prompts.strokes is not None:
            inside[prompts.strokes] = 1
        for foreground, plane in ((False, outside), (True, inside)):
            for point in (p for p in prompts.points if p.foreground == foreground):
                cv2.circle(plane, (int(point.x), int(point.y)), radius, 1, -1)
        for box in (box for box in prompts.boxes if not box.foreground):
            outside[_slices(box.x0, box.y0, box.x1, box.y1, shape)] = 1
        exact = [(int(p.y), int(p.x)) for p in prompts.points if p.foreground]
        outside[inside > 0] = 0
        for point in (p for p in prompts.points if not p.foreground):  # points nearer to each other than their marks
            if (int(point.y), int(point.x)) not in exact:
                inside[int(point.y), int(point.x)], outside[int(point.y), int(point.x)] = 0, 1
        return _Marks(inside > 0, outside > 0)

    def _in_box(self, small: np.ndarray, whole: Floats, box: Box, marks: _Marks) -> Floats:
        """The alpha (h, w) of the subject in a box; 0 outside of it."""
        params, (height, width) = self._params, small.shape[:2]
        inside = np.zeros((height, width), bool)
        inside[_slices(box.x0, box.y0, box.x1, box.y1, inside.shape)] = True
        views = [whole, *(self._view(small, _around(box, margin, inside.shape)) for margin in params.margins)]
        views = views if not inside.all() else views[:1]
        alpha = np.mean(views, axis=0)
        if np.quantile(alpha[inside], params.spread) < params.weakest:  # one view may see what the others do not
            alpha = max(views, key=lambda view: float(np.quantile(view[inside], params.spread)))
        alpha = self._without_background(alpha * inside, marks)
        strength = float(np.quantile(alpha[inside], params.spread))
        alpha = np.clip(alpha / max(strength, 1e-6), 0, 1) * inside
        window = _around(box, params.surroundings, inside.shape)
        shape = working_shape(window[0].stop - window[0].start, window[1].stop - window[1].start, params.side)
        picture = area_average(small[window], shape)
        near, room = area_average(alpha[window], shape), area_average(inside[window].astype(np.float32), shape) > _LEVEL
        known = marks.crop(window, shape)
        votes: list[Floats] = []
        if strength >= params.weakest or room.all():
            votes = [
                np.clip(near / np.float32(2 * params.likely), 0, 1),
                grabcut(picture, self._seeds(near, room, known)),
            ]
        if not room.all():
            seeds = np.where(room, LIKELY_FOREGROUND, BACKGROUND).astype(np.uint8)
            votes.append(grabcut(picture, _marked(seeds, known)))
        voted = np.asarray(np.mean(np.stack(votes), axis=0), np.float32)
        return _pasted(voted, window, inside.shape) * inside

    def _around_marks(self, small: np.ndarray, whole: Floats, marks: _Marks) -> Floats:
        """The alpha (h, w) of the part of the picture that marks lie on."""
        params, shape = self._params, small.shape[:2]
        rows, columns = np.nonzero(marks.inside)
        marked = Box(float(columns.min()), float(rows.min()), float(columns.max() + 1), float(rows.max() + 1))
        whole = self._without_background(whole, marks)
        best, score = whole, self._score(whole, (slice(0, shape[0]), slice(0, shape[1])), marks)
        for reach in params.reach:
            window = _widened(marked, reach * min(shape), shape)
            view = self._without_background(self._view(small, window), marks)
            if (value := self._score(view, window, marks)) > score + 0.05:
                best, score = view, value
        size = working_shape(shape[0], shape[1], params.side)
        picture, near = area_average(small, size), area_average(best, size)
        known = marks.crop((slice(None), slice(None)), size)
        part = _connected((near > _LEVEL) | known.inside, known.inside)
        if part.sum() >= params.least_part * known.inside.sum():
            seeds = self._seeds(np.where(part | (near < params.likely), near, params.likely), None, known)
        else:
            distance = cv2.distanceTransform((~known.inside).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
            close = distance < params.colours * min(size)
            seeds = _marked(np.where(close, LIKELY_FOREGROUND, LIKELY_BACKGROUND).astype(np.uint8), known)
        cut = _connected((grabcut(picture, seeds) > 0) | known.inside, known.inside)
        return np.asarray(area_average(cut.astype(np.float32), shape))

    def _without_background(self, alpha: Floats, marks: _Marks) -> Floats:
        """The network's alpha (h, w) without the parts that are marked as background.

        If such a part also holds a mark of the subject, or is all there is, nothing in it is certain any more.
        """
        parts = alpha > _LEVEL
        wrong = _connected(parts, marks.outside)
        if not wrong.any():
            return alpha
        mixed = _connected(wrong, marks.inside & wrong)
        rest = parts & ~wrong
        if not mixed.any() and rest.sum() < self._params.remainder * wrong.sum():
            mixed = wrong
        uncertain = np.minimum(alpha, (self._params.likely + self._params.certain) / 2)
        return np.where(mixed, uncertain, np.where(wrong, 0, alpha)).astype(np.float32)

    def _seeds(self, alpha: Floats, room: Bools | None, known: _Marks) -> npt.NDArray[np.uint8]:
        """What GrabCut starts from: certain and likely pixels by the network's alpha, within `room`."""
        params = self._params
        seeds = np.full(alpha.shape, LIKELY_BACKGROUND, np.uint8)
        seeds[alpha > params.likely] = LIKELY_FOREGROUND
        seeds[alpha > params.certain] = FOREGROUND
        seeds[alpha < params.absent] = BACKGROUND
        if room is not None:
            seeds[~room] = BACKGROUND
        return _marked(seeds, known)

    def _score(self, view: Floats, window: tuple[slice, slice], marks: _Marks) -> float:
        """How certain a view is of the part that the marks lie on, less where the view's edge cuts that part off."""
        part = _connected((view > _LEVEL) | marks.inside, marks.inside)
        height, width = view.shape
        frame = np.zeros(view.shape, bool)
        rows, columns = window
        for at, end, row in ((rows.start, 0, True), (rows.stop - 1, height - 1, True),
                             (columns.start, 0, False), (columns.stop - 1, width - 1, False)):  # fmt: skip
            if at != end:  # the picture's own edge is none
                frame[(at, columns) if row else (rows, at)] = True
        cut_off = float((part & frame).sum()) / float(frame.sum()) if frame.any() else 0.0
        return float(view[marks.inside].mean()) * (1 - cut_off) * float(view[part].mean())

    def _view(self, small: np.ndarray, window: tuple[slice, slice]) -> Floats:
        """The network's alpha (h, w) of a window of the picture, 0 around it."""
        crop = small[window]
        side = self._network.working_size or self._params.side
        scale = min(side / min(crop.shape[:2]), 2.5 * side / max(crop.shape[:2]))
        shape = max(1, round(crop.shape[0] * scale)), max(1, round(crop.shape[1] * scale))
        alpha = self._network(area_average(crop, shape), LowResHints()).alpha
        return _pasted(alpha, window, small.shape[:2])


def _pasted(alpha: Floats, window: tuple[slice, slice], shape: tuple[int, ...]) -> Floats:
    """An alpha of any size, resized into a window of (h, w), 0 around it."""
    result = np.zeros(shape, np.float32)
    result[window] = area_average(alpha, result[window].shape)
    return result


def _marked(seeds: npt.NDArray[np.uint8], known: _Marks) -> npt.NDArray[np.uint8]:
    seeds[known.outside] = BACKGROUND
    seeds[known.inside] = FOREGROUND
    return seeds


def _connected(region: Bools, to: Bools) -> Bools:
    """The connected parts of a region (h, w) that hold a pixel of `to`."""
    count, labels = cv2.connectedComponents(region.astype(np.uint8), connectivity=8)
    keep = np.zeros(count, bool)
    keep[np.unique(labels[to])] = True
    keep[0] = False
    return np.asarray(keep[labels])


def _slices(x0: float, y0: float, x1: float, y1: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """Rows and columns of a box, at least one of each."""
    left, top = min(max(0, round(x0)), shape[1] - 1), min(max(0, round(y0)), shape[0] - 1)
    return slice(top, min(shape[0], max(top + 1, round(y1)))), slice(left, min(shape[1], max(left + 1, round(x1))))


def _around(box: Box, margin: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A box and a margin around it, as a share of its sides, within the picture."""
    right, down = margin * (box.x1 - box.x0), margin * (box.y1 - box.y0)
    return _slices(box.x0 - right, box.y0 - down, box.x1 + right, box.y1 + down, shape)


def _widened(box: Box, by: float, shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A box and `by` pixels around it, within the picture."""
    return _slices(box.x0 - by, box.y0 - by, box.x1 + by, box.y1 + by, shape)
