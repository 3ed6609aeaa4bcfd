"""What is begun ahead is not made twice, and serves nobody else."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from uhrmat import Matter, ahead
from uhrmat.media import Picture
from uhrmat.prior.affinity import solve

PIXELS = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def _trimap() -> np.ndarray:
    trimap = np.full((60, 80), 128, np.uint8)
    trimap[:, :30], trimap[:, 50:] = 0, 255
    return trimap


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int | None]:
    """The working sizes of the small copies made so far."""
    sides: list[int | None] = []
    make = ahead._made

    def counted(picture: Picture, hints: Any, side: int | None, halved: bool) -> ahead.Problem:
        sides.append(side)
        return make(picture, hints, side, halved)

    monkeypatch.setattr(ahead, "_made", counted)
    return sides


def test_what_was_begun_is_used_once(made: list[int | None]) -> None:
    picture, said = Picture.from_array(PIXELS), {"trimap": _trimap(), "mask": None}
    ahead.begin_prior(picture, said, "auto", 20, solve)
    hints = ahead.hints_of(picture, dict(said))
    small, known = ahead.small_problem(picture, hints, 20)
    assert made == [20] and small.shape == (20, 27, 3) and known.trimap is not None
    again, _ = ahead.small_problem(picture, hints, 20)
    assert made == [20, 20] and (again == small).all()


@pytest.mark.parametrize("other", ["picture", "trimap", "side", "halved"])
def test_what_was_begun_serves_nobody_else(made: list[int | None], other: str) -> None:
    picture, said = Picture.from_array(PIXELS), {"trimap": _trimap()}
    ahead.begin_prior(picture, said, "auto", 20, solve)
    asked = Picture.from_array(255 - PIXELS) if other == "picture" else picture
    hints = ahead.hints_of(asked, {"trimap": 255 - _trimap() if other == "trimap" else said["trimap"]})
    small, known = ahead.small_problem(asked, hints, 10 if other == "side" else 20, other == "halved")
    assert len(made) == 2
    assert small.shape[0] == (10 if other == "side" else 20)
    assert np.allclose(small.mean(), asked.pixels.mean() / 255, atol=1e-3)
    assert known.trimap is not None and (known.trimap[0, 0] == 0) == (other != "trimap")


def test_nothing_is_held_for_a_picture_that_is_gone() -> None:
    ahead.begin_prior(Picture.from_array(PIXELS), {"trimap": _trimap()}, "auto", 20, solve)
    assert ahead._begun is None


def test_a_matte_begun_ahead_is_the_same_matte(made: list[int | None]) -> None:
    picture, trimap, matter = Picture.from_array(PIXELS), _trimap(), Matter(refiner="bilinear", working_size=20)
    plain = matter.matte(picture, trimap=trimap, foreground=False)
    said = {"trimap": trimap, "mask": None, "plate": None, "key": None, "alpha": None}
    ahead.begin_prior(picture, said, "auto", 20, solve)
    ahead_of = matter.matte(picture, trimap=trimap, foreground=False)
    assert made == [20, 20] and (ahead_of.alpha == plain.alpha).all()
