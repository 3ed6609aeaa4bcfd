"""The guided filter's linear model against its definition, solved window by window."""

from __future__ import annotations

import numpy as np

from uhrmat.refine.guided_filter import GuidedFilterParams, guided_coefficients


def test_coefficients_are_the_definition() -> None:
    rng = np.random.default_rng(0)
    small, alpha, eps = rng.random((12, 14, 3), np.float32), rng.random((12, 14), np.float32), 1e-2
    coefficients = guided_coefficients(small, alpha, GuidedFilterParams(radius=1, epsilon=eps))
    models = np.zeros((12, 14, 4))
    for y in range(1, 11):
        for x in range(1, 13):
            window = np.s_[y - 1 : y + 2, x - 1 : x + 2]
            colours, values = small[window].reshape(-1, 3).astype(float), alpha[window].ravel().astype(float)
            off = colours - colours.mean(0)
            a = np.linalg.solve(off.T @ off / 9 + eps * np.eye(3), off.T @ (values - values.mean()) / 9)
            models[y, x] = *a, values.mean() - a @ colours.mean(0)
    for y in range(2, 10):
        for x in range(2, 12):
            assert np.allclose(coefficients[y, x], models[y - 1 : y + 2, x - 1 : x + 2].mean((0, 1)), atol=1e-3)


def test_a_linear_alpha_is_reproduced() -> None:
    small = np.random.default_rng(1).random((20, 20, 3), np.float32)
    alpha = (small @ np.array([0.5, 0.3, 0.1], np.float32) + 0.05).astype(np.float32)
    model = guided_coefficients(small, alpha, GuidedFilterParams(radius=2, epsilon=1e-6))
    assert np.abs((model[..., :3] * small).sum(-1) + model[..., 3] - alpha).max() < 1e-3
