"""The system of `closed-form+knn` that is kept for a second solution with an estimate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import CLOSED_FORM_KNN, LPN_TRIMAP
from uhrmat.prior.closed_form import solve as module
from uhrmat.prior.closed_form.corrected import keeping_system
from uhrmat.prior.closed_form.problem import CORRECTED_KNN, Start
from uhrmat.prior.closed_form.solve import KeepingSolver, KnnSystem, solve
from uhrmat.prior.prefetch import PrefetchedPrior, solve_prefetched
from uhrmat.prior.worker import PriorProcess


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture (24, 36, 3) and its trimap."""
    image = np.random.default_rng(3).uniform(0, 1, (24, 36, 3)).astype(np.float32)
    trimap = np.full((24, 36), 128, np.uint8)
    trimap[:, :14], trimap[:, -14:] = 0, 255
    return image, trimap


@pytest.fixture
def systems(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of solved pixels of the systems that are made."""
    made, begin = list[int](), KnnSystem.__init__

    def noted(self: KnnSystem, problem: Any, params: Any) -> None:
        begin(self, problem, params)
        made.append(len(problem.start))

    monkeypatch.setattr(module.KnnSystem, "__init__", noted)
    return made


def _estimate(trimap: np.ndarray) -> Start:
    alpha = np.full(trimap.shape, 0.5, np.float32)
    return Start(alpha, trimap == 128, estimate=np.full(trimap.shape, 0.75, np.float32))


def test_a_kept_system_gives_the_same_solution_and_is_made_once(
    scene: tuple[np.ndarray, np.ndarray], systems: list[int]
) -> None:
    image, trimap = scene
    start, keeping = _estimate(trimap), KeepingSolver()
    plain = solve(image, trimap, CLOSED_FORM_KNN)[0], solve(image, trimap, CLOSED_FORM_KNN, start)[0]
    assert len(systems) == 2 and not np.array_equal(*plain)
    kept = [solve(image, trimap, CORRECTED_KNN, one, solve_problem=keeping)[0] for one in (None, start)]
    assert len(systems) == 3
    assert np.array_equal(kept[0], plain[0]) and np.array_equal(kept[1], plain[1])


@pytest.mark.parametrize("change", ["picture", "trimap", "solved", "held", "cleared", "used"])
def test_a_system_is_not_used_for_another_problem(
    scene: tuple[np.ndarray, np.ndarray], systems: list[int], change: str
) -> None:
    image, trimap = scene
    keeping, start = KeepingSolver(), _estimate(trimap)
    if change == "held":
        start = Start(start.alpha, (trimap == 128) & (np.arange(36) < 20), estimate=start.estimate)
        solve(image, trimap, CORRECTED_KNN, Start(start.alpha + 0.25, start.changed), solve_problem=keeping)
    else:
        solve(image, trimap, CORRECTED_KNN, solve_problem=keeping)
    if change == "picture":
        image = image.copy()
        image[3, 15] += 0.1
    elif change == "trimap":
        trimap = trimap.copy()
        trimap[5, 15] = 255
        start = _estimate(trimap)
    elif change == "solved":
        start = Start(start.alpha, (trimap == 128) & (np.arange(36) != 20), estimate=start.estimate)
    elif change == "cleared":
        keeping.clear()
    elif change == "used":
        solve(image, trimap, CLOSED_FORM_KNN, start, solve_problem=keeping)
    before = len(systems)
    alpha = solve(image, trimap, CLOSED_FORM_KNN, start, solve_problem=keeping)[0]
    assert len(systems) == before + 1
    assert np.array_equal(alpha, solve(image, trimap, CLOSED_FORM_KNN, start)[0])


def test_the_priors_process_keeps_it_and_a_prefetched_solution_is_the_first(
    scene: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    image, trimap = scene
    start, process = _estimate(trimap), PriorProcess()
    try:
        sent = list[str]()
        request = process._request
        monkeypatch.setattr(
            process, "_request", lambda problem: (sent.append(str(problem["name"])), request(problem))[1]
        )
        solve_prefetched(PrefetchedPrior(LPN_TRIMAP, None, False, (image, LowResHints(trimap))), process.solve)
        first, _ = keeping_system(process.solve)(image, trimap, CLOSED_FORM_KNN)
        second, _ = process.solve(image, trimap, CLOSED_FORM_KNN, start)
    finally:
        process.close()
    assert sent == [CORRECTED_KNN, CLOSED_FORM_KNN]
    assert np.array_equal(first, solve(image, trimap, CLOSED_FORM_KNN)[0])
    assert np.array_equal(second, solve(image, trimap, CLOSED_FORM_KNN, start)[0])
