"""Alpha of a pixel between a known background and a foreground whose colours are known by mean and covariance.

Bayesian matting (Chuang, Curless, Salesin, Szeliski, CVPR 2001, https://doi.org/10.1109/CVPR.2001.990970) with the
background known: I = αF + (1 − α)B + n with F of mean m and covariance C, n of covariance N, has the residual
covariance S = α²C + N, and the α that fits best is

    α = 1 − wᵀ(I − m),    w = S⁻¹(B − m) / ((B − m)ᵀ S⁻¹ (B − m))

This is the matched filter for the share of B in the pixel: it looks along the colour by which the screen differs from
the subject, and not along those by which the subject itself varies, such as the brightness of its hair. Where little of
the subject is in a pixel, S is the camera's noise, and the channels with the least noise count most. S depends on α, so
both are renewed in turn. Symmetric matrices are kept as 6 numbers: xx, xy, xz, yy, yz, zz.
"""

from __future__ import annotations

import cv2
import numpy as np

from uhrmat.media.resample import downsample
from uhrmat.prior.pull_push import pull_push

_PAIRS = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
_DIAGONAL = np.array([1, 0, 0, 1, 0, 1], np.float32)
_TINY = 1e-12


def local_statistics(picture: np.ndarray, where: np.ndarray, factor: int, blur: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of the colours at chosen pixels, in their surroundings, extended to everywhere.

    Args:
        picture: (h, w, 3) float32.
        where: (h, w) bool, the pixels that count; at least one.
        factor: by which the maps are smaller than the picture.
        blur: standard deviation of the window, pixels of the maps.

    Returns:
        (h', w', 3) float32 means and (h', w', 6) covariances, positive semidefinite up to rounding.
    """
    weight = where.astype(np.float32)
    shape = tuple(max(1, -(-n // factor)) for n in where.shape)
    small = cv2.GaussianBlur(downsample(weight, shape), (0, 0), blur)
    maps = []
    products = _products(picture)
    for values in (picture, products[..., :3], products[..., 3:]):
        sums = cv2.GaussianBlur(downsample(values * weight[..., None], shape), (0, 0), blur)
        maps.append(pull_push(sums / np.maximum(small, _TINY)[..., None], np.minimum(small, 1)))
    mean = maps[0]
    return mean, np.concatenate(maps[1:], -1) - _products(mean)


def covariance(residuals: np.ndarray) -> np.ndarray:
    """(6,) float32 of residuals (n, 3) about 0; zeros where there are none."""
    if not len(residuals):
        return np.zeros(6, np.float32)
    second = residuals.T.astype(np.float64) @ residuals / len(residuals)
    return np.array([second[i, j] for i, j in _PAIRS], np.float32)


def sample(maps: np.ndarray, shape: tuple[int, int], where: np.ndarray) -> np.ndarray:
    """The values (n, C) of small maps (h', w', C), enlarged to `shape`, at the pixels of a mask (h, w)."""
    parts = [
        cv2.resize(np.ascontiguousarray(maps[..., i : i + 3]), shape[::-1], interpolation=cv2.INTER_LINEAR)[where]
        for i in range(0, maps.shape[-1], 3)
    ]
    return np.concatenate(parts, -1)


def matched_alpha(
    colours: np.ndarray, screen: np.ndarray, mean: np.ndarray, spread: np.ndarray, noise: np.ndarray,
    alpha: np.ndarray, steps: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Alpha of pixels by the formula above, not clipped, and how badly the model fits them.

    Args:
        colours, screen, mean: (n, 3) float32: I, B and the mean of F.
        spread: (n, 6) covariance of F.
        noise: (6,) covariance of n, positive definite.
        alpha: (n,) in [0, 1] to start from.
        steps: how often S and alpha are renewed, at least once.

    Returns:
        (n,) float32 alpha; and (n,) the squared Mahalanobis distance of I from its mean given that alpha.
    """
    away, off = screen - mean, colours - mean
    for _ in range(steps):
        matrix = np.square(np.clip(alpha, 0, 1))[:, None] * spread + noise
        weights, _determinant = _solve(matrix, away)
        alpha = 1 - (weights * off).sum(-1) / np.maximum((weights * away).sum(-1), _TINY)
    bounded = np.clip(alpha, 0, 1)[:, None]
    rest = colours - bounded * mean - (1 - bounded) * screen
    solved, determinant = _solve(matrix, rest)
    misfit = (solved * rest).sum(-1) / np.maximum(determinant, _TINY**2)
    return np.asarray(alpha, np.float32), np.asarray(misfit, np.float32)


def diagonal(value: float) -> np.ndarray:
    """(6,) float32: `value` times the identity."""
    return np.asarray(value * _DIAGONAL, np.float32)


def _products(colours: np.ndarray) -> np.ndarray:
    """(..., 6): products of the channels of (..., 3)."""
    return np.stack([colours[..., i] * colours[..., j] for i, j in _PAIRS], -1)


def _solve(matrix: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Determinant times matrix⁻¹ right, (n, 3), and the determinant, (n,). matrix: (n, 6), right: (n, 3)."""
    a, b, c, d, e, f = (matrix[:, i] for i in range(6))
    x, y, z = (right[:, i] for i in range(3))
    aa, ab, ac, bc = d * f - e * e, c * e - b * f, b * e - c * d, b * c - a * e
    solved = [
        aa * x + ab * y + ac * z,
        ab * x + (a * f - c * c) * y + bc * z,
        ac * x + bc * y + (a * d - b * b) * z,
    ]
    return np.stack(solved, -1), a * aa + b * ab + c * ac
