"""Preconditioned conjugate gradients that can start from a solution that is known nearly.

Hestenes, Stiefel, "Methods of Conjugate Gradients for Solving Linear Systems", 1952, in the form of Saad, "Iterative
Methods for Sparse Linear Systems", 2nd edition, 2003, algorithm 9.1. Scalar products do not go through BLAS: on vectors
as short as these its threads wait for each other in loops, two thirds of the processor time of a solution, which the
refiner could use.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Product = Callable[[np.ndarray], np.ndarray]


def conjugate_gradient(
    product: Product, right: np.ndarray, start: np.ndarray, precondition: Product, *, tolerance: float, max_steps: int
) -> tuple[np.ndarray, bool]:
    """Solve A x = b for a symmetric positive definite A.

    Args:
        product: multiplies (n,) by A.
        right: (n,) float64, b.
        start: (n,) float64, where the search begins.
        precondition: multiplies (n,) by something like the inverse of A, symmetric and positive definite.
        tolerance: length of the residual, as a share of that of `right`, at which x is exact enough.
        max_steps: before giving up.

    Returns:
        x (n,) float64, and whether it is exact enough. If it is not, x is the last one that was finite.
    """
    x = start.copy()
    residual = right - product(x)
    enough = tolerance**2 * _dot(right, right)
    if _dot(residual, residual) <= enough:
        return x, True
    step = precondition(residual)
    direction = np.array(step)
    size = _dot(residual, step)
    for _ in range(max_steps):
        image = product(direction)
        curvature = _dot(direction, image)
        if not (0 < curvature < np.inf and np.isfinite(size)):
            break
        length = size / curvature
        x += length * direction
        residual -= length * image
        if _dot(residual, residual) <= enough:
            return x, True
        step = precondition(residual)
        last, size = size, _dot(residual, step)
        direction *= size / last
        direction += step
    return x, False


def _dot(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.einsum("i,i->", a, b))
