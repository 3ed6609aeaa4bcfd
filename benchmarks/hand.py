"""A scripted person who paints a picture whose true matte is known, as one who sees photograph and matte would.

The truth stands in for the eyes: it says where the edge runs, and where the present matte is wrong. All else is a
hand's: lines are planned on a small copy, follow nothing finer than a share of it, have few points and shake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import cv2
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from uhrmat.media.resample import area_average
from uhrmat.painter.canvas import Canvas
from uhrmat.painter.strokes import Stroke

TOOLS = {0: "remove", 128: "unknown", 255: "keep"}
Line = np.ndarray
"""(n, 2) float64 (x, y) in pixels of the small copy."""


@dataclass(frozen=True, kw_only=True)
class HandParams:
    """What a scripted person can see and do. Lengths are shares of the picture's short side unless said otherwise.

    Attributes:
        side: short side of the copy on which strokes are planned, pixels.
        most_strokes: in all, those that were undone included.
        shake: standard deviation of the hand in the outlines, smoothed over a tenth of a line's length.
        zoomed: the same in corrections, as a share of the brush's radius, where that is less: a person zooms in
            to use a small brush.
        point: distance of a line's points.
        outlines: outlines around the subject's parts, and lassos of what is plainly the subject in them, at most.
        least_part: share of the picture's area from which on a part gets an outline; a lasso from a sixth of it on.
        twig: what is thinner the lines do not follow.
        line: half the width of the outline's own line.
        speck: what is thinner does not count as a part of the subject.
        brushes: half the widths of the brush for corrections.
        wrong: a difference of alpha that is seen.
        plain: alphas up to this far from 0 and 1 are plainly background and subject.
        steady: lines and brushes that keep or remove stay this many standard deviations of the hand off what is not
            plain.
        doubt: what each pixel costs that a stroke makes unknown without need, as a difference of alpha.
        urgency: how much more a known pixel counts that is wrong than an unknown one: it spoils its neighbours.
        harm: the same for a pixel that a stroke would make wrong.
        worthwhile: a stroke that mends less than this share of what is wrong is not painted.
    """

    side: int = 280
    most_strokes: int = 12
    shake: float = 0.006
    zoomed: float = 0.4
    point: float = 0.02
    outlines: tuple[int, int] = (3, 2)
    least_part: float = 0.003
    twig: float = 0.02
    line: float = 0.004
    speck: float = 0.004
    brushes: tuple[float, ...] = (0.006, 0.012, 0.025, 0.05)
    wrong: float = 0.05
    plain: float = 0.02
    steady: float = 2.0
    doubt: float = 0.02
    urgency: float = 3.0
    harm: float = 3.0
    worthwhile: float = 0.002


HAND = HandParams()


@dataclass(frozen=True)
class _Plan:
    """A stroke on the small copy before the hand shakes, and what it would mend there, in sums of alpha."""

    value: int
    shape: str
    line: Line
    radius: float
    gain: float = 0.0
    zoomed: bool = False


class Hand:
    """Paints one picture.

    Args:
        truth: (H, W) float32 in [0, 1], the true matte.
        look: gives the matte (H, W) of a trimap (H, W).
        seed: of the hand's noise.
        params: see there.
    """

    def __init__(
        self, truth: np.ndarray, look: Callable[[np.ndarray], np.ndarray], seed: int = 0, params: HandParams = HAND
    ) -> None:
        self.canvas = Canvas(np.full(truth.shape, 128, np.uint8))
        self.strokes = 0
        self._look, self._params, self._rng = look, params, np.random.default_rng(seed)
        self._scale = params.side / min(truth.shape)
        self._truth = self._small(truth)
        self._given_up: list[_Plan] = []

    def paint(self) -> None:
        """Paint the outlines, then correct the matte where it is most wrong, as long as strokes are left."""
        for plan in self._outlines():
            self._draw(plan)
        seen = self._small(self._look(self.canvas.trimap))
        while self.strokes < self._params.most_strokes:
            wrong = float(np.abs(seen - self._truth).sum())
            plan = max(self._corrections(seen), key=lambda plan: plan.gain, default=None)
            if plan is None or plan.gain < self._params.worthwhile * wrong:
                return
            if self._draw(plan):
                corrected = self._small(self._look(self.canvas.trimap))
                if float(np.abs(corrected - self._truth).sum()) < wrong:
                    seen = corrected
                    continue
                self.canvas.undo()
            self._given_up.append(plan)

    # ------------------------------------------------------------------------------------------------------- outlines
    def _outlines(self) -> Iterator[_Plan]:
        """One line around all that is not plainly background, and one inside of it around the plain subject."""
        params, alpha = self._params, self._truth
        margin, twig = params.steady * params.shake, params.twig / 2
        outer = cv2.morphologyEx((alpha > params.wrong).astype(np.uint8), cv2.MORPH_CLOSE, self._disc(twig))
        outer = cv2.dilate(cv2.morphologyEx(outer, cv2.MORPH_OPEN, self._disc(params.speck)), self._disc(margin))
        radius = params.line * params.side
        for part in _parts(outer, params.least_part)[: params.outlines[0]]:
            yield _Plan(128, "outline", _contour(part, radius), radius)
        inner = cv2.erode((alpha > 1 - params.wrong).astype(np.uint8), self._disc(margin))
        inner = cv2.morphologyEx(inner, cv2.MORPH_OPEN, self._disc(twig))
        for part in _parts(inner, params.least_part / 6)[: params.outlines[1]]:
            yield _Plan(255, "fill", _contour(part, radius), radius)

    # ---------------------------------------------------------------------------------------------------- corrections
    def _corrections(self, matte: np.ndarray) -> Iterator[_Plan]:
        """Strokes that would mend something, for each tool and brush the one over most of what is wrong."""
        params, truth = self._params, self._truth
        trimap = self.canvas.trimap
        known = cv2.resize(trimap, truth.shape[::-1], interpolation=cv2.INTER_NEAREST)
        error = np.abs(matte - truth)
        error[error < params.wrong] = 0
        lost = np.where(known != 128, error * params.urgency, 0)
        cost = np.where(known != 128, params.doubt, 0).astype(np.float32)
        yield from self._plans(128, lost, cost, np.ones(truth.shape, bool))
        for value, plain in ((255, truth > 1 - params.plain), (0, truth < params.plain)):
            open_ = error * (plain & (known == 128))
            room = cv2.distanceTransform(np.pad(plain.astype(np.uint8), 1, mode="edge"), cv2.DIST_L2, 5)[1:-1, 1:-1]
            harm = params.harm * np.abs(truth - value / 255)
            yield from self._plans(value, open_, harm.astype(np.float32), room)

    def _plans(self, value: int, error: np.ndarray, cost: np.ndarray, room: np.ndarray) -> Iterator[_Plan]:
        side = self._params.side
        if not error.any():
            return
        for share in self._params.brushes:
            radius = max(1.0, share * side)
            allowed = room if room.dtype == bool else room >= radius + self._params.steady * self._shake(radius)
            near = cv2.dilate((error > 0).astype(np.uint8), _disc(radius * 0.7)) > 0
            region = allowed & near
            if not region.any():
                continue
            labels = cv2.connectedComponents(region.astype(np.uint8))[1]
            weight = cv2.dilate(error.astype(np.float32), _disc(radius))
            best = np.bincount(labels.ravel(), (weight * region).ravel())
            best[0] = 0
            part = labels == best.argmax()
            for shape, line in (("brush", _longest_line(part)), ("fill", _contour(part, 0))):
                plan = _Plan(value, shape, line, radius, zoomed=True)
                if shape == "fill" and len(line) < 8:
                    continue
                covered = self._covered(plan)
                if self._was_given_up(value, covered):
                    continue
                yield replace(plan, gain=float(error[covered].sum() - cost[covered & (error == 0)].sum()))

    def _was_given_up(self, value: int, covered: np.ndarray) -> bool:
        """Whether most of what a stroke covers was painted before, and undone because it made the matte worse."""
        given_up = [self._covered(plan) for plan in self._given_up if plan.value == value]
        return any((covered & mask).sum() > 0.5 * covered.sum() for mask in given_up)

    # ----------------------------------------------------------------------------------------------------------- hand
    def _draw(self, plan: _Plan) -> bool:
        """Draw a plan by hand: fewer points, and noise. False where that changes nothing."""
        params, line = self._params, plan.line
        n = len(line)
        if n > 2:
            count = 1 + min(10, n // 2)
            noise = np.fft.irfft(np.fft.rfft(self._rng.normal(0, 1, (n, 2)), axis=0)[:count], n, axis=0)
            shake = params.shake * params.side if not plan.zoomed else self._shake(plan.radius)
            line = line + shake * noise / max(1e-9, float(noise.std()))
        step = max(1, round(params.point * params.side))
        points = np.concatenate([line[::step], line[-1:]]) / self._scale
        tool = TOOLS[plan.value]
        self.strokes += 1
        return self.canvas.paint(Stroke(tool=tool, shape=plan.shape, points=points, radius=plan.radius / self._scale))

    def _shake(self, radius: float) -> float:
        """Standard deviation of the hand in a correction: small brushes are used zoomed in."""
        return min(self._params.shake * self._params.side, self._params.zoomed * radius)

    def _covered(self, plan: _Plan) -> np.ndarray:
        plane = np.zeros(self._truth.shape, np.uint8)
        points = np.rint(plan.line * 16).astype(np.int32)[:, None]
        if plan.shape == "fill":
            cv2.fillPoly(plane, [points], 1, shift=4)
        else:
            cv2.polylines(plane, [points], False, 1, max(1, round(2 * plan.radius)), shift=4)
        return plane > 0

    def _small(self, alpha: np.ndarray) -> np.ndarray:
        return area_average(alpha, (round(alpha.shape[0] * self._scale), round(alpha.shape[1] * self._scale)))

    def _disc(self, share: float) -> np.ndarray:
        return _disc(share * self._params.side)


def _disc(radius: float) -> np.ndarray:
    size = 2 * round(radius) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))


def _parts(mask: np.ndarray, least: float) -> list[np.ndarray]:
    """Connected parts of a mask with at least a share of its pixels, the largest first."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    order = sorted(range(1, count), key=lambda label: -stats[label, cv2.CC_STAT_AREA])
    return [labels == label for label in order if stats[label, cv2.CC_STAT_AREA] >= least * mask.size]


def _contour(part: np.ndarray, radius: float) -> Line:
    """The outer contour of a part. At the border it runs outside of the picture by three radii."""
    contours = cv2.findContours(np.pad(part, 1).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]
    line = max(contours, key=len)[:, 0].astype(np.float64) - 0.5
    size = np.array(part.shape[::-1])
    return line + np.where(line < 2, -3 * radius, 0) + np.where(line > size - 2, 3 * radius, 0)


def _longest_line(part: np.ndarray) -> Line:
    """The longest of the shortest ways between pixels of a part, nearly."""
    index = np.full(part.shape, -1)
    index[part] = np.arange(part.sum())
    pairs = []
    for dy, dx in ((0, 1), (1, 0), (1, 1), (1, -1)):
        a = index[: part.shape[0] - dy, max(0, -dx) : part.shape[1] - max(0, dx)]
        b = index[dy:, max(0, dx) : part.shape[1] + min(0, dx)]
        both = (a >= 0) & (b >= 0)
        pairs.append(np.stack([a[both], b[both]]))
    first, second = np.concatenate(pairs, axis=1)
    graph = sparse.coo_matrix((np.ones(len(first), np.int8), (first, second)), shape=(part.sum(), part.sum())).tocsr()
    end = csgraph.breadth_first_order(graph, 0, directed=False, return_predecessors=False)[-1]
    order, before = csgraph.breadth_first_order(graph, end, directed=False)
    way = [order[-1]]
    while way[-1] != end:
        way.append(before[way[-1]])
    return np.argwhere(part)[way][:, ::-1] + 0.5
