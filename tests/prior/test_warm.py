"""Repeated solutions of one picture: as the prior has them, with less computed."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

pytest.importorskip("pymatting")

from uhrmat.prior.closed_form import warm
from uhrmat.prior.closed_form.problem import REPEATED_KNN
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.closed_form.warm import WarmParams, WarmSolver, WarmSolvers
from uhrmat.prior.worker import PriorProcess

SIZE = (60, 80)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    """A soft disc before a background of another colour, with some noise."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = np.clip((18 - np.hypot(y - 30, x - 40)) / 4 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(0).normal(0, 0.02, (*SIZE, 3))
    return np.clip(inside * (0.8, 0.3, 0.2) + (1 - inside) * (0.2, 0.4, 0.6) + noise, 0, 1).astype(np.float32)


def scribbles() -> np.ndarray:
    trimap = np.full(SIZE, 128, np.uint8)
    trimap[28:32, 36:44], trimap[2:5] = 255, 0
    return trimap


def band() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    far = np.hypot(y - 30, x - 40)
    return np.where(far < 12, 255, np.where(far > 24, 0, 128)).astype(np.uint8)


def cold(image: np.ndarray, trimap: np.ndarray) -> np.ndarray:
    return solve(image, trimap, "closed-form+knn")[0]


@pytest.mark.parametrize("start", [scribbles(), band()], ids=["scribbles", "band"])
def test_one_solution_after_the_other_is_the_priors(image: np.ndarray, start: np.ndarray) -> None:
    solver, trimap = WarmSolver(image, warm=WarmParams(tolerance=1e-5, unchanged=0)), start.copy()
    for row, value in ((54, 0), (33, 255), (50, 0)):
        alpha, notes = solver.solve(trimap)
        assert notes == [] and alpha.dtype == np.float32
        assert np.abs(alpha - cold(image, trimap)).mean() < 0.02
        assert (alpha[trimap == 255] == 1).all() and (alpha[trimap == 0] == 0).all()
        trimap[row : row + 2, 38:42] = value


def test_far_from_a_change_nothing_is_solved(image: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    solver, trimap = WarmSolver(image, warm=WarmParams(reach=5)), band()
    first, _ = solver.solve(trimap)
    whole = solver.solved
    assert whole == int((trimap == 128).sum())
    changed = trimap.copy()
    changed[29:31, 20:22] = 0  # at the left of the band
    again, _ = solver.solve(changed)
    near = cv2.dilate((changed != trimap).astype(np.uint8), np.ones((11, 11), np.uint8)) > 0
    assert 0 < solver.solved < whole / 4
    assert (again[~near] == first[~near]).all() and (again[near] != first[near]).any()
    monkeypatch.setattr(warm, "solve", lambda *args: pytest.fail("nothing has changed"))
    same, _ = solver.solve(changed)
    assert solver.solved == 0 and (same == again).all()


def test_what_hardly_changes_is_kept(image: np.ndarray) -> None:
    trimap, more = scribbles(), scribbles()
    more[55:58] = 0
    kept, free = (WarmSolver(image, warm=WarmParams(unchanged=value)) for value in (0.02, 0))
    before, after = zip(*[(solver.solve(trimap)[0], solver.solve(more)[0]) for solver in (kept, free)], strict=True)
    soft = (more == 128) & (before[1] > 0) & (before[1] < 1)
    same = [float((a == b)[soft].mean()) for a, b in zip(before, after, strict=True)]
    assert same[0] > 0.5 > same[1]
    assert np.abs(after[0] - after[1]).max() < 0.03


def test_one_known_trimap_needs_no_solution(image: np.ndarray) -> None:
    alpha, notes = WarmSolver(image).solve(np.where(band() > 128, 255, 0).astype(np.uint8))
    assert notes == [] and set(np.unique(alpha)) == {0, 1}


def test_each_picture_has_its_own_solutions_and_the_oldest_go(image: np.ndarray) -> None:
    solvers = WarmSolvers(WarmParams(kept=2))
    others = [np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(image[::-1])]
    for picture in (image, others[0], image, others[1]):
        solvers.solve(picture, band())
    assert len(solvers._solvers) == 2
    kept = list(solvers._solvers.values())
    solvers.solve(image, band())
    assert list(solvers._solvers.values())[1] is kept[0] and kept[0].solved == 0


def test_the_priors_process_solves_again(image: np.ndarray) -> None:
    process = PriorProcess()
    try:
        first, _ = process.solve(image, band(), REPEATED_KNN)
        assert np.abs(first - cold(image, band())).max() < 1e-4
        assert (process.solve(image, np.where(band() == 128, 128, 0).astype(np.uint8), REPEATED_KNN)[0] < 1).all()
    finally:
        process.close()
