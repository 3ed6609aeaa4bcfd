"""A refined alpha agrees with the finished matte that it was refined from: how soft that is, and what is added back."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from uhrmat.media.resample import area_average
from uhrmat.pipeline import StillPipeline
from uhrmat.refine.back_projection import back_project, estimate_blur
from uhrmat.train.synth import render_scene

SCENE = render_scene(5, 180, 240, kind="hair", size=0.8)
EVERYWHERE = np.ones(SCENE.alpha.shape, bool)


def matte_of(alpha: np.ndarray, scale: int, blur: float) -> np.ndarray:
    small = np.asarray(area_average(alpha, (alpha.shape[0] // scale, alpha.shape[1] // scale)), np.float32)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), blur)) if blur else small


@pytest.mark.parametrize("scale", [2, 3])
@pytest.mark.parametrize("blur", [0.0, 0.55, 1.0, 1.5])
def test_how_soft_a_matte_is(scale: int, blur: float) -> None:
    assert estimate_blur(SCENE.alpha, EVERYWHERE, matte_of(SCENE.alpha, scale, blur)) == blur


def test_a_matte_that_differs_much_or_is_as_large_is_left_alone() -> None:
    exact = matte_of(SCENE.alpha, 2, 0)
    assert estimate_blur(SCENE.alpha, EVERYWHERE, np.roll(exact, 6, axis=1)) is None
    assert estimate_blur(SCENE.alpha, EVERYWHERE, SCENE.alpha.copy()) is None, "nothing lies between its pixels"
    assert estimate_blur(SCENE.alpha, ~EVERYWHERE, exact) is None


@pytest.mark.parametrize("blur", [0.0, 1.0])
def test_the_average_becomes_the_matte_and_detail_stays(blur: float) -> None:
    rng = np.random.default_rng(3)
    wrong = cv2.GaussianBlur(rng.standard_normal(SCENE.alpha.shape).astype(np.float32), (0, 0), 6)
    edge = (SCENE.alpha > 0.02) & (SCENE.alpha < 0.98)
    alpha = np.where(edge, SCENE.alpha + wrong, SCENE.alpha).astype(np.float32).clip(0, 1)
    before = np.abs(alpha - SCENE.alpha)[edge].mean()
    matte = matte_of(SCENE.alpha, 2, blur)
    back_project(alpha, edge, matte, blur)
    assert np.abs(alpha - SCENE.alpha)[edge].mean() < (0.5 if blur == 0 else 0.8) * before
    assert np.array_equal(alpha[~edge], SCENE.alpha[~edge]) and 0 <= alpha.min() <= alpha.max() <= 1


def test_an_alpha_that_agrees_is_not_changed() -> None:
    alpha = SCENE.alpha.copy()
    back_project(alpha, EVERYWHERE, matte_of(SCENE.alpha, 2, 0.7), 0.7)
    assert np.abs(alpha - SCENE.alpha).max() < 1e-5


def test_a_given_matte_is_kept_in_the_pipeline_and_no_other_prior_is() -> None:
    picture = np.rint(255 * SCENE.image).astype(np.uint8) if SCENE.image.dtype != np.uint8 else SCENE.image
    matte = matte_of(SCENE.alpha, 2, 0)
    pipeline = StillPipeline(refiner="shm", precision="fp32", working_size=90, device="cpu")
    kept = pipeline.matte(picture, alpha=matte, foreground=False)
    calls = list[int]()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("uhrmat.pipeline.back_project", lambda *_: calls.append(1))
        free = pipeline.matte(picture, alpha=matte, foreground=False)
        assert calls == [1]
        pipeline.matte(picture, mask=(SCENE.alpha > 0.5), foreground=False)
        plain = StillPipeline(refiner="bilinear", precision="fp32", working_size=90, device="cpu")
        plain.matte(picture, alpha=matte, foreground=False)
        assert calls == [1]
    inside = matte_of(kept.active.astype(np.float32), 2, 0) > 0.5

    def difference(alpha: np.ndarray) -> float:
        return float(np.abs(area_average(alpha, matte.shape) - matte)[inside].mean())

    assert difference(kept.alpha) < 0.6 * difference(free.alpha)
    assert np.abs(kept.alpha - SCENE.alpha).mean() < 0.8 * np.abs(free.alpha - SCENE.alpha).mean()
