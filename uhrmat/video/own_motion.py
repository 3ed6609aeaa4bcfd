"""What moves against the camera: evidence of what the subject of a clip without hints is.

A network for stills marks spectators beside a dancer, and loses the part of a subject that does not look like one. But
the background of most clips moves as one plane, or stands still, and the subject does not move with it. So each pixel's
optical flow is compared with the background's, a homography; where much of what is marked moves by itself, what does
not is less likely to be the subject, and what does is more likely. A subject that keeps still changes nothing.

Motion against the background's as a cue: Irani and Anandan, "A unified approach to moving object detection in 2D and 3D
scenes", TPAMI 1998; Papazoglou and Ferrari, "Fast object segmentation in unconstrained video", ICCV 2013.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True, kw_only=True)
class OwnMotionParams:
    """Parameters of the evidence from motion. May be changed; they are part of a clip's settings.

    Chosen on parkour, scooter-black, kite-surf and dance-twirl (docs/research/clips.md).

    Attributes:
        grid: the background's motion is estimated from every so many pixels,
        least_points: of which at least so many must be background whose flow is reliable,
        tolerance: and counts as one motion as far as it agrees to so many pixels.
        still: motion in pixels, at `ConsensusParams.side`, that may be an error of the flow.
        upper: quantile of the motion of what is marked that stands for the subject's. Most of what is marked may be
            something else: the median lost a dancer before a crowd.
        level: a pixel is as likely to be subject as background if its motion lies at this share of the way from the
            background's to the subject's, in logarithms.
        gain: logit that a motion e times as large adds,
        limit: and the most that is added or taken off.
        full: motion counts in full where the subject's is so many times the background's, not at all where it is no
            larger, and in proportion to the logarithm between.
    """

    grid: int = 8
    least_points: int = 20
    tolerance: float = 1.0
    still: float = 0.3
    upper: float = 0.75
    level: float = 0.65
    gain: float = 1.0
    limit: float = 2.0
    full: float = 8.0


OWN_MOTION = OwnMotionParams()


def own_motion(
    flow: np.ndarray, reliable: np.ndarray, marked: np.ndarray, params: OwnMotionParams = OWN_MOTION
) -> np.ndarray | None:
    """How far each pixel moves to a neighbouring frame against the background.

    Args:
        flow: (h, w, 2) float32, where each pixel lies in the other frame, from its own place, in pixels.
        reliable: (h, w) bool, pixels whose flow is.
        marked: (h, w) bool, what is perhaps the subject: the rest is the background.
        params: see there.

    Returns:
        (h, w) float32, pixels; None where too little background is seen, or it has no motion of one plane.
    """
    height, width = flow.shape[:2]
    every = slice(params.grid // 2, None, params.grid)
    ys, xs = (places[every, every].ravel() for places in np.indices((height, width)))
    usable = reliable[ys, xs] & ~marked[ys, xs]
    if np.count_nonzero(usable) < params.least_points:
        return None
    ys, xs = ys[usable], xs[usable]
    points = np.stack([xs, ys], 1).astype(np.float32)
    plane, _ = cv2.findHomography(points, points + flow[ys, xs], cv2.RANSAC, params.tolerance)
    if plane is None:
        return None
    rows, columns = np.indices((height, width), np.float32)
    places = np.stack([columns, rows], 2)
    moved = cv2.perspectiveTransform(places.reshape(-1, 1, 2), plane).reshape(height, width, 2)
    return np.asarray(np.linalg.norm(places + flow - moved, axis=2), np.float32)


def motion_logits(
    motions: Sequence[np.ndarray], marks: Sequence[np.ndarray], reach: int, params: OwnMotionParams = OWN_MOTION
) -> list[np.ndarray]:
    """What the motion of each pixel adds to the logit that it is subject.

    Args:
        motions: (h, w) float32 of each frame, see `own_motion`, averaged over neighbouring frames; NaN where unknown.
        marks: (h, w) bool of each frame, what is perhaps the subject.
        reach: frames before and after each whose motion decides what the subject's and the background's are.
        params: see there.

    Returns:
        (h, w) float32 of each frame, 0 where its motion is unknown.
    """
    added = []
    for at, motion in enumerate(motions):
        near = slice(max(0, at - reach), at + reach + 1)
        around, marked = np.stack(motions[near]), np.stack(marks[near])
        known = ~np.isnan(around)
        inside, outside = around[marked & known], around[~marked & known]
        if not inside.size or not outside.size:
            added.append(np.zeros_like(motion))
            continue
        background = max(float(np.median(outside)), params.still)
        subject = max(float(np.quantile(inside, params.upper)), background)
        weight = min(np.log(subject / background) / np.log(params.full), 1.0)
        even = (1 - params.level) * np.log(background) + params.level * np.log(subject)
        logit = params.gain * (np.log(np.maximum(motion, 1e-3)) - even)
        evidence = weight * np.clip(np.nan_to_num(logit), -params.limit, params.limit)
        added.append(np.asarray(evidence, np.float32))
    return added
