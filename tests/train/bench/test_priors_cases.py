"""The composites and hints of `benchmarks.priors`: what is exact is exact, what is coarse is coarse."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.priors_cases import GREEN, HINTS, cases

SIDE = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey disc with a soft edge on noise, and a background."""
    folder = tmp_path_factory.mktemp("data")
    ys, xs = np.mgrid[:SIDE, :SIDE]
    alpha = np.clip((20 - np.hypot(ys - 32, xs - 32)) / 6 + 0.5, 0, 1)
    noise = np.random.default_rng(0).random((SIDE, SIDE, 3))
    picture = alpha[..., None] * 0.5 + (1 - alpha[..., None]) * noise
    trimap = np.where(alpha == 0, 0, np.where(alpha == 1, 255, 128))
    for name, plane in {"GT02": picture * 255, "GT02_gt": alpha * 255, "GT02_trimap": trimap}.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.rint(plane).astype(np.uint8))
    (folder / "behind").mkdir()
    cv2.imwrite(str(folder / "behind" / "a.jpg"), np.rint(noise * 255).astype(np.uint8))
    return folder


def test_every_hint_says_what_it_should_and_keeps_the_truth(data: Path) -> None:
    result = {hint: cases(hint, data, None, data / "behind") for hint in HINTS}
    assert result.pop("nothing") == {}
    made = {hint: by_name["GT02"]() for hint, by_name in result.items()}
    assert {hint: set(case.said) for hint, case in made.items()} == {
        "trimap": {"trimap"}, "mask": {"mask"}, "alpha": {"alpha"}, "plate": {"plate"}, "key": set(),
    }  # fmt: skip
    for case in made.values():
        assert case.picture.shape == (SIDE, SIDE, 3) and case.picture.dtype == np.uint8
        assert np.array_equal(case.truth, made["trimap"].truth) and case.region is not None
    assert made["alpha"].said["alpha"].shape == (SIDE // 4, SIDE // 4)
    assert set(np.unique(made["mask"].said["mask"])) == {0, 255}


def test_the_screen_is_green_and_the_plate_was_moved(data: Path) -> None:
    key = cases("key", data, None, None)["GT02"]()
    behind = key.picture[key.truth == 0].mean(0) / 255
    assert behind[1] > behind[0] + 0.3 and behind[1] > behind[2] + 0.3 and behind[1] < GREEN[1]
    plate = cases("plate", data, None, data / "behind")["GT02"]()
    outside = plate.truth == 0
    assert np.abs(plate.picture[outside].astype(float) - plate.said["plate"][outside]).mean() > 20
    assert cases("plate", data, None, None) == {}
