"""SHM of the paper's size as a refiner, with weights that nobody has trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from uhrmat.pipeline import StillPipeline
from uhrmat.refine.shm.network import SHM
from uhrmat.refine.shm.refiner import SHMRefiner
from uhrmat.train.synth import render_scene


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("paper") / "paper.safetensors"
    save_file(SHM("paper").state_dict(), path, {"size": "paper"})
    return path


def test_it_refines_on_every_engine_alike(weights: Path) -> None:
    scene = render_scene(2, 96, 120, kind="solid", unknown_share=0.2)
    picture = np.rint(scene.image * 255).astype(np.uint8)
    alphas = []
    for engine in ("tiles", "dense"):
        matter = StillPipeline(working_size=40, precision="fp32", engine=engine, weights=str(weights))
        matte = matter.matte(picture, trimap=scene.trimap, foreground=False)
        assert matte.stats.refiner == "shm-paper" and matte.stats.engine == engine
        alphas.append(matte.alpha)
    assert np.abs(alphas[0] - alphas[1]).max() < 1e-4
    assert (alphas[0][scene.trimap == 255] == 1).all() and (alphas[0][scene.trimap == 0] == 0).all()
    unknown = scene.trimap == 128
    assert 0 <= alphas[0][unknown].min() < alphas[0][unknown].max() <= 1


def test_its_memory_cost_is_its_own(weights: Path) -> None:
    paper, lite = (SHMRefiner(w, "tiles", torch.float32, "cpu").cost for w in (str(weights), None))
    assert paper.per_pixel > 2 * lite.per_pixel
