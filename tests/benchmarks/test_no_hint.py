"""benchmarks.no_hint counts what a prior marks, and whom its confidence refuses."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import no_hint
from uhrmat.prior.base import LowResHints, PriorResult


@pytest.fixture()
def data(tmp_path: Path) -> Path:
    """White left halves that are people, ten photographs of train/ (white objects; the last two grey, without subject),
    and a matte."""
    coco, free, mattes = (
        tmp_path / name for name in ("dev/validation/coco_other", "train/photos_free/set", "dev/alphamatting")
    )
    for folder in (coco, free, mattes / "GroundTruth", mattes / "Images"):
        folder.mkdir(parents=True)
    photo, half, grey = (
        np.zeros((40, 60, 3), np.uint8),
        np.zeros((40, 60), np.uint8),
        np.full((40, 60, 3), 90, np.uint8),
    )
    photo[:, :30], half[:, :30] = 255, 255
    for path, pixels in (
        (coco / "1.png", photo), (coco / "1_person.png", half), (mattes / "GroundTruth/G.png", half),
        (mattes / "Images/G.png", photo), *((free / f"{n}.png", grey if n > 7 else photo) for n in range(10)),
    ):  # fmt: skip
        cv2.imwrite(str(path), pixels)
    (coco / "1.png").rename(coco / "1.jpg")
    (free / "index.tsv").write_text("".join(f"{n}.png\t{'none' if n > 7 else 'object'}\tx\n" for n in range(10)))
    return tmp_path


class White:
    """A network that marks what is white, and everything else faintly."""

    name, working_size = "white", None

    def __call__(self, small: np.ndarray, hints: LowResHints) -> PriorResult:
        return PriorResult(np.where(small[..., 0] > 0.5, 1, 0.05).astype(np.float32), self.name)


def test_figures_of_a_prior(data: Path) -> None:
    options = argparse.Namespace(data=data, refiner="bilinear", threads=1, count=5, skip=0, mattes=1)
    figures = no_hint.row(White(), options, ("people",))
    assert figures["iou"] == 1 and figures["background"] == 1 and figures["active"] > 0.5
    assert figures["SAD"] == pytest.approx(40 * 30 * 0.05 / 1000, rel=0.05)


def test_refusals_are_counted_by_kind(data: Path) -> None:
    options = argparse.Namespace(data=data, train=True, count=9)
    rows = no_hint.confidence_rows({"white": White()}, options)
    assert rows["white, other"] == {"photographs": 8, "refused": 0.0, "doubtful": 0.0}
    assert rows["white, none"] == {"photographs": 1, "refused": 1.0, "doubtful": 0.0}
