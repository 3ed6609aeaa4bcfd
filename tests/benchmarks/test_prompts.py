"""benchmarks.prompts makes boxes and clicks of masks, and measures what is found of them."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from benchmarks import prompts
from uhrmat.hints.prompts import Box, Point
from uhrmat.prior.base import LowResHints, PriorResult
from uhrmat.prior.prompts.locate import PromptLocator


def test_the_box_and_the_click_of_a_mask() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:31, 20:41] = True
    mask[2, 2] = True
    assert prompts.bounding_box(mask) == Box(2, 2, 41, 31) and prompts.innermost(mask) == Point(30, 20)
    assert prompts.in_one_part(mask)
    mask[10:31, 44:60] = True
    assert not prompts.in_one_part(mask)
    part = prompts.part_at(mask, Point(50, 20))
    assert part[20, 50] and not part[20, 30] and not prompts.part_at(mask, Point(0, 30)).any()


def test_rows_by_kind(tmp_path: Path) -> None:
    folder = tmp_path / "train/photos_masked/coco_ccby"
    folder.mkdir(parents=True)
    photo, mask = np.full((80, 120, 3), 90, np.uint8), np.zeros((80, 120), np.uint8)
    photo[20:60, 30:80], mask[20:60, 30:80] = (20, 60, 220), 255
    for name, pixels in (("1.png", photo), ("1_person.png", mask), ("1_all.png", np.zeros_like(mask))):
        cv2.imwrite(str(folder / name), pixels)
    (folder / "1.png").rename(folder / "1.jpg")

    class Coloured:
        name, working_size = "coloured", None

        def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
            return PriorResult((np.ptp(small, axis=2) > 0.3).astype(np.float32), self.name)

    options = argparse.Namespace(data=tmp_path, train=True, count=5, side=80)
    table = prompts.rows(options, PromptLocator(Coloured()))
    assert table["masks"] == {"person": 1, "in one part": 1}  # an empty mask is left out
    assert table["box, ours"]["person"] > 0.95 and table["click, ours"]["in one part"] > 0.95
