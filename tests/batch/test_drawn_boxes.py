"""A folder whose masks are filled rectangles: each file gets its box, by the prior for boxes."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.batch.helpers import LIGHT
from uhrmat.batch.settings import Settings
from uhrmat.batch.tasks import WorkerTask
from uhrmat.batch.worker import Worker, fingerprint


def test_a_worker_takes_a_rectangle_as_a_box(tmp_path: Path) -> None:
    from dataclasses import replace

    pixels = np.full((120, 160, 3), 128, np.uint8)
    cv2.circle(pixels, (60, 60), 35, (204, 51, 51), -1)
    drawn = np.zeros((120, 160), np.uint8)
    drawn[20:100, 20:100] = 255
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    Image.fromarray(pixels).save(photo)
    Image.fromarray(drawn).save(mask)
    settings = Settings(model=replace(LIGHT, prior="auto"), outputs=("alpha",), given=("mask",))
    worker = Worker(settings)
    try:
        task = WorkerTask(
            id=1, kind="still", key="photo.png", source=str(photo), folder=str(tmp_path / "out"),
            hints={"mask": str(mask)}, body={"input": fingerprint([photo, mask])},
        )  # fmt: skip
        (tmp_path / "out").mkdir()
        result = worker.run(task)
    finally:
        worker.close()
    assert result.status == "done", result.error
    assert result.value["stats"]["prior"] == "prompts"
    assert any("taken as a box" in note for note in result.value["stats"]["notes"])
    alpha = np.asarray(Image.open(result.value["files"]["alpha"]))
    assert alpha[60, 60] == 255 and alpha[22, 22] == 0  # a corner of the box is no subject
