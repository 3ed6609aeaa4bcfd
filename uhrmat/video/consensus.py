"""The subject of a clip without hints: what a network marks in each frame, averaged along the motion.

A network for stills marks something else from frame to frame: it loses the subject for a moment, or takes a passer-by
along. So each frame's alpha is averaged with those of the frames before and after, warped by optical flow, as logits;
a frame weighs by its confidence, and less with every frame of distance. Where the flow is unreliable, as where
something comes into view, and at cuts, what the other frames show does not count. What moves against the camera,
averaged the same way, is evidence besides (`own_motion`).

Depends on the clip's frames alone, block by block, so that every worker and every run gets the same masks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from uhrmat.hints.subject import SubjectMask
from uhrmat.media.resample import area_average
from uhrmat.media.video import ClipReader, Frame
from uhrmat.prior.base import working_shape
from uhrmat.prior.networks.matte import NetworkMatte
from uhrmat.prior.prefetch import downsample_picture
from uhrmat.video.flow import optical_flow, warp
from uhrmat.video.own_motion import OwnMotionParams, motion_logits, own_motion
from uhrmat.video.segments import Segment
from uhrmat.video.subject_masks import look_file, read_subject_mask, subject_file, write_subject_mask


@dataclass(frozen=True, kw_only=True)
class ConsensusParams:
    """Parameters of the average along the motion. May be changed; they are part of a clip's settings.

    Attributes:
        decay: factor of a frame's weight for each frame of distance. 0.9 measured better on the three sequences that it
            was chosen on, and lost more than 0.02 on two others (docs/research/clips.md).
        reach: frames before and after a block that count.
        block: frames whose masks are computed together; memory grows with it.
        side: short side of the pictures in which motion is searched, pixels.
        limit: alphas are kept this far from 0 and 1, so that no logit outweighs all others.
        least: least confidence that a frame counts with.
        power: of the confidence in a frame's weight. 1 and 4 were no better.
        fold: disagreement between forward and backward flow, in pixels, of a pixel whose flow counts as unreliable,
        fold_share: and as a share of the motion's length, added to it.
        cut_share: between frames whose flow is reliable on a smaller share of the picture there is a cut.
        motion: of the evidence from motion against the camera; None: there is none.
    """

    decay: float = 0.8
    reach: int = 12
    block: int = 48
    side: int = 256
    limit: float = 0.02
    least: float = 0.05
    power: float = 2.0
    fold: float = 1.0
    fold_share: float = 0.1
    cut_share: float = 0.4
    motion: OwnMotionParams | None = field(default_factory=OwnMotionParams)


CONSENSUS = ConsensusParams()
_NO_WEIGHT = 1e-6
"""Weights up to this count as none."""


def seek_subject(
    reader: ClipReader, segment: Segment, start: int, stop: int, network: NetworkMatte, folder: Path,
    params: ConsensusParams = CONSENSUS,
) -> None:  # fmt: skip
    """Write the subject of each frame of a segment (`subject_masks.read_subject`), where that has not been done.

    Args:
        reader: of the clip.
        segment: the frames.
        start, stop: indices of the frames that are matted, `stop` not included: no others count.
        network: marks the subject in each frame.
        folder: of the files.
        params: see there.

    Raises:
        InputError: a file of an earlier run is damaged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for first in range(segment.start, segment.stop, params.block):
        inside = range(first, min(first + params.block, segment.stop))
        if all(subject_file(folder, index).is_file() for index in inside):
            continue
        indices, pictures, looks = list[int](), list[np.ndarray](), list[SubjectMask]()
        for frame in reader.frames(max(start, inside.start - params.reach), min(stop, inside.stop + params.reach)):
            picture, look = _look(frame, network, folder, params)
            indices.append(frame.index)
            pictures.append(picture)
            looks.append(look)
        for index, look, alpha in zip(indices, looks, average_along_motion(pictures, looks, params), strict=True):
            if index in inside:
                write_subject_mask(subject_file(folder, index), SubjectMask(alpha, look.confidence))


def average_along_motion(
    pictures: Sequence[np.ndarray], looks: Sequence[SubjectMask], params: ConsensusParams = CONSENSUS
) -> Iterator[np.ndarray]:
    """Average the alphas of consecutive frames, each warped to the others.

    Args:
        pictures: (h, w, 3) uint8 RGB of each frame.
        looks: what is marked in each frame by itself, (h, w).
        params: see there.

    Yields:
        Of each frame, (h, w) float32 in [0, 1].
    """
    own = [_weighted(look, params) for look in looks]
    to_before, to_after = list[_Motion](), list[_Motion]()
    for pair in pairwise(pictures):
        before, now = (picture.astype(np.float32) / np.float32(255) for picture in pair)
        after, back = _motions(before, now, params)
        to_before.append(back)
        to_after.append(after)
    logits = _averaged(own, to_before, to_after, params.decay)
    if params.motion is not None:
        marks = [logit > 0 for logit in logits]
        moving = [_moving(at, to_before, to_after, mark, params.motion) for at, mark in enumerate(marks)]
        motions = _averaged(moving, to_before, to_after, params.decay)
        evidence = motion_logits(motions, marks, params.reach, params.motion)
        logits = [logit + more for logit, more in zip(logits, evidence, strict=True)]
    for logit in logits:
        yield np.asarray(1 / (1 + np.exp(-logit)), np.float32)


class _Evidence(NamedTuple):
    """Weighted logits (h, w) and their weights (h, w), float32."""

    total: np.ndarray
    weight: np.ndarray


class _Motion(NamedTuple):
    """Of each pixel, its place in a neighbouring frame, (h, w, 2) float16 in pixels, and whether that is reliable."""

    flow: np.ndarray
    reliable: np.ndarray


def _weighted(look: SubjectMask, params: ConsensusParams) -> _Evidence:
    alpha = look.alpha.clip(params.limit, 1 - params.limit)
    weight = np.float32(max(look.confidence, params.least) ** params.power)
    return _Evidence(weight * np.log(alpha / (1 - alpha)), np.full(alpha.shape, weight, np.float32))


def _motions(before: np.ndarray, now: np.ndarray, params: ConsensusParams) -> tuple[_Motion, _Motion]:
    """From each pixel of `before` to `now`, and from each of `now` to `before`."""
    forth, back = optical_flow(before, now), optical_flow(now, before)
    return _checked(forth, back, params), _checked(back, forth, params)


def _checked(flow: np.ndarray, other: np.ndarray, params: ConsensusParams) -> _Motion:
    """A flow, and where the one in the other direction leads back."""
    disagreement = np.linalg.norm(flow + warp(other, flow), axis=2)
    reliable = disagreement <= params.fold + params.fold_share * np.linalg.norm(flow, axis=2)
    if reliable.mean() < params.cut_share:
        reliable = np.zeros_like(reliable)
    return _Motion(flow.astype(np.float16), reliable)


def _moving(
    at: int, to_before: Sequence[_Motion], to_after: Sequence[_Motion], mark: np.ndarray, params: OwnMotionParams
) -> _Evidence:
    """How far each pixel of frame `at` moves against the background, the mean of both directions; weight 0 without."""
    neighbours = [*to_before[at - 1 : at], *to_after[at : at + 1]] if at else [*to_after[:1]]
    seen = [own_motion(motion.flow.astype(np.float32), motion.reliable, mark, params) for motion in neighbours]
    known = [motion for motion in seen if motion is not None]
    if not known:
        return _Evidence(np.zeros(mark.shape, np.float32), np.zeros(mark.shape, np.float32))
    return _Evidence(np.asarray(np.mean(known, 0), np.float32), np.ones(mark.shape, np.float32))


def _averaged(
    own: Sequence[_Evidence], to_before: Sequence[_Motion], to_after: Sequence[_Motion], decay: float
) -> list[np.ndarray]:
    """Of each frame, (h, w) the weighted mean of what it and the others show; NaN where nothing has a weight."""
    forward = _accumulate(own, to_before, decay)
    backward = _accumulate(own[::-1], to_after[::-1], decay)[::-1]
    means = []
    for ahead, behind, here in zip(forward, backward, own, strict=True):
        weight = ahead.weight + behind.weight - here.weight
        total = np.where(weight > _NO_WEIGHT, ahead.total + behind.total - here.total, np.nan)
        means.append(np.asarray(total / np.maximum(weight, _NO_WEIGHT), np.float32))
    return means


def _accumulate(own: Sequence[_Evidence], motions: Sequence[_Motion], decay: float) -> list[_Evidence]:
    """The evidence of each frame and of those before it in the sequence. motions: from each frame to the one before."""
    sums: list[_Evidence] = []
    for at, here in enumerate(own):
        if at:
            flow, reliable = motions[at - 1]
            kept = decay * reliable.astype(np.float32)
            total, weight = (kept * warp(part, flow.astype(np.float32)) for part in sums[-1])
            here = _Evidence(here.total + total, here.weight + weight)
        sums.append(here)
    return sums


def _look(frame: Frame, network: NetworkMatte, folder: Path, params: ConsensusParams) -> tuple[np.ndarray, SubjectMask]:
    """A frame's small picture (h, w, 3) uint8, and what the network marks in it: from its file, if it was looked at."""
    height, width = frame.picture.height, frame.picture.width
    shape, path = working_shape(height, width, params.side), look_file(folder, frame.index)
    picture = downsample_picture(frame.picture, shape)
    look = read_subject_mask(path)
    if look is None:
        seen = downsample_picture(frame.picture, working_shape(height, width, network.own_size))
        marked = network.look(seen)
        write_subject_mask(path, SubjectMask(area_average(marked.alpha, shape), marked.confidence))
        look = read_subject_mask(path)
        assert look is not None
    return np.rint(picture * 255).clip(0, 255).astype(np.uint8), look
