"""What moves against the camera, as evidence of what the subject of a clip without hints is."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np

from tests.video.test_consensus import SIZE, inside, look, overlap, picture
from uhrmat.video.consensus import CONSENSUS, average_along_motion
from uhrmat.video.own_motion import OWN_MOTION, motion_logits, own_motion

ROWS, COLUMNS = np.indices(SIZE, np.float32)
PLACES = np.stack([COLUMNS, ROWS], 2)
PLANE = np.array([[1.02, 0.01, 3], [-0.01, 1.01, -2], [1e-5, 2e-5, 1]])
"""A camera that pans, turns and tilts."""


def camera_flow() -> np.ndarray:
    moved = cv2.perspectiveTransform(PLACES.reshape(-1, 1, 2), PLANE).reshape(PLACES.shape)
    return np.asarray(moved - PLACES, np.float32)


def test_own_motion_is_that_against_the_camera() -> None:
    flow, reliable, marked = camera_flow(), np.ones(SIZE, bool), inside(0)
    flow[inside(0)] += (4, -3)
    flow[80:, 100:] += 40  # a third thing, and a flow that is wrong where it says so
    flow[:20] -= 60
    reliable[:20] = False
    motion = own_motion(flow, reliable, marked)
    assert motion is not None and motion.dtype == np.float32 and motion.shape == SIZE
    assert np.allclose(motion[inside(0) & reliable], 5, atol=0.05)
    assert np.allclose(motion[80:, 100:], np.hypot(40, 40), atol=0.05)
    rest = ~inside(0) & reliable
    rest[80:, 100:] = False
    assert motion[rest].max() < 0.05


def test_there_is_none_where_too_little_background_is_seen() -> None:
    flow, marked = camera_flow(), np.ones(SIZE, bool)
    assert own_motion(flow, np.ones(SIZE, bool), marked) is None
    marked[:, :40] = False
    assert own_motion(flow, np.zeros(SIZE, bool), marked) is None
    assert own_motion(flow, np.ones(SIZE, bool), marked) is not None


def scene(subject: float) -> tuple[np.ndarray, np.ndarray]:
    """Motion of a background of 0.1 pixels and of what is marked: its left part `subject`, its right a tenth of it."""
    motion, marked = np.full((10, 20), 0.1, np.float32), np.zeros((10, 20), bool)
    marked[:, 10:] = True
    motion[:, 10:15], motion[:, 15:] = subject, subject / 10
    return motion, marked


def test_what_moves_with_the_background_is_less_likely_and_what_moves_by_itself_more() -> None:
    motion, marked = scene(4.8)
    motion[0, 0] = np.nan
    (added,) = motion_logits([motion], [marked], 12)
    even = np.log(0.3) * 0.35 + np.log(4.8) * 0.65  # the background's motion may be an error of the flow
    assert np.allclose(added[:, 10:15], np.log(4.8) - even, atol=1e-5)
    assert np.allclose(added[:, 15:], np.log(0.48) - even, atol=1e-5)
    assert added[0, 0] == 0 and np.allclose(added[1:, :10], -OWN_MOTION.limit)
    halved = replace(OWN_MOTION, full=256.0)  # 4.8 is 16 times 0.3: half of the way in logarithms
    assert np.allclose(motion_logits([motion], [marked], 12, halved)[0], added / 2, atol=1e-5)


def test_a_subject_that_keeps_still_changes_nothing_and_neighbours_tell_what_moves() -> None:
    still, marked = scene(0.2)
    assert not motion_logits([still], [marked], 12)[0].any()
    assert not motion_logits([still], [np.zeros_like(marked)], 12)[0].any()
    moving, _ = scene(4.8)
    frames = [still, moving, moving]
    near = motion_logits(frames, [marked] * 3, 1)[0]
    assert near[5, 17] < -0.5
    assert not motion_logits(frames, [marked] * 3, 0)[0].any()


def test_a_bystander_whom_the_network_marks_in_every_frame_is_left_out_and_a_still_subject_is_not() -> None:
    bystander = np.zeros(SIZE, bool)
    bystander[62:92, 100:126] = True
    pictures = [picture(number) for number in range(7)]
    looks = [look(np.where(inside(number) | bystander, 0.85, 0.02)) for number in range(7)]
    with_motion = list(average_along_motion(pictures, looks))
    without = list(average_along_motion(pictures, looks, replace(CONSENSUS, motion=None)))
    for at in (0, 3, 6):
        apart = bystander & ~cv2.dilate(inside(at).astype(np.uint8), np.ones((15, 15))).astype(bool)
        assert (with_motion[at] > 0.5)[apart].mean() < 0.05 and (without[at] > 0.5)[apart].mean() > 0.95
        assert overlap(with_motion[at], inside(at)) > 0.85
    still = list(average_along_motion([picture(0)] * 7, [looks[0]] * 7))
    assert all(overlap(alpha, inside(0) | bystander) > 0.98 for alpha in still)
