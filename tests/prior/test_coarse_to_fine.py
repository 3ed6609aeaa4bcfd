"""Scribbles solved coarse to fine: which sizes, what stays unknown, and that the strokes decide."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.prior.base import LowResHints
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.coarse_to_fine import CoarseToFineParams, constrain, level_shapes, solve_coarse_to_fine
from uhrmat.prior.closed_form.problem import SCRIBBLES_KNN
from uhrmat.prior.closed_form.solve import solve

SMALL = CoarseToFineParams(coarsest=20)


def _scribbled(height: int = 84, width: int = 112) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A soft-edged disc before noise of another colour, its true alpha, and one stroke on either side."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    true = np.clip((26 - np.hypot(y - 42, x - 56)) / 4 + 0.5, 0, 1)
    noise = np.random.default_rng(0).normal(0, 0.03, (height, width, 3))
    image = true[..., None] * (0.8, 0.3, 0.2) + (1 - true[..., None]) * (0.2, 0.4, 0.6) + noise
    trimap = np.full(true.shape, 128, np.uint8)
    trimap[40:44, 44:68], trimap[6:10, 8:104] = 255, 0
    return image.clip(0, 1).astype(np.float32), true, trimap


def test_sizes_are_halved_down_to_the_coarsest() -> None:
    assert level_shapes((768, 1024), 96) == [(96, 128), (192, 256), (384, 512), (768, 1024)]
    assert level_shapes((150, 191), 96) == [(150, 191)]
    assert level_shapes((401, 192), 96) == [(200, 96), (401, 192)]


def test_two_strokes_find_the_disc() -> None:
    image, true, trimap = _scribbled()
    alpha, notes = solve_coarse_to_fine(image, trimap, solve, SMALL)
    assert notes == [] and alpha.shape == true.shape
    assert (alpha[trimap == 255] == 1).all() and (alpha[trimap == 0] == 0).all()
    assert np.abs(alpha - true).mean() < 0.01 and np.abs(alpha - true)[(true == 0) | (true == 1)].max() < 0.3


def test_each_size_solves_only_what_the_size_before_left_in_doubt() -> None:
    image, _, trimap = _scribbled()
    seen = []

    def level(small: np.ndarray, constraint: np.ndarray) -> tuple[np.ndarray, list[str]]:
        seen.append((constraint.shape, float((constraint == 128).mean())))
        return solve(small, constraint, "closed-form+knn")

    solve_coarse_to_fine(image, trimap, level, SMALL)
    assert [shape for shape, _ in seen] == [(21, 28), (42, 56), (84, 112)]
    assert seen[0][1] > 0.9 and seen[1][1] < 0.6 and seen[2][1] < seen[1][1]


def test_strokes_win_over_the_size_before() -> None:
    known = np.full((8, 8), 128, np.uint8)
    known[0, 0], known[7, 7] = 255, 0
    constraint = constrain(np.zeros((4, 4), np.float32), known, SMALL)
    assert constraint[0, 0] == 255 and np.count_nonzero(constraint) == 1
    doubtful = constrain(np.array([[0.0, 0.31], [0.29, 1.0]], np.float32).repeat(2, 0).repeat(2, 1), known, SMALL)
    assert doubtful[0, 7] == 128 and (doubtful[7, 7], doubtful[0, 0]) == (0, 255)


def test_a_stroke_too_thin_for_a_size_is_solved_at_the_next() -> None:
    image, _, trimap = _scribbled()
    trimap[:] = 128
    trimap[40:42, 50:52], trimap[8:10, 8:10] = 255, 0
    shapes = []

    def level(small: np.ndarray, constraint: np.ndarray) -> tuple[np.ndarray, list[str]]:
        shapes.append(constraint.shape)
        return solve(small, constraint, "closed-form+knn")

    alpha, _ = solve_coarse_to_fine(image, trimap, level, CoarseToFineParams(coarsest=10))
    assert shapes[0] == (21, 28) and alpha[41, 51] == 1 and alpha[9, 9] == 0


@pytest.mark.parametrize(("side", "inside"), [(255, 1), (0, 0)])
def test_one_stroke_alone_gives_a_matte_with_a_note(side: int, inside: int) -> None:
    image, _, trimap = _scribbled()
    trimap[trimap == 255 - side] = 128
    result = AffinityPrior("closed-form+knn")(image, LowResHints(trimap))
    assert (result.alpha[trimap == side] == inside).all() and len(result.notes) == 1
    assert "outline alone decided" in result.notes[0]


@pytest.mark.parametrize(("unknown", "expected"), [(0.5, "closed-form+knn"), (0.52, SCRIBBLES_KNN)])
def test_only_scribbles_are_solved_so(unknown: float, expected: str) -> None:
    names = []

    def solver(image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        names.append(name)
        return np.zeros(trimap.shape, np.float32), []

    trimap = np.zeros((10, 50), np.uint8)
    trimap[:, : round(50 * unknown)], trimap[:, -2:] = 128, 255
    AffinityPrior("closed-form+knn", solver)(np.zeros((10, 50, 3), np.float32), LowResHints(trimap))
    assert names == [expected]


def test_other_affinity_priors_are_left_as_they_are() -> None:
    names = []

    def solver(image: np.ndarray, trimap: np.ndarray, name: str) -> tuple[np.ndarray, list[str]]:
        names.append(name)
        return np.zeros(trimap.shape, np.float32), []

    image, _, trimap = _scribbled()
    AffinityPrior("closed-form", solver)(image, LowResHints(trimap))
    assert names == ["closed-form"]
