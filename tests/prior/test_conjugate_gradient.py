"""Conjugate gradients: the solution, where the search begins, and when it is given up."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.prior.closed_form.conjugate_gradient import conjugate_gradient

RNG = np.random.default_rng(5)
ROOT = RNG.standard_normal((30, 30))
MATRIX = ROOT @ ROOT.T + np.eye(30)
RIGHT = RNG.standard_normal(30)
EXACT = np.linalg.solve(MATRIX, RIGHT)


def search(start: np.ndarray, tolerance: float = 1e-9, max_steps: int = 200) -> tuple[np.ndarray, bool, int]:
    """The solution with a diagonal preconditioner, whether it is exact enough, and the products that it took."""
    products = []

    def product(x: np.ndarray) -> np.ndarray:
        products.append(1)
        return np.asarray(MATRIX @ x)

    x, converged = conjugate_gradient(
        product, RIGHT, start, lambda x: x / MATRIX.diagonal(), tolerance=tolerance, max_steps=max_steps
    )
    return x, converged, len(products)


def test_the_solution_of_a_dense_solver() -> None:
    x, converged, _ = search(np.zeros(30))
    assert converged and np.abs(x - EXACT).max() < 1e-7


@pytest.mark.parametrize("tolerance", [1e-2, 1e-5])
def test_the_residual_is_within_the_tolerance_and_a_loose_one_takes_fewer_steps(tolerance: float) -> None:
    x, converged, products = search(np.zeros(30), tolerance)
    assert converged and np.linalg.norm(RIGHT - MATRIX @ x) <= 1.01 * tolerance * np.linalg.norm(RIGHT)
    assert products < search(np.zeros(30), tolerance / 100)[2]


def test_a_start_at_the_solution_stays_there_and_one_near_it_takes_fewer_steps() -> None:
    x, converged, products = search(EXACT)
    assert converged and products == 1 and np.array_equal(x, EXACT)
    near, _, few = search(EXACT + 1e-6 * RNG.standard_normal(30))
    assert few < search(np.zeros(30))[2] and np.abs(near - EXACT).max() < 1e-7


def test_a_start_is_not_changed() -> None:
    start = np.zeros(30)
    search(start)
    assert not start.any()


def test_too_few_steps_are_said_and_the_last_one_is_returned() -> None:
    x, converged, _ = search(np.zeros(30), max_steps=3)
    errors = [np.abs(y - EXACT) @ MATRIX @ np.abs(y - EXACT) for y in (np.zeros(30), x)]
    assert not converged and 0 < errors[1] < errors[0]


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, -1.0])
def test_a_product_that_is_no_energy_ends_the_search_at_a_finite_solution(value: float) -> None:
    start = np.full(30, 0.5)
    x, converged = conjugate_gradient(
        lambda x: np.zeros(30) if np.array_equal(x, start) else np.full(30, value) * np.sign(RIGHT),
        RIGHT, start, lambda x: x, tolerance=1e-9, max_steps=5,
    )  # fmt: skip
    assert not converged and np.array_equal(x, start)
