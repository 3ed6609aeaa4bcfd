"""A folder with the files that the documents' commands name, small."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from uhrmat.video.propagation.params import PropagationTrainingParams

ROOT = Path(__file__).parents[2]
SIZE = (96, 72)
FRAMES = 4


@pytest.fixture(autouse=True)
def quick_propagation(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands train a clip's network for two steps."""
    monkeypatch.setattr(PropagationTrainingParams, "total_steps", lambda self, key_frames: 2)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """photo.jpg, photo_trimap.png, mask.png, truth.png, screen.png, shoot/, masks/, clip.mp4, matte.mov and others."""
    folder = tmp_path_factory.mktemp("docs")
    photo = Image.open(ROOT / "examples" / "raccoon.png").convert("RGB").resize(SIZE)
    trimap = Image.open(ROOT / "examples" / "raccoon_trimap.png").resize(SIZE, Image.Resampling.NEAREST)
    mask = trimap.point(lambda value: 255 if value > 127 else 0)
    photo.save(folder / "photo.jpg", quality=95)
    trimap.save(folder / "photo_trimap.png")
    for name in ("mask", "truth", "first_frame"):
        mask.save(folder / f"{name}.png")
    (folder / "masks").mkdir()
    for number in range(FRAMES):
        mask.save(folder / "masks" / f"{number}.png")
    (folder / "shoot" / "trimaps").mkdir(parents=True)
    for name in ("a", "b"):
        photo.save(folder / "shoot" / f"{name}.tif")
        trimap.save(folder / "shoot" / "trimaps" / f"{name}.png")
    screen = np.where(np.asarray(mask)[..., None] > 0, np.asarray(photo), np.uint8([30, 190, 50]))
    Image.fromarray(screen.astype(np.uint8)).save(folder / "screen.png")
    _clip(folder / "clip.mp4", np.asarray(photo))
    _clip(folder / "matte.mov", np.asarray(mask.convert("RGB")))
    return folder


def _clip(path: Path, picture: np.ndarray) -> None:
    import av

    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        for _ in range(FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "rgb24")))
        file.mux(stream.encode())
