"""spconv's CPU build as a second, independent oracle: in a process of one thread, where alone it is right."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import torch
torch.set_num_threads(1)
from tests.sparse.networks import masks, unet, weights
from uhrmat.sparse import ActiveSet, TilesEngine
from uhrmat.sparse.spconv_engine import SpconvEngine
w = weights()
for name in ("noise_odd", "empty", "corners", "single"):
    mask = masks()[name]
    active = ActiveSet.from_mask(mask)
    tiles, other = TilesEngine(active), SpconvEngine(active, device="cpu", single_thread_oracle=True)
    for got, want in zip(unet(tiles, w), unet(other, w), strict=True):
        torch.testing.assert_close(tiles.values(got), other.values(want), rtol=0, atol=1e-4, msg=name)
    out = torch.zeros(mask.shape), torch.zeros(mask.shape)
    tiles.scatter(unet(tiles, w)[-1], out[0])
    other.scatter(unet(other, w)[-1], out[1])
    torch.testing.assert_close(*out, rtol=0, atol=1e-4)
print("equal")
"""


@pytest.mark.skipif(importlib.util.find_spec("spconv") is None, reason="spconv is not installed")
def test_tiles_equal_spconv_on_one_thread() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith("equal")
