"""The data term from the trimap's boundary: where it pulls, where it does not, what it decides."""

from __future__ import annotations

import numpy as np
import pytest

from uhrmat.prior.base import LowResHints
from uhrmat.prior.closed_form.affinity import AffinityPrior
from uhrmat.prior.closed_form.boundary_data_term import BOUNDARY_DEFAULTS, BoundaryDataTermParams, boundary_data_term
from uhrmat.prior.closed_form.params import ClosedFormParams


def _from_middle() -> np.ndarray:
    rows, columns = np.mgrid[:120, :160]
    return np.hypot(rows - 60, columns - 80)


def _disc() -> np.ndarray:
    """A trimap drawn evenly, 10 pixels wide, around a disc."""
    away = _from_middle()
    return np.where(away < 30, 255, np.where(away < 40, 128, 0)).astype(np.uint8)


def _with_flag(rows: slice = slice(50, 70)) -> tuple[np.ndarray, np.ndarray]:
    """The disc with a part beside it that is unknown all over, 4 pixels wider than `flag` on every side."""
    trimap, flag = _disc(), np.zeros((120, 160), bool)
    flag[rows, 112:128] = True
    trimap[rows.start - 4 : rows.stop + 4, 108:132] = 128
    return trimap, flag


def test_away_from_the_background_is_foreground() -> None:
    trimap = _disc()
    weight, aim = boundary_data_term(trimap)
    away = _from_middle()[trimap == 128] - 30  # 0 at the foreground, 10 at the background
    assert weight.shape == aim.shape == away.shape
    assert weight.min() >= 0 and weight.max() == BOUNDARY_DEFAULTS.weight
    assert (aim[away < 6] == 1).all() and (aim[away > 9] == 0).all()
    assert (weight[away < 4] == BOUNDARY_DEFAULTS.weight).all()
    assert weight[np.abs(away - 7.5) < 0.3].max() < 0.1 * BOUNDARY_DEFAULTS.weight


def test_the_same_at_any_size_and_beside_empty_background() -> None:
    """Distances count in widths of the band."""
    trimap = _disc()
    small = boundary_data_term(trimap)
    assert np.array_equal(boundary_data_term(np.pad(trimap, 50)), small)
    large = boundary_data_term(trimap.repeat(2, 0).repeat(2, 1))
    for one, other in zip(small, large, strict=True):
        assert abs(one.mean() - other.mean()) < 0.1 * one.mean()


def test_strokes_have_no_data_term() -> None:
    """A stroke on the subject and the picture's rim as background: everything between is unknown."""
    trimap = np.full((120, 160), 128, np.uint8)
    trimap[:3], trimap[-3:], trimap[:, :3], trimap[:, -3:] = 0, 0, 0, 0
    trimap[59:61, 60:100] = 255
    assert not boundary_data_term(trimap)[0].any()


def test_unknown_background_takes_the_data_term_away() -> None:
    trimap = _disc()
    assert boundary_data_term(trimap)[0].any()
    trimap[:, :50][trimap[:, :50] == 0] = 128
    assert not boundary_data_term(trimap)[0].any()


def test_pixels_far_from_either_side_have_no_data_term() -> None:
    trimap, _ = _with_flag(slice(20, 70))
    weight, _ = boundary_data_term(trimap)
    rows, columns = np.nonzero(trimap == 128)
    front = _from_middle()[trimap == 128] - 30
    inner = (front > 14) & (columns > 113) & (columns < 126) & (rows > 21) & (rows < 65)
    assert inner.sum() > 100 and not weight[inner].any()


def test_without_background_there_is_no_data_term() -> None:
    trimap = np.full((20, 20), 255, np.uint8)
    trimap[5:9, 5:9] = 128
    weight, aim = boundary_data_term(trimap)
    assert weight.shape == (16,) and not weight.any() and not aim.any()


def test_without_foreground_the_data_term_is_as_strong_at_any_size() -> None:
    trimap = np.where(_from_middle() < 40, 128, 0).astype(np.uint8)
    weight, aim = boundary_data_term(trimap)
    away = _from_middle()[trimap == 128]
    assert (aim[away < 20] == 1).all() and (aim[away > 36] == 0).all() and weight[away < 5].min() > 0
    large, _ = boundary_data_term(trimap.repeat(2, 0).repeat(2, 1))
    assert large.sum() == pytest.approx(weight.sum(), rel=0.1)


@pytest.mark.parametrize("exchanged", [False, True])
def test_lace_without_any_known_foreground(exchanged: bool) -> None:
    """Bars of one colour, gaps that show the background, all of it unknown; and a background seen through such bars."""
    rows, columns = np.mgrid[:90, :90]
    inside = (np.abs(rows - 45) < 30) & (np.abs(columns - 45) < 30)
    bars = inside & ((rows // 6 % 2 == 0) | (columns // 6 % 2 == 0))
    image = np.random.default_rng(1).uniform(0, 0.02, (90, 90, 3)).astype(np.float32) + np.float32((0.2, 0.4, 0.3))
    image[bars] += np.float32((0.5, 0.1, 0.2))
    trimap = np.where((np.abs(rows - 45) < 35) & (np.abs(columns - 45) < 35), 128, 255 if exchanged else 0)
    result = AffinityPrior("closed-form+knn")(image, LowResHints(trimap.astype(np.uint8)))
    alpha = 1 - result.alpha if exchanged else result.alpha
    assert alpha[bars].mean() > 0.8 and alpha[~bars].mean() < 0.1
    assert result.alpha[trimap == 255].all() and not result.alpha[trimap == 0].any()
    assert "background" in result.notes[0] if exchanged else "foreground" in result.notes[0]


def test_a_part_of_no_known_colour_goes_to_the_subject() -> None:
    """Like neither side and cut off from both by hard edges: without the data term it is the background's."""
    trimap, flag = _with_flag()
    rng = np.random.default_rng(2)
    image = np.zeros((*trimap.shape, 3), np.float32)
    image[:] = 0.1, 0.3, 0.1
    image[_from_middle() < 35] = 0.8, 0.7, 0.6
    image[flag] = 0.1, 0.1, 0.9
    image += rng.uniform(0, 0.03, image.shape).astype(np.float32)
    around = (trimap == 128) & ~flag & (np.mgrid[:120, :160][1] > 117)
    pulled = AffinityPrior("closed-form+knn")(image, LowResHints(trimap)).alpha
    without = ClosedFormParams(boundary=BoundaryDataTermParams(weight=0.0))
    alone = AffinityPrior("closed-form+knn", params=without)(image, LowResHints(trimap)).alpha
    assert alone[flag].mean() < 0.1 and pulled[flag].mean() > 0.6
    assert pulled[around].mean() < 0.05
