"""Synthetic clips: exact alpha, the motion, noise, cuts and fades that were asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.train.synth.clip import ClipFrame, ClipRecipe, clip_trimap, render_clip

BASE = ClipRecipe(72, 96, 4, seed=3, gust=2.0)


def render(**changes: object) -> list[ClipFrame]:
    return list(render_clip(replace(BASE, **changes)))  # type: ignore[arg-type]


def test_the_same_recipe_gives_the_same_frames() -> None:
    for a, b in zip(render(noise=2.0), render(noise=2.0), strict=True):
        assert np.array_equal(a.image, b.image) and np.array_equal(a.alpha, b.alpha)


def test_frames_are_bytes_with_alpha_and_a_true_trimap() -> None:
    for frame in render():
        assert frame.image.dtype == np.uint8 and frame.image.shape == (72, 96, 3)
        assert frame.alpha.dtype == np.float32 and frame.alpha.min() == 0 and frame.alpha.max() <= 1
        assert (frame.alpha[frame.trimap == 0] == 0).all() and (frame.alpha[frame.trimap == 255] == 1).all()


def test_hair_moves_and_the_background_stands() -> None:
    first, last = render()[0], render()[-1]
    assert np.abs(first.alpha - last.alpha).max() > 0.05
    empty = (first.alpha == 0) & (last.alpha == 0)
    assert np.array_equal(first.image[empty], last.image[empty])


def test_a_panning_background_moves() -> None:
    first, last = render(pan=3.0)[0], render(pan=3.0)[-1]
    empty = (first.alpha == 0) & (last.alpha == 0)
    assert np.abs(first.image[empty].astype(int) - last.image[empty]).mean() > 0.5
    assert np.abs(first.image[:, 9:].astype(int) - last.image[:, :-9])[empty[:, 9:] & empty[:, :-9]].mean() < 1


def test_noise_has_the_strength_that_was_asked_for() -> None:
    difference = render(noise=3.0)[1].image.astype(float) - render()[1].image
    assert difference.std() == pytest.approx(3.0, abs=0.4)


def test_a_cut_shows_another_scene_and_a_fade_takes_light() -> None:
    cut = render(cut=2)
    assert np.abs(cut[1].image.astype(int) - cut[2].image).mean() > 10
    assert np.array_equal(cut[0].image, render()[0].image)
    faded = render(fade=(0, 3), fade_to=0.5)
    assert faded[-1].image.mean() == pytest.approx(render()[-1].image.mean() / 2, rel=0.02)


def test_the_trimap_opens_hard_edges_too() -> None:
    alpha = np.zeros((40, 40), np.float32)
    alpha[:, 20:] = 1
    trimap = clip_trimap(alpha, 0.05)
    assert (trimap[:, 18:22] == 128).all() and (trimap[:, :16] == 0).all() and (trimap[:, 24:] == 255).all()


def test_no_frames() -> None:
    with pytest.raises(InputError, match="no frames"):
        render(frames=0)
