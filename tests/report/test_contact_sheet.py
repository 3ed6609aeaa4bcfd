"""The sheet, and the places that it enlarges."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from uhrmat.media import Picture
from uhrmat.report.contact_sheet import contact_sheet
from uhrmat.report.detail_crops import detail_crops

HEAD, GAP = 22, 6


def matte_of(pixels: np.ndarray, alpha: np.ndarray, trimap: np.ndarray | None = None) -> Any:
    given = frozenset() if trimap is None else frozenset({"trimap"})
    return SimpleNamespace(
        picture=Picture.from_array(pixels), alpha=alpha, active=(alpha > 0) & (alpha < 1), foreground=pixels,
        prior_alpha=np.full((4, 4), 0.5, np.float32), trimap=trimap, given=given,
        stats=SimpleNamespace(active_share=0.25),
    )  # fmt: skip


def panels(sheet: np.ndarray, size: tuple[int, int]) -> list[np.ndarray]:
    """The pictures of the sheet without their names, row by row."""
    h, w = size[0] + HEAD + GAP, size[1] + GAP
    return [
        sheet[y + HEAD : y + HEAD + size[0], x : x + size[1]].astype(int)
        for y in range(0, sheet.shape[0], h)
        for x in range(0, sheet.shape[1], w)
    ]


@pytest.mark.parametrize(("dtype", "full"), [(np.uint8, 255), (np.uint16, 65535)])
@pytest.mark.parametrize("size", [(1, 1), (40, 60), (900, 1300), (2, 3000)])
def test_all_foreground(dtype: Any, full: int, size: tuple[int, int]) -> None:
    """White and wholly there: white in every panel but the prior's, and no place is worth enlarging."""
    sheet = contact_sheet(matte_of(np.full((*size, 3), full, dtype), np.ones(size, np.float32)))
    scale = min(1.0, 640 / max(size))
    small = max(1, round(size[0] * scale)), max(1, round(size[1] * scale))
    photo, prior, *others = panels(sheet, small)
    assert sheet.dtype == np.uint8 and len(others) == 4
    assert photo.min() == 255 and all(panel.min() == 255 for panel in others)
    assert abs(int(prior.mean()) - 128) <= 1


def test_what_each_panel_shows() -> None:
    alpha = np.zeros((20, 30), np.float32)
    alpha[:, 10:20], alpha[:, 20:] = 0.5, 1
    trimap = np.rint(alpha * 255).astype(np.uint8)
    sheet = contact_sheet(matte_of(np.full((20, 30, 3), 255, np.uint8), alpha, trimap))
    photo, hint, active, shown, cut, green = panels(sheet, (20, 30))
    assert photo.min() == 255
    assert [hint[5, x, 0] for x in (5, 15, 25)] == [0, 128, 255]
    assert active[5, 15, 0] - active[5, 15, 1] > 100 and (active[5, 25] == 255).all()
    assert [shown[5, x, 0] for x in (5, 15, 25)] == [0, 128, 255]
    assert cut[5, 5].max() < 230 and (cut[5, 25] == 255).all()
    assert green[5, 5, 1] > 2 * green[5, 5, 0] and (green[5, 25] == 255).all()


def test_detail_crops_are_shown_at_one_to_one() -> None:
    """A large picture with noise in one corner: the crop shows it pixel by pixel."""
    rng = np.random.default_rng(0)
    alpha = np.zeros((1200, 1600), np.float32)
    alpha[800:1100, 1200:1500] = rng.random((300, 300), np.float32)
    pixels = rng.integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    made = panels(contact_sheet(matte_of(pixels, alpha), places=1), (480, 640))
    assert len(made) == 9
    place = detail_crops(alpha, (480, 640), 1)[0]
    part = slice(place.top, place.top + 480), slice(place.left, place.left + 640)
    assert alpha[part].sum() == alpha.sum(), "all detail is in it"
    assert np.array_equal(made[6], pixels[part])
    assert np.array_equal(made[7][..., 0], np.rint(alpha[part] * 255))


def test_crops_do_not_overlap_and_need_detail() -> None:
    rng = np.random.default_rng(1)
    alpha = np.zeros((700, 900), np.float32)
    assert detail_crops(alpha, (100, 100)) == [] and detail_crops(alpha + 1, (100, 100)) == []
    alpha[::3] = rng.random((234, 900), np.float32)
    crops = detail_crops(alpha, (150, 200), 3)
    assert len(crops) == 3
    for i, a in enumerate(crops):
        assert 0 <= a.top <= 550 and 0 <= a.left <= 700
        assert all(abs(a.top - b.top) >= 150 or abs(a.left - b.left) >= 200 for b in crops[:i])


def test_a_crop_is_never_larger_than_the_picture() -> None:
    alpha = np.full((20, 30), 0.5, np.float32)
    (only,) = detail_crops(alpha, (100, 100))
    assert (only.top, only.left, only.height, only.width) == (0, 0, 20, 30)
