"""The screen as a prior: its colour found, its light followed, its noise and spill taken off."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from uhrmat.core.errors import InputError
from uhrmat.foreground.despill import despill
from uhrmat.hints.key_colour import key_rgb, parse_key
from uhrmat.media import read_picture
from uhrmat.media.chroma import hue_axes, key_excess
from uhrmat.media.resample import area_average
from uhrmat.prior.base import LowResHints
from uhrmat.prior.chroma_key.key import KeyPrior
from uhrmat.prior.chroma_key.params import ChromaKeyParams
from uhrmat.prior.chroma_key.screen import find_screen_colour, screen_field

from .composites import BLUE, GREEN, SHAPE, before_screen

STILLS = Path("/work/shared/data/train/keyable")


@pytest.mark.parametrize(("kind", "limit"), [("hair", 0.02), ("fur", 0.01), ("solid", 0.004)])
@pytest.mark.parametrize("colour", [GREEN, BLUE, (0.75, 0.1, 0.6)])
def test_alpha_before_an_uneven_noisy_screen_with_spill(kind: str, limit: float, colour: tuple[float, ...]) -> None:
    picture, true, _ = before_screen(kind, colour, noise=0.02, uneven=0.25, spill=0.12)
    result = KeyPrior()(picture, LowResHints())
    assert result.alpha.dtype == np.float32 and result.alpha.min() >= 0 and result.alpha.max() <= 1
    assert np.abs(result.alpha - true).mean() < limit
    assert result.alpha[true == 0].mean() < 0.002 and result.alpha[true == 1].mean() > 0.995


def test_the_empty_screen_gives_an_empty_matte() -> None:
    empty = np.random.default_rng(0).normal(GREEN, 0.015, (*SHAPE, 3)).clip(0, 1).astype(np.float32)
    assert (KeyPrior()(empty, LowResHints(key="green")).alpha == 0).mean() > 0.99


def strands(alpha: float, top: int = 20, apart: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """A noisy picture of a dark block before a green screen, strands 1 pixel wide around it; the strands' place."""
    height, width = SHAPE
    light = np.linspace(1, 0.7, width, dtype=np.float32)[None, :, None]
    cover = np.zeros(SHAPE, np.float32)
    cover[60:, 70:140] = 1
    place = np.zeros(SHAPE, bool)
    place[top:60, 74:136:apart] = True
    cover[place] = alpha
    subject = np.float32([0.25, 0.17, 0.12]) + 0.06 * np.float32(GREEN)
    picture = cover[..., None] * subject + (1 - cover[..., None]) * light * np.float32(GREEN)
    noise = np.random.default_rng(5).normal(0, 0.015, picture.shape)
    return np.asarray((picture + noise).clip(0, 1), np.float32), place


@pytest.mark.parametrize("alpha", [0.3, 0.6])
def test_strands_of_one_pixel_are_kept_and_the_screen_between_them_is_not(alpha: float) -> None:
    picture, place = strands(alpha)
    matte = KeyPrior()(picture, LowResHints()).alpha
    assert matte[place].mean() == pytest.approx(alpha, abs=0.06)
    between = np.zeros(SHAPE, bool)
    between[22:58, 77:134:6] = True
    assert matte[between].mean() < 0.04 and matte[100:150, 80:130].min() == 1
    assert (matte[:, :50] == 0).mean() > 0.99


def test_hair_does_not_darken_the_estimated_screen() -> None:
    picture, place = strands(
        0.22, top=48, apart=3
    )  # the screen's excess falls to 0.78: each such pixel alone would count as screen
    field, _ = screen_field(picture, find_screen_colour(picture, "auto"))
    true = np.linspace(1, 0.7, SHAPE[1], dtype=np.float32)[None, :, None] * np.float32(GREEN)
    assert np.abs(field - true)[place].mean() < 0.012
    plain, _ = screen_field(picture, find_screen_colour(picture, "auto"), ChromaKeyParams(clean_rounds=0))
    assert np.abs(plain - true)[place].mean() > 1.5 * np.abs(field - true)[place].mean()


def test_a_bright_spot_does_not_move_the_rest() -> None:
    picture, _, _ = before_screen("solid")
    changed = picture.copy()
    changed[2:4, 2:4] = 1
    before, after = (KeyPrior()(x, LowResHints()).alpha for x in (picture, changed))
    assert np.abs(before - after)[12:].max() < 0.03


def test_the_screens_colour_is_found_and_named() -> None:
    picture, _, _ = before_screen("hair", BLUE)
    assert np.abs(find_screen_colour(picture, "auto") - BLUE).max() < 0.03
    assert np.abs(find_screen_colour(picture, "#2050c0") - BLUE).max() < 0.03
    result = KeyPrior()(picture, LowResHints(key="blue"))
    assert result.screen is not None and "screen #" in result.notes[0]
    with pytest.raises(InputError, match="no green screen"):
        KeyPrior()(np.full((40, 40, 3), 0.5, np.float32), LowResHints(key="green"))
    with pytest.raises(InputError, match="is grey"):
        find_screen_colour(picture, "#808080")


def test_a_trimap_is_kept() -> None:
    picture, true, _ = before_screen("hair")
    trimap = np.where(true < 0.5, 0, 128).astype(np.uint8)
    assert (KeyPrior()(picture, LowResHints(trimap, key="auto")).alpha[trimap == 0] == 0).all()


def test_the_colour_difference_of_green_is_that_of_vlahos() -> None:
    colours = np.random.default_rng(1).random((50, 3), np.float32)
    expected = colours[:, 1] - np.maximum(colours[:, 0], colours[:, 2])
    assert np.allclose(key_excess(colours, hue_axes(np.float32([0, 1, 0]))), expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("colour", [GREEN, BLUE])
def test_despill_takes_off_what_the_screen_added(dtype: type, colour: tuple[float, ...]) -> None:
    _, _, fur = before_screen("fur", colour)
    plain = np.repeat(fur.mean(-1, keepdims=True), 3, -1)
    top = 1.0 if dtype is np.float32 else float(np.iinfo(dtype).max)
    spilt = plain + 0.12 * np.float32(colour)
    stored = spilt * top if dtype is np.float32 else np.rint(spilt.clip(0, 1) * top)
    freed = stored.astype(dtype)
    assert despill(freed, colour) > 0
    axes = hue_axes(np.float32(colour))
    assert key_excess(freed.astype(np.float32) / top, axes).max() < 2.5 / 255
    off = [float(np.abs(x.astype(np.float32) / top - plain).mean()) for x in (stored.astype(dtype), freed)]
    assert off[1] < 0.75 * off[0]
    skin = np.full((1, 1, 3), [0.8, 0.6, 0.5], np.float32)
    assert despill(skin, GREEN) == 0 and skin[0, 0, 1] == np.float32(0.6)


def test_words_for_colours() -> None:
    assert parse_key(" Green ") == "green" and key_rgb(parse_key("#FF8000")) == pytest.approx((1, 128 / 255, 0))
    assert key_rgb("auto") is None
    with pytest.raises(InputError, match="no screen colour"):
        parse_key("#12345")


@pytest.mark.skipif(not STILLS.is_dir(), reason="the green-screen stills are not here")
@pytest.mark.parametrize(
    ("name", "hue", "spots"),
    [
        ("simogasp_chromakey/person_chroma.jpg", 1, [(0.6, 0.6, 1), (0.1, 0.1, 0), (0.1, 0.9, 0)]),
        ("Isadorable_VFX_ChromaKey/bluescreenman.jpg", 2, [(0.4, 0.57, 1), (0.1, 0.8, 0), (0.96, 0.5, 0)]),
    ],
)
def test_on_photographs(name: str, hue: int, spots: list[tuple[float, float, int]]) -> None:
    picture = read_picture(STILLS / name)
    shape = (300, round(300 * picture.width / picture.height))
    result = KeyPrior()(area_average(picture.pixels, shape, 255), LowResHints())
    assert result.screen is not None and int(np.argmax(result.screen)) == hue
    for y, x, value in spots:
        at = result.alpha[int(y * shape[0]) - 3 : int(y * shape[0]) + 3, int(x * shape[1]) - 3 : int(x * shape[1]) + 3]
        assert (at == value).all()
    assert ((result.alpha > 0.01) & (result.alpha < 0.99)).mean() < 0.1
