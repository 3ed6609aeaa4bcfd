"""The width of the unknown band that a mask gets: as given, by the picture's size, by how well its edge fits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from uhrmat import InputError
from uhrmat.hints.radius import check_radius, parse_radius
from uhrmat.hints.read import read_hints
from uhrmat.hints.trimap import choose_radius, default_radius, edge_fit
from uhrmat.image.plan import plan
from uhrmat.media import Picture

SIDE = 400


def disc(radius: int = 120, dx: int = 0) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.circle(mask, (SIDE // 2 + dx, SIDE // 2), radius, 1.0, -1)
    return mask


def scene(alpha: np.ndarray, noise: float = 4.0) -> Picture:
    """A light subject before a darker background, both with noise."""
    rng = np.random.default_rng(7)
    levels = 60 + 120 * alpha[..., None] + rng.normal(0, noise, (SIDE, SIDE, 3))
    return Picture.from_array(np.clip(levels, 0, 255).astype(np.uint8))


def polygon() -> np.ndarray:
    contour, _ = cv2.findContours(disc().astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillPoly(mask, [np.asarray(cv2.approxPolyDP(contour[0], 8.0, True))], 1.0)
    return mask


BOX = np.pad(np.ones((240, 240), np.float32), 80)


@pytest.mark.parametrize(
    ("mask", "narrow"),
    [(disc(), True), (disc(dx=6), False), (disc(radius=127), False), (disc(radius=113), False), (polygon(), False),
     (BOX, False)],
    ids=["exact", "shifted", "dilated", "eroded", "polygon", "box"],
)  # fmt: skip
def test_auto_narrows_the_band_of_exact_masks_only(mask: np.ndarray, narrow: bool) -> None:
    pixels, why = choose_radius("auto", mask, scene(disc()))
    assert pixels == (3 if narrow else default_radius(SIDE, SIDE)) and default_radius(SIDE, SIDE) == 8
    assert why == (
        ", because its edge fits the picture" if narrow else ", because its edge does not fit the picture closely"
    )
    assert choose_radius(None, mask, scene(disc())) == (8, "")


def test_the_fit_of_a_mask_in_a_picture_without_edges_is_low() -> None:
    flat = scene(np.zeros((SIDE, SIDE), np.float32))
    fit = edge_fit(flat.to_float(), disc())
    assert fit.share < 0.6 and abs(fit.contrast) < 0.1
    assert edge_fit(flat.to_float(), np.ones((SIDE, SIDE), np.float32)).share == 0
    assert edge_fit(flat.to_float()[:6, :6], disc()[:6, :6]).share == 0


def test_the_radius_grows_with_the_picture() -> None:
    large = cv2.resize(scene(disc()).pixels, (3 * SIDE, 3 * SIDE), interpolation=cv2.INTER_CUBIC)
    mask = cv2.resize(disc(), (3 * SIDE, 3 * SIDE), interpolation=cv2.INTER_NEAREST)
    assert choose_radius("auto", mask, Picture.from_array(large))[0] == 9
    assert choose_radius("auto", mask, None)[0] == 24
    assert choose_radius(5, mask, Picture.from_array(large)) == (5, "")


@pytest.mark.parametrize(
    ("radius", "band", "note"),
    [(5, 10, "5 pixels"), ("auto", 6, "3 pixels, because its edge fits"), (None, 16, "8 pixels")],
)
def test_hints_use_the_radius(radius: Any, band: int, note: str) -> None:
    hints = read_hints((SIDE, SIDE), mask=disc(), radius=radius, picture=scene(disc()))
    assert hints.trimap is not None and any(f"radius of {note}" in text for text in hints.choices)
    row = hints.trimap[SIDE // 2, : SIDE // 2]
    assert int((row == 128).sum()) == band and not hints.warnings


def test_a_radius_that_eats_the_subject_is_noted() -> None:
    hints = read_hints((SIDE, SIDE), mask=disc(), radius=150)
    assert hints.warnings == ["the radius of 150 pixels leaves no known foreground"]


@pytest.mark.parametrize(
    ("radius", "given", "words"),
    [(-1, {"mask"}, "The radius -1 is no number of pixels"), ("wide", {"mask"}, "The radius 'wide'"),
     (2.5, {"mask"}, "The radius 2.5"), (True, {"mask"}, "The radius True"), (6, {"trimap"}, "without a mask"),
     ("auto", set(), "without a mask")],
)  # fmt: skip
def test_what_is_no_radius_is_refused(radius: Any, given: set[str], words: str) -> None:
    with pytest.raises(InputError, match=words):
        check_radius(radius, frozenset(given))


def test_the_radius_of_the_command_line() -> None:
    assert [parse_radius(text) for text in ("6", "0", "auto", None)] == [6, 0, "auto", None]
    with pytest.raises(InputError, match="'6px' is no number"):
        parse_radius("6px")


def test_a_radius_without_a_mask_is_refused_before_any_photograph_is_read(tmp_path: Path) -> None:
    from uhrmat.image.outputs import OutputSpec

    with pytest.raises(InputError, match="The radius 6 was given without a mask"):
        plan([tmp_path / "missing.png"], OutputSpec(), radius=6)
