"""The clean plate as a prior: brought into line, and told from the subject."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.prior.base import LowResHints
from uhrmat.prior.clean_plate.plate import PlatePrior, known_background_alpha
from uhrmat.prior.clean_plate.register import register_plate
from uhrmat.prior.pull_push import pull_push

from .composites import SHAPE, before_plate

WORST = {"noise": 0.02, "shift": (3.3, -2.2), "gains": (1.2, 1.1, 0.95)}


@pytest.mark.parametrize(("kind", "clean", "worst"), [("fur", 0.015, 0.025), ("solid", 0.004, 0.02)])
def test_alpha_before_a_plate(kind: str, clean: float, worst: float) -> None:
    for trouble, limit in (({}, clean), (WORST, worst)):
        picture, plate, true = before_plate(kind, **trouble)  # type: ignore[arg-type]
        result = PlatePrior()(picture, LowResHints(plate=plate))
        assert result.alpha.dtype == np.float32 and result.alpha.min() >= 0 and result.alpha.max() <= 1
        assert np.abs(result.alpha - true).mean() < limit
    assert "moved by 3." in result.notes[0] and "exposure ×" in result.notes[0]


def test_register_undoes_shift_and_exposure() -> None:
    picture, plate, true = before_plate("fur", shift=(3.3, -2.2), gains=(1.2, 1.1, 0.95))
    result, _ = register_plate(picture, plate)
    behind = np.zeros(SHAPE, bool)
    behind[12:-12, 12:-12] = True
    behind &= true == 0
    assert np.abs(result - picture)[behind].mean() < 0.25 * np.abs(plate - picture)[behind].mean()


def test_register_leaves_alone_what_fits() -> None:
    picture, plate, _ = before_plate("fur", noise=0.04)
    result, notes = register_plate(picture, plate)
    assert np.abs(result - plate).mean() < 0.01 and not any("moved" in note for note in notes)


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_picture_of_the_plate_alone_gives_an_empty_matte(noise: float) -> None:
    _, plate, _ = before_plate("fur")
    again = plate + np.random.default_rng(5).normal(0, noise, plate.shape).astype(np.float32)
    assert PlatePrior()(again.clip(0, 1), LowResHints(plate=plate)).alpha.max() < 0.02


def test_a_picture_of_another_place_is_all_foreground() -> None:
    dark, bright = np.full((*SHAPE, 3), 0.1, np.float32), np.full((*SHAPE, 3), 0.9, np.float32)
    assert PlatePrior()(dark, LowResHints(plate=bright)).alpha.min() > 0.98


def test_a_known_background_beats_the_closed_form_alone() -> None:
    picture, plate, true = before_plate("fur")
    trimap = np.where(true == 0, 0, np.where(true == 1, 255, 128)).astype(np.uint8)
    poor = np.full(SHAPE, 0.5, np.float32)
    alpha, _ = known_background_alpha(picture, plate, trimap, lambda *_: (poor, []))
    assert np.abs(alpha - true).mean() < 0.5 * np.abs(np.where(trimap == 128, poor, true) - true).mean()


def test_a_trimap_is_kept_and_a_plate_is_needed() -> None:
    picture, plate, true = before_plate("solid")
    trimap = np.where(true > 0.5, 255, 128).astype(np.uint8)
    trimap[:20] = 0
    alpha = PlatePrior()(picture, LowResHints(trimap, plate=plate)).alpha
    assert (alpha[trimap == 255] == 1).all() and (alpha[:20] == 0).all()
    with pytest.raises(InputError, match="clean plate"):
        PlatePrior()(picture, LowResHints())


def test_spread_carries_colours_and_keeps_them() -> None:
    values = np.zeros((37, 51, 3), np.float32)
    values[:, :20], values[:, 30:] = (1, 0, 0), (0, 0, 1)
    weight = np.ones((37, 51), np.float32)
    weight[:, 20:30] = 0
    result = pull_push(values, weight)
    assert np.abs(result - values)[weight > 0].max() < 0.1
    assert (result[:, 20, 0] > result[:, 20, 2]).all() and (result[:, 29, 2] > result[:, 29, 0]).all()
    assert np.allclose(pull_push(values, np.zeros((37, 51))), values.mean((0, 1)), atol=1e-5)
