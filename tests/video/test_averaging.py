"""Static regions are averaged, moving ones are not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from tests.video.helpers import frames, hints, picture, pipeline
from uhrmat.metrics import ClipScores, mean_scores
from uhrmat.train.synth.clip import ClipFrame
from uhrmat.video.averaging import (
    AVERAGING,
    average_alphas,
    background_change,
    foreground_motion,
    unchanged_colours,
    weight_of_maps,
)
from uhrmat.video.frames import ClipPipeline, TemporalOptions


def textured(shift: float, behind: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """(80, 120, 3) of a square with a pattern before another, and its alpha; both patterns move by so many pixels."""

    def pattern(seed: int, by: float) -> np.ndarray:
        result = cv2.GaussianBlur(np.random.default_rng(seed).random((80, 120, 3)), (0, 0), 2.0)
        result = (result - result.min()) / (result.max() - result.min())
        return cv2.warpAffine(result, np.array([[1, 0, by], [0, 1, 0.0]]), (120, 80), borderMode=cv2.BORDER_REFLECT)

    alpha = np.zeros((80, 120), np.float32)
    alpha[20:60, 40 + round(shift) : 80 + round(shift)] = 1
    image = alpha[..., None] * pattern(1, shift) + (1 - alpha[..., None]) * pattern(2, behind)
    return image.astype(np.float32), alpha


def test_the_motion_is_the_foregrounds() -> None:
    before, _ = textured(0)
    after, alpha = textured(3)
    result = foreground_motion(before, after, alpha)[25:55, 48:75]
    assert result[..., 2] == pytest.approx(3, abs=0.4) and result[..., 0] == pytest.approx(-3, abs=0.4)
    panned, alpha = textured(0, behind=3)
    result = foreground_motion(before, panned, alpha)[..., 2]
    assert result[25:55, 45:75].max() < 0.3
    assert result[39, 84] < 0.6  # in the hair, too, where all that can be seen is the background


def test_the_weight_falls_with_motion_and_with_disagreement() -> None:
    new = np.full((300, 4), 0.5, np.float32)
    last = new + np.array([0, 0.1, 0.1, AVERAGING.agreement], np.float32)
    where = np.ones(new.shape, bool)
    where[:, 1] = False
    same = np.full(new.shape, 51, np.uint8)
    for change, moving in (
        (0.0, 0.0),
        (AVERAGING.background / 2, 0.125),
        (AVERAGING.background, 1.0),
        (2 * AVERAGING.background, 1.0),
    ):
        for moved, stands in ((0.0, 1.0), (AVERAGING.motion * change + 1e-3, np.exp(-1)), (100.0, 0.0)):
            result = new.copy()
            maps = (np.full((30, 2), x, np.float32) for x in (moved, change))
            average_alphas(result, last, where, weight_of_maps(where, *maps, same))
            share = moving * stands + (1 - moving) * 0.2
            step = (
                share
                * AVERAGING.max_weight
                * np.exp(-((last[0] - 0.5) ** 2) / AVERAGING.agreement**2)
                * (last[0] - 0.5)
            )
            assert np.allclose(result, 0.5 + step * where[0], atol=1e-6)


def test_hair_that_moves_is_no_background_that_moves() -> None:
    (before, was), (now, alpha) = textured(0), textured(3)
    assert background_change(before, now, np.maximum(was, alpha), 0.0).max() < 0.1 * AVERAGING.background
    assert background_change(before, textured(0, behind=3)[0], alpha, 0.0).min() > AVERAGING.background
    noise = np.random.default_rng(3).normal(0, 0.02, (2, *before.shape)).astype(np.float32)
    noisy = before + noise[0], before + noise[1], alpha
    assert (
        np.median(background_change(*noisy, 0.02)) < AVERAGING.background / 4
        and background_change(*noisy, 0.0).min() > 2 * AVERAGING.background
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_a_pixel_that_shows_the_same_is_told_from_one_that_does_not(dtype: type) -> None:
    top = {"uint8": 255, "uint16": 65535, "float32": 1}[np.dtype(dtype).name]
    rng = np.random.default_rng(5)
    scene = 0.3 + 0.4 * rng.random((600, 40, 3))
    changed = scene.copy()
    changed[300:310, 10:20] += 0.06
    noise = 0.01
    shots = [picture(((x + rng.normal(0, noise, x.shape)) * top).astype(dtype)) for x in (scene, changed)]
    where = np.ones(scene.shape[:2], bool)
    where[:256] = False
    result = unchanged_colours(shots[1], shots[0], noise, where) / 255
    away = cv2.dilate((np.abs(changed - scene).max(2) > 0).astype(np.uint8), np.ones((3, 3))) == 0
    assert not result[:256].any() and result[256:][away[256:]].mean() > 0.6
    assert result[301:309, 11:19].max() < 0.1
    alike = unchanged_colours(shots[0], shots[0], 0.0, where)
    assert (alike[256:] == 255).all()
    one = shots[0].pixels.copy()
    one[400, 20] += one.dtype.type(1 if dtype is np.uint8 else 0.01 * top)
    assert (unchanged_colours(picture(one), shots[0], 0.0, where)[256:] < 128).sum() == 9


def scores(clip: list[ClipFrame], options: TemporalOptions) -> tuple[float, float]:
    """MAD and dtSSD."""
    state, result = ClipPipeline(pipeline(), options), ClipScores(conn=False)
    rows = [
        result.push(state.frame(picture(f.image), f.number, hints(f.trimap), foreground=False).alpha, f.alpha, f.trimap)
        for f in clip
    ]
    mean = mean_scores(rows)
    return mean.mad, float(mean.dtssd or 0)


def test_hair_before_a_panning_background_is_better_and_steadier() -> None:
    clip = frames(10, noise=2.0, pan=1.5)
    alone, averaged = scores(clip, TemporalOptions(averaged=False)), scores(clip, TemporalOptions())
    assert averaged[0] < alone[0] and averaged[1] < alone[1]


def test_no_frame_before_a_cut_counts() -> None:
    first, second = frames(2, noise=2.0, cut=1)
    state = ClipPipeline(pipeline())
    state.frame(picture(first.image), 0, hints(first.trimap), foreground=False)
    after = state.frame(picture(second.image), 1, hints(second.trimap), foreground=False)
    fresh = ClipPipeline(pipeline()).frame(picture(second.image), 1, hints(second.trimap), foreground=False)
    assert after.stats.cut and np.array_equal(after.alpha, fresh.alpha)
