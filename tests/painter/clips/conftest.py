"""A tiny clip of a disc that moves, and sessions that end with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("starlette", reason="starlette is not installed: pip install .[ui]")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install .[ui]")

from tests.painter.conftest import MODEL
from tests.video.helpers import write_stream
from uhrmat.painter.clips.ahead import AheadParams
from uhrmat.painter.clips.open import open_clip_session
from uhrmat.painter.clips.request import ResultForm
from uhrmat.painter.clips.session import ClipSession
from uhrmat.painter.run import StartHints
from uhrmat.train.synth.clip import ClipFrame
from uhrmat.video.propagation.params import PropagationTrainingParams

TINY = PropagationTrainingParams(steps=2, further_steps=1, batch=2, side=64)
SIZE, COUNT = (72, 96), 7
CENTRE, STEP, RADIUS = (36, 30), 4, 16
"""Of the disc: (y, x) in the first frame, pixels to the right from frame to frame, radius."""
KEEP = {"tool": "keep", "shape": "brush", "radius": 5, "points": [[30, 30], [30, 42]]}
REMOVE = {"tool": "remove", "shape": "brush", "radius": 4, "points": [[5, 5], [90, 5], [90, 66], [5, 66]]}
"""Strokes inside and outside the disc of the first frame."""


def moving_disc(count: int = COUNT, size: tuple[int, int] = SIZE) -> list[ClipFrame]:
    rng, (height, width) = np.random.default_rng(0), size
    y, x = np.mgrid[:height, :width]
    scene = np.stack([90 + 60 * np.sin(x / 7), 120 + 50 * np.cos(y / 6), 140 + 0 * x], -1) + rng.normal(
        0, 3, (*size, 3)
    )
    spots = 40 * np.sin(np.hypot(y - 20, x - 30) / 2)[..., None]
    made = []
    for number in range(count):
        alpha = np.clip((RADIUS - np.hypot(y - CENTRE[0], x - CENTRE[1] - STEP * number)) + 0.5, 0, 1)
        disc = np.array((200, 60, 50)) + np.roll(spots, STEP * number, 1)
        pixels = alpha[..., None] * disc + (1 - alpha[..., None]) * scene
        image = np.rint(pixels.clip(0, 255)).astype(np.uint8)
        made.append(ClipFrame(number, image, alpha.astype(np.float32), np.full(size, 128, np.uint8)))
    return made


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_stream(tmp_path / "a take.mkv", moving_disc())


@pytest.fixture
def opened(clip: Path) -> Iterator[Callable[..., ClipSession]]:
    """Opens the clip; what is open is closed before it is opened again, and at the end."""
    made: list[ClipSession] = []

    def close() -> None:
        while made:
            last = made.pop()
            last.finished.set()
            last.close()

    def open_it(form: ResultForm | None = None, **start: Path) -> ClipSession:
        close()
        made.append(open_clip_session(clip, StartHints(**start), MODEL, None, form=form))  # type: ignore[arg-type]
        made[-1].ahead._params = AheadParams(training=TINY, quiet=0.05)
        return made[-1]

    yield open_it
    close()


@pytest.fixture
def session(opened: Callable[..., ClipSession]) -> ClipSession:
    return opened()
