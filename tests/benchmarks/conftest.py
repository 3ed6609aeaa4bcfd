"""The benchmarks are no part of the package: they are imported from the checkout."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from uhrmat.train import samples
from uhrmat.train.samples import SampleView, fill_samples


@pytest.fixture(scope="module")
def disc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a disc on noise, its trimap and true alpha, and six tiny scenes in scenes/."""
    folder = tmp_path_factory.mktemp("disc")
    y, x = np.mgrid[:96, :112]
    distance = np.hypot(y - 48, x - 56)
    alpha = np.clip((30 - distance) / 8 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(1).normal(0, 4, (96, 112, 3))
    shown = np.rint((alpha * [60, 90, 210] + (1 - alpha) * [170, 120, 40] + noise).clip(0, 255))
    trimap = np.where(distance < 20, 255, np.where(distance > 42, 0, 128))
    for name, plane in (("a", shown), ("a_gt", np.rint(alpha * 255)), ("a_trimap", trimap)):
        cv2.imwrite(str(folder / f"{name}.png"), plane.astype(np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(samples, "SAMPLE_VIEWS", (SampleView(96, (0.8, 1.2), ((1.5, 2.0), (3.0, 4.0))),))
        fill_samples(folder / "scenes", None, range(6))
    return folder
