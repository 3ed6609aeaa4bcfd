"""Carrying a hint: the flow takes it along, and what the flow is not sure of stays open."""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.video.flow import optical_flow, warp
from uhrmat.video.propagate import propagate_trimap


def texture(seed: int, shape: tuple[int, int]) -> np.ndarray:
    noise = np.random.default_rng(seed).random((*shape, 3), dtype=np.float32)
    return np.clip(0.5 + 3 * (cv2.GaussianBlur(noise, (0, 0), 2) - 0.5), 0, 1).astype(np.float32)


def scene(left: int) -> tuple[np.ndarray, np.ndarray]:
    picture, alpha = texture(1, (96, 128)), np.zeros((96, 128), np.float32)
    picture[30:70, left : left + 40] = texture(2, (40, 40)) * np.float32([1, 0.4, 0.2])
    alpha[30:70, left : left + 40] = 1
    return picture, alpha


def test_the_flow_points_to_where_things_went() -> None:
    before, now = scene(40)[0], scene(44)[0]
    result = optical_flow(before, now)
    assert np.abs(np.median(result[40:60, 50:70, 0]) - 4) < 0.5
    assert np.abs(np.median(result[:20, :, 0])) < 0.2
    assert np.abs(warp(before, optical_flow(now, before)) - now).mean() < 0.02


def test_propagated_trimap_is_right_where_it_is_known() -> None:
    (before, alpha), (now, truth) = scene(40), scene(45)
    result, taken, doubt = propagate_trimap(before, alpha, now)
    assert np.abs(taken - truth)[~doubt].mean() < 0.02
    assert set(np.unique(result)) == {0, 128, 255}
    assert (truth[result == 255] == 1).mean() > 0.999 and (truth[result == 0] == 0).mean() > 0.999
    assert 0.01 < (result == 128).mean() < 0.25
    assert (result[45:55, 55:70] == 255).all() and (result[:15] == 0).all()


def test_where_the_flow_is_in_doubt_near_an_edge_the_hint_is_open() -> None:
    before, alpha = scene(40)
    result, _, doubt = propagate_trimap(before, alpha, 1 - before)
    edge = np.zeros_like(doubt)
    edge[27:33, 38:82] = True
    assert doubt[edge].mean() > 0.5 and (result[edge] == 128).mean() > 0.6


def test_pictures_too_small_for_flow_stand_still() -> None:
    small = np.zeros((8, 9, 3), np.float32)
    assert not optical_flow(small, small).any()
