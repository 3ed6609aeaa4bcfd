"""The affinity priors: exact on a line of colours, true to the trimap, calm when the solver is not."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.prior.base import LowResHints
from uhrmat.prior.choose import AFFINITY_PRIORS
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.problem import Start
from uhrmat.prior.closed_form.solve import solve


def _scene(height: int = 40, width: int = 60) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A soft vertical edge between two flat colours: picture, true alpha, trimap."""
    true = np.clip((np.arange(width) - width / 2) / 12 + 0.5, 0, 1).astype(np.float32)
    true = np.broadcast_to(true, (height, width)).copy()
    front, back = np.array([0.9, 0.3, 0.1], np.float32), np.array([0.1, 0.4, 0.8], np.float32)
    trimap = np.full(true.shape, 128, np.uint8)
    trimap[:, :15], trimap[:, -15:] = 0, 255
    return true[..., None] * front + (1 - true[..., None]) * back, true, trimap


@pytest.mark.parametrize("name", AFFINITY_PRIORS)
def test_known_pixels_stay_exact_and_alpha_stays_in_range(name: str) -> None:
    image, _, trimap = _scene()
    alpha = AffinityPrior(name)(image, LowResHints(trimap)).alpha
    assert alpha.dtype == np.float32 and alpha.min() >= 0 and alpha.max() <= 1
    assert (alpha[trimap == 0] == 0).all() and (alpha[trimap == 255] == 1).all()


def test_closed_form_recovers_a_colour_line() -> None:
    image, true, trimap = _scene()
    assert np.abs(AffinityPrior()(image, LowResHints(trimap)).alpha - true).max() < 0.02


def test_non_local_affinities_reach_across_a_gap_that_stops_the_closed_form() -> None:
    """An unknown patch of the foreground's colour behind a wall of known background: only like pixels know it."""
    image, _, trimap = _scene()
    image[5:35, 6:10] = image[0, -1]
    image += np.random.default_rng(0).uniform(0, 0.1, image.shape).astype(np.float32)
    trimap[:, 2:20], trimap[:, 20:23] = 128, 0
    hints = LowResHints(trimap)
    closed, knn = (AffinityPrior(name)(image, hints).alpha[5:35, 6:10] for name in ("closed-form", "closed-form+knn"))
    assert closed.mean() < 0.1 and knn.mean() > 0.6


def test_solving_in_the_bounding_box_changes_nothing() -> None:
    image, _, trimap = _scene()
    wide = np.pad(image, ((30, 30), (30, 30), (0, 0)), mode="edge")
    around = np.pad(trimap, 30, mode="edge")
    around[:30], around[-30:] = 0, 0
    boxed = AffinityPrior()(wide, LowResHints(around)).alpha
    whole, _ = solve(wide, around)
    assert np.abs(boxed - whole).max() < 1e-3


def _changed(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The picture with a patch of the foreground's colour in the soft edge, and where it was pasted."""
    pasted = np.zeros(image.shape[:2], bool)
    pasted[15:25, 26:34] = True
    return np.where(pasted[..., None], image[0, -1], image).astype(np.float32), pasted


@pytest.mark.parametrize("name", AFFINITY_PRIORS)
def test_pixels_that_did_not_change_keep_their_alpha(name: str) -> None:
    image, _, trimap = _scene()
    image += np.random.default_rng(0).uniform(0, 0.02, image.shape).astype(np.float32)
    last, _ = solve(image, trimap, name)
    other, pasted = _changed(image)
    part, _ = solve(other, trimap, name, Start(last, pasted))
    if name == "lkm":
        assert np.array_equal(part, solve(other, trimap, name)[0])
        return
    assert np.abs(part - last)[~pasted].max() < 1e-6 and np.abs(part - last)[pasted].max() > 0.1
    assert np.abs(solve(other, trimap, name, Start(last, np.zeros_like(pasted)))[0] - last).max() < 1e-6


@pytest.mark.parametrize("name", ["closed-form", "closed-form+knn"])
def test_solving_where_a_picture_changed_comes_near_to_solving_all_of_it(name: str) -> None:
    image, _, trimap = _scene()
    image += np.random.default_rng(0).uniform(0, 0.02, image.shape).astype(np.float32)
    last, _ = solve(image, trimap, name)
    other, pasted = _changed(image)
    around = np.zeros_like(pasted)
    around[9:31, 20:40] = True
    whole = solve(other, trimap, name)[0]
    near, _ = solve(other, trimap, name, Start(last, around))
    everywhere, _ = solve(other, trimap, name, Start(last, np.ones_like(pasted)))
    error = np.abs(last - whole)[pasted].mean()
    assert np.abs(near - whole)[pasted].mean() < 0.1 * error
    assert np.abs(everywhere - whole).max() < 0.01


@pytest.mark.parametrize("name", ["closed-form", "closed-form+knn"])
def test_what_was_known_and_is_unknown_now_is_solved(name: str) -> None:
    """A start holds the trimap's own values at pixels that are known no more, and they count as changed."""
    image, true, trimap = _scene()
    wrong = trimap.copy()
    wrong[10:20, 25:35] = 255
    last, _ = solve(image, wrong, name)
    healed, _ = solve(image, trimap, name, Start(last, np.ones(trimap.shape, bool)))
    assert np.abs(last - true)[10:20, 25:30].min() > 0.4 and np.abs(healed - true)[10:20, 25:35].max() < 0.06


@pytest.mark.parametrize(("value", "alpha"), [(0, 0.0), (255, 1.0), (128, 0.5)])
def test_a_trimap_of_one_kind_needs_no_solver(value: int, alpha: float) -> None:
    result = AffinityPrior()(np.zeros((5, 7, 3), np.float32), LowResHints(np.full((5, 7), value, np.uint8)))
    assert (result.alpha == alpha).all()


def test_without_foreground_the_closed_form_takes_the_unknown_region_for_background() -> None:
    trimap = np.zeros((6, 6), np.uint8)
    trimap[2:4, 2:4] = 128
    result = AffinityPrior()(np.random.default_rng(0).random((6, 6, 3), np.float32), LowResHints(trimap))
    assert (result.alpha == 0).all() and result.notes


def test_a_failing_preconditioner_is_replaced(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import importlib

    def refuse(*_args: object, **_kwargs: object) -> None:
        print("PERFORMANCE WARNING: raw output of a library")
        raise ValueError("not positive definite")

    monkeypatch.setattr(importlib.import_module("pymatting.preconditioner.ichol"), "ichol", refuse)
    image, true, trimap = _scene()
    assert np.abs(AffinityPrior()(image, LowResHints(trimap)).alpha - true).max() < 0.02
    assert capsys.readouterr().out == ""


def test_refusals() -> None:
    with pytest.raises(InputError, match="no affinity prior"):
        AffinityPrior("magic")
    with pytest.raises(InputError, match="needs a trimap"):
        AffinityPrior()(np.zeros((4, 4, 3), np.float32), LowResHints())


def test_large_kernels_have_no_room_in_a_tiny_picture() -> None:
    image = np.linspace(0, 1, 4 * 9 * 3, dtype=np.float32).reshape(4, 9, 3)
    trimap = np.full((4, 9), 128, np.uint8)
    trimap[:, :2], trimap[:, -2:] = 0, 255
    assert np.array_equal(solve(image, trimap, "lkm")[0], solve(image, trimap)[0])
