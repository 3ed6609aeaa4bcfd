"""A small picture of a disc, and sessions that end with the test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("starlette", reason="starlette is not installed: pip install .[ui]")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install .[ui]")

from uhrmat.core.options import ModelOptions
from uhrmat.painter.run import StartHints, open_session
from uhrmat.painter.session import PaintSession

SIZE = (240, 320)
MODEL = ModelOptions(device="cpu", precision="fp32", refiner="guided")


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    inside = np.clip((70 - np.hypot(y - 120, x - 160)) / 3 + 0.5, 0, 1)[..., None]
    noise = np.random.default_rng(0).normal(0, 4, (*SIZE, 3))
    pixels = inside * (200, 80, 60) + (1 - inside) * (50, 90, 140) + noise
    path = tmp_path / "a photo.png"
    Image.fromarray(np.rint(pixels.clip(0, 255)).astype(np.uint8)).save(path)
    return path


@pytest.fixture
def session(photo: Path, tmp_path: Path) -> Iterator[PaintSession]:
    (tmp_path / "out").mkdir()
    made = open_session(photo, StartHints(), MODEL, tmp_path / "out")
    yield made
    made.finished.set()
    made.close()
