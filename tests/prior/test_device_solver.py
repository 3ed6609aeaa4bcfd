"""The affinity priors in torch: the same solutions as on the CPU, found on whatever device they are told to use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from tests.emulated_cuda import EmulatedCuda
from uhrmat.prior.choose import CLOSED_FORM_KNN
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.coarse_to_fine import COARSE_TO_FINE
from uhrmat.prior.closed_form.on_device import solver
from uhrmat.prior.closed_form.on_device.conjugate_gradient import conjugate_gradient
from uhrmat.prior.closed_form.on_device.multigrid import Multigrid, MultigridParams
from uhrmat.prior.closed_form.on_device.neighbours import NeighbourParams, nearest_neighbours
from uhrmat.prior.closed_form.on_device.solver import DeviceSolver, DeviceSolverParams
from uhrmat.prior.closed_form.on_device.stencils import Rows, coarsen, interpolation, matting_laplacian, sparse_matrix
from uhrmat.prior.closed_form.params import CLOSED_FORM_DEFAULTS
from uhrmat.prior.closed_form.problem import SCRIBBLES_KNN, Start, make_laplacian
from uhrmat.prior.closed_form.solve import solve
from uhrmat.prior.registry import PriorRegistry

EXACT = replace(CLOSED_FORM_DEFAULTS, tolerance=1e-8, rough_tolerance=1e-8)
EXACT_DEVICE = DeviceSolverParams(tolerance=1e-8, rough_tolerance=1e-8, multigrid=MultigridParams(coarsest=32))


def scene(height: int = 44, width: int = 57) -> tuple[np.ndarray, np.ndarray]:
    """A soft disc on a gradient with noise, and its trimap."""
    y, x = np.mgrid[:height, :width]
    distance = np.hypot(y - height / 2, x - width / 2)
    alpha = np.clip((14 - distance) / 6 + 0.5, 0, 1)[..., None]
    back = np.stack([x / width, y / height, 0.4 + 0 * x], -1)
    noise = np.random.default_rng(1).normal(0, 0.03, (height, width, 3))
    picture = (alpha * [0.8, 0.3, 0.2] + (1 - alpha) * back + noise).clip(0, 1).astype(np.float32)
    return picture, np.where(distance < 9, 255, np.where(distance > 19, 0, 128)).astype(np.uint8)


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("the other solver was asked")


@pytest.mark.parametrize("name", ["closed-form", CLOSED_FORM_KNN])
def test_the_solution_is_the_cpus(name: str) -> None:
    picture, trimap = scene()
    want, _ = solve(picture, trimap, name, params=EXACT)
    alpha, notes = DeviceSolver("cpu", refuse, params=EXACT, device_params=EXACT_DEVICE)(picture, trimap, name)
    assert alpha.dtype == np.float32 and notes == []
    np.testing.assert_allclose(alpha, want, atol=1e-4)
    assert np.std(want[trimap == 128]) > 0.1
    shipped, _ = DeviceSolver("cpu", refuse)(picture, trimap, name)
    np.testing.assert_allclose(shipped, want, atol=1e-3)


def test_scribbles_are_solved_from_coarse_to_fine() -> None:
    picture, trimap = scene(64, 70)
    strokes = np.full_like(trimap, 128)
    strokes[29:35, 31:39], strokes[:5] = 255, 0
    params = replace(CLOSED_FORM_DEFAULTS, coarse_to_fine=replace(COARSE_TO_FINE, coarsest=32))
    want, _ = solve(picture, strokes, SCRIBBLES_KNN, params=params)
    alpha, _ = DeviceSolver("cpu", refuse, params=params)(picture, strokes, SCRIBBLES_KNN)
    assert np.abs(alpha - want).mean() < 3e-3 and np.std(want) > 0.1


@pytest.mark.parametrize("name", ["closed-form", CLOSED_FORM_KNN])
def test_a_start_is_continued(name: str) -> None:
    picture, trimap = scene()
    before, _ = solve(picture, trimap, name, params=EXACT)
    changed = np.zeros(trimap.shape, bool)
    changed[10:30, 8:30] = True
    other = picture.copy()
    other[12:26, 10:26] += 0.05
    start = Start(before, changed)
    want, _ = solve(other, trimap, name, start, EXACT)
    alpha, _ = DeviceSolver("cpu", refuse, params=EXACT, device_params=EXACT_DEVICE)(other, trimap, name, start)
    np.testing.assert_allclose(alpha, want, atol=1e-4)
    held = (trimap == 128) & ~changed
    np.testing.assert_allclose(alpha[held], before[held], atol=1e-6)
    assert np.abs(alpha - before)[changed].max() > 1e-3


def test_what_does_not_run_on_the_device_goes_to_the_other_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    picture, trimap = scene()
    other = DeviceSolver("cpu", lambda *_: (np.zeros(trimap.shape, np.float32), ["elsewhere"]))
    assert other(picture, trimap, "lbdm")[1] == ["elsewhere"]
    assert other(picture, trimap, "closed-form")[1] == []
    little = DeviceSolver("cpu", other.beside, max_memory=44 * 57 * 4096 // 4)
    assert little(picture, trimap, "closed-form")[1] == ["elsewhere"]

    def full(*_: Any) -> Any:
        raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(solver, "matting_laplacian", full)
    alpha, notes = other(picture, trimap, "closed-form")
    assert alpha.shape == trimap.shape and notes[0] == "elsewhere" and "memory" in notes[1]


def test_nothing_beside_foreground_stays_background() -> None:
    picture, trimap = scene()
    alpha, notes = DeviceSolver("cpu", refuse)(picture, np.where(trimap == 255, 0, trimap), "closed-form")
    assert not alpha.any() and notes == []


@pytest.mark.parametrize("name", ["closed-form", CLOSED_FORM_KNN])
def test_all_tensors_are_on_the_device(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    picture, trimap = scene()
    monkeypatch.setattr(solver, "free_gpu_memory", lambda _: 1 << 40)
    monkeypatch.setattr(solver, "on_device", lambda _: torch.no_grad())
    params = DeviceSolverParams(multigrid=MultigridParams(coarsest=32), neighbours=NeighbourParams(block=32))
    want, _ = DeviceSolver("cpu", refuse, device_params=params)(picture, trimap, name)
    with EmulatedCuda() as cuda:
        alpha, _ = DeviceSolver("cuda", refuse, device_params=params)(picture, trimap, name)
    np.testing.assert_array_equal(alpha, want)
    assert cuda.mismatches == [] and sum(cuda.kernels.values()) > 500 and cuda.waits["to_host"] < 5


def test_the_emulation_notices_a_tensor_that_was_left_on_the_host() -> None:
    with EmulatedCuda() as cuda:
        x = torch.ones(3, device="cuda")
        assert (x + 1).device.type == "cuda" and torch.ones(3).device.type == "cpu" and cuda.mismatches == []
        x * torch.ones(3)
    assert cuda.mismatches == ["mul"]


def test_the_laplacian_is_pymattings() -> None:
    picture, trimap = scene(20, 23)
    picture, trimap = picture.astype(np.float64), trimap[:20, :23]
    unknown = trimap == 128
    want = make_laplacian("closed-form")(picture, ~unknown.ravel()).tocsr()[unknown.ravel()][:, unknown.ravel()]
    solved = torch.from_numpy(unknown)
    stencil = matting_laplacian(torch.from_numpy(picture), solved, 1e-7)
    got = sparse_matrix(stencil, Rows.of_mask(solved)).to_dense().numpy()
    np.testing.assert_allclose(got, want.toarray(), atol=1e-9)


@pytest.mark.parametrize("size", [(20, 23), (21, 22)])
def test_a_coarse_level_is_the_galerkin_product(size: tuple[int, int]) -> None:
    solved = torch.ones(size, dtype=torch.bool)
    rng = np.random.default_rng(2)
    stencil = matting_laplacian(torch.from_numpy(rng.random((*size, 3))), solved, 1e-2)
    smaller, rows = coarsen(stencil), Rows.of_mask(solved)
    coarse = Rows.of_mask(torch.ones(smaller.shape[2:], dtype=torch.bool))
    up, down = (x.to(torch.float64).to_dense() for x in interpolation(rows, coarse))
    np.testing.assert_array_equal(up.T.numpy(), down.numpy())
    want = down @ sparse_matrix(stencil, rows).to_dense() @ up
    np.testing.assert_allclose(sparse_matrix(smaller, coarse).to_dense().numpy(), want.numpy(), atol=1e-12)


def test_multigrid_is_symmetric_and_saves_steps() -> None:
    picture, trimap = scene(90, 97)
    solved = torch.from_numpy(trimap == 128)
    stencil = matting_laplacian(torch.from_numpy(picture.astype(np.float64)), solved, 1e-7)
    stencil[2, 2] += 0.01
    rows = Rows.of_mask(solved)
    matrix = sparse_matrix(stencil, rows)
    inverse = Multigrid(stencil, rows, MultigridParams(coarsest=32, precision=torch.float64))
    rng = np.random.default_rng(3)
    a, b = (torch.from_numpy(rng.normal(size=len(rows))) for _ in range(2))
    assert float(a @ inverse(b)) == pytest.approx(float(b @ inverse(a)), rel=1e-6)
    few, many = {"tolerance": 1e-8, "max_steps": 48}, {"tolerance": 1e-8, "max_steps": 64}
    diagonal = stencil[2, 2][solved]
    x, converged = conjugate_gradient(lambda v: matrix @ v, a, torch.zeros_like(a), inverse, **few)
    assert converged and float((matrix @ x - a).norm() / a.norm()) < 1e-7
    assert not conjugate_gradient(lambda v: matrix @ v, a, torch.zeros_like(a), lambda r: r / diagonal, **many)[1]


def test_conjugate_gradients_without_a_solution_stop_at_something_finite() -> None:
    right = torch.ones(4, dtype=torch.float64)
    x, converged = conjugate_gradient(
        lambda v: v * float("nan"), right, torch.zeros_like(right), lambda r: r, tolerance=1e-8, max_steps=50
    )
    assert not converged and bool(torch.isfinite(x).all())


@pytest.mark.parametrize(("n", "count"), [(1, 1), (9, 5), (700, 11), (1025, 4)])
def test_neighbours_are_the_nearest(n: int, count: int) -> None:
    rng = np.random.default_rng(n)
    points = np.concatenate([rng.random((n - n // 3, 5)), np.round(rng.random((n // 3, 5)), 1)]).astype(np.float32)
    wanted = rng.random(n) < 0.6
    wanted[0] = True
    params = NeighbourParams(block=16, chunk=1 << 12)
    got = nearest_neighbours(torch.from_numpy(points), torch.from_numpy(wanted), count, params).numpy()
    apart = np.square(points[wanted][:, None] - points).sum(-1)
    assert got.shape == (wanted.sum(), count) and all(len(set(row)) == count for row in got)
    np.testing.assert_allclose(
        np.sort(np.take_along_axis(apart, got, 1), 1), np.sort(apart, 1)[:, :count], rtol=1e-5, atol=1e-9
    )


def test_the_sum_of_entries_of_one_place_is_what_counts() -> None:
    from uhrmat.prior.closed_form.on_device.stencils import csr_of_pairs

    rows, columns, values = torch.tensor([2, 0, 2, 2]), torch.tensor([1, 0, 1, 2]), torch.tensor([1.0, 2, 3, 4])
    want = sparse.coo_matrix((values.numpy(), (rows.numpy(), columns.numpy())), (3, 3)).toarray()
    x = np.arange(1, 4, dtype=np.float32)
    np.testing.assert_allclose((csr_of_pairs(rows, columns, values, (3, 3)) @ torch.from_numpy(x)).numpy(), want @ x)


def test_the_device_decides_who_solves() -> None:
    def process(*_: Any) -> Any:
        return np.zeros((1, 1), np.float32), []

    trimap = frozenset({"trimap"})
    for device, kind in (("cuda", DeviceSolver), ("cuda:1", DeviceSolver), ("cpu", type(process))):
        registry = PriorRegistry(CLOSED_FORM_KNN, process, device)
        method, _ = registry.choose(trimap)
        assert isinstance(method, AffinityPrior) and type(method._solve) is kind
        prefetched = registry.as_prefetched(method)
        assert isinstance(prefetched, AffinityPrior) and prefetched._solve is process
